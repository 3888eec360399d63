//! Training a model on the windows that may be trained on.

use crypto::Sha256;
use domain::UnixNanos;
use scoring::{
    gbdt::{self, Params, TrainError},
    matrix::{FeatureNames, Matrix},
    model::{
        Model,
        card::{ModelCard, Training},
        file::ModelFile,
    },
    tree::{Node, Tree},
};

use super::{Collected, Sample, Split};
use crate::discovery::{FEATURES, THRESHOLD, TRANSACTIONS, feature_names};

/// Who has a model trained, and when.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Who or what.
    pub created_by: String,
    /// When.
    pub created_at: UnixNanos,
}

/// Where the model must not be trusted.
const LIMITS: &str = "Trained on windows of benign and illicit accounts from the same quarters, without the price of gas, the \
    date or the age of the account: a model that sees those tells epochs apart, not behaviour (in the best-known table of \
    illicit Ethereum accounts nearly every benign account is years older than the illicit ones). Benign windows begin in \
    the middle of an account's life, illicit ones at its beginning, so part of what is told apart is being new: beginnings of \
    benign lives are trained on beside them where the table of accounts is given; see their rate of false alarms told apart. \
    What had been seen of the other sides counts the recording: a model of chosen accounts does not fit a whole chain, nor \
    the reverse. The order of scores counts what an account may still receive, so a small fraud ranks below a large one \
    that is as sure. How much value is saved depends on a few accounts that hold nearly all of it: look at the capped \
    figure and at several rates. Scores drift with time: look at the figures per quarter and train anew. A score is a \
    suspicion, never proof.";

/// How one member of a model is trained.
fn params(seed: u64) -> Params {
    Params { trees: 200, depth: 6, rate: 0.1, lambda: 2.0, column_share: 0.5, seed, ..Params::default() }
}

/// How one member of the stake is trained: what an account will still receive is known far less exactly than what it is.
fn stake_params(seed: u64) -> Params {
    Params {
        trees: 80,
        depth: 3,
        rate: 0.05,
        lambda: 10.0,
        min_hessian: 10.0,
        column_share: 0.5,
        seed,
        ..Params::default()
    }
}

/// Models whose mean serves. Each is trained without the windows of one in as many accounts, so that no single account decides a
/// score at the far end, where the rate of false alarms is one in a thousand.
const MEMBERS: u32 = 4;

/// Coins still to come to one account beyond this do not count in training: otherwise the stake would be about the few largest.
const STAKE_MAX: f64 = 1_000.0;
/// Share of the mean stake that an account counts with to which nothing will come.
const STAKE_MIN_SHARE: f64 = 0.01;

/// Weight of all windows of benign accounts that begin a life, in parts of that of all other benign windows.
const NEW_WEIGHT: f64 = 0.3;

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// The model that serves, asked after each transaction: the logarithm of the odds that an account is illicit, plus that of what
    /// it can be expected to receive still, relative to the mean. For a given number of false alarms, no other order saves
    /// more value if both are right (Neyman and Pearson 1933, with the value as the measure of what is found).
    Serve,
    /// Whether a whole window is illicit, as the protocol judges it.
    Whole,
}

/// What only tells windows that begin in the middle of a life from those that begin one. Where the model serves, every window
/// begins a life, and a model that leans on these is blind there.
const MIDDLE_OF_LIFE: [&str; 2] = ["balance_min", "begins_out"];

/// What lists tell, which the protocol does not let a model see.
const LISTS: [&str; 4] =
    ["senders_marked", "sender_tainted_max", "recipients_marked", "recipient_tainted_max"];

/// Takes out of a row what a model must not see.
fn hide(row: &mut [f32], aim: Aim) {
    let hidden: &[&str] = match aim {
        Aim::Serve => &MIDDLE_OF_LIFE,
        Aim::Whole => &LISTS,
    };
    for (value, (name, _)) in row.iter_mut().zip(FEATURES) {
        if hidden.contains(name) {
            *value = f32::NAN;
        }
    }
}

/// Rows to train on.
struct Rows {
    matrix: Matrix,
    labels: Vec<bool>,
    weights: Vec<f64>,
    /// Coins that will still come, as known when training.
    stakes: Vec<f64>,
    /// Number of the account among those trained on.
    accounts: Vec<u32>,
}

