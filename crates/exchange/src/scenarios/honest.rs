//! Honest lives, day by day: sessions, trades, paydays, moves to a wallet; and what looks odd in them without being so:
//! new phones, forgotten passwords, journeys, new wallets, everything withdrawn at once.

use domain::{AccountId, Credential, DeviceId, EventKind, Side};

use super::{
    person::{Payee, Person, Style, device, payee},
    stage::{Actor, Stage},
    world::{ASSETS, DAY, MAJORS, MINORS, Origin, World, cents, chance, pick},
};
use crate::random::SplitMix64;

/// What changes in a life on a day.
struct Life {
    /// Days of a journey: from, to, country.
    away: Option<(u64, u64, usize)>,
    payday: u64,
    new_phone: Option<u64>,
    lost_phone: Option<u64>,
    forgets: Option<u64>,
    /// A new wallet, and whether everything goes there at once.
    new_wallet: Option<(u64, bool)>,
    new_server: Option<u64>,
    bonus_day: Option<u64>,
}

pub(super) fn live(world: &World, people: &mut [Person], stage: &mut Stage<'_>) {
    let merchants: Vec<AccountId> = people
        .iter()
        .filter(|person| person.style == Style::Merchant)
        .map(|person| person.account.clone())
        .collect();
    let names: Vec<AccountId> = people.iter().map(|person| person.account.clone()).collect();
    for (place, person) in people.iter_mut().enumerate() {
        let mut random = SplitMix64::named(world.plan.seed, &format!("life/{place}"));
        let random = &mut random;
        let life = Life::draw(world, person, random);
        person.traits.travels = life.away.is_some();
        let mut actor = Days { world, stage, merchants: &merchants, names: &names, place };
        match person.opened {
            Some(opened) => actor.open(person, opened, random),
            None => actor.introduce(person, random),
        }
        // The first days of a new customer are told by themselves.
        let first = person.opened.map_or(0, |opened| opened / DAY + 3);
        for day in first..u64::from(world.plan.days) {
            actor.day(person, &life, day, random);
        }
    }
}

impl Life {
    fn draw(world: &World, person: &Person, random: &mut SplitMix64) -> Self {
        let days = u64::from(world.plan.days);
        let once =
            |percent: u64, random: &mut SplitMix64| chance(percent, random).then(|| random.below(days));
        let away = once(world.travel_percent, random).map(|from| {
            let to = from + 2 + random.below(14);
            (from, to, world.country(random))
        });
        let campaign = world.campaign;
        let opened_day = person.opened.map(|opened| opened / DAY);
        let in_campaign = opened_day
            .filter(|day| (campaign.from_day..campaign.from_day + campaign.days).contains(day))
            .is_some();
        Self {
            away,
            payday: 1 + random.below(28),
            new_phone: once(14, random),
            lost_phone: once(3, random),
            forgets: once(10, random),
            new_wallet: once(14, random).map(|day| (day, chance(35, random))),
            new_server: once(25, random),
            bonus_day: opened_day.filter(|_| in_campaign).map(|day| day + 1 + random.below(6)),
        }
    }
}

struct Days<'a, 'w> {
    world: &'a World,
    stage: &'a mut Stage<'w>,
    merchants: &'a [AccountId],
    names: &'a [AccountId],
    place: usize,
}

impl Days<'_, '_> {
    /// What the exchange knows of an old customer, told when it begins to report: bound devices and the address book.
    fn introduce(&mut self, person: &mut Person, random: &mut SplitMix64) {
        let at = random.below(3_600);
        for bound in &person.devices {
            let actor = Actor { device: Some(bound), ..Actor::nobody(&person.account) };
            self.stage.event(at, actor, None, EventKind::DeviceAdded);
            person.bound.push(bound.clone());
        }
        for payee in &person.payees {
            self.stage.address_added(at, Actor::nobody(&person.account), payee.asset, &payee.address);
            person.listed.push(payee.address.clone());
        }
    }

