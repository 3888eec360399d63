//! Runs the simulated exchange alone, to try clients or a gateway against it by hand.
//!
//! `cargo run -p exchange --example serve -- 127.0.0.1:18080 TOKEN ACCOUNT...`
//!
//! Opens the named accounts with funds, quotes every instrument on both sides from an account of its own, moves
//! withdrawals one step a second, and prints the address it listens on as one line of JSON.

#![allow(clippy::print_stdout, reason = "a program for a terminal")]
#![allow(clippy::disallowed_methods, reason = "the clock of this program")]

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use domain::{AccountId, Amount, Asset, Clock, Network, UnixNanos};
use exchange::{
    Config, Desk, Exchange, Token,
    ledger::{NewOrder, OrderKind, QuantityOf, Side},
};

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixNanos {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixNanos(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
    }
}

fn fund(desk: &Desk, account: &AccountId) -> Result<(), Box<dyn Error>> {
    desk.open_account(account)?;
    let funds = [
        ("BTC", Network::Bitcoin, "10"),
        ("ETH", Network::Ethereum, "100"),
        ("TRX", Network::Tron, "1000000"),
        ("USDC", Network::Ethereum, "1000000"),
        ("USDT", Network::Tron, "1000000"),
    ];
    for (asset, network, amount) in funds {
        desk.deposit(account, &Asset::parse(asset)?, Amount::parse(amount)?, network, None)?;
    }
    Ok(())
}

/// One bid and one ask, one percent around the reference price.
fn quote(desk: &Desk, maker: &AccountId) -> Result<(), Box<dyn Error>> {
    for instrument in desk.catalog().instruments {
        for (side, percent) in [(Side::Buy, "0.99"), (Side::Sell, "1.01")] {
            let price = instrument.reference_price.checked_mul(Amount::parse(percent)?).ok_or("price")?;
            desk.place_order(NewOrder {
                account: maker.clone(),
                instrument: instrument.id.clone(),
                side,
                kind: OrderKind::Limit,
                price: Some(price.truncate(instrument.price_places)),
                quantity: Amount::parse("1")?,
                quantity_of: QuantityOf::Base,
                client_id: None,
                tag: None,
            })?;
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(listen), Some(token)) = (arguments.next(), arguments.next()) else {
        return Err("usage: serve LISTEN TOKEN ACCOUNT...".into());
    };
    let config = Config {
        listen: listen.parse()?,
        upstream_token: Token::new(token),
        seed: 1,
        events: None,
        clock: Arc::new(SystemClock),
    };
    let exchange = Exchange::start(config).await?;
    let desk = exchange.desk();
    let maker = AccountId::parse("market-maker")?;
    fund(&desk, &maker)?;
    quote(&desk, &maker)?;
    for name in arguments {
        fund(&desk, &AccountId::parse(&name)?)?;
    }
    println!("{{\"listening\":\"{}\"}}", exchange.local_addr());
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        desk.advance()?;
    }
}
