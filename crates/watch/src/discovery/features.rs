//! What a window looks like in numbers.
//!
//! Every feature is a property of the window alone and in units that do not drift with the price of a coin's gas or the
//! date: seconds, whole coins, gas units, counts and ratios. NaN where the window has nothing to measure (the gap
//! between outgoing payments when there is none), which the model treats as a value of its own.

use super::{Direction, PEERS_MAX, Step, Window};

/// Method of the token call `transfer(address,uint256)`.
const TRANSFER: u32 = 0xa905_9cbb;
/// Method of the token call `approve(address,uint256)`.
const APPROVE: u32 = 0x095e_a7b3;

macro_rules! features {
    ($($name:literal, $meaning:literal;)*) => {
        /// Name and meaning of every feature, in order.
        pub const FEATURES: &[(&str, &str)] = &[$(($name, $meaning)),*];
    };
}

features! {
    "transactions", "transactions";
    "inbound", "transactions that came in";
    "outbound", "transactions that went out";
    "span", "seconds from the first to the last transaction";
    "gap_min", "shortest time between transactions, seconds";
    "gap_max", "longest time between transactions, seconds";
    "gap_mean", "mean time between transactions, seconds";
    "gap_median", "median time between transactions, seconds";
    "gap_first", "time between the first two transactions, seconds";
    "gap_last", "time between the last two transactions, seconds";
    "in_gap_min", "shortest time between inbound transactions, seconds";
    "in_gap_max", "longest time between inbound transactions, seconds";
    "in_gap_median", "median time between inbound transactions, seconds";
    "out_gap_min", "shortest time between outbound transactions, seconds";
    "out_gap_max", "longest time between outbound transactions, seconds";
    "dwell_min", "shortest time from an inbound to an outbound transaction, seconds";
    "dwell_first", "time from the first inbound to the next outbound transaction, seconds";
    "in_min", "smallest inbound amount, coins";
    "in_max", "largest inbound amount, coins";
    "in_mean", "mean inbound amount, coins";
    "in_median", "median inbound amount, coins";
    "in_first", "first inbound amount, coins";
    "in_last", "last inbound amount, coins";
    "in_sum", "inbound in all, coins";
    "in_min_positive", "smallest inbound amount above zero, coins";
    "in_spread", "standard deviation over mean of inbound amounts";
    "in_largest_share", "share of the largest inbound amount in all inbound";
    "in_distinct_share", "share of different inbound amounts among all";
    "in_zero", "inbound transactions without value";
    "out_min", "smallest outbound amount, coins";
    "out_max", "largest outbound amount, coins";
    "out_mean", "mean outbound amount, coins";
    "out_median", "median outbound amount, coins";
    "out_sum", "outbound in all, coins";
    "out_zero", "outbound transactions without value";
    "drained", "outbound over inbound";
    "balance_last", "inbound less outbound, coins";
    "balance_min", "lowest point of inbound less outbound, coins";
    "largest_drain", "largest share of the balance one transaction took";
    "in_digits_min", "fewest significant digits of an inbound amount";
    "in_digits_max", "most significant digits of an inbound amount";
    "in_digits_mean", "mean significant digits of inbound amounts";
    "in_digits_median", "median significant digits of inbound amounts";
    "out_digits_min", "fewest significant digits of an outbound amount";
    "out_digits_max", "most significant digits of an outbound amount";
    "out_digits_mean", "mean significant digits of outbound amounts";
    "senders", "different senders";
    "recipients", "different recipients";
    "both_ways", "addresses that are sender and recipient";
    "counterparties", "different addresses dealt with";
    "senders_per_inbound", "different senders per inbound transaction";
    "recipients_per_outbound", "different recipients per outbound transaction";
    "in_gas_min", "least gas of an inbound transaction";
    "in_gas_max", "most gas of an inbound transaction";
    "in_gas_mean", "mean gas of inbound transactions";
    "in_gas_median", "median gas of inbound transactions";
    "out_gas_min", "least gas of an outbound transaction";
    "out_gas_max", "most gas of an outbound transaction";
    "out_gas_mean", "mean gas of outbound transactions";
    "out_gas_median", "median gas of outbound transactions";
    "in_failed", "inbound transactions that were reverted";
    "out_failed", "outbound transactions that were reverted";
    "in_calls", "inbound transactions with input";
    "out_calls", "outbound transactions with input";
    "in_input_max", "longest input of an inbound transaction, bytes";
    "in_input_mean", "mean input of inbound transactions, bytes";
    "out_input_max", "longest input of an outbound transaction, bytes";
    "out_input_mean", "mean input of outbound transactions, bytes";
    "in_methods", "different methods called by inbound transactions";
    "out_methods", "different methods called by outbound transactions";
    "out_transfers", "outbound calls that transfer a token";
    "out_approvals", "outbound calls that approve a token";
    "begins_out", "whether the first transaction went out";
    "ends_out", "whether the last transaction went out";
    "token_in", "token transfers that came in";
    "token_out", "token transfers that went out";
    "tokens", "different tokens";
    "tokens_in", "different tokens that came in";
    "token_senders", "different senders of tokens";
    "sender_transactions_first", "transactions seen of the first sender before, at most 32";
    "sender_transactions_min", "fewest transactions seen of a sender before, at most 32";
    "sender_transactions_max", "most transactions seen of a sender before, at most 32";
    "sender_counterparties_first", "others the first sender had dealt with, at most 32";
    "sender_counterparties_min", "fewest others a sender had dealt with, at most 32";
    "sender_counterparties_max", "most others a sender had dealt with, at most 32";
    "sender_receives_first", "received over sent transactions of the first sender before";
    "sender_receives_min", "least received over sent transactions of a sender before";
    "sender_receives_max", "most received over sent transactions of a sender before";
    "sender_spends_first", "share of what the first sender held that it sent";
    "sender_spends_min", "least share of what a sender held that it sent";
    "sender_spends_max", "largest share of what a sender held that it sent";
    "senders_unknown", "inbound transactions from senders nobody else had dealt with";
    "recipient_transactions_min", "fewest transactions seen of a recipient before, at most 32";
    "recipient_transactions_max", "most transactions seen of a recipient before, at most 32";
    "recipient_counterparties_min", "fewest others a recipient had dealt with, at most 32";
    "recipient_counterparties_max", "most others a recipient had dealt with, at most 32";
    "recipient_receives_min", "least received over sent transactions of a recipient before";
    "recipient_receives_max", "most received over sent transactions of a recipient before";
    "recipients_unknown", "outbound transactions to recipients nobody else had dealt with";
    "senders_marked", "inbound transactions from addresses known to be malicious";
    "sender_tainted_max", "largest share of a sender's receipts that came from addresses known to be malicious";
    "recipients_marked", "outbound transactions to addresses known to be malicious";
    "recipient_tainted_max", "largest share of a recipient's receipts that came from addresses known to be malicious";
}

