//! Email over SMTP: one message, one recipient, plain text.

use crate::config::Config;
use lettre::address::AddressError;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, SinglePart};
use lettre::transport::smtp::{self, PoolConfig};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use platform::clock::Timestamp;
use std::time::{Duration, UNIX_EPOCH};

/// How long a connection may take to be made.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long a whole delivery may take; far less than a job's lease.
const SEND_TIME: Duration = Duration::from_secs(60);
/// How long a health check may take.
const PROBE_TIME: Duration = Duration::from_secs(2);
/// Longest answer of a server that is kept, in characters.
const DETAIL_MAX: usize = 500;

/// An email to be sent. The same one gives the same bytes each time it is sent.
#[derive(Clone, Debug)]
pub struct Email {
    /// Makes the Message-ID (RFC 5322 §3.6.4): a message that was sent twice because nobody knows
    /// whether the first try arrived is shown once by mailboxes that look.
    pub notification_id: String,
    pub to: Address,
    pub subject: String,
    pub text: String,
    /// Its `Date`.
    pub at: Timestamp,
}

/// What came of sending an email; the text says what the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sending {
    /// The server has taken it.
    Accepted(String),
    /// It will never be taken (RFC 5321 §4.2.1: a 5yz reply).
    Refused(String),
    /// It was not taken this time, or nobody knows.
    Failed(String),
}

/// Why mail cannot be set up; shown by `check-config`.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    #[error("smtp_url must be smtp://[user:password@]host[:port][?tls=required] or smtps://…: {0}")]
    Url(smtp::Error),
    #[error("mail_from must be an address such as `Shop <shop@example.com>`: {0}")]
    From(AddressError),
}

/// A way to send mail; cloning it shares the connections.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    /// The mailer of the settings, `None` when they name none.
    pub fn new(config: &Config) -> Result<Option<Mailer>, MailerError> {
        let Some(url) = &config.smtp_url else {
            return Ok(None);
        };
        let from = config.mail_from.parse().map_err(MailerError::From)?;
        let connections = u32::try_from(super::jobs::DELIVERIES_MAX).unwrap_or(u32::MAX);
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(MailerError::Url)?
            .timeout(Some(CONNECT_TIME))
            .pool_config(PoolConfig::new().max_size(connections))
            .build();
        Ok(Some(Mailer { transport, from }))
    }

    /// Sends `email`, within a minute.
    pub async fn send(&self, email: &Email) -> Sending {
        let message = match self.message(email) {
            Ok(message) => message,
            Err(error) => return Sending::Refused(short(&error.to_string())),
        };
        match tokio::time::timeout(SEND_TIME, self.transport.send(message)).await {
            Ok(Ok(response)) => {
                let lines: Vec<&str> = response.message().collect();
                Sending::Accepted(short(&format!("{} {}", response.code(), lines.join(" "))))
            }
            Ok(Err(error)) if is_final(&error) => Sending::Refused(explain(&error)),
            Ok(Err(error)) => Sending::Failed(explain(&error)),
            Err(_) => Sending::Failed("no answer within 60 s".to_owned()),
        }
    }

    /// Connects and greets, with TLS and login as configured, within 2 s.
    pub async fn probe(&self) -> Result<(), String> {
        match tokio::time::timeout(PROBE_TIME, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("the server closed the connection".to_owned()),
            Ok(Err(error)) => Err(explain(&error)),
            Err(_) => Err("no answer within 2 s".to_owned()),
        }
    }

    fn message(&self, email: &Email) -> Result<Message, lettre::error::Error> {
        let seconds = u64::try_from(email.at.seconds()).unwrap_or(0);
        // RFC 3834 §5: keeps vacation responders from answering.
        let automatic = HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        );
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, email.to.clone()))
            .subject(email.subject.as_str())
            .date(UNIX_EPOCH + Duration::from_secs(seconds))
            .message_id(Some(format!(
                "<{}@{}>",
                email.notification_id,
                self.from.email.domain()
            )))
            .raw_header(automatic)
            .singlepart(SinglePart::plain(email.text.clone()))
    }
}

/// The address in `text` if mail can be sent there: `.invalid` never resolves (RFC 2606 §2) and is
/// what imported users without an address have.
pub fn deliverable(text: &str) -> Option<Address> {
    if text.chars().any(char::is_control) {
        return None;
    }
    let address: Address = text.parse().ok()?;
    let top = address.domain().rsplit('.').next().unwrap_or_default();
    (!top.eq_ignore_ascii_case("invalid")).then_some(address)
}

/// A 5yz reply to this message is final, and so is a message that the server cannot carry. The
/// replies of RFC 4954 §6 are about our login, which may be repaired meanwhile.
fn is_final(error: &smtp::Error) -> bool {
    let about_login = error
        .status()
        .is_some_and(|code| matches!(u16::from(code), 530 | 534 | 535 | 538));
    (error.is_permanent() && !about_login) || error.is_client()
}

fn explain(error: &smtp::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    short(&text)
}

fn short(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(DETAIL_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(smtp_url: &str, mail_from: &str) -> Config {
        Config {
            smtp_url: Some(smtp_url.into()),
            mail_from: mail_from.into(),
            ..Config::default()
        }
    }

    #[tokio::test]
    async fn a_message_is_the_same_each_time_and_its_headers_cannot_be_broken_out_of() {
        let default_from = Config::default().mail_from;
        let mailer = Mailer::new(&config("smtp://127.0.0.1:2525", &default_from))
            .expect("valid")
            .expect("set");
        let email = Email {
            notification_id: "ntf_1".into(),
            to: deliverable("alice@example.com").expect("an address"),
            subject: "Hi\r\nBcc: eve@example.com".into(),
            text: "Grüße\n.\nQUIT".into(),
            at: Timestamp::from_micros(1_700_000_000_000_000),
        };
        let bytes = mailer.message(&email).expect("built").formatted();
        assert_eq!(bytes, mailer.message(&email).expect("built").formatted());
        let text = String::from_utf8(bytes).expect("ASCII");
        assert!(text.contains("Message-ID: <ntf_1@localhost>\r\n"), "{text}");
        assert!(text.contains("Date: Tue, 14 Nov 2023 22:13:20"), "{text}");
        assert!(!text.to_lowercase().contains("\nbcc:"), "{text}");
    }

    #[test]
    fn addresses_that_cannot_exist_are_told_apart() {
        assert!(deliverable("alice@example.com").is_some());
        for text in [
            "",
            "alice",
            "a@guest.INVALID",
            "a@invalid",
            "a@b.c\r\nRCPT TO:<eve@example.com>",
        ] {
            assert_eq!(deliverable(text), None, "{text}");
        }
    }

    #[test]
    fn wrong_settings_are_named() {
        assert!(matches!(
            Mailer::new(&config("http://x", "a@example.com")),
            Err(MailerError::Url(_))
        ));
        assert!(matches!(
            Mailer::new(&config("smtp://x", "nobody")),
            Err(MailerError::From(_))
        ));
        assert!(Mailer::new(&Config::default()).expect("valid").is_none());
    }
}
