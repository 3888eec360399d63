//! What the pages of changes that take two persons stand on.

use super::{BoxFuture, NotDone, Viewer};
use crate::view::{ChangeFile, ChangeLine, Say};

/// Changes that take two persons.
pub trait Changes: Send + Sync {
    /// How many wait for this viewer. Asked for every page; answers at once.
    fn waiting(&self, viewer: &Viewer) -> usize;

    /// Open ones, or all of them, the newest first. At most [`crate::ROWS_MAX`].
    fn list(&self, viewer: &Viewer, all: bool) -> Vec<ChangeLine>;

    /// One of them, as this viewer may see it.
    fn one(&self, viewer: &Viewer, id: u64) -> Option<ChangeFile>;

    /// Says something about one. On return it is durable, and what was agreed to is done or has failed.
    ///
    /// # Errors
    /// [`NotDone`].
    fn say<'a>(&'a self, viewer: &'a Viewer, id: u64, say: Say) -> BoxFuture<'a, Result<(), NotDone>>;
}