/// The names of the features, in order.
#[must_use]
pub fn feature_names() -> Vec<&'static str> {
    FEATURES.iter().map(|(name, _)| *name).collect()
}

/// The features of a window, in the order of [`FEATURES`]. Infinite amounts read as unknown.
#[must_use]
pub fn features(window: &Window) -> Vec<f32> {
    let steps = window.steps();
    let ins: Vec<&Step> = steps.iter().filter(|step| step.direction == Direction::In).collect();
    let outs: Vec<&Step> = steps.iter().filter(|step| step.direction == Direction::Out).collect();
    let moved = |steps: &[&Step]| -> Vec<f64> {
        steps.iter().filter(|step| !step.failed).map(|step| step.coins).collect()
    };
    let of = |steps: &[&Step], what: fn(&Step) -> f64| -> Vec<f64> {
        steps.iter().map(|step| what(step)).collect()
    };

    let gaps = Summary::of(gaps(steps.iter()));
    let in_gaps = Summary::of(self::gaps(ins.iter().copied()));
    let out_gaps = Summary::of(self::gaps(outs.iter().copied()));
    let dwell = dwell(steps);
    let (in_amounts, out_amounts) = (moved(&ins), moved(&outs));
    let (in_coins, out_coins) = (Summary::of(in_amounts.clone()), Summary::of(out_amounts.clone()));
    let positive = in_amounts.iter().copied().filter(|amount| *amount > 0.0);
    let in_digits = Summary::of(of(&ins, |step| f64::from(step.digits)));
    let out_digits = Summary::of(of(&outs, |step| f64::from(step.digits)));
    let in_gas = Summary::of(of(&ins, |step| rounded(step.gas_used)));
    let out_gas = Summary::of(of(&outs, |step| rounded(step.gas_used)));
    let in_input = Summary::of(of(&ins, |step| rounded(step.input_bytes)));
    let out_input = Summary::of(of(&outs, |step| rounded(step.input_bytes)));
    let balance = Balance::of(steps);
    let senders = distinct(ins.iter().map(|step| step.other));
    let recipients = distinct(outs.iter().map(|step| step.other));
    let both = senders.iter().filter(|sender| recipients.contains(sender)).count();
    let count =
        |steps: &[&Step], what: fn(&Step) -> bool| counted(steps.iter().filter(|step| what(step)).count());
    let methods = |steps: &[&Step]| counted(distinct(steps.iter().filter_map(|step| step.method)).len());
    let tokens = window.tokens();
    let token_ins = || tokens.iter().filter(|token| token.direction == Direction::In);
    let (senders_seen, recipients_seen) = (Peers::of(&ins), Peers::of(&outs));
    let goes_out = |step: Option<&Step>| {
        step.map_or(f64::NAN, |step| f64::from(u8::from(step.direction == Direction::Out)))
    };

    let row = [
        counted(steps.len()),
        counted(ins.len()),
        counted(outs.len()),
        gaps.sum,
        gaps.min,
        gaps.max,
        gaps.mean,
        gaps.median,
        gaps.first,
        gaps.last,
        in_gaps.min,
        in_gaps.max,
        in_gaps.median,
        out_gaps.min,
        out_gaps.max,
        dwell.min,
        dwell.first,
        in_coins.min,
        in_coins.max,
        in_coins.mean,
        in_coins.median,
        in_coins.first,
        in_coins.last,
        in_coins.sum,
        Summary::of(positive.collect()).min,
        ratio(in_coins.deviation, in_coins.mean),
        ratio(in_coins.max, in_coins.sum),
        ratio(
            counted(distinct(in_amounts.iter().map(|amount| amount.to_bits())).len()),
            counted(in_amounts.len()),
        ),
        counted(in_amounts.iter().filter(|amount| **amount == 0.0).count()),
        out_coins.min,
        out_coins.max,
        out_coins.mean,
        out_coins.median,
        out_coins.sum,
        counted(out_amounts.iter().filter(|amount| **amount == 0.0).count()),
        ratio(out_coins.sum, in_coins.sum),
        balance.last,
        balance.min,
        balance.largest_drain,
        in_digits.min,
        in_digits.max,
        in_digits.mean,
        in_digits.median,
        out_digits.min,
        out_digits.max,
        out_digits.mean,
        counted(senders.len()),
        counted(recipients.len()),
        counted(both),
        counted(senders.len() + recipients.len() - both),
        ratio(counted(senders.len()), counted(ins.len())),
        ratio(counted(recipients.len()), counted(outs.len())),
        in_gas.min,
        in_gas.max,
        in_gas.mean,
        in_gas.median,
        out_gas.min,
        out_gas.max,
        out_gas.mean,
        out_gas.median,
        count(&ins, |step| step.failed),
        count(&outs, |step| step.failed),
        count(&ins, |step| step.input_bytes > 0),
        count(&outs, |step| step.input_bytes > 0),
        in_input.max,
        in_input.mean,
        out_input.max,
        out_input.mean,
        methods(&ins),
        methods(&outs),
        count(&outs, |step| step.method == Some(TRANSFER)),
        count(&outs, |step| step.method == Some(APPROVE)),
        goes_out(steps.first()),
        goes_out(steps.last()),
        counted(token_ins().count()),
        counted(tokens.iter().filter(|token| token.direction == Direction::Out).count()),
        counted(distinct(tokens.iter().map(|token| token.token)).len()),
        counted(distinct(token_ins().map(|token| token.token)).len()),
        counted(distinct(token_ins().map(|token| token.other)).len()),
        senders_seen.transactions.first,
        senders_seen.transactions.min,
        senders_seen.transactions.max,
        senders_seen.counterparties.first,
        senders_seen.counterparties.min,
        senders_seen.counterparties.max,
        senders_seen.receives.first,
        senders_seen.receives.min,
        senders_seen.receives.max,
        senders_seen.spends.first,
        senders_seen.spends.min,
        senders_seen.spends.max,
        senders_seen.unknown,
        recipients_seen.transactions.min,
        recipients_seen.transactions.max,
        recipients_seen.counterparties.min,
        recipients_seen.counterparties.max,
        recipients_seen.receives.min,
        recipients_seen.receives.max,
        recipients_seen.unknown,
        senders_seen.marked,
        senders_seen.tainted.max,
        recipients_seen.marked,
        recipients_seen.tainted.max,
    ];
    row.into_iter()
        .map(|value| {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "models take single precision; infinite becomes unknown"
            )]
            let value = value as f32;
            if value.is_finite() { value } else { f32::NAN }
        })
        .collect()
}

