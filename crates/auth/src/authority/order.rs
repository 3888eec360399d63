//! What a request would do to the market, read from the fields of an OKX v5 body, and what it is worth at most.
//!
//! The caller reads JSON (strictly: no field named twice or in another case) and shows the fields through [`Fields`];
//! this module decides which of them matter. Only what a key with an instrument or notional bound needs is read.
//!
//! **Worth at most.** A limit order to buy never pays more than its price. A limit order to *sell* at a low price
//! trades at whatever is bid, so it is worth its price or the reference price, whichever is higher; so is an
//! amendment, whose side the request does not say. A market order is worth its quote size, or its base size at the
//! reference price. Contracts count by their face value, options by that of what they are on, never by their premium.
//! What a request leaves open, or no reference is known for, has no value and is refused by whoever has a bound.
//!
//! Sources: OKX v5 API documentation, "Place order", "Amend order", "Close positions".

use std::borrow::Cow;

use domain::{Amount, Asset, UnixNanos};

use super::{InstrumentId, Notional};
use crate::refusal::Refusal;

/// Orders in one batch, as OKX has it.
pub const BATCH_MAX: usize = 20;

/// A field that two readers may understand differently, or that is not of the type asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// The fields of one JSON object. Names are matched exactly; a name in another case, or twice, is [`Unreadable`].
pub trait Fields {
    /// The text of a JSON string, or of a number as it stands; `None` if absent, `null` or empty.
    ///
    /// # Errors
    /// [`Unreadable`] for any other value.
    fn text(&self, name: &str) -> Result<Option<Cow<'_, str>>, Unreadable>;

    /// A JSON boolean, or the string `true` or `false`; `None` if absent, `null` or empty.
    ///
    /// # Errors
    /// [`Unreadable`] for any other value.
    fn flag(&self, name: &str) -> Result<Option<bool>, Unreadable>;

    /// Whether the field is there with anything but `null`, an empty string or an empty array.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn is_present(&self, name: &str) -> Result<bool, Unreadable>;
}

/// What an endpoint does to orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderKind {
    /// Changes one.
    Amend,
    /// Cancels one.
    Cancel,
    /// Closes a whole position at the market.
    Close,
    /// Places one.
    Place,
}

/// Direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Pays the quote asset.
    Buy,
    /// Gives the base asset.
    Sell,
}

/// What the size counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SizeUnit {
    /// The base asset of a spot pair.
    Base,
    /// Contracts.
    Contract,
    /// The quote asset of a spot pair.
    Quote,
}

/// One order as the bounds see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderIntent {
    /// What is done.
    pub kind: OrderKind,
    /// Of what.
    pub instrument: InstrumentId,
    /// Direction, where the request says it.
    pub side: Option<Side>,
    /// How much, where the request says it; above zero.
    pub size: Option<Amount>,
    /// What `size` counts.
    pub unit: SizeUnit,
    /// The limit; `None` at the market, or where the request leaves it open.
    pub price: Option<Amount>,
    /// Whether it can only make a position smaller. It counts all the same: funds also leave through bad prices.
    pub reduce_only: bool,
    /// Whether more would follow from it than size and price say, such as attached orders.
    pub open_ended: bool,
}

/// What a derivative stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contract {
    /// A contract over a fixed value, settled in the base asset: `BTC-USD-SWAP` is 100 USD.
    Inverse {
        /// Value of one contract.
        value: Amount,
        /// In this asset.
        quote: Asset,
    },
    /// A contract over a fixed amount of the base asset.
    Linear {
        /// Base asset per contract, multiplier included.
        size: Amount,
        /// What it is on.
        base: Asset,
        /// What its price is in.
        quote: Asset,
    },
    /// An option over a fixed amount of the base asset; its price is a premium and no measure of it.
    Option {
        /// Base asset per contract, multiplier included.
        size: Amount,
        /// What it is on.
        base: Asset,
    },
}

/// What is known about the market. Nothing is known that is stale: the implementation says for how long a price holds.
pub trait ReferencePrices {
    /// Value of one `asset` in `quote` at `now`; one for an asset in itself.
    fn price(&self, asset: &Asset, quote: &Asset, now: UnixNanos) -> Option<Amount>;

    /// What one contract of a derivative stands for.
    fn contract(&self, instrument: &InstrumentId) -> Option<Contract>;
}

/// Nothing is known: only buying orders with a limit, quoted in the asset of the bound, have a value.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPrices;

impl ReferencePrices for NoPrices {
    fn price(&self, asset: &Asset, quote: &Asset, _now: UnixNanos) -> Option<Amount> {
        (asset == quote).then(one)
    }

