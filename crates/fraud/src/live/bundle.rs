//! A bundle: a feature pack with an optional model and rules fitted to it, loaded whole or refused whole.
//!
//! Whatever does not fit is found here, before anything is judged: a field live records do not have, a model of another
//! pack, a rule that could block on weak evidence alone. The hash of a bundle covers every byte that has a meaning, so an
//! edited bundle is another one, which nobody has promoted.

use std::sync::Arc;

use crypto::Sha256;
use features::{Pack, PackError};
use rules::{Guard, LoadError, RuleSet, SchemaError};
use scoring::{
    anomaly::{HalfSpaceTrees, Params},
    counterfactual::{Changeable, Direction},
    model::file::{FileError, ModelFile, digest},
    shap::Explainer,
};

use super::{
    binding::{ANOMALY_SLOT, BindError, PackBinding, RuleBinding, SCORE_SLOT},
    manifest::{MANIFEST_BYTES_MAX, Manifest, ManifestError},
    record::Field,
};
use crate::replay::{ReplayError, check_model};

/// Name of the manifest in a bundle's folder.
pub const MANIFEST: &str = "bundle.toml";
/// Longest model file that is read, in bytes.
const MODEL_BYTES_MAX: usize = 64 << 20;
/// Fields that are weak evidence whatever a bundle says: true of many honest customers.
const WEAK_FIELDS: [&str; 2] = [Field::Anonymizer.as_str(), ANOMALY_SLOT];
/// Kinds of features that are weak evidence whatever a bundle says: who shares a device or an address.
const WEAK_KINDS: [&str; 3] = ["component_accounts", "shared_accounts", "shared_things"];

