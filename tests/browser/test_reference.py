"""The API reference at `/docs`."""

import subprocess

from harness import NARROW, BrowserTest, set_up


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

    def test_who_is_signed_in_needs_no_secret(self):
        set_up(self.page, self.shop.setup_link)
        self.page.goto("/docs")
        self.page.locator("#connect").click()
        self.page.locator("#credentials select").wait_for()
        self.assertFalse(self.page.get_by_label("Client secret").is_visible())
        self.judge("the dialog")
        self.page.locator("#credentials").get_by_role("button", name="Connect").click()
        form = self.page.locator("form[data-method='GET'][data-path='/v2/products']")
        form.locator("xpath=..").locator("summary").click()
        form.get_by_role("button", name="Send").click()
        form.locator("output .status").wait_for()
        self.assertEqual(form.locator("output .status").text_content(), "200")

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
