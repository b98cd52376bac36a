"""A Tradepost of its own for each test class, and a Chromium that keeps what went wrong.

Run by `cargo xtask test`, which says where the program, the browser and the folder for pictures are.
"""

import json
import os
import re
import subprocess
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

PROGRAM = os.environ["TRADEPOST"]
PICTURES = Path(os.environ["PICTURES"])
# The address of a PostgreSQL server, on which databases are made; empty for SQLite.
DATABASE_URL = os.environ.get("DATABASE_URL", "")
# How a page looks does not depend on where its data is: one engine is looked at.
LOOKS = not DATABASE_URL
OWNER = "owner@example.com"
PASSWORD = "correct horse battery"
START_S = 60
# A desktop, a telephone, and the narrowest window that must not scroll sideways (WCAG 2.2, 1.4.10).
WIDE, NARROW, NARROWEST = 1280, 390, 320
WIDER_THAN_THEIR_BOX = """[...document.querySelectorAll('.scroll')]
  .filter(list => list.scrollWidth > list.clientWidth)
  .map(list => `${list.ariaLabel}: ${list.scrollWidth} in ${list.clientWidth} px`)"""
CHROMIUM_FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def new_database():
    """The address of an empty database."""
    name = f"browser_{os.getpid()}_{time.monotonic_ns()}"
    server = DATABASE_URL.rsplit("/", 1)[0]
    subprocess.run([os.environ["CREATEDB"], "--maintenance-db", DATABASE_URL, name], check=True)
    return f"{server}/{name}"


class Shop:
    """`tradepost serve --demo` on a free port with storage of its own."""

    def __init__(self, flags=()):
        self.folder = tempfile.TemporaryDirectory(prefix="tradepost-browser-")
        self.log = Path(self.folder.name, "log")
        self.storage = ["--data-dir", self.folder.name + "/data"]
        if DATABASE_URL:
            self.storage += ["--database-url", new_database()]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "serve", "--demo", "--listen", "127.0.0.1:0", *self.storage, *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.setup_link = self.printed(r"(http://\S+/dashboard/setup\?token=\S+)")
        self.url = self.printed(r"listening on (http://[\d.:]+)")

    def printed(self, pattern):
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if found := re.search(pattern + r"\s", self.log.read_text()):
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"serve did not print {pattern}:\n{self.log.read_text()}")

    def run(self, *arguments):
        """A command of the program on this shop's storage; what it prints."""
        command = [PROGRAM, *arguments, *self.storage]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def token(self):
        """For the client of the sample data, which may do everything."""
        body = {"grant_type": "client_credentials"} | {
            name: self.printed(rf"{name}\s+(c\w+)") for name in ("client_id", "client_secret")
        }
        return self.post("/oauth/token", body)["access_token"]

    def post(self, path, body, token=None):
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.folder.cleanup()


def set_up(page, link):
    """The first run; the browser is signed in as the owner afterwards."""
    page.goto(link)
    page.get_by_label("Email").fill(OWNER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Name").fill("Teapots & more")
    page.get_by_role("button", name="Create the shop").click()
    page.wait_for_selector("#client-secret")


class BrowserTest(unittest.TestCase):
    """One shop for the class, one fresh browser profile for each test."""

    flags = ()
    java_script = True
    # Where else a page may lead.
    elsewhere = ()

    @classmethod
    def setUpClass(cls):
        cls.playwright = sync_playwright().start()
        cls.addClassCleanup(cls.playwright.stop)
        cls.chromium = cls.playwright.chromium.launch(
            executable_path=os.environ["CHROMIUM"], args=CHROMIUM_FLAGS, chromium_sandbox=os.geteuid() != 0
        )
        cls.addClassCleanup(cls.chromium.close)
        cls.shop = Shop(cls.flags)
        cls.addClassCleanup(cls.shop.stop)

    def setUp(self):
        self.faults = []
        self.page = self.browse(java_script_enabled=self.java_script)

    def browse(self, **options) -> Page:
        """A tab with a profile of its own, whose faults fail the test."""
        options = {"viewport": {"width": WIDE, "height": 900}, "base_url": self.shop.url} | options
        context = self.chromium.new_context(**options)
        self.addCleanup(context.close)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", self.heard)
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("request", self.asked)
        return page

    def heard(self, message):
        # Refusals that a test provokes are told as failed loads; blocked content has its own words.
        told_by_network = message.text.startswith("Failed to load resource")
        if message.type == "error" and not told_by_network:
            self.faults.append(f"console: {message.text}")

    def asked(self, request):
        if not request.url.startswith((self.shop.url, "data:", "blob:", *self.elsewhere)):
            self.faults.append(f"asked elsewhere: {request.url}")

    def tearDown(self):
        self.assertEqual(self.faults, [])

    def sign_in(self, page=None, email=OWNER, password=PASSWORD):
        page = page or self.page
        page.goto("/dashboard/sign-in")
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_role("button", name="Sign in", exact=True).click()

    def look(self, name, whole=True):
        """Keeps pictures of the page, and lets axe judge it, at both widths and in both themes."""
        if not (LOOKS and self.java_script):  # axe is a script itself
            return
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            for width in (WIDE, NARROW):
                self.page.set_viewport_size({"width": width, "height": 900})
                PICTURES.mkdir(parents=True, exist_ok=True)
                path = PICTURES / f"{name}-{scheme}-{width}.png"
                self.page.screenshot(path=path, full_page=whole)
                self.judge(f"{name}, {scheme}, {width} px")
                if width < WIDE:
                    self.fits(name, width)
        self.page.set_viewport_size({"width": NARROWEST, "height": 900})
        self.fits(name, NARROWEST)
        self.page.set_viewport_size({"width": WIDE, "height": 900})
        self.page.emulate_media(color_scheme="light")

    def fits(self, name, width):
        """Neither the page nor a list in it scrolls sideways at this width, which the window has."""
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        self.assertLessEqual(wide, width, f"{name} scrolls sideways")
        lists = self.page.evaluate(WIDER_THAN_THEIR_BOX)
        self.assertEqual(lists, [], f"{name} has lists that scroll sideways at {width} px")

    def judge(self, where):
        found = Axe().run(self.page).response["violations"]
        told = [
            f"{fault['id']}: {fault['help']}: {node['html'][:200]}" for fault in found for node in fault["nodes"]
        ]
        self.assertEqual(told, [], where)
