"""Clients that others wrote, run as their manuals say: authlib and requests-oauthlib.

`judge.py keys FOLDER` makes the key pair of a client; `judge.py run SETTINGS` is the judgement. A check is a
function under @check; a new flow is one more of them.
"""

import json
import os
import sys
import time
from pathlib import Path

# The server that is judged runs on this machine, without TLS.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey, RSAKey, OKPKey
from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session as RequestsSession

KEYS = {"ES256": ECKey, "EdDSA": OKPKey, "RS256": RSAKey}
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def make_keys(folder):
    keys = {
        "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
        "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
        "RS256": RSAKey.generate_key(2048, {"kid": "rsa"}),
    }
    private = {alg: key.as_dict(private=True) for alg, key in keys.items()}
    public = {"keys": [key.as_dict(private=False) for key in keys.values()]}
    (folder / "private.json").write_text(json.dumps(private))
    (folder / "jwks.json").write_text(json.dumps(public))


class Server:
    def __init__(self, settings):
        self.settings = settings
        self.issuer = settings["url"]
        # As a client does that is told nothing but the issuer.
        session = OAuth2Session()
        address = f"{self.issuer}/.well-known/oauth-authorization-server"
        self.metadata = session.request("GET", address, withhold_token=True).json()
        assert self.metadata["issuer"] == self.issuer, self.metadata["issuer"]
        self.token_endpoint = self.metadata["token_endpoint"]
        self.api = f"{self.issuer}/v2/products?limit=1"


def must_work(session, server):
    answer = session.get(server.api)
    assert answer.status_code == 200, answer.text


def with_secret(server, method):
    client = server.settings["secret_client"]
    session = OAuth2Session(
        client["client_id"],
        client["client_secret"],
        scope="products:read",
        token_endpoint_auth_method=method,
    )
    token = session.fetch_token(server.token_endpoint, grant_type="client_credentials")
    assert token["token_type"] == "Bearer" and token["scope"] == "products:read", token
    must_work(session, server)
    revoked = session.revoke_token(server.metadata["revocation_endpoint"])
    assert revoked.status_code == 200, revoked.text
    assert session.get(server.api).status_code == 401


@check
def authlib_client_secret_basic(server):
    with_secret(server, "client_secret_basic")


@check
def authlib_client_secret_post(server):
    with_secret(server, "client_secret_post")


@check
def authlib_private_key_jwt(server):
    client = server.settings["signing_client"]
    for alg, key in server.settings["private_keys"].items():
        session = OAuth2Session(
            client["client_id"],
            KEYS[alg].import_key(key),
            token_endpoint_auth_method="private_key_jwt",
        )
        # The audience is the issuer, for five minutes at most.
        claims = {"exp": int(time.time()) + 120}
        method = PrivateKeyJWT(server.issuer, claims, {"kid": key["kid"]}, alg)
        session.register_client_auth_method(method)
        session.fetch_token(server.token_endpoint, grant_type="client_credentials")
        must_work(session, server)
        # authlib keeps the jti in `claims`: a second assertion is the first one again.
        try:
            session.fetch_token(server.token_endpoint, grant_type="client_credentials")
            raise AssertionError("an assertion was taken twice")
        except OAuthError as error:
            assert error.error == "invalid_client", error


@check
def authlib_wrong_secret(server):
    client = server.settings["secret_client"]
    session = OAuth2Session(client["client_id"], "wrong")
    try:
        session.fetch_token(server.token_endpoint, grant_type="client_credentials")
        raise AssertionError("a wrong secret was taken")
    except OAuthError as error:
        assert error.error == "invalid_client", error


@check
def requests_oauthlib_backend_application(server):
    client = server.settings["secret_client"]
    identity, secret = client["client_id"], client["client_secret"]
    for way in (
        {"auth": HTTPBasicAuth(identity, secret)},
        {"client_id": identity, "client_secret": secret, "include_client_id": True},
    ):
        backend = BackendApplicationClient(client_id=identity, scope=["products:read"])
        session = RequestsSession(client=backend)
        token = session.fetch_token(server.token_endpoint, **way)
        assert token["scope"] == ["products:read"], token
        must_work(session, server)


@check
def requests_oauthlib_wrong_secret(server):
    client = server.settings["secret_client"]
    session = RequestsSession(client=BackendApplicationClient(client["client_id"]))
    try:
        session.fetch_token(
            server.token_endpoint, auth=HTTPBasicAuth(client["client_id"], "wrong")
        )
        raise AssertionError("a wrong secret was taken")
    except InvalidClientError:
        pass


def run(settings):
    server = Server(settings)
    for function in CHECKS:
        function(server)
        print(f"    {function.__name__}: ok", flush=True)


if __name__ == "__main__":
    command, path = sys.argv[1], Path(sys.argv[2])
    if command == "keys":
        make_keys(path)
    else:
        run(json.loads(path.read_text()))
