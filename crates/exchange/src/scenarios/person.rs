//! Honest customers: what they have, where they come from, what they are like.

use domain::{AccountId, ApiKeyId, DeviceId};

use super::{
    Traits,
    world::{ASSETS, DAY, Origin, World, cents, chance, pick},
};
use crate::{address, random::SplitMix64};

/// What somebody is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Passes funds on within the hour, again and again.
    Arbitrageur,
    /// Trades by API keys.
    Bot,
    /// Comes by now and then.
    Casual,
    /// Away for weeks, then takes everything.
    Dormant,
    /// Trades with strangers all day.
    Merchant,
    /// Buys on payday and moves it to a wallet.
    Saver,
    /// Trades most days.
    Trader,
}

/// An address that a customer pays.
#[derive(Debug, Clone)]
pub(super) struct Payee {
    pub(super) asset: usize,
    pub(super) address: String,
}

/// An API key of a customer.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: ApiKeyId,
    pub(super) may_withdraw: bool,
    pub(super) ip_bound: bool,
    pub(super) machine: Origin,
}

/// See the module's head.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) account: AccountId,
    pub(super) style: Style,
    pub(super) country: usize,
    pub(super) home: Origin,
    pub(super) mobile: Origin,
    /// Hundredths of sessions through a VPN, and the exits used.
    pub(super) vpn_percent: u64,
    pub(super) exits: Vec<Origin>,
    pub(super) devices: Vec<DeviceId>,
    /// Devices that the exchange has bound to the account.
    pub(super) bound: Vec<DeviceId>,
    pub(super) payees: Vec<Payee>,
    /// Payees that are in the address book.
    pub(super) listed: Vec<String>,
    pub(super) keys: Vec<Key>,
    /// Cents of each asset.
    pub(super) holdings: [u64; 3],
    /// A usual amount of this person, in cents.
    pub(super) usual: u64,
    /// The second the account is opened; `None` if before the story.
    pub(super) opened: Option<u64>,
    pub(super) referrer: Option<AccountId>,
    /// Others of the household, by place.
    pub(super) family: Option<usize>,
    pub(super) traits: Traits,
}

pub(super) fn account(text: &str) -> AccountId {
    AccountId::parse(text).expect("words and numbers make an account id")
}

pub(super) fn device(text: &str) -> DeviceId {
    DeviceId::parse(text).expect("words and numbers make a device id")
}

pub(super) fn api_key(text: &str) -> ApiKeyId {
    ApiKeyId::parse(text).expect("words and numbers make a key id")
}

/// An address with a fresh key.
pub(super) fn payee(random: &mut SplitMix64) -> Payee {
    let asset = usize::try_from(pick(&[0, 0, 0, 1, 1, 2], random)).unwrap_or_default();
    Payee { asset, address: address::draw(ASSETS[asset].1, random) }
}

pub(super) fn draw(world: &World) -> Vec<Person> {
    let mut people: Vec<Person> = Vec::with_capacity(world.plan.accounts);
    for place in 0..world.plan.accounts {
        let mut random = SplitMix64::named(world.plan.seed, &format!("person/{place}"));
        let before = place.checked_sub(1).and_then(|before| people.get(before)).cloned();
        let mut person = person(world, place, &mut random);
        // Families stand next to each other.
        if let Some(other) = before.filter(|other| other.family.is_none_or(|_| chance(35, &mut random)))
            && chance(world.family_percent, &mut random)
        {
            move_in(&mut person, &other, place, &mut random);
            if let Some(other) = people.last_mut() {
                other.family.get_or_insert(place);
                other.traits.shares_device |= person.traits.shares_device;
            }
        }
        people.push(person);
    }
    people
}

/// One household: the line, often a device, sometimes a wallet.
fn move_in(person: &mut Person, other: &Person, place: usize, random: &mut SplitMix64) {
    person.country = other.country;
    person.home = other.home;
    person.family = place.checked_sub(1);
    if chance(60, random)
        && let Some(shared) = other.devices.first()
    {
        person.devices.push(shared.clone());
        person.traits.shares_device = true;
    }
    if chance(25, random)
        && let Some(wallet) = other.payees.first()
    {
        person.payees.push(wallet.clone());
    }
    if person.opened.is_some() && chance(50, random) {
        person.referrer = Some(other.account.clone());
    }
}

