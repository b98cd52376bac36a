//! Randomness, digests and encryption at rest: the few cryptographic acts the rest of the program needs,
//! each in its one safe form. All of it is aws-lc-rs; nothing here invents an algorithm.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use aws_lc_rs::{constant_time, digest, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

/// A value that must not reach a log: it has no `Display`, no serialisation, and its `Debug` hides it.
/// The name [`expose`](Secret::expose) makes every place that reads it easy to find.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value to be kept out of logs.
    pub fn new(value: T) -> Secret<T> {
        Secret(value)
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// `N` unpredictable bytes from the operating system's generator.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes)
        .expect("the seeded generator of aws-lc aborts the process rather than fail");
    bytes
}

/// Makes aws-lc the one implementation behind every TLS connection of this process. Call it before the
/// first of them; a second call changes nothing.
pub fn install_tls_provider() {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let _ = provider.install_default(); // fails only when one is installed already
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `length` unpredictable characters of `[0-9A-Za-z]`: 5.95 bits each, so 43 of them exceed 256 bits.
pub fn random_base62(length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        // 248 is the largest multiple of 62 in a byte: what lies above is thrown away, or the first
        // eight characters would come up more often than the rest.
        let fair = random_bytes::<64>().into_iter().filter(|byte| *byte < 248);
        let wanted = length - text.len();
        text.extend(
            fair.take(wanted)
                .map(|byte| char::from(BASE62[usize::from(byte % 62)])),
        );
    }
    text
}

/// `number` in base 62, padded with `0` on the left to `width` characters; longer when it does not fit.
pub fn base62(mut number: u64, width: usize) -> String {
    let mut digits = Vec::with_capacity(width);
    while number > 0 || digits.len() < width {
        digits.push(char::from(BASE62[(number % 62) as usize]));
        number /= 62;
    }
    digits.iter().rev().collect()
}

/// SHA-256 (FIPS 180-4).
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    hash
}

/// SHA-256 as 64 lower-case hexadecimal digits.
pub fn sha256_hex(data: &[u8]) -> String {
    hex(&sha256(data))
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| {
            [
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]
        })
        .map(char::from)
        .collect()
}

/// Why a master key was not loaded. The text is meant for the operator who starts the server.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The text is not 64 hexadecimal digits.
    #[error(
        "a master key is 64 hexadecimal digits (32 bytes), as `openssl rand -hex 32` prints them"
    )]
    Malformed,
    /// Everybody on the machine may read or write the key file.
    #[error("the master key file can be used by every user of this machine: run `chmod 600` on it")]
    Exposed,
    /// The file could not be read or created.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why sealed text was not opened: another master key, another context, or altered text. Which of them
/// cannot be told apart, by design of the cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot be opened: sealed with another master key or for another use, or altered")]
pub struct CannotOpen;

/// The key that encrypts other keys before they are stored (AES-256-GCM, NIST SP 800-38D).
/// Nonces are random, which is safe for 2^32 seals under one key; a server makes a few a year.
pub struct MasterKey {
    cipher: RandomizedNonceKey,
    derivation: hmac::Key,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// Longest key file that is read: 64 digits with generous white space.
const KEY_FILE_MAX_BYTES: u64 = 1024;

impl MasterKey {
    /// A key from its 32 bytes.
    pub fn new(bytes: &[u8; 32]) -> MasterKey {
        MasterKey {
            cipher: RandomizedNonceKey::new(&AES_256_GCM, bytes)
                .expect("AES-256 takes every key of 32 bytes"),
            derivation: hmac::Key::new(hmac::HMAC_SHA256, bytes),
        }
    }

    /// A key of its own for `purpose` (a pseudorandom function of the master key, as the expand step of
    /// RFC 5869), the same on every node.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.derivation, purpose.as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(tag.as_ref());
        key
    }

    /// A key from 64 hexadecimal digits, white space around them ignored: the form of the key file and
    /// of the environment variable alike, so that one can be moved into the other.
    pub fn parse(text: &str) -> Result<MasterKey, MasterKeyError> {
        let digits = text.trim_ascii().as_bytes();
        if digits.len() != 64 {
            return Err(MasterKeyError::Malformed);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).ok_or(MasterKeyError::Malformed);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Ok(MasterKey::new(&bytes))
    }

