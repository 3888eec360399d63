//! What honest customers do, as data: who they are, what they start with, and a list of steps to drive through
//! the gateway. Everything follows from the seed; nothing here talks to anybody.
//!
//! Honest means: from the customer's own devices and network address, orders of everyday size near the market,
//! cancels of own orders, deposits, and rare small withdrawals to addresses known from the start.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use domain::{AccountId, Amount, Asset, DeviceId, Network};

use crate::{
    address,
    catalog::{Catalog, Instrument},
    ledger::Side,
    random::SplitMix64,
};

/// Customers of one population.
pub const CITIZENS_MAX: usize = 1_000;
/// Steps of one population.
pub const STEPS_MAX: usize = 1_000_000;
/// Orders a customer remembers and may cancel.
const REMEMBERED_ORDERS_MAX: usize = 8;

/// An honest customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citizen {
    /// The account.
    pub account: AccountId,
    /// Known devices; one or two.
    pub devices: Vec<DeviceId>,
    /// Where the customer always comes from; of the range set aside for measurements (RFC 2544).
    pub ip: IpAddr,
    /// Funds to start with.
    pub opening: Vec<(Asset, Network, Amount)>,
    /// Own addresses, to be in the address book from the start.
    pub payees: Vec<Payee>,
}

/// A known address of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payee {
    /// What is withdrawn to it.
    pub asset: Asset,
    /// Over which network.
    pub network: Network,
    /// The address.
    pub address: String,
}

/// What a customer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Cancels an order placed before; it may have traded meanwhile.
    CancelOrder {
        /// Of which instrument.
        instrument: String,
        /// The client id it was placed with.
        client_id: String,
    },
    /// Receives funds.
    Deposit {
        /// Which asset.
        asset: Asset,
        /// Over which network.
        network: Network,
        /// How much.
        amount: Amount,
        /// From which address.
        from: String,
    },
    /// Logs in with a second factor.
    Login {
        /// With which device.
        device: DeviceId,
    },
    /// Places a limit order.
    PlaceOrder {
        /// Which instrument.
        instrument: String,
        /// Buy or sell.
        side: Side,
        /// Limit price.
        price: Amount,
        /// Base quantity.
        quantity: Amount,
        /// Unique client id.
        client_id: String,
    },
    /// Looks at the balances.
    ReadBalance,
    /// Looks at the open orders.
    ReadOpenOrders,
    /// Withdraws to a known address.
    Withdraw {
        /// Which of the payees.
        payee: Payee,
        /// How much, without the fee.
        amount: Amount,
        /// Unique client id.
        client_id: String,
    },
}

/// One step of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How long after the start.
    pub after: Duration,
    /// Which customer: index into the citizens.
    pub citizen: usize,
    /// What.
    pub act: Act,
}

/// Customers and what they do, in order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Population {
    /// The customers.
    pub citizens: Vec<Citizen>,
    /// What they do; each starts with a login.
    pub steps: Vec<Step>,
}

impl Population {
    /// Draws `citizens` customers and `steps` steps spread evenly over `span`; both counts are cut at the bounds
    /// of this module.
    #[must_use]
    pub fn draw(seed: u64, citizens: usize, steps: usize, span: Duration) -> Self {
        let catalog = Catalog::standard();
        let citizens: Vec<Citizen> =
            (0..citizens.min(CITIZENS_MAX)).map(|index| citizen(seed, index)).collect();
        let steps = if citizens.is_empty() { 0 } else { steps.min(STEPS_MAX) };
        let mut lives: Vec<Life> = vec![Life::default(); citizens.len()];
        let mut random = SplitMix64::named(seed, "steps");
        let pause = span / u32::try_from(steps.max(1)).unwrap_or(u32::MAX);
        let mut after = Duration::ZERO;
        let steps = (0..steps).filter_map(|number| {
            after += pause;
            let index =
                if number < citizens.len() { number } else { pick_index(&mut random, citizens.len()) };
            let act = lives.get_mut(index)?.next(citizens.get(index)?, index, &catalog, &mut random);
            Some(Step { after, citizen: index, act })
        });
        let steps = steps.collect();
        Self { citizens, steps }
    }
}