    fn contract(&self, _instrument: &InstrumentId) -> Option<Contract> {
        None
    }
}

fn one() -> Amount {
    Amount::from_parts(1, 0).expect("one is in range")
}

impl OrderIntent {
    /// Reads one order: the body of a single-order endpoint, or one element of a batch.
    ///
    /// # Errors
    /// 51000 or 50014 naming the field.
    pub fn read(kind: OrderKind, fields: &impl Fields) -> Result<Self, Refusal> {
        let reader = Reader(fields);
        if reader.is_present("instIdCode")? {
            // A second name of the instrument, which might be another one.
            return Err(invalid("instIdCode"));
        }
        let instrument = reader.required("instId")?;
        let instrument = InstrumentId::parse(&instrument).map_err(|_| invalid("instId"))?;
        let spot = instrument.spot().is_some();
        let mut intent = Self {
            kind,
            unit: if spot { SizeUnit::Base } else { SizeUnit::Contract },
            instrument,
            side: None,
            size: None,
            price: None,
            reduce_only: false,
            open_ended: reader.is_present("attachAlgoOrds")?,
        };
        match kind {
            OrderKind::Cancel => {}
            OrderKind::Close => intent.reduce_only = true,
            OrderKind::Amend => {
                intent.size = reader.amount("newSz")?;
                intent.price = reader.amount("newPx")?;
            }
            OrderKind::Place => intent.read_new(&reader, spot)?,
        }
        Ok(intent)
    }

    fn read_new(&mut self, reader: &Reader<'_, impl Fields>, spot: bool) -> Result<(), Refusal> {
        let side = match &*reader.required("side")? {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            _ => return Err(invalid("side")),
        };
        self.side = Some(side);
        self.reduce_only = reader.flag("reduceOnly")?.unwrap_or(false);
        self.size = reader.amount("sz")?;
        if self.size.is_none() {
            return Err(Refusal::ParameterEmpty { parameter: "sz".to_owned() });
        }
        let at_market = match &*reader.required("ordType")? {
            "market" | "optimal_limit_ioc" => true,
            "limit" | "post_only" | "fok" | "ioc" | "mmp" | "mmp_and_post_only" | "op_fok" => false,
            // A kind unknown here may mean anything by its size and price.
            _ => return Err(invalid("ordType")),
        };
        if !at_market {
            self.price = reader.amount("px")?;
            // Options may be priced by volatility or in dollars; anything else without a price is left open.
            let option = self.instrument.as_str().ends_with("-C") || self.instrument.as_str().ends_with("-P");
            self.open_ended |= self.price.is_none() && !option;
        }
        // Settled in another asset than the pair says.
        let other = reader.text("tradeQuoteCcy")?;
        self.open_ended |=
            other.is_some_and(|asset| self.instrument.spot().is_none_or(|(_, quote)| quote != asset));
        if spot && at_market {
            self.unit = match (reader.text("tgtCcy")?.as_deref(), side) {
                (Some("base_ccy"), _) | (None, Side::Sell) => SizeUnit::Base,
                (Some("quote_ccy"), _) | (None, Side::Buy) => SizeUnit::Quote,
                (Some(_), _) => return Err(invalid("tgtCcy")),
            };
            // In margin trading a market order to buy is sized in the quote asset, one to sell in the base asset,
            // whatever `tgtCcy` says; only plain spot trading honours it.
            if reader.text("tdMode")?.as_deref() != Some("cash") {
                let expected = if side == Side::Buy { SizeUnit::Quote } else { SizeUnit::Base };
                self.open_ended |= self.unit != expected;
            }
        }
        Ok(())
    }

    /// What it is worth at most in `quote`; zero for a cancellation, `None` if that cannot be known.
    #[must_use]
    pub fn notional(&self, quote: &Asset, prices: &impl ReferencePrices, now: UnixNanos) -> Option<Notional> {
        match self.kind {
            OrderKind::Cancel => return Some(Notional::ZERO),
            OrderKind::Close => return None,
            OrderKind::Amend | OrderKind::Place if self.open_ended => return None,
            // Without its price an amended order keeps one that is not known here.
            OrderKind::Amend if self.price.is_none() => return None,
            OrderKind::Amend | OrderKind::Place => {}
        }
        let size = Notional::of(self.size?)?;
        let in_quote =
            |value: Notional, asset: &Asset| value.times(prices.price(asset, quote, now).filter(positive)?);
        let Some((base, pair_quote)) = self.instrument.spot() else {
            return match prices.contract(&self.instrument)? {
                Contract::Inverse { value, quote: asset } => in_quote(size.times(value)?, &asset),
                Contract::Linear { size: per_contract, base, quote: asset } => {
                    let price = self.price_at_most(&base, &asset, prices, now)?;
                    in_quote(size.times(per_contract)?.times(price)?, &asset)
                }
                Contract::Option { size: per_contract, base } => in_quote(size.times(per_contract)?, &base),
            };
        };
        let (base, asset) = (Asset::parse(base).ok()?, Asset::parse(pair_quote).ok()?);
        match self.unit {
            SizeUnit::Quote => in_quote(size, &asset),
            SizeUnit::Base => {
                let price = self.price_at_most(&base, &asset, prices, now)?;
                in_quote(size.times(price)?, &asset)
            }
            SizeUnit::Contract => None,
        }
    }

