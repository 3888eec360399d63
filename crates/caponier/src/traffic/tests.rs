use gateway::traffic::ADMITTED;

use super::*;

fn passed(account: &str, n: u64) -> Passed {
    Passed {
        at: UnixNanos(n),
        source: "192.0.2.7".parse().unwrap(),
        proven: Some((account.to_owned(), "key-1".to_owned())),
        is_operation: false,
        is_post: true,
        path: "/api/v5/trade/order".to_owned(),
        instruments: vec!["BTC-USDT".to_owned()],
        outcome: ADMITTED,
    }
}

fn lines(path: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    read(File::open(path).unwrap(), |line| {
        lines.push(line.clone());
        Ok(())
    })
    .unwrap();
    lines
}

/// Writes all of it and waits for the writer's end.
fn write(path: &Path, bytes_max: u64, all: impl Iterator<Item = Passed>) {
    let (sender, waiting) = sync_channel(1_000_000);
    all.for_each(|passed| sender.send(passed).unwrap());
    drop(sender);
    let mut writing = Writing::begin(path.to_owned(), bytes_max).unwrap();
    writing.all(&waiting, &AtomicU64::new(0)).unwrap();
}

#[test]
fn nobody_is_named_and_everybody_stays_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("traffic");
    write(&path, 1 << 20, [passed("alice", 1), passed("bob", 2), passed("alice", 3)].into_iter());
    let text = std::fs::read_to_string(&path).unwrap();
    for name in ["alice", "bob", "key-1", "192.0.2.7"] {
        assert!(!text.contains(name), "{text}");
    }
    let lines = lines(&path);
    assert_eq!((lines[0].account.as_ref(), lines[0].at), (lines[2].account.as_ref(), 1));
    assert_ne!(lines[0].account, lines[1].account);
    assert_eq!(lines[0].replayed().unwrap().instruments, ["BTC-USDT"]);
    // Another file, other pseudonyms.
    let other = dir.path().join("other");
    write(&other, 1 << 20, [passed("alice", 1)].into_iter());
    assert_ne!(self::lines(&other)[0].account, lines[0].account);
}

#[test]
fn the_size_is_bounded_and_the_latest_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("traffic");
    write(&path, 10_000, (0..1_000).map(|n| passed("alice", n)));
    let older = dir.path().join("traffic.1");
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    assert!(size(&path) <= 10_000 && size(&older) <= 10_000);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    let (older, newer) = (lines(&older), lines(&path));
    assert_eq!(newer.last().unwrap().at, 999);
    assert_eq!(older.last().unwrap().at + 1, newer[0].at);
}

#[test]
fn damage_names_its_line_and_a_cut_end_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("traffic");
    write(&path, 1 << 20, (0..3).map(|n| passed("alice", n)));
    let text = std::fs::read_to_string(&path).unwrap();
    let count = |text: &str| {
        let mut count = 0;
        read(text.as_bytes(), |line| line.replayed().map(|_| count += 1)).map(|()| count)
    };
    assert_eq!(count(&text), Ok(3));
    assert_eq!(count(&text[..text.len() - 5]), Ok(2));
    assert!(count(&text.replacen("\"post\"", "\"pest\"", 1)).unwrap_err().starts_with("line 1: "));
    assert!(count(&format!("{text}{{}}\n")).unwrap_err().starts_with("line 4: "));
    assert!(count(&text.replacen("\"source\":\"", "\"source\":\"x", 1)).unwrap_err().contains("pseudonym"));
    assert!(count(&"x".repeat(70_000)).unwrap_err().contains("too long"));
}
