use proptest::prelude::*;

use super::*;

const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);

/// Fields as text; `!name` marks a name that is there in another case.
struct Body<'a>(&'a [(&'a str, &'a str)]);

impl Fields for Body<'_> {
    fn text(&self, name: &str) -> Result<Option<Cow<'_, str>>, Unreadable> {
        if self.0.iter().any(|(found, _)| found.strip_prefix('!') == Some(name)) {
            return Err(Unreadable);
        }
        let value = self.0.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
        Ok(value.filter(|value| !value.is_empty()).map(Cow::Borrowed))
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, Unreadable> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Unreadable),
        }
    }

    fn is_present(&self, name: &str) -> Result<bool, Unreadable> {
        self.text(name).map(|text| text.is_some())
    }
}

/// BTC is 60 000 USDT, USD is 1 USDT, SHIB is unknown.
struct Market;

impl ReferencePrices for Market {
    fn price(&self, asset: &Asset, quote: &Asset, _now: UnixNanos) -> Option<Amount> {
        let amount = |text| Amount::parse(text).ok();
        match (asset.as_str(), quote.as_str()) {
            ("BTC", "USDT" | "USD") => amount("60000"),
            ("ETH", "BTC") => amount("0.05"),
            ("USD", "USDT") => amount("1"),
            (left, right) if left == right => amount("1"),
            _ => None,
        }
    }

    fn contract(&self, instrument: &InstrumentId) -> Option<Contract> {
        let (asset, amount) = (|text| Asset::parse(text).unwrap(), |text| Amount::parse(text).unwrap());
        match instrument.as_str() {
            "BTC-USDT-SWAP" => {
                Some(Contract::Linear { size: amount("0.01"), base: asset("BTC"), quote: asset("USDT") })
            }
            "BTC-USD-SWAP" => Some(Contract::Inverse { value: amount("100"), quote: asset("USD") }),
            "BTC-USD-261225-90000-C" => Some(Contract::Option { size: amount("0.1"), base: asset("BTC") }),
            _ => None,
        }
    }
}

fn place(fields: &[(&str, &str)]) -> Result<OrderIntent, Refusal> {
    OrderIntent::read(OrderKind::Place, &Body(fields))
}

fn worth(kind: OrderKind, fields: &[(&str, &str)]) -> Option<String> {
    let order = OrderIntent::read(kind, &Body(fields)).unwrap();
    let value = order.notional(&Asset::parse("USDT").unwrap(), &Market, NOW)?;
    Some(format!("{value:?}").trim_end_matches('0').trim_end_matches('.').to_owned())
}

