//! Scam victims: honest customers on their own devices who send a swindler more and more, and bring in more to do so.

use super::{
    Typology,
    person::Person,
    stage::{Actor, Stage},
    takeover::victim,
    world::{ASSETS, DAY, World, chance},
};
use crate::{address, random::SplitMix64};

pub(super) fn commit(world: &World, people: &[Person], stage: &mut Stage<'_>) {
    let mut random = SplitMix64::named(world.plan.seed, "scam");
    let random = &mut random;
    let swindles: Vec<String> =
        (0..1 + world.cases() / 5).map(|_| address::draw(ASSETS[0].1, random)).collect();
    for _ in 0..world.cases() {
        let span = 6 + random.below(18);
        let day = world.fraud_day(span.min(u64::from(world.plan.days) / 3), random);
        let Some(person) = victim(people, day, 10_000, |person| person.keys.is_empty(), random) else {
            continue;
        };
        let case = stage.case(Typology::ScamVictim, vec![person.account.clone()]);
        let fresh = address::draw(ASSETS[0].1, random);
        let to = random.pick(&swindles).filter(|_| chance(65, random)).unwrap_or(&fresh);
        pay(stage, person, case, (day, span), to, random);
    }
}

fn pay(
    stage: &mut Stage<'_>,
    person: &Person,
    case: usize,
    (day, span): (u64, u64),
    to: &str,
    random: &mut SplitMix64,
) {
    let account = &person.account;
    let used = person.device(random);
    let mut at = day * DAY + 9 * 3_600 + random.below(10 * 3_600);
    let actor = Actor::new(account, &used, person.origin(random)).in_case(case);
    stage.login(at, actor, true);
    if chance(85, random) {
        stage.address_added(at + 200, actor, 0, to);
    }
    // A little to begin with, which seems to grow; then savings, then what was borrowed.
    let payments = 3 + random.below(5);
    let mut sum = (person.usual / 4).clamp(3_000, 40_000);
    for payment in 0..payments {
        let actor = Actor { origin: Some(person.origin(random)), ..actor };
        if payment > 0 {
            stage.login(at.saturating_sub(900), actor, true);
        }
        if payment > 0 || chance(50, random) {
            let from = address::draw(ASSETS[0].1, random);
            let brought = sum * (90 + random.below(20)) / 100;
            stage.deposit(at.saturating_sub(600 + random.below(10 * 3_600)), account, 0, brought, &from);
        }
        stage.withdraw(at + 400, actor, 0, sum, to);
        sum = sum * (130 + random.below(170)) / 100;
        at += DAY / 3 + random.below(span * DAY / payments);
    }
}