/// Order statistics and sums of a list; all NaN but the sum for an empty one.
struct Summary {
    first: f64,
    last: f64,
    min: f64,
    max: f64,
    mean: f64,
    median: f64,
    deviation: f64,
    sum: f64,
}

impl Summary {
    fn of(mut values: Vec<f64>) -> Self {
        let nan = f64::NAN;
        let (Some(first), Some(last)) = (values.first().copied(), values.last().copied()) else {
            return Self {
                first: nan,
                last: nan,
                min: nan,
                max: nan,
                mean: nan,
                median: nan,
                deviation: nan,
                sum: 0.0,
            };
        };
        let sum: f64 = values.iter().sum();
        let mean = sum / counted(values.len());
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let at = |at: usize| values.get(at).copied().unwrap_or(nan);
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(at(middle - 1), at(middle))
        } else {
            at(middle)
        };
        Self {
            first,
            last,
            min: at(0),
            max: at(values.len() - 1),
            mean,
            median,
            deviation: (squares / counted(values.len())).sqrt(),
            sum,
        }
    }
}

/// Seconds between neighbours.
fn gaps<'s>(steps: impl Iterator<Item = &'s Step>) -> Vec<f64> {
    let times: Vec<u64> = steps.map(|step| step.at.as_secs()).collect();
    times
        .windows(2)
        .map(|pair| rounded(pair.get(1).unwrap_or(&0).saturating_sub(*pair.first().unwrap_or(&0))))
        .collect()
}

