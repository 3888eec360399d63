//! The books against hostile and random use: money is conserved, nothing is spent twice, priority holds.

use domain::{AccountId, Amount, Asset, Destination, EventKind, Network, UnixNanos};
use proptest::{collection::vec, prelude::*};

use super::*;

const TRON: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn asset(text: &str) -> Asset {
    Asset::parse(text).unwrap()
}

fn account(text: &str) -> AccountId {
    AccountId::parse(text).unwrap()
}

fn at(secs: u64) -> UnixNanos {
    UnixNanos::from_secs(1_800_000_000 + secs)
}

/// Three customers, each with 10 BTC, 100 ETH and 100000 USDT.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(Catalog::standard());
    for name in ["alice", "bob", "carol"] {
        let who = account(name);
        ledger.open_account(&who, at(0)).unwrap();
        ledger.deposit(&who, &asset("BTC"), amount("10"), Network::Bitcoin, None, at(0)).unwrap();
        ledger.deposit(&who, &asset("ETH"), amount("100"), Network::Ethereum, None, at(0)).unwrap();
        ledger.deposit(&who, &asset("USDT"), amount("100000"), Network::Tron, None, at(0)).unwrap();
    }
    let _deposits = ledger.take_happenings();
    ledger
}

fn limit(who: &str, side: Side, price: &str, quantity: &str) -> NewOrder {
    NewOrder {
        account: account(who),
        instrument: "BTC-USDT".into(),
        side,
        kind: OrderKind::Limit,
        price: Some(amount(price)),
        quantity: amount(quantity),
        quantity_of: QuantityOf::Base,
        client_id: None,
        tag: None,
    }
}

fn market(who: &str, side: Side, quantity: &str, quantity_of: QuantityOf) -> NewOrder {
    let terms = limit(who, side, "1", quantity);
    NewOrder { kind: OrderKind::Market, price: None, quantity_of, ..terms }
}

fn balance(ledger: &Ledger, who: &str, what: &str) -> (String, String) {
    let balance = ledger.balances().balance(&account(who), &asset(what));
    (balance.available.to_string(), balance.held.to_string())
}

fn pair(available: &str, held: &str) -> (String, String) {
    (available.to_owned(), held.to_owned())
}

#[test]
fn a_trade_moves_money_and_fees_exactly() {
    let mut ledger = ledger();
    let ask = ledger.place_order(limit("alice", Side::Sell, "60000", "1"), at(1)).unwrap();
    assert_eq!(balance(&ledger, "alice", "BTC"), pair("9", "1"));
    let bid = ledger.place_order(limit("bob", Side::Buy, "61000", "0.5"), at(2)).unwrap();
    // The earlier order's price holds; the buyer gets the difference back.
    assert_eq!(bid.state, OrderState::Filled);
    assert_eq!(balance(&ledger, "bob", "USDT"), pair("70000", "0"));
    assert_eq!(balance(&ledger, "bob", "BTC"), pair("10.4995", "0"));
    assert_eq!(balance(&ledger, "alice", "USDT"), pair("129976", "0"));
    assert_eq!(balance(&ledger, "alice", "BTC"), pair("9", "0.5"));
    assert_eq!(ledger.balances().fees(&asset("BTC")).to_string(), "0.0005");
    assert_eq!(ledger.balances().fees(&asset("USDT")).to_string(), "24");
    let resting = ledger.order(&account("alice"), &OrderRef::Id(ask.id)).unwrap();
    assert_eq!((resting.state, resting.remaining()), (OrderState::PartiallyFilled, amount("0.5")));
    assert!(ledger.balances().imbalances().is_empty());

    let kinds: Vec<_> = ledger.take_happenings().into_iter().map(|h| (h.account, h.kind.as_str())).collect();
    let fills = kinds.iter().filter(|(_, kind)| *kind == "order_filled").count();
    let balances = kinds.iter().filter(|(_, kind)| *kind == "balance_changed").count();
    assert_eq!((fills, balances, kinds.len()), (2, 4, 6));
}

