//! Structuring: many amounts just below what would be reported, in or out, over days.

use domain::EventKind;

use super::{
    Typology,
    person::{Person, account, device},
    stage::{Actor, Stage},
    takeover::victim,
    world::{ASSETS, DAY, World, chance, pick},
};
use crate::{address, random::SplitMix64};

/// Cents from which amounts are reported: 1,000 and 10,000 of the reference currency.
const REPORTED_CENTS: [u64; 2] = [100_000, 1_000_000];

pub(super) fn commit(world: &World, people: &[Person], stage: &mut Stage<'_>) {
    let mut random = SplitMix64::named(world.plan.seed, "structuring");
    let random = &mut random;
    for number in 0..world.cases() {
        let day = world.fraud_day(12, random);
        let reported = pick(&[REPORTED_CENTS[1], REPORTED_CENTS[1], REPORTED_CENTS[0]], random);
        // An account of one's own for it, or one long held.
        let held = if chance(50, random) { victim(people, day, 20_000, |_| true, random) } else { None };
        let own = account(&format!("t{number}"));
        let own_device = device(&format!("t{number}-d"));
        let country = world.country(random);
        let (name, used, origin) = match held {
            Some(person) => (&person.account, person.device(random), person.home),
            None => (&own, own_device, world.home(country, random)),
        };
        let case = stage.case(Typology::Structuring, vec![name.clone()]);
        let actor = Actor::new(name, &used, origin).in_case(case);
        let mut at = day * DAY + random.below(DAY / 2);
        if held.is_none() {
            let opened = at.saturating_sub(2 * DAY + random.below(10 * DAY));
            stage.event(opened, actor, None, EventKind::AccountOpened { referrer: None });
        }
        let addresses: Vec<String> =
            (0..1 + random.below(4)).map(|_| address::draw(ASSETS[0].1, random)).collect();
        let parts = 5 + random.below(10);
        let just_below = |random: &mut SplitMix64| reported * (850 + random.below(149)) / 1_000;
        let comes_in_parts = chance(40, random);
        for part in 0..parts {
            stage.login(at, actor, true);
            if comes_in_parts || part % 4 == 0 {
                let sum = if comes_in_parts { just_below(random) } else { reported * 4 };
                let from = address::draw(ASSETS[0].1, random);
                stage.deposit_in(at + 60, Actor { device: None, origin: None, ..actor }, 0, sum, &from);
            }
            let Some(to) = random.pick(&addresses) else { break };
            if part < addresses.len() as u64 {
                stage.address_added(at + 120, actor, 0, to);
            }
            stage.withdraw(at + 300 + random.below(3_000), actor, 0, just_below(random), to);
            at += DAY / 6 + random.below(DAY);
        }
    }
}
