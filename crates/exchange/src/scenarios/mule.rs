//! Mules: accounts that take in what others were cheated of, and pass it on. New ones or bought ones, alone or several
//! under one controller, by transfer, by trade between customers or on chain.

use domain::{AccountId, DeviceId, EventKind, Side};

use super::{
    Typology,
    person::{Person, account, device},
    stage::{Actor, Stage},
    world::{ASSETS, DAY, World, cents, chance},
};
use crate::{address, random::SplitMix64};

pub(super) fn commit(world: &World, people: &[Person], stage: &mut Stage<'_>) {
    let mut random = SplitMix64::named(world.plan.seed, "mule");
    let random = &mut random;
    let names: Vec<AccountId> = people.iter().map(|person| person.account.clone()).collect();
    for number in 0..world.cases() {
        let members = if chance(50, random) { 1 } else { 2 + random.below(4) };
        let accounts: Vec<AccountId> =
            (0..members).map(|member| account(&format!("m{number}-{member}"))).collect();
        let case = stage.case(Typology::Mule, accounts.clone());
        let phone = device(&format!("mc{number}"));
        let collector = address::draw(ASSETS[0].1, random);
        let shares_phone = members > 1 && chance(60, random);
        let shares_address = chance(60, random);
        for name in &accounts {
            let own = device(&format!("{name}-d"));
            let used = if shares_phone { &phone } else { &own };
            let to = if shares_address { collector.clone() } else { address::draw(ASSETS[0].1, random) };
            work(world, stage, (name, used, case), &names, &to, random);
        }
    }
}

fn work(
    world: &World,
    stage: &mut Stage<'_>,
    (name, used, case): (&AccountId, &DeviceId, usize),
    names: &[AccountId],
    collector: &str,
    random: &mut SplitMix64,
) {
    let country = world.country(random);
    let home = world.home(country, random);
    let day = world.fraud_day(7, random);
    let begins = day * DAY + random.below(DAY);
    let own = Actor::new(name, used, home).in_case(case);
    if chance(70, random) {
        // Opened for it, shortly before.
        let opened = begins.saturating_sub(DAY / 4 + random.below(12 * DAY));
        stage.event(opened, own, None, EventKind::AccountOpened { referrer: None });
        stage.event(opened + 5, own, None, EventKind::DeviceAdded);
        let kyc = EventKind::KycChanged { level: 2, document: Some(format!("doc-{name}")) };
        stage.event(opened + 3_600, own, None, kyc);
    } else {
        // Bought: somebody else's for weeks, with a login now and then.
        let before = device(&format!("{name}-old"));
        let elsewhere = world.country(random);
        let owner = Actor { case: None, ..Actor::new(name, &before, world.home(elsewhere, random)) };
        for _ in 0..2 + random.below(4) {
            stage.login(random.below(begins), owner, true);
        }
        stage.login(begins.saturating_sub(3_600), own, true);
        stage.event(begins.saturating_sub(3_590), own, None, EventKind::DeviceAdded);
    }
    let mut at = begins;
    let mut held = 0;
    let how = random.below(3);
    let batches = chance(40, random);
    let payments = 3 + random.below(9);
    let is_listed = chance(80, random);
    if is_listed {
        stage.address_added(at.saturating_sub(600), own, 0, collector);
    }
    for payment in 0..payments {
        let sum = cents(20_000, 900_000, random);
        match how {
            0 => {
                let from = address::draw(ASSETS[0].1, random);
                stage.deposit_in(at, Actor { device: None, origin: None, ..own }, 0, sum, &from);
            }
            1 => {
                if let Some(victim) = random.pick(names) {
                    // The victim sends it, and nobody knows yet that it is one.
                    stage.transfer(at, Actor { case: Some(case), ..Actor::nobody(victim) }, sum, name);
                }
            }
            _ => {
                if let Some(victim) = random.pick(names) {
                    let bank = format!("bank-{name}-{}", random.below(4));
                    stage.p2p(at, own, Side::Buy, sum, victim, &bank);
                }
            }
        }
        held += sum;
        let wait =
            if chance(70, random) { 1_000 + random.below(3_600) } else { 3_600 + random.below(12 * 3_600) };
        let is_last = payment + 1 == payments;
        if !batches || is_last || chance(30, random) {
            let origin = if chance(30, random) { world.vpn(random) } else { home };
            let actor = Actor { origin: Some(origin), ..own };
            stage.login(at + wait - 200, actor, true);
            let out = held * (85 + random.below(15)) / 100;
            stage.withdraw(at + wait, actor, 0, out, collector);
            held -= out;
        }
        at += wait + 600 + random.below(DAY);
    }
}
