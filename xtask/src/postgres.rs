//! A private PostgreSQL: a fresh cluster on a free port of 127.0.0.1, gone when it is dropped.
//!
//! It is never a server that was running before: nobody's data is near, and what runs on this machine
//! does not decide whether the tests pass.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::process::{User, find, is_root, output, run, tied_to_us};
use crate::{Result, install};

const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Somebody may take the port between our finding it free and the server's binding it.
const START_ATTEMPTS: usize = 3;
/// Each test has a pool of its own, and they run side by side.
const CONNECTIONS_MAX: u32 = 200;

/// What the cluster is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// No fsync: a test that cuts the power kills Tradepost, not this server. Text sorts by language
    /// where the release can (15 and later), as on most installations, so that a query which needs
    /// byte order and does not say so gives another answer than on SQLite and is found.
    Tests,
    /// The settings of a fresh Debian installation: fsync on, text in byte order.
    Bench,
}

/// A running cluster. Dropping it stops the server and removes the data.
pub struct Cluster {
    programs: PathBuf,
    owner: Option<User>,
    dir: PathBuf,
    port: u16,
    server: Option<Child>,
}

impl Cluster {
    /// Installs PostgreSQL first if it is missing and we are root on Debian.
    pub fn start(purpose: Purpose) -> Result<Cluster> {
        let programs = find_or_install()?;
        // The server refuses to run as root.
        let owner = match is_root() {
            true => {
                let user = User::named("postgres").or_else(|| User::named("nobody"));
                Some(user.ok_or("no account `postgres` or `nobody` for PostgreSQL to run as")?)
            }
            false => None,
        };
        let dir = make_dir(purpose, owner.as_ref())?;
        // From here on, an error drops the cluster and so removes the directory.
        let mut cluster = Cluster {
            programs,
            owner,
            dir,
            port: 0,
            server: None,
        };
        cluster.init(purpose)?;
        for _ in 1..START_ATTEMPTS {
            if cluster.serve(purpose).is_ok() {
                return Ok(cluster);
            }
        }
        cluster.serve(purpose)?;
        Ok(cluster)
    }

    /// The URL of the database `postgres`, as its superuser.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://tradepost@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database and returns its URL.
    pub fn create_database(&self, name: &str) -> Result<String> {
        let port = self.port.to_string();
        let server = ["-h", "127.0.0.1", "-p", &port, "-U", "tradepost"];
        run(self.program("createdb")?.args(server).arg(name))?;
        Ok(self.url_of(name))
    }

    /// Where one of the programs of PostgreSQL is.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    fn program(&self, name: &str) -> Result<Command> {
        let mut command = tied_to_us(&self.programs.join(name), self.owner.as_ref())?;
        // Not ours: the owner may not be allowed to be in it.
        command.current_dir(&self.dir).stdin(Stdio::null());
        Ok(command)
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn init(&self, purpose: Purpose) -> Result {
        let mut initdb = self.program("initdb")?;
        initdb.arg("-D").arg(self.data());
        initdb.args([
            "-U",
            "tradepost",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]);
        if purpose == Purpose::Tests {
            initdb.arg("--no-sync");
            let version = output(self.program("postgres")?.arg("--version"))?;
            if major_version(&version).is_some_and(|major| major >= 15) {
                initdb.args(["--locale-provider=icu", "--icu-locale=en-US"]);
            }
        }
        output(&mut initdb).map(drop)
    }

    fn serve(&mut self, purpose: Purpose) -> Result {
        self.port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|e| format!("no free port on 127.0.0.1: {e}"))?
            .port();
        let log_path = self.dir.join("log");
        let log =
            fs::File::create(&log_path).map_err(|e| format!("{}: {e}", log_path.display()))?;
        let mut settings = vec![
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.dir.display()),
            format!("max_connections={CONNECTIONS_MAX}"),
        ];
        if purpose == Purpose::Tests {
            settings.extend(["fsync=off".to_owned(), "full_page_writes=off".to_owned()]);
        }
        let mut postgres = self.program("postgres")?;
        postgres.arg("-D").arg(self.data());
        for setting in settings {
            postgres.args(["-c", &setting]);
        }
        postgres.stdout(Stdio::null()).stderr(log);
        let mut server = postgres.spawn().map_err(|e| format!("postgres: {e}"))?;
        let ready = self.wait_until_ready(&mut server);
        self.server = Some(server);
        ready.map_err(|why| {
            self.stop();
            format!(
                "{why}\n{}",
                fs::read_to_string(&log_path).unwrap_or_default()
            )
        })
    }

    /// The server writes `ready` as the eighth line of its pid file once it takes connections.
    fn wait_until_ready(&self, server: &mut Child) -> Result {
        let pid_file = self.data().join("postmaster.pid");
        let started = Instant::now();
        while started.elapsed() < START_TIMEOUT {
            if let Ok(Some(status)) = server.try_wait() {
                return Err(format!("PostgreSQL ended at once: {status}"));
            }
            let state = fs::read_to_string(&pid_file).unwrap_or_default();
            if state
                .lines()
                .nth(7)
                .is_some_and(|line| line.starts_with("ready"))
            {
                return Ok(());
            }
            sleep(Duration::from_millis(20));
        }
        Err(format!(
            "PostgreSQL is not ready after {} s",
            START_TIMEOUT.as_secs()
        ))
    }

    /// Stops the server we started, without a checkpoint: the data goes too.
    fn stop(&mut self) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        if let Ok(None) = server.try_wait() {
            let stopped = self.program("pg_ctl").and_then(|mut pg_ctl| {
                let stop = ["stop", "-m", "immediate", "-t", "20", "-D"];
                output(pg_ctl.args(stop).arg(self.data()))
            });
            if let Err(why) = stopped {
                eprintln!("PostgreSQL did not stop, so it is killed: {why}");
                let _ = server.kill();
            }
        }
        let _ = server.wait();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
        if let Err(e) = fs::remove_dir_all(&self.dir) {
            eprintln!("{} is left behind: {e}", self.dir.display());
        }
    }
}

