//! The channels: which argument means which, where it may be asked for, and what is pushed for an update.

use domain::{AccountId, Asset, UnixNanos};
use serde_json::{Map, Value, json};

use super::{Scope, book::BookView};
use crate::{
    ledger::{Balance, Ledger, Order, Update},
    rest::{
        account::balance_row,
        fields::Fields,
        funding::{deposit_row, withdrawal_row},
        orders::order_row,
        public::{millis, ticker_row, trade_row},
    },
};

/// Levels a side of the channel `books`.
const BOOK_DEPTH: usize = 400;
/// Levels a side of the channel `books5`.
const BOOK5_DEPTH: usize = 5;

/// What a subscription watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Channel {
    Account {
        asset: Option<Asset>,
    },
    BalanceAndPosition,
    /// `view` is what the client knows: nothing before the first push.
    Book {
        instrument: String,
        view: Option<BookView>,
    },
    /// The five best levels, whole every time.
    Book5 {
        instrument: String,
        view: Option<BookView>,
    },
    Deposits {
        asset: Option<Asset>,
    },
    Orders {
        instrument: Option<String>,
    },
    Positions,
    Ticker {
        instrument: String,
        stale: bool,
    },
    Trades {
        instrument: String,
    },
    TradesAll {
        instrument: String,
    },
    Withdrawals {
        asset: Option<Asset>,
    },
}

/// Why an argument is no channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoChannel {
    /// A parameter is missing or malformed.
    Malformed,
    /// It needs a login first.
    NotLoggedIn,
    /// No such channel at this address, or nothing by that name in it.
    Unknown,
}

impl Channel {
    /// The channel an argument means.
    pub(super) fn of(
        arg: &Fields,
        scope: Scope,
        has_account: bool,
        ledger: &Ledger,
    ) -> Result<Self, NoChannel> {
        let text = |name| arg.text(name).map_err(|_| NoChannel::Malformed);
        let listed = |id: String| {
            if ledger.catalog().instrument(&id).is_some() { Ok(id) } else { Err(NoChannel::Unknown) }
        };
        let instrument = || listed(text("instId")?.ok_or(NoChannel::Malformed)?);
        let asset = || {
            let asset = arg.asset("ccy").map_err(|_| NoChannel::Malformed)?;
            let known = |asset: &Asset| ledger.catalog().currency(asset.as_str()).is_some();
            if asset.as_ref().is_none_or(known) { Ok(asset) } else { Err(NoChannel::Unknown) }
        };
        let name = text("channel")?.ok_or(NoChannel::Malformed)?;
        let channel = match (scope, name.as_str()) {
            (Scope::Public, "books") => Self::Book { instrument: instrument()?, view: None },
            (Scope::Public, "books5") => Self::Book5 { instrument: instrument()?, view: None },
            (Scope::Public, "tickers") => Self::Ticker { instrument: instrument()?, stale: true },
            (Scope::Public, "trades") => Self::Trades { instrument: instrument()? },
            (Scope::Business, "trades-all") => Self::TradesAll { instrument: instrument()? },
            (Scope::Private, "account" | "balance_and_position" | "orders" | "positions")
            | (Scope::Business, "deposit-info" | "withdrawal-info")
                if !has_account =>
            {
                return Err(NoChannel::NotLoggedIn);
            }
            (Scope::Private, "account") => Self::Account { asset: asset()? },
            (Scope::Private, "balance_and_position") => Self::BalanceAndPosition,
            (Scope::Private, "orders") => {
                text("instType")?.ok_or(NoChannel::Malformed)?;
                Self::Orders { instrument: text("instId")?.map(listed).transpose()? }
            }
            (Scope::Private, "positions") => {
                text("instType")?.ok_or(NoChannel::Malformed)?;
                Self::Positions
            }
            (Scope::Business, "deposit-info") => Self::Deposits { asset: asset()? },
            (Scope::Business, "withdrawal-info") => Self::Withdrawals { asset: asset()? },
            _ => return Err(NoChannel::Unknown),
        };
        Ok(channel)
    }