#[test]
fn best_price_goes_first_and_among_equals_the_earlier() {
    let mut ledger = ledger();
    for (who, price) in [("alice", "60100"), ("bob", "60000"), ("alice", "60000")] {
        ledger.place_order(limit(who, Side::Sell, price, "1"), at(1)).unwrap();
    }
    ledger.place_order(market("carol", Side::Buy, "0.5", QuantityOf::Base), at(2)).unwrap();
    assert_eq!(balance(&ledger, "bob", "BTC"), pair("9", "0.5"));
    ledger.place_order(market("carol", Side::Buy, "1", QuantityOf::Base), at(3)).unwrap();
    let prices: Vec<_> = ledger.trades("BTC-USDT").unwrap().map(|trade| trade.price.to_string()).collect();
    assert_eq!(prices, ["60000", "60000", "60000"]);
    assert_eq!(
        ledger.levels("BTC-USDT", Side::Sell, 10).unwrap(),
        [(amount("60000"), amount("0.5"), 1), (amount("60100"), amount("1"), 1)]
    );
}

#[test]
fn no_order_trades_with_its_own_account() {
    let mut ledger = ledger();
    let own = ledger.place_order(limit("alice", Side::Sell, "60000", "1"), at(1)).unwrap();
    let buy = ledger.place_order(limit("alice", Side::Buy, "60000", "1"), at(2)).unwrap();
    assert_eq!(buy.state, OrderState::Live);
    let own = ledger.order(&account("alice"), &OrderRef::Id(own.id)).unwrap();
    assert_eq!(own.state, OrderState::Canceled);
    assert_eq!(ledger.trades("BTC-USDT").unwrap().count(), 0);
    assert_eq!(balance(&ledger, "alice", "BTC"), pair("10", "0"));
}

#[test]
fn order_kinds_keep_their_promise() {
    let mut ledger = ledger();
    ledger.place_order(limit("alice", Side::Sell, "60000", "1"), at(1)).unwrap();
    let of = |kind, quantity| NewOrder { kind, ..limit("bob", Side::Buy, "60000", quantity) };
    let post_only = ledger.place_order(of(OrderKind::PostOnly, "1"), at(2)).unwrap();
    assert_eq!((post_only.state, post_only.filled), (OrderState::Canceled, Amount::ZERO));
    let all_or_none = ledger.place_order(of(OrderKind::FillOrKill, "1.2"), at(3)).unwrap();
    assert_eq!((all_or_none.state, all_or_none.filled), (OrderState::Canceled, Amount::ZERO));
    assert_eq!(balance(&ledger, "bob", "USDT"), pair("100000", "0"));
    let at_once = ledger.place_order(of(OrderKind::ImmediateOrCancel, "1.5"), at(4)).unwrap();
    assert_eq!((at_once.state, at_once.filled), (OrderState::Canceled, amount("1")));
    assert_eq!(balance(&ledger, "bob", "USDT"), pair("40000", "0"));
    let nobody = ledger.place_order(market("bob", Side::Buy, "1", QuantityOf::Base), at(5));
    assert_eq!(nobody, Err(Refusal::NoOffer));
}

#[test]
fn a_market_buy_by_value_spends_at_most_the_value() {
    let mut ledger = ledger();
    ledger.place_order(limit("alice", Side::Sell, "59999.9", "0.00001"), at(1)).unwrap();
    ledger.place_order(limit("alice", Side::Sell, "60000.1", "1"), at(1)).unwrap();
    let order = ledger.place_order(market("bob", Side::Buy, "1000", QuantityOf::Quote), at(2)).unwrap();
    assert_eq!(order.state, OrderState::Filled);
    assert!(order.filled_value <= amount("1000"), "{}", order.filled_value);
    // What is left buys less than one lot of 10^-8 BTC.
    let left = amount("1000").checked_sub(order.filled_value).unwrap();
    assert!(left < amount("0.0007"), "{left}");
    assert_eq!(balance(&ledger, "bob", "USDT").1, "0");
}

