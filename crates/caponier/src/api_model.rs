//! The model of the trading API as configured: document and modes to what the gateway checks by.

use std::{io::Read as _, path::Path, sync::Arc};

use gateway::{ApiModel, ModelMode};
use schema::Model;

use crate::{
    config,
    core::chain,
    exit::{Exit, Failure},
};

/// Largest document read; the importer's own bound is below it.
const DOCUMENT_BYTES_MAX: u64 = 8 << 20;

/// Reads and compiles a document.
///
/// # Errors
/// [`Failure`] naming the file, and the place in it.
pub(crate) fn import(document: &Path) -> Result<Model, Failure> {
    let bad = |exit, what: String| Failure::new(exit, format!("{}: {what}", document.display()));
    let mut bytes = Vec::new();
    std::fs::File::open(document)
        .and_then(|file| file.take(DOCUMENT_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| bad(Exit::Usage, error.to_string()))?;
    Model::import(&bytes).map_err(|error| bad(Exit::Input, chain(&error)))
}

/// The model in force under a configuration, if any.
///
/// # Errors
/// As [`import`], and [`Failure`] for an operation that the document does not describe.
pub(crate) fn load(config: &config::ApiModel) -> Result<Option<Arc<ApiModel>>, Failure> {
    let Some(document) = &config.document else { return Ok(None) };
    let off = config.off.iter().map(|operation| (operation.as_str(), ModelMode::Off));
    let enforce = config.enforce.iter().map(|operation| (operation.as_str(), ModelMode::Enforce));
    ApiModel::new(import(document)?, config.mode, off.chain(enforce))
        .map(|model| Some(Arc::new(model)))
        .map_err(|error| Failure::new(Exit::Usage, format!("api_model: {error}")))
}
