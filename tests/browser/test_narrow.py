"""Lists on a telephone: cards, with all that a wide screen shows, whatever is in them."""

import json
import re
import socket

from harness import NARROW, NARROWEST
from test_dashboard import SignedIn

TITLE = "Hand-thrown stoneware teapot with a bamboo handle, glazed in celadon, for four to six cups of tea"
WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
SKU = "TEAPOT-CELADON-LARGE-2026-SPRING-LIMITED-EDITION-NR-00000000000000000001"
EMAIL = "maximiliana.featherstonehaugh-cholmondeley@procurement.international-teahouses.example.com"
NAME = "maximiliana_featherstonehaugh_cholmondeley_of_the_north"
PRICES = [
    {"currency": "USD", "amount": 123_456_789, "compare_at_amount": 223_456_789},
    {"currency": "USD", "amount": 99_900, "min_quantity": 10, "group": "trade"},
    {"currency": "USD", "amount": 999, "starts_at": "2026-12-01T00:00:00Z", "ends_at": "2027-01-01T00:00:00Z"},
]
# What stands before a value on a telephone is what its column is called.
NAMES = """() => [...document.querySelectorAll('table.stack')].flatMap(table => {
  const names = [...table.tHead.rows[0].cells].map(cell => cell.textContent.trim());
  return [...table.tBodies[0].rows].flatMap(row => {
    let column = 0;
    return [...row.cells].flatMap(cell => {
      const name = names[column];
      column += cell.colSpan;
      const shown = cell.dataset.label;
      return shown === undefined || shown === name || cell.colSpan > 1 ? [] : [`${name} is shown as ${shown}`];
    });
  });
})"""


