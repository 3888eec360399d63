use super::*;
use crate::disk::{read, replace};

fn survivors(write: impl Fn(&SimDisk)) -> BTreeSet<Option<Vec<u8>>> {
    (0..300)
        .map(|seed| {
            let disk = SimDisk::new(seed);
            write(&disk);
            disk.cut_power();
            disk.reboot();
            disk.content("f")
        })
        .collect()
}

#[test]
fn synced_bytes_and_names_always_survive() {
    let kept = survivors(|disk| {
        let file = disk.create("f").unwrap();
        file.write_at(0, b"kept").unwrap();
        file.sync().unwrap();
        disk.sync_dir("").unwrap();
    });
    assert_eq!(kept, BTreeSet::from([Some(b"kept".to_vec())]));
}

#[test]
fn unsynced_names_and_bytes_may_be_lost_or_torn_at_sectors() {
    let kept = survivors(|disk| {
        let file = disk.create("f").unwrap();
        file.sync().unwrap();
        disk.sync_dir("").unwrap();
        file.write_at(0, &[7; 3 * SECTOR_BYTES]).unwrap();
    });
    let full = vec![7; 3 * SECTOR_BYTES];
    assert!(kept.contains(&Some(Vec::new())) && kept.contains(&Some(full)));
    // Reordering: the first sector lost, the last one kept.
    assert!(
        kept.iter().flatten().any(|file| file.len() == 3 * SECTOR_BYTES && file[0] == 0 && file[1535] == 7)
    );
    assert!(kept.iter().flatten().all(|file| {
        file.chunks(SECTOR_BYTES).all(|sector| sector.iter().all(|byte| *byte == sector[0]))
    }));
    let unnamed = survivors(|disk| disk.create("f").unwrap().sync().unwrap());
    assert_eq!(unnamed, BTreeSet::from([None, Some(Vec::new())]));
}

#[test]
fn replacing_is_all_or_nothing() {
    for change in 0..8 {
        for seed in 0..50 {
            let disk = SimDisk::new(seed);
            replace(&disk, "f", b"old").unwrap();
            disk.inject(disk.changes() + change, Injected::PowerCut);
            let replaced = replace(&disk, "f", b"new");
            disk.cut_power();
            disk.reboot();
            let content = read(&disk, "f", 100).unwrap();
            assert!(content == b"new" || (content == b"old" && replaced.is_err()), "{content:?}");
        }
    }
}

#[test]
fn faults_strike_where_told_and_dead_handles_stay_dead() {
    let disk = SimDisk::new(1);
    let file = disk.create("f").unwrap();
    disk.inject(1, Injected::Enospc);
    let page = [7; 3 * SECTOR_BYTES];
    assert_eq!(file.write_at(0, &page).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.content("f").unwrap(), [7; SECTOR_BYTES]);
    disk.limit(Some(600));
    assert!(file.write_at(0, &page).is_err());
    disk.limit(None);
    assert!(disk.flip("f", 0));
    assert_eq!(disk.content("f").unwrap()[..2], [6, 7]);
    disk.kill_process();
    assert!(file.write_at(0, b"x").is_err());
    assert_eq!(disk.content("f").unwrap()[..2], [6, 7]);
}
