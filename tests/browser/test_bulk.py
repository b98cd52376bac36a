"""One change of many products, from the list to what became of it."""

from test_dashboard import SignedIn


class Bulk(SignedIn):
    def product(self, sku, price):
        body = {"title": f"Kettle {sku}", "status": "active", "sku": sku, "price": price, "currency": "USD"}
        return self.shop.post("/v2/products", body, self.shop.token())

    def setUp(self):
        super().setUp()
        # Tests of a class share their shop.
        self.skus = [f"{self._testMethodName[-8:]}-{n}".upper() for n in range(3)]
        self.products = [self.product(sku, price) for sku, price in zip(self.skus, (1_999, 2_000, 50))]

    def tick(self, skus):
        self.page.goto("/dashboard/products")
        for sku in skus:
            self.page.get_by_label(f"Tick Kettle {sku}").check()
        self.page.get_by_role("button", name="Change selected…").click()
        self.page.get_by_role("heading", name="Change products").wait_for()

    def field(self, name):
        return self.page.locator(f"main [name='{name}']")

    def row(self, sku):
        return self.page.locator("tbody tr", has_text=f"Kettle {sku}").inner_text().replace("\u00a0", " ")

    def test_prices_are_looked_at_and_changed(self):
        self.page.goto("/dashboard/products")
        self.page.get_by_label(f"Tick Kettle {self.skus[0]}").check()
        self.look("products-ticked", whole=False)
        self.tick(self.skus)
        self.field("price").select_option("percent")
        self.field("by").fill("a little")
        self.page.get_by_role("button", name="Preview changes").click()
        self.page.get_by_role("alert").wait_for()
        self.look("products-bulk-wrong")
        self.assertEqual(self.field("by").input_value(), "a little")
        self.field("price").select_option("amount")
        self.field("by").fill("-1.50")
        self.field("ending").select_option("below_whole")
        self.page.get_by_label("Add a category").fill("Spring & <b>summer</b>")
        self.look("products-bulk")
        self.page.get_by_role("button", name="Preview changes").click()
        self.page.get_by_text("Nothing is written yet").wait_for()
        self.look("products-bulk-look")
        for words in ("19.99 USD", "18.99 USD", "exactly 18.49"):
            self.assertIn(words, self.row(self.skus[0]))
        self.assertIn("cannot be changed so; a price stays above 0", self.row(self.skus[2]))

        # Somebody else is faster with one of them.
        other = self.browse(java_script_enabled=self.java_script)
        self.sign_in(other)
        other.goto(f"/dashboard/products/{self.products[1]['id']}/edit")
        other.get_by_label("Vendor").fill("Kiln")
        other.get_by_role("button", name="Save", exact=True).click()
        other.get_by_text("Kiln").first.wait_for()
        self.page.get_by_role("button", name="Change 2 products").click()
        self.page.get_by_text("1 product is changed, 1 is not.").wait_for()
        self.assertIn("It was changed meanwhile", self.row(self.skus[1]))
        self.look("products-bulk-done")
        self.page.get_by_role("button", name="Preview these again").click()
        self.assertIn("18.99 USD", self.row(self.skus[1]))
        self.page.get_by_role("button", name="Change 1 product").click()
        self.page.get_by_text("1 product is changed.").wait_for()
        self.page.goto(f"/dashboard/products/{self.products[1]['id']}")
        shown = self.page.locator("main").inner_text().replace("\u00a0", " ")
        for words in ("18.99 USD", "Kiln", "Spring & <b>summer</b>"):
            self.assertIn(words, shown)

    def test_one_that_was_ticked_can_be_left_out(self):
        self.tick(self.skus[:2])
        self.page.get_by_label(f"Kettle {self.skus[0]}").uncheck()
        self.field("status").select_option("archived")
        self.page.get_by_role("button", name="Preview changes").click()
        self.page.get_by_role("button", name="Change 1 product").click()
        self.page.get_by_text("1 product is changed.").wait_for()
        self.page.goto("/dashboard/products?status=archived")
        names = self.page.locator("tbody").inner_text()
        self.assertIn(self.skus[1], names)
        self.assertNotIn(self.skus[0], names)


class BulkWithoutScripts(Bulk):
    java_script = False


class Ticking(SignedIn):
    def test_one_box_ticks_the_page(self):
        self.page.goto("/dashboard/products")
        boxes = self.page.locator("tbody input[type='checkbox']")
        count = boxes.count()
        self.assertGreater(count, 1)
        every = self.page.get_by_label("All on this page")
        every.check()
        self.page.get_by_text(f"{count} ticked").wait_for()
        self.assertTrue(all(boxes.nth(n).is_checked() for n in range(count)))
        boxes.first.uncheck()
        self.page.get_by_text(f"{count - 1} ticked").wait_for()
        self.assertTrue(every.evaluate("box => box.indeterminate"))
        every.check()
        every.uncheck()
        self.assertFalse(boxes.first.is_checked())
        self.page.get_by_role("button", name="Change all matching…").click()
        self.page.get_by_text(f"{count} chosen").wait_for()
