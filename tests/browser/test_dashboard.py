"""The dashboard as people use it."""

import base64
import hmac
import re
import struct
import subprocess
import time

from harness import OWNER, PASSWORD, BrowserTest, set_up

TRANSFERRED_MAX = 60_000


class FirstRun(BrowserTest):
    def test_the_shop_is_set_up_and_the_snippet_works_when_pasted(self):
        self.page.goto(self.shop.setup_link)
        self.look("setup")
        set_up(self.page, self.shop.setup_link)
        self.look("setup-credentials")
        secret = self.page.locator("#client-secret").text_content()
        self.assertTrue(secret.startswith("cs_"))
        snippet = self.page.locator("#snippet-1").text_content()
        pasted = subprocess.run(["bash", "-c", snippet], capture_output=True, text=True, timeout=30)
        self.assertEqual(pasted.returncode, 0, pasted.stderr)
        self.assertIn("MUG-BLUE", pasted.stdout)
        # The link was for once, and the secret is not shown again.
        self.page.goto(self.shop.setup_link)
        self.assertFalse(self.page.get_by_role("button", name="Create the shop").is_visible())
        self.page.goto("/dashboard/credentials")
        self.assertNotIn(secret, self.page.content())


class FirstRunWithoutScripts(FirstRun):
    java_script = False