    /// A new customer: opened, identified, first funds; one in four moves them to a wallet that very day.
    fn open(&mut self, person: &mut Person, at: u64, random: &mut SplitMix64) {
        let account = person.account.clone();
        let first = person.device(random);
        let actor = Actor::new(&account, &first, person.origin(random));
        let kind = EventKind::AccountOpened { referrer: person.referrer.clone() };
        self.stage.event(at, actor, None, kind);
        self.stage.event(at + 5, actor, None, EventKind::DeviceAdded);
        person.bound.push(first.clone());
        let kyc = EventKind::KycChanged { level: 2, document: Some(format!("doc-{account}")) };
        self.stage.event(at + 600 + random.below(DAY / 2), actor, None, kyc);
        let funded = at + DAY / 2 + random.below(DAY);
        let cents = person.usual * (1 + random.below(4));
        self.deposit(person, funded, cents, random);
        self.trade(person, &actor, funded + 900, 1 + random.below(3), random);
        if chance(25, random)
            && let Some(payee) = person.payees.first().cloned()
        {
            let at = funded + 3_600 + random.below(DAY / 3);
            self.stage.login(at, actor, true);
            self.spend(person, &actor, at + 300 + random.below(3_600), 85 + random.below(16), &payee);
        }
    }

    fn day(&mut self, person: &mut Person, life: &Life, day: u64, random: &mut SplitMix64) {
        let start = day * DAY;
        let account = person.account.clone();
        let awake = |random: &mut SplitMix64| start + 6 * 3_600 + random.below(17 * 3_600);
        if life.new_phone == Some(day) || life.lost_phone == Some(day) {
            self.new_phone(person, life.lost_phone == Some(day), awake(random), random);
        }
        if life.forgets == Some(day) {
            self.forgets(person, awake(random), random);
        }
        if let Some((when, everything)) = life.new_wallet.filter(|(when, _)| *when == day) {
            self.new_wallet(person, when * DAY + 8 * 3_600 + random.below(8 * 3_600), everything, random);
        }
        if life.bonus_day == Some(day) {
            let kind = EventKind::BonusGranted {
                asset: super::stage::asset(0),
                amount: self.world.amount(0, self.world.campaign.cents, start),
                campaign: "welcome".to_owned(),
                referred: None,
            };
            self.stage.event(awake(random), Actor::nobody(&account), Some(self.world.campaign.cents), kind);
        }
        if day % 30 == life.payday {
            let cents = person.usual * (1 + random.below(3));
            let at = start + 7 * 3_600 + random.below(5 * 3_600);
            if matches!(person.style, Style::Saver) || chance(30, random) {
                self.deposit(person, at, cents, random);
                self.session(person, life, day, at + 600 + random.below(DAY / 4), random);
            }
        }
        let permille = match person.style {
            Style::Arbitrageur => 420,
            Style::Bot => 120,
            Style::Casual => 200,
            Style::Dormant => 12,
            Style::Merchant => 900,
            Style::Saver => 150,
            Style::Trader => 700,
        };
        if random.below(1_000) < permille {
            self.session(person, life, day, awake(random), random);
        }
        if person.style == Style::Bot {
            if life.new_server == Some(day) {
                let machine = self.world.hosting(random);
                person.keys.iter_mut().for_each(|key| key.machine = machine);
            }
            self.bot_day(person, day, random);
        }
    }

    fn origin(&self, person: &Person, life: &Life, day: u64, random: &mut SplitMix64) -> Origin {
        match life.away {
            Some((from, to, country)) if (from..to).contains(&day) && !chance(person.vpn_percent, random) => {
                if chance(50, random) {
                    self.world.mobile(country, random)
                } else {
                    self.world.home(country, random)
                }
            }
            _ => person.origin(random),
        }
    }