fn person(world: &World, place: usize, random: &mut SplitMix64) -> Person {
    let style = match random.below(100) {
        drawn if drawn < world.bot_percent => Style::Bot,
        0..12 => Style::Merchant,
        12..16 => Style::Arbitrageur,
        16..32 => Style::Dormant,
        32..48 => Style::Saver,
        48..62 => Style::Trader,
        _ => Style::Casual,
    };
    // Merchants are rare: most of that draw are casual after all.
    let style = if style == Style::Merchant && !chance(15, random) { Style::Casual } else { style };
    let country = world.country(random);
    let name = format!("u{place}");
    let devices = (0..1 + random.below(3)).map(|number| device(&format!("{name}-d{number}"))).collect();
    let uses_vpn = chance(world.vpn_percent, random);
    let exits =
        if uses_vpn { (0..1 + random.below(4)).map(|_| world.vpn(random)).collect() } else { Vec::new() };
    let is_old = style == Style::Dormant || style == Style::Merchant || chance(78, random);
    let secs = world.secs();
    let usual = cents(3_000, 400_000, random);
    let wealth = usual * (4 + random.below(40));
    let holdings = match random.below(4) {
        0 => [wealth, 0, 0],
        1 => [wealth / 4, wealth / 2, wealth / 4],
        2 => [wealth / 10, 0, wealth],
        _ => [wealth / 2, wealth / 2, 0],
    };
    let mut payees: Vec<Payee> = (0..1 + random.below(3)).map(|_| payee(random)).collect();
    if chance(25, random)
        && let Some((asset, address)) = random.pick(&world.services).cloned()
    {
        payees.push(Payee { asset, address });
    }
    let keys = if style == Style::Bot {
        let keys = (0..1 + random.below(2)).map(|number| Key {
            id: api_key(&format!("{name}-k{number}")),
            may_withdraw: chance(45, random),
            ip_bound: chance(55, random),
            machine: world.hosting(random),
        });
        keys.collect()
    } else {
        Vec::new()
    };
    Person {
        account: account(&name),
        style,
        country,
        home: world.home(country, random),
        mobile: world.mobile(country, random),
        vpn_percent: if uses_vpn { pick(&[15, 40, 100], random) } else { 0 },
        exits,
        devices,
        bound: Vec::new(),
        payees,
        listed: Vec::new(),
        keys,
        holdings: if is_old { holdings } else { [0; 3] },
        usual,
        opened: (!is_old).then(|| random.below(secs.saturating_sub(3 * DAY).max(1))),
        referrer: None,
        family: None,
        traits: Traits { uses_vpn, runs_bots: style == Style::Bot, ..Traits::default() },
    }
}

impl Person {
    /// Where a session comes from.
    pub(super) fn origin(&self, random: &mut SplitMix64) -> Origin {
        if chance(self.vpn_percent, random)
            && let Some(exit) = random.pick(&self.exits)
        {
            return *exit;
        }
        if chance(70, random) { self.home } else { self.mobile }
    }

    /// The device of a session: mostly the first.
    pub(super) fn device(&self, random: &mut SplitMix64) -> DeviceId {
        let others = self.devices.len().saturating_sub(1) as u64;
        let place = if others > 0 && chance(30, random) { 1 + random.below(others) } else { 0 };
        let device = self.devices.get(usize::try_from(place).unwrap_or_default());
        device.cloned().unwrap_or_else(|| device_of(&self.account))
    }

    pub(super) fn wealth(&self) -> u64 {
        self.holdings.iter().sum()
    }

    /// The asset most is held of.
    pub(super) fn main_asset(&self) -> usize {
        (0..3).max_by_key(|asset| self.holdings[*asset]).unwrap_or_default()
    }
}

fn device_of(account: &AccountId) -> DeviceId {
    device(&format!("{account}-d0"))
}
