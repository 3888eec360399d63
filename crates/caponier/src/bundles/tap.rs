//! Whoever watches bundles at work, record by record: backtests and measurements of the past.

use std::{fmt, sync::Arc};

use fraud::live::{Bundle, Judged};

use super::Place;

/// Shown every record that a bundle takes in, in the order of the journal.
#[derive(Clone)]
pub(crate) struct Tap(Arc<Watcher>);

type Watcher = dyn Fn(Place, &Bundle, &Judged<'_>) + Send + Sync;

impl Tap {
    /// To a function.
    pub(crate) fn new(watcher: impl Fn(Place, &Bundle, &Judged<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(watcher))
    }

    pub(super) fn show(&self, place: Place, bundle: &Bundle, judged: &Judged<'_>) {
        (self.0)(place, bundle, judged);
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}
