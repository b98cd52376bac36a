//! The listening side: bounded connections, header limits, and a graceful end.

use super::layer::Stack;
use super::patience::{Limits, Patient, Turns};
use axum::body::Body;
use hyper::Version;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at a time; more wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 10_000;
/// Target and header fields of a request on HTTP/1.1, and how many fields: more than the [`Stack`] accepts, so
/// that it can say what is wrong. Beyond it the connection just ends.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 256;
/// The same on HTTP/2, which refuses by itself.
const HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;
/// How long a client may take to send its header fields, and how long an idle connection is kept.
const PATIENCE: Limits = Limits {
    head: Duration::from_secs(10),
    idle: Duration::from_secs(75),
};
/// How long requests that are being answered may take when the server is asked to stop.
const DRAIN_TIME: Duration = Duration::from_secs(25);

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address}: the port is taken by another program")]
    PortTaken { address: String },
    #[error("cannot listen on {address}: {source}")]
    Bind {
        address: String,
        source: std::io::Error,
    },
}

/// Opens the listening socket.
pub async fn bind(address: &str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| {
        let address = address.to_owned();
        match source.kind() {
            std::io::ErrorKind::AddrInUse => ServeError::PortTaken { address },
            _ => ServeError::Bind { address, source },
        }
    })
}

/// Serves until `stop` is ready, then lets running requests finish for up to 25 s.
pub async fn serve(listener: TcpListener, stack: Stack, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None) // see `patience`
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_concurrent_streams(256);
    let mut stop = std::pin::pin!(stop);
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            () = &mut stop => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (Ok(place), Ok((stream, peer))) = (place, accepted) else {
            // Out of file descriptors, most likely: let some connections end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let connection = open(&builder, stream, peer, stack.clone());
        let connection = graceful.watch(connection.into_owned());
        tokio::spawn(async move {
            let _ = connection.await; // a client that breaks off is its own business
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIME, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests were still running after 25 s and were cut off");
    }
}

/// A connection as hyper reads it.
type Wire = TokioIo<Patient<TcpStream>>;

fn open(
    builder: &Builder<TokioExecutor>,
    stream: TcpStream,
    peer: SocketAddr,
    stack: Stack,
) -> hyper_util::server::conn::auto::Connection<
    '_,
    Wire,
    impl hyper::service::Service<
        hyper::Request<Incoming>,
        Response = axum::response::Response,
        Error = Infallible,
        Future = impl Future<Output = Result<axum::response::Response, Infallible>> + Send + 'static,
    > + Send
    + 'static,
    TokioExecutor,
> {
    let _ = stream.set_nodelay(true);
    let turns = Turns::default();
    let stream = Patient::new(stream, PATIENCE, turns.clone());
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let stack = stack.clone();
        let turn = turns.begin(request.version() == Version::HTTP_2);
        async move {
            let request = request.map(Body::new);
            let response = stack.handle_from_wire(request, peer.ip()).await;
            drop(turn);
            Ok::<_, Infallible>(response)
        }
    });
    builder.serve_connection(TokioIo::new(stream), service)
}
