//! The thread keeps up, gives up where it must, and leaves nothing behind.

use std::sync::atomic::{AtomicBool, Ordering};

use crypto::SigningKey;
use domain::ManualClock;
use journal::disk::SimDisk;
use tlog::{Frontier, Hash, NoteSigner, leaf_hash};

use super::*;
use crate::publish::PublishError;

/// Long enough never to pass during a test.
const NEVER: Duration = Duration::from_secs(3600);
const NOW: UnixNanos = UnixNanos::from_secs(5);

/// A journal of as many empty entries as the caller says, or one that cannot be read.
#[derive(Debug, Default)]
struct Source {
    size: Mutex<u64>,
    forked: AtomicBool,
}

impl LogSource for Arc<Source> {
    fn tree(&self) -> (u64, Hash) {
        let mut frontier = Frontier::new();
        let leaf = if self.forked.load(Ordering::SeqCst) { leaf_hash(b"x") } else { leaf_hash(b"") };
        (0..*self.size.lock()).for_each(|_| frontier.append(leaf));
        (frontier.size(), frontier.root())
    }

    fn read(
        &self,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), PublishError>,
    ) -> Result<(), PublishError> {
        (from..to).try_for_each(|_| visit(b""))
    }
}

fn start(source: &Arc<Source>, interval: Duration) -> Publishing {
    let signer = NoteSigner::new("log.example", SigningKey::from_seed([1; 32])).unwrap();
    let disk = Arc::new(SimDisk::new(1));
    let (publisher, published) =
        Publisher::open(Arc::clone(source), disk, signer, UnixNanos::from_secs(1)).unwrap();
    Publishing::spawn(publisher, published, interval, Arc::new(ManualClock::new(NOW))).unwrap()
}

#[test]
fn a_clean_end_leaves_nothing_unpublished() {
    let source = Arc::new(Source::default());
    let publishing = start(&source, NEVER);
    *source.size.lock() = 7;
    let status = publishing.stop();
    assert_eq!(status, Status { size: 7, current_at: NOW, failing: None, ended: true });
}

#[test]
fn it_follows_the_journal() {
    let source = Arc::new(Source::default());
    let publishing = start(&source, Duration::from_millis(1));
    *source.size.lock() = 3;
    while publishing.status().size < 3 {
        thread::yield_now();
    }
    assert!(!publishing.status().ended);
}

#[test]
fn a_forked_journal_ends_it() {
    let source = Arc::new(Source::default());
    *source.size.lock() = 3;
    let publishing = start(&source, Duration::from_millis(1));
    source.forked.store(true, Ordering::SeqCst);
    while !publishing.status().ended {
        thread::yield_now();
    }
    let status = publishing.stop();
    assert_eq!(status.size, 3);
    assert!(status.failing.unwrap().contains("does not continue the published log"));
}
