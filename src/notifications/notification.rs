//! What a notification is, when it is held back, and when it is tried again.

use crate::metadata::Metadata;
use crate::users::UserId;
use platform::clock::Timestamp;
use platform::db::{DbError, FromColumn, Param, Row, ToParam};
use platform::{id_type, jobs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

id_type! { /// A notification.
NotificationId, "ntf" }

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        $(#[$meta])*
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// As it is stored and shown.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }

            /// Reads what [`Self::as_str`] has written into column `index`.
            pub(super) fn from_word(word: &str, index: usize) -> Result<Self, DbError> {
                match word {
                    $($word => Ok($name::$variant),)*
                    other => Err(DbError::Column { index, reason: format!("unknown word `{other}`") }),
                }
            }
        }

        impl ToParam for $name {
            fn to_param(&self) -> Param<'_> {
                Param::Text(self.as_str())
            }
        }

        impl<'a> FromColumn<'a> for $name {
            fn from_column(row: &'a Row<'_>, index: usize) -> Result<Self, DbError> {
                $name::from_word(row.get(index)?, index)
            }
        }
    };
}

words! {
    /// The way a message takes.
    #[schemars(rename = "NotificationChannel")]
    Channel {
        Email = "email",
        Sms = "sms",
        Push = "push",
    }
}

words! {
    /// How urgent a message is: of 15 deliveries that could all begin, 8 are critical, 4 high, 2 normal
    /// and 1 low, so that no priority starves.
    #[derive(Default)]
    #[schemars(rename = "NotificationPriority")]
    Priority {
        Low = "low",
        #[default]
        Normal = "normal",
        High = "high",
        Critical = "critical",
    }
}

words! {
    /// What a message is about, which decides whether a person can be spared it.
    #[derive(Default)]
    #[schemars(rename = "NotificationCategory")]
    Category {
        /// Belongs to what the person asked for, such as an order: sent whatever they agreed to.
        #[default]
        Transactional = "transactional",
        /// Everything else: only sent to those who agreed to it on this channel (`consent` of the user).
        Marketing = "marketing",
    }
}

words! {
    /// Where a message is in its life: `queued → sending → sent`, `sending → retrying → sending`,
    /// and the ends `sent`, `dead` and `suppressed`.
    #[schemars(rename = "NotificationStatus")]
    Status {
        Queued = "queued",
        Sending = "sending",
        Sent = "sent",
        Retrying = "retrying",
        Dead = "dead",
        Suppressed = "suppressed",
    }
}

words! {
    /// Why a message was not delivered.
    #[schemars(rename = "NotificationReason")]
    Reason {
        /// Suppressed: it is marketing, to which the user has not agreed on this channel.
        OptedOut = "opted_out",
        /// Suppressed: there is no address to send to.
        NoAddress = "no_address",
        /// Suppressed: this server has no provider for the channel.
        ChannelNotConfigured = "channel_not_configured",
        /// Dead: the receiving side refused it for good.
        Refused = "refused",
        /// Dead: the last try failed too.
        TriesUsedUp = "tries_used_up",
        /// Dead: 72 hours went by.
        Expired = "expired",
    }
}

impl Status {
    /// Whether nothing will happen to the message any more.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Sent | Status::Dead | Status::Suppressed)
    }
}

impl Priority {
    /// Its lane in the queue, the most urgent first.
    pub const fn lane(self) -> i64 {
        match self {
            Priority::Critical => 0,
            Priority::High => 1,
            Priority::Normal => 2,
            Priority::Low => 3,
        }
    }
}

/// Whose turn it is when a delivery can begin, over and over: 8 critical, 4 high, 2 normal, 1 low,
/// spread evenly. A turn that its lane cannot use goes to the most urgent message there is.
pub const TURNS: [Priority; 15] = {
    use Priority::{Critical as C, High as H, Low as L, Normal as N};
    [C, H, C, N, C, H, C, L, C, H, C, N, C, H, C]
};

/// Tries before a message is dead.
pub const TRIES_MAX: i64 = 8;
/// How long a message is worth delivering.
pub const LIFE: Duration = Duration::from_secs(72 * 60 * 60);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);

/// The longest wait after failed try `attempt` (1 is the first): 1 s, 4 s, 16 s, 64 s, 256 s, then
/// 10 min. Fourfold, so that eight tries outlast a receiver that greylists for some minutes.
pub fn wait_max(attempt: i64) -> Duration {
    jobs::backoff(2 * attempt - 1, FIRST_WAIT, LONGEST_WAIT)
}

/// When to try again after failed try `attempt`, or `None` when it was the last. Full jitter: `dice`
/// (any number) picks the wait between nothing and [`wait_max`], so that messages that failed
/// together do not come back together.
pub fn retry_at(
    attempt: i64,
    dice: u64,
    now: Timestamp,
    expires_at: Timestamp,
) -> Option<Timestamp> {
    if attempt >= TRIES_MAX {
        return None;
    }
    let longest = u64::try_from(wait_max(attempt).as_micros()).unwrap_or(u64::MAX - 1);
    let at = now + Duration::from_micros(dice % (longest + 1));
    (at < expires_at).then_some(at)
}

/// Longest subject that is made from a message, in characters.
const MADE_SUBJECT_MAX: usize = 78;

