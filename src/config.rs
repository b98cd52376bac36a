//! Settings. Flags win over the environment, the environment over `tradepost.toml`, the file over the
//! defaults. The defaults are `config.default.toml`, which is also the manual.

use platform::http::Network;
use platform::secrets::{MasterKey, Secret};
use std::fmt;
use std::path::{Path, PathBuf};

/// Every setting with its default, commented.
pub const MANUAL: &str = include_str!("config.default.toml");
/// The file that is read when no other is named, if it is there.
const FILE: &str = "tradepost.toml";
/// The largest file of settings.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What this process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    #[default]
    All,
    /// Answers requests.
    Api,
    /// Runs what follows the event log and what was queued.
    Worker,
}

/// One setting, as people name it.
pub struct Setting {
    /// The key in the file; `--some-key` and `TRADEPOST_SOME_KEY` follow from it.
    pub key: &'static str,
    /// What the help shows in place of a value.
    pub value_name: &'static str,
    /// What it does.
    pub help: &'static str,
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $key:ident: $type:ty, $value_name:literal $(, $check:expr)?;)*) => {
        /// Every setting, resolved.
        #[derive(Clone)]
        pub struct Config {
            $($(#[doc = $doc])+ pub $key: $type,)*
        }

        /// Every setting, in the order of the manual.
        pub static SETTINGS: &[Setting] = &[
            $(Setting { key: stringify!($key), value_name: $value_name, help: concat!($($doc),+) },)*
        ];

        impl Config {
            fn blank() -> Config {
                Config { $($key: Default::default(),)* }
            }

            fn assign(&mut self, key: &str, text: &str) -> Result<(), String> {
                match key {
                    $(stringify!($key) => {
                        let value = <$type as Value>::parse(text)?;
                        $(($check)(&value)?;)?
                        self.$key = value;
                        Ok(())
                    })*
                    _ => Err("there is no such setting; `tradepost check-config --manual` lists all".into()),
                }
            }

            /// The value of the setting `key` as it would stand in the file, passwords hidden; `None`
            /// when it is not set.
            pub fn shown(&self, key: &str) -> Option<String> {
                match key {
                    $(stringify!($key) => self.$key.shown(),)*
                    _ => None,
                }
            }
        }
    };
}

settings! {
    /// `address:port` to listen on; port 0 takes a free one.
    listen: String, "ADDRESS:PORT", address;
    /// The URL under which clients reach this server, without a slash at its end: issuer of the
    /// access tokens and base of all links.
    public_url: String, "URL", http_url;
    /// Reverse proxies in front of this server, as addresses or networks with commas between them: when a
    /// request comes from one of them, the client's address is taken from X-Forwarded-For.
    trusted_proxies: Vec<Network>, "CIDRS";
    /// What this process does: all, api or worker.
    role: Role, "ROLE";
    /// Where the embedded database, the search index and the master key live.
    data_dir: PathBuf, "FOLDER";
    /// Where the search index of this process lives; not set for `search` in the data directory. Two
    /// processes cannot share one.
    index_dir: Option<PathBuf>, "FOLDER";
    /// `postgres://…` for PostgreSQL; not set for the embedded SQLite.
    database_url: Option<String>, "URL", scheme(&["postgres", "postgresql"]);
    /// 64 hexadecimal digits that encrypt the signing keys; all nodes on one database need the same.
    /// Not set for the file `master.key` in the data directory, made when it is missing.
    master_key: Option<Secret<String>>, "DIGITS", master_key;
    /// Fill an empty database with sample data and print a client that may use it.
    demo: bool, "BOOL";
    /// Requests per second for each client, with a burst of twice that; 0 is no limit.
    rate_limit_per_second: u32, "N", within(0, 1_000_000);
    /// Life of an access token, 60 to 86,400 seconds.
    access_token_ttl_seconds: u32, "N", within(60, 86_400);
    /// Whether clients may register themselves with tokens of `registration-tokens create` (RFC 7591).
    client_registration: bool, "BOOL";
    /// Whether `POST /v2/orders` must carry an `Idempotency-Key`.
    require_idempotency_key: bool, "BOOL";
    /// Minutes that an unpaid order holds its stock when the request does not say.
    order_hold_minutes: u32, "N", within(1, 43_200);
    /// `smtp://user:password@host:port` for email; not set when there is no mailer.
    smtp_url: Option<String>, "URL", scheme(&["smtp", "smtps"]);
    /// The sender of email, such as `Shop <shop@example.com>`.
    mail_from: String, "MAILBOX", mailbox;
    /// What is logged on standard error: error, warn, info, debug, trace, or parts of the program.
    log_level: String, "FILTER", filter;
    /// Whether each request is logged on standard output.
    log_requests: bool, "BOOL";
}

impl Config {
    /// Where the search index lives.
    pub fn index_dir(&self) -> PathBuf {
        let default = || self.data_dir.join("search");
        self.index_dir.clone().unwrap_or_else(default)
    }
}

impl Default for Config {
    fn default() -> Self {
        let settings = Settings::resolve(None, &[]);
        settings
            .expect("the manual is part of the program and a test reads it")
            .config
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = SETTINGS
            .iter()
            .map(|setting| (setting.key, self.shown(setting.key)));
        f.debug_map().entries(shown).finish()
    }
}

// ---- values ------------------------------------------------------------------------------------

trait Value: Sized {
    fn parse(text: &str) -> Result<Self, String>;
    /// As TOML, without secrets.
    fn shown(&self) -> Option<String>;
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("must not be empty".into()),
            text => Ok(text.to_owned()),
        }
    }
    fn shown(&self) -> Option<String> {
        Some(toml::Value::String(self.clone()).to_string())
    }
}

