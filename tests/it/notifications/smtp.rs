//! A mail server that keeps what it gets (RFC 5321, the part that a sender needs) and answers as told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// As an answer: none, and the connection stays open.
pub const SILENCE: &str = "";

/// A message as it arrived, accepted or not.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: String,
    /// Head and body, dot-stuffing removed.
    pub text: String,
}

#[derive(Default)]
struct State {
    mails: Vec<Mail>,
    answers: VecDeque<&'static str>,
    sessions: Vec<AbortHandle>,
}

#[derive(Clone)]
pub struct MailServer {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl MailServer {
    pub async fn start() -> MailServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let server = MailServer {
            port,
            state: Arc::default(),
        };
        let own = server.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session = tokio::spawn(own.clone().session(stream));
                own.lock().sessions.push(session.abort_handle());
            }
        });
        server.lock().sessions.push(accepting.abort_handle());
        server
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// What has arrived, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.lock().mails.clone()
    }

    /// The answers to the next messages, after their data; `250 OK` to all others.
    pub fn answer_next(&self, answers: &[&'static str]) {
        self.lock().answers.extend(answers);
    }

    /// Hangs up and stops listening.
    pub fn stop(&self) {
        self.lock()
            .sessions
            .drain(..)
            .for_each(|session| session.abort());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }

    async fn session(self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 test ESMTP\r\n").await?;
        let (mut from, mut to) = (String::new(), String::new());
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let command = line.trim_end().to_owned();
            let verb = command.get(..4).unwrap_or_default().to_ascii_uppercase();
            let answer = match verb.as_str() {
                "EHLO" => "250-test\r\n250 SIZE 1000000",
                "MAIL" => {
                    from = argument(&command);
                    "250 OK"
                }
                "RCPT" => {
                    to = argument(&command);
                    "250 OK"
                }
                "DATA" => {
                    stream.write_all(b"354 Go on\r\n").await?;
                    let text = read_data(&mut stream).await?;
                    let (from, to) = (std::mem::take(&mut from), std::mem::take(&mut to));
                    let mut state = self.lock();
                    state.mails.push(Mail { from, to, text });
                    state.answers.pop_front().unwrap_or("250 OK: taken")
                }
                "QUIT" => "221 Bye",
                "NOOP" | "RSET" => "250 OK",
                _ => "500 What?",
            };
            if answer != SILENCE {
                stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
            }
        }
    }
}

fn argument(command: &str) -> String {
    let argument = command.split_once(':').map_or("", |(_, rest)| rest);
    argument
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

async fn read_data(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.strip_prefix('.') {
            Some("\r\n") => return Ok(text),
            Some(stuffed) => text.push_str(stuffed),
            None => text.push_str(&line),
        }
    }
}