/// The subject line: the title, or the beginning of the message's first line that has text.
pub fn subject(title: Option<&str>, message: &str) -> String {
    if let Some(title) = title {
        return title.to_owned();
    }
    let lines = message.split(|c: char| c.is_control());
    let line = lines
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    if line.chars().count() <= MADE_SUBJECT_MAX {
        return line.to_owned();
    }
    let cut: String = line.chars().take(MADE_SUBJECT_MAX - 1).collect();
    format!("{}…", cut.trim_end())
}

/// A notification as lists and the answer to its creation show it: exactly the documented fields.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Notification {
    pub id: NotificationId,
    pub user_id: UserId,
    #[serde(rename = "type")]
    pub channel: Channel,
    pub priority: Priority,
    pub status: Status,
    pub created_at: Timestamp,
    /// `created_at` to the microsecond, by which the list is sorted; not shown.
    #[serde(skip)]
    pub created_micros: i64,
}

/// A notification with what became of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct NotificationBody {
    #[serde(flatten)]
    pub notification: Notification,
    pub category: Category,
    pub title: Option<String>,
    /// Empty once the person has been forgotten.
    pub message: String,
    pub metadata: Metadata,
    /// Why it was suppressed or is dead.
    pub reason: Option<Reason>,
    /// When the receiving side took it.
    pub sent_at: Option<Timestamp>,
    /// It is not tried again from this instant on.
    pub expires_at: Timestamp,
    /// Each try to deliver it, oldest first.
    pub attempts: Vec<Attempt>,
    pub updated_at: Timestamp,
    pub version: i64,
}

/// One try to deliver a message.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Attempt {
    /// 1 for the first.
    pub number: usize,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub outcome: Outcome,
    /// What the receiving side answered, or why there was no answer.
    pub detail: Option<String>,
}

words! {
    /// What came of a try.
    Outcome {
        /// It is running.
        Running = "running",
        Sent = "sent",
        /// It failed, perhaps only for now.
        Failed = "failed",
        /// The worker died before it could write down what happened; a further try carries the same
        /// Message-ID, so mailboxes can tell.
        Interrupted = "interrupted",
    }
}

/// A transition as it was written down.
#[derive(Clone, Debug)]
pub struct Transition {
    pub status: Status,
    pub detail: Option<String>,
    pub at: Timestamp,
}

/// The tries in a message's transitions (oldest first): each begins with `sending` and ends with
/// what follows.
pub fn attempts(transitions: &[Transition]) -> Vec<Attempt> {
    let begins = |(position, step): (usize, &Transition)| {
        (step.status == Status::Sending).then_some(position)
    };
    let started = transitions.iter().enumerate().filter_map(begins);
    let attempt = |(earlier, position): (usize, usize)| {
        let end = transitions.get(position + 1);
        Attempt {
            number: earlier + 1,
            started_at: transitions[position].at,
            ended_at: end.map(|end| end.at),
            outcome: match end.map(|end| end.status) {
                None => Outcome::Running,
                Some(Status::Sent) => Outcome::Sent,
                Some(Status::Sending) => Outcome::Interrupted,
                Some(_) => Outcome::Failed,
            },
            detail: end.and_then(|end| end.detail.clone()),
        }
    };
    started.enumerate().map(attempt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn of_fifteen_turns_each_priority_has_its_share_and_none_waits_for_all_others() {
        let share = |wanted| TURNS.iter().filter(|turn| **turn == wanted).count();
        let shares = [
            Priority::Critical,
            Priority::High,
            Priority::Normal,
            Priority::Low,
        ]
        .map(share);
        assert_eq!(shares, [8, 4, 2, 1]);
        assert!(
            TURNS
                .windows(2)
                .all(|pair| pair.contains(&Priority::Critical) || pair[0] != pair[1])
        );
    }

    #[test]
    fn waits_grow_to_ten_minutes_and_the_eighth_try_is_the_last() {
        let seconds: Vec<u64> = (1..=8).map(|attempt| wait_max(attempt).as_secs()).collect();
        assert_eq!(seconds, [1, 4, 16, 64, 256, 600, 600, 600]);
        for dice in [0, 1, 999_999, u64::MAX] {
            let at = retry_at(3, dice, NOW, NOW + LIFE).expect("not the last");
            assert!(at >= NOW && at <= NOW + wait_max(3), "{dice}");
        }
        assert_eq!(retry_at(TRIES_MAX, 0, NOW, NOW + LIFE), None);
        assert_eq!(retry_at(1, 0, NOW, NOW), None, "too late");
    }

    #[test]
    fn a_subject_is_one_short_line() {
        assert_eq!(subject(Some("Hello"), "x"), "Hello");
        assert_eq!(
            subject(None, "\r\n Shipped!\r\nBcc: x@example.com"),
            "Shipped!"
        );
        let long = subject(None, &"ü".repeat(500));
        assert_eq!(long.chars().count(), MADE_SUBJECT_MAX);
        assert_eq!(subject(None, "\n\n"), "");
    }

    #[test]
    fn attempts_are_read_from_the_transitions() {
        use Status::{Queued, Retrying, Sending, Sent};
        let steps = [Queued, Sending, Retrying, Sending, Sending, Sent];
        let transitions = steps.map(|status| Transition {
            status,
            detail: None,
            at: NOW,
        });
        let outcomes: Vec<Outcome> = attempts(&transitions)
            .into_iter()
            .map(|one| one.outcome)
            .collect();
        assert_eq!(
            outcomes,
            [Outcome::Failed, Outcome::Interrupted, Outcome::Sent]
        );
        assert_eq!(attempts(&transitions[..2])[0].outcome, Outcome::Running);
    }
}