class Narrow(SignedIn):
    @classmethod
    def setUpClass(cls):
        # Nobody listens there: what is sent waits for another try.
        nobody = socket.socket()
        cls.addClassCleanup(nobody.close)
        nobody.bind(("127.0.0.1", 0))
        cls.flags = ("--smtp-url", f"smtp://127.0.0.1:{nobody.getsockname()[1]}")
        super().setUpClass()
        token = cls.shop.token()
        post = lambda path, body: cls.shop.post(path, body, token)
        cls.user = post("/v2/users", {"username": NAME, "email": EMAIL})
        variants = [
            {"option_values": {"Size": size}, "sku": SKU + size[0], "inventory_quantity": 2, "prices": PRICES}
            for size in ("Small", "Large for the whole of the family and its guests")
        ]
        product = {"title": TITLE, "status": "active", "options": [{"name": "Size"}], "variants": variants}
        product["options"][0]["values"] = [one["option_values"]["Size"] for one in variants]
        cls.product = post("/v2/products", product)
        long = {"title": WORD, "status": "active", "sku": WORD, "price": 1_999, "currency": "USD"}
        cls.long = post("/v2/products", long)
        items = [{"sku": SKU + "S", "quantity": 1}, {"sku": "MUG-BLUE", "quantity": 2}]
        cls.order = post("/v2/orders", {"email": EMAIL, "currency": "USD", "items": items})
        post("/v2/orders", {"user_id": cls.user["id"], "currency": "USD", "items": items})
        message = {"user_id": cls.user["id"], "type": "email", "message": "It has left."}
        post("/v2/notifications", message)
        made = cls.shop.run("clients", "create", "--name", TITLE, "--json", "--scope", "products:read")
        cls.client = json.loads(made)["client_id"]

    def seen(self, name, *values):
        """Holds the page to the two widths; what is looked for is there."""
        shown = self.page.locator("main").inner_text()
        for value in values:
            self.assertIn(value, shown, name)
        self.assertEqual(self.page.evaluate(NAMES), [], name)
        for width in (NARROW, NARROWEST):
            self.page.set_viewport_size({"width": width, "height": 900})
            self.fits(name, width)
        self.look(f"narrow-{name}")

    def test_no_list_is_wider_than_a_telephone(self):
        variant = self.product["variants"][0]["id"]
        self.page.context.request.get("/v2/orders/none/history")
        self.page.goto("/dashboard/team")
        self.page.locator("main [name='email']").fill(EMAIL)
        self.page.get_by_label("Invitation").select_option("link")
        self.page.get_by_role("button", name="Invite", exact=True).click()
        self.page.locator("#link").wait_for()
        stock = f"/dashboard/products/{self.product['id']}/stock/{variant}"
        self.page.goto(stock)
        self.page.locator("[name='units']").fill("1234567")
        self.page.locator("[name='reason']").fill(f"Delivery of {SKU}")
        self.page.get_by_role("button", name="Adjust stock").click()
        self.page.get_by_role("status").wait_for()
        for path, *values in [
            ("orders", EMAIL, "1,234,597.87"),
            (f"orders/{self.order['id']}", TITLE, SKU),
            (f"orders/{self.order['id']}/confirm", TITLE, SKU),
            ("products", TITLE, WORD, "Available"),
            ("products?stock=low", TITLE, SKU),
            (f"products/{self.product['id']}", SKU, "2,234,567.89"),
            (f"products/{self.product['id']}/variants/{variant}", "Prices"),
            (stock.removeprefix("/dashboard/"), SKU, "1,234,567"),
            (f"products/{self.long['id']}", WORD),
            (f"products/{self.long['id']}/edit", WORD),
            (f"products/{self.long['id']}/variants/{self.long['variants'][0]['id']}", WORD),
            (f"products/{self.long['id']}/stock/{self.long['variants'][0]['id']}", WORD),
            ("customers", NAME, EMAIL),
            (f"customers/{self.user['id']}", "1,234,597.87"),
            ("team", EMAIL),
            ("audit", EMAIL, SKU),
            ("security", "This device"),
            ("credentials", TITLE, self.client),
            (f"credentials/{self.client}", "Last used"),
            ("requests?pages=yes", "/dashboard/products/{id}/stock/{variant}"),
            ("requests/errors", "/v2/orders/{id}/history", "Times"),
            ("jobs", "Notification send", "Attempts"),
        ]:
            self.assertEqual(self.page.goto(f"/dashboard/{path}").status, 200, path)
            with self.subTest(path=path):
                self.seen(re.sub(r"\W+", "-", re.sub(r"[a-z]+_\w+", "ID", path)), *values)

    def test_what_is_asked_before_it_is_done_fits_too(self):
        made = self.shop.run("clients", "create", "--name", WORD, "--json", "--scope", "products:read")
        self.page.goto("/dashboard/team")
        self.page.locator("main [name='email']").fill(f"second.{EMAIL}")
        self.page.get_by_label("Invitation").select_option("link")
        self.page.get_by_role("button", name="Invite", exact=True).click()
        self.page.locator("#link").wait_for()
        self.seen("invited", EMAIL)
        self.page.goto("/dashboard/team")
        member = self.page.get_by_role("link", name=f"second.{EMAIL}").get_attribute("href")
        variant = self.product["variants"][0]["id"]
        for path in [
            member,
            f"/dashboard/credentials/{json.loads(made)['client_id']}",
            f"/dashboard/products/{self.long['id']}/edit",
            f"/dashboard/products/{self.product['id']}/variants/{variant}",
        ]:
            self.page.goto(path)
            self.page.locator(".danger-zone summary").click()
            self.page.locator(".danger-zone button").wait_for()
            self.seen("asked-" + path.split("/")[2])

    def test_a_view_with_a_long_name_fits_too(self):
        self.page.goto("/dashboard/products?status=draft&q=tea")
        self.page.get_by_text("Save this view…").click()
        self.page.get_by_label("View name").fill(WORD[:40])
        self.page.get_by_role("button", name="Save view").click()
        self.page.get_by_role("button", name=f"Remove the view “{WORD[:40]}”").wait_for()
        self.seen("view")

    def test_what_is_imported_and_changed_together_fits_too(self):
        rows = [
            "title,sku,price,currency,inventory_quantity,status",
            f"{TITLE.replace(',', '')},{SKU}-2,1234567.89,USD,1234567,draft",
            f"{WORD},{WORD}-2,19.99,EUR,4,active",
            f"{WORD},{WORD}-3,{WORD},EUR,4,active",
        ]
        self.page.goto("/dashboard/products/import")
        file = {"name": f"{WORD}.csv", "mimeType": "text/csv", "buffer": "\n".join(rows).encode()}
        self.page.locator("[name='file']").set_input_files(file)
        self.page.get_by_role("button", name="Preview", exact=True).click()
        self.page.get_by_text("Nothing is written yet").wait_for()
        self.seen("import-look", WORD, SKU + "-2", "1,234,567.89", "Invalid rows")
        self.page.get_by_role("button", name="Import 2").click()
        self.page.get_by_text("Done.").wait_for()
        self.seen("import-done", "Invalid rows")
        self.page.goto("/dashboard/products")
        self.page.get_by_role("button", name="Change all matching…").click()
        self.page.locator("main [name='price']").select_option("amount")
        self.page.locator("main [name='by']").fill("-12.00")
        self.seen("bulk", WORD)
        self.page.get_by_role("button", name="Preview changes").click()
        self.page.get_by_text("Nothing is written yet").wait_for()
        self.seen("bulk-look", WORD, TITLE, "1,234,567.89")

    def test_prices_are_typed_on_the_narrowest(self):
        variant = self.product["variants"][1]["id"]
        self.page.set_viewport_size({"width": NARROWEST, "height": 900})
        self.page.goto(f"/dashboard/products/{self.product['id']}/variants/{variant}")
        fields = self.page.locator("table.inputs :is(input, select)")
        self.assertGreater(fields.count(), 7)
        for field in fields.all():
            box = field.bounding_box()
            self.assertGreaterEqual(box["width"], 96, field)
            self.assertLessEqual(box["x"] + box["width"], NARROWEST, field)
        self.page.get_by_label("Amount of price 1", exact=True).fill("21.50")
        self.page.get_by_label("Group of price 1", exact=True).fill("friends")
        self.page.get_by_label("Begin of price 1", exact=True).fill("2026-12-24T18:00")
        self.page.get_by_role("button", name="Save", exact=True).click()
        shown = self.page.locator("main").inner_text().replace("\u00a0", " ")
        for words in ("21.50 USD", "friends"):
            self.assertIn(words, shown)

    def test_the_audit_log_uses_the_room_of_a_wide_screen(self):
        self.page.goto("/dashboard/audit")
        lines = self.page.locator("td.actor a").evaluate_all("links => links.map(link => link.getClientRects().length)")
        self.assertGreater(len(lines), 1)
        self.assertEqual(set(lines), {1}, "an email stays in one piece")
        boxes = [self.page.get_by_label(name, exact=True).bounding_box() for name in ("From", "To")]
        self.assertEqual(boxes[0]["y"], boxes[1]["y"], "a range stands in one row")
        self.assertEqual(boxes[1]["y"], self.page.get_by_role("button", name="Show").bounding_box()["y"])

    def test_cards_are_rows_of_a_table_for_screen_readers(self):
        self.page.set_viewport_size({"width": NARROW, "height": 900})
        self.page.goto("/dashboard/customers")
        table = self.page.get_by_role("table")
        self.assertEqual(table.get_by_role("columnheader").count(), 4)
        row = table.get_by_role("row").filter(has=self.page.get_by_role("rowheader", name=NAME))
        self.assertEqual(row.get_by_role("cell").all_inner_texts()[0], EMAIL)
        told = self.page.context.new_cdp_session(self.page).send("Accessibility.getFullAXTree")["nodes"]
        roles = [node["role"]["value"] for node in told if not node["ignored"]]
        rows = table.locator("tr").count()
        self.assertEqual((roles.count("row"), roles.count("rowheader")), (rows, rows - 1))
        self.assertEqual((roles.count("columnheader"), roles.count("cell")), (4, 3 * (rows - 1)))
        # The names that stand before values are of their columns: they are not read twice.
        cells = [node.get("name", {}).get("value", "") for node in told if node["role"]["value"] == "cell"]
        self.assertEqual([name for name in cells if name.startswith("Since")], [])


class NarrowWithoutScripts(Narrow):
    java_script = False
