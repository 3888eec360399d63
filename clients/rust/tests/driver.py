"""The other side of the cross test: does as each line of JSON on its input says and answers with one on its output.

Signs and verifies with the Python client, and with http_message_signatures, which knows RFC 9421 and nothing of us.
"""

import base64
import json
import pathlib
import sys
import time
from datetime import datetime, timezone

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "python"))

import caponier  # noqa: E402
import httpx  # noqa: E402
import requests  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: E402
from http_message_signatures import (  # noqa: E402
    HTTPMessageSigner,
    HTTPMessageVerifier,
    MappingKeyResolver,
    algorithms,
)

ORACLE = {
    "ed25519": algorithms.ED25519,
    "ecdsa-p256-sha256": algorithms.ECDSA_P256_SHA256,
    "hmac-sha256": algorithms.HMAC_SHA256,
}
keys = {}
sessions = {}


def make_key(alg):
    key = ed25519.Ed25519PrivateKey.generate() if alg == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    keys[alg] = key
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {"public": caponier.public_key_pem(key), "private": pem.decode(), "now": int(time.time())}


def signer(order):
    if order["alg"] == "hmac-sha256":
        return sessions[order["key_id"]]
    return caponier.Signer(order["key_id"], keys[order["alg"]])


def sign(order):
    body = order["body"].encode()
    extra = order["extra"]
    by = order["by"]
    if by == "client":
        exp_time, idempotency = extra.get("expTime"), extra.get("Idempotency-Key")
        return caponier.sign_request(signer(order), order["method"], order["url"], body, exp_time, idempotency)
    if by in ("requests", "httpx"):
        library = requests if by == "requests" else httpx
        content = {"data" if by == "requests" else "content": body}
        request = library.Request(order["method"], order["url"], headers=dict(extra), **content)
        if by == "requests":
            request = request.prepare()
        request = caponier.Auth(signer(order))(request)
        return {name: value for name, value in request.headers.items() if name.lower() in WANTED}
    # A general library, told the components of the profile.
    headers = dict(extra)
    components = ["@method", "@authority", "@path", "@query"]
    if body:
        headers["Content-Digest"] = caponier._content_digest(body)
        components.append("content-digest")
    present = {name.lower() for name in extra}
    components += [name for name in ("exptime", "idempotency-key") if name in present]
    request = requests.Request(order["method"], order["url"], headers=headers).prepare()
    now = int(time.time())
    resolver = MappingKeyResolver(public_keys={}, private_keys={order["key_id"]: keys[order["alg"]]})
    HTTPMessageSigner(signature_algorithm=ORACLE[order["alg"]], key_resolver=resolver).sign(
        request,
        key_id=order["key_id"],
        created=datetime.fromtimestamp(now, timezone.utc),
        expires=datetime.fromtimestamp(now + 10, timezone.utc),
        nonce=caponier._url_text(caponier.secrets.token_bytes(16)),
        label="caponier",
        tag="caponier-v2",
        covered_component_ids=components,
        use_existing_digest=bool(body),
    )
    return {name: value for name, value in request.headers.items() if name.lower() in WANTED}


WANTED = {"signature", "signature-input", "content-digest", "exptime", "idempotency-key"}


def verify(order):
    """A general library verifies what somebody else signed."""
    key = serialization.load_pem_public_key(order["public"].encode())
    resolver = MappingKeyResolver(public_keys={order["key_id"]: key}, private_keys={})
    request = requests.Request(order["method"], order["url"], headers=order["fields"]).prepare()
    verifier = HTTPMessageVerifier(signature_algorithm=ORACLE[order["alg"]], key_resolver=resolver)
    results = verifier.verify(request, expect_tag="caponier-v2", body=order["body"].encode())
    return {"components": [str(name).strip('"') for name in results[0].covered_components]}


class Message:
    """An answer and the request it answers, as the general library wants them."""

    def __init__(self, order):
        self.status_code = order["status"]
        self.headers = order["fields"]
        self.request = requests.Request("GET", order["url"], headers=order["request_fields"]).prepare()


def verify_answer(order):
    key = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(order["server_key"]))
    body = order["body"].encode()
    caponier.verify_answer(key, order["status"], order["fields"], body, order["request_fields"]["Signature"])
    resolver = MappingKeyResolver(public_keys={order["key_id"]: key}, private_keys={})
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=resolver)
    verifier.verify(Message(order), expect_tag="caponier-v2-answer", body=body)
    for change in ({"status": 500}, {"body": "{}"}, {"request_fields": {"Signature": "caponier=:AAAA:"}}):
        changed = {**order, **change}
        try:
            body = changed["body"].encode()
            fields = changed["fields"]
            caponier.verify_answer(key, changed["status"], fields, body, changed["request_fields"]["Signature"])
        except ValueError:
            continue
        raise AssertionError(f"believed after {change}")
    return {"ok": True}


def session_request(order):
    pending = signer(order).request_session(order["origin"])
    sessions["pending"] = pending
    return {"body": pending.body.decode(), "fields": pending.headers, "url": pending.url}


def session_accept(order):
    session = sessions.pop("pending").accept(order["answer"])
    sessions[session.key_id] = session
    return {"key_id": session.key_id, "expires_at_millis": session.expires_at_millis}


DO = {
    "key": lambda order: make_key(order["alg"]),
    "session_accept": session_accept,
    "session_request": session_request,
    "sign": lambda order: {"fields": sign(order), "now": int(time.time())},
    "verify": verify,
    "verify_answer": verify_answer,
}

for line in sys.stdin:
    order = json.loads(line)
    print(json.dumps(DO[order["do"]](order)), flush=True)
