"""An ordinary ccxt.pro user watches the market and trades over web sockets, through the gateway, with the unmodified
client.

Ticker, order book, trades, balance, orders, and orders placed, amended and cancelled over the socket, with every
answer asserted. Prints one line of JSON: {"ok": true, "steps": [...]} or {"ok": false, "step": ..., "error": ...}.

Expects the account to hold at least 1,000 USDT, and somebody else to quote BTC-USDT on both sides.
"""

import argparse
import asyncio
import json
import sys

import ccxt
import ccxt.pro

PATIENCE = 30
STEPS = []


def step(name):
    STEPS.append(name)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, PATIENCE)


def client(arguments, **changes):
    rest = arguments.gateway.rstrip("/")
    settings = {
        "apiKey": arguments.key,
        "secret": arguments.secret,
        "password": arguments.passphrase,
        "urls": {"api": {"rest": rest, "ws": rest.replace("http", "ws", 1) + "/ws/v5"}},
        "enableRateLimit": False,
    }
    exchange = ccxt.pro.okx({**settings, **changes})
    if arguments.ca:
        exchange.cafile = arguments.ca
    return exchange


async def market_data(exchange):
    step("watch_ticker")
    ticker = await soon(exchange.watch_ticker("BTC/USDT"))
    check(ticker["bid"] < ticker["ask"], f"ticker: {ticker}")

    step("watch_order_book")
    book = await soon(exchange.watch_order_book("BTC/USDT"))
    check(book["bids"][0][0] < book["asks"][0][0], "book is quoted and not crossed")
    return ticker


async def subscribed(exchange, channel):
    """Until the client has sent its subscription."""
    while not any(name.startswith(channel) for client in exchange.clients.values() for name in client.subscriptions):
        await asyncio.sleep(0.01)


async def order_where(exchange, order_id, holds):
    """The order's next state of which something holds."""
    while True:
        for order in await exchange.watch_orders("BTC/USDT"):
            if order["id"] == order_id and holds(order):
                return order


async def trading(exchange, ticker):
    step("watch_balance")
    balance = await soon(exchange.watch_balance())
    check(balance["USDT"]["free"] >= 1000, f"balance: {balance['USDT']}")

    step("create_order_ws")
    price = float(exchange.price_to_precision("BTC/USDT", ticker["bid"] * 0.9))
    # Waited for before the order is placed, so that nothing is missed.
    balances = asyncio.ensure_future(exchange.watch_balance())
    orders = asyncio.ensure_future(exchange.watch_orders("BTC/USDT"))
    await soon(subscribed(exchange, "orders"))
    placed = await soon(exchange.create_order_ws("BTC/USDT", "limit", "buy", 0.001, price))
    check(placed["id"], f"placed: {placed}")

    step("watch_orders")
    seen = await soon(orders)
    check(placed["id"] in [order["id"] for order in seen], f"the new order is pushed: {seen}")
    balance = await soon(balances)
    check(balance["USDT"]["used"] > 0, "the order holds funds")

    step("edit_order_ws")
    amended = asyncio.ensure_future(order_where(exchange, placed["id"], lambda order: order["amount"] == 0.002))
    await soon(exchange.edit_order_ws(placed["id"], "BTC/USDT", "limit", "buy", 0.002, price))
    check((await soon(amended))["status"] == "open", "the amendment is pushed")

    step("cancel_order_ws")
    gone = asyncio.ensure_future(order_where(exchange, placed["id"], lambda order: order["status"] == "canceled"))
    await soon(exchange.cancel_order_ws(placed["id"], "BTC/USDT"))
    await soon(gone)

    step("create_order_ws without funds")
    try:
        await soon(exchange.create_order_ws("BTC/USDT", "limit", "buy", 9_000, price))
        check(False, "an order without funds is refused")
    except ccxt.ExchangeError as error:
        # Over web sockets the client has no class of its own for it.
        check("51008" in str(error), f"refused: {error}")

    step("watch_trades")
    trades = asyncio.ensure_future(exchange.watch_trades("BTC/USDT"))
    # Market data comes over another connection: whether its subscription is in force shows when a trade is pushed.
    for _ in range(100):
        bought = await soon(exchange.create_order_ws("BTC/USDT", "market", "buy", 0.001))
        filled = await soon(exchange.fetch_order(bought["id"], "BTC/USDT"))
        check(filled["status"] == "closed", f"order: {filled}")
        if (await asyncio.wait([trades], timeout=0.1))[0]:
            break
    check((await soon(trades))[-1]["amount"] == 0.001, "the trade is pushed")


async def refusals(arguments):
    step("watch_balance with a wrong secret")
    stranger = client(arguments, secret="0" * 32)
    try:
        # The market list is public but for the currencies, which a stranger may not ask for.
        stranger.has["fetchCurrencies"] = False
        await soon(stranger.watch_balance())
        check(False, "a wrong signature is refused")
    except ccxt.AuthenticationError:
        pass
    finally:
        await stranger.close()


async def story(arguments):
    exchange = client(arguments)
    try:
        step("load_markets")
        await soon(exchange.load_markets())
        ticker = await market_data(exchange)
        await trading(exchange, ticker)
    finally:
        await exchange.close()
    await refusals(arguments)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gateway", required=True, help="base URL, such as https://localhost:8443")
    parser.add_argument("--ca", help="PEM file of the certificate authority of the gateway")
    parser.add_argument("--key", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--passphrase", required=True)
    arguments = parser.parse_args()
    try:
        asyncio.run(story(arguments))
    except Exception as error:  # every failure is one line of JSON
        failed = STEPS[-1] if STEPS else "start"
        print(json.dumps({"ok": False, "step": failed, "error": f"{type(error).__name__}: {error}"}))
        return 1
    print(json.dumps({"ok": True, "client": f"ccxt.pro {ccxt.__version__}", "steps": STEPS}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