/// `cargo xtask postgres`: runs until the terminal's end of input or Ctrl-C.
pub fn run_in_foreground() -> Result {
    let mut cluster = Cluster::start(Purpose::Tests)?;
    println!("export TEST_DATABASE_URL={}", cluster.url());
    println!("PostgreSQL runs until Ctrl-C; its data goes with it.");
    if let Some(server) = cluster.server.as_mut() {
        let status = server.wait();
        println!(
            "PostgreSQL has ended: {}",
            status.map_err(|e| e.to_string())?
        );
    }
    Ok(())
}

/// Where `initdb` and `postgres` are: on the `PATH`, or the newest of Debian's.
fn find_or_install() -> Result<PathBuf> {
    if let Some(programs) = find_programs() {
        return Ok(programs);
    }
    install::debian_packages(&["postgresql"], "PostgreSQL")?;
    find_programs().ok_or_else(|| "the package postgresql brought no initdb".into())
}

fn find_programs() -> Option<PathBuf> {
    let complete = |dir: &Path| {
        ["initdb", "postgres", "pg_ctl", "createdb"]
            .iter()
            .all(|name| dir.join(name).is_file())
    };
    // Debian keeps the server's programs off the PATH; a link on it leads to where the others are.
    let on_path =
        find("initdb").and_then(|initdb| Some(fs::canonicalize(initdb).ok()?.parent()?.to_owned()));
    let releases = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut of_debian: Vec<(u32, PathBuf)> = releases
        .filter_map(|release| {
            let major = release.file_name().to_str()?.parse().ok()?;
            Some((major, release.path().join("bin")))
        })
        .collect();
    of_debian.sort_unstable_by_key(|(major, _)| std::cmp::Reverse(*major));
    let newest_first = of_debian.into_iter().map(|(_, dir)| dir);
    on_path
        .into_iter()
        .chain(newest_first)
        .find(|dir| complete(dir))
}

/// 15 of `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major_version(version: &str) -> Option<u32> {
    let number = version.strip_prefix("postgres (PostgreSQL) ")?;
    let digits = number
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(number.len());
    number[..digits].parse().ok()
}

/// An empty directory that only the owner can read. Not in the build directory: that may lie under a
/// home which the owner cannot enter, and a socket's path may have 107 bytes at most.
fn make_dir(purpose: Purpose, owner: Option<&User>) -> Result<PathBuf> {
    let parent = match purpose {
        Purpose::Tests => std::env::temp_dir(),
        // /tmp may be memory, where a sync costs nothing and measures nothing.
        Purpose::Bench => PathBuf::from("/var/tmp"),
    };
    remove_leftovers(&parent);
    let dir = parent.join(format!("{DIR_PREFIX}{}", std::process::id()));
    let made = fs::create_dir(&dir)
        .and_then(|()| fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)))
        .and_then(|()| match owner {
            Some(User { uid, gid }) => chown(&dir, Some(*uid), Some(*gid)),
            None => Ok(()),
        });
    made.map_err(|e| format!("{}: {e}", dir.display()))?;
    Ok(dir)
}

const DIR_PREFIX: &str = "tradepost-postgres-";

/// After Ctrl-C nobody is left to remove the data; the next start does. Where there is no `/proc` to
/// ask whether the process is gone, leftovers stay.
fn remove_leftovers(parent: &Path) {
    if !Path::new("/proc/self").exists() {
        return;
    }
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(DIR_PREFIX));
        let Some(pid) = pid.and_then(|pid| pid.parse::<u32>().ok()) else {
            continue;
        };
        if !Path::new(&format!("/proc/{pid}")).exists() {
            // Another user's is not ours to remove, and says so by failing.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_prints() {
        let debian = "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n";
        assert_eq!(major_version(debian), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("something else"), None);
    }
}