#[test]
fn what_is_not_there_cannot_be_ordered_or_withdrawn() {
    let mut ledger = ledger();
    let too_much = ledger.place_order(limit("alice", Side::Buy, "60000", "2"), at(1));
    assert_eq!(too_much, Err(Refusal::BalanceInsufficient { asset: asset("USDT") }));
    ledger.place_order(limit("alice", Side::Buy, "50000", "1.9"), at(1)).unwrap();
    // 95000 of 100000 are held; the rest does not cover amount and fee.
    let request = withdrawal("alice", "5000", None);
    let refused = ledger.request_withdrawal(&request, Review::Done, at(2));
    assert_eq!(refused, Err(Refusal::BalanceInsufficient { asset: asset("USDT") }));
    let request = withdrawal("alice", "4999", None);
    ledger.request_withdrawal(&request, Review::Done, at(2)).unwrap();
    assert_eq!(balance(&ledger, "alice", "USDT"), pair("0", "100000"));
}

#[test]
fn malformed_orders_are_named() {
    let mut ledger = ledger();
    let sound = limit("alice", Side::Buy, "60000", "0.1");
    let cases = [
        (
            NewOrder { price: Some(amount("60000.01")), ..sound.clone() },
            Refusal::ParameterInvalid { name: "px" },
        ),
        (NewOrder { price: Some(Amount::ZERO), ..sound.clone() }, Refusal::ParameterInvalid { name: "px" }),
        (NewOrder { price: None, ..sound.clone() }, Refusal::ParameterInvalid { name: "px" }),
        (NewOrder { quantity: -amount("1"), ..sound.clone() }, Refusal::ParameterInvalid { name: "sz" }),
        (NewOrder { quantity: amount("0.000001"), ..sound.clone() }, Refusal::QuantityTooSmall),
        (NewOrder { quantity: amount("0.100000001"), ..sound.clone() }, Refusal::QuantityOffLot),
        (NewOrder { quantity: amount("10001"), ..sound.clone() }, Refusal::AmountTooLarge),
        (NewOrder { instrument: "X".into(), ..sound.clone() }, Refusal::InstrumentUnknown { id: "X".into() }),
        (
            NewOrder { account: account("eve"), ..sound.clone() },
            Refusal::AccountUnknown { account: account("eve") },
        ),
        (
            NewOrder { client_id: Some("a".repeat(33)), ..sound.clone() },
            Refusal::ParameterInvalid { name: "clOrdId" },
        ),
        (
            NewOrder { quantity_of: QuantityOf::Quote, ..sound.clone() },
            Refusal::ParameterInvalid { name: "tgtCcy" },
        ),
    ];
    for (terms, refusal) in cases {
        assert_eq!(ledger.place_order(terms.clone(), at(1)), Err(refusal), "{terms:?}");
    }
    assert_eq!(balance(&ledger, "alice", "USDT"), pair("100000", "0"));
}

#[test]
fn a_client_order_id_is_good_once() {
    let mut ledger = ledger();
    let terms = NewOrder { client_id: Some("mine".into()), ..limit("alice", Side::Buy, "50000", "0.1") };
    ledger.place_order(terms.clone(), at(1)).unwrap();
    assert_eq!(ledger.place_order(terms.clone(), at(2)), Err(Refusal::AlreadyExists { what: "clOrdId" }));
    let reference = OrderRef::ClientId("mine".into());
    ledger.cancel_order(&account("alice"), "BTC-USDT", &reference, at(3)).unwrap();
    assert_eq!(
        ledger.cancel_order(&account("alice"), "BTC-USDT", &reference, at(4)),
        Err(Refusal::OrderFinished)
    );
    assert_eq!(ledger.place_order(terms, at(5)), Err(Refusal::AlreadyExists { what: "clOrdId" }));
    let others = ledger.cancel_order(&account("bob"), "BTC-USDT", &reference, at(6));
    assert_eq!(others, Err(Refusal::OrderUnknown));
}

