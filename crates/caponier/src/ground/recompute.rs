//! Decisions computed again from the journal: the same features and the same scores, bit for bit, or it is told.
//!
//! A decision says which bundle judged, as of how many entries, with which features. The journal is replayed through that
//! bundle, held at each such place, and asked again. Decisions by other bundles are counted and left alone.
//!
//! Bounds: [`DECISIONS_MAX`] decisions, the newest ones.

use std::{collections::VecDeque, sync::Arc};

use domain::{Decision, Finding, Ppm};
use fraud::Fraud;
use journal::{Kind, record};
use watch::customers::Customers;

use super::{
    Ground,
    fold::{Fold, Keys},
};
use crate::{
    bundles::{Lives, Place},
    exit::{Exit, Failure},
};

/// Decisions computed again at one time.
const DECISIONS_MAX: usize = 1 << 18;
/// Differences told.
const TOLD_MAX: usize = 20;

/// What a decision says of its computation.
#[derive(Debug)]
struct Claim {
    place: Place,
    entry: u64,
    as_of: u64,
    features: String,
    /// In millionths.
    score: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recomputed {
    /// Findings of the bundles at work that were computed again.
    pub compared: u64,
    /// Those that came out otherwise.
    pub different: u64,
    /// Decisions in which none of the bundles at work had a say.
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

/// What the bundles at work said in a decision.
fn claims(lives: &Lives, entry: u64, decision: &Decision) -> Vec<Claim> {
    let mut claims = Vec::new();
    for finding in &decision.findings {
        let said = |name: &str| evidence(finding, name);
        let (Some(bundle), Some(features), Some(as_of)) =
            (said("bundle_sha256"), said("features_sha256"), said("as_of"))
        else {
            continue;
        };
        let Ok(as_of) = as_of.parse() else { continue };
        let place = lives.iter().find(|(_, live)| hex::encode(live.bundle().hash()) == bundle);
        if let Some((place, live)) = place {
            // With two bundles at work their scores stand side by side, and only the own model's counts.
            let own = live.bundle().model().map(|(_, sha256)| hex::encode(sha256));
            let score = decision.findings.iter().find_map(|finding| {
                (own.is_some() && evidence(finding, "model_sha256") == own.as_deref())
                    .then(|| evidence(finding, "model_score").map(str::to_owned))
                    .flatten()
            });
            claims.push(Claim { place, entry, as_of, features: features.to_owned(), score });
        }
    }
    claims
}

impl Ground {
    /// Computes decisions again. `progress` is told entries done and in all.
    ///
    /// # Errors
    /// [`Failure`] when the journal cannot be read.
    pub fn recompute(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Recomputed, Failure> {
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
            let claims = claims(&lives, entry, &decision);
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

        let fraud = Fraud::new(self.fraud_config.clone()).map_err(|error| io(&error))?;
        let customers = Arc::new(Customers::new(self.customers_config.clone()));
        let fresh = lives.fresh()?;
        let mut fold = Fold::new(
            &self.journal,
            Keys::scratch(),
            Arc::new(fraud),
            Arc::default(),
            customers,
            fresh.clone(),
        );
        for (claim, decision) in found {
            fold.catch_up(&self.journal, claim.as_of).map_err(|error| io(&error))?;
            progress(fold.applied(), total);
            let Some(live) = fresh.at(claim.place) else { continue };
            let (scores, features) = live.scores_of(&decision.request);
            let score = scores.model.and_then(Ppm::of).map(|ppm| ppm.get().to_string());
            recomputed.compared += 1;
            if hex::encode(features) != claim.features || score != claim.score {
                recomputed.different += 1;
                if recomputed.told.len() < TOLD_MAX {
                    recomputed.told.push(format!(
                        "entry {}: features {} with score {:?} were journalled, {} with {:?} come out",
                        claim.entry,
                        claim.features,
                        claim.score,
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