    /// The name by which connections are counted: that of a channel of an account.
    pub(super) const fn counted_as(&self) -> Option<&'static str> {
        match self {
            Self::Account { .. } => Some("account"),
            Self::BalanceAndPosition => Some("balance_and_position"),
            Self::Orders { .. } => Some("orders"),
            Self::Positions => Some("positions"),
            _ => None,
        }
    }

    /// What is pushed right after the subscription.
    pub(super) fn first(&mut self, account: Option<&AccountId>, ledger: &Ledger, now: UnixNanos) -> Pushes {
        match (self, account) {
            (Self::Account { asset }, Some(account)) => {
                let balances: Vec<_> = ledger.balances().balances(account).collect();
                let shown =
                    balances.iter().filter(|(has, _)| asset.as_ref().is_none_or(|asset| asset == *has));
                let shown: Vec<_> = shown.map(|(asset, balance)| ((*asset).clone(), *balance)).collect();
                vec![Push::rows(vec![balance_row(shown.iter(), now)]).event("snapshot")]
            }
            (Self::BalanceAndPosition, Some(account)) => {
                let balances: Vec<_> = ledger.balances().balances(account).collect();
                let rows = balances.iter().map(|(asset, balance)| cash_row(asset, *balance, now)).collect();
                vec![Push::rows(vec![balance_and_position(rows, "snapshot", now)])]
            }
            (Self::Positions, Some(_)) => vec![Push::rows(Vec::new())],
            (market @ (Self::Book { .. } | Self::Book5 { .. } | Self::Ticker { .. }), _) => {
                market.tick(ledger, now)
            }
            _ => Vec::new(),
        }
    }

    /// What is pushed for an update.
    pub(super) fn on_update(
        &mut self,
        update: &Update,
        account: Option<&AccountId>,
        ledger: &Ledger,
        now: UnixNanos,
    ) -> Pushes {
        let mine = |whose: &AccountId| account == Some(whose);
        let row = match (self, update) {
            (Self::Account { asset }, Update::Balances { account, assets }) if mine(account) => {
                let touched = assets.iter().filter(|has| asset.as_ref().is_none_or(|asset| asset == *has));
                let touched: Vec<_> =
                    touched.map(|asset| (asset.clone(), ledger.balances().balance(account, asset))).collect();
                if touched.is_empty() {
                    return Vec::new();
                }
                return vec![Push::rows(vec![balance_row(touched.iter(), now)]).event("event_update")];
            }
            (Self::BalanceAndPosition, Update::Balances { account, assets }) if mine(account) => {
                let balance = |asset| cash_row(asset, ledger.balances().balance(account, asset), now);
                balance_and_position(assets.iter().map(balance).collect(), "filled", now)
            }
            (Self::Orders { instrument }, Update::Order(order)) if mine(&order.terms.account) => {
                if instrument.as_ref().is_some_and(|wanted| *wanted != order.terms.instrument) {
                    return Vec::new();
                }
                order_push(order)
            }
            (
                Self::Trades { instrument } | Self::TradesAll { instrument },
                Update::Trade { instrument: traded, trade },
            ) if instrument == traded => trade_row(instrument, trade),
            (Self::Ticker { instrument, stale }, Update::Book { instrument: changed })
                if instrument == changed =>
            {
                *stale = true;
                return Vec::new();
            }
            (Self::Deposits { asset }, Update::Deposit { account, deposit }) if mine(account) => {
                if asset.as_ref().is_some_and(|asset| *asset != deposit.asset) {
                    return Vec::new();
                }
                deposit_row(ledger.catalog(), deposit)
            }
            (Self::Withdrawals { asset }, Update::Withdrawal(withdrawal)) if mine(&withdrawal.account) => {
                if asset.as_ref().is_some_and(|asset| *asset != withdrawal.asset) {
                    return Vec::new();
                }
                withdrawal_row(ledger.catalog(), withdrawal)
            }
            _ => return Vec::new(),
        };
        vec![Push::rows(vec![row])]
    }

    /// What is pushed at the next tick of market data.
    pub(super) fn tick(&mut self, ledger: &Ledger, now: UnixNanos) -> Pushes {
        let push = match self {
            Self::Book { instrument, view } => {
                let Ok(current) = BookView::of(ledger, instrument, BOOK_DEPTH) else { return Vec::new() };
                let push = match view {
                    Some(view) if view.shows_the_same(&current) => return Vec::new(),
                    Some(view) => {
                        Push::rows(vec![current.changes_since(view, instrument, now)]).action("update")
                    }
                    None => Push::rows(vec![current.snapshot(instrument, now)]).action("snapshot"),
                };
                *view = Some(current);
                push
            }
            Self::Book5 { instrument, view } => {
                let Ok(current) = BookView::of(ledger, instrument, BOOK5_DEPTH) else { return Vec::new() };
                if view.as_ref().is_some_and(|view| view.shows_the_same(&current)) {
                    return Vec::new();
                }
                let mut row = current.snapshot(instrument, now);
                if let Some(row) = row.as_object_mut() {
                    row.remove("prevSeqId");
                }
                *view = Some(current);
                Push::rows(vec![row])
            }
            Self::Ticker { instrument, stale } if *stale => {
                *stale = false;
                let Some(listed) = ledger.catalog().instrument(instrument) else { return Vec::new() };
                let Ok(row) = ticker_row(ledger, listed, now) else { return Vec::new() };
                Push::rows(vec![row])
            }
            _ => return Vec::new(),
        };
        vec![push]
    }
}

