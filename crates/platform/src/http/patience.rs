//! How long a connection may keep its place without using it. hyper knows one time for "the next request has
//! not begun" and "its header fields do not end"; the first is normal and the second is an attack.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// The two times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// From the first byte of a request to the end of its header fields, on HTTP/1.1.
    pub head: Duration,
    /// Between requests, and while nothing of an answer can be written.
    pub idle: Duration,
}

/// What the connection's service tells the stream below it.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Requests that are being answered.
    running: AtomicUsize,
    /// Requests whose header fields were complete.
    begun: AtomicU64,
    /// The connection speaks HTTP/2, where requests are not told apart by what is read.
    http2: AtomicBool,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn(Turns);

impl Turns {
    /// A request has arrived whole, as far as its header fields go.
    pub(super) fn begin(&self, http2: bool) -> Turn {
        self.0.running.fetch_add(1, Ordering::Relaxed);
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        if http2 {
            self.0.http2.store(true, Ordering::Relaxed);
        }
        Turn(self.clone())
    }

    fn is_running(&self) -> bool {
        self.0.running.load(Ordering::Relaxed) > 0
    }

    fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::Relaxed)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream whose reads fail with `TimedOut` when its patience is over. While a request is being answered
/// there is no limit here: that has its own.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    limits: Limits,
    turns: Turns,
    /// When something was read or written last.
    active: Instant,
    /// When the head that is arriving began, and how many had begun to be answered by then.
    head: Option<(u64, Instant)>,
    /// Set to the end of patience or before it: it is moved when it fires, not at each request.
    alarm: Pin<Box<Sleep>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, limits: Limits, turns: Turns) -> Patient<S> {
        let active = Instant::now();
        Patient {
            stream,
            limits,
            turns,
            active,
            head: None,
            alarm: Box::pin(sleep_until(active + limits.idle)),
        }
    }

    fn read_something(&mut self) {
        self.active = Instant::now();
        if self.turns.is_running() || self.turns.0.http2.load(Ordering::Relaxed) {
            return;
        }
        let begun = self.turns.begun();
        if self.head.is_none_or(|(known, _)| known != begun) {
            self.head = Some((begun, self.active));
        }
    }

    /// When patience ends, as things are.
    fn end(&self) -> Option<Instant> {
        if self.turns.is_running() {
            return None;
        }
        let head = self.head.filter(|(known, _)| *known == self.turns.begun());
        Some(match head {
            Some((_, since)) => since + self.limits.head,
            None => self.active + self.limits.idle,
        })
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(end) = self.end() {
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            if self.alarm.deadline() > end || self.alarm.is_elapsed() {
                self.alarm.as_mut().reset(end);
            }
            ready!(self.alarm.as_mut().poll(cx));
        }
        Poll::Pending // the stream is read again when the request has been answered
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(done) => {
                if buffer.filled().len() > before {
                    self.read_something();
                }
                Poll::Ready(done)
            }
            Poll::Pending => {
                ready!(self.poll_end(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.active = Instant::now();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bytes));
        self.active = Instant::now();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    const FAR: Duration = Duration::from_secs(600);
    const NEAR: Duration = Duration::from_millis(30);

    fn pair(head: Duration, idle: Duration) -> (DuplexStream, Patient<DuplexStream>, Turns) {
        let (client, server) = duplex(64);
        let turns = Turns::default();
        let server = Patient::new(server, Limits { head, idle }, turns.clone());
        (client, server, turns)
    }

    async fn read(server: &mut Patient<DuplexStream>) -> io::Result<u8> {
        server.read_u8().await
    }

    #[tokio::test]
    async fn a_head_that_does_not_end_is_given_up_however_slowly_it_trickles() {
        let (mut client, mut server, turns) = pair(NEAR, FAR);
        client.write_all(b"ab").await.expect("sent");
        assert_eq!(read(&mut server).await.expect("read"), b'a');
        let begun = server.head;
        assert_eq!(read(&mut server).await.expect("read"), b'b');
        assert_eq!(server.head, begun, "more of it wins no time");
        let late = read(&mut server).await.expect_err("given up");
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        drop(turns.begin(false));
        assert!(
            server.end() > Some(Instant::now() + NEAR),
            "the head was whole"
        );
        client.write_all(b"c").await.expect("sent");
        assert_eq!(read(&mut server).await.expect("read"), b'c');
        assert!(read(&mut server).await.is_err(), "the next head");
    }

    #[tokio::test]
    async fn silence_between_requests_is_given_up_and_silence_while_one_is_answered_is_not() {
        let (client, mut server, turns) = pair(FAR, NEAR);
        let turn = turns.begin(false);
        let waited = tokio::time::timeout(NEAR * 3, read(&mut server)).await;
        assert!(waited.is_err(), "it is being answered");
        drop(turn);
        let late = read(&mut server).await.expect_err("given up");
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }

    #[tokio::test]
    async fn frames_of_http2_are_no_head() {
        let (mut client, mut server, turns) = pair(NEAR, FAR);
        drop(turns.begin(true));
        client.write_all(b"a").await.expect("sent");
        assert_eq!(read(&mut server).await.expect("read"), b'a');
        let waited = tokio::time::timeout(NEAR * 3, read(&mut server)).await;
        assert!(waited.is_err(), "idle, but not late");
    }
}