impl Rows {
    /// Of the windows that `wanted` agrees to, as far as they had happened `before`. One row after each transaction, those
    /// before the last of a window weigh, together, half of the last; or the last row only.
    fn of(collected: &Collected, aim: Aim, before: UnixNanos, wanted: impl Fn(&Sample) -> bool) -> Self {
        let names = FeatureNames::new(feature_names()).expect("the names of features are unique");
        let mut rows = Self {
            matrix: Matrix::new(names),
            labels: Vec::new(),
            weights: Vec::new(),
            stakes: Vec::new(),
            accounts: Vec::new(),
        };
        for (place, sample) in collected.samples.iter().enumerate() {
            if !wanted(sample) {
                continue;
            }
            let happened = sample.times.partition_point(|time| *time < before);
            let Some(last) = happened.checked_sub(1) else { continue };
            let inflow = collected.inflow_before(place, before);
            let from = if aim == Aim::Whole { last } else { 0 };
            for (at, row) in sample.rows.iter().enumerate().take(happened).skip(from) {
                let mut row = row.clone();
                hide(&mut row, aim);
                // Features are never infinite; where a matrix is full, the windows taken so far are trained on.
                if rows.matrix.push(&row).is_err() {
                    return rows;
                }
                rows.labels.push(sample.illicit);
                #[expect(clippy::cast_precision_loss, reason = "windows are short")]
                rows.weights.push(if at == last { 1.0 } else { 0.5 / last as f64 });
                let had = sample.inflow.get(at).copied().unwrap_or(inflow);
                rows.stakes.push((inflow - had).clamp(0.0, STAKE_MAX));
                rows.accounts.push(sample.account.0);
            }
        }
        rows
    }

    /// Adds rows whose weights are scaled to a sum.
    fn append(&mut self, others: &Self, weight: f64) {
        let scale = weight / others.weights.iter().sum::<f64>();
        for (at, row) in others.matrix.rows().enumerate() {
            if self.matrix.push(row).is_err() {
                return;
            }
            self.labels.push(others.labels.get(at).copied().unwrap_or(false));
            self.weights.push(others.weights.get(at).map_or(0.0, |weight| weight * scale));
            self.stakes.push(others.stakes.get(at).copied().unwrap_or(0.0));
            self.accounts.push(others.accounts.get(at).copied().unwrap_or(0));
        }
    }

    /// The weights without the accounts that `member` is not trained on.
    fn weights_of(&self, member: u32) -> Vec<f32> {
        #[expect(clippy::cast_possible_truncation, reason = "weights are near one")]
        let weight = |(weight, account): (&f64, &u32)| {
            if account % MEMBERS == member { 0.0 } else { *weight as f32 }
        };
        self.weights.iter().zip(&self.accounts).map(weight).collect()
    }

    /// Rows that tell how much is still to come to an illicit account: each is there twice, as a yes that weighs what is to
    /// come in parts of the mean, and as a no that weighs one. The logit then is the logarithm of the expected part.
    /// `None` where nothing is to come to any.
    fn stake(&self) -> Option<Self> {
        let illicit = |at: &usize| self.labels.get(*at).copied().unwrap_or(false);
        let rows: Vec<usize> = (0..self.labels.len()).filter(illicit).collect();
        let value = |values: &[f64], at: usize| values.get(at).copied().unwrap_or(0.0);
        let weight: f64 = rows.iter().map(|at| value(&self.weights, *at)).sum();
        let sum: f64 = rows.iter().map(|at| value(&self.weights, *at) * value(&self.stakes, *at)).sum();
        let mean = sum / weight;
        if !(mean.is_finite() && mean > 0.0) {
            return None;
        }
        let mut stake = Self {
            matrix: Matrix::new(self.matrix.names().clone()),
            labels: Vec::new(),
            weights: Vec::new(),
            stakes: Vec::new(),
            accounts: Vec::new(),
        };
        for (at, row) in self.matrix.rows().enumerate().filter(|(at, _)| illicit(at)) {
            let part = (value(&self.stakes, at) / mean + STAKE_MIN_SHARE) / (1.0 + STAKE_MIN_SHARE);
            for (label, part) in [(true, part), (false, 1.0)] {
                if stake.matrix.push(row).is_err() {
                    return Some(stake);
                }
                stake.labels.push(label);
                stake.weights.push(value(&self.weights, at) * part);
                stake.stakes.push(0.0);
                stake.accounts.push(self.accounts.get(at).copied().unwrap_or(0));
            }
        }
        Some(stake)
    }

