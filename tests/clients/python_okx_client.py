"""The story of an ordinary python-okx user, told through the gateway by the unmodified client.

The same as the ccxt story, over HTTP/2 where the gateway offers it. A private certificate authority is given by the
environment variable SSL_CERT_FILE, the only way the client knows; --ca sets it. Prints one line of JSON:
{"ok": true, "steps": [...]} or {"ok": false, "step": ..., "error": ...}.

Expects the account to hold at least 1,000 USDT, and somebody else to quote BTC-USDT on both sides. With
--withdraw-to the address must be in the address book; without it the withdrawal is left out. --expect-refused
CODE turns the withdrawal around: it must be refused, with that code.
"""

import argparse
import json
import os
import sys
import time
import uuid
from decimal import Decimal
from importlib.metadata import version

STEPS = []


def step(name):
    STEPS.append(name)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def rows(answer):
    check(answer.get("code") == "0", f"answer: {answer}")
    return answer["data"]


class Apis:
    def __init__(self, arguments):
        # Imported only now: the client reads SSL_CERT_FILE when it is created, and httpx when it is imported.
        import okx.Account
        import okx.Funding
        import okx.MarketData
        import okx.PublicData
        import okx.Trade

        domain = arguments.gateway.rstrip("/")
        signed = {
            "api_key": arguments.key,
            "api_secret_key": arguments.secret,
            "passphrase": arguments.passphrase,
            "flag": "0",
            "domain": domain,
        }
        self.account = okx.Account.AccountAPI(**signed)
        self.funding = okx.Funding.FundingAPI(**signed)
        self.trade = okx.Trade.TradeAPI(**signed)
        self.market = okx.MarketData.MarketAPI(flag="0", domain=domain)
        self.public = okx.PublicData.PublicAPI(flag="0", domain=domain)


def market_data(apis):
    step("get_system_time")
    server = int(rows(apis.public.get_system_time())[0]["ts"])
    check(abs(server - time.time() * 1000) < 60_000, "server time")

    step("get_instruments")
    listed = {row["instId"]: row for row in rows(apis.public.get_instruments(instType="SPOT"))}
    check(listed["BTC-USDT"]["tickSz"] == "0.1", "price step")

    step("get_ticker")
    ticker = rows(apis.market.get_ticker("BTC-USDT"))[0]
    check(Decimal(ticker["bidPx"]) < Decimal(ticker["askPx"]), f"ticker: {ticker}")

    step("get_orderbook")
    book = rows(apis.market.get_orderbook("BTC-USDT", sz="5"))[0]
    check(Decimal(book["bids"][0][0]) < Decimal(book["asks"][0][0]), "book is quoted and not crossed")
    return ticker


def usdt(apis):
    return rows(apis.account.get_account_balance(ccy="USDT"))[0]["details"][0]


