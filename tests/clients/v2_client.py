"""The story of a customer with a v2 key: the client in clients/python with httpx and with requests, through the gateway.

With --make-key FILE it makes a key pair, writes the private half to FILE and the public half to FILE.pub, and ends.
Otherwise it reads, trades in a session, sees that whatever is changed on the way is refused, and withdraws. Prints one
line of JSON: {"ok": true, "steps": [...]} or {"ok": false, "step": ..., "error": ...}.
"""

import argparse
import base64
import json
import pathlib
import sys
import time

import httpx
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "clients/python"))

import caponier  # noqa: E402

STEPS = []
ASK = 'caponier=("@status" "content-digest" "signature";req);tag="caponier-v2-answer"'
JSON = {"Content-Type": "application/json"}


def step(name):
    STEPS.append(name)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def code(answer):
    return answer.json()["code"]


def make_key(path):
    key = caponier.generate_private_key()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pathlib.Path(path).write_bytes(pem)
    pathlib.Path(path + ".pub").write_text(caponier.public_key_pem(key))


def order(price="1000", **more):
    body = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "px": price, "sz": "0.001"}
    return json.dumps({**body, **more}).encode()


def answer_key(http, origin):
    found = http.get(origin + "/caponier/v2/keys").json()["keys"][0]
    raw = base64.urlsafe_b64decode(found["x"] + "==")
    return ed25519.Ed25519PublicKey.from_public_bytes(raw)


def signed_answers(http, signer, origin):
    step("signed answer")
    server = answer_key(http, origin)
    url = origin + "/api/v5/account/balance?ccy=USDT"
    headers = caponier.sign_request(signer, "GET", url)
    answer = http.get(url, headers={**headers, "Accept-Signature": ASK})
    check(code(answer) == "0", answer.text)
    caponier.verify_answer(server, 200, dict(answer.headers), answer.content, headers["Signature"])
    try:
        caponier.verify_answer(server, 200, dict(answer.headers), answer.content + b" ", headers["Signature"])
    except ValueError:
        pass
    else:
        raise AssertionError("a changed answer verifies")


def open_session(http, signer, origin):
    step("session")
    pending = signer.request_session(origin)
    answer = http.post(pending.url, content=pending.body, headers=pending.headers)
    check(code(answer) == "0", answer.text)
    return pending.accept(answer.content)


def trade(http, auth, origin, name):
    step(f"trade with {name}")
    check(code(http.get(origin + "/api/v5/account/balance", params={"ccy": "USDT,BTC"}, auth=auth)) == "0", "balance")
    send = {"data": order()} if name == "requests" else {"content": order()}
    placed = http.post(origin + "/api/v5/trade/order", headers=JSON, auth=auth, **send).json()
    check(placed["code"] == "0", placed)
    cancel = json.dumps({"instId": "BTC-USDT", "ordId": placed["data"][0]["ordId"]}).encode()
    send = {"data": cancel} if name == "requests" else {"content": cancel}
    cancelled = http.post(origin + "/api/v5/trade/cancel-order", headers=JSON, auth=auth, **send).json()
    check(cancelled["code"] == "0", cancelled)


def tamper(http, signer, origin):
    url, body = origin + "/api/v5/trade/order", order()
    later = str(int(time.time() * 1000) + 60_000)

    def headers(**more):
        return {**caponier.sign_request(signer, "POST", url, body, later, "once"), **JSON, **more}

    def refused(what, codes, method="POST", url=url, body=body, headers=None):
        step(f"changed {what}")
        answer = http.request(method, url, content=body, headers=headers)
        check(code(answer) in codes, f"{what}: {answer.text}")

    refused("body", {"50113"}, body=order("1001"), headers=headers())
    refused("path", {"50113"}, url=origin + "/api/v5/trade/amend-order", headers=headers())
    refused("digest", {"50113"}, headers=headers(**{"Content-Digest": caponier._content_digest(b"{}")}))
    refused("deadline", {"50113"}, headers=headers(expTime=str(int(later) + 1)))
    refused("idempotency key", {"50113"}, headers=headers(**{"Idempotency-Key": "twice"}))
    signed = headers()
    moved = signed["Signature-Input"].replace("created=", "created=1")
    refused("parameters", {"50102", "50113", "50114"}, headers={**signed, "Signature-Input": moved})
    refused("host", {"50114"}, headers=headers(Host="elsewhere.example"))
    query = origin + "/api/v5/account/balance?ccy="
    refused("query", {"50113"}, "GET", query + "BTC", None, caponier.sign_request(signer, "GET", query + "USDT"))
    method = caponier.sign_request(signer, "POST", query + "BTC")
    refused("method", {"50113"}, "GET", query + "BTC", None, method)
    signed = headers()
    step("sent twice")
    first = http.post(url, content=body, headers=signed)
    check(code(first) == "0", first.text)
    check(code(http.post(url, content=body, headers=signed)) == "50042", "a request passes twice")
    step("deadline in the past")
    past = caponier.sign_request(signer, "POST", url, body, "1700000000000")
    check(code(http.post(url, content=body, headers={**past, **JSON})) == "50036", "a deadline has passed")


def withdraw(http, signer, session, origin, to):
    url = origin + "/api/v5/asset/withdrawal"
    body = {"ccy": "USDT", "amt": "25", "dest": "4", "toAddr": to, "chain": "USDT-TRC20", "fee": "1"}
    body = json.dumps(body).encode()
    step("withdrawal in a session")
    refused = http.post(url, content=body, headers=JSON, auth=caponier.Auth(session))
    check(code(refused) == "50114", refused.text)
    step("withdrawal")
    allowed = http.post(url, content=body, headers=JSON, auth=caponier.Auth(signer))
    check(code(allowed) == "0" and allowed.json()["data"][0]["wdId"], allowed.text)


def story(arguments):
    origin = arguments.gateway.rstrip("/")
    key = caponier.load_private_key(pathlib.Path(arguments.key_file).read_bytes())
    signer = caponier.Signer(arguments.key, key)
    with httpx.Client(verify=arguments.ca, http2=True) as http, requests.Session() as plain:
        # Else a bundle named by the environment takes precedence.
        plain.trust_env = False
        plain.verify = arguments.ca
        signed_answers(http, signer, origin)
        session = open_session(http, signer, origin)
        trade(http, caponier.Auth(signer), origin, "httpx")
        trade(plain, caponier.Auth(session), origin, "requests")
        trade(http, caponier.Auth(session), origin, "httpx")
        tamper(http, signer, origin)
        withdraw(http, signer, session, origin, arguments.withdraw_to)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--make-key", metavar="FILE")
    parser.add_argument("--gateway", help="base URL, such as https://localhost:8443")
    parser.add_argument("--ca", help="PEM file of the certificate authority of the gateway")
    parser.add_argument("--key", help="id of the key")
    parser.add_argument("--key-file", help="PEM file of the private key")
    parser.add_argument("--withdraw-to", help="TRON address to withdraw 25 USDT to")
    arguments = parser.parse_args()
    try:
        make_key(arguments.make_key) if arguments.make_key else story(arguments)
    except Exception as error:  # every failure is one line of JSON
        failed = STEPS[-1] if STEPS else "start"
        print(json.dumps({"ok": False, "step": failed, "error": f"{type(error).__name__}: {error}"}))
        return 1
    print(json.dumps({"ok": True, "client": "caponier.py", "steps": STEPS}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