impl Value for Option<String> {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }
    fn shown(&self) -> Option<String> {
        self.as_deref()
            .map(|url| toml::Value::String(without_password(url)).to_string())
    }
}

impl Value for Option<Secret<String>> {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Option::<String>::parse(text)?.map(Secret::new))
    }
    fn shown(&self) -> Option<String> {
        self.as_ref().map(|_| "\"(hidden)\"".to_owned())
    }
}

impl Value for Option<PathBuf> {
    fn parse(text: &str) -> Result<Self, String> {
        PathBuf::parse(text).map(Some)
    }
    fn shown(&self) -> Option<String> {
        self.as_ref().and_then(Value::shown)
    }
}

impl Value for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        String::parse(text).map(PathBuf::from)
    }
    fn shown(&self) -> Option<String> {
        Some(toml::Value::String(self.display().to_string()).to_string())
    }
}

impl Value for u32 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("expected a whole number, found `{text}`"))
    }
    fn shown(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for bool {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("expected true or false, found `{text}`"))
    }
    fn shown(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for Vec<Network> {
    fn parse(text: &str) -> Result<Self, String> {
        let networks = text
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty());
        networks
            .map(|text| {
                text.parse()
                    .map_err(|error| format!("{error}, found `{text}`"))
            })
            .collect()
    }
    fn shown(&self) -> Option<String> {
        let networks: Vec<String> = self.iter().map(ToString::to_string).collect();
        (!networks.is_empty()).then(|| toml::Value::String(networks.join(", ")).to_string())
    }
}

impl Value for Role {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Role::All),
            "api" => Ok(Role::Api),
            "worker" => Ok(Role::Worker),
            other => Err(format!("expected all, api or worker, found `{other}`")),
        }
    }
    fn shown(&self) -> Option<String> {
        let name = match self {
            Role::All => "all",
            Role::Api => "api",
            Role::Worker => "worker",
        };
        Some(format!("\"{name}\""))
    }
}

/// The text with everything hidden that could be a password: what stands between `:` and `@` of a
/// URL, or the whole when a password is written in another way.
fn without_password(url: &str) -> String {
    let hidden = || "(hidden)".to_owned();
    if url.to_ascii_lowercase().contains("password=") {
        return hidden();
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return hidden();
    };
    match rest.rsplit_once('@') {
        Some((who, place)) => {
            let user = who.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:***@{place}")
        }
        None => url.to_owned(),
    }
}

fn address(text: &String) -> Result<(), String> {
    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(_)) => Ok(()),
        _ => Err(format!(
            "expected address:port such as 127.0.0.1:8080, found `{text}`"
        )),
    }
}

fn http_url(text: &str) -> Result<(), String> {
    let of_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    match rest {
        // An issuer at a path has its metadata elsewhere (RFC 8414 §3.1), and the `__Host-` cookies are of `/`.
        Some(rest) if !rest.is_empty() && rest.bytes().all(of_host) => Ok(()),
        // Somebody may have put a password into it.
        _ => Err("expected http:// or https:// and a host, with its port if need be and nothing after it".to_owned()),
    }
}

fn scheme(known: &'static [&'static str]) -> impl Fn(&Option<String>) -> Result<(), String> {
    move |url| match url {
        Some(url)
            if !url
                .split_once("://")
                .is_some_and(|(scheme, _)| known.contains(&scheme)) =>
        {
            Err(format!("expected {}://…", known.join(":// or "))) // the value may hold a password
        }
        _ => Ok(()),
    }
}

fn master_key(digits: &Option<Secret<String>>) -> Result<(), String> {
    match digits {
        Some(digits) => MasterKey::parse(digits.expose())
            .map(drop)
            .map_err(|error| error.to_string()),
        None => Ok(()),
    }
}

