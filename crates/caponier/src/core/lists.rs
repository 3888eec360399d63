//! Changing and exporting a list that is in force.

use std::path::Path;

use domain::Subject;
use journal::{Draft, Kind, record};
use watch::{Format, ListName, SourceFile};

use super::{Core, chain, handle::record_failure};
use crate::{
    control::{ListDiff, ListDifference, RemovedList, Response, UpdatedList},
    exit::{Exit, Failure},
};

/// A list format as operators write it.
///
/// # Errors
/// [`Failure`] that names the formats there are.
pub(super) fn list_format(text: &str) -> Result<Format, Failure> {
    text.parse().map_err(|error: watch::BadFormat| Failure::new(Exit::Usage, error.to_string()))
}

fn list_name(text: &str) -> Result<ListName, Failure> {
    ListName::parse(text).map_err(|error| Failure::new(Exit::Usage, chain(&error)))
}

/// The name of a list: as given, else that of its file.
///
/// # Errors
/// [`Failure`] where it is no name.
pub(super) fn list_of(name: Option<&str>, path: &Path) -> Result<ListName, Failure> {
    // Published files have names in capitals; names of lists have none.
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_ascii_lowercase();
    let fault = if name.is_some() { Exit::Usage } else { Exit::Input };
    ListName::parse(name.unwrap_or(&stem)).map_err(|error| Failure::new(fault, chain(&error)))
}

/// Why a source was not taken.
pub(super) fn refused(path: &Path, error: &watch::ImportError) -> Failure {
    let what = chain(error);
    let names_file = !matches!(error, watch::ImportError::NoEntries);
    Failure::new(Exit::Input, if names_file { what } else { format!("{}: {what}", path.display()) })
}

/// Differences told one by one.
const DIFFERENCES_MAX: usize = 100;
/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 1_000;

impl Core {
    /// What importing would change.
    ///
    /// # Errors
    /// [`Failure`], as importing would.
    pub(super) fn lists_diff(
        &self,
        format: &str,
        name: Option<&str>,
        path: &Path,
    ) -> Result<Response, Failure> {
        let (format, list) = (list_format(format)?, list_of(name, path)?);
        let differences = tokio::task::block_in_place(|| {
            let files = watch::read_sources(path, &format).map_err(|error| refused(path, &error))?;
            self.watch.diff(&list, &format, &files, self.clock.now()).map_err(|error| refused(path, &error))
        })?;
        let (mut diff, mut first) = (ListDiff { name: list.to_string(), ..ListDiff::default() }, Vec::new());
        let words = |claimed: Option<watch::Claimed>| {
            claimed.map(|it| (it.category.as_str().to_owned(), it.verdict.as_str().to_owned()))
        };
        for difference in differences {
            match (difference.before, difference.after) {
                (None, _) => diff.added += 1,
                (_, None) => diff.removed += 1,
                _ => diff.changed += 1,
            }
            let verdict =
                |claimed: Option<watch::Claimed>| claimed.map_or(domain::Verdict::Allow, |it| it.verdict);
            match verdict(difference.before).cmp(&verdict(difference.after)) {
                std::cmp::Ordering::Less => diff.stricter += 1,
                std::cmp::Ordering::Greater => diff.milder += 1,
                std::cmp::Ordering::Equal => {}
            }
            if first.len() < DIFFERENCES_MAX {
                let (before, after) = (words(difference.before), words(difference.after));
                first.push(ListDifference { address: difference.address, before, after });
            }
        }
        diff.first = first;
        Ok(Response::ListDiff(diff))
    }

    /// Adds addresses to a list and takes others out.
    ///
    /// # Errors
    /// [`Failure`]; the list is as before, unless only its entry in the journal is missing: the next start adds that.
    pub(super) async fn lists_update(
        &self,
        name: &str,
        format: &str,
        add: Option<&Path>,
        remove: Option<&Path>,
    ) -> Result<Response, Failure> {
        let bad = |error: &dyn std::error::Error| Failure::new(Exit::Input, chain(error));
        let (list, parsed) = (list_name(name)?, list_format(format)?);
        let now = self.clock.now();
        let report = tokio::task::block_in_place(|| {
            let read = |path: Option<&Path>| -> Result<Vec<SourceFile>, Failure> {
                let files = path.map(|path| watch::read_sources(path, &parsed)).transpose();
                Ok(files.map_err(|error| bad(&error))?.unwrap_or_default())
            };
            let (added, removed) = (read(add)?, read(remove)?);
            self.watch.update(&list, &parsed, &added, &removed, now).map_err(|error| bad(&error))
        })?;
        let words = |what, path: Option<&Path>| path.map(|path| format!("{what} {}", path.display()));
        let source: Vec<String> = words("added", add).into_iter().chain(words("removed", remove)).collect();
        let entry = record::ListImported {
            name: list.to_string(),
            format: format.to_owned(),
            sha256: report.source_sha256,
            entries: report.listed,
            source: source.join(", "),
        };
        let draft =
            Draft { at: now, subject: Subject::System, kind: Kind::ListImported, payload: entry.encode() };
        self.ground.record(vec![draft]).await.map_err(|error| record_failure(&error))?;
        let rescreened = self.rescreen_after_change().await;
        Ok(Response::ListUpdated(UpdatedList {
            name: list.to_string(),
            added: report.added,
            removed: report.removed,
            removed_listed: report.removed_listed,
            changes: report.changes,
            listed: report.listed,
            rescreened,
        }))
    }

    /// Takes a whole list out of force.
    ///
    /// If we stop before the entry is written, the list counts as missing and nothing is screened until this is asked for again,
    /// or the list is imported: a list never vanishes unsaid.
    ///
    /// # Errors
    /// [`Failure`] when there is no such list, neither in force nor recorded.
    pub(super) async fn lists_remove(&self, name: &str, reason: &str) -> Result<Response, Failure> {
        if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX || reason.chars().any(char::is_control)
        {
            let message = format!("--reason: 1 to {REASON_BYTES_MAX} bytes of printable text");
            return Err(Failure::new(Exit::Usage, message));
        }
        let list = list_name(name)?;
        let listed = self.watch.lists().into_iter().find(|state| state.name == list);
        let listed = listed.map(|state| state.addresses + state.texts);
        if listed.is_none() && !self.ground.read(|fold| fold.lists().contains_key(name)) {
            return Err(Failure::new(Exit::NotFound, format!("there is no list {name}")));
        }
        tokio::task::block_in_place(|| self.watch.remove(&list))
            .map_err(|error| Failure::new(Exit::Io, chain(&error)))?;
        let entry = record::ListRemoved { name: list.to_string(), reason: reason.to_owned() };
        let at = self.clock.now();
        let draft = Draft { at, subject: Subject::System, kind: Kind::ListRemoved, payload: entry.encode() };
        self.ground.record(vec![draft]).await.map_err(|error| record_failure(&error))?;
        self.gaps.close(name);
        let rescreened = self.rescreen_after_change().await;
        Ok(Response::ListRemoved(RemovedList { name: list.to_string(), listed, rescreened }))
    }

    /// A list as a TagPack.
    ///
    /// # Errors
    /// [`Failure`] when there is no such list.
    pub(super) fn lists_export(&self, name: &str) -> Result<Response, Failure> {
        let list = list_name(name)?;
        tokio::task::block_in_place(|| self.watch.tagpack(&list))
            .map(Response::TagPack)
            .ok_or_else(|| Failure::new(Exit::NotFound, format!("there is no list {name}")))
    }
}
