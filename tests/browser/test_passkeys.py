"""Passkeys, with the virtual authenticator that Chromium has for tests."""

import sqlite3
from pathlib import Path

from harness import LOOKS
from test_dashboard import SignedIn

PLATFORM = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
    "defaultBackupEligibility": True,
    "defaultBackupState": True,
}


class Passkeys(SignedIn):
    """Under the name of the machine itself: browsers offer no passkeys under an address in digits."""

    def setUp(self):
        self.named = self.shop.url.replace("127.0.0.1", "localhost")
        self.elsewhere = (self.named,)
        self.faults = []
        self.page = self.browse(base_url=self.named)
        self.devices, self.device = self.authenticator(self.page)

    def authenticator(self, page):
        devices = page.context.new_cdp_session(page)
        devices.send("WebAuthn.enable")
        made = devices.send("WebAuthn.addVirtualAuthenticator", {"options": PLATFORM})
        return devices, made["authenticatorId"]

    def test_a_passkey_is_made_signs_in_confirms_and_is_removed(self):
        page = self.page
        devices, device = self.devices, self.device
        # Chromium also offers a passkey beside the email field, and this authenticator would take it before anybody looks:
        # here it is the button that is tried.
        page.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = undefined")
        self.sign_in(page)
        page.goto("/dashboard/security")
        page.get_by_role("button", name="Add a passkey").click()
        page.get_by_label("Name").fill("Telephone")
        self.look("passkey")
        page.get_by_role("button", name="Create passkey").click()
        page.get_by_text("The passkey is added").wait_for()
        self.look("security-passkeys")
        stored = devices.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]
        self.assertEqual([(one["rpId"], one["isResidentCredential"]) for one in stored], [("localhost", True)])

        # The same device again: the browser itself says no.
        page.get_by_role("button", name="Add a passkey").click()
        page.get_by_role("button", name="Create passkey").click()
        page.get_by_text("has a passkey for you here already").wait_for()

        page.get_by_role("button", name="Sign out").click()
        page.get_by_text("You are signed out").wait_for()
        page.goto("/dashboard/sign-in?next=/dashboard/orders")
        self.look("sign-in-passkey")
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.get_by_role("heading", name="Orders").wait_for()
        page.goto("/dashboard/audit")
        page.get_by_text("Signed in by a passkey").first.wait_for()

        page.goto("/dashboard/security")
        if LOOKS:
            # As if five minutes had passed: to remove a passkey, it is asked for once more.
            with sqlite3.connect(Path(self.shop.folder.name, "data", "tradepost.db"), timeout=10) as database:
                database.execute("UPDATE staff_sessions SET proved_at = 0")
            page.get_by_role("button", name="Remove Telephone").click()
            self.look("confirm-passkey")
            page.get_by_role("button", name="Use a passkey").click()
        else:
            page.get_by_role("button", name="Remove Telephone").click()
        page.get_by_text("The passkey is removed").wait_for()

    def test_a_browser_that_knows_none_is_told_so(self):
        page = self.page
        page.goto("/dashboard/sign-in")
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.get_by_text("Nothing was chosen").wait_for()
        # Under the address in digits the button is not shown at all.
        page = self.browse(base_url=self.shop.url)
        page.goto("/dashboard/sign-in")
        page.get_by_label("Email").wait_for()
        self.assertFalse(page.get_by_role("button", name="Sign in with a passkey").is_visible())
        self.sign_in(page)
        page.goto("/dashboard/security")
        page.get_by_role("button", name="Add a passkey").click()
        page.get_by_text("This browser offers no passkeys here").wait_for()
