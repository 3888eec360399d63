"""Checks webhook messages as those who receive them do.

Reads one JSON object a line: id, timestamp, signature, body (text), keys (list of whsec_ or whpk_). Each key must verify the
message: whsec_ with the reference library of Standard Webhooks, whpk_ with Ed25519 of the library cryptography. A message
that was changed must verify with none. Ends with {"ok": true, "checked": N}.
"""

import base64
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError


def verifies(key, message, body):
    headers = {
        "webhook-id": message["id"],
        "webhook-timestamp": message["timestamp"],
        "webhook-signature": message["signature"],
    }
    if key.startswith("whsec_"):
        try:
            Webhook(key).verify(body, headers)
            return True
        except WebhookVerificationError:
            return False
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
    signed = f"{message['id']}.{message['timestamp']}.{body}".encode()
    for signature in message["signature"].split(" "):
        version, _, text = signature.partition(",")
        if version != "v1a":
            continue
        try:
            public.verify(base64.b64decode(text), signed)
            return True
        except InvalidSignature:
            continue
    return False


def main():
    checked = 0
    for line in sys.stdin:
        message = json.loads(line)
        for key in message["keys"]:
            assert verifies(key, message, message["body"]), f"{key[:9]} does not verify {message}"
            assert not verifies(key, message, message["body"] + " "), f"a changed body verifies: {message}"
            other = {**message, "id": message["id"] + "0"}
            assert not verifies(key, other, message["body"]), f"another id verifies: {message}"
            checked += 1
    print(json.dumps({"ok": True, "checked": checked}))


main()
