"""An ordinary python-okx user watches an account and trades over a web socket, through the gateway, with the unmodified
client.

The client sends its login time as a number and speaks only TLS. A private certificate authority is given by the
environment variable SSL_CERT_FILE, the only way the client knows; --ca sets it. Prints one line of JSON:
{"ok": true, "steps": [...]} or {"ok": false, "step": ..., "error": ...}.

Expects the account to hold at least 1,000 USDT, and somebody else to quote BTC-USDT on both sides.
"""

import argparse
import asyncio
import json
import os
import sys
import uuid
from importlib.metadata import version

PATIENCE = 30
STEPS = []


def step(name):
    STEPS.append(name)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


class Heard:
    """What the client was told, in order."""

    def __init__(self):
        self.messages = asyncio.Queue()

    def __call__(self, message):
        self.messages.put_nowait(json.loads(message) if message.startswith("{") else message)

    async def first(self, holds):
        """The next message of which something holds; those before it are skipped."""

        async def search():
            while True:
                message = await self.messages.get()
                if isinstance(message, dict) and holds(message):
                    return message

        return await asyncio.wait_for(search(), PATIENCE)

    async def answer(self, request):
        return await self.first(lambda message: message.get("id") == request and "op" in message)

    async def push(self, channel):
        return await self.first(lambda message: message.get("arg", {}).get("channel") == channel and "data" in message)


async def market_data(url):
    from okx.websocket.WsPublicAsync import WsPublicAsync

    step("WsPublicAsync.subscribe tickers")
    heard = Heard()
    client = WsPublicAsync(url=f"{url}/public")
    await client.start()
    await client.subscribe([{"channel": "tickers", "instId": "BTC-USDT"}], callback=heard)
    ticker = (await heard.push("tickers"))["data"][0]
    check(float(ticker["bidPx"]) < float(ticker["askPx"]), f"ticker: {ticker}")
    await client.stop()
    return ticker


async def trading(url, arguments, ticker):
    from okx.websocket.WsPrivateAsync import WsPrivateAsync

    step("WsPrivateAsync.subscribe")
    heard = Heard()
    client = WsPrivateAsync(
        apiKey=arguments.key, passphrase=arguments.passphrase, secretKey=arguments.secret, url=f"{url}/private"
    )
    await client.start()
    channels = [{"channel": "account"}, {"channel": "orders", "instType": "ANY"}]
    await client.subscribe(channels, callback=heard, id="sub1")
    login = await heard.first(lambda message: message.get("event") in ("login", "error"))
    check(login["event"] == "login" and login["code"] == "0", f"login: {login}")
    acknowledged = await heard.first(lambda message: message.get("event") in ("subscribe", "error"))
    check(acknowledged["event"] == "subscribe" and acknowledged["id"] == "sub1", f"subscribed: {acknowledged}")
    check(acknowledged["connId"] == login["connId"], "one connection has one name")
    details = {row["ccy"]: row for row in (await heard.push("account"))["data"][0]["details"]}
    check(float(details["USDT"]["availBal"]) >= 1000, f"account: {details}")

    step("place_order")
    price = f"{float(ticker['bidPx']) * 0.9:.1f}"
    order = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "px": price, "sz": "0.001"}
    await client.place_order([{**order, "clOrdId": uuid.uuid4().hex}], id="place1")
    placed = await heard.answer("place1")
    check(placed["code"] == "0" and placed["data"][0]["sCode"] == "0", f"placed: {placed}")
    number = placed["data"][0]["ordId"]

    step("amend_order")
    await client.amend_order([{"instId": "BTC-USDT", "ordId": number, "newSz": "0.002"}], id="amend1")
    check((await heard.answer("amend1"))["code"] == "0", "amended")

    step("cancel_order")
    await client.cancel_order([{"instId": "BTC-USDT", "ordId": number}], id="cancel1")
    check((await heard.answer("cancel1"))["code"] == "0", "cancelled")

    step("batch_orders")
    await client.batch_orders([order, order], id="batch1")
    batch = await heard.answer("batch1")
    ids = [row["ordId"] for row in batch["data"]]
    check(batch["code"] == "0" and len(set(ids)) == 2, f"batch: {batch}")
    await client.batch_cancel_orders([{"instId": "BTC-USDT", "ordId": one} for one in ids], id="batch2")
    check((await heard.answer("batch2"))["code"] == "0", "both cancelled")

    step("orders channel")
    await client.place_order([{**order, "ordType": "market", "sz": "100"}], id="market1")
    filled = await heard.first(
        lambda message: message.get("arg", {}).get("channel") == "orders" and message["data"][0]["state"] == "filled"
    )
    check(float(filled["data"][0]["fillSz"]) > 0, f"filled: {filled}")

    step("an operation that does not exist")
    await client.send("withdrawal", [{"ccy": "USDT", "amt": "1"}], id="no1")
    refused = await heard.first(lambda message: message.get("event") == "error")
    check(refused["code"] == "60019", f"refused: {refused}")
    await client.stop()


async def story(arguments):
    url = arguments.gateway.rstrip("/").replace("http", "ws", 1) + "/ws/v5"
    ticker = await market_data(url)
    await trading(url, arguments, ticker)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gateway", required=True, help="base URL, such as https://localhost:8443")
    parser.add_argument("--ca", help="PEM file of the certificate authority of the gateway")
    parser.add_argument("--key", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--passphrase", required=True)
    arguments = parser.parse_args()
    if arguments.ca:
        os.environ["SSL_CERT_FILE"] = arguments.ca
    try:
        asyncio.run(story(arguments))
    except Exception as error:  # every failure is one line of JSON
        failed = STEPS[-1] if STEPS else "start"
        print(json.dumps({"ok": False, "step": failed, "error": f"{type(error).__name__}: {error}"}))
        return 1
    print(json.dumps({"ok": True, "client": f"python-okx {version('python-okx')}", "steps": STEPS}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