def orders(apis, ticker):
    step("get_account_balance")
    free = Decimal(usdt(apis)["availBal"])
    check(free >= 1000, f"free: {free}")

    step("get_account_config")
    check(rows(apis.account.get_account_config())[0]["uid"], "the account has an id")

    step("place_order")
    price = str((Decimal(ticker["bidPx"]) * Decimal("0.9")).quantize(Decimal("0.1")))
    client_id = uuid.uuid4().hex
    order = {
        "instId": "BTC-USDT",
        "tdMode": "cash",
        "side": "buy",
        "ordType": "limit",
        "px": price,
        "sz": "0.001",
        "clOrdId": client_id,
    }
    placed = rows(apis.trade.place_order(**order))[0]
    check(placed["sCode"] == "0" and placed["ordId"], f"placed: {placed}")

    step("place_order with the same client id")
    again = apis.trade.place_order(**order)
    check(again["code"] == "1" and again["data"][0]["sCode"] == "51016", f"again: {again}")

    step("get_order")
    seen = rows(apis.trade.get_order("BTC-USDT", clOrdId=client_id))[0]
    check(seen["ordId"] == placed["ordId"] and seen["state"] == "live", f"order: {seen}")

    step("get_order_list")
    pending = [row["ordId"] for row in rows(apis.trade.get_order_list(instType="SPOT"))]
    check(placed["ordId"] in pending, "the order is open")
    check(Decimal(usdt(apis)["frozenBal"]) > 0, "the order holds funds")

    step("amend_order")
    amended = rows(apis.trade.amend_order("BTC-USDT", ordId=placed["ordId"], newSz="0.002"))[0]
    check(amended["sCode"] == "0", f"amended: {amended}")

    step("cancel_order")
    rows(apis.trade.cancel_order("BTC-USDT", ordId=placed["ordId"]))
    check(Decimal(usdt(apis)["availBal"]) == free, "the funds came back")

    step("place_order without funds")
    poor = apis.trade.place_order(**{**order, "sz": "9000", "clOrdId": ""})
    check(poor["code"] == "1" and poor["data"][0]["sCode"] == "51008", f"poor: {poor}")

    step("place_multiple_orders")
    batch = [{**order, "clOrdId": uuid.uuid4().hex} for _ in range(2)]
    ids = [row["ordId"] for row in rows(apis.trade.place_multiple_orders(batch))]
    check(len(set(ids)) == 2, "two orders in one request")

    step("cancel_multiple_orders")
    rows(apis.trade.cancel_multiple_orders([{"instId": "BTC-USDT", "ordId": one} for one in ids]))

    step("place_order at market")
    market = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "market", "sz": "100"}
    bought = rows(apis.trade.place_order(**market))[0]
    filled = rows(apis.trade.get_order("BTC-USDT", ordId=bought["ordId"]))[0]
    check(filled["state"] == "filled" and Decimal(filled["fee"]) < 0, f"order: {filled}")

    step("get_fills")
    fills = [row["ordId"] for row in rows(apis.trade.get_fills(instType="SPOT"))]
    check(bought["ordId"] in fills, "the fill is listed")

    step("get_orders_history")
    history = [row["ordId"] for row in rows(apis.trade.get_orders_history(instType="SPOT"))]
    check({bought["ordId"], placed["ordId"]} <= set(history), "both orders are in the history")


def funding(apis, arguments):
    step("get_currencies")
    chains = {row["chain"] for row in rows(apis.funding.get_currencies("USDT"))}
    check({"USDT-TRC20", "USDT-ERC20"} <= chains, f"chains: {sorted(chains)}")

    step("get_balances")
    check(rows(apis.funding.get_balances("USDT"))[0]["ccy"] == "USDT", "funding balance")

    step("get_deposit_address")
    addresses = {row["chain"]: row["addr"] for row in rows(apis.funding.get_deposit_address("USDT"))}
    check(addresses["USDT-TRC20"].startswith("T"), f"addresses: {addresses}")

    step("get_deposit_history")
    rows(apis.funding.get_deposit_history())

    if not arguments.withdraw_to:
        return
    step("withdrawal")
    client_id = uuid.uuid4().hex
    request = {
        "ccy": "USDT",
        "amt": "20",
        "dest": "4",
        "toAddr": arguments.withdraw_to,
        "chain": "USDT-TRC20",
        "clientId": client_id,
    }
    asked = apis.funding.withdrawal(**request)
    if arguments.expect_refused:
        check(asked["code"] == arguments.expect_refused, f"refused with: {asked}")
        return
    withdrawal_id = rows(asked)[0]["wdId"]

    step("get_withdrawal_history")
    found = rows(apis.funding.get_withdrawal_history(wdId=withdrawal_id))
    check(len(found) == 1 and found[0]["amt"] == "20", f"found: {found}")
    check(found[0]["to"] == arguments.withdraw_to and found[0]["clientId"] == client_id, f"found: {found}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gateway", required=True, help="base URL, such as https://localhost:8443")
    parser.add_argument("--ca", help="PEM file of the certificate authority of the gateway")
    parser.add_argument("--key", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--passphrase", required=True)
    parser.add_argument("--withdraw-to", help="TRON address to withdraw 20 USDT to")
    parser.add_argument("--expect-refused", help="code the withdrawal must be refused with")
    arguments = parser.parse_args()
    if arguments.ca:
        os.environ["SSL_CERT_FILE"] = arguments.ca
    try:
        apis = Apis(arguments)
        ticker = market_data(apis)
        orders(apis, ticker)
        funding(apis, arguments)
    except Exception as error:  # every failure is one line of JSON
        failed = STEPS[-1] if STEPS else "start"
        print(json.dumps({"ok": False, "step": failed, "error": f"{type(error).__name__}: {error}"}))
        return 1
    print(json.dumps({"ok": True, "client": f"python-okx {version('python-okx')}", "steps": STEPS}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