fn within(min: u32, max: u32) -> impl Fn(&u32) -> Result<(), String> {
    move |value| match (min..=max).contains(value) {
        true => Ok(()),
        false => Err(format!("expected {min} to {max}, found {value}")),
    }
}

fn mailbox(text: &String) -> Result<(), String> {
    let parsed: Result<lettre::message::Mailbox, _> = text.parse();
    parsed
        .map(drop)
        .map_err(|_| format!("expected a sender such as Shop <shop@example.com>, found `{text}`"))
}

fn filter(text: &String) -> Result<(), String> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(drop)
        .map_err(|error| format!("{error} in `{text}`"))
}

// ---- sources -----------------------------------------------------------------------------------

/// Where a value comes from, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Default,
    File,
    Environment,
    Flag,
}

/// A value from the command line or the environment, not yet checked.
#[derive(Clone, Debug)]
pub struct Given {
    pub key: &'static str,
    /// May be a secret.
    pub text: Secret<String>,
    pub source: Source,
}

/// The settings in force, and where each comes from.
#[derive(Clone, Debug)]
pub struct Settings {
    pub config: Config,
    /// The file that was read, if one was.
    pub file: Option<PathBuf>,
    sources: Vec<(&'static str, Source)>,
}

/// Everything that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigErrors(pub Vec<String>);

impl Settings {
    /// Reads `file` (or `tradepost.toml`, if it is there) and puts what is `given` on top.
    ///
    /// # Errors
    /// All that is wrong, one line each.
    pub fn load(file: Option<&Path>, given: &[Given]) -> Result<Settings, ConfigErrors> {
        let path = file.unwrap_or(Path::new(FILE));
        if file.is_none() && !path.exists() {
            return Settings::resolve(None, given);
        }
        let wrong = |what: String| ConfigErrors(vec![format!("{}: {what}", path.display())]);
        let bytes = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(wrong(format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Settings::resolve(Some((path, &text)), given)
    }

    fn resolve(file: Option<(&Path, &str)>, given: &[Given]) -> Result<Settings, ConfigErrors> {
        let mut settings = Settings {
            config: Config::blank(),
            file: file.map(|(path, _)| path.to_owned()),
            sources: Vec::new(),
        };
        let mut errors = Vec::new();
        settings.take_file("the manual", MANUAL, Source::Default, &mut errors);
        if let Some((path, text)) = file {
            let name = path.display().to_string();
            settings.take_file(&name, text, Source::File, &mut errors);
        }
        for source in [Source::Environment, Source::Flag] {
            for one in given.iter().filter(|one| one.source == source) {
                let name = match source {
                    Source::Flag => flag_name(one.key),
                    _ => environment_name(one.key),
                };
                settings.take(&name, one.key, one.text.expose(), source, &mut errors);
            }
        }
        if !errors.is_empty() {
            return Err(ConfigErrors(errors));
        }
        if settings.config.public_url.is_empty() {
            settings.config.public_url = format!("http://{}", settings.config.listen);
        }
        Ok(settings)
    }

    fn take_file(&mut self, name: &str, text: &str, source: Source, errors: &mut Vec<String>) {
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                let what = error.to_string();
                return errors.push(format!("{name}: {}", what.trim().replace('\n', " ")));
            }
        };
        for (key, value) in table {
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(on) => on.to_string(),
                toml::Value::Array(texts) if texts.iter().all(toml::Value::is_str) => {
                    let texts: Vec<&str> = texts.iter().filter_map(toml::Value::as_str).collect();
                    texts.join(",")
                }
                other => {
                    let what = other.type_str();
                    errors.push(format!("{name}: {key}: expected a text, a whole number, true or false, found {what}"));
                    continue;
                }
            };
            self.take(&format!("{name}: {key}"), &key, &text, source, errors);
        }
    }

    fn take(
        &mut self,
        name: &str,
        key: &str,
        text: &str,
        source: Source,
        errors: &mut Vec<String>,
    ) {
        match self.config.assign(key, text) {
            Ok(()) => {
                let known = SETTINGS.iter().find(|setting| setting.key == key);
                self.sources
                    .extend(known.map(|setting| (setting.key, source)));
            }
            Err(what) => errors.push(format!("{name}: {what}")),
        }
    }

    /// Where the value of `key` comes from; the default when it is not set anywhere.
    pub fn source(&self, key: &str) -> Source {
        let mine = self.sources.iter().filter(|(name, _)| *name == key);
        mine.map(|(_, source)| *source)
            .max()
            .unwrap_or(Source::Default)
    }
}