/// What a customer has done so far.
#[derive(Debug, Clone, Default)]
struct Life {
    acts: u64,
    orders: VecDeque<(String, String)>,
}

impl Life {
    fn next(&mut self, citizen: &Citizen, index: usize, catalog: &Catalog, random: &mut SplitMix64) -> Act {
        self.acts += 1;
        let login = citizen.devices.first().map(|device| Act::Login { device: device.clone() });
        let usual = random.below(100);
        let act = match usual {
            _ if self.acts == 1 => login,
            0..45 => self.place(index, catalog, random),
            45..68 => self
                .orders
                .pop_front()
                .map(|(instrument, client_id)| Act::CancelOrder { instrument, client_id }),
            68..82 => Some(Act::ReadBalance),
            82..90 => Some(Act::ReadOpenOrders),
            90..96 => random.pick(&citizen.devices).map(|device| Act::Login { device: device.clone() }),
            96..98 => deposit(citizen, random),
            _ => self.withdraw(citizen, index, random),
        };
        act.unwrap_or(Act::ReadBalance)
    }

    fn place(&mut self, index: usize, catalog: &Catalog, random: &mut SplitMix64) -> Option<Act> {
        let instrument = random.pick(&catalog.instruments)?;
        let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let (price, quantity) = everyday_order(instrument, random)?;
        let client_id = format!("honest{index}o{}", self.acts);
        if self.orders.len() >= REMEMBERED_ORDERS_MAX {
            self.orders.pop_front();
        }
        self.orders.push_back((instrument.id.clone(), client_id.clone()));
        Some(Act::PlaceOrder { instrument: instrument.id.clone(), side, price, quantity, client_id })
    }

    fn withdraw(&self, citizen: &Citizen, index: usize, random: &mut SplitMix64) -> Option<Act> {
        let payee = random.pick(&citizen.payees)?.clone();
        // 0.5 to 2 percent of what the customer started with.
        let opening =
            citizen.opening.iter().find(|(asset, ..)| *asset == payee.asset).map(|opening| opening.2)?;
        let share = Amount::from_parts(i128::from(50 + random.below(151)), 4).ok()?;
        let amount = opening.checked_mul(share)?.truncate(4);
        Some(Act::Withdraw { payee, amount, client_id: format!("honest{index}w{}", self.acts) })
    }
}

fn pick_index(random: &mut SplitMix64, len: usize) -> usize {
    let drawn = random.below(u64::try_from(len).unwrap_or(u64::MAX));
    usize::try_from(drawn).unwrap_or_default()
}

fn citizen(seed: u64, index: usize) -> Citizen {
    let mut random = SplitMix64::named(seed, &format!("citizen/{index}"));
    let listed = |text: &str| Asset::parse(text).expect("tickers of the catalogue are upper-case letters");
    let device = |number: u64| {
        DeviceId::parse(&format!("honest-{index}-device-{number}"))
            .expect("words and numbers make a device id")
    };
    let payee = |asset: &str, network, random: &mut SplitMix64| Payee {
        asset: listed(asset),
        network,
        address: address::draw(network, random),
    };
    let payees =
        vec![payee("USDT", Network::Tron, &mut random), payee("ETH", Network::Ethereum, &mut random)];
    let opening = [
        ("BTC", Network::Bitcoin, 5, 1),
        ("ETH", Network::Ethereum, 100, 1),
        ("TRX", Network::Tron, 100_000, 0),
        ("USDC", Network::Ethereum, 20_000, 0),
        ("USDT", Network::Tron, 40_000, 0),
    ];
    let opening = opening.into_iter().map(|(asset, network, mantissa, places)| {
        let amount = Amount::from_parts(mantissa, places).expect("small numbers are amounts");
        (listed(asset), network, amount)
    });
    // 198.18.0.0/15, one address each.
    let [_, _, high, low] = u32::try_from(index).unwrap_or_default().saturating_add(1).to_be_bytes();
    Citizen {
        account: AccountId::parse(&format!("honest-{index}"))
            .expect("a word and a number make an account id"),
        devices: (0..=random.below(2)).map(device).collect(),
        ip: Ipv4Addr::new(198, 18, high, low).into(),
        opening: opening.collect(),
        payees,
    }
}

