"""Signs API requests with a v2 key: HTTP message signatures (RFC 9421) in the profile of the gateway.

One file, the standard library and ``cryptography``. Works with any HTTP library: :func:`sign_request` returns header
fields for a request as it will be sent, :class:`Auth` is an ``auth=`` for ``requests`` and ``httpx``.

    key = load_private_key(open("key.pem", "rb").read())        # Ed25519 or P-256; register public_key_pem(key)
    auth = Auth(Signer("caponier_live_...", key))
    httpx.post("https://api.example.com/api/v5/trade/order", content=body, auth=auth)

A signature by the key costs the gateway a hundred times what a MAC does. Who sends many requests opens a session every
quarter of an hour and signs with it; withdrawals and changes of keys need the key all the same:

    pending = signer.request_session("https://api.example.com")
    answer = httpx.post(pending.url, content=pending.body, headers=pending.headers)
    auth = Auth(pending.accept(answer.content))

On code 50111 or 50100 open another session: it has run out, its key was frozen, your address changed, or the gateway
was restarted. Header fields are for one request: sign again to send again.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils, x25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = [
    "Auth",
    "PendingSession",
    "Session",
    "Signer",
    "generate_private_key",
    "load_private_key",
    "public_key_pem",
    "sign_request",
    "verify_answer",
]

#: Seconds a signature is good unless told otherwise, and the most the gateway accepts.
LIFETIME_SECS = 10
LIFETIME_SECS_MAX = 30
#: Where sessions are opened.
SESSION_PATH = "/caponier/v2/session"

_URL = re.compile(r"(https?)://([A-Za-z0-9._:\[\]-]+)(/[!\"$-~]*)?\Z")
_ID = re.compile(r"[A-Za-z0-9._:@-]{1,64}\Z")
_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?\Z")
_BODY_TYPES = (bytes, bytearray, memoryview)


def generate_private_key():
    """A new Ed25519 key."""
    return ed25519.Ed25519PrivateKey.generate()


def load_private_key(pem, password=None):
    """An Ed25519 or P-256 private key from PEM bytes."""
    key = serialization.load_pem_private_key(pem, password)
    _algorithm(key)
    return key


def public_key_pem(private_key):
    """The public half as PEM text, as it is registered."""
    return private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def sign_request(signer, method, url, body=b"", exp_time=None, idempotency_key=None, now=None):
    """The header fields to add to a request. ``signer`` is a :class:`Signer` or a :class:`Session`.

    ``url`` is as it goes over the wire: percent-encoded, nothing left to normalise. ``now`` is in seconds since 1970.
    """
    if not re.fullmatch(r"[A-Z]+", method):
        raise ValueError("method must be upper-case letters")
    authority, path, query = _split(url)
    body = _body(body)
    components = [("@method", method), ("@authority", authority), ("@path", path), ("@query", query)]
    fields = {}
    if body:
        fields["Content-Digest"] = _content_digest(body)
    for name, value in (("expTime", exp_time), ("Idempotency-Key", idempotency_key)):
        if value is not None:
            if not _VALUE.match(value):
                raise ValueError(f"{name} cannot be signed as it stands")
            fields[name] = value
    components += [(name.lower(), value) for name, value in fields.items()]
    created = int(time.time() if now is None else now)
    params = "({});created={};expires={};nonce=\"{}\";keyid=\"{}\";alg=\"{}\";tag=\"caponier-v2\"".format(
        " ".join(f'"{name}"' for name, _ in components),
        created,
        created + signer.lifetime_secs,
        _url_text(secrets.token_bytes(16)),
        signer.key_id,
        signer.algorithm,
    )
    lines = [f'"{name}": {value}' for name, value in components] + [f'"@signature-params": {params}']
    signature = signer.sign_base("\n".join(lines).encode("ascii"))
    fields["Signature-Input"] = f"caponier={params}"
    fields["Signature"] = f"caponier=:{base64.b64encode(signature).decode()}:"
    return fields


class Signer:
    """Signs with an Ed25519 or P-256 key of ``cryptography``, in memory or in hardware behind that interface."""

    def __init__(self, key_id, private_key, lifetime_secs=LIFETIME_SECS):
        if not _ID.match(key_id):
            raise ValueError("key_id is not 1 to 64 letters, digits and - _ . : @")
        if not 1 <= lifetime_secs <= LIFETIME_SECS_MAX:
            raise ValueError(f"lifetime_secs must be 1 to {LIFETIME_SECS_MAX}")
        self.key_id = key_id
        self.algorithm = _algorithm(private_key)
        self.lifetime_secs = lifetime_secs
        self._key = private_key

    def __repr__(self):
        return f"Signer({self.key_id!r})"

    def sign_base(self, base):
        """Signs a signature base: 64 bytes."""
        if self.algorithm == "ed25519":
            return self._key.sign(base)
        r, s = utils.decode_dss_signature(self._key.sign(base, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def request_session(self, origin, now=None):
        """Asks for a session at ``origin``, scheme and authority such as ``https://api.example.com``."""
        return PendingSession(self, origin, now)