    /// The trees of all members, their leaves divided by how many there are.
    fn train(&self, params: fn(u64) -> Params, trees: &mut Vec<Tree>) -> Result<(), TrainError> {
        for member in 0..MEMBERS {
            let weights = self.weights_of(member);
            let params = params(u64::from(member) + 1);
            let model = gbdt::train(&self.matrix, &self.labels, Some(&weights), None, &params)?;
            for tree in model.trees() {
                let nodes = tree.nodes().iter().map(|node| match *node {
                    Node::Leaf { value, cover } => Node::Leaf { value: value / MEMBERS_F32, cover },
                    split => split,
                });
                // The same tree with smaller leaves.
                let tree = Tree::new(nodes.collect(), self.matrix.n_features());
                trees.extend(tree.ok());
            }
        }
        Ok(())
    }
}

/// [`MEMBERS`] as a divisor.
#[expect(clippy::cast_precision_loss, reason = "a small number")]
const MEMBERS_F32: f32 = MEMBERS as f32;

/// What the model that serves is trained on.
fn serving_rows(collected: &Collected, before: UnixNanos, wanted: impl Fn(&Sample) -> bool) -> Rows {
    let mut rows = Rows::of(collected, Aim::Serve, before, wanted);
    let new = Rows::of(collected, Aim::Serve, before, |sample| sample.split == Split::NewTrain);
    let benign = rows.weights.iter().zip(&rows.labels).filter(|(_, illicit)| !**illicit);
    let benign: f64 = benign.map(|(weight, _)| weight).sum();
    rows.append(&new, benign * NEW_WEIGHT);
    rows
}

/// Trains on the windows of `collected` that `wanted` agrees to, with what had happened and was known `before`.
///
/// # Errors
/// [`TrainError`], also when there is nothing to train on.
pub(super) fn train(
    collected: &Collected,
    aim: Aim,
    before: UnixNanos,
    wanted: impl Fn(&Sample) -> bool,
) -> Result<Model, TrainError> {
    if aim == Aim::Whole {
        let rows = Rows::of(collected, aim, before, wanted);
        #[expect(clippy::cast_possible_truncation, reason = "weights are near one")]
        let weights: Vec<f32> = rows.weights.iter().map(|weight| *weight as f32).collect();
        return gbdt::train(&rows.matrix, &rows.labels, Some(&weights), None, &params(1));
    }
    let rows = serving_rows(collected, before, wanted);
    let mut trees = Vec::new();
    rows.train(params, &mut trees)?;
    if let Some(stake) = rows.stake() {
        stake.train(stake_params, &mut trees)?;
    }
    Ok(Model::new(rows.matrix.names().clone(), Params::default().base_logit, trees)?)
}

/// When the first of the samples that `judged` agrees to begins: what trains a model for them must have happened before.
pub(super) fn first_of(collected: &Collected, judged: impl Fn(&Sample) -> bool) -> UnixNanos {
    let began = collected.samples.iter().filter(|sample| judged(sample)).filter_map(Sample::began);
    began.min().unwrap_or(UnixNanos(u64::MAX))
}

/// Writes the threshold into a card.
pub(super) fn set_threshold(card: &mut ModelCard, threshold: f64) {
    for (name, value) in &mut card.params {
        if name == THRESHOLD {
            *value = threshold.to_string();
        }
    }
}

/// Trains on all training windows and writes the card; the threshold is the caller's to set.
///
/// # Errors
/// [`TrainError`].
pub fn learn(collected: &Collected, origin: &Origin) -> Result<ModelFile, TrainError> {
    let used = |sample: &Sample| sample.split == Split::Train;
    let before = first_of(collected, |sample| sample.split == Split::Validate);
    let model = train(collected, Aim::Serve, before, used)?;
    let rows = serving_rows(collected, before, used);
    let mut digest = Sha256::new();
    for (row, label) in rows.matrix.rows().zip(&rows.labels) {
        row.iter().for_each(|value| digest.update(&value.to_be_bytes()));
        digest.update(&[u8::from(*label)]);
    }
    let trained = |sample: &&Sample| matches!(sample.split, Split::Train | Split::NewTrain);
    let times = collected.samples.iter().filter(trained).flat_map(|sample| sample.times.iter().copied());
    let period = times.filter(|time| *time < before).fold(None, |period, time| match period {
        None => Some((time, time)),
        Some((began, ended)) => Some((time.min(began), time.max(ended))),
    });
    let mut described = params(1).describe();
    described.push(("members".to_owned(), MEMBERS.to_string()));
    described.push(("stake_trees".to_owned(), stake_params(1).trees.to_string()));
    described.push(("stake_coins_max".to_owned(), STAKE_MAX.to_string()));
    described.push(("new_benign_weight".to_owned(), NEW_WEIGHT.to_string()));
    described.push((TRANSACTIONS.to_owned(), collected.k.to_string()));
    described.push((THRESHOLD.to_owned(), "0".to_owned()));
    let card = ModelCard {
        name: "discovery".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        created_by: origin.created_by.clone(),
        created_at: origin.created_at,
        training: Training {
            rows: rows.labels.len() as u64,
            positives: rows.labels.iter().filter(|label| **label).count() as u64,
            period,
            data_hash: digest.finish(),
        },
        params: described,
        metrics: Vec::new(),
        limits: LIMITS.to_owned(),
    };
    Ok(ModelFile { model, calibration: None, card })
}