#[test]
fn what_an_order_is_worth_at_most() {
    let order = |instrument, side, kind, extra: &[(&str, &str)]| {
        let mut fields = vec![("instId", instrument), ("side", side), ("ordType", kind), ("tdMode", "cash")];
        fields.extend(extra);
        worth(OrderKind::Place, &fields)
    };
    let some = |text: &str| Some(text.to_owned());
    // Spot with a limit: buying is worth its price, selling the higher of price and reference.
    assert_eq!(order("BTC-USDT", "buy", "limit", &[("sz", "0.5"), ("px", "50000.1")]), some("25000.05"));
    assert_eq!(order("BTC-USDT", "sell", "limit", &[("sz", "0.5"), ("px", "0.01")]), some("30000"));
    assert_eq!(order("BTC-USDT", "sell", "post_only", &[("sz", "0.5"), ("px", "70000")]), some("35000"));
    assert_eq!(order("SHIB-USDT", "buy", "ioc", &[("sz", "3"), ("px", "2")]), some("6"));
    assert_eq!(order("SHIB-USDT", "sell", "ioc", &[("sz", "3"), ("px", "2")]), None);
    // At the market the size counts the asset that `tgtCcy` says, or its default.
    assert_eq!(order("BTC-USDT", "buy", "market", &[("sz", "100")]), some("100"));
    assert_eq!(order("BTC-USDT", "buy", "market", &[("sz", "2"), ("tgtCcy", "base_ccy")]), some("120000"));
    assert_eq!(order("BTC-USDT", "sell", "market", &[("sz", "2")]), some("120000"));
    assert_eq!(order("BTC-USDT", "sell", "market", &[("sz", "2"), ("tgtCcy", "quote_ccy")]), some("2"));
    assert_eq!(order("SHIB-USDT", "sell", "market", &[("sz", "2")]), None);
    // Another quote asset is converted, or unknown.
    assert_eq!(order("ETH-BTC", "buy", "limit", &[("sz", "2"), ("px", "0.1")]), some("12000"));
    assert_eq!(order("ETH-EUR", "buy", "limit", &[("sz", "2"), ("px", "0.1")]), None);
    // Contracts by their face value; a high price counts, a premium does not.
    assert_eq!(order("BTC-USDT-SWAP", "buy", "limit", &[("sz", "10"), ("px", "60000")]), some("6000"));
    assert_eq!(order("BTC-USDT-SWAP", "buy", "limit", &[("sz", "10"), ("px", "90000")]), some("9000"));
    assert_eq!(order("BTC-USDT-SWAP", "sell", "limit", &[("sz", "10"), ("px", "1")]), some("6000"));
    assert_eq!(order("BTC-USDT-SWAP", "buy", "market", &[("sz", "10")]), some("6000"));
    assert_eq!(order("BTC-USD-SWAP", "sell", "market", &[("sz", "3")]), some("300"));
    let option = "BTC-USD-261225-90000-C";
    assert_eq!(order(option, "buy", "limit", &[("sz", "1"), ("px", "0.0001")]), some("6000"));
    assert_eq!(order(option, "buy", "limit", &[("sz", "1"), ("pxVol", "0.5")]), some("6000"));
    assert_eq!(order("ETH-USDT-SWAP", "buy", "limit", &[("sz", "1"), ("px", "1")]), None);
}

#[test]
fn what_is_left_open_has_no_value() {
    let fields = [("instId", "BTC-USDT"), ("side", "buy"), ("sz", "1"), ("tdMode", "cash")];
    let with = |extra: &[(&'static str, &'static str)]| {
        worth(OrderKind::Place, &[&fields[..], &[("ordType", "limit"), ("px", "1")], extra].concat())
    };
    assert!(with(&[]).is_some());
    assert_eq!(with(&[("attachAlgoOrds", "[{}]")]), None);
    assert_eq!(with(&[("tradeQuoteCcy", "USDC")]), None);
    assert!(with(&[("tradeQuoteCcy", "USDT"), ("reduceOnly", "true")]).is_some());
    // A limit order without its limit.
    assert_eq!(worth(OrderKind::Place, &[&fields[..], &[("ordType", "limit")]].concat()), None);
    // In margin trading the size is not what `tgtCcy` says.
    let margin =
        [("instId", "BTC-USDT"), ("side", "buy"), ("sz", "1"), ("tdMode", "cross"), ("ordType", "market")];
    assert_eq!(worth(OrderKind::Place, &margin).as_deref(), Some("1"));
    assert_eq!(worth(OrderKind::Place, &[&margin[..], &[("tgtCcy", "base_ccy")]].concat()), None);
}

#[test]
fn amendments_closings_and_cancellations() {
    let amend = |extra: &[(&'static str, &'static str)]| {
        worth(OrderKind::Amend, &[&[("instId", "BTC-USDT"), ("ordId", "1")], extra].concat())
    };
    assert_eq!(amend(&[("newSz", "2"), ("newPx", "70000")]).as_deref(), Some("140000"));
    assert_eq!(amend(&[("newSz", "2"), ("newPx", "1")]).as_deref(), Some("120000"));
    assert_eq!(amend(&[("newSz", "2")]), None);
    assert_eq!(amend(&[("newPx", "70000")]), None);
    assert_eq!(worth(OrderKind::Cancel, &[("instId", "BTC-USDT")]).as_deref(), Some("0"));
    assert_eq!(worth(OrderKind::Close, &[("instId", "BTC-USDT-SWAP")]), None);
    assert!(OrderIntent::read(OrderKind::Close, &Body(&[("instId", "BTC-USDT-SWAP")])).unwrap().reduce_only);
}

