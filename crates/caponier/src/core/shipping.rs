//! What the backup needs from the installation.

use std::{path::Path, sync::Arc};

use audit::{LOG_DIR, VKEY_PATH};
use backup::{Durable, SegmentLine, Shipper, Source, SourceFile};
use journal::disk::{self, Disk, RealDisk};
use watch::{ExportedFile, Watch};

use super::{LABELS_DIR, models};
use crate::{
    exit::{Exit, Failure},
    ground::{Ground, Installation},
};

/// Longest checkpoint read.
const CHECKPOINT_BYTES_MAX: u64 = 64 << 10;

/// How often a moving journal is looked at again.
const LOOKS_MAX: usize = 1000;

/// The live installation as a source for the shipper.
#[derive(Debug)]
pub struct GroundSource {
    disk: Arc<dyn Disk>,
    ground: Arc<Ground>,
    watch: Arc<Watch>,
}

struct Exported(ExportedFile);

impl AsRef<[u8]> for Exported {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl Source for GroundSource {
    fn snapshot(&self) -> Result<(Durable, Vec<SourceFile>), String> {
        // The checkpoint first: what it commits to is durable already, so the journal's extent taken after it
        // contains it. A restored journal that lacks entries of its checkpoint would rightly be refused.
        let mut files = Vec::new();
        for name in [tlog::CHECKPOINT_PATH, VKEY_PATH] {
            let path = format!("{LOG_DIR}/{name}");
            let bytes = disk::read(&*self.disk, &path, CHECKPOINT_BYTES_MAX)
                .map_err(|error| format!("{path}: {error}"))?;
            files.push(SourceFile { path, sha256: None, bytes: Some(Box::new(bytes)), record_bytes: 0 });
        }
        for exported in self.watch.export() {
            files.push(SourceFile {
                path: format!("{LABELS_DIR}/{}", exported.name),
                sha256: Some(exported.sha256),
                bytes: Some(Box::new(Exported(exported))),
                record_bytes: 0,
            });
        }
        for (name, file) in self.ground.read(|fold| models::files(fold.models())) {
            // A file that was lost here cannot be shipped; whoever lists models is told.
            if self.disk.open(&name).is_ok() {
                files.push(SourceFile { path: name, sha256: Some(file), bytes: None, record_bytes: 0 });
            }
        }
        files.push(SourceFile {
            path: journal::KEY_TABLE.to_owned(),
            sha256: None,
            bytes: None,
            record_bytes: keyring::SLOT_BYTES,
        });
        Ok((self.durable()?, files))
    }
}

impl GroundSource {
    /// Segments and root of one moment: looked at until nothing moved in between.
    fn durable(&self) -> Result<Durable, String> {
        let journal = self.ground.journal();
        for _ in 0..LOOKS_MAX {
            let (entries, root) = journal.tree();
            let segments = journal.segments();
            let counted: u64 = segments.iter().map(|segment| segment.entries).sum();
            if counted == entries && journal.tree().0 == entries {
                let segments = segments
                    .into_iter()
                    .map(|segment| SegmentLine { path: segment.path, len: segment.len_durable })
                    .collect();
                return Ok(Durable { entries, root: root.0, segments });
            }
        }
        Err("the journal grew faster than it could be looked at".to_owned())
    }
}

/// Opens the target.
pub(super) fn open(
    disk: &Arc<dyn Disk>,
    ground: &Arc<Ground>,
    watch: &Arc<Watch>,
    installation: &Installation,
    target: &Path,
) -> Result<Shipper, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::io(format!("backup target {}", target.display()), error);
    std::fs::create_dir_all(target).map_err(|error| failed(&error))?;
    let target_disk: Arc<dyn Disk> = Arc::new(RealDisk::new(target).map_err(|error| failed(&error))?);
    let source =
        GroundSource { disk: Arc::clone(disk), ground: Arc::clone(ground), watch: Arc::clone(watch) };
    Shipper::open(installation.id(), Arc::clone(disk), Arc::new(source), target_disk)
        .map_err(|error| Failure::new(Exit::Io, format!("backup target {}: {error}", target.display())))
}
