//! Passwords: argon2id, few at a time and never on a thread that answers requests.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use axum::http::header;
use platform::http::{Problem, codes};
use platform::secrets::{Secret, random_base62};
use std::sync::OnceLock;
use tokio::sync::Semaphore;

/// Hashes at a time: each takes 19 MiB and a core for some ten milliseconds.
const AT_ONCE_MAX: usize = 2;
/// Hashes that may wait; more only make every answer late.
const WAITING_MAX: usize = 32;

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE_MAX + WAITING_MAX);
static RUNNING: Semaphore = Semaphore::const_new(AT_ONCE_MAX);

/// The hash of `password` in PHC form, with a salt of its own (RFC 9106; 19 MiB, 2 passes).
///
/// # Errors
/// 503 when too many wait.
pub async fn hash(password: Secret<String>) -> Result<String, Problem> {
    aside(move || hash_now(password.expose())).await
}

/// Whether `password` is the one of `hash`. Without a hash it takes as long and is never right.
///
/// # Errors
/// 503 when too many wait.
pub async fn verify(password: Secret<String>, hash: Option<String>) -> Result<bool, Problem> {
    aside(move || {
        static NOBODY: OnceLock<String> = OnceLock::new();
        let known = hash.is_some();
        let hash =
            hash.unwrap_or_else(|| NOBODY.get_or_init(|| hash_now(&random_base62(20))).clone());
        let right = PasswordHash::new(&hash).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(password.expose().as_bytes(), &hash)
                .is_ok()
        });
        right && known
    })
    .await
}

fn hash_now(password: &str) -> String {
    Argon2::default()
        .hash_password(password.as_bytes())
        .expect("any bytes can be hashed with the default parameters")
        .to_string()
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let busy = || {
        Problem::new(&codes::OVERLOADED, "too many people sign in at the moment")
            .header(header::RETRY_AFTER, "1")
    };
    let _place = PLACES.try_acquire().map_err(|_| busy())?;
    let _turn = RUNNING.acquire().await.map_err(|_| busy())?;
    tokio::task::spawn_blocking(work).await.map_err(|_| busy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let hash = hash(secret("correct horse")).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            verify(secret("correct horse"), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(!verify(secret("wrong horse"), Some(hash)).await.unwrap());
        assert!(!verify(secret("correct horse"), None).await.unwrap());
        let broken = Some("broken".to_owned());
        assert!(!verify(secret("correct horse"), broken).await.unwrap());
    }
}