#[test]
fn bad_fields_are_named() {
    let good = [("instId", "BTC-USDT"), ("side", "buy"), ("ordType", "limit"), ("sz", "1"), ("px", "1")];
    assert!(place(&good).is_ok());
    let invalid = |name: &str| Err(Refusal::ParameterInvalid { parameter: name.to_owned() });
    let empty = |name: &str| Err(Refusal::ParameterEmpty { parameter: name.to_owned() });
    let with = |name: &str, value: &'static str| {
        place(&good.map(|(field, text)| (field, if field == name { value } else { text })))
    };
    for (name, value) in [
        ("instId", "btc-usdt"),
        ("instId", "BTC"),
        ("side", "Buy"),
        ("ordType", "trigger"),
        ("sz", "-1"),
        ("sz", "0"),
        ("sz", "1e3"),
        ("px", "x"),
        ("px", "-1"),
    ] {
        assert_eq!(with(name, value), invalid(name), "{name} {value}");
    }
    for name in ["instId", "side", "ordType", "sz"] {
        assert_eq!(with(name, ""), empty(name));
    }
    for (name, value) in [("instIdCode", "7"), ("!sz", "2"), ("reduceOnly", "yes"), ("!attachAlgoOrds", "1")]
    {
        let found = place(&[&good[..], &[(name, value)]].concat());
        assert_eq!(found, invalid(name.trim_start_matches('!')), "{name}");
    }
}

#[test]
fn transfers_are_read() {
    use TransferDirection as T;
    let read = |fields: &[(&str, &str)]| T::read(&Body(fields));
    assert_eq!(read(&[("from", "6"), ("to", "18")]), Ok(T::FundingToTrading));
    assert_eq!(read(&[("from", "18"), ("to", "6"), ("type", "0")]), Ok(T::TradingToFunding));
    assert_eq!(read(&[("type", "1"), ("from", "6"), ("to", "6")]), Ok(T::MasterToSub));
    assert_eq!(read(&[("type", "2")]), Ok(T::SubToMaster));
    assert_eq!(read(&[("type", "3")]), Ok(T::SubToMaster));
    assert_eq!(read(&[("type", "4")]), Ok(T::SubToSub));
    for (fields, name) in [
        (&[("from", "6"), ("to", "6")][..], "to"),
        (&[("from", "1"), ("to", "6")], "from"),
        (&[("type", "5")], "type"),
        (&[("type", "01")], "type"),
    ] {
        assert_eq!(read(fields), Err(invalid(name)), "{fields:?}");
    }
    for direction in T::ALL {
        assert_eq!(T::parse(direction.as_str()), Some(direction));
    }
}

proptest! {
    /// A sale is never worth less than what it could fetch at the reference price, nor than its own limit.
    #[test]
    fn selling_low_does_not_hide_value(size in 1_u32..1_000_000, price in 1_u32..1_000_000) {
        let (size, price) = (size.to_string(), price.to_string());
        let fields =
            [("instId", "BTC-USDT"), ("side", "sell"), ("ordType", "limit"), ("sz", &*size), ("px", &*price)];
        let order = place(&fields).unwrap();
        let value = order.notional(&Asset::parse("USDT").unwrap(), &Market, NOW).unwrap();
        let at = |price: &str| Notional::of(Amount::parse(&size).unwrap()).unwrap().times(Amount::parse(price).unwrap());
        prop_assert_eq!(Some(value), at(&price).max(at("60000")));
    }
}