    fn session(&mut self, person: &mut Person, life: &Life, day: u64, at: u64, random: &mut SplitMix64) {
        let (account, used) = (person.account.clone(), person.device(random));
        let mut actor = Actor::new(&account, &used, self.origin(person, life, day, random));
        if chance(4, random) {
            self.stage.login(at.saturating_sub(20), actor, false);
        }
        self.stage.login(at, actor, true);
        if chance(5, random) {
            // Out of the house in the middle of it.
            actor.origin = Some(person.mobile);
        }
        if !person.bound.contains(&used) {
            self.stage.event(at + 8, actor, None, EventKind::DeviceAdded);
            person.bound.push(used.clone());
        }
        match person.style {
            Style::Arbitrageur => return self.pass_on(person, &actor, at, random),
            Style::Merchant => return self.shop_day(person, &actor, at, random),
            Style::Dormant => {
                // Back after weeks: to look, or to take everything.
                if chance(40, random)
                    && let Some(payee) = random.pick(&person.payees).cloned()
                {
                    self.spend(person, &actor, at + 120 + random.below(1_200), 90 + random.below(11), &payee);
                }
                return;
            }
            Style::Trader => self.trade(person, &actor, at + 60, 1 + random.below(5), random),
            Style::Bot | Style::Casual | Style::Saver => {
                if chance(35, random) {
                    self.trade(person, &actor, at + 60, 1 + random.below(3), random);
                }
            }
        }
        if chance(7, random) {
            let cents = person.usual * (1 + random.below(3));
            self.deposit(person, at + 300, cents, random);
        }
        if chance(3, random)
            && let Some(merchant) = random.pick(self.merchants).cloned()
            && merchant != account
        {
            let cents = (person.usual / 2).max(500);
            self.stage.p2p(at + 400, actor, Side::Buy, cents, &merchant, &format!("bank-{account}"));
            person.holdings[0] += cents;
        }
        if chance(2, random) {
            let friend = person.family.and_then(|place| self.names.get(place)).or_else(|| {
                // A friend is always the same one.
                let place = (self.place * 7 + 3) % self.names.len().max(1);
                self.names.get(place)
            });
            let cents = (person.usual / 4).max(200).min(person.holdings[0]);
            if let Some(friend) = friend.filter(|friend| **friend != account && cents > 0).cloned() {
                self.stage.transfer(at + 500, actor, cents, &friend);
                person.holdings[0] -= cents;
            }
        }
        let permille = self.world.withdraw_permille * if person.style == Style::Saver { 3 } else { 1 };
        if random.below(1_000) < permille
            && let Some(payee) = random.pick(&person.payees).cloned()
        {
            let after = at + 180 + random.below(3_000);
            if person.style == Style::Saver {
                self.spend(person, &actor, after, 60 + random.below(40), &payee);
            } else {
                let usual = person.usual * (40 + random.below(160)) / 100;
                let wealth = person.wealth().max(1);
                let percent = (usual * 100 / wealth).clamp(1, 100);
                self.spend(person, &actor, after, percent, &payee);
            }
        }
        if chance(1, random) {
            let topic = pick(&["fees", "deposit_missing", "account_access", "verification"], random);
            self.stage.event(at + 900, actor, None, EventKind::SupportContacted { topic: topic.to_owned() });
        }
    }

    /// Withdraws so many hundredths of all that is held, as the payee's asset.
    fn spend(&mut self, person: &mut Person, actor: &Actor<'_>, at: u64, percent: u64, payee: &Payee) {
        let cents = person.wealth() * percent.min(100) / 100;
        if cents < 500 {
            return;
        }
        // What is not held is bought first; only its result shows here.
        let mut left = cents;
        let assets = [payee.asset, 0, 1, 2];
        for asset in assets {
            let taken = left.min(person.holdings[asset]);
            person.holdings[asset] -= taken;
            left -= taken;
        }
        if !person.listed.contains(&payee.address) {
            self.stage.address_added(at.saturating_sub(120), *actor, payee.asset, &payee.address);
            person.listed.push(payee.address.clone());
        }
        self.stage.withdraw(at, *actor, payee.asset, cents, &payee.address);
        self.stage.balance(at + 3, &person.account, payee.asset, person.holdings[payee.asset]);
    }

