"""What users of ccxt and of python-okx see when their key is restricted: an exception, or a code, that names it.

The key may trade ETH-USDT by orders of at most 500 USDT, may not transfer out of the trading account, and may withdraw
to nowhere. Prints one line of JSON, as the stories of the clients do.
"""

import argparse
import json
import os
import sys

STEPS = []


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def raises(expected, action, what):
    STEPS.append(what)
    try:
        answer = action()
    except Exception as error:
        check(type(error).__name__ == expected, f"{what}: {type(error).__name__}: {error}")
        return
    raise AssertionError(f"{what}: {answer}")


def ccxt_story(arguments):
    import ccxt

    exchange = ccxt.okx(
        {
            "apiKey": arguments.key,
            "secret": arguments.secret,
            "password": arguments.passphrase,
            "urls": {"api": {"rest": arguments.gateway.rstrip("/")}},
            "enableRateLimit": False,
        }
    )
    exchange.validateServerSsl = arguments.ca
    exchange.load_markets()
    STEPS.append("ccxt: within the restrictions")
    placed = exchange.create_order("ETH/USDT", "limit", "buy", 0.1, 1000)
    exchange.cancel_order(placed["id"], "ETH/USDT")
    limit = lambda symbol, size, price: lambda: exchange.create_order(symbol, "limit", "buy", size, price)
    raises("BadRequest", limit("BTC/USDT", 0.001, 1000), "ccxt: another instrument")
    raises("BadRequest", limit("ETH/USDT", 1, 1000), "ccxt: too large an order")
    market = lambda: exchange.create_order("ETH/USDT", "market", "sell", 0.1)
    raises("BadRequest", market, "ccxt: an order without a bound")
    transfer = lambda: exchange.transfer("USDT", 1, "spot", "funding")
    raises("ExchangeError", transfer, "ccxt: a transfer in the other direction")
    withdraw = lambda: exchange.withdraw("USDT", 25, arguments.withdraw_to, params={"network": "TRC20", "fee": "1"})
    raises("InvalidAddress", withdraw, "ccxt: a withdrawal to elsewhere")


def okx_story(arguments):
    os.environ["SSL_CERT_FILE"] = arguments.ca
    import okx.Funding
    import okx.Trade

    signed = {
        "api_key": arguments.key,
        "api_secret_key": arguments.secret,
        "passphrase": arguments.passphrase,
        "flag": "0",
        "domain": arguments.gateway.rstrip("/"),
    }
    trade, funding = okx.Trade.TradeAPI(**signed), okx.Funding.FundingAPI(**signed)

    def code(expected, answer, what):
        STEPS.append(what)
        check(answer["code"] == expected, f"{what}: {answer}")

    order = {"tdMode": "cash", "side": "buy", "ordType": "limit", "px": "1000", "sz": "0.1"}
    code("0", trade.place_order(instId="ETH-USDT", **order), "okx: within the restrictions")
    code("51000", trade.place_order(instId="BTC-USDT", **order), "okx: another instrument")
    code("51000", trade.place_order(instId="ETH-USDT", **{**order, "sz": "1"}), "okx: too large an order")
    code("50120", funding.funds_transfer("USDT", "1", "18", "6"), "okx: a transfer in the other direction")
    paid = funding.withdrawal("USDT", "25", "4", arguments.withdraw_to, chain="USDT-TRC20")
    code("58207", paid, "okx: a withdrawal to elsewhere")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option in ("--gateway", "--ca", "--key", "--secret", "--passphrase", "--withdraw-to"):
        parser.add_argument(option, required=True)
    arguments = parser.parse_args()
    try:
        okx_story(arguments)
        ccxt_story(arguments)
    except Exception as error:  # every failure is one line of JSON
        failed = STEPS[-1] if STEPS else "start"
        print(json.dumps({"ok": False, "step": failed, "error": f"{type(error).__name__}: {error}"}))
        return 1
    print(json.dumps({"ok": True, "steps": STEPS}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
