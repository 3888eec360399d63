"""The story of an ordinary ccxt user, told through the gateway by the unmodified client.

Market data, balances, orders (place, read, amend, cancel, trade), deposit address and a withdrawal, with every
answer asserted. Prints one line of JSON: {"ok": true, "steps": [...]} or {"ok": false, "step": ..., "error": ...}.

Expects the account to hold at least 1,000 USDT and 1 ETH, and somebody else to quote BTC-USDT on both sides. With
--withdraw-to the address must be in the address book; without it the withdrawal is left out. --expect-refused
CLASS turns the withdrawal around: it must be refused, with that ccxt exception.
"""

import argparse
import json
import sys
import time

import ccxt

STEPS = []


def step(name):
    STEPS.append(name)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def client(arguments):
    settings = {
        "apiKey": arguments.key,
        "secret": arguments.secret,
        "password": arguments.passphrase,
        "urls": {"api": {"rest": arguments.gateway.rstrip("/")}},
        "enableRateLimit": False,
    }
    exchange = ccxt.okx(settings)
    if arguments.ca:
        exchange.validateServerSsl = arguments.ca
    return exchange


def market_data(exchange):
    step("load_markets")
    markets = exchange.load_markets()
    check("BTC/USDT" in markets, "BTC/USDT is listed")
    check(markets["BTC/USDT"]["precision"]["price"] == 0.1, "price step")
    networks = exchange.currencies["USDT"]["networks"]
    check({"TRC20", "ERC20"} <= set(networks), f"networks of USDT: {sorted(networks)}")
    check(networks["TRC20"]["fee"] == 1, "withdrawal fee")

    step("fetch_time")
    check(abs(exchange.fetch_time() - time.time() * 1000) < 60_000, "server time")

    step("fetch_ticker")
    ticker = exchange.fetch_ticker("BTC/USDT")
    check(ticker["last"] > 0 and ticker["bid"] < ticker["ask"], f"ticker: {ticker}")

    step("fetch_order_book")
    book = exchange.fetch_order_book("BTC/USDT")
    check(book["bids"][0][0] < book["asks"][0][0], "book is quoted and not crossed")
    return ticker