#[test]
fn amending_keeps_or_loses_the_turn_and_moves_the_reserve() {
    let mut ledger = ledger();
    let first = ledger.place_order(limit("alice", Side::Buy, "50000", "1"), at(1)).unwrap();
    ledger.place_order(limit("bob", Side::Buy, "50000", "1"), at(2)).unwrap();
    let mut amend = |price: Option<&str>, quantity: Option<&str>| {
        let amendment = Amendment { price: price.map(amount), quantity: quantity.map(amount) };
        let alice = account("alice");
        let outcome = ledger.amend_order(&alice, "BTC-USDT", &OrderRef::Id(first.id), amendment, at(3));
        let best = ledger.markets["BTC-USDT"].book.best(Side::Buy).map(|best| best.1);
        (outcome.map(|order| order.held.to_string()), best == Some(first.id))
    };
    assert_eq!(amend(None, Some("0.5")), (Ok("25000".into()), true));
    assert_eq!(amend(None, Some("0.8")), (Ok("40000".into()), false));
    assert_eq!(amend(Some("50001"), None), (Ok("40000.8".into()), true));
    let too_dear = Refusal::BalanceInsufficient { asset: asset("USDT") };
    assert_eq!(amend(None, Some("5")), (Err(too_dear), true));
    assert_eq!(amend(None, None), (Err(Refusal::ParameterInvalid { name: "newSz" }), true));
    assert_eq!(balance(&ledger, "alice", "USDT"), pair("59999.2", "40000.8"));
}

fn withdrawal(who: &str, how_much: &str, client_id: Option<&str>) -> NewWithdrawal {
    NewWithdrawal {
        account: account(who),
        asset: asset("USDT"),
        amount: amount(how_much),
        fee: None,
        destination: Destination::OnChain { network: Network::Tron, address: TRON.into(), tag: None },
        client_id: client_id.map(str::to_owned),
    }
}

#[test]
fn a_withdrawal_goes_out_step_by_step() {
    let mut ledger = ledger();
    let asked = ledger.request_withdrawal(&withdrawal("alice", "100", None), Review::Done, at(1)).unwrap();
    assert_eq!((asked.state, asked.fee.to_string()), (WithdrawalState::Waiting, "1".to_owned()));
    let happened: Vec<_> = ledger.take_happenings().into_iter().map(|h| h.kind).collect();
    assert!(matches!(happened.as_slice(), [EventKind::WithdrawalAccepted { .. }]), "{happened:?}");
    assert!(ledger.advance(10, at(2)).unwrap().is_empty());
    let sent = ledger.withdrawals(&account("alice")).unwrap().next().unwrap();
    assert_eq!(sent.state, WithdrawalState::Broadcasting);
    assert_eq!(sent.transaction_id.as_ref().map(String::len), Some(64));
    assert_eq!(balance(&ledger, "alice", "USDT"), pair("99899", "101"));
    let id = asked.id;
    let too_late = ledger.cancel_withdrawal(&account("alice"), id, at(3));
    assert_eq!(too_late, Err(Refusal::WithdrawalNotInState));
    assert_eq!(ledger.advance(10, at(4)).unwrap().len(), 1);
    assert_eq!(balance(&ledger, "alice", "USDT"), pair("99899", "0"));
    assert_eq!(ledger.balances().fees(&asset("USDT")).to_string(), "1");
    assert_eq!(ledger.balances().external(&asset("USDT")).to_string(), "-299900");
    assert!(ledger.balances().imbalances().is_empty());
    assert!(ledger.advance(10, at(5)).unwrap().is_empty());
}

#[test]
fn a_repeated_withdrawal_moves_nothing_twice() {
    let mut ledger = ledger();
    let request = withdrawal("alice", "100", Some("w1"));
    let first = ledger.request_withdrawal(&request, Review::Done, at(1)).unwrap();
    let again = ledger.request_withdrawal(&request, Review::Done, at(2)).unwrap();
    assert_eq!(first.id, again.id);
    let other = withdrawal("alice", "101", Some("w1"));
    let refused = ledger.request_withdrawal(&other, Review::Done, at(3));
    assert_eq!(refused, Err(Refusal::AlreadyExists { what: "clientId" }));
    assert_eq!(balance(&ledger, "alice", "USDT"), pair("99899", "101"));
}

