//! Bonus abuse: a ring of new accounts takes the welcome bonus many times and gathers it.

use domain::{AccountId, DeviceId, EventKind, Side};

use super::{
    Typology,
    person::{account, device},
    stage::{Actor, Stage, asset},
    world::{ASSETS, DAY, MAJORS, Origin, World, chance, pick},
};
use crate::{address, random::SplitMix64};

pub(super) fn commit(world: &World, stage: &mut Stage<'_>) {
    let mut random = SplitMix64::named(world.plan.seed, "bonus");
    // A ring is many accounts: fewer rings than other frauds.
    let rings = (world.cases() / 3).max(4);
    for number in 0..rings {
        ring(world, stage, number, &mut random);
    }
}

fn ring(world: &World, stage: &mut Stage<'_>, number: u64, random: &mut SplitMix64) {
    let size = 5 + random.below(18);
    let campaign = world.campaign;
    let days = u64::from(world.plan.days);
    let last =
        (campaign.from_day + campaign.days.min(12)).min(days.saturating_sub(8)).max(campaign.from_day + 1);
    let day = campaign.from_day + random.below(last - campaign.from_day);
    let country = world.country(random);
    let names: Vec<AccountId> = (0..size).map(|member| account(&format!("b{number}-{member}"))).collect();
    let case = stage.case(Typology::BonusAbuse, names.clone());
    // What gives them away: one phone farm, one line, or only where the money goes.
    let how = random.below(20);
    let farm: Vec<DeviceId> =
        (0..1 + random.below(3)).map(|phone| device(&format!("bf{number}-{phone}"))).collect();
    let line = world.home(country, random);
    let payer = address::draw(ASSETS[0].1, random);
    let collector = address::draw(ASSETS[0].1, random);
    let by_transfer = chance(40, random);
    for (member, name) in names.iter().enumerate() {
        let spread = 1 + random.below(4);
        let at = day * DAY + random.below(spread * DAY);
        let used = match how {
            0..12 => random.pick(&farm).cloned().unwrap_or_else(|| device(&format!("b{number}"))),
            _ => device(&format!("be{number}-{member}")),
        };
        let origin: Origin = match how {
            0..6 | 12..17 => line,
            6..12 => world.vpn(random),
            _ => world.home(country, random),
        };
        let actor = Actor::new(name, &used, origin).in_case(case);
        let leader = names.first().filter(|leader| *leader != name && chance(80, random)).cloned();
        stage.event(at, actor, None, EventKind::AccountOpened { referrer: leader });
        stage.event(at + 5, actor, None, EventKind::DeviceAdded);
        let document =
            if chance(30, random) { format!("doc-b{number}-{}", member / 3) } else { format!("doc-{name}") };
        let kyc = EventKind::KycChanged { level: 1, document: Some(document) };
        stage.event(at + 300 + random.below(7_200), actor, None, kyc);
        let funded = at + 7_500 + random.below(DAY);
        let cents = 1_000 + random.below(9_000);
        let from = if chance(75, random) { payer.clone() } else { address::draw(ASSETS[0].1, random) };
        stage.deposit_in(funded, Actor { device: None, origin: None, ..actor }, 0, cents, &from);
        for trade in 0..1 + random.below(3) {
            let side = pick(&[Side::Buy, Side::Sell], random);
            stage.order(funded + 600 + trade * 300, actor, pick(&MAJORS, random), side, cents);
        }
        let granted = funded + 7_200 + random.below(2 * DAY);
        let kind = EventKind::BonusGranted {
            asset: asset(0),
            amount: world.amount(0, campaign.cents, granted),
            campaign: "welcome".to_owned(),
            referred: None,
        };
        stage.event(granted, Actor { device: None, origin: None, ..actor }, Some(campaign.cents), kind);
        let out = granted + 3_600 + random.below(2 * DAY);
        let sum = campaign.cents + cents * 9 / 10;
        stage.login(out, actor, true);
        match names.first().filter(|leader| by_transfer && *leader != name) {
            Some(leader) => stage.transfer(out + 200, actor, sum, leader),
            None => stage.withdraw(out + 200, actor, 0, sum, &collector),
        }
    }
}