class PendingSession:
    """A session that was asked for: POST ``body`` with ``headers`` to ``url``, give the answer's body to ``accept``."""

    def __init__(self, signer, origin, now=None):
        self._key_id = signer.key_id
        self._own = x25519.X25519PrivateKey.generate()
        self.url = origin + SESSION_PATH
        self.body = json.dumps({"publicKey": _url_text(self._own.public_key().public_bytes_raw())}).encode()
        self.headers = sign_request(signer, "POST", self.url, self.body, now=now)
        self.headers["Content-Type"] = "application/json"

    def accept(self, answer):
        """The session from the body of the answer. Raises ValueError when the answer is a refusal or no answer."""
        answer = json.loads(answer)
        if not isinstance(answer, dict) or answer.get("code") != "0":
            raise ValueError(f"the answer opens no session: {answer}")
        try:
            grant = answer["data"][0]
            session_id, expires_at_millis = grant["sessionId"], int(grant["expiresAt"])
            server = _url_bytes(grant["serverPublicKey"])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError("the answer opens no session: a member is missing") from error
        if not _ID.match(session_id):
            raise ValueError("the answer opens no session: the session id is none")
        shared = self._own.exchange(x25519.X25519PublicKey.from_public_bytes(server))
        info = b"caponier-v2 session\0" + self._key_id.encode() + b"\0" + session_id.encode()
        salt = self._own.public_key().public_bytes_raw() + server
        mac_key = HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(shared)
        return Session(session_id, mac_key, expires_at_millis)


class Session:
    """An open session; signs everything but withdrawals and changes of keys."""

    algorithm = "hmac-sha256"

    def __init__(self, session_id, mac_key, expires_at_millis, lifetime_secs=LIFETIME_SECS):
        self.key_id = session_id
        self.expires_at_millis = expires_at_millis
        self.lifetime_secs = lifetime_secs
        self._mac_key = mac_key

    def __repr__(self):
        return f"Session({self.key_id!r}, expires_at_millis={self.expires_at_millis})"

    def sign_base(self, base):
        """The MAC of a signature base: 32 bytes."""
        return hmac.digest(self._mac_key, base, "sha256")


class Auth:
    """An ``auth=`` for ``requests`` and ``httpx``. Signs ``expTime`` and ``Idempotency-Key`` where they are present."""

    def __init__(self, signer):
        self.signer = signer

    def __call__(self, request):
        if hasattr(request.url, "raw_path"):  # httpx
            target = request.url.raw_path.decode("ascii")
            url = f"{request.url.scheme}://{request.headers['host']}{target}"
            body = request.read()
        else:  # requests
            url, body = request.url, request.body
        fields = sign_request(
            self.signer,
            request.method,
            url,
            body,
            exp_time=request.headers.get("expTime"),
            idempotency_key=request.headers.get("Idempotency-Key"),
        )
        request.headers.update(fields)
        return request


def verify_answer(server_key, status, headers, body, request_signature):
    """Raises ValueError unless an answer was signed by the server's Ed25519 public key for the request with this
    ``Signature`` field. ``headers`` maps names in any case to values."""
    fields = {}
    for name, value in headers.items():
        name = name.lower()
        if name in ("content-digest", "signature-input", "signature"):
            if name in fields:
                raise ValueError("a signature field is repeated")
            fields[name] = value
    if len(fields) != 3:
        raise ValueError("the answer is not signed")
    if fields["content-digest"] != _content_digest(body):
        raise ValueError("the body is not that of Content-Digest")
    params = fields["signature-input"].removeprefix("caponier=")
    shape = r'\("@status" "content-digest" "signature";req\);[!-+.-~-]*;tag="caponier-v2-answer"'
    if not re.fullmatch(shape, params):
        raise ValueError("the signature does not cover what it should")
    found = re.fullmatch(r"caponier=:([A-Za-z0-9+/=]+):", fields["signature"])
    if not found:
        raise ValueError("the signature is not one")
    base = (
        f'"@status": {status}\n"content-digest": {fields["content-digest"]}\n'
        f'"signature";req: {request_signature}\n"@signature-params": {params}'
    )
    try:
        server_key.verify(base64.b64decode(found[1]), base.encode())
    except InvalidSignature:
        raise ValueError("the signature does not verify") from None


def _algorithm(private_key):
    if isinstance(private_key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(private_key, ec.EllipticCurvePrivateKey) and private_key.curve.name == "secp256r1":
        return "ecdsa-p256-sha256"
    raise ValueError("the key is neither Ed25519 nor P-256")


def _split(url):
    """Authority, path and query as they are signed."""
    found = _URL.match(url)
    if not found:
        raise ValueError("not an http or https URL as it stands on the wire")
    scheme, authority, target = found[1], found[2].lower(), found[3] or "/"
    authority = authority.removesuffix(":443" if scheme == "https" else ":80")
    path, mark, query = target.partition("?")
    if mark and not query:
        raise ValueError("a URL that ends in a bare question mark cannot be signed")
    return authority, path, "?" + query


def _body(body):
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if not isinstance(body, _BODY_TYPES):
        raise TypeError("the body must be bytes or text: what is signed must be known before it is sent")
    return bytes(body)


def _content_digest(body):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def _url_text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _url_bytes(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