    /// The highest price one unit of the base asset may trade at.
    fn price_at_most(
        &self,
        base: &Asset,
        asset: &Asset,
        prices: &impl ReferencePrices,
        now: UnixNanos,
    ) -> Option<Amount> {
        let reference = || prices.price(base, asset, now).filter(positive);
        match (self.price, self.side) {
            (Some(limit), Some(Side::Buy)) => Some(limit),
            (Some(limit), _) => Some(limit.max(reference()?)),
            (None, _) => reference(),
        }
    }
}

fn positive(price: &Amount) -> bool {
    *price > Amount::ZERO
}

/// Where a transfer between own accounts goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferDirection {
    /// From the funding to the trading account.
    FundingToTrading,
    /// From the master account to a sub-account.
    MasterToSub,
    /// From a sub-account to the master account.
    SubToMaster,
    /// From one sub-account to another.
    SubToSub,
    /// From the trading to the funding account.
    TradingToFunding,
}

impl TransferDirection {
    /// Every direction.
    pub const ALL: [Self; 5] = [
        Self::FundingToTrading,
        Self::MasterToSub,
        Self::SubToMaster,
        Self::SubToSub,
        Self::TradingToFunding,
    ];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FundingToTrading => "funding_to_trading",
            Self::MasterToSub => "master_to_sub",
            Self::SubToMaster => "sub_to_master",
            Self::SubToSub => "sub_to_sub",
            Self::TradingToFunding => "trading_to_funding",
        }
    }

    /// Parses the name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|direction| direction.as_str() == name)
    }

    pub(super) const fn bit(self) -> u8 {
        match self {
            Self::FundingToTrading => 1,
            Self::MasterToSub => 2,
            Self::SubToMaster => 4,
            Self::SubToSub => 8,
            Self::TradingToFunding => 16,
        }
    }

    /// Reads the body of `POST /api/v5/asset/transfer`.
    ///
    /// # Errors
    /// 51000 or 50014 naming the field.
    pub fn read(fields: &impl Fields) -> Result<Self, Refusal> {
        let reader = Reader(fields);
        match reader.text("type")?.as_deref() {
            None | Some("0") => match (&*reader.required("from")?, &*reader.required("to")?) {
                ("6", "18") => Ok(Self::FundingToTrading),
                ("18", "6") => Ok(Self::TradingToFunding),
                ("6" | "18", _) => Err(invalid("to")),
                _ => Err(invalid("from")),
            },
            Some("1") => Ok(Self::MasterToSub),
            Some("2" | "3") => Ok(Self::SubToMaster),
            Some("4") => Ok(Self::SubToSub),
            Some(_) => Err(invalid("type")),
        }
    }
}

struct Reader<'a, F>(&'a F);

impl<'a, F: Fields> Reader<'a, F> {
    fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        self.0.text(name).map_err(|Unreadable| invalid(name))
    }

    fn required(&self, name: &str) -> Result<Cow<'a, str>, Refusal> {
        self.text(name)?.ok_or_else(|| Refusal::ParameterEmpty { parameter: name.to_owned() })
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        self.0.flag(name).map_err(|Unreadable| invalid(name))
    }

    fn is_present(&self, name: &str) -> Result<bool, Refusal> {
        self.0.is_present(name).map_err(|Unreadable| invalid(name))
    }

    /// A number above zero, or nothing.
    fn amount(&self, name: &str) -> Result<Option<Amount>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let amount = Amount::parse(&text).ok().filter(positive);
        amount.map(Some).ok_or_else(|| invalid(name))
    }
}

fn invalid(parameter: &str) -> Refusal {
    Refusal::ParameterInvalid { parameter: parameter.to_owned() }
}

#[cfg(test)]
mod tests;
