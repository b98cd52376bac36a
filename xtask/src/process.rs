//! Child processes and the places they live in.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask/ lies in the root")
}

/// The build directory that this program was built into, whatever `CARGO_TARGET_DIR` says.
pub fn target() -> Result<PathBuf> {
    let exe = std::env::current_exe().map_err(|e| format!("where is xtask itself? {e}"))?;
    exe.ancestors()
        .nth(2)
        .map(Path::to_owned)
        .ok_or_else(|| format!("{} is not in a build directory", exe.display()))
}

/// The debug build of the product; the `build` step makes it.
pub fn tradepost() -> Result<PathBuf> {
    Ok(target()?.join("debug/tradepost"))
}

/// Cargo of the pinned toolchain, in the root of the repository.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    cargo.current_dir(root()).stdin(Stdio::null());
    // `cargo run` describes the package xtask in these. A build script that watches one of them
    // would run again under xtask, and again without it.
    for (name, _) in std::env::vars() {
        let ours = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_CRATE_",
            "CARGO_BIN_",
        ];
        if ours.iter().any(|prefix| name.starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// A command that the kernel interrupts (SIGINT) when xtask dies, however it dies; and that runs as
/// `user` when one is given, which only root may ask for.
///
/// Both are the work of setpriv(1), which every Debian has. Elsewhere, as an ordinary user, the
/// command is run as it is: Ctrl-C reaches it through the terminal, and only `kill xtask` leaves it.
pub fn tied_to_us(program: &Path, user: Option<&User>) -> Result<Command> {
    let Some(setpriv) = find("setpriv") else {
        return match user {
            None => Ok(Command::new(program)),
            Some(_) => Err("setpriv is missing: install the package util-linux".into()),
        };
    };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "INT"]);
    if let Some(User { uid, gid }) = user {
        command
            .arg(format!("--reuid={uid}"))
            .arg(format!("--regid={gid}"));
        command.arg("--clear-groups");
    }
    command.arg("--").arg(program);
    Ok(command)
}

/// Runs a command with its output on our terminal; an exit code other than 0 is an error.
pub fn run(command: &mut Command) -> Result {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .map_err(|e| format!("{program} does not start: {e}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {status}")),
    }
}

/// Runs a command and returns what it wrote to stdout; its stderr is in the error.
pub fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{program} does not start: {e}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "{program}: {}\n{}",
            output.status,
            stderr.trim_end()
        ));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{program} did not print UTF-8"))
}

/// The first file of this name on the `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// Whether we are root. False where there is no `/proc`, which is no machine that CI uses.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// An account of this machine, by its numbers in `/etc/passwd`.
#[derive(Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

impl User {
    /// `None` if there is no such account.
    pub fn named(name: &str) -> Option<User> {
        User::parse(&fs::read_to_string("/etc/passwd").ok()?, name)
    }

    fn parse(passwd: &str, name: &str) -> Option<User> {
        let line = passwd
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        Some(User {
            uid: numbers.next()?.ok()?,
            gid: numbers.next()?.ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let passwd = "postgresx:x:1:1::/:\npostgres:x:101:104:admin:/var/lib/postgresql:/bin/sh\n";
        let postgres = User { uid: 101, gid: 104 };
        assert_eq!(User::parse(passwd, "postgres"), Some(postgres));
        assert_eq!(User::parse(passwd, "nobody"), None);
    }

    #[test]
    fn a_failing_command_says_why() {
        let error = output(Command::new("sh").args(["-c", "echo no space >&2; exit 3"]));
        assert_eq!(error, Err("sh: exit status: 3\nno space".into()));
    }
}