    fn deposit(&mut self, person: &mut Person, at: u64, cents: u64, random: &mut SplitMix64) {
        let asset = pick(&[0, 0, 1, 2], random);
        let own = person.payees.iter().find(|payee| payee.asset == asset).filter(|_| chance(40, random));
        let from = match (person.style, own) {
            // From another exchange, always the same.
            (Style::Arbitrageur, _) => self.world.hot_wallet(asset, self.place),
            // From an own wallet, or from wherever it was bought.
            (_, Some(own)) => own.address.clone(),
            (_, None) => crate::address::draw(ASSETS[asset].1, random),
        };
        self.stage.deposit(at, &person.account, asset, cents, &from);
        person.holdings[asset] += cents;
        self.stage.balance(at + 1, &person.account, asset, person.holdings[asset]);
    }

    fn trade(&mut self, person: &Person, actor: &Actor<'_>, at: u64, orders: u64, random: &mut SplitMix64) {
        for number in 0..orders {
            let side = pick(&[Side::Buy, Side::Sell], random);
            let cents = (person.usual * (10 + random.below(100)) / 100).max(100);
            // A few dabble in what is hardly traded.
            let minor = format!("ALT{}-USDT", random.below(MINORS));
            let instrument = if chance(8, random) { minor.as_str() } else { pick(&MAJORS, random) };
            self.stage.order(at + number * (20 + random.below(200)), *actor, instrument, side, cents);
        }
    }

    /// In, sold, out again within the hour.
    fn pass_on(&mut self, person: &mut Person, actor: &Actor<'_>, at: u64, random: &mut SplitMix64) {
        let cents = person.usual * (2 + random.below(4));
        self.deposit(person, at + 30, cents, random);
        self.trade(person, actor, at + 120, 2, random);
        if let Some(payee) = person.payees.first().cloned() {
            let percent = (cents * (90 + random.below(10)) / person.wealth().max(1)).clamp(1, 100);
            self.spend(person, actor, at + 600 + random.below(3_000), percent, &payee);
        }
    }

    /// Many strangers, money in and out, a transfer of the takings.
    fn shop_day(&mut self, person: &mut Person, actor: &Actor<'_>, at: u64, random: &mut SplitMix64) {
        for number in 0..2 + random.below(6) {
            let Some(other) = random.pick(self.names).cloned() else { break };
            if other == person.account {
                continue;
            }
            let side = pick(&[Side::Buy, Side::Sell], random);
            let cents = cents(2_000, 150_000, random);
            let payment = format!("bank-{}-{}", person.account, random.below(3));
            self.stage.p2p(at + number * 1_800, *actor, side, cents, &other, &payment);
            if side == Side::Buy {
                person.holdings[0] += cents;
            } else {
                person.holdings[0] = person.holdings[0].saturating_sub(cents);
            }
        }
        if chance(35, random) {
            let cents = person.usual * (2 + random.below(5));
            self.deposit(person, at + 200, cents, random);
        }
        if chance(30, random)
            && let Some(payee) = person.payees.first().cloned()
        {
            self.spend(person, actor, at + 6 * 3_600 + random.below(3_600), 30 + random.below(60), &payee);
        }
    }

