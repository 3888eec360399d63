//! The world of a story: networks, prices, campaigns, and how common everything is. All of it differs by seed.

use std::net::{IpAddr, Ipv4Addr};

use domain::{Amount, Anonymizer, Country, Network, UnixNanos};

use super::{Plan, QUIET_DAYS};
use crate::{address, random::SplitMix64};

/// Seconds of a day.
pub(super) const DAY: u64 = 86_400;
const COUNTRIES: [&str; 12] = ["AE", "BR", "CH", "DE", "ES", "FR", "GB", "IN", "JP", "NG", "TR", "VN"];
/// Carriers per country; the last one is mobile.
const CARRIERS: u64 = 4;

/// An asset of the story: name, network of its addresses, decimal places, cents per unit at the start.
pub(super) const ASSETS: [(&str, Network, u32, u64); 3] = [
    ("USDT", Network::Tron, 2, 100),
    ("ETH", Network::Ethereum, 6, 320_000),
    ("BTC", Network::Bitcoin, 8, 6_400_000),
];
/// What most people trade.
pub(super) const MAJORS: [&str; 4] = ["BTC-USDT", "ETH-USDT", "ETH-BTC", "SOL-USDT"];
/// What hardly anybody trades.
pub(super) const MINORS: u64 = 30;

/// Where somebody comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) ip: IpAddr,
    pub(super) asn: u32,
    pub(super) country: Country,
    pub(super) anonymizer: Option<Anonymizer>,
}

/// A bonus for new customers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Campaign {
    pub(super) from_day: u64,
    pub(super) days: u64,
    pub(super) cents: u64,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) countries: Vec<Country>,
    /// Cumulated weights of the countries.
    weights: Vec<u64>,
    vpn_exits: Vec<Origin>,
    /// Payment processors, shops, other exchanges: addresses that many unrelated people pay.
    pub(super) services: Vec<(usize, String)>,
    pub(super) campaign: Campaign,
    /// Per asset, addresses from which other exchanges pay out.
    hot_wallets: Vec<Vec<String>>,
    /// Per asset and day, cents per unit.
    rates: Vec<Vec<u64>>,
    pub(super) vpn_percent: u64,
    pub(super) family_percent: u64,
    pub(super) travel_percent: u64,
    pub(super) bot_percent: u64,
    /// Thousandths of sessions that end in a withdrawal.
    pub(super) withdraw_permille: u64,
    /// Frauds of each kind per thousand honest customers and thirty days.
    pub(super) fraud_permille: u64,
}

fn ip(a: u64, b: u64, c: u64, d: u64) -> IpAddr {
    let [a, b, c, d] = [a, b, c, d].map(|byte| u8::try_from(byte % 256).unwrap_or_default());
    Ipv4Addr::new(a, b, c, d).into()
}

fn asn(number: u64) -> u32 {
    // Numbers for documentation (RFC 5398) are too few; these are of the private range (RFC 6996).
    4_200_000_000 + u32::try_from(number % 90_000_000).unwrap_or_default()
}

impl World {
    pub(super) fn draw(plan: &Plan) -> Self {
        let mut random = SplitMix64::named(plan.seed, "world");
        let countries: Vec<Country> = COUNTRIES.iter().filter_map(|code| Country::parse(code)).collect();
        let mut sum = 0;
        let weights = countries
            .iter()
            .map(|_| {
                sum += 1 + random.below(20);
                sum
            })
            .collect();
        let n_exits = 12 + random.below(40);
        let vpn_exits = (0..n_exits).map(|exit| Origin {
            ip: ip(172, 16 + exit % 4, exit / 8, 1 + exit * 7),
            asn: asn(9_000 + exit % 4),
            country: pick(&countries, &mut random),
            anonymizer: Some(Anonymizer::Vpn),
        });
        let vpn_exits = vpn_exits.collect();
        let services = (0..4 + random.below(8))
            .map(|number| {
                let asset = usize::try_from(number % 3).unwrap_or_default();
                (asset, address::draw(ASSETS[asset].1, &mut random))
            })
            .collect();
        let hot_wallets = ASSETS
            .iter()
            .map(|asset| (0..3).map(|_| address::draw(asset.1, &mut random)).collect())
            .collect();
        let days = u64::from(plan.days);
        let rates = ASSETS.iter().map(|(.., cents)| {
            let is_stable = *cents == 100;
            let mut cents = cents * (60 + random.below(80)) / 100;
            let walk = (0..=days).map(|_| {
                // Up to three percent a day, either way.
                cents = cents * (9_700 + random.below(601)) / 10_000;
                if is_stable { 100 } else { cents }
            });
            walk.collect()
        });
        let rates = rates.collect();
        let campaign = Campaign {
            from_day: u64::from(QUIET_DAYS)
                + random.below(days.saturating_sub(u64::from(QUIET_DAYS) + 6).max(1)),
            days: 10 + random.below(30),
            cents: 1_000 + 500 * random.below(15),
        };
        Self {
            plan: *plan,
            weights,
            vpn_exits,
            services,
            campaign,
            hot_wallets,
            rates,
            vpn_percent: 6 + random.below(22),
            family_percent: 8 + random.below(18),
            travel_percent: 4 + random.below(12),
            bot_percent: 2 + random.below(6),
            withdraw_permille: 60 + random.below(90),
            fraud_permille: 3 + random.below(4),
            countries,
        }
    }