#[test]
fn a_reviewed_withdrawal_waits_for_a_word() {
    let mut ledger = ledger();
    let ask = |ledger: &mut Ledger| {
        ledger.request_withdrawal(&withdrawal("alice", "100", None), Review::Pending, at(1)).unwrap().id
    };
    let (released, refused) = (ask(&mut ledger), ask(&mut ledger));
    assert!(ledger.take_happenings().is_empty());
    assert!(ledger.advance(10, at(2)).unwrap().is_empty());
    assert_eq!(balance(&ledger, "alice", "USDT"), pair("99798", "202"));
    assert_eq!(ledger.refuse_withdrawal(refused, at(3)).unwrap().state, WithdrawalState::Failed);
    assert_eq!(ledger.release_withdrawal(refused, at(3)), Err(Refusal::WithdrawalUnknown));
    assert_eq!(ledger.release_withdrawal(released, at(3)).unwrap().state, WithdrawalState::Waiting);
    assert_eq!(ledger.take_happenings().len(), 1);
    ledger.cancel_withdrawal(&account("alice"), released, at(4)).unwrap();
    assert_eq!(balance(&ledger, "alice", "USDT"), pair("100000", "0"));
}

#[test]
fn internal_transfers_reach_the_other_account() {
    let mut ledger = ledger();
    let mut request = withdrawal("alice", "100", None);
    for nobody in ["nobody", "alice", "no body"] {
        request.destination = Destination::Internal { recipient: nobody.into() };
        let refused = ledger.request_withdrawal(&request, Review::Done, at(1));
        assert_eq!(refused, Err(Refusal::RecipientUnknown));
    }
    request.destination = Destination::Internal { recipient: "bob".into() };
    ledger.request_withdrawal(&request, Review::Done, at(1)).unwrap();
    ledger.advance(10, at(2)).unwrap();
    assert_eq!(balance(&ledger, "alice", "USDT"), pair("99900", "0"));
    assert_eq!(balance(&ledger, "bob", "USDT"), pair("100100", "0"));
}

#[test]
fn bounds_hold() {
    let mut ledger = ledger();
    for _ in 0..OPEN_ORDERS_PER_ACCOUNT_MAX {
        ledger.place_order(limit("alice", Side::Buy, "1", "0.00001"), at(1)).unwrap();
    }
    let full = ledger.place_order(limit("alice", Side::Buy, "1", "0.00001"), at(1));
    assert_eq!(full, Err(Refusal::LimitReached { what: "open orders" }));
    for _ in 0..OPEN_WITHDRAWALS_PER_ACCOUNT_MAX {
        ledger.request_withdrawal(&withdrawal("bob", "2", None), Review::Done, at(1)).unwrap();
    }
    let full = ledger.request_withdrawal(&withdrawal("bob", "2", None), Review::Done, at(1));
    assert_eq!(full, Err(Refusal::LimitReached { what: "unfinished withdrawals" }));
    let _earlier = ledger.take_happenings();
    // One order that could meet 500 meets a bounded number of them, and reports stay within their bound.
    let sweep = ledger.place_order(limit("carol", Side::Sell, "1", "1"), at(2)).unwrap();
    assert_eq!(ledger.trades("BTC-USDT").unwrap().count(), MATCHES_PER_ORDER_MAX);
    assert_eq!(sweep.state, OrderState::Canceled);
    assert!(ledger.take_happenings().len() <= HAPPENINGS_PER_OPERATION_MAX);
    for round in 0..HISTORY_PER_ACCOUNT_MAX + 10 {
        let id = ledger.place_order(limit("bob", Side::Buy, "0.1", "0.00001"), at(3)).unwrap().id;
        ledger.cancel_order(&account("bob"), "BTC-USDT", &OrderRef::Id(id), at(3)).unwrap();
        assert!(
            ledger.finished_orders(&account("bob")).unwrap().count() <= HISTORY_PER_ACCOUNT_MAX,
            "{round}"
        );
    }
}

/// What somebody tries next.
#[derive(Debug, Clone)]
enum Try {
    Advance,
    Amend(usize, usize, u32, u32),
    Cancel(usize, usize),
    CancelWithdrawal(usize, usize),
    Deposit(usize, u32),
    Place(usize, bool, u8, u32, u32),
    Review(usize, bool),
    Withdraw(usize, u32, bool, bool),
}

