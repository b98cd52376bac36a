//! A load generator: keep-alive connections that send prepared requests and read whole answers. It
//! parses no more of an answer than its status and length, so that it takes little of the machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a run measured.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Answers per second.
    pub rate: f64,
    /// The time that 99 of 100 answers took at most, in milliseconds.
    pub p99_ms: f64,
    /// Mean bytes of a body.
    pub body_bytes: f64,
    /// Answers whose status was not the expected one.
    pub unexpected: u64,
}

/// An answer: status, headers as text, body.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find(|line| {
            line.split_once(':')
                .is_some_and(|(known, _)| known.eq_ignore_ascii_case(name))
        });
        line.and_then(|line| line.split_once(':'))
            .map_or("", |(_, value)| value.trim())
    }
}

/// One keep-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> std::io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            buffer: Vec::with_capacity(64 * 1024),
        })
    }

    /// Sends `request` and reads the answer's status and body length.
    pub async fn send(&mut self, request: &[u8]) -> std::io::Result<(u16, usize)> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (head_end, length, status) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = &self.buffer[..end];
                break (end + 4, content_length(head), status(head));
            }
        };
        while self.buffer.len() < head_end + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok((status, length))
    }

    /// Sends `request` and keeps the whole answer.
    pub async fn ask(&mut self, request: &[u8]) -> std::io::Result<Answer> {
        let (status, length) = self.send(request).await?;
        let split = self.buffer.len() - length;
        let head = String::from_utf8_lossy(&self.buffer[..split]).into_owned();
        Ok(Answer {
            status,
            head,
            body: self.buffer[split..].to_vec(),
        })
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn status(head: &[u8]) -> u16 {
    head.get(9..12)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|d| d.parse().ok())
        .unwrap_or(0)
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length: ";
    let Some(at) = head
        .windows(NAME.len())
        .position(|window| window.eq_ignore_ascii_case(NAME))
    else {
        return 0;
    };
    head[at + NAME.len()..]
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .fold(0, |n, b| n * 10 + usize::from(b - b'0'))
}

/// A prepared request.
pub fn request(method: &str, path: &str, token: Option<&str>, extra: &str, body: &str) -> Vec<u8> {
    let authorization = token.map_or(String::new(), |token| {
        format!("authorization: Bearer {token}\r\n")
    });
    let content = match body {
        "" => String::new(),
        body => format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        ),
    };
    format!("{method} {path} HTTP/1.1\r\nhost: bench\r\n{authorization}{extra}{content}\r\n{body}")
        .into_bytes()
}

/// Runs `connections` that each send what `next` gives (connection, turn) for `time`, and expect `status`.
pub async fn run(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    expected: u16,
    next: Arc<dyn Fn(usize, u64) -> Vec<u8> + Send + Sync>,
) -> Run {
    let stop = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|index| {
            let (stop, next) = (stop.clone(), next.clone());
            tokio::spawn(async move { drive(address, index, expected, stop, next).await })
        })
        .collect();
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let (mut times, mut bytes, mut unexpected) = (Vec::new(), 0usize, 0);
    for task in tasks {
        let (own, own_bytes, own_unexpected) = task.await.expect("a connection's task");
        times.extend(own);
        bytes += own_bytes;
        unexpected += own_unexpected;
    }
    let elapsed = started.elapsed().as_secs_f64();
    summarise(times, bytes, unexpected, elapsed)
}

async fn drive(
    address: SocketAddr,
    index: usize,
    expected: u16,
    stop: Arc<AtomicBool>,
    next: Arc<dyn Fn(usize, u64) -> Vec<u8> + Send + Sync>,
) -> (Vec<u32>, usize, u64) {
    let mut connection = Connection::open(address).await.expect("the server accepts");
    let (mut times, mut bytes, mut unexpected, mut turn) = (Vec::new(), 0, 0, 0);
    while !stop.load(Ordering::Relaxed) {
        let request = next(index, turn);
        turn += 1;
        let sent = Instant::now();
        let (status, length) = connection.send(&request).await.expect("the server answers");
        times.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
        bytes += length;
        unexpected += u64::from(status != expected);
    }
    (times, bytes, unexpected)
}

/// From the time of each answer in microseconds.
pub fn summarise(mut times: Vec<u32>, bytes: usize, unexpected: u64, elapsed_s: f64) -> Run {
    times.sort_unstable();
    let at = |share: f64| {
        let index = ((times.len() as f64 - 1.0) * share).max(0.0) as usize;
        times
            .get(index)
            .map_or(0.0, |micros| f64::from(*micros) / 1e3)
    };
    Run {
        rate: times.len() as f64 / elapsed_s,
        p99_ms: at(0.99),
        body_bytes: bytes as f64 / times.len().max(1) as f64,
        unexpected,
    }
}
