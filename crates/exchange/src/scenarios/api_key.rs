//! API-key abuse: a key made by a thief in a stolen session, a key that leaked, or a key that may not withdraw and trades
//! the funds away against the thief's own orders.

use domain::{EventKind, Side};

use super::{
    Typology,
    person::{api_key, device},
    stage::{Actor, Stage},
    takeover::{Gang, victim},
    world::{DAY, MINORS, World, chance},
};
use crate::{address, random::SplitMix64};

pub(super) fn commit(world: &World, people: &[super::person::Person], stage: &mut Stage<'_>) {
    let mut random = SplitMix64::named(world.plan.seed, "api key");
    let random = &mut random;
    let gang = Gang::draw("kg", random);
    for number in 0..world.cases() {
        let day = world.fraud_day(3, random);
        let how = random.below(10);
        let leaks =
            |person: &super::person::Person| person.keys.iter().any(|key| key.may_withdraw && !key.ip_bound);
        // A leak needs somebody whose key can leak.
        let found = match how {
            0..5 => victim(people, day, 50_000, |_| true, random),
            5..8 => victim(people, day, 20_000, leaks, random)
                .or_else(|| victim(people, day, 50_000, |_| true, random)),
            _ => victim(people, day, 100_000, |_| true, random),
        };
        let Some(person) = found else { continue };
        let account = &person.account;
        let case = stage.case(Typology::ApiKeyAbuse, vec![account.clone()]);
        let at = day * DAY + random.below(DAY);
        let machine = world.hosting(random);
        let by_key = Actor { account, device: None, origin: Some(machine), case: Some(case) };
        let leaked = person
            .keys
            .iter()
            .find(|key| key.may_withdraw && !key.ip_bound)
            .filter(|_| (5..8).contains(&how));
        let asset = person.main_asset();
        if let Some(leaked) = leaked {
            // Straight from the thief's machine, to a new address.
            let to = address::draw(super::world::ASSETS[asset].1, random);
            drain(world, stage, by_key, Some(&leaked.id), (asset, person.wealth()), &to, at, random);
            continue;
        }
        let used = if chance(50, random) {
            device(&format!("ka{number}"))
        } else {
            random.pick(&gang.devices).cloned().unwrap_or_else(|| device(&format!("ka{number}")))
        };
        let thief = Actor::new(account, &used, world.shady(person.country, random)).in_case(case);
        let key = api_key(&format!("{account}-x{number}"));
        let trades = how >= 8;
        stage.login(at, thief, true);
        if chance(70, random) {
            stage.event(at + 20, thief, None, EventKind::DeviceAdded);
        }
        let made = at + 100 + random.below(900);
        let kind = EventKind::ApiKeyCreated { key: key.clone(), may_withdraw: !trades, ip_bound: false };
        stage.event(made, thief, None, kind);
        if trades {
            trade_away(world, stage, by_key, person.wealth(), made + 300 + random.below(DAY / 2), random);
            continue;
        }
        let to = gang.address(asset, 40, random);
        if chance(70, random) {
            stage.address_added(made + 60, thief, asset, &to);
        }
        let wait = if chance(25, random) { DAY + random.below(DAY) } else { 300 + random.below(6 * 3_600) };
        drain(world, stage, by_key, Some(&key), (asset, person.wealth()), &to, made + wait, random);
    }
}

#[allow(clippy::too_many_arguments, reason = "who, with what, how much, where to, when")]
fn drain(
    world: &World,
    stage: &mut Stage<'_>,
    thief: Actor<'_>,
    key: Option<&domain::ApiKeyId>,
    (asset, wealth): (usize, u64),
    to: &str,
    mut at: u64,
    random: &mut SplitMix64,
) {
    let slices = 1 + random.below(6);
    let cents = wealth * (60 + random.below(41)) / 100 / slices;
    for _ in 0..slices {
        // Each call may come from another machine.
        let from = if chance(30, random) { Some(world.hosting(random)) } else { thief.origin };
        stage.withdraw_by(at, Actor { origin: from, ..thief }, key, asset, cents.max(1_000), to);
        at += 5 + random.below(900);
    }
}

/// Many orders in what hardly anybody trades, at the thief's prices.
fn trade_away(
    world: &World,
    stage: &mut Stage<'_>,
    thief: Actor<'_>,
    wealth: u64,
    mut at: u64,
    random: &mut SplitMix64,
) {
    let instrument = format!("ALT{}-USDT", random.below(MINORS));
    let orders = 12 + random.below(40);
    let from = if chance(50, random) {
        world.hosting(random)
    } else {
        thief.origin.unwrap_or_else(|| world.vpn(random))
    };
    for number in 0..orders {
        let side = if number % 2 == 0 { Side::Buy } else { Side::Sell };
        let cents = (wealth * 60 / 100 / orders * 2).max(100);
        stage.order(at, Actor { origin: Some(from), ..thief }, &instrument, side, cents);
        at += 1 + random.below(25);
    }
}
