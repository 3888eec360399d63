//! Doors for the fuzz targets to parsers that are private otherwise. Exists only when built for fuzzing.

use domain::UnixNanos;

use crate::{Format, ImportError, ImportReport, ListName, SourceFile, import};

/// The segment built from sources, with its report; stores nothing.
///
/// # Errors
/// [`ImportError`].
pub fn build(
    list: &ListName,
    format: &Format,
    files: &[SourceFile],
    now: UnixNanos,
) -> Result<(Vec<u8>, ImportReport), ImportError> {
    let imported = import::build(list, format, files, [7; 16], now)?;
    Ok((imported.segment, imported.report))
}

/// Whether bytes are entries of a log of flows, and if so whether they are written again the same.
#[must_use]
pub fn flows(bytes: &[u8]) -> Option<bool> {
    crate::flows::rewritten(bytes)
}
