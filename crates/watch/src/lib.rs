//! Watch: who is behind an address, by the lists the operator has chosen to trust.
//!
//! Lists are imported whole ([`Watch::import`]) into immutable segments held in memory and looked up exactly
//! ([`Watch::screen`]); a withdrawal's destination becomes findings ([`Watch::examine`]). Importing a list again
//! replaces its earlier state, so an address that is gone from a list stops blocking at once; a change of a few
//! addresses of a large list need not wait for a whole import ([`Watch::update`]).
//!
//! Chains are followed by [`follow`]. What it is not: it ships no list and calls no vendor. The label store owns one
//! directory and is its only writer; that one process writes it is the caller's promise (the lock of the data directory).
//!
//! Readers never wait: the set of active lists is swapped whole. Bounds: [`LISTS_MAX`] lists, and per import
//! [`SOURCE_BYTES_MAX`] bytes in [`SOURCE_FILES_MAX`] files; an import needs about 200 bytes of memory per address beside its source,
//! a list in force about 40. Changes since the last import are bounded by [`CHANGES_MAX`].
//!
//! # The directory
//!
//! `CURRENT` names the active segments with their digests and ends with its own; it is replaced by rename, so a crash
//! leaves the old or the new state of a list, never a mixture. Segments (`<list>.<generation>.seg`) are written before
//! `CURRENT` names them and removed after it no longer does; what a crash leaves behind is removed on open. Segments
//! and `CURRENT` verify with `sha256sum`, [`verify_dir`] says where they do not.

pub mod assess;
pub mod crosscustomer;
pub mod customers;
mod diff;
pub mod discovery;
pub mod evaluate;
mod export;
mod findings;
pub mod flows;
pub mod follow;
#[cfg(fuzzing)]
pub mod fuzz;
mod import;
mod list;
pub mod propagation;
pub mod replay;
pub mod rescreen;
mod screen;
mod store;
pub mod suspicions;
pub mod table;

pub use self::{
    diff::{Claimed, Difference},
    import::{
        BadFormat, Column, CsvColumns, Format, ImportError, ImportReport, KeptAsText, SOURCE_BYTES_MAX,
        SOURCE_FILES_MAX, SourceFile, UNDECODABLE_MAX, Undecodable, read_sources,
    },
    list::{BadListName, ListName, ListState},
    screen::{ListedLabel, Listing, Screening},
    store::{
        CHANGES_MAX, Config, ExportedFile, Fault, LISTS_MAX, OpenError, StoreError, UpdateReport, Watch,
        verify_dir,
    },
};