/// Seconds from each inbound transaction to the outbound ones that follow before the next inbound one.
fn dwell(steps: &[Step]) -> Summary {
    let mut came = None;
    let mut times = Vec::new();
    for step in steps {
        match (step.direction, came) {
            (Direction::In, _) => came = Some(step.at),
            (Direction::Out, Some(came)) => times.push(step.at.since(came).as_secs_f64()),
            (Direction::Out, None) => {}
        }
    }
    Summary::of(times)
}

/// Inbound less outbound over the window, which begins at nothing.
struct Balance {
    last: f64,
    min: f64,
    largest_drain: f64,
}

impl Balance {
    fn of(steps: &[Step]) -> Self {
        let mut balance = Self { last: 0.0, min: 0.0, largest_drain: f64::NAN };
        for step in steps.iter().filter(|step| !step.failed) {
            match step.direction {
                Direction::In => balance.last += step.coins,
                Direction::Out => {
                    if balance.last > 0.0 {
                        balance.largest_drain = balance.largest_drain.max(step.coins / balance.last);
                    }
                    balance.last -= step.coins;
                }
            }
            balance.min = balance.min.min(balance.last);
        }
        balance
    }
}

/// What had been seen of the other sides.
struct Peers {
    transactions: Summary,
    counterparties: Summary,
    receives: Summary,
    spends: Summary,
    tainted: Summary,
    unknown: f64,
    marked: f64,
}