/// Why a bundle is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The anomaly trees cannot be built.
    #[error("bundle.toml: anomaly: {0}")]
    Anomaly(#[from] scoring::anomaly::AnomalyError),
    /// Live records do not have what the pack reads.
    #[error("{file}: {fault}")]
    Bind {
        /// The pack's file.
        file: String,
        /// What does not fit.
        fault: BindError,
    },
    /// A file that cannot be read.
    #[error("{file}: {why}")]
    File {
        /// Which one.
        file: String,
        /// Why, in words.
        why: String,
    },
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The model's file.
    #[error("{file}: {fault}")]
    Model {
        /// Which one.
        file: String,
        /// What is wrong.
        fault: FileError,
    },
    /// The model belongs to another pack.
    #[error("{file}: {fault}")]
    OtherModel {
        /// Which one.
        file: String,
        /// What does not fit.
        fault: Box<ReplayError>,
    },
    /// The pack.
    #[error("{file}: {fault}")]
    Pack {
        /// Which one.
        file: String,
        /// What is wrong, with its line.
        fault: Box<PackError>,
    },
    /// The rules.
    #[error("{file}: {fault}")]
    Rules {
        /// Which one.
        file: String,
        /// Every fault, with its line.
        fault: LoadError,
    },
    /// Names of features and fields collide.
    #[error("what rules may read: {0}")]
    Schema(#[from] SchemaError),
    /// A feature that the manifest names and the pack does not have.
    #[error("bundle.toml: {key}: the pack has no feature {name:?}")]
    UnknownFeature {
        /// Where it stands.
        key: &'static str,
        /// Its name.
        name: String,
    },
}

/// A model at work.
#[derive(Debug)]
pub(crate) struct Scorer {
    pub(crate) file: ModelFile,
    pub(crate) explainer: Explainer,
    pub(crate) sha256: [u8; 32],
    /// The least logit whose probability is that of a challenge.
    pub(crate) challenge_logit: f64,
}

/// Everything that judges, checked to fit together. Immutable; share it behind an [`Arc`].
#[derive(Debug)]
pub struct Bundle {
    pub(crate) manifest: Manifest,
    pub(crate) pack: Arc<Pack>,
    pub(crate) pack_binding: PackBinding,
    pub(crate) rule_binding: RuleBinding,
    pub(crate) scorer: Option<Scorer>,
    pub(crate) rules: Option<RuleSet>,
    /// Per feature: whether it is weak evidence.
    pub(crate) is_weak: Vec<bool>,
    pub(crate) changeable: Vec<Changeable>,
    /// Features the anomaly is measured over.
    pub(crate) anomaly_features: Vec<usize>,
    hash: [u8; 32],
    /// Everything it was read from but the model, by name: another model can take its place.
    texts: Vec<(String, Vec<u8>)>,
}

/// Reads a file beside the manifest: its name, and the most bytes it may have.
pub type ReadFile<'r> = &'r mut dyn FnMut(&str, usize) -> Result<Vec<u8>, String>;

impl Bundle {
    /// Loads and checks a bundle.
    ///
    /// # Errors
    /// [`BundleError`]: the first piece that is missing, wrong or does not fit the others.
    pub fn load(read: ReadFile<'_>) -> Result<Self, BundleError> {
        let mut texts = Vec::new();
        let mut file = |name: &str, bytes_max: usize| {
            let bytes =
                read(name, bytes_max).map_err(|why| BundleError::File { file: name.to_owned(), why })?;
            // The largest of them is a few megabytes; a model is kept as what was read from it.
            if bytes_max != MODEL_BYTES_MAX {
                texts.push((name.to_owned(), bytes.clone()));
            }
            Ok::<_, BundleError>(bytes)
        };
        let text = |name: &str, bytes: Vec<u8>| {
            let why = || "is not UTF-8".to_owned();
            String::from_utf8(bytes).map_err(|_| BundleError::File { file: name.to_owned(), why: why() })
        };
        let manifest_text = text(MANIFEST, file(MANIFEST, MANIFEST_BYTES_MAX)?)?;
        let manifest = Manifest::parse(&manifest_text)?;
        let mut digested = Sha256::new();
        digested.update(b"caponier fraud bundle 1\n");
        digested.update(&crypto::sha256(&[manifest_text.as_bytes()]));

        let name = &manifest.pack;
        let pack = Pack::parse(&text(name, file(name, features::PACK_BYTES_MAX)?)?)
            .map_err(|fault| BundleError::Pack { file: name.clone(), fault: Box::new(fault) })?;
        let pack_binding =
            PackBinding::new(&pack).map_err(|fault| BundleError::Bind { file: name.clone(), fault })?;
        digested.update(&pack.hash());
        let rule_binding = RuleBinding::new(&pack)?;

        let mut is_weak: Vec<bool> =
            pack.columns().iter().map(|column| WEAK_KINDS.contains(&column.kind.as_str())).collect();
        for name in &manifest.weak {
            if let Some(feature) = pack.column_index(name) {
                is_weak[feature] = true;
            }
        }

        let scorer = match &manifest.model {
            Some(name) => {
                let bytes = file(name, MODEL_BYTES_MAX)?;
                let model = ModelFile::decode(&bytes)
                    .map_err(|fault| BundleError::Model { file: name.clone(), fault })?;
                check_model(&model, &pack).map_err(|fault| BundleError::OtherModel {
                    file: name.clone(),
                    fault: Box::new(fault),
                })?;
                let sha256 = digest(&bytes).unwrap_or_default();
                digested.update(&sha256);
                Some(Scorer {
                    explainer: Explainer::new(&model.model),
                    challenge_logit: least_logit(&model, manifest.thresholds.challenge_from),
                    file: model,
                    sha256,
                })
            }
            None => None,
        };

        let rules = match &manifest.rules {
            Some(name) => {
                let document = text(name, file(name, rules::bounds::DOCUMENT_BYTES_MAX)?)?;
                let weak_columns = pack.columns().iter().zip(&is_weak).filter(|(_, is_weak)| **is_weak);
                // A score that weak features went into is no stronger than they are.
                let score = (scorer.is_some() && is_weak.contains(&true)).then_some(SCORE_SLOT);
                let weak = WEAK_FIELDS
                    .into_iter()
                    .chain(score)
                    .chain(weak_columns.map(|(column, _)| column.name.as_str()))
                    .chain(manifest.weak.iter().map(String::as_str));
                let mut guard = Guard::new(weak);
                for (name, ordinary) in &manifest.ordinary {
                    guard = guard.ordinary(name, ordinary.clone());
                }
                let set = RuleSet::load(&document, &rule_binding.schema, &guard)
                    .map_err(|fault| BundleError::Rules { file: name.clone(), fault })?;
                digested.update(set.hash());
                Some(set)
            }
            None => None,
        };
        for name in &manifest.weak {
            if rule_binding.schema.slot(name).is_none() {
                return Err(BundleError::UnknownFeature { key: "evidence.weak", name: name.clone() });
            }
        }
        let feature = |key: &'static str, name: &String| {
            pack.column_index(name).ok_or_else(|| BundleError::UnknownFeature { key, name: name.clone() })
        };
        let changeable = manifest
            .changeable
            .iter()
            .map(|name| {
                let feature = feature("evidence.changeable", name)?;
                Ok(Changeable { feature, direction: Direction::Either })
            })
            .collect::<Result<_, BundleError>>()?;
        let anomaly_features = match &manifest.anomaly {
            Some(anomaly) => anomaly
                .ranges
                .keys()
                .map(|name| feature("anomaly.features", name))
                .collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let bundle = Self {
            pack: Arc::new(pack),
            pack_binding,
            rule_binding,
            scorer,
            rules,
            is_weak,
            changeable,
            anomaly_features,
            hash: digested.finish(),
            manifest,
            texts,
        };
        // Parameters that make no trees are found now.
        drop(bundle.anomaly_trees()?);
        Ok(bundle)
    }

    /// The same bundle with another model; `None` if it has none that could be replaced.
    ///
    /// # Errors
    /// As [`Bundle::load`], when the model is damaged or of another pack, or the bundle would no longer load with it.
    pub fn with_model(&self, bytes: &[u8]) -> Result<Option<Self>, BundleError> {
        let Some(model) = &self.manifest.model else { return Ok(None) };
        let read = |name: &str, _: usize| {
            if name == model {
                return Ok(bytes.to_vec());
            }
            let text = self.texts.iter().find(|(text, _)| text == name).map(|(_, bytes)| bytes.clone());
            text.ok_or_else(|| "was not read before".to_owned())
        };
        let mut read = read;
        Self::load(&mut read).map(Some)
    }

    /// Fresh trees for anomaly scores, if the bundle has any.
    pub(crate) fn anomaly_trees(&self) -> Result<Option<HalfSpaceTrees>, BundleError> {
        let Some(anomaly) = &self.manifest.anomaly else { return Ok(None) };
        let ranges: Vec<(f32, f32)> = anomaly.ranges.values().copied().collect();
        let params = Params { window: anomaly.window, seed: anomaly.seed, ..Params::default() };
        Ok(Some(HalfSpaceTrees::new(&ranges, params)?))
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.manifest.version
    }

    /// SHA-256 of the manifest's text, the pack, the model and the rules.
    #[must_use]
    pub const fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The feature pack.
    #[must_use]
    pub const fn pack(&self) -> &Arc<Pack> {
        &self.pack
    }

    /// The model's file and its digest, if there is one.
    #[must_use]
    pub fn model(&self) -> Option<(&ModelFile, [u8; 32])> {
        self.scorer.as_ref().map(|scorer| (&scorer.file, scorer.sha256))
    }

    /// The rules, if there are any.
    #[must_use]
    pub const fn rules(&self) -> Option<&RuleSet> {
        self.rules.as_ref()
    }

    /// How the pieces are used.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

/// The least logit of a probability of at least `threshold`; calibrations never fall.
fn least_logit(model: &ModelFile, threshold: f64) -> f64 {
    const END: f64 = 1e4;
    let reaches = |logit: f64| model.probability(logit) >= threshold;
    if !reaches(END) {
        return f64::INFINITY;
    }
    let (mut below, mut at) = (-END, END);
    if reaches(below) {
        return f64::NEG_INFINITY;
    }
    for _ in 0..200 {
        let middle = f64::midpoint(below, at);
        if reaches(middle) {
            at = middle;
        } else {
            below = middle;
        }
    }
    at
}
