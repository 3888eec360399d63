//! `caponier backup restore`: from a backup target to a data directory that starts.

use std::{io, path::Path, sync::Arc};

use journal::{disk::RealDisk, record::LifecycleEvent};

use super::resolve;
use crate::{
    cli::Place,
    clock::SystemClock,
    core::{Core, chain},
    exit::{Exit, Failure},
    output::{self, Bar},
    verify,
};

pub(super) async fn restore(place: &Place, from: &Path, json: bool) -> Result<Exit, Failure> {
    let mut config = resolve(place)?;
    let dir = config.data.dir.clone();
    if !config.data.kek_file.is_file() {
        let message = format!(
            "key-encryption key {} is missing: a backup never holds it, and cannot be read without it",
            config.data.kek_file.display()
        );
        return Err(Failure::new(Exit::NotFound, message));
    }
    let target =
        RealDisk::existing(from).map_err(|error| Failure::io(format!("backup {}", from.display()), error))?;
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(|error| Failure::io(parent.display(), error))?;
    }
    let into = RealDisk::new(&dir).map_err(|error: io::Error| Failure::io(dir.display(), error))?;
    let mut bar = Bar::new(json);
    let manifest =
        backup::restore(&target, &into, &mut |done, total| bar.report("bytes restored", done, total))
            .map_err(|error| {
                let exit = match &error {
                    backup::RestoreError::NotEmpty { .. } => Exit::Usage,
                    backup::RestoreError::NoBackup => Exit::NotFound,
                    _ => Exit::Io,
                };
                Failure::new(exit, chain(&error))
            })?;

    // Restored bytes become an installation only by the normal start, which checks all of them.
    if let Some(origin) = verify::origin(&dir) {
        config.log.origin = origin;
    }
    config.backup.target = None;
    let core =
        Core::open(config, Arc::new(SystemClock), &mut |what, done, total| bar.report(what, done, total))
            .await?;
    drop(bar);
    let detail =
        format!("restored a backup of {} entries shipped at {}", manifest.entries, manifest.shipped_at);
    core.record_lifecycle(LifecycleEvent::Recovered, &detail).await?;
    tokio::task::block_in_place(|| core.close())?;
    if json {
        output::line(serde_json::json!({
            "ok": true,
            "entries": manifest.entries,
            "root": tlog::Hash(manifest.root).to_base64(),
            "shipped_at": manifest.shipped_at,
            "data_dir": dir,
        }));
    } else {
        output::line(format!("{detail} into {}", dir.display()));
    }
    Ok(Exit::Ok)
}