    /// Seconds of the story.
    pub(super) fn secs(&self) -> u64 {
        u64::from(self.plan.days) * DAY
    }

    pub(super) fn at(&self, secs: u64) -> UnixNanos {
        self.plan.start.plus(std::time::Duration::from_secs(secs))
    }

    /// How many frauds of one kind there are: at least six, so that every story tells of each variant.
    pub(super) fn cases(&self) -> u64 {
        let of_accounts =
            self.plan.accounts as u64 * self.fraud_permille * u64::from(self.plan.days) / 30_000;
        of_accounts.max(6)
    }

    /// A time for a fraud that takes up to `days_max` days.
    pub(super) fn fraud_day(&self, days_max: u64, random: &mut SplitMix64) -> u64 {
        let first = u64::from(QUIET_DAYS);
        let last = u64::from(self.plan.days).saturating_sub(days_max).max(first + 1);
        first + random.below(last - first)
    }

    pub(super) fn country(&self, random: &mut SplitMix64) -> usize {
        let drawn = random.below(self.weights.last().copied().unwrap_or(1));
        self.weights.iter().position(|weight| drawn < *weight).unwrap_or_default()
    }

    /// A line of a household, nobody else's.
    pub(super) fn home(&self, country: usize, random: &mut SplitMix64) -> Origin {
        let carrier = random.below(CARRIERS - 1);
        let net = country as u64 * 16 + carrier;
        Origin {
            ip: ip(10, net, random.below(256), random.below(256)),
            asn: asn(net),
            country: self.countries[country],
            anonymizer: None,
        }
    }

    /// A gateway of a mobile carrier: many people share it.
    pub(super) fn mobile(&self, country: usize, random: &mut SplitMix64) -> Origin {
        let net = country as u64 * 16 + CARRIERS - 1;
        let gateways = 2 + self.plan.accounts as u64 / 150;
        let gateway = random.below(gateways);
        Origin {
            ip: ip(10, net, gateway / 4, 1 + gateway % 4),
            asn: asn(net),
            country: self.countries[country],
            anonymizer: None,
        }
    }

    /// An exit of a VPN: honest people and criminals share it.
    pub(super) fn vpn(&self, random: &mut SplitMix64) -> Origin {
        pick(&self.vpn_exits, random)
    }

    /// A rented machine.
    pub(super) fn hosting(&self, random: &mut SplitMix64) -> Origin {
        let provider = random.below(6);
        Origin {
            ip: ip(192, 168, provider * 40 + random.below(40), random.below(256)),
            asn: asn(9_500 + provider),
            country: pick(&self.countries, random),
            anonymizer: Some(Anonymizer::Hosting),
        }
    }

    /// Where criminals come from, given the country of the victim.
    pub(super) fn shady(&self, country: usize, random: &mut SplitMix64) -> Origin {
        match random.below(10) {
            0..4 => self.vpn(random),
            4..6 => self.hosting(random),
            // A home line in the victim's own country, rented.
            6..8 => self.home(country, random),
            8 => self.mobile(country, random),
            _ => {
                let elsewhere = self.country(random);
                self.home(elsewhere, random)
            }
        }
    }

    /// The address from which the other exchange of a customer pays out.
    pub(super) fn hot_wallet(&self, asset: usize, place: usize) -> String {
        let wallets = &self.hot_wallets[asset];
        wallets.get(place % wallets.len().max(1)).cloned().unwrap_or_default()
    }

    /// Cents per unit of an asset on that second.
    pub(super) fn rate(&self, asset: usize, secs: u64) -> u64 {
        let day = usize::try_from(secs / DAY).unwrap_or_default();
        let rates = &self.rates[asset];
        rates.get(day).or(rates.last()).copied().unwrap_or(100)
    }

    /// So many cents as an amount of the asset.
    pub(super) fn amount(&self, asset: usize, cents: u64, secs: u64) -> Amount {
        let (.., places, _) = ASSETS[asset];
        let units = u128::from(cents) * 10_u128.pow(places) / u128::from(self.rate(asset, secs).max(1));
        Amount::from_parts(i128::try_from(units.max(1)).unwrap_or(1), places).unwrap_or(Amount::ZERO)
    }

    /// What an amount of so many cents is worth, to be told with it.
    pub(super) fn value(cents: u64) -> Option<Amount> {
        Amount::from_parts(i128::from(cents), 2).ok()
    }
}

/// One of the choices, which are never none.
pub(super) fn pick<T: Copy>(choices: &[T], random: &mut SplitMix64) -> T {
    let place = random.below(choices.len() as u64);
    choices[usize::try_from(place).unwrap_or_default()]
}

/// Cents between two bounds; every doubling is as likely as every other.
pub(super) fn cents(low: u64, high: u64, random: &mut SplitMix64) -> u64 {
    let doublings = (high / low.max(1)).max(1).ilog2();
    let base = low << random.below(u64::from(doublings) + 1);
    (base + random.below(base)).min(high)
}

/// Whether something of so many percent happens.
pub(super) fn chance(percent: u64, random: &mut SplitMix64) -> bool {
    random.below(100) < percent
}