fn tries() -> impl Strategy<Value = Try> {
    let who = || 0..3_usize;
    prop_oneof![
        1 => Just(Try::Advance),
        2 => (who(), 0..6_usize, 1..40_u32, 1..4_000_u32).prop_map(|(w, n, p, q)| Try::Amend(w, n, p, q)),
        2 => (who(), 0..6_usize).prop_map(|(w, n)| Try::Cancel(w, n)),
        1 => (who(), 0..4_usize).prop_map(|(w, n)| Try::CancelWithdrawal(w, n)),
        1 => (who(), 0..1_000_000_u32).prop_map(|(w, a)| Try::Deposit(w, a)),
        8 => (who(), any::<bool>(), 0..6_u8, 1..40_u32, 1..4_000_u32)
            .prop_map(|(w, s, k, p, q)| Try::Place(w, s, k, p, q)),
        1 => (who(), any::<bool>()).prop_map(|(w, r)| Try::Review(w, r)),
        2 => (who(), 0..200_000_u32, any::<bool>(), any::<bool>())
            .prop_map(|(w, a, i, r)| Try::Withdraw(w, a, i, r)),
    ]
}

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

fn attempt(ledger: &mut Ledger, what: &Try, now: UnixNanos) -> Result<(), Refusal> {
    let price = |step: u32| Amount::from_parts(i128::from(590_000 + step), 1).unwrap();
    let quantity = |step: u32| Amount::from_parts(i128::from(step), 3).unwrap();
    let nth_order = |ledger: &Ledger, who: &AccountId, n: usize| {
        ledger.open_orders(who).unwrap().nth(n).map(|order| OrderRef::Id(order.id))
    };
    match *what {
        Try::Advance => ledger.advance(5, now).map(|_| ()),
        Try::Amend(who, n, p, q) => {
            let who = account(NAMES[who]);
            let order = nth_order(ledger, &who, n).ok_or(Refusal::OrderUnknown)?;
            let amendment = Amendment { price: Some(price(p)), quantity: Some(quantity(q)) };
            ledger.amend_order(&who, "BTC-USDT", &order, amendment, now).map(|_| ())
        }
        Try::Cancel(who, n) => {
            let who = account(NAMES[who]);
            let order = nth_order(ledger, &who, n).ok_or(Refusal::OrderUnknown)?;
            ledger.cancel_order(&who, "BTC-USDT", &order, now).map(|_| ())
        }
        Try::CancelWithdrawal(who, n) => {
            let who = account(NAMES[who]);
            let id = ledger.withdrawals(&who)?.nth(n).map(|w| w.id).ok_or(Refusal::WithdrawalUnknown)?;
            ledger.cancel_withdrawal(&who, id, now).map(|_| ())
        }
        Try::Deposit(who, cents) => {
            let amount = Amount::from_parts(i128::from(cents), 2).unwrap();
            ledger.deposit(&account(NAMES[who]), &asset("USDT"), amount, Network::Tron, None, now).map(|_| ())
        }
        Try::Place(who, buy, kind, p, q) => {
            let side = if buy { Side::Buy } else { Side::Sell };
            let (kind, quantity_of) = match kind {
                0 => (OrderKind::FillOrKill, QuantityOf::Base),
                1 => (OrderKind::ImmediateOrCancel, QuantityOf::Base),
                2 => (OrderKind::Market, QuantityOf::Base),
                3 if buy => (OrderKind::Market, QuantityOf::Quote),
                4 => (OrderKind::PostOnly, QuantityOf::Base),
                _ => (OrderKind::Limit, QuantityOf::Base),
            };
            let price = kind.has_price().then(|| price(p));
            let terms = limit(NAMES[who], side, "1", "1");
            let terms = NewOrder { kind, price, quantity: quantity(q), quantity_of, ..terms };
            ledger.place_order(terms, now).map(|_| ())
        }
        Try::Review(who, release) => {
            let who = account(NAMES[who]);
            let id =
                ledger.withdrawals(&who)?.find(|w| w.state == WithdrawalState::UnderReview).map(|w| w.id);
            let id = id.ok_or(Refusal::WithdrawalUnknown)?;
            let outcome =
                if release { ledger.release_withdrawal(id, now) } else { ledger.refuse_withdrawal(id, now) };
            outcome.map(|_| ())
        }
        Try::Withdraw(who, cents, internal, reviewed) => {
            let mut request = withdrawal(NAMES[who], "1", None);
            request.amount = Amount::from_parts(i128::from(cents), 2).unwrap();
            if internal {
                request.destination = Destination::Internal { recipient: NAMES[(who + 1) % 3].into() };
            }
            let review = if reviewed { Review::Pending } else { Review::Done };
            ledger.request_withdrawal(&request, review, now).map(|_| ())
        }
    }
}

