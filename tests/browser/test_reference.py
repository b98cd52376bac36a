"""The API reference at `/docs`."""

import subprocess

from harness import NARROW, WIDE, BrowserTest, set_up

# Where the words of a label stand.
WORDS = """label => {
  const range = document.createRange();
  range.selectNodeContents(label.firstChild);
  const { right, bottom, top } = range.getBoundingClientRect();
  return { right, bottom, top };
}"""
# Two dozen fields more.
LENGTHEN = """form => {
  const field = () => Object.assign(document.createElement('label'), { textContent: 'x' });
  form.prepend(...Array.from({ length: 24 }, field));
}"""
IN_SIGHT = """output => {
  const { top } = output.getBoundingClientRect();
  return top >= 0 && top < innerHeight / 2;
}"""


class Reference(BrowserTest):
    def test_it_is_looked_at(self):
        self.page.goto("/docs")
        self.look("docs", whole=False)

    def test_an_operation_is_tried(self):
        client = self.shop.printed(r"client_id\s+(cli_\w+)")
        secret = self.shop.printed(r"client_secret\s+(cs_\w+)")
        self.page.goto("/docs")
        self.page.locator("#connect").click()
        self.page.get_by_label("Client id").fill(client)
        self.page.get_by_label("Client secret").fill(secret)
        self.page.locator("#credentials").get_by_role("button", name="Connect").click()
        form = self.page.locator("form[data-method='GET'][data-path='/v2/products']")
        form.locator("xpath=..").locator("summary").click()
        form.get_by_role("button", name="Send").click()
        form.locator("output .status").wait_for()
        self.assertEqual(form.locator("output .status").text_content(), "200")
        self.assertIn("MUG-BLUE", form.locator("output").text_content())
        self.assertEqual(self.page.evaluate("localStorage.length + sessionStorage.length"), 0)
        status = self.page.locator(".bar").get_by_role("status")
        self.assertRegex(status.text_content(), rf"^Connected as {client}, \d+ scopes, for 60 minutes$")
        self.page.locator("#connect").click()
        details = self.page.locator("#credentials .connected").text_content()
        self.assertIn(client, details)
        self.assertIn("orders:write", details)

    def test_who_is_signed_in_needs_no_secret(self):
        set_up(self.page, self.shop.setup_link)
        self.page.goto("/docs")
        self.page.locator("#connect").click()
        self.page.locator("#credentials select").wait_for()
        self.assertFalse(self.page.get_by_label("Client secret").is_visible())
        self.judge("the dialog")
        name = self.page.locator("#credentials select option").first.text_content()
        self.page.locator("#credentials").get_by_role("button", name="Connect").click()
        form = self.page.locator("form[data-method='GET'][data-path='/v2/products']")
        form.locator("xpath=..").locator("summary").click()
        form.get_by_role("button", name="Send").click()
        form.locator("output .status").wait_for()
        self.assertEqual(form.locator("output .status").text_content(), "200")
        status = self.page.locator(".bar").get_by_role("status").text_content()
        self.assertTrue(status.startswith(f"Connected as {name}, "), status)
        self.assertTrue(status.endswith(", for 5 minutes"), status)

    def test_the_answer_is_where_one_looks(self):
        for motion in ("no-preference", "reduce"):
            for width in (WIDE, NARROW):
                page = self.browse(viewport={"width": width, "height": 700}, reduced_motion=motion)
                page.goto("/docs")
                form = page.locator("form[data-method='GET'][data-path='/healthz']")
                form.evaluate(LENGTHEN)
                form.locator("xpath=..").locator("summary").click()
                form.get_by_role("button", name="Send").click()
                answer = form.get_by_role("status")
                answer.locator(".status").wait_for()
                self.assertTrue(answer.evaluate("output => output === document.activeElement"))
                page.wait_for_function(IN_SIGHT, arg=answer.element_handle())

    def test_copying_never_covers_the_code(self):
        for width in (WIDE, NARROW):
            page = self.browse(
                viewport={"width": width, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
            )
            page.goto("/docs")
            for at, code in (
                ("#getting-started .block >> nth=1", "TOKEN=$(curl"),
                ("#createOrder .tabs >> nth=0", "curl http"),
                ("#createOrder .tabs >> nth=1", "HTTP/1.1 201"),
            ):
                block = page.locator(at)
                shown = block.locator("pre:visible")
                button = block.get_by_role("button", name="Copy")
                self.assertEqual(button.count(), 1)
                box, text = button.bounding_box(), shown.bounding_box()
                self.assertLessEqual(box["y"] + box["height"], text["y"], at)
                for label in block.locator("label, p").all():
                    words = label.evaluate(WORDS)
                    beside = words["right"] <= box["x"]
                    above, below = words["bottom"] <= box["y"], words["top"] >= box["y"] + box["height"]
                    self.assertTrue(beside or above or below, f"{at}: {words} {box}")
                button.click()
                block.get_by_text("Copied").wait_for()
                copied = page.evaluate("navigator.clipboard.readText()")
                self.assertEqual(copied, shown.text_content())
                self.assertTrue(copied.startswith(code), copied)
            commands = page.locator("section .block:not(.answer)")
            self.assertEqual(commands.get_by_role("button").count(), commands.count())

    def filtered(self, typed):
        self.page.get_by_role("searchbox", name="Filter the contents").fill(typed)
        return self.page.locator("nav li:visible a").evaluate_all("all => all.map(link => link.hash.slice(1))")

    def test_the_filter_finds_what_one_has_at_hand(self):
        self.page.goto("/docs")
        self.assertEqual(
            self.filtered("/v2/inventory"), ["listInventory", "adjustInventory", "listStockMovements"]
        )
        found = self.filtered("POST /v2/orders")
        self.assertIn("createOrder", found)
        self.assertNotIn("listOrders", found)
        self.assertIn("listOrders", self.filtered(f"{self.shop.url}/v2/orders?limit=2"))
        self.assertIn("createOrder", self.filtered("creates a new order"))
        self.assertIn("idempotency", self.filtered("idempot"))
        told = self.page.locator("nav").get_by_role("status")
        self.assertEqual(told.text_content(), "")
        self.assertEqual(self.filtered("teapotry"), [])
        self.assertEqual(told.text_content(), "Nothing matches “teapotry”.")
        self.assertTrue(told.is_visible())
        self.judge("nothing found")
        self.assertGreater(len(self.filtered("")), 60)
        self.assertEqual(told.text_content(), "")

    def test_the_language_is_kept(self):
        self.page.goto("/docs")
        shown = self.page.locator("#createOrder").get_by_role("group", name="Language").locator("pre:visible")
        self.assertEqual(shown.get_attribute("data-language"), "curl")
        self.page.locator("#listUsers").get_by_role("group", name="Language").get_by_text("Python").click()
        self.assertEqual(shown.get_attribute("data-language"), "Python")
        self.page.reload()
        self.page.wait_for_function("document.querySelector('nav .filter')")
        self.assertEqual(shown.get_attribute("data-language"), "Python")

    def test_it_works_where_nothing_may_be_kept(self):
        self.page.add_init_script(
            "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
        )
        self.page.goto("/docs")
        languages = self.page.locator("#createOrder").get_by_role("group", name="Language")
        languages.get_by_text("Rust").click()
        self.assertEqual(languages.locator("pre:visible").get_attribute("data-language"), "Rust")
        self.assertGreater(len(self.filtered("orders")), 5)

    def test_the_theme_of_the_dashboard_is_followed(self):
        dark, light = "rgb(21, 26, 33)", "rgb(255, 255, 255)"
        for scheme, chosen, seen in (
            ("light", "dark", dark),
            ("dark", "light", light),
            ("dark", "system", dark),
            ("light", "system", light),
        ):
            page = self.browse(color_scheme=scheme)
            page.goto("/docs")
            page.evaluate("theme => localStorage.setItem('tradepost.theme', theme)", chosen)
            for path in ("/docs", "/problems/not_found"):
                page.goto(path)
                colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
                self.assertEqual(colour, seen, f"{path}, {chosen} in a {scheme} browser")

    def test_a_slash_too_many_leads_to_the_page(self):
        self.page.goto("/docs/")
        self.assertEqual(self.page.url, f"{self.shop.url}/docs")

    def examples(self, language):
        found = self.page.locator(f"pre[data-language='{language}']").evaluate_all(
            "all => all.map(pre => pre.firstChild.data)"
        )
        self.assertGreater(len(found), 50)
        return found

    def test_the_examples_are_code(self):
        self.page.goto("/docs")
        for example in self.examples("Python"):
            compile(example, "example", "exec")
        blocks = "\n".join("{\n%s\n}" % example for example in self.examples("JavaScript"))
        checked = subprocess.run(
            ["node", "--input-type=module", "--check"], input=blocks, capture_output=True, text=True
        )
        self.assertEqual(checked.returncode, 0, checked.stderr)

    def test_what_was_recorded_is_chosen_without_scripts(self):
        page = self.browse(java_script_enabled=False)
        page.goto("/docs")
        answers = page.locator("#createOrder").get_by_role("group", name="Recorded response")
        self.assertTrue(answers.locator("pre").first.is_visible())
        answers.get_by_text("409 insufficient_stock", exact=True).click()
        shown = answers.locator("pre:visible")
        self.assertEqual(shown.count(), 1)
        self.assertIn("HTTP/1.1 409", shown.text_content())

    def test_it_reads_without_scripts_and_on_paper(self):
        page = self.browse(java_script_enabled=False, viewport={"width": NARROW, "height": 800})
        page.goto("/docs")
        self.assertGreater(page.get_by_role("heading").count(), 40)
        pdf = page.pdf(format="A4")
        self.assertGreater(len(pdf), 100_000)