class SignedIn(BrowserTest):
    """In a shop that was set up, as its owner."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        context = cls.chromium.new_context()
        set_up(context.new_page(), cls.shop.setup_link)
        context.close()

    def setUp(self):
        super().setUp()
        self.sign_in()


class Pages(SignedIn):
    def setUp(self):
        super().setUp()
        token = self.shop.token()
        order = {"email": "ada@example.com", "currency": "USD", "items": [{"sku": "MUG-BLUE", "quantity": 2}]}
        self.shop.post("/v2/orders", order, token)

    def test_each_page_of_the_navigation_and_what_it_links_to(self):
        """Found by following links, so that a new page is looked at as soon as it can be reached."""
        self.page.goto("/dashboard")
        seen, waiting = {}, ["/dashboard"]
        while waiting:
            path = waiting.pop(0)
            shape = re.sub(r"/(usr|user|prod|ord|cli|var|req|job|grant|ses|stf)_\w+|/[0-9a-f-]{36}", "/ID", path.split("?")[0])
            if shape in seen:
                continue
            seen[shape] = path
            answer = self.page.goto(path)
            self.assertEqual(answer.status, 200, path)
            self.assertEqual(self.page.locator("h1").count(), 1, path)
            links = self.page.eval_on_selector_all(
                "a[href^='/dashboard']:not([download])", "links => links.map(link => link.getAttribute('href').split('#')[0])"
            )
            waiting += [link for link in links if "/assets/" not in link]
            with self.subTest(path=path):
                self.look(shape.strip("/").replace("/", "-"))
        named = {"/dashboard/orders/ID", "/dashboard/products/ID", "/dashboard/customers/ID", "/dashboard/credentials/ID"}
        self.assertLessEqual(named, set(seen), "lists lead to what they list")

    def test_the_first_page_is_light(self):
        page = self.browse()
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        sizes = []
        session.on("Network.loadingFinished", lambda done: sizes.append(done["encodedDataLength"]))
        self.sign_in(page)
        page.context.clear_cookies(name="none")
        session.send("Network.clearBrowserCache")
        sizes.clear()
        page.goto("/dashboard", wait_until="networkidle")
        self.assertGreaterEqual(len(sizes), 3, "the page, its style and its script")
        print(f"\nfirst page: {sum(sizes):.0f} bytes in {len(sizes)} answers", flush=True)
        self.assertLess(sum(sizes), TRANSFERRED_MAX)

    def test_keys_alone_reach_the_pages(self):
        self.page.goto("/dashboard")
        self.page.keyboard.press("Tab")
        self.assertEqual(self.page.evaluate("document.activeElement.textContent"), "Skip to content")
        self.page.keyboard.press("Enter")
        self.assertEqual(self.page.evaluate("document.activeElement.id"), "content")
        reached = set()
        self.page.goto("/dashboard")
        for _ in range(30):
            self.page.keyboard.press("Tab")
            href = self.page.evaluate("document.activeElement.getAttribute('href')")
            if self.page.evaluate("document.activeElement === document.body"):
                continue  # past the last one
            outline = self.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            self.assertNotEqual(outline, "none", f"focus on {href} can be seen")
            reached.add(href)
        self.assertLessEqual({"/dashboard/orders", "/dashboard/products", "/dashboard/account"}, reached)


class SigningIn(SignedIn):
    def test_out_and_in_again(self):
        self.page.goto("/dashboard")
        self.page.get_by_role("button", name="Sign out").click()
        self.page.goto("/dashboard/orders")
        self.assertIn("/dashboard/sign-in", self.page.url)
        self.look("sign-in")
        self.page.get_by_label("Email").fill(OWNER)
        self.page.get_by_label("Password", exact=True).fill("not the password")
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.get_by_role("alert").wait_for()
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.assertTrue(self.page.url.endswith("/dashboard/orders"), "back where it was going")


class SigningInWithoutScripts(SigningIn):
    java_script = False


class Credentials(SignedIn):
    def test_made_rotated_and_revoked(self):
        self.page.goto("/dashboard/credentials/new")
        self.page.get_by_label("Name").fill("Warehouse sync")
        self.page.locator("input[value='products:read']").check()
        self.page.get_by_role("button", name="Create credentials").click()
        client = self.page.locator("#client-id").text_content()
        first = self.page.locator("#client-secret").text_content()
        self.look("credentials-shown")
        self.page.reload()  # sends the form again
        self.page.get_by_role("heading", name="Already sent").wait_for()
        self.page.goto(f"/dashboard/credentials/{client}")
        self.assertNotIn(first, self.page.content())
        self.page.get_by_role("button", name="Rotate secret").click()
        second = self.page.locator("#client-secret").text_content()
        self.assertNotEqual(first, second)
        self.assertEqual([self.status(client, secret) for secret in (first, second)], [200, 200])
        self.page.goto(f"/dashboard/credentials/{client}")
        self.look("credentials-two-secrets")
        self.page.get_by_text("Revoke these credentials…").click()
        self.page.get_by_label("Type their name").fill("Warehouse sync")
        self.page.get_by_role("button", name="Revoke", exact=True).click()
        self.page.get_by_role("status").wait_for()
        # Every process that serves the shop knows within a second.
        until = time.monotonic() + 5
        while self.status(client, second) != 401:
            self.assertLess(time.monotonic(), until, "revoked, and still good")
            time.sleep(0.1)

    def status(self, client, secret):
        body = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
        return self.page.context.request.post("/oauth/token", data=body).status


class CredentialsWithoutScripts(Credentials):
    java_script = False


def code_now(key, later=0):
    """The code that an app shows for a key (RFC 6238), with a step that has begun just now or has time left. Some steps
    later it shows another one, which is good already: clocks differ."""
    while time.time() % 30 > 25:
        time.sleep(0.5)
    digest = hmac.digest(base64.b32decode(key.replace(" ", "")), struct.pack(">Q", int(time.time()) // 30 + later), "sha1")
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start:start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


class SecondFactor(SignedIn):
    def test_codes_are_turned_on_asked_for_and_turned_off(self):
        self.page.goto("/dashboard/security")
        self.page.get_by_role("button", name="Set up").click()
        self.look("security-codes")
        key = self.page.locator("#key").text_content()
        self.page.get_by_label("Code").fill(code_now(key))
        self.page.get_by_role("button", name="Turn on two-factor authentication").click()
        recovery = self.page.locator("#recovery").text_content().split("\n")
        self.assertEqual(len([code for code in recovery if code]), 10)
        self.look("security-recovery")

        self.page.get_by_role("button", name="Sign out").click()
        self.sign_in()
        self.look("sign-in-code")
        self.page.get_by_label("Code").fill(recovery[0])
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.get_by_role("heading", name="Home").wait_for()
        self.page.get_by_role("button", name="Sign out").click()
        self.sign_in()
        self.page.get_by_label("Code").fill(recovery[0])
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.get_by_role("alert").wait_for()  # each works once
        self.page.get_by_label("Code").fill(recovery[1])
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.get_by_role("heading", name="Home").wait_for()
        self.page.get_by_role("button", name="Sign out").click()
        self.sign_in()
        self.page.get_by_label("Code").fill(code_now(key, later=1))
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.get_by_role("heading", name="Home").wait_for()

        self.page.goto("/dashboard/security")
        self.page.get_by_text("Turn off two-factor authentication…").click()
        self.page.get_by_role("button", name="Turn off").click()
        self.page.get_by_role("button", name="Set up").wait_for()


class SecondFactorWithoutScripts(SecondFactor):
    java_script = False


class Merchant(SignedIn):
    def fill(self, fields):
        for name, value in fields.items():
            self.page.locator(f"[name='{name}']").fill(value)

    def test_a_product_is_made_stocked_sold_and_sent(self):
        title = "Teapot & <b>cosy</b>"
        self.page.goto("/dashboard/products/new")
        self.fill({"title": title, "sku": "TEAPOT-1", "price": "24.50", "inventory_quantity": "3"})
        self.page.locator("[name='status']").select_option("active")
        self.page.locator("[name='currency']").select_option("USD")
        self.page.get_by_role("button", name="Create product").click()
        self.page.get_by_role("heading", name=title).wait_for()
        self.look("product-made")
        self.page.locator("a[href*='/stock/']").first.click()
        self.fill({"units": "4", "reason": "Delivery 4711"})
        self.page.get_by_role("button", name="Adjust stock").click()
        self.page.get_by_role("status").wait_for()
        self.page.get_by_text("Delivery 4711").wait_for()
        self.look("stock-adjusted")

        order = {"email": "ada@example.com", "currency": "USD", "items": [{"sku": "TEAPOT-1", "quantity": 2}]}
        placed = self.shop.post("/v2/orders", order, self.shop.token())
        self.page.goto(f"/dashboard/orders/{placed['id']}")
        for step in ("Confirm", "Complete"):
            opener = self.page.get_by_role("link", name=step)
            if self.java_script:
                # Over the page, and away again by Escape and by "Go back", back to where one was.
                for leave in ("Escape", "Go back"):
                    opener.click()
                    dialog = self.page.get_by_role("dialog", name=step)
                    dialog.wait_for()
                    if leave == "Escape":
                        self.look(f"order-{step.lower()}-dialog", whole=False)
                        self.page.keyboard.press("Escape")
                    else:
                        dialog.get_by_role("link", name=leave).click()
                    dialog.wait_for(state="detached")
                    self.assertEqual(opener.evaluate("link => document.activeElement === link"), True)
            opener.click()
            place = self.page.get_by_role("dialog") if self.java_script else self.page.locator("main")
            shown = place.inner_text().replace("\u00a0", " ")
            self.assertIn("49.00 USD", shown, "the money is shown first")
            self.look(f"order-{step.lower()}")
            place.get_by_role("button", name=f"{step} order").click()
            self.page.get_by_role("heading", name="Timeline").wait_for()
        self.assertIn("Completed", self.page.locator(".badges").first.text_content())

    def test_orders_are_found(self):
        self.page.goto("/dashboard/search?q=MUG-BLUE")
        self.page.locator("main a[href^='/dashboard/products/']").first.wait_for()
        self.look("search")


class MerchantWithoutScripts(Merchant):
    java_script = False


class Palette(SignedIn):
    def test_ctrl_k_finds_pages_and_objects(self):
        self.page.goto("/dashboard")
        self.page.keyboard.press("Control+k")
        self.page.keyboard.type("stoneware")
        self.page.get_by_role("link", name=re.compile("Stoneware mug")).first.wait_for()
        self.judge("palette")
        self.page.keyboard.press("Escape")