    fn bot_day(&mut self, person: &mut Person, day: u64, random: &mut SplitMix64) {
        let account = person.account.clone();
        let Some(key) = random.pick(&person.keys).cloned() else { return };
        let actor = Actor { account: &account, device: None, origin: Some(key.machine), case: None };
        let start = day * DAY + random.below(DAY / 2);
        // A new key now and then, from the owner's own device.
        if chance(2, random) {
            let used = person.device(random);
            let owner = Actor::new(&account, &used, person.origin(random));
            let id = super::person::api_key(&format!("{account}-k{day}"));
            let ip_bound = key.ip_bound;
            let kind = EventKind::ApiKeyCreated { key: id.clone(), may_withdraw: key.may_withdraw, ip_bound };
            self.stage.login(start.saturating_sub(300), owner, true);
            self.stage.event(start, owner, None, kind);
            if let Some(first) = person.keys.first_mut() {
                first.id = id;
            }
        }
        let instruments = [pick(&MAJORS, random), pick(&MAJORS, random)];
        for number in 0..2 + random.below(10) {
            let cents = (person.usual / 5).max(100) * (50 + random.below(100)) / 100;
            let side = pick(&[Side::Buy, Side::Sell], random);
            self.stage.order(start + number * 600, actor, pick(&instruments, random), side, cents);
        }
        if key.may_withdraw
            && chance(12, random)
            && let Some(payee) = person.payees.first().cloned()
        {
            let cents = (person.wealth() * (5 + random.below(20)) / 100).max(1_000);
            self.stage.withdraw_by(start + 7_000, actor, Some(&key.id), payee.asset, cents, &payee.address);
        }
    }

    /// A new phone, with the old one at hand or lost. Who lost it must prove who they are first.
    fn new_phone(&mut self, person: &mut Person, is_lost: bool, at: u64, random: &mut SplitMix64) {
        let account = person.account.clone();
        let phone = device(&format!("{account}-n{at}"));
        let actor = Actor::new(&account, &phone, person.origin(random));
        if is_lost {
            let topic = "account_access".to_owned();
            self.stage.event(
                at.saturating_sub(DAY),
                Actor { device: None, ..actor },
                None,
                EventKind::SupportContacted { topic },
            );
            self.stage.login(at.saturating_sub(40), actor, false);
        }
        self.stage.login(at, actor, true);
        self.stage.event(at + 10, actor, None, EventKind::DeviceAdded);
        if is_lost || chance(30, random) {
            self.stage.credential(at + 300, actor, Credential::Authenticator);
        }
        if chance(10, random)
            && let Some(payee) = random.pick(&person.payees).cloned()
        {
            let after = at + 1_200 + random.below(DAY / 2);
            let percent = 5 + random.below(40);
            self.spend(person, &actor, after, percent, &payee);
        }
        if is_lost {
            person.devices.clear();
        }
        person.bound.push(phone.clone());
        person.devices.insert(0, phone);
    }

    fn forgets(&mut self, person: &mut Person, at: u64, random: &mut SplitMix64) {
        let (account, used) = (person.account.clone(), person.device(random));
        let actor = Actor::new(&account, &used, person.origin(random));
        for number in 0..1 + random.below(4) {
            self.stage.login(at + number * 25, actor, false);
        }
        self.stage.credential(at + 400, actor, Credential::Password);
        self.stage.login(at + 420, actor, true);
        if chance(15, random)
            && let Some(payee) = random.pick(&person.payees).cloned()
        {
            self.spend(person, &actor, at + 900 + random.below(DAY / 4), 5 + random.below(60), &payee);
        }
    }

    /// A new wallet: a small amount to try it, then more, or everything.
    fn new_wallet(&mut self, person: &mut Person, at: u64, everything: bool, random: &mut SplitMix64) {
        let wallet = payee(random);
        let (account, used): (AccountId, DeviceId) = (person.account.clone(), person.device(random));
        let actor = Actor::new(&account, &used, person.origin(random));
        self.stage.login(at, actor, true);
        self.stage.address_added(at + 100, actor, wallet.asset, &wallet.address);
        person.listed.push(wallet.address.clone());
        if chance(60, random) {
            self.spend(person, &actor, at + 400, 1 + random.below(3), &wallet);
        }
        let percent = if everything { 90 + random.below(11) } else { 10 + random.below(50) };
        self.spend(person, &actor, at + 1_500 + random.below(2 * DAY), percent, &wallet);
        person.payees.insert(0, wallet);
    }
}