#[cfg(test)]
mod tests {
    use super::{
        super::collect::tests::{address, collected},
        *,
    };

    /// Illicit accounts 1 to 80, fed by one sender each: the first half at once in small coins and with nothing to come, the
    /// others with 50 coins first and 500 to come. Benign ones 81 to 160, which receive and pass on.
    fn recording() -> Collected {
        let mut payments = Vec::new();
        for account in 1..=160_u32 {
            let day = u64::from(account);
            let sender = 1_000 + account;
            match account {
                1..=40 => payments.extend([(day, sender, account, 1), (day + 1, sender, account, 1)]),
                41..=80 => payments.extend([
                    (day, sender, account, 50),
                    (day + 1, sender, account, 50),
                    (day + 100, sender, account, 500),
                ]),
                _ => payments.extend([(day, 999, account, 7), (day + 1, account, 999, 7)]),
            }
        }
        payments.sort_unstable();
        let windows: String =
            (1..=160).map(|n| format!("{},0,1,{},train\n", address(n), u32::from(n <= 80))).collect();
        collected(&payments, &windows, None, 2)
    }

    const LATE: UnixNanos = UnixNanos(u64::MAX);

    #[test]
    fn nothing_is_trained_on_that_had_not_happened() {
        let collected = recording();
        let before = UnixNanos::from_secs(70 * 86_400);
        let rows = Rows::of(&collected, Aim::Serve, before, |_| true);
        // 68 accounts with both transactions before day 70, one with its first.
        assert_eq!(rows.labels.len(), 2 * 68 + 1);
        assert!(rows.stakes.iter().all(|stake| *stake <= 50.0), "what came after is not known");
        let all = Rows::of(&collected, Aim::Serve, LATE, |_| true);
        assert_eq!(all.labels.len(), 320);
        assert!(all.stakes.iter().any(|stake| *stake > 500.0));
    }

    #[test]
    fn a_suspect_that_will_receive_more_ranks_higher() {
        let collected = recording();
        let model = train(&collected, Aim::Serve, LATE, |_| true).unwrap();
        let score = |sample: usize| model.logit(&collected.samples[sample].rows[0]);
        let (small, large, benign) = (score(9), score(59), score(119));
        assert!(large > small + 1.0, "{large} {small}");
        assert!(small > benign, "{small} {benign}");
        let rows = Rows::of(&collected, Aim::Serve, LATE, |_| true);
        let stake = rows.stake().unwrap();
        let sum = |label: bool| -> f64 {
            let weights = stake.weights.iter().zip(&stake.labels);
            weights.filter(|(_, other)| **other == label).map(|(weight, _)| weight).sum()
        };
        assert!((sum(true) - sum(false)).abs() < 1e-9 * sum(true), "the mean stake is a logit of 0");
    }

    #[test]
    fn without_value_to_come_there_is_no_stake() {
        let collected = collected(
            &[(1, 9, 1, 0), (2, 9, 2, 0)],
            &format!("{},0,0,1,train\n{},0,0,0,train\n", address(1), address(2)),
            None,
            1,
        );
        assert!(Rows::of(&collected, Aim::Serve, LATE, |_| true).stake().is_none());
    }

    #[test]
    fn the_protocol_sees_no_list() {
        let collected = recording();
        let rows = Rows::of(&collected, Aim::Whole, LATE, |_| true);
        let hidden = |name: &&str| FEATURES.iter().position(|(other, _)| other == name).unwrap();
        for row in rows.matrix.rows() {
            assert!(LISTS.iter().map(hidden).all(|at| row[at].is_nan()));
        }
        assert_eq!(rows.labels.len(), 160, "one row a window");
    }
}
