//! Account takeover: by guessed passwords, by phishing, by a stolen session; quickly or with patience; everything at once,
//! in slices, or asset by asset.

use domain::{AccountId, Credential, DeviceId, EventKind};

use super::{
    Typology,
    person::{Person, device},
    stage::{Actor, Stage},
    world::{ASSETS, DAY, Origin, World, chance, pick},
};
use crate::{address, random::SplitMix64};

/// People who work together: they reuse some devices and addresses.
pub(super) struct Gang {
    pub(super) devices: Vec<DeviceId>,
    pub(super) addresses: Vec<(usize, String)>,
}

impl Gang {
    pub(super) fn draw(name: &str, random: &mut SplitMix64) -> Self {
        let devices = (0..1 + random.below(3)).map(|number| device(&format!("{name}-{number}"))).collect();
        let addresses = (0..3).map(|asset| (asset, address::draw(ASSETS[asset].1, random))).collect();
        Self { devices, addresses }
    }

    /// Where stolen funds of an asset go: sometimes where others went before.
    pub(super) fn address(&self, asset: usize, reuse_percent: u64, random: &mut SplitMix64) -> String {
        match self
            .addresses
            .iter()
            .find(|(other, _)| *other == asset)
            .filter(|_| chance(reuse_percent, random))
        {
            Some((_, address)) => address.clone(),
            None => address::draw(ASSETS[asset].1, random),
        }
    }
}

/// Honest customers with something to lose on a day, known for a while.
pub(super) fn victim<'p>(
    people: &'p [Person],
    day: u64,
    cents_min: u64,
    fits: impl Fn(&Person) -> bool,
    random: &mut SplitMix64,
) -> Option<&'p Person> {
    let is_known = |person: &Person| person.opened.is_none_or(|opened| opened / DAY + 5 < day);
    (0..200).find_map(|_| {
        random.pick(people).filter(|person| is_known(person) && person.wealth() >= cents_min && fits(person))
    })
}

pub(super) fn commit(world: &World, people: &[Person], stage: &mut Stage<'_>) {
    let mut random = SplitMix64::named(world.plan.seed, "takeover");
    let random = &mut random;
    let gangs: Vec<Gang> =
        (0..2 + random.below(4)).map(|number| Gang::draw(&format!("tg{number}"), random)).collect();
    for number in 0..world.cases() {
        let day = world.fraud_day(5, random);
        let Some(person) = victim(people, day, 50_000, |_| true, random) else { continue };
        let place = usize::try_from(random.below(gangs.len() as u64)).unwrap_or_default();
        let case = stage.case(Typology::AccountTakeover, vec![person.account.clone()]);
        takeover(world, stage, person, &gangs[place], case, (number, day), random);
    }
}

fn takeover(
    world: &World,
    stage: &mut Stage<'_>,
    person: &Person,
    gang: &Gang,
    case: usize,
    (number, day): (u64, u64),
    random: &mut SplitMix64,
) {
    let account: &AccountId = &person.account;
    let mut at = day * DAY + random.below(DAY);
    let fresh = device(&format!("ta{number}-{}", random.below(1_000_000)));
    let own = if chance(40, random) { random.pick(&gang.devices).cloned() } else { None };
    let mut used = own.unwrap_or(fresh);
    let origin = world.shady(person.country, random);
    let how = random.below(10);
    if how < 4 {
        // Guessed: from several places, then one gets in.
        for _ in 0..2 + random.below(14) {
            let from: Origin = world.shady(person.country, random);
            stage.login(at, Actor::new(account, &used, from).in_case(case), false);
            at += 3 + random.below(200);
        }
    }
    let is_stolen_session = how >= 8;
    if is_stolen_session && let Some(known) = person.devices.first() {
        // The session looks like the victim's own device.
        used = known.clone();
    }
    let thief = Actor::new(account, &used, origin).in_case(case);
    if !is_stolen_session {
        stage.login(at, thief, true);
        if chance(85, random) {
            stage.event(at + 15, thief, None, EventKind::DeviceAdded);
        }
    }
    at += 60 + random.below(600);
    if chance(50, random) {
        stage.credential(
            at,
            thief,
            pick(&[Credential::Password, Credential::Email, Credential::Authenticator], random),
        );
        at += 30 + random.below(300);
    }
    let patience = if chance(30, random) { DAY + random.below(2 * DAY) } else { 120 + random.below(3_600) };
    let slices = match random.below(10) {
        0..5 => 1,
        5..8 => 2 + random.below(2),
        _ => 5 + random.below(5),
    };
    let share = 75 + random.below(26);
    let mut assets: Vec<usize> = (0..3).filter(|asset| person.holdings[*asset] > 5_000).collect();
    if chance(50, random) {
        // Everything is sold into one asset first.
        assets = vec![person.main_asset()];
    }
    let whole = person.wealth() * share / 100;
    for (order, asset) in assets.iter().copied().enumerate() {
        let to = gang.address(asset, 40, random);
        if chance(92, random) {
            stage.address_added(at + 20 + order as u64 * 90, thief, asset, &to);
        }
        let cents = if assets.len() == 1 { whole } else { person.holdings[asset] * share / 100 };
        let mut when = at + patience + order as u64 * 300;
        for _ in 0..slices {
            stage.withdraw(when, thief, asset, (cents / slices).max(1_000), &to);
            when += if slices > 4 { 1_200 + random.below(5_000) } else { 60 + random.below(1_200) };
        }
        stage.balance(when, account, asset, person.holdings[asset].saturating_sub(cents));
    }
}
