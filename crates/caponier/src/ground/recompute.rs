//! Decisions computed again from the journal: the same features and the same scores, bit for bit, or it is told.
//!
//! A decision says which bundle judged, as of how many entries, with which features. The journal is replayed through that
//! bundle, held at each such place, and asked again. A bundle that judged before with another model is put together again
//! from the one at work and the model as it is kept. Decisions by other bundles are counted and left alone.
//!
//! Bounds: [`DECISIONS_MAX`] decisions, the newest ones.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use domain::{Decision, Finding, Ppm};
use fraud::{Fraud, live::Bundle};
use journal::{Kind, record};
use watch::customers::Customers;

use super::{
    Ground,
    fold::{Fold, Keys},
};
use crate::{
    bundles::Lives,
    exit::{Exit, Failure},
};

/// Decisions computed again at one time.
const DECISIONS_MAX: usize = 1 << 18;
/// Differences told.
const TOLD_MAX: usize = 20;

/// What a decision says of its computation.
#[derive(Debug)]
struct Claim {
    /// SHA-256 of the bundle, hexadecimal.
    bundle: String,
    entry: u64,
    as_of: u64,
    features: String,
    /// SHA-256 of each model that had a say, and its score in millionths.
    scores: Vec<(String, String)>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recomputed {
    /// Findings of the bundles at work that were computed again.
    pub compared: u64,
    /// Those that came out otherwise.
    pub different: u64,
    /// Decisions in which no bundle had a say that is at work, or was with a model that is kept.
    pub by_others: u64,
    /// Decisions left out because there are too many.
    pub left_out: u64,
    /// Entries that cannot be read any more, because their person was erased; what was computed from them cannot be
    /// computed again.
    pub erased: u64,
    /// The first differences, in words.
    pub told: Vec<String>,
}

fn evidence<'f>(finding: &'f Finding, name: &str) -> Option<&'f str> {
    finding.evidence.iter().find(|one| one.name == name).map(|one| one.value.as_str())
}

/// What bundles said in a decision.
fn claims(entry: u64, decision: &Decision) -> Vec<Claim> {
    // With two bundles at work their scores stand side by side, and only the own model's counts.
    let said = |finding: &Finding, name: &str| evidence(finding, name).map(str::to_owned);
    let scored = |finding| Some((said(finding, "model_sha256")?, said(finding, "model_score")?));
    let scores: Vec<(String, String)> = decision.findings.iter().filter_map(scored).collect();
    let claim = |finding| {
        let as_of = said(finding, "as_of")?.parse().ok()?;
        let (bundle, features) = (said(finding, "bundle_sha256")?, said(finding, "features_sha256")?);
        Some(Claim { bundle, entry, as_of, features, scores: scores.clone() })
    };
    decision.findings.iter().filter_map(claim).collect()
}

/// The bundles of these hashes: those at work, and those that were at work with a model that is kept.
fn bundles(
    lives: &Lives,
    wanted: &BTreeSet<String>,
    models: impl Iterator<Item = Vec<u8>>,
) -> BTreeMap<String, Arc<Bundle>> {
    let mut known: BTreeMap<String, Arc<Bundle>> = lives
        .iter()
        .map(|(_, live)| (hex::encode(live.bundle().hash()), Arc::clone(live.bundle())))
        .collect();
    for model in models {
        if wanted.iter().all(|hash| known.contains_key(hash)) {
            break;
        }
        for (_, live) in lives.iter() {
            // A model of another pack is none of this bundle's.
            let Ok(Some(bundle)) = live.bundle().with_model(&model) else { continue };
            let hash = hex::encode(bundle.hash());
            if wanted.contains(&hash) {
                known.entry(hash).or_insert_with(|| Arc::new(bundle));
            }
        }
    }
    known
}

impl Ground {
    /// Computes decisions again, with `models` as they are kept. `progress` is told entries done and in all.
    ///
    /// # Errors
    /// [`Failure`] when the journal cannot be read.
    pub fn recompute(
        &self,
        models: impl Iterator<Item = Vec<u8>>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Recomputed, Failure> {
        let io = |error: &dyn std::fmt::Display| Failure::new(Exit::Io, error.to_string());
        let lives = self.lives();
        let total = self.journal.size();
        let mut recomputed = Recomputed::default();
        let mut found: VecDeque<(Claim, Arc<Decision>)> = VecDeque::new();
        let mut reader = self.journal.reader(0);
        let mut payload = Vec::new();
        while reader.position() < total {
            let entry = reader.position();
            let Some(next) = reader.next_ref() else { break };
            let next = next.map_err(|error| io(&error))?;
            if next.kind != Kind::Decision {
                continue;
            }
            let is_readable =
                self.journal.open_payload_into(&next, &mut payload).map_err(|error| io(&error))?;
            if !is_readable {
                continue;
            }
            let decision = Arc::new(record::decode_decision(&payload).map_err(|error| io(&error))?);
            let claims = claims(entry, &decision);
            recomputed.by_others += u64::from(claims.is_empty());
            for claim in claims {
                if found.len() == DECISIONS_MAX {
                    found.pop_front();
                    recomputed.left_out += 1;
                }
                found.push_back((claim, Arc::clone(&decision)));
            }
        }
        let mut found = Vec::from(found);
        found.sort_by_key(|(claim, _)| claim.as_of);
        let wanted = found.iter().map(|(claim, _)| claim.bundle.clone()).collect();
        let known = bundles(&lives, &wanted, models);
        // A decision counts once, whichever of its bundles is missing.
        let missing = found.iter().filter(|(claim, _)| !known.contains_key(&claim.bundle));
        let missing: BTreeSet<u64> = missing.map(|(claim, _)| claim.entry).collect();
        let told_of: BTreeSet<u64> = found
            .iter()
            .filter(|(claim, _)| known.contains_key(&claim.bundle))
            .map(|(claim, _)| claim.entry)
            .collect();
        recomputed.by_others += missing.difference(&told_of).count() as u64;

        let fraud = Fraud::new(self.fraud_config.clone()).map_err(|error| io(&error))?;
        let customers = Arc::new(Customers::new(self.customers_config.clone()));
        let all: Vec<Arc<Bundle>> = known.into_values().collect();
        let fresh = Lives::of(&all)?;
        let mut fold = Fold::new(
            &self.journal,
            Keys::scratch(),
            Arc::new(fraud),
            Arc::default(),
            customers,
            fresh.clone(),
        );
        for (claim, decision) in found {
            let live = fresh.iter().find(|(_, live)| hex::encode(live.bundle().hash()) == claim.bundle);
            let Some((_, live)) = live else { continue };
            fold.catch_up(&self.journal, claim.as_of).map_err(|error| io(&error))?;
            progress(fold.applied(), total);
            let own = live.bundle().model().map(|(_, sha256)| hex::encode(sha256));
            let claimed = claim.scores.into_iter().find(|(model, _)| Some(model) == own.as_ref());
            let claimed = claimed.map(|(_, score)| score);
            let (scores, features) = live.scores_of(&decision.request);
            let score = scores.model.and_then(Ppm::of).map(|ppm| ppm.get().to_string());
            recomputed.compared += 1;
            if hex::encode(features) != claim.features || score != claimed {
                recomputed.different += 1;
                if recomputed.told.len() < TOLD_MAX {
                    recomputed.told.push(format!(
                        "entry {}: features {} with score {:?} were journalled, {} with {:?} come out",
                        claim.entry,
                        claim.features,
                        claimed,
                        hex::encode(features),
                        score
                    ));
                }
            }
        }
        recomputed.erased = fold.erased();
        Ok(recomputed)
    }
}