impl Peers {
    fn of(steps: &[&Step]) -> Self {
        // Counts beyond the cap say how long the stream has been followed, not what the address is.
        let cap = counted(PEERS_MAX);
        let all = |what: fn(&Step) -> f64| Summary::of(steps.iter().map(|step| what(step)).collect());
        let transactions = steps.iter().map(|step| f64::from(step.peer.transactions).min(cap)).collect();
        let spends = steps.iter().filter(|step| !step.failed && step.peer.coins > 0.0);
        Self {
            transactions: Summary::of(transactions),
            counterparties: all(|step| f64::from(step.peer.counterparties)),
            receives: all(|step| f64::from(step.peer.received) / (f64::from(step.peer.sent) + 1.0)),
            spends: Summary::of(spends.map(|step| step.coins / step.peer.coins).collect()),
            tainted: all(|step| step.peer.tainted),
            marked: counted(steps.iter().filter(|step| step.peer.marked).count()),
            unknown: counted(steps.iter().filter(|step| step.peer.counterparties == 0).count()),
        }
    }
}

fn distinct<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items.dedup();
    items
}

fn ratio(one: f64, other: f64) -> f64 {
    if other > 0.0 { one / other } else { f64::NAN }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a window are small")]
const fn counted(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 the last digits mean nothing")]
const fn rounded(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use domain::UnixNanos;
    use proptest::prelude::*;

    use super::*;
    use crate::discovery::Peer;

    fn named(row: &[f32], name: &str) -> f32 {
        row[FEATURES.iter().position(|(other, _)| *other == name).unwrap()]
    }

    fn step(at: u64, direction: Direction, other: u32, coins: f64) -> Step {
        Step {
            at: UnixNanos::from_secs(at),
            direction,
            other,
            coins,
            digits: 1,
            gas_used: 21_000,
            failed: false,
            input_bytes: 0,
            method: None,
            peer: Peer::default(),
        }
    }

    #[test]
    fn a_window_in_numbers() {
        let mut window = Window::default();
        for step in [
            step(100, Direction::In, 1, 2.0),
            Step {
                peer: Peer {
                    transactions: 40,
                    received: 30,
                    sent: 9,
                    counterparties: 3,
                    coins: 16.0,
                    marked: true,
                    tainted: 1.0,
                },
                ..step(160, Direction::In, 2, 4.0)
            },
            step(170, Direction::Out, 9, 3.0),
            Step { failed: true, ..step(180, Direction::Out, 1, 50.0) },
        ] {
            assert!(window.push(step));
        }
        let row = features(&window);
        assert_eq!(row.len(), FEATURES.len());
        for (name, expected) in [
            ("transactions", 4.0),
            ("span", 80.0),
            ("gap_min", 10.0),
            ("gap_median", 10.0),
            ("in_gap_min", 60.0),
            ("dwell_first", 10.0),
            ("in_sum", 6.0),
            ("in_spread", 1.0 / 3.0),
            ("drained", 0.5),
            ("balance_last", 3.0),
            ("balance_min", 0.0),
            ("largest_drain", 0.5),
            ("senders", 2.0),
            ("both_ways", 1.0),
            ("counterparties", 3.0),
            ("out_failed", 1.0),
            ("begins_out", 0.0),
            ("ends_out", 1.0),
            ("sender_transactions_first", 0.0),
            ("sender_transactions_max", 32.0),
            ("sender_counterparties_min", 0.0),
            ("sender_receives_max", 3.0),
            ("sender_spends_first", 0.25),
            ("senders_unknown", 1.0),
            ("recipients_unknown", 2.0),
            ("senders_marked", 1.0),
            ("sender_tainted_max", 1.0),
            ("recipient_tainted_max", 0.0),
        ] {
            assert!((named(&row, name) - expected).abs() < 1e-6, "{name}: {}", named(&row, name));
        }
        assert!(named(&row, "out_gap_min") > 0.0 && features(&Window::default())[3].abs() < 1e-9);
    }

    #[test]
    fn names_are_unique() {
        assert_eq!(distinct(FEATURES.iter().map(|(name, _)| *name)).len(), FEATURES.len());
    }

    proptest! {
        /// Whatever happens in a window, its features are numbers or unknown, never infinite.
        #[test]
        fn never_infinite(steps in proptest::collection::vec((0_u64..9, any::<bool>(), 0_u32..4, any::<f64>(), any::<bool>()), 0..30)) {
            let mut window = Window::default();
            for (at, out, other, coins, failed) in steps {
                let direction = if out { Direction::Out } else { Direction::In };
                window.push(Step { failed, ..step(at, direction, other, coins) });
            }
            prop_assert!(features(&window).iter().all(|value| !value.is_infinite()));
        }
    }
}
