"""What goes by mail, what does not arrive, and what is tried again."""

import email
import re
import socketserver
import threading

from harness import OWNER, PASSWORD
from test_dashboard import SignedIn

SECONDS = 30


class Session(socketserver.StreamRequestHandler):
    """The little of SMTP (RFC 5321) that a mailbox needs."""

    timeout = SECONDS

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.say("220 mailbox")
        while line := self.rfile.readline(2_000).decode().strip():
            command = line[:4].upper()
            if command == "QUIT":
                return self.say("221 bye")
            if command == "RCPT" and self.server.refuses:
                self.say("550 no such mailbox")
            elif command == "DATA":
                self.say("354 go on")
                lines = []
                while (text := self.rfile.readline(2_000)) not in (b".\r\n", b""):
                    lines.append(text)
                self.server.take(b"".join(lines))
                self.say("250 taken")
            else:
                self.say("250 ok")


class Mailbox(socketserver.ThreadingTCPServer):
    """Takes mail on a port of its own, or refuses everybody."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Session)
        self.refuses = False
        self.mails = []
        self.arrived = threading.Condition()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self, mail):
        with self.arrived:
            self.mails.append(email.message_from_bytes(mail))
            self.arrived.notify_all()

    def next_to(self, address):
        """The text of the next mail to somebody."""

        def found():
            return next((mail for mail in self.mails if address in mail["To"]), None)

        with self.arrived:
            if not self.arrived.wait_for(found, timeout=SECONDS):
                raise AssertionError(f"no mail to {address}")
            mail = found()
            self.mails.remove(mail)
        part = next(part for part in mail.walk() if part.get_content_type() == "text/plain")
        return part.get_payload(decode=True).decode()


class Mails(SignedIn):
    @classmethod
    def setUpClass(cls):
        cls.mailbox = Mailbox()
        cls.addClassCleanup(cls.mailbox.server_close)
        cls.addClassCleanup(cls.mailbox.shutdown)
        cls.flags = ("--smtp-url", f"smtp://127.0.0.1:{cls.mailbox.server_address[1]}")
        super().setUpClass()

    def link(self, text):
        # The server does not know the free port that it was given.
        return self.shop.url + re.search(r"http://[^/\s]+(/dashboard/\S+)", text)[1]

    def test_an_invitation_and_a_forgotten_password_go_by_mail(self):
        self.page.goto("/dashboard/team")
        self.page.get_by_role("textbox", name="Email").fill("lee@example.com")
        self.page.get_by_role("button", name="Invite", exact=True).click()
        self.page.get_by_text("The invitation is on its way").wait_for()
        lee = self.browse(java_script_enabled=self.java_script)
        lee.goto(self.link(self.mailbox.next_to("lee@example.com")))
        lee.get_by_label("Password").fill("purple monkey dishwasher")
        lee.get_by_role("button", name="Save and sign in").click()
        lee.get_by_role("heading", name="Home").wait_for()

        # Who just got a link gets no second one for some minutes: somebody else has forgotten.
        self.page.get_by_role("button", name="Sign out").click()
        self.page.get_by_text("Forgot your password?").click()
        self.page.get_by_label("Email").fill(OWNER)
        self.page.get_by_role("button", name="Send reset link").click()
        self.page.get_by_text("is on its way").wait_for()
        self.page.goto(self.link(self.mailbox.next_to(OWNER)))
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Save and sign in").click()
        self.page.get_by_role("heading", name="Home").wait_for()

    def test_what_did_not_arrive_is_seen_and_sent_after_all(self):
        user = {"username": f"ada{self.java_script}".lower(), "email": "ada@example.com"}
        user = self.shop.post("/v2/users", user, self.shop.token())
        self.mailbox.refuses = True
        message = {"user_id": user["id"], "message": "Your order has been shipped!", "type": "email"}
        self.shop.post("/v2/notifications", message, self.shop.token())
        failing = self.page.locator("section", has=self.page.get_by_role("heading", name="Failing deliveries"))
        for _ in range(SECONDS * 2):
            self.page.goto("/dashboard")
            if "no such mailbox" in failing.inner_text():
                break
            self.page.wait_for_timeout(500)
        self.assertIn("no such mailbox", failing.inner_text())
        self.look("home-failing")
        self.page.goto("/dashboard/jobs")
        self.page.get_by_role("link", name="Failed", exact=True).click()
        self.look("jobs-failed")
        self.mailbox.refuses = False
        self.page.locator("tbody").get_by_role("button", name="Retry").first.click()
        self.page.get_by_text("in its queue again").wait_for()
        self.assertIn("has been shipped", self.mailbox.next_to("ada@example.com"))


class MailsWithoutScripts(Mails):
    java_script = False
