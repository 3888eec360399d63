//! Scenarios: what honest customers and criminals do at an exchange over weeks, as a stream of events and withdrawal
//! requests with the truth beside it. Everything follows from the seed.
//!
//! Honest customers are not plain: families share devices and addresses of the home, some hide behind VPN exits that
//! criminals use too, some travel, change phones, forget passwords, move to a wallet of their own, run bots, trade with
//! strangers, pass money on within the hour. Each kind of fraud comes in several variants, and how common everything is
//! differs from seed to seed, so that what was tuned on one must hold on another.
//!
//! It is not data about real fraud, and no figure measured on it says how much real fraud would be found. Nothing here
//! reacts: a theft goes on as if nobody looked, so that whatever judges the stream is judged on all of it.
//!
//! Labels come late, some never: they are part of the story ([`Story::labels`]), with the time each arrives.
//!
//! Bounds: [`ACCOUNTS_MAX`], [`DAYS_MAX`]. Arithmetic is in integers, so a seed tells the same story on every machine.

mod api_key;
mod bonus;
mod honest;
mod mule;
mod person;
mod scam;
mod stage;
mod structuring;
mod takeover;
mod world;
mod write;

use domain::{AccountId, Event, UnixNanos, WithdrawalRequest};

pub use self::write::{RECORDING_FIELDS, mapping, write_events, write_recording, write_truth};
use self::{stage::Stage, world::World};
use crate::random::SplitMix64;

/// Honest customers of one story, at most.
pub const ACCOUNTS_MAX: usize = 200_000;
/// Days of one story, at most.
pub const DAYS_MAX: u32 = 366;
/// Days at the start without fraud, in which habits show.
pub const QUIET_DAYS: u32 = 14;

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// Honest customers; criminals bring accounts of their own.
    pub accounts: usize,
    /// How long; at least [`QUIET_DAYS`] and a week.
    pub days: u32,
    /// When it begins.
    pub start: UnixNanos,
}

/// Kinds of fraud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Typology {
    /// Somebody else gets into a customer's account and sends the funds away.
    AccountTakeover,
    /// A stolen or secretly made API key sends funds away, or trades them away.
    ApiKeyAbuse,
    /// One person opens many accounts to be paid a bonus many times.
    BonusAbuse,
    /// An account takes in stolen money and passes it on.
    Mule,
    /// A customer is talked into sending funds to a swindler.
    ScamVictim,
    /// Amounts are kept just below what would be reported.
    Structuring,
}

impl Typology {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::AccountTakeover,
        Self::ApiKeyAbuse,
        Self::BonusAbuse,
        Self::Mule,
        Self::ScamVictim,
        Self::Structuring,
    ];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccountTakeover => "account_takeover",
            Self::ApiKeyAbuse => "api_key_abuse",
            Self::BonusAbuse => "bonus_abuse",
            Self::Mule => "mule",
            Self::ScamVictim => "scam_victim",
            Self::Structuring => "structuring",
        }
    }
}

/// What happened or was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// An event, as the exchange reports it.
    Event(Event),
    /// A withdrawal that is decided on before it happens.
    Withdrawal(WithdrawalRequest),
}

/// One thing in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What.
    pub what: What,
    /// The fraud it is part of: index into [`Story::cases`].
    pub case: Option<usize>,
}

impl Item {
    /// When.
    #[must_use]
    pub const fn at(&self) -> UnixNanos {
        match &self.what {
            What::Event(event) => event.occurred_at,
            What::Withdrawal(request) => request.requested_at,
        }
    }

    /// Whose account.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        match &self.what {
            What::Event(event) => &event.account,
            What::Withdrawal(request) => &request.account,
        }
    }
}

/// One fraud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What kind.
    pub typology: Typology,
    /// The accounts through which it is done.
    pub accounts: Vec<AccountId>,
}

