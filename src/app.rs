//! What every handler holds.

use crate::config::Config;
use crate::dashboard::Dashboard;
use crate::docs::api::Reference;
use crate::oauth::{OAuth, has_signing_keys};
use crate::products::Shelf;
use crate::products::search::Search;
use platform::clock::Clock;
use platform::db::{Db, Tx};
use platform::events::Nudge;
use platform::http::{CursorKey, Once, Problem, Reply};
use platform::private;
use platform::secrets::MasterKey;
use std::ops::Deref;
use std::sync::Arc;

/// The file of the embedded database in the data directory.
const DATABASE: &str = "tradepost.db";

/// The running program. Cloning it is cheap.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What [`App`] is made of.
pub struct Parts {
    pub db: Db,
    pub clock: Clock,
    pub config: Config,
    pub oauth: OAuth,
    /// The API reference for programs and for people.
    pub reference: Reference,
    pub search: Search,
    pub dashboard: Dashboard,
    /// The products that were read lately, as they are answered.
    pub shelf: Shelf,
    /// Authenticates list cursors.
    pub cursors: CursorKey,
    /// Wakes followers and workers after a commit.
    pub nudge: Nudge,
}

impl App {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> App {
        App(Arc::new(parts))
    }

    /// Runs a write request once (see [`Once::run`]) and wakes who follows the event log.
    pub async fn write_once<F>(&self, once: Once, work: F) -> Result<Reply, Problem>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<Reply, Problem> + Send + 'static,
    {
        let reply = once.run(&self.db, self.clock.now(), work).await?;
        self.nudge.send();
        Ok(reply)
    }
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Why the program cannot start. Each says in one line what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the data directory {0} cannot be created or written: {1}")]
    DataDir(std::path::PathBuf, std::io::Error),
    #[error("there is no database in {0}: `tradepost serve` or `tradepost migrate` makes one")]
    NoDatabase(String),
    #[error(
        "{0} is missing, and the database has signing keys that only it opens: put it back, or set TRADEPOST_MASTER_KEY (if it is lost, delete the rows of oauth_signing_keys: every token is dead then)"
    )]
    MasterKeyGone(std::path::PathBuf),
    #[error(transparent)]
    Db(#[from] platform::db::DbError),
    #[error("the database cannot be reached: {0}")]
    Unreachable(#[source] platform::db::DbError),
    #[error(transparent)]
    Migrate(#[from] platform::db::MigrateError),
    #[error(transparent)]
    MasterKey(#[from] platform::secrets::MasterKeyError),
    #[error("the search index cannot be opened: {0}")]
    Search(#[from] crate::products::search::Error),
    #[error(transparent)]
    OAuth(#[from] crate::oauth::OpenError),
}

/// Opens the database that `config` names; the embedded one is created when it is missing.
pub async fn open_database(config: &Config) -> Result<Db, StartError> {
    let unwritable = |error| StartError::DataDir(config.data_dir.clone(), error);
    private::create_folder(&config.data_dir).map_err(unwritable)?;
    match &config.database_url {
        Some(url) => Db::connect_postgres(url)
            .await
            .map_err(StartError::Unreachable),
        None => Db::open_sqlite(&config.data_dir.join(DATABASE)).map_err(StartError::Unreachable),
    }
}

/// Opens the database that `config` names if there is one.
pub async fn open_existing_database(config: &Config) -> Result<Db, StartError> {
    let nothing = || StartError::NoDatabase(place(config));
    if config.database_url.is_none() && !config.data_dir.join(DATABASE).exists() {
        return Err(nothing());
    }
    let db = match &config.database_url {
        Some(url) => Db::connect_postgres(url).await,
        None => Db::open_sqlite(&config.data_dir.join(DATABASE)),
    };
    let db = db.map_err(StartError::Unreachable)?;
    match db.has_schema().await {
        Ok(true) => Ok(db),
        Ok(false) => Err(nothing()),
        Err(error) => Err(StartError::Unreachable(error)),
    }
}

/// Where the database is, passwords hidden.
pub fn place(config: &Config) -> String {
    match &config.database_url {
        Some(_) => config
            .shown("database_url")
            .unwrap_or_default()
            .replace('"', ""),
        None => config.data_dir.display().to_string(),
    }
}

/// The key that seals the signing keys. One is made only for a database that has none yet: to any other it
/// would be the wrong one.
async fn master_key(config: &Config, db: &Db) -> Result<MasterKey, StartError> {
    if let Some(digits) = &config.master_key {
        return Ok(MasterKey::parse(digits.expose())?);
    }
    let path = config.data_dir.join("master.key");
    if MasterKey::is_missing(&path) && has_signing_keys(db).await? {
        return Err(StartError::MasterKeyGone(path));
    }
    Ok(MasterKey::load_or_create(&path)?)
}

impl App {
    /// Opens the database, brings the schema up to date, loads keys. Starts no task: see `serve`.
    pub async fn start(config: Config, clock: Clock) -> Result<App, StartError> {
        let db = open_database(&config).await?;
        db.migrate(crate::migrations::MIGRATIONS, clock.now().micros())
            .await?;
        let master = master_key(&config, &db).await?;
        let cursors = CursorKey::new(&master.derive("list cursors"));
        let dashboard = Dashboard::new(&master, &config.public_url);
        let search = Search::open(&config.index_dir())?;
        let oauth = OAuth::open(&db, master, &config, clock.now()).await?;
        Ok(App::new(Parts {
            db,
            clock,
            config,
            oauth,
            search,
            dashboard,
            shelf: Shelf::default(),
            reference: Reference::default(),
            cursors,
            nudge: Nudge::default(),
        }))
    }
}