/// Within one percent of the reference price, worth 10 to 110 of the quote asset.
fn everyday_order(instrument: &Instrument, random: &mut SplitMix64) -> Option<(Amount, Amount)> {
    let near = Amount::from_parts(i128::from(9_900 + random.below(201)), 4).ok()?;
    let price = instrument.reference_price.checked_mul(near)?.truncate(instrument.price_places);
    let value = Amount::from_parts(i128::from(1_000 + random.below(10_001)), 2).ok()?;
    let quantity = value.checked_div(price)?.truncate(instrument.quantity_places);
    Some((price, quantity))
}

fn deposit(citizen: &Citizen, random: &mut SplitMix64) -> Option<Act> {
    let (asset, network, opening) = random.pick(&citizen.opening)?.clone();
    let share = Amount::from_parts(i128::from(1 + random.below(10)), 2).ok()?;
    let amount = opening.checked_mul(share)?.truncate(4);
    Some(Act::Deposit { asset, network, amount, from: address::draw(network, random) })
}

#[cfg(test)]
mod tests {
    use domain::{Destination, UnixNanos};

    use super::*;
    use crate::ledger::{Ledger, NewOrder, NewWithdrawal, OrderKind, OrderRef, QuantityOf, Refusal, Review};

    #[test]
    fn the_same_seed_tells_the_same_story() {
        let draw = |seed| Population::draw(seed, 5, 200, Duration::from_secs(60));
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_eq!(draw(7).steps.len(), 200);
        assert!(Population::draw(7, 0, 10, Duration::ZERO).steps.is_empty());
    }

    #[test]
    fn the_exchange_accepts_everything_honest_customers_do() {
        let population = Population::draw(42, 20, 5_000, Duration::from_secs(3_600));
        let mut ledger = Ledger::new(Catalog::standard());
        let start = UnixNanos::from_secs(1_800_000_000);
        for citizen in &population.citizens {
            ledger.open_account(&citizen.account, start).unwrap();
            for (asset, network, amount) in &citizen.opening {
                ledger.deposit(&citizen.account, asset, *amount, *network, None, start).unwrap();
            }
        }
        let (mut orders, mut withdrawals) = (0, 0);
        for step in &population.steps {
            let account = &population.citizens[step.citizen].account;
            let now = start.plus(step.after);
            match &step.act {
                Act::CancelOrder { instrument, client_id } => {
                    let order = OrderRef::ClientId(client_id.clone());
                    match ledger.cancel_order(account, instrument, &order, now) {
                        Ok(_) | Err(Refusal::OrderFinished | Refusal::OrderUnknown) => {}
                        Err(refusal) => panic!("{refusal}"),
                    }
                }
                Act::Deposit { asset, network, amount, from } => {
                    ledger.deposit(account, asset, *amount, *network, Some(from.clone()), now).unwrap();
                }
                Act::PlaceOrder { instrument, side, price, quantity, client_id } => {
                    orders += 1;
                    let terms = NewOrder {
                        account: account.clone(),
                        instrument: instrument.clone(),
                        side: *side,
                        kind: OrderKind::Limit,
                        price: Some(*price),
                        quantity: *quantity,
                        quantity_of: QuantityOf::Base,
                        client_id: Some(client_id.clone()),
                        tag: None,
                    };
                    ledger.place_order(terms, now).unwrap();
                }
                Act::Withdraw { payee, amount, client_id } => {
                    withdrawals += 1;
                    let request = NewWithdrawal {
                        account: account.clone(),
                        asset: payee.asset.clone(),
                        amount: *amount,
                        fee: None,
                        destination: Destination::OnChain {
                            network: payee.network,
                            address: payee.address.clone(),
                            tag: None,
                        },
                        client_id: Some(client_id.clone()),
                    };
                    ledger.request_withdrawal(&request, Review::Done, now).unwrap();
                }
                Act::Login { .. } | Act::ReadBalance | Act::ReadOpenOrders => {}
            }
            ledger.advance(10, now).unwrap();
        }
        assert!(orders > 1_500 && withdrawals > 50, "{orders} orders, {withdrawals} withdrawals");
        assert!(ledger.trades("BTC-USDT").unwrap().count() > 50);
        assert!(ledger.balances().imbalances().is_empty());
    }
}