/// Everything that must hold after every operation.
fn check(ledger: &Ledger) {
    assert!(ledger.balances().imbalances().is_empty(), "money appeared or vanished");
    let mut reserved: BTreeMap<(AccountId, Asset), Amount> = BTreeMap::new();
    let mut reserve = |who: &AccountId, what: &Asset, how_much: Amount| {
        let sum = reserved.entry((who.clone(), what.clone())).or_default();
        *sum = sum.checked_add(how_much).unwrap();
    };
    for order in ledger.open_orders.values() {
        assert!(order.is_open() && order.remaining() > Amount::ZERO, "{order:?}");
        let paid = if order.terms.side == Side::Buy { "USDT" } else { "BTC" };
        let price = order.terms.price.unwrap();
        let needed = match order.terms.side {
            Side::Buy => price.checked_mul(order.remaining()).unwrap(),
            Side::Sell => order.remaining(),
        };
        assert_eq!(order.held, needed, "{order:?}");
        reserve(&order.terms.account, &asset(paid), order.held);
    }
    for (id, who) in &ledger.open_withdrawals {
        let open = ledger.withdrawals(who).unwrap().find(|w| w.id == *id).unwrap();
        assert!(!open.state.is_final());
        reserve(who, &open.asset, open.amount.checked_add(open.fee).unwrap());
    }
    for name in NAMES {
        for (what, balance) in ledger.balances().balances(&account(name)) {
            assert!(!balance.available.is_negative() && !balance.held.is_negative());
            let reserved = reserved.get(&(account(name), what.clone())).copied().unwrap_or_default();
            assert_eq!(balance.held, reserved, "{name} {what}");
        }
    }
    let book = &ledger.markets["BTC-USDT"].book;
    let best = |side| book.best(side).map(|best| best.0);
    if let (Some(bid), Some(ask)) = (best(Side::Buy), best(Side::Sell)) {
        assert!(bid < ask, "book is crossed: {bid} {ask}");
    }
    assert_eq!(book.orders(Side::Buy).count() + book.orders(Side::Sell).count(), ledger.open_orders.len());
}

/// Somebody who was told everything, and must then know how things stand without looking.
struct Watcher {
    open: BTreeMap<OrderId, Order>,
    balances: BTreeMap<(AccountId, Asset), Balance>,
    book: Vec<(Amount, Amount, usize)>,
    trades: Vec<Trade>,
}

impl Watcher {
    fn new(ledger: &mut Ledger) -> Self {
        let _deposits = ledger.take_updates();
        let (open, book, trades) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { open, balances: all_balances(ledger), book, trades }
    }