/// What becomes known about an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Index into [`Story::items`].
    pub item: usize,
    /// Whether it was fraud.
    pub is_fraud: bool,
    /// Who says so.
    pub source: &'static str,
    /// When it becomes known.
    pub arrival: UnixNanos,
}

/// What makes an honest customer look like something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traits {
    /// Comes through VPN exits, always or often.
    pub uses_vpn: bool,
    /// Shares a device with others of the household.
    pub shares_device: bool,
    /// Was abroad.
    pub travels: bool,
    /// Trades by API keys.
    pub runs_bots: bool,
}

/// A story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// In order of time.
    pub items: Vec<Item>,
    /// The frauds.
    pub cases: Vec<Case>,
    /// In order of arrival.
    pub labels: Vec<Label>,
    /// The honest customers. Victims are among them.
    pub honest: Vec<(AccountId, Traits)>,
}

impl Story {
    /// Tells the story of a plan; counts beyond the bounds of this module are cut.
    #[must_use]
    pub fn tell(plan: &Plan) -> Self {
        let plan = Plan {
            accounts: plan.accounts.clamp(1, ACCOUNTS_MAX),
            days: plan.days.clamp(QUIET_DAYS + 7, DAYS_MAX),
            ..*plan
        };
        let world = World::draw(&plan);
        let mut people = person::draw(&world);
        let mut stage = Stage::new(&world);
        honest::live(&world, &mut people, &mut stage);
        takeover::commit(&world, &people, &mut stage);
        api_key::commit(&world, &people, &mut stage);
        bonus::commit(&world, &mut stage);
        mule::commit(&world, &people, &mut stage);
        scam::commit(&world, &people, &mut stage);
        structuring::commit(&world, &people, &mut stage);
        let (items, cases) = stage.close();
        let labels = labels(plan.seed, &items, &cases);
        let honest = people.into_iter().map(|person| (person.account, person.traits)).collect();
        Self { items, cases, labels, honest }
    }
}

/// What becomes known, and when: fraud after hours to weeks or never, by its kind; of honest withdrawals a few, because
/// somebody looked.
fn labels(seed: u64, items: &[Item], cases: &[Case]) -> Vec<Label> {
    let mut random = SplitMix64::named(seed, "labels");
    // Per case: hours until it is known, or never.
    let delays: Vec<Option<u64>> = cases
        .iter()
        .map(|case| {
            let (never_percent, hours_min, hours_max) = match case.typology {
                Typology::AccountTakeover => (5, 1, 96),
                Typology::ApiKeyAbuse => (5, 2, 120),
                Typology::BonusAbuse => (30, 72, 600),
                Typology::Mule => (30, 96, 900),
                Typology::ScamVictim => (20, 48, 700),
                Typology::Structuring => (40, 48, 480),
            };
            // The smaller of two draws: most are known early, some late.
            let span = hours_max - hours_min;
            let hours = hours_min + random.below(span).min(random.below(span));
            (random.below(100) >= never_percent).then_some(hours)
        })
        .collect();
    let mut labels = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let moves_money = match &item.what {
            What::Withdrawal(_) => true,
            What::Event(event) => matches!(
                event.kind,
                domain::EventKind::BonusGranted { .. }
                    | domain::EventKind::OrderPlaced { .. }
                    | domain::EventKind::Transfer { .. }
            ),
        };
        if !moves_money {
            continue;
        }
        let known = match item.case {
            Some(case) => delays.get(case).copied().flatten().map(|hours| (true, hours)),
            None => {
                let is_withdrawal = matches!(item.what, What::Withdrawal(_));
                (is_withdrawal && random.below(50) == 0).then(|| (false, 4 + random.below(68)))
            }
        };
        if let Some((is_fraud, hours)) = known {
            let source = if is_fraud { "report" } else { "review" };
            let arrival = item.at().plus(std::time::Duration::from_secs(hours * 3_600));
            labels.push(Label { item: place, is_fraud, source, arrival });
        }
    }
    labels.sort_by_key(|label| (label.arrival, label.item));
    labels
}

#[cfg(test)]
mod tests;
