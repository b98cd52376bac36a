//! The real program as a process, and a client that speaks just enough HTTP/1.1.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// How long anything here may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder and a database that outlive the servers that are started on them.
pub struct Place {
    dir: tempfile::TempDir,
    pub database_url: Option<String>,
}

impl Place {
    /// Empty, on the engine that `TEST_DATABASE_URL` chooses.
    pub async fn new() -> Place {
        let database_url = match std::env::var("TEST_DATABASE_URL") {
            Ok(url) => Some(
                platform::db::testing::fresh_postgres(&url)
                    .await
                    .expect("a fresh schema"),
            ),
            Err(_) => None,
        };
        let dir = tempfile::tempdir().expect("a temporary folder");
        Place { dir, database_url }
    }

    /// The folder in which the program runs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The program, on this place's data and with nothing of the test's own environment.
    pub fn tradepost(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tradepost"));
        command
            .args(args)
            .current_dir(self.dir())
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TRADEPOST_") {
                command.env_remove(name);
            }
        }
        command.env("TRADEPOST_DATA_DIR", self.data_dir());
        if let Some(url) = &self.database_url {
            command.env("TRADEPOST_DATABASE_URL", url);
        }
        command
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir().join("data")
    }

    /// Runs the program to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.tradepost(args).output().expect("the program starts")
    }

    /// Runs the program to its end, which must be a good one, and returns what it printed.
    pub fn run_well(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", told(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// A new client with every scope.
    pub fn credentials(&self) -> (String, String) {
        self.run_well(&["migrate"]);
        let printed = self.run_well(&["clients", "create", "--name", "test", "--json"]);
        let client: Value = serde_json::from_str(&printed).expect("JSON");
        let text = |member: &str| client[member].as_str().expect("text").to_owned();
        (text("client_id"), text("client_secret"))
    }

    /// A server on a free port, ready to answer.
    pub fn serve(&self, args: &[&str]) -> Server {
        let log = std::fs::File::create(self.dir().join("stderr.log")).expect("a log file");
        let mut process = self
            .tradepost(&[
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--rate-limit-per-second",
                "0",
            ])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped"));
        let mut first = String::new();
        lines.read_line(&mut first).expect("a line");
        let port = first
            .split_once("http://127.0.0.1:")
            .and_then(|(_, rest)| rest.split(' ').next())
            .and_then(|port| port.parse().ok());
        let Some(port) = port else {
            let log = std::fs::read_to_string(self.dir().join("stderr.log"));
            panic!("no port in {first:?}: {}", log.unwrap_or_default());
        };
        Server {
            process,
            port,
            first,
            lines,
        }
    }
}

/// Waits until `holds`, which what another process did makes true within seconds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a finished program said, for a failing test.
pub fn told(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A running server; it is killed when it is dropped.
pub struct Server {
    process: Child,
    pub port: u16,
    /// The first line that it printed.
    pub first: String,
    /// What it prints after that. Nobody reads it unless the test does: keep the log short.
    pub lines: BufReader<std::process::ChildStdout>,
}

impl Server {
    pub fn connect(&self) -> Http {
        Http::connect(self.port).expect("a connection")
    }

    /// A token for `credentials`.
    pub fn token(&self, credentials: &(String, String)) -> String {
        let answer = self.ask_token(credentials);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let token = answer.json()["access_token"].as_str().map(str::to_owned);
        token.expect("a token")
    }

    pub fn ask_token(&self, (id, secret): &(String, String)) -> Answer {
        let body =
            json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret });
        let answer = self
            .connect()
            .send("POST", "/oauth/token", &[], Some(&body));
        answer.expect("an answer")
    }

    /// Asks it to end, as a process manager does.
    pub fn terminate(&self) {
        let killed = Command::new("kill")
            .args(["-TERM", &self.process.id().to_string()])
            .status();
        assert!(killed.expect("kill runs").success());
    }

    /// Pulls the plug.
    pub fn kill(mut self) {
        self.process.kill().expect("it was running");
        self.process.wait().expect("it ends");
    }

    pub fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait().expect("its status") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it did not end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection that is used for one request after the other.
pub struct Http(BufReader<TcpStream>);

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.body))
    }
    pub fn header(&self, name: &str) -> &str {
        let mut named = self.headers.iter().filter(|(known, _)| known == name);
        named.next().map_or("", |(_, value)| value)
    }
}

impl Http {
    pub fn connect(port: u16) -> std::io::Result<Http> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Http(BufReader::new(stream)))
    }

    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> std::io::Result<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.write_all(head(method, path, headers, &body).as_bytes())?;
        self.write_all(body.as_bytes())?;
        self.read_answer()
    }

    pub fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    pub fn read_answer(&mut self) -> std::io::Result<Answer> {
        let status_line = self.read_line()?;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok());
        let broken = || std::io::Error::other(format!("not an answer: {status_line}"));
        let mut answer = Answer {
            status: status.ok_or_else(broken)?,
            headers: Vec::new(),
            body: String::new(),
        };
        loop {
            let line = self.read_line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let header = (name.to_ascii_lowercase(), value.trim().to_owned());
            answer.headers.push(header);
        }
        let mut body = vec![0; answer.header("content-length").parse().unwrap_or(0)];
        self.0.read_exact(&mut body)?;
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }

    fn read_line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

/// The first part of a request, ending in an empty line.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    if !body.is_empty() {
        head.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        ));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head
}
