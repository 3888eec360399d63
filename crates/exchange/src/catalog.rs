//! What the exchange lists: currencies with their chains, and spot instruments. Fixed tables, no state.
//!
//! Steps are powers of ten and are kept as a number of decimal places, so "is a multiple of the step" is a
//! comparison of scales and never a division.

use domain::{Amount, Asset, Network};

/// `mantissa * 10^-places` for the constants of this table.
fn amount(mantissa: i64, places: u32) -> Amount {
    Amount::from_parts(i128::from(mantissa), places).expect("64 bits with at most 18 places fit an amount")
}

/// One way for a currency to enter and leave.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The network.
    pub network: Network,
    /// The name in the OKX `chain` parameter, such as `USDT-TRC20`.
    pub name: String,
    /// Fee of a withdrawal, in the currency itself; also the least fee accepted.
    pub withdrawal_fee: Amount,
    /// Largest fee accepted.
    pub withdrawal_fee_max: Amount,
    /// Smallest withdrawal.
    pub withdrawal_min: Amount,
    /// Largest withdrawal.
    pub withdrawal_max: Amount,
    /// Decimal places a withdrawal may have.
    pub withdrawal_places: u32,
    /// Confirmations before a deposit counts.
    pub confirmations: u32,
}

/// A listed currency.
#[derive(Debug, Clone)]
pub struct Currency {
    /// Ticker.
    pub asset: Asset,
    /// Name for people.
    pub name: &'static str,
    /// Ways in and out; never empty.
    pub chains: Vec<Chain>,
}

impl Currency {
    /// The chain over `network`.
    #[must_use]
    pub fn chain(&self, network: Network) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.network == network)
    }
}

/// A spot market.
#[derive(Debug, Clone)]
pub struct Instrument {
    /// Such as `BTC-USDT`.
    pub id: String,
    /// What is traded.
    pub base: Asset,
    /// What it is paid with.
    pub quote: Asset,
    /// Decimal places of a price.
    pub price_places: u32,
    /// Decimal places of a quantity.
    pub quantity_places: u32,
    /// Smallest quantity.
    pub quantity_min: Amount,
    /// Largest quantity of one order.
    pub quantity_max: Amount,
    /// Largest price.
    pub price_max: Amount,
    /// Price shown before the first trade.
    pub reference_price: Amount,
}

/// Everything listed.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// Currencies, by ticker.
    pub currencies: Vec<Currency>,
    /// Spot instruments, by id.
    pub instruments: Vec<Instrument>,
}

impl Catalog {
    /// The listing of the simulated exchange.
    #[must_use]
    pub fn standard() -> Self {
        let currencies = vec![
            currency("BTC", "Bitcoin", 8, &[(Network::Bitcoin, "Bitcoin", (1, 4), (1, 3), 2)]),
            currency(
                "ETH",
                "Ethereum",
                8,
                &[
                    (Network::Ethereum, "ERC20", (4, 4), (1, 2), 64),
                    (Network::Arbitrum, "Arbitrum One", (1, 4), (1, 3), 64),
                    (Network::Base, "Base", (4, 5), (1, 3), 64),
                    (Network::Optimism, "Optimism", (4, 5), (1, 3), 64),
                ],
            ),
            currency("TRX", "TRON", 6, &[(Network::Tron, "TRC20", (1, 0), (2, 0), 38)]),
            currency(
                "USDC",
                "USD Coin",
                6,
                &[
                    (Network::Ethereum, "ERC20", (2, 0), (2, 0), 64),
                    (Network::Base, "Base", (1, 1), (1, 0), 64),
                ],
            ),
            currency(
                "USDT",
                "Tether",
                6,
                &[
                    (Network::Tron, "TRC20", (1, 0), (2, 0), 38),
                    (Network::Ethereum, "ERC20", (2, 0), (2, 0), 64),
                    (Network::Arbitrum, "Arbitrum One", (1, 1), (1, 0), 64),
                    (Network::Avalanche, "Avalanche C-Chain", (1, 1), (1, 0), 12),
                    (Network::Bnb, "BSC", (1, 1), (1, 0), 30),
                    (Network::Optimism, "Optimism", (1, 1), (1, 0), 64),
                    (Network::Polygon, "Polygon", (1, 1), (1, 0), 128),
                ],
            ),
        ];
        let instruments = vec![
            instrument("BTC", "USDT", (1, 8), (1, 5), 10_000, (60_000, 0)),
            instrument("ETH", "USDT", (2, 6), (1, 3), 100_000, (3_000, 0)),
            instrument("TRX", "USDT", (5, 3), (1, 0), 100_000_000, (15, 2)),
            instrument("USDC", "USDT", (4, 2), (1, 0), 100_000_000, (1, 0)),
        ];
        Self { currencies, instruments }
    }