/// `--some-key`.
pub fn flag_name(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

/// `TRADEPOST_SOME_KEY`.
pub fn environment_name(key: &str) -> String {
    format!("TRADEPOST_{}", key.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(source: Source, key: &'static str, text: &str) -> Given {
        Given {
            key,
            text: Secret::new(text.to_owned()),
            source,
        }
    }

    #[test]
    fn the_manual_names_every_setting_and_no_other() {
        let named: Vec<&str> = MANUAL
            .lines()
            .filter_map(|line| line.trim_start_matches("# ").split_once(" = "))
            .map(|(key, _)| key)
            .filter(|key| !key.contains(' '))
            .collect();
        let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
        assert_eq!(named, known);
    }

    #[test]
    fn the_examples_in_the_manual_are_accepted() {
        let examples: String = MANUAL
            .lines()
            .map(|line| {
                line.strip_prefix("# ")
                    .filter(|rest| rest.contains(" = \""))
            })
            .map(|line| format!("{}\n", line.unwrap_or_default()))
            .collect();
        let settings = Settings::resolve(Some((Path::new("m"), &examples)), &[]).unwrap();
        assert_eq!(settings.config.public_url, "https://api.example.com");
        assert!(settings.config.database_url.is_some() && settings.config.smtp_url.is_some());
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let file = Some((
            Path::new("t.toml"),
            "listen = \"a:1\"\ndata_dir = \"f\"\nrole = \"api\"\ntrusted_proxies = [\"::1\", \"10.0.0.0/8\"]",
        ));
        let settings = Settings::resolve(
            file,
            &[
                given(Source::Flag, "listen", "c:3"),
                given(Source::Environment, "listen", "b:2"),
                given(Source::Environment, "data_dir", "e"),
            ],
        )
        .unwrap();
        let config = &settings.config;
        assert_eq!(config.listen, "c:3");
        assert_eq!(config.public_url, "http://c:3");
        assert_eq!(config.data_dir, Path::new("e"));
        assert_eq!(config.role, Role::Api);
        assert_eq!(config.order_hold_minutes, 60);
        let proxies = config.shown("trusted_proxies");
        assert_eq!(proxies.as_deref(), Some("\"::1/128, 10.0.0.0/8\""));
        let sources =
            ["listen", "data_dir", "role", "demo", "smtp_url"].map(|key| settings.source(key));
        use Source::*;
        assert_eq!(sources, [Flag, Environment, File, Default, Default]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let file =
            "lisen = \"x\"\nrole = \"boss\"\nlog_level = [1]\naccess_token_ttl_seconds = 5\n";
        let flags = [
            given(Source::Flag, "listen", "nowhere"),
            given(Source::Environment, "smtp_url", "http://user:hunter2@x"),
            given(Source::Flag, "mail_from", "me"),
            given(Source::Flag, "public_url", "https://x/"),
            given(Source::Flag, "trusted_proxies", "::1, localhost"),
        ];
        let errors = Settings::resolve(Some((Path::new("t.toml"), file)), &flags).unwrap_err();
        let text = errors.to_string();
        assert_eq!(errors.0.len(), 9, "{text}");
        for part in [
            "t.toml: lisen: there is no such setting",
            "t.toml: role: expected all, api or worker",
            "t.toml: log_level: expected a text",
            "t.toml: access_token_ttl_seconds: expected 60 to 86400, found 5",
            "TRADEPOST_SMTP_URL: expected smtp:// or smtps://",
            "--listen: expected address:port",
            "--mail-from: expected a sender",
            "--public-url: expected http://",
            "--trusted-proxies: an allowed address is like",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn a_public_url_is_an_origin() {
        for good in [
            "http://127.0.0.1:8080",
            "https://shop.example.com",
            "http://[::1]:9",
            "https://shop.example:8443",
        ] {
            assert_eq!(http_url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://shop.example/shop",
            "https://user:hunter2@shop.example",
            "https://shop.example?x",
            "https://shop.example#x",
            "https://shop\".example",
            "https://shop .example",
        ] {
            let told = http_url(bad).unwrap_err();
            assert!(!told.contains("hunter2"), "{bad}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let shown = [
            ("postgres://a:b@c/d", "postgres://a:***@c/d"),
            ("postgres://a:p@ss@c/d", "postgres://a:***@c/d"),
            ("postgres://c/d", "postgres://c/d"),
            ("postgres://c/d?user=a&password=b", "(hidden)"),
            ("host=c password=b", "(hidden)"),
        ];
        for (url, expected) in shown {
            assert_eq!(without_password(url), expected);
        }
        let config = Config {
            smtp_url: Some("smtp://a:hunter2@c".into()),
            ..Config::default()
        };
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