    /// The key in the file at `path`; a new random one, mode 0600 and on disk before this returns, when
    /// there is no such file. Two processes that start at once agree on one key, and a crash while the
    /// file is created leaves at worst an empty one, which counts as absent.
    pub fn load_or_create(path: &Path) -> Result<MasterKey, MasterKeyError> {
        match File::open(path) {
            Ok(mut file) if file.metadata()?.len() > 0 => MasterKey::read(&mut file),
            Ok(_) => MasterKey::create(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => MasterKey::create(path),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether [`load_or_create`](MasterKey::load_or_create) would make a new key.
    pub fn is_missing(path: &Path) -> bool {
        match std::fs::metadata(path) {
            Ok(file) => file.len() == 0,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    fn create(path: &Path) -> Result<MasterKey, MasterKeyError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.lock()?; // released when `file` is closed
        if file.metadata()?.len() == 0 {
            writeln!(file, "{}", hex(&random_bytes::<32>()))?;
            file.sync_all()?;
            sync_folder_of(path)?;
            file.rewind()?;
        }
        MasterKey::read(&mut file)
    }

    fn read(file: &mut File) -> Result<MasterKey, MasterKeyError> {
        #[cfg(unix)]
        if std::os::unix::fs::PermissionsExt::mode(&file.metadata()?.permissions()) & 0o007 != 0 {
            return Err(MasterKeyError::Exposed);
        }
        let mut text = Vec::new();
        file.take(KEY_FILE_MAX_BYTES).read_to_end(&mut text)?;
        MasterKey::parse(std::str::from_utf8(&text).map_err(|_| MasterKeyError::Malformed)?)
    }

    /// Encrypts `plain` into base64 text. It opens only with the same `context` (authenticated, not
    /// stored), so a sealed value copied into another row or column stays shut.
    pub fn seal(&self, plain: &[u8], context: &str) -> String {
        let mut sealed = plain.to_vec();
        let nonce = self
            .cipher
            .seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut sealed)
            .expect("AES-GCM seals any text far shorter than 64 GiB");
        let nonce: &[u8; NONCE_LEN] = nonce.as_ref();
        BASE64.encode([nonce.as_slice(), sealed.as_slice()].concat())
    }

    /// What [`seal`](MasterKey::seal) was given.
    pub fn open(&self, sealed: &str, context: &str) -> Result<Secret<Vec<u8>>, CannotOpen> {
        let mut bytes = BASE64.decode(sealed).map_err(|_| CannotOpen)?;
        let (nonce, body) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(CannotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotOpen)?;
        let context = Aad::from(context.as_bytes());
        let plain = self
            .cipher
            .open_in_place(nonce, context, body)
            .map_err(|_| CannotOpen)?;
        Ok(Secret::new(plain.to_vec()))
    }
}

/// Makes the directory entry itself durable; without it a power cut may forget a file that was synced.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn debug_never_shows_a_secret() {
        let shown = format!(
            "{:?} {:?}",
            Secret::new("hunter2"),
            MasterKey::new(&[7; 32])
        );
        assert_eq!(shown, "Secret(..) MasterKey(..)");
    }

    #[test]
    fn random_text_has_the_asked_length_and_alphabet() {
        for length in [0, 1, 43, 200] {
            let text = random_base62(length);
            assert_eq!(text.len(), length);
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
        assert_ne!(random_base62(43), random_base62(43));
        let sample = random_base62(62_000); // each character about 1000 times, sigma 32
        for c in BASE62 {
            let count = sample.bytes().filter(|byte| byte == c).count();
            assert!(
                (750..1250).contains(&count),
                "{} came {count} times",
                char::from(*c)
            );
        }
    }

    #[test]
    fn base62_pads_and_never_cuts() {
        assert_eq!(base62(0, 6), "000000");
        assert_eq!(base62(61, 2), "0z");
        assert_eq!(base62(u64::from(u32::MAX), 6), "4gfFC3");
        assert_eq!(base62(62 * 62, 1), "100");
    }

    #[test]
    fn digests_are_sha_256() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // FIPS 180-4, B.1
        assert_eq!(sha256_hex(b"abc"), abc);
        assert!(equal(b"abc", b"abc") && !equal(b"abc", b"abd") && !equal(b"abc", b"ab"));
    }

    #[test]
    fn sealed_text_opens_only_as_it_was_sealed() {
        let key = MasterKey::new(&[1; 32]);
        let sealed = key.seal(b"key bytes", "row 1");
        assert_ne!(
            sealed,
            key.seal(b"key bytes", "row 1"),
            "a nonce is never used twice"
        );
        assert_eq!(key.open(&sealed, "row 1").unwrap().expose(), b"key bytes");
        assert_eq!(key.open(&sealed, "row 2").unwrap_err(), CannotOpen);
        assert!(MasterKey::new(&[2; 32]).open(&sealed, "row 1").is_err());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            assert!(
                key.open(std::str::from_utf8(&altered).unwrap(), "row 1")
                    .is_err()
            );
        }
    }

    #[test]
    fn the_key_file_is_made_once_and_privately() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let sealed = MasterKey::load_or_create(&path).unwrap().seal(b"x", "");
        let again = MasterKey::load_or_create(&path).unwrap();
        assert_eq!(again.open(&sealed, "").unwrap().expose(), b"x");
        let from_environment = MasterKey::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert!(from_environment.open(&sealed, "").is_ok());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode =
                |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            mode(0o644);
            assert!(matches!(
                MasterKey::load_or_create(&path),
                Err(MasterKeyError::Exposed)
            ));
            mode(0o440); // a mounted secret, readable for a group
            assert!(MasterKey::load_or_create(&path).is_ok());
        }
    }

    #[test]
    fn processes_that_start_at_once_share_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        std::fs::write(&path, "").unwrap(); // what a crash leaves
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let keys: Vec<MasterKey> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| MasterKey::load_or_create(&path).unwrap()))
                .collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        });
        let sealed = keys[0].seal(b"x", "");
        assert!(keys.iter().all(|key| key.open(&sealed, "").is_ok()));
    }

    #[test]
    fn a_damaged_key_file_is_refused_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        std::fs::write(&path, "short").unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        assert!(matches!(
            MasterKey::load_or_create(&path),
            Err(MasterKeyError::Malformed)
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "short");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,80}") {
            let _ = MasterKey::parse(&text);
            prop_assert!(MasterKey::new(&[1; 32]).open(&text, "").is_err());
        }
    }
}