    /// The currency with this ticker.
    #[must_use]
    pub fn currency(&self, asset: &str) -> Option<&Currency> {
        self.currencies.iter().find(|currency| currency.asset.as_str() == asset)
    }

    /// The instrument with this id.
    #[must_use]
    pub fn instrument(&self, id: &str) -> Option<&Instrument> {
        self.instruments.iter().find(|instrument| instrument.id == id)
    }

    /// The number by which web socket clients may name an instrument instead.
    #[must_use]
    pub fn code_of(&self, id: &str) -> Option<u64> {
        let place = self.instruments.iter().position(|instrument| instrument.id == id)?;
        Some(FIRST_CODE + u64::try_from(place).ok()?)
    }

    /// The instrument with this number.
    #[must_use]
    pub fn instrument_of_code(&self, code: u64) -> Option<&Instrument> {
        self.instruments.get(usize::try_from(code.checked_sub(FIRST_CODE)?).ok()?)
    }
}

/// The number of the first instrument.
const FIRST_CODE: u64 = 10_001;

/// (network, name, fee, least amount, confirmations); amounts as (mantissa, places).
type ChainRow = (Network, &'static str, (i64, u32), (i64, u32), u32);

fn asset(ticker: &str) -> Asset {
    Asset::parse(ticker).expect("listed tickers are upper-case letters")
}

fn currency(ticker: &str, name: &'static str, places: u32, chains: &[ChainRow]) -> Currency {
    let chains = chains
        .iter()
        .map(|(network, chain, fee, min, confirmations)| Chain {
            network: *network,
            name: format!("{ticker}-{chain}"),
            withdrawal_fee: amount(fee.0, fee.1),
            withdrawal_fee_max: amount(fee.0.saturating_mul(10), fee.1),
            withdrawal_min: amount(min.0, min.1),
            withdrawal_max: amount(100_000_000, 0),
            withdrawal_places: places,
            confirmations: *confirmations,
        })
        .collect();
    Currency { asset: asset(ticker), name, chains }
}

fn instrument(
    base: &str,
    quote: &str,
    (price_places, quantity_places): (u32, u32),
    min: (i64, u32),
    quantity_max: i64,
    reference: (i64, u32),
) -> Instrument {
    Instrument {
        id: format!("{base}-{quote}"),
        base: asset(base),
        quote: asset(quote),
        price_places,
        quantity_places,
        quantity_min: amount(min.0, min.1),
        quantity_max: amount(quantity_max, 0),
        price_max: amount(10_000_000, 0),
        reference_price: amount(reference.0, reference.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chain_name_is_one_the_words_know() {
        for currency in Catalog::standard().currencies {
            assert!(!currency.chains.is_empty());
            for chain in &currency.chains {
                assert_eq!(
                    Network::from_okx_chain(currency.asset.as_str(), &chain.name),
                    Ok(chain.network),
                    "{}",
                    chain.name
                );
                assert!(chain.withdrawal_fee <= chain.withdrawal_fee_max);
            }
        }
    }

    #[test]
    fn instruments_trade_listed_currencies() {
        let catalog = Catalog::standard();
        for code in [0, FIRST_CODE - 1, FIRST_CODE + 1_000, u64::MAX] {
            assert!(catalog.instrument_of_code(code).is_none());
        }
        for instrument in &catalog.instruments {
            assert!(catalog.currency(instrument.base.as_str()).is_some());
            assert!(catalog.currency(instrument.quote.as_str()).is_some());
            // The largest notional and its fee stay exact: see the bound in the balances module.
            assert!(instrument.price_places + instrument.quantity_places <= crate::ledger::PLACES_MAX);
            let code = catalog.code_of(&instrument.id).unwrap();
            assert_eq!(catalog.instrument_of_code(code).unwrap().id, instrument.id);
        }
    }
}
