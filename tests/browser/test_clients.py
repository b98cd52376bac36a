"""OAuth clients written by others, unmodified, with a person where the flow has one."""

import http.server
import json
import os
import re
import subprocess
import threading
import urllib.parse
from pathlib import Path

import playwright
import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session as Authlib
from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session as RequestsOAuthlib

from harness import OWNER, PASSWORD, BrowserTest, set_up

# oauthlib wants to be told that the server is on this machine.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
CALLBACK = "http://127.0.0.1:49152/callback"
# Playwright brings a Node.js of its own.
NODE = Path(playwright.__file__).with_name("driver") / "node"
SCRIPT = Path(__file__).with_name("oauth4webapi.mjs")


class Clients(BrowserTest):
    elsewhere = (CALLBACK,)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        context = cls.chromium.new_context()
        set_up(context.new_page(), cls.shop.setup_link)
        context.close()

    def client(self, *flags, scopes=("products:read", "orders:read")):
        scopes = [flag for scope in scopes for flag in ("--scope", scope)]
        made = json.loads(self.shop.run("clients", "create", "--name", "Judge", "--json", *scopes, *flags))
        return made["client_id"], made.get("client_secret")

    def allow(self, address):
        """Signs in, allows what is asked, and returns where the browser was sent."""
        page = self.page
        page.route(CALLBACK + "**", lambda route: route.fulfill(body="back in the app"))
        page.goto(address)
        if "/dashboard/sign-in" in page.url:
            page.get_by_label("Email").fill(OWNER)
            page.get_by_label("Password", exact=True).fill(PASSWORD)
            page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_role("heading", level=1).wait_for()
        self.look("consent")
        page.get_by_role("button", name=re.compile("^Allow")).click()
        page.wait_for_url(re.compile(re.escape(CALLBACK)))
        return page.url

    def products(self, session):
        return session.get(self.shop.url + "/v2/products?limit=1", timeout=30).status_code


class AuthlibClient(Clients):
    def test_client_credentials(self):
        client, secret = self.client()
        for method in ("client_secret_basic", "client_secret_post"):
            session = Authlib(client, secret, token_endpoint_auth_method=method)
            token = session.fetch_token(self.shop.url + "/oauth/token", grant_type="client_credentials")
            self.assertEqual((token["token_type"], token["expires_in"]), ("Bearer", 3600))
            self.assertEqual(self.products(session), 200)
            revoked = session.revoke_token(self.shop.url + "/oauth/revoke", token=token["access_token"])
            self.assertEqual(revoked.status_code, 200)
            self.assertEqual(self.products(session), 401)

    def test_code_with_pkce_and_refresh(self):
        client, secret = self.client("--redirect-uri", CALLBACK)
        session = Authlib(
            client, secret, redirect_uri=CALLBACK, scope="products:read", code_challenge_method="S256"
        )
        verifier = generate_token(48)
        address, _ = session.create_authorization_url(
            self.shop.url + "/oauth/authorize", code_verifier=verifier
        )
        answer = self.allow(address)
        token_url = self.shop.url + "/oauth/token"
        first = session.fetch_token(token_url, authorization_response=answer, code_verifier=verifier)
        self.assertEqual(first["scope"], "products:read")
        self.assertEqual(self.products(session), 200)
        second = session.refresh_token(token_url, refresh_token=first["refresh_token"])
        self.assertNotEqual(first["refresh_token"], second["refresh_token"])
        self.assertEqual(self.products(session), 200)
        # Listed to the person, who takes it back.
        self.page.goto("/dashboard/account")
        self.look("account-with-an-app")


class RequestsOAuthlibClient(Clients):
    def test_client_credentials(self):
        client, secret = self.client()
        session = RequestsOAuthlib(client=BackendApplicationClient(client_id=client))
        session.fetch_token(self.shop.url + "/oauth/token", client_secret=secret)
        self.assertEqual(self.products(session), 200)

    def test_code_with_pkce_and_refresh(self):
        client, secret = self.client("--redirect-uri", CALLBACK)
        session = RequestsOAuthlib(client, redirect_uri=CALLBACK, scope=["products:read"], pkce="S256")
        address, _ = session.authorization_url(self.shop.url + "/oauth/authorize")
        answer = self.allow(address)
        token_url = self.shop.url + "/oauth/token"
        session.fetch_token(token_url, authorization_response=answer, client_secret=secret)
        self.assertEqual(self.products(session), 200)
        session.refresh_token(token_url, auth=requests.auth.HTTPBasicAuth(client, secret))
        self.assertEqual(self.products(session), 200)


class Oauth4webapiClient(Clients):
    """Discovery and whatever else the script does, each step by the strict rules of that library."""

    def script(self, step, **given):
        command = [NODE, SCRIPT, step, json.dumps({"url": self.shop.url} | given)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        return process

    def end(self, process):
        told, why = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, why)
        return json.loads(told.splitlines()[-1])

    def test_client_credentials_revocation_and_introspection(self):
        client, secret = self.client(scopes=("products:read", "tokens:introspect"))
        told = self.end(self.script("client_credentials", client=client, secret=secret))
        self.assertEqual(told, {"products": 200, "active": True, "revoked": 401, "dead": False})

    def test_device_flow(self):
        client, _ = self.client("--public", "--grant-type", "urn:ietf:params:oauth:grant-type:device_code")
        process = self.script("device", client=client)
        shown = json.loads(process.stdout.readline())
        self.sign_in()
        self.page.goto(shown["verification_uri_complete"])
        self.page.get_by_role("button", name="Continue").click()
        self.look("device")
        self.page.get_by_role("button", name=re.compile("^Allow")).click()
        self.assertEqual(self.end(process), {"products": 200})


class App(http.server.BaseHTTPRequestHandler):
    """Where people are sent back to. Playwright does not answer for others what a redirect leads to."""

    def do_GET(self):
        self.send_response(204 if self.path == "/favicon.ico" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Nothing: the test says what it saw."""


class Refused(Clients):
    def test_what_is_refused_after_the_sign_in_is_told_to_the_app(self):
        """Chromium holds every redirect that follows a form to the policy of the page that it stood on."""
        app = http.server.HTTPServer(("127.0.0.1", 0), App)
        self.addCleanup(app.server_close)
        threading.Thread(target=app.serve_forever, daemon=True).start()
        self.addCleanup(app.shutdown)
        callback = f"http://127.0.0.1:{app.server_port}/callback"
        self.elsewhere = (callback.removesuffix("callback"),)
        client, _ = self.client("--redirect-uri", callback, scopes=("products:read",))
        asked = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": callback,
            "scope": "users:write",
            "state": "s",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
        }
        self.page.goto("/oauth/authorize?" + urllib.parse.urlencode(asked))
        self.page.get_by_label("Email").fill(OWNER)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url(re.compile(re.escape(callback) + r"\?error=invalid_scope"))
