"""A third-party app, written with the libraries an author of one would take: Authlib for OAuth 2, jwcrypto for proofs.

Nothing of the program under test is in here. Reads one JSON object a line on standard input, does what it says, and
answers with one JSON object a line. The tokens never leave this process; what the test needs to know is said instead.

  {"do": "authorize", "scope": "read trade"}      -> {"url": ...}, with PKCE (S256) and state
  {"do": "open", "url": ...}                      -> {"status": ..., "location": ..., "body": ...}, as a browser without following
  {"do": "redeem", "redirect": ...}               -> {"scope": ..., "expires_in": ..., "token_type": ...} or {"error": ...}
  {"do": "redeem_again"}                          -> the same code once more, past the library, which would not do that
  {"do": "call", "method", "path", "body", "how"} -> {"status", "answer", "challenge"}; how: good, other_key, replay, no_proof,
                                                     bearer, wrong_method, wrong_path, wrong_token, old_token, with_key
  {"do": "refresh", "which": "newest" or "old"}   -> as redeem
  {"do": "revoke"}                                -> {"status": ...}
  {"do": "metadata"}                              -> the document
"""

import argparse
import base64
import hashlib
import json
import secrets
import sys
import time

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from jwcrypto import jwk, jws


class App:
    def __init__(self, arguments):
        self.gateway = arguments.gateway.rstrip("/")
        self.issuer = arguments.issuer
        self.client_id = arguments.client_id
        self.redirect_uri = arguments.redirect_uri
        self.ca = arguments.ca
        self.keys = {"good": self.new_key(arguments.alg), "other": self.new_key(arguments.alg)}
        self.alg = arguments.alg
        self.tokens = []
        self.last_proof = None
        self.redirect = None
        self.verifier = None
        self.http = requests.Session()
        self.http.verify = self.ca
        # The environment must not name other authorities.
        self.http.trust_env = False

    @staticmethod
    def new_key(alg):
        if alg == "ES256":
            return jwk.JWK.generate(kty="EC", crv="P-256")
        return jwk.JWK.generate(kty="OKP", crv="Ed25519")

    def proof(self, method, path, token=None, key="good"):
        key = self.keys[key]
        claims = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": self.issuer + path,
            "iat": int(time.time()),
        }
        if token:
            digest = hashlib.sha256(token.encode()).digest()
            claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        header = {"typ": "dpop+jwt", "alg": self.alg, "jwk": key.export_public(as_dict=True)}
        signed = jws.JWS(json.dumps(claims))
        signed.add_signature(key, None, json.dumps(header))
        return signed.serialize(compact=True)

    def session(self):
        session = OAuth2Session(
            self.client_id,
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method="none",
        )
        session.verify = self.ca
        session.trust_env = False
        return session

    def token_headers(self, key="good"):
        return {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8",
            "DPoP": self.proof("POST", "/oauth2/token", key=key),
        }

    def authorize(self, scope):
        self.verifier = secrets.token_urlsafe(48)
        session = self.session()
        session.scope = scope
        url, self.state = session.create_authorization_url(
            self.gateway + "/oauth2/authorize", code_verifier=self.verifier
        )
        return {"url": url}

    def open(self, url):
        got = self.http.get(url, allow_redirects=False)
        return {
            "status": got.status_code,
            "location": got.headers.get("location"),
            "body": got.text,
            "cache": got.headers.get("cache-control"),
            "cors": got.headers.get("access-control-allow-origin"),
        }

    def told(self, token):
        self.tokens.append(dict(token))
        return {name: token[name] for name in ("scope", "expires_in", "token_type")}

    def redeem(self, redirect, verifier=None, key="good"):
        self.redirect = redirect
        session = self.session()
        session.state = self.state
        try:
            token = session.fetch_token(
                self.gateway + "/oauth2/token",
                authorization_response=redirect,
                code_verifier=verifier or self.verifier,
                headers=self.token_headers(key),
            )
        except OAuthError as error:
            return {"error": error.error}
        return self.told(token)

    def redeem_again(self):
        return self.redeem(self.redirect)

    def refresh(self, which="newest", key="good"):
        token = self.tokens[-1] if which == "newest" else self.tokens[0]
        try:
            token = self.session().refresh_token(
                self.gateway + "/oauth2/token",
                refresh_token=token["refresh_token"],
                headers=self.token_headers(key),
            )
        except OAuthError as error:
            return {"error": error.error}
        return self.told(token)

    def revoke(self):
        got = self.session().revoke_token(
            self.gateway + "/oauth2/revoke",
            token=self.tokens[-1]["refresh_token"],
            token_type_hint="refresh_token",
        )
        return {"status": got.status_code}

    def call(self, method, path, body="", how="good"):
        token = (self.tokens[0] if how == "old_token" else self.tokens[-1])["access_token"]
        headers = {"Authorization": f"DPoP {token}"}
        proof = self.proof(
            {"wrong_method": "DELETE"}.get(how, method),
            {"wrong_path": "/api/v5/account/config"}.get(how, path.split("?")[0]),
            {"wrong_token": "another"}.get(how, token),
            "other" if how == "other_key" else "good",
        )
        if how == "replay":
            proof = self.last_proof
        self.last_proof = proof
        if how == "bearer":
            headers["Authorization"] = f"Bearer {token}"
        if how != "no_proof":
            headers["DPoP"] = proof
        if how == "with_key":
            headers["OK-ACCESS-KEY"] = "00000000-0000-4000-8000-000000000000"
        if body:
            headers["Content-Type"] = "application/json"
        got = self.http.request(method, self.gateway + path, data=body or None, headers=headers)
        return {
            "status": got.status_code,
            "answer": got.json(),
            "challenge": got.headers.get("www-authenticate"),
        }

    def metadata(self):
        return self.http.get(self.gateway + "/.well-known/oauth-authorization-server").json()


def main():
    parser = argparse.ArgumentParser()
    for name in ("gateway", "issuer", "ca", "client-id", "redirect-uri"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--alg", default="ES256")
    app = App(parser.parse_args())
    for line in sys.stdin:
        order = json.loads(line)
        do = order.pop("do")
        if do == "moved":
            # The gateway has another port since it was started again.
            app.gateway = order["gateway"]
            answer = {}
        else:
            answer = getattr(app, do)(**order)
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