/// What one subscription has to say.
pub(super) type Pushes = Vec<Push>;

/// One message of a channel, without its argument.
#[derive(Debug)]
pub(super) struct Push {
    rows: Vec<Value>,
    /// A field beside the rows: what kind of message it is.
    kind: Option<(&'static str, &'static str)>,
}

impl Push {
    const fn rows(rows: Vec<Value>) -> Self {
        Self { rows, kind: None }
    }

    const fn action(mut self, action: &'static str) -> Self {
        self.kind = Some(("action", action));
        self
    }

    const fn event(mut self, event: &'static str) -> Self {
        self.kind = Some(("eventType", event));
        self
    }

    /// The message, with the argument as it was subscribed to.
    pub(super) fn message(self, arg: &Map<String, Value>) -> String {
        let mut message = json!({ "arg": arg, "data": self.rows });
        if let (Some((name, value)), Some(message)) = (self.kind, message.as_object_mut()) {
            message.insert(name.to_owned(), value.into());
        }
        message.to_string()
    }
}

fn cash_row(asset: &Asset, balance: Balance, now: UnixNanos) -> Value {
    json!({ "ccy": asset.as_str(), "cashBal": balance.total().to_string(), "uTime": millis(now) })
}

fn balance_and_position(balances: Vec<Value>, event: &str, now: UnixNanos) -> Value {
    json!({ "pTime": millis(now), "eventType": event, "balData": balances, "posData": [], "trades": [] })
}

/// An order as its channel shows it: as REST does, with the fill that caused the message beside it.
fn order_push(order: &Order) -> Value {
    let mut row = order_row(order);
    if let Some(row) = row.as_object_mut() {
        let fill = order.last_fill.as_ref().filter(|fill| fill.at == order.updated_at);
        let mut put = |name: &str, value: String| row.insert(name.to_owned(), value.into());
        put("fillFee", fill.map_or_else(|| "0".to_owned(), |fill| (-fill.fee).to_string()));
        put("execType", fill.map_or("", |fill| if fill.maker { "M" } else { "T" }).to_owned());
        put("code", "0".to_owned());
        put("msg", String::new());
        put("amendResult", String::new());
        put("reqId", String::new());
    }
    row
}
