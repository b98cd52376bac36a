"""Colleagues: how they come in, get back in, and meet over the same product."""

import re

from harness import Page
from test_dashboard import SignedIn

CHOSEN = "purple monkey dishwasher"


class Colleagues(SignedIn):
    def choose(self, page: Page, link, password):
        """Opens a link that is good once, and chooses a password there."""
        page.goto(link)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Save and sign in").click()
        page.get_by_role("heading", name="Home").wait_for()

    def test_somebody_is_invited_forgets_the_password_and_comes_back(self):
        email = "kim@example.com"
        self.page.goto("/dashboard/team")
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Role").select_option("operator")
        self.page.get_by_role("button", name="Invite", exact=True).click()
        link = self.page.locator("#link").text_content()
        self.look("invitation-link", whole=False)
        kim = self.browse(java_script_enabled=self.java_script)
        self.choose(kim, link, CHOSEN)
        self.assertEqual(kim.goto(link).status, 410, "it is good once")
        # An operator sees orders and no credentials.
        kim.goto("/dashboard/orders")
        self.assertEqual(kim.goto("/dashboard/credentials").status, 403)

        printed = self.shop.run("users", "reset-password", email, "--public-url", self.shop.url)
        link = re.search(r"http://\S+", printed)[0]
        other = "orange monkey dishwasher"
        self.choose(self.browse(java_script_enabled=self.java_script), link, other)
        self.assertIn("/dashboard/sign-in", kim.goto("/dashboard") and kim.url, "the old session is over")
        self.sign_in(kim, email, CHOSEN)
        kim.get_by_text("Email or password is wrong").wait_for()
        self.sign_in(kim, email, other)
        kim.get_by_role("heading", name="Home").wait_for()

    def test_two_who_edit_one_product_do_not_overwrite_each_other(self):
        self.page.goto("/dashboard/products?q=MUG-BLUE")
        self.page.locator("main tbody a[href^='/dashboard/products/']").first.click()
        edit = f"{self.page.url}/edit"
        second = self.browse(java_script_enabled=self.java_script)
        self.sign_in(second)
        self.page.goto(edit)
        second.goto(edit)
        self.page.get_by_label("Vendor").fill("Pottery of the north")
        self.page.get_by_role("button", name="Save", exact=True).click()
        self.page.get_by_text("Pottery of the north").first.wait_for()
        second.get_by_label("Vendor").fill("Pottery of the south")
        second.get_by_role("button", name="Save", exact=True).click()
        told = second.get_by_role("alert")
        told.wait_for()
        self.assertIn("Pottery of the north", told.text_content())
        self.assertEqual(second.get_by_label("Vendor").input_value(), "Pottery of the south")
        second.get_by_role("button", name="Save", exact=True).click()
        second.get_by_text("Pottery of the south").first.wait_for()


class ColleaguesWithoutScripts(Colleagues):
    java_script = False


class RequestLog(SignedIn):
    def test_what_programs_ask_appears_while_it_is_followed(self):
        self.page.goto("/dashboard/requests")
        self.page.get_by_role("button", name="Follow").click()
        rows = self.page.locator("[data-rows] tr")
        before = rows.count()
        token = self.shop.token()
        order = {"email": "live@example.com", "currency": "USD", "items": [{"sku": "MUG-BLUE", "quantity": 1}]}
        self.shop.post("/v2/orders", order, token)
        self.page.locator("[data-rows]").get_by_text("/v2/orders").first.wait_for()
        self.assertGreater(rows.count(), before)
        self.page.get_by_role("button", name="Following").click()
        self.page.get_by_role("button", name="Follow", exact=True).wait_for()


class Views(SignedIn):
    def test_filters_are_kept_as_a_view(self):
        self.page.goto("/dashboard/orders?status=pending&q=ada%40example.com")
        self.page.get_by_text("Save this view").click()
        self.page.get_by_label("View name").fill("Ada's")
        self.look("orders-keep-view", whole=False)
        self.page.get_by_role("button", name="Save view").click()
        tab = self.page.get_by_role("link", name="Ada's")
        self.assertEqual(tab.get_attribute("aria-current"), "page")
        self.look("orders-own-view", whole=False)
        self.page.get_by_role("button", name="Remove the view").click()
        tab.wait_for(state="detached")


class ViewsWithoutScripts(Views):
    java_script = False
