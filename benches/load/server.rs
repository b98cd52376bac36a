//! The servers under measurement: child processes that end with this one.

use crate::client::request;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running child process and its address.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// From the start of the process to its first answer.
    pub start_ms: f64,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// The constant-body server: this program again.
    pub fn constant() -> Server {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg("--serve-constant");
        spawn(command, |line| line.trim().parse().ok(), "/16")
    }

    /// The search engine alone over `products` products: this program again.
    pub fn search_engine(products: usize) -> Server {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--serve-search", &products.to_string()]);
        spawn(command, |line| line.trim().parse().ok(), "/?q=none&size=16")
    }

    /// Tradepost on `data_dir`, on PostgreSQL if `database_url` is given, with everything on.
    pub fn tradepost(data_dir: &Path, database_url: Option<&str>, extra: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tradepost"));
        command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--rate-limit-per-second",
                "1000000",
                "--data-dir",
            ])
            .arg(data_dir);
        if let Some(url) = database_url {
            command.args(["--database-url", url]);
        }
        command.args(extra);
        spawn(
            command,
            |line| {
                let (_, rest) = line.split_once("http://127.0.0.1:")?;
                rest.split(|c: char| !c.is_ascii_digit())
                    .next()?
                    .parse()
                    .ok()
            },
            "/healthz",
        )
    }

    /// Resident memory in MiB.
    pub fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .unwrap_or_default();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap_or_default();
        line.split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse::<f64>().ok())
            .unwrap_or(0.0)
            / 1024.0
    }

    /// Ends it as an operator would.
    pub fn stop(mut self) {
        let _ = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn spawn(mut command: Command, port: impl Fn(&str) -> Option<u16>, probe: &str) -> Server {
    let started = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    let port = loop {
        line.clear();
        assert!(
            lines.read_line(&mut line).expect("readable") > 0,
            "the server ended before it said where it listens"
        );
        if let Some(port) = port(&line) {
            break port;
        }
    };
    // Its request log must have a reader; what it says is thrown away.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let probe = request("GET", probe, None, "", "");
    ask_once(address, &probe);
    Server {
        child,
        address,
        start_ms: started.elapsed().as_secs_f64() * 1e3,
    }
}

/// A client with all scopes, made on the command line as an operator would: its id and secret.
pub fn make_client(data_dir: &Path, database_url: Option<&str>, alg: &str) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tradepost"));
    command
        .args([
            "clients",
            "create",
            "--name",
            "bench",
            "--signing-alg",
            alg,
            "--json",
            "--data-dir",
        ])
        .arg(data_dir);
    for scope in [
        "products:read",
        "products:write",
        "orders:read",
        "orders:write",
        "users:read",
        "inventory:write",
    ] {
        command.args(["--scope", scope]);
    }
    if let Some(url) = database_url {
        command.args(["--database-url", url]);
    }
    let output = command.output().expect("runs");
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |name: &str| made[name].as_str().expect("text").to_owned();
    (text("client_id"), text("client_secret"))
}

/// Over a plain socket: this is called inside and outside of a runtime.
fn ask_once(address: SocketAddr, probe: &[u8]) {
    let mut stream = TcpStream::connect(address).expect("connects");
    stream.write_all(probe).expect("sends");
    let read = stream.read(&mut [0; 1024]).expect("answers");
    assert!(read > 0, "the server closed the connection");
}