def orders(exchange, ticker):
    step("fetch_balance")
    balance = exchange.fetch_balance()
    check(balance["USDT"]["free"] >= 1000, f"balance: {balance['USDT']}")
    free = balance["USDT"]["free"]

    step("create_order")
    price = exchange.price_to_precision("BTC/USDT", ticker["bid"] * 0.9)
    placed = exchange.create_order("BTC/USDT", "limit", "buy", 0.001, float(price))
    check(placed["id"], "order has an id")

    step("fetch_open_orders")
    pending = exchange.fetch_open_orders("BTC/USDT")
    check(placed["id"] in [order["id"] for order in pending], "the order is open")
    check(exchange.fetch_balance()["USDT"]["used"] > 0, "the order holds funds")

    step("fetch_order")
    order = exchange.fetch_order(placed["id"], "BTC/USDT")
    check(order["status"] == "open" and order["amount"] == 0.001, f"order: {order}")

    step("edit_order")
    exchange.edit_order(placed["id"], "BTC/USDT", "limit", "buy", 0.002, float(price))
    check(exchange.fetch_order(placed["id"], "BTC/USDT")["amount"] == 0.002, "the order was amended")

    step("cancel_order")
    exchange.cancel_order(placed["id"], "BTC/USDT")
    pending = exchange.fetch_open_orders("BTC/USDT")
    check(placed["id"] not in [order["id"] for order in pending], "the order is gone")
    check(exchange.fetch_balance()["USDT"]["free"] == free, "the funds came back")

    step("cancel_order twice")
    try:
        exchange.cancel_order(placed["id"], "BTC/USDT")
        check(False, "a cancelled order cannot be cancelled again")
    except ccxt.OrderNotFound:
        pass

    step("create_order without funds")
    try:
        exchange.create_order("BTC/USDT", "limit", "buy", 9_000, float(price))
        check(False, "an order without funds is refused")
    except ccxt.InsufficientFunds:
        pass

    step("create_order for an unknown instrument")
    try:
        exchange.private_post_trade_order(
            {"instId": "NO-SUCH", "tdMode": "cash", "side": "buy", "ordType": "limit", "px": "1", "sz": "1"}
        )
        check(False, "an unknown instrument is refused")
    except ccxt.BadSymbol:
        pass

    step("create_orders")
    batch = [
        {"symbol": "BTC/USDT", "type": "limit", "side": "buy", "amount": 0.001, "price": float(price)},
        {"symbol": "BTC/USDT", "type": "limit", "side": "buy", "amount": 0.002, "price": float(price)},
    ]
    ids = [order["id"] for order in exchange.create_orders(batch)]
    check(len(set(ids)) == 2, "two orders in one request")

    step("cancel_orders")
    exchange.cancel_orders(ids, "BTC/USDT")
    check(not set(ids) & {order["id"] for order in exchange.fetch_open_orders("BTC/USDT")}, "both are gone")

    step("create_market_order")
    bought = exchange.create_order("BTC/USDT", "market", "buy", 0.001)
    filled = exchange.fetch_order(bought["id"], "BTC/USDT")
    check(filled["status"] == "closed" and filled["filled"] == 0.001, f"order: {filled}")
    check(filled["fee"]["cost"] > 0, f"fee: {filled['fee']}")

    step("fetch_my_trades")
    trades = exchange.fetch_my_trades("BTC/USDT")
    check(bought["id"] in [trade["order"] for trade in trades], "the trade is listed")

    step("fetch_closed_orders")
    closed = exchange.fetch_closed_orders("BTC/USDT")
    check(bought["id"] in [order["id"] for order in closed], "the order is in the history")


def funding(exchange, arguments):
    step("fetch_deposit_address")
    address = exchange.fetch_deposit_address("USDT", {"network": "TRC20"})
    check(address["address"].startswith("T"), f"deposit address: {address}")

    step("fetch_deposits")
    exchange.fetch_deposits("USDT")

    if not arguments.withdraw_to:
        return
    step("withdraw")
    ask = lambda: exchange.withdraw("USDT", 25, arguments.withdraw_to, params={"network": "TRC20", "fee": "1"})
    if arguments.expect_refused:
        try:
            ask()
            check(False, "the withdrawal is refused")
        except getattr(ccxt, arguments.expect_refused):
            return
    asked = ask()
    check(asked["id"], "withdrawal has an id")

    step("fetch_withdrawals")
    found = [one for one in exchange.fetch_withdrawals("USDT") if one["id"] == asked["id"]]
    check(len(found) == 1, "the withdrawal is listed")
    check(found[0]["amount"] == 25 and found[0]["address"] == arguments.withdraw_to, f"withdrawal: {found[0]}")
    check(found[0]["network"] == "TRC20" and found[0]["fee"]["cost"] == 1, f"withdrawal: {found[0]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gateway", required=True, help="base URL, such as https://localhost:8443")
    parser.add_argument("--ca", help="PEM file of the certificate authority of the gateway")
    parser.add_argument("--key", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--passphrase", required=True)
    parser.add_argument("--withdraw-to", help="TRON address to withdraw 25 USDT to")
    parser.add_argument("--expect-refused", help="ccxt exception class the withdrawal must raise")
    arguments = parser.parse_args()
    try:
        exchange = client(arguments)
        ticker = market_data(exchange)
        orders(exchange, ticker)
        funding(exchange, arguments)
    except Exception as error:  # every failure is one line of JSON
        failed = STEPS[-1] if STEPS else "start"
        print(json.dumps({"ok": False, "step": failed, "error": f"{type(error).__name__}: {error}"}))
        return 1
    print(json.dumps({"ok": True, "client": f"ccxt {ccxt.__version__}", "steps": STEPS}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