    fn see(&mut self, ledger: &mut Ledger) {
        let updates = ledger.take_updates();
        assert!(updates.len() <= UPDATES_PER_OPERATION_MAX);
        for update in updates {
            match update {
                Update::Balances { account, assets } => {
                    for asset in assets {
                        let balance = ledger.balances().balance(&account, &asset);
                        self.balances.insert((account.clone(), asset), balance);
                    }
                }
                Update::Book { instrument } => self.book = both_sides(ledger, &instrument),
                Update::Deposit { .. } | Update::Withdrawal(_) => {}
                Update::Order(order) if order.is_open() => {
                    self.open.insert(order.id, *order);
                }
                Update::Order(order) => {
                    assert!(self.open.remove(&order.id).is_some(), "finished before it was seen: {order:?}");
                }
                Update::Trade { trade, .. } => self.trades.push(trade),
            }
        }
        let shown = |order: &Order| (order.id, order.terms.clone(), order.state, order.filled);
        let told: Vec<_> = self.open.values().map(shown).collect();
        let mut real: Vec<_> = ledger.open_orders.values().map(shown).collect();
        real.sort_by_key(|order| order.0);
        assert_eq!(told, real);
        assert_eq!(self.balances, all_balances(ledger));
        assert_eq!(self.book, both_sides(ledger, "BTC-USDT"));
        assert!(self.trades.iter().eq(&ledger.markets["BTC-USDT"].trades));
    }
}

fn all_balances(ledger: &Ledger) -> BTreeMap<(AccountId, Asset), Balance> {
    let of = |who: &str| {
        let who = account(who);
        let balances = ledger.balances().balances(&who);
        balances.map(|(asset, balance)| ((who.clone(), asset.clone()), balance)).collect::<Vec<_>>()
    };
    NAMES.into_iter().flat_map(of).collect()
}

fn both_sides(ledger: &Ledger, instrument: &str) -> Vec<(Amount, Amount, usize)> {
    let levels = |side| ledger.levels(instrument, side, usize::MAX).unwrap();
    [levels(Side::Buy), levels(Side::Sell)].concat()
}

#[test]
fn sub_accounts_trade_and_only_their_master_withdraws() {
    let mut ledger = ledger();
    let (alice, bot) = (account("alice"), account("alice-bot"));
    ledger.open_sub_account(&alice, &bot, at(1)).unwrap();
    assert_eq!(ledger.open_sub_account(&alice, &bot, at(2)), Ok(()));
    assert_eq!(
        ledger.open_sub_account(&account("bob"), &bot, at(2)),
        Err(Refusal::AlreadyExists { what: "sub-account" })
    );
    assert_eq!(ledger.open_sub_account(&bot, &account("nested"), at(2)), Err(Refusal::SubAccount));
    assert_eq!(ledger.sub_accounts(&alice).unwrap(), [(&bot, at(1))]);

    ledger.transfer(&alice, &bot, &asset("USDT"), amount("500")).unwrap();
    let refused = ledger.transfer(&account("bob"), &bot, &asset("USDT"), amount("1"));
    assert_eq!(refused, Err(Refusal::SubAccountUnknown));
    ledger.place_order(limit("alice-bot", Side::Buy, "100", "1"), at(3)).unwrap();
    assert_eq!(balance(&ledger, "alice-bot", "USDT"), pair("400", "100"));
    let refused =
        ledger.request_withdrawal(&withdrawal("alice-bot", "10", None), Review::Done, at(4)).unwrap_err();
    assert_eq!(refused, Refusal::SubAccount);
    ledger.transfer(&bot, &alice, &asset("USDT"), amount("400")).unwrap();
    assert!(ledger.request_withdrawal(&withdrawal("alice", "10", None), Review::Done, at(4)).is_ok());
    assert!(ledger.balances().imbalances().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn money_is_conserved_whatever_is_tried(story in vec(tries(), 1..120)) {
        let mut ledger = ledger();
        let mut watcher = Watcher::new(&mut ledger);
        let mut secs = 0;
        for what in &story {
            secs += 1;
            let before = ledger.balances().balances(&account("alice")).map(|(a, b)| (a.clone(), b)).collect::<Vec<_>>();
            if attempt(&mut ledger, what, at(secs)).is_err() {
                let after = ledger.balances().balances(&account("alice")).map(|(a, b)| (a.clone(), b)).collect::<Vec<_>>();
                prop_assert_eq!(before, after, "a refusal changed a balance");
                prop_assert!(ledger.take_happenings().is_empty(), "a refusal left something to report");
            }
            prop_assert!(ledger.take_happenings().len() <= HAPPENINGS_PER_OPERATION_MAX);
            check(&ledger);
            watcher.see(&mut ledger);
        }
    }
}
