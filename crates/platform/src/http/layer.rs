//! What happens around every request: its id, limits, error form, headers, metrics and one log line.

use super::command::invalid_header;
use super::log::RequestLog;
use super::network::{Network, client_address};
use super::problem::{LoggedCode, Problem, codes};
use super::recent::Recent;
use crate::clock::Clock;
use crate::db::{count_statements, note_statements};
use crate::id::new_request_id;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header,
};
use axum::response::{IntoResponse, Response};
use metrics::{Counter, Histogram, Label};
use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;
use std::time::{Duration, Instant};
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::decompression::RequestDecompressionLayer;

/// The longest path and query.
const TARGET_BYTES_MAX: usize = 8 * 1024;
/// All header fields of a request together, with four bytes for what separates each from the next.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// Header fields of a request.
const HEADERS_MAX: usize = 128;
/// How long a request may take before it is given up.
const REQUEST_TIME: Duration = Duration::from_secs(30);

/// Who calls, as an opaque name (a client id): set by the product's authentication, read by
/// idempotency and the log.
#[derive(Clone, Debug)]
pub struct ClientName(pub Arc<str>);

/// The id of a request: echoed, logged, and in every problem.
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

/// The address of the client: the peer of the connection, or whom a trusted proxy names.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// What stands between the clients and this server.
#[derive(Clone, Debug, Default)]
pub struct Front {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Whether clients come by HTTPS: then they are told to stay there.
    pub https: bool,
}

/// The route that answered, for log and metrics: set on the response by the product's guard.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Such as `/v2/orders/{id}`.
    pub route: &'static str,
    /// Who was answered.
    pub client: Option<ClientName>,
}

tokio::task_local! {
    static REQUEST_ID: Arc<str>;
}

/// The id of the request that the current task serves, or `none` outside of one.
pub fn current_request_id() -> Arc<str> {
    REQUEST_ID
        .try_with(Arc::clone)
        .unwrap_or_else(|_| Arc::from("none"))
}

/// Runs `future` to its end, also when its client goes away meanwhile: who answers a connection that breaks off stops
/// otherwise, wherever it is. `None` when it panicked.
pub async fn to_the_end<F>(future: F) -> Option<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let counted = REQUEST_ID.scope(current_request_id(), count_statements(future));
    let (output, statements) = tokio::spawn(counted).await.ok()?;
    note_statements(statements);
    Some(output)
}

/// The whole HTTP face: the router and what surrounds it.
#[derive(Clone)]
pub struct Stack(Arc<Inner>);

/// What counts the answers of one route with one status, and their durations.
type Instruments = (Counter, Histogram);

struct Inner {
    plain: Router,
    compressed: Router,
    clock: Clock,
    log: Option<RequestLog>,
    front: Front,
    seen: RwLock<HashMap<(&'static str, u16), Instruments>>,
}

impl Stack {
    /// `log` is where the line of each request goes, and what keeps the last of them; `None` writes none.
    pub fn new(
        router: Router,
        clock: Clock,
        log: Option<(Box<dyn std::io::Write + Send>, Recent)>,
        front: Front,
    ) -> Stack {
        let worth_it = SizeAbove::new(1024).and(
            |_: StatusCode,
             _: axum::http::Version,
             headers: &HeaderMap,
             _: &axum::http::Extensions| { !headers.contains_key("x-no-compression") },
        );
        let compressed = router
            .clone()
            .layer(axum::middleware::map_response(note_length))
            .layer(CompressionLayer::new().compress_when(worth_it))
            .layer(RequestDecompressionLayer::new());
        let log = log.map(|(out, recent)| RequestLog::start(out, recent));
        Stack(Arc::new(Inner {
            plain: router,
            compressed,
            clock,
            log,
            front,
            seen: RwLock::default(),
        }))
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Body>, peer: IpAddr) -> Response {
        self.handle_if(Ok(()), request, peer).await
    }

    /// Answers one request as it came over a connection, where HTTP/1.1 wants exactly one `Host`
    /// (RFC 9112 §3.2).
    pub async fn handle_from_wire(&self, request: Request<Body>, peer: IpAddr) -> Response {
        let hosts = request.headers().get_all(header::HOST).iter().count();
        let sound = match request.version() {
            Version::HTTP_11 if hosts != 1 => {
                Err(invalid_header("Host", "expected one in every request"))
            }
            _ => Ok(()),
        };
        self.handle_if(sound, request, peer).await
    }

    async fn handle_if(
        &self,
        sound: Result<(), Problem>,
        request: Request<Body>,
        peer: IpAddr,
    ) -> Response {
        let started = Instant::now();
        let address = client_address(peer, request.headers(), &self.0.front.trusted_proxies);
        let request_id = request_id(request.headers());
        let method = request.method().clone();
        let traceparent = request.headers().get("traceparent").cloned();
        let if_none_match = request.headers().get(header::IF_NONE_MATCH).cloned();
        let scope = REQUEST_ID.scope(
            request_id.clone(),
            count_statements(async {
                match sound {
                    Ok(()) => self.answer(request, address, &request_id).await,
                    Err(problem) => problem.into_response(),
                }
            }),
        );
        let (mut response, statements) = scope.await;
        if let Some(tags) = if_none_match {
            revalidate(&method, &tags, &mut response);
        }
        finish_headers(response.headers_mut(), &request_id, statements, traceparent);
        if self.0.front.https {
            let stay = HeaderValue::from_static("max-age=31536000");
            let headers = response.headers_mut();
            headers.insert(header::STRICT_TRANSPORT_SECURITY, stay);
        }
        self.record(
            &method,
            &response,
            address,
            &request_id,
            statements,
            started.elapsed(),
        );
        response
    }

    async fn answer(
        &self,
        mut request: Request<Body>,
        address: IpAddr,
        request_id: &Arc<str>,
    ) -> Response {
        let target = request
            .uri()
            .path_and_query()
            .map_or(0, |target| target.as_str().len());
        if target > TARGET_BYTES_MAX {
            return Problem::new(
                &codes::URI_TOO_LONG,
                format!("{target} bytes; the limit is 8,192"),
            )
            .into_response();
        }
        if let Err(problem) = measure(request.headers()).and_then(|()| single(request.headers())) {
            return problem.into_response();
        }
        if request.uri().path().starts_with("/v2") && !accepts_json(request.headers()) {
            return Problem::new(&codes::NOT_ACCEPTABLE, "Accept excludes application/json")
                .into_response();
        }
        if let Err(problem) = name_coding(request.headers_mut()) {
            return problem.into_response();
        }
        if !accepts_any_coding(request.headers()) {
            // RFC 9110 §12.5.3 leaves the choice: the answer as it is serves better than none.
            request.headers_mut().remove(header::ACCEPT_ENCODING);
        }
        let coded = [header::ACCEPT_ENCODING, header::CONTENT_ENCODING]
            .iter()
            .any(|name| request.headers().contains_key(name));
        request
            .extensions_mut()
            .insert(RequestId(request_id.clone()));
        request.extensions_mut().insert(ClientAddress(address));
        let router = if coded {
            &self.0.compressed
        } else {
            &self.0.plain
        };
        let answer = catch_panics(router.clone().oneshot(request));
        match tokio::time::timeout(REQUEST_TIME, answer).await {
            Ok(Some(Ok(response))) => response,
            Ok(None) => Problem::new(
                &codes::INTERNAL,
                "the cause is in the server's log under the request id",
            )
            .into_response(),
            Err(_) => Problem::new(&codes::TIMEOUT, "given up after 30 s")
                .header(header::RETRY_AFTER, "1")
                .into_response(),
        }
    }

    fn record(
        &self,
        method: &Method,
        response: &Response,
        address: IpAddr,
        request_id: &str,
        statements: u64,
        took: Duration,
    ) {
        let answered = response.extensions().get::<Answered>();
        let route = answered.map_or("(none)", |answered| answered.route);
        let status = response.status().as_u16();
        let (counter, histogram) = self.instruments(route, status);
        counter.increment(1);
        histogram.record(took.as_secs_f64());
        let Some(log) = &self.0.log else { return };
        let client = answered
            .and_then(|answered| answered.client.as_ref())
            .map_or("-", |client| &client.0);
        let code = response
            .extensions()
            .get::<LoggedCode>()
            .map_or("-", |code| code.0);
        // Nobody knows yet how short compression makes it.
        let plain = response.extensions().get::<PlainLength>();
        let bytes = response.body().size_hint().exact();
        let bytes = bytes.or(plain.map(|plain| plain.0)).unwrap_or(0);
        // Every value is ours or a checked token: nothing needs escaping but the method, which hyper
        // has limited to RFC 9110 token characters.
        log.write(format_args!(
            "{{\"at\":\"{}\",\"level\":\"info\",\"message\":\"request\",\"method\":\"{method}\",\"route\":\"{route}\",\"status\":{status},\"duration_ms\":{:.3},\"statements\":{statements},\"bytes\":{bytes},\"client\":\"{client}\",\"address\":\"{address}\",\"code\":\"{code}\",\"request_id\":\"{request_id}\"}}\n",
            self.0.clock.now().to_jiff(),
            took.as_secs_f64() * 1e3,
        ));
    }

    fn instruments(&self, route: &'static str, status: u16) -> (Counter, Histogram) {
        let known = self
            .0
            .seen
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(route, status))
            .cloned();
        known.unwrap_or_else(|| {
            let labels = vec![
                Label::new("route", route),
                Label::new("status", status.to_string()),
            ];
            let made = (
                metrics::counter!("http_requests_total", labels.clone()),
                metrics::histogram!("http_request_duration_seconds", labels),
            );
            self.0
                .seen
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert((route, status), made.clone());
            made
        })
    }
}

/// Bytes of a body before it is compressed.
#[derive(Clone, Copy)]
struct PlainLength(u64);

async fn note_length(mut response: Response) -> Response {
    if let Some(length) = response.body().size_hint().exact() {
        response.extensions_mut().insert(PlainLength(length));
    }
    response
}

fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers
        .get("x-request-id")
        .and_then(|value| value.to_str().ok());
    let valid = |id: &&str| {
        (1..=128).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    given
        .filter(valid)
        .map_or_else(|| new_request_id().into(), Arc::from)
}

/// Fields with one value each: of two that differ, whoever reads the first and whoever reads the last disagree (RFC 9110
/// §5.3 lets only lists be repeated).
const SINGLE: [(HeaderName, &str); 3] = [
    (header::AUTHORIZATION, "Authorization"),
    (header::CONTENT_TYPE, "Content-Type"),
    (
        HeaderName::from_static("idempotency-key"),
        "Idempotency-Key",
    ),
];

fn single(headers: &HeaderMap) -> Result<(), Problem> {
    let repeated = |(name, _): &&(HeaderName, &str)| headers.get_all(name).iter().count() > 1;
    match SINGLE.iter().find(repeated) {
        Some((_, name)) => Err(invalid_header(name, "expected at most one")),
        None => Ok(()),
    }
}

fn measure(headers: &HeaderMap) -> Result<(), Problem> {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let detail = match (bytes > HEADER_BYTES_MAX, headers.len() > HEADERS_MAX) {
        (true, _) => format!("{bytes} bytes; the limit is 32,768"),
        (_, true) => format!("{} fields; the limit is 128", headers.len()),
        _ => return Ok(()),
    };
    Err(Problem::new(&codes::HEADERS_TOO_LARGE, detail))
}

/// Whether `Accept-Encoding` leaves any way to answer: one of our codings, or the answer as it is, which is
/// welcome unless it is excluded by name or by `*` (RFC 9110 §12.5.3).
fn accepts_any_coding(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
    let wanted: Vec<(&str, bool)> = lines
        .flat_map(|line| line.to_str().unwrap_or_default().split(','))
        .map(|element| {
            let mut parts = element.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            (name, !parts.any(is_zero_weight))
        })
        .collect();
    let said = |coding: &str| {
        let mut named = wanted
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(coding));
        named.next().map(|(_, welcome)| *welcome)
    };
    let any = said("*");
    let ours = ["zstd", "br", "gzip"]
        .iter()
        .any(|coding| said(coding).or(any) == Some(true));
    ours || said("identity").or(any) != Some(false)
}

fn is_zero_weight(parameter: &str) -> bool {
    matches!(
        parameter.to_ascii_lowercase().as_str(),
        "q=0" | "q=0." | "q=0.0" | "q=0.00" | "q=0.000"
    )
}

/// Leaves one `Content-Encoding` that is undone here, as the layer that does it writes it, or none. The
/// layer itself refuses without a body (RFC 9110 §12.5.3 wants `Accept-Encoding` in the refusal).
fn name_coding(headers: &mut HeaderMap) -> Result<(), Problem> {
    const CODINGS: [&str; 3] = ["gzip", "zstd", "identity"];
    let sent: Vec<&HeaderValue> = headers.get_all(header::CONTENT_ENCODING).iter().collect();
    let coding = match sent[..] {
        [] => return Ok(()),
        [one] => CODINGS
            .iter()
            .find(|coding| one.as_bytes().eq_ignore_ascii_case(coding.as_bytes())),
        _ => None,
    };
    let Some(coding) = coding else {
        let detail = "expected one Content-Encoding: gzip, zstd or identity";
        return Err(Problem::new(&codes::UNSUPPORTED_CONTENT_ENCODING, detail)
            .header(header::ACCEPT_ENCODING, &CODINGS.join(", ")));
    };
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    Ok(())
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .peekable();
    if ranges.peek().is_none() {
        return true;
    }
    ranges.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let excluded = parts.any(is_zero_weight);
        let json = matches!(
            essence.as_str(),
            "*/*"
                | "application/*"
                | "application/json"
                | "application/problem+json"
                | "text/csv"
                | ""
        );
        json && !excluded
    })
}

/// A GET whose `If-None-Match` names the present representation gets 304 and no body (RFC 9110 §13.1.2).
fn revalidate(method: &Method, tags: &HeaderValue, response: &mut Response) {
    let readable = *method == Method::GET || *method == Method::HEAD;
    if !readable || response.status() != StatusCode::OK {
        return;
    }
    let (Some(current), Ok(tags)) = (
        response
            .headers()
            .get(header::ETAG)
            .and_then(|tag| tag.to_str().ok()),
        tags.to_str(),
    ) else {
        return;
    };
    let current = current.trim_start_matches("W/").trim_matches('"');
    let same = |tag: &str| {
        let tag = tag.trim().trim_start_matches("W/").trim_matches('"');
        tag == "*" || tag == current || tag.split('-').next() == Some(current)
    };
    if tags.split(',').any(same) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().remove(header::CONTENT_TYPE);
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::empty();
    }
}

fn finish_headers(
    headers: &mut HeaderMap,
    request_id: &str,
    statements: u64,
    traceparent: Option<HeaderValue>,
) {
    const SAME: [(HeaderName, HeaderValue); 3] = [
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            HeaderName::from_static("permissions-policy"),
            HeaderValue::from_static(
                "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            ),
        ),
        (
            HeaderName::from_static("api-version"),
            HeaderValue::from_static("2.1.0"),
        ),
    ];
    const FOR_OTHER_ORIGINS: [(HeaderName, HeaderValue); 2] = [
        (
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        ),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(
                "ETag, Link, Location, X-Total-Count, X-Request-Id, RateLimit, RateLimit-Policy, Retry-After, Idempotent-Replayed, Deprecation, Sunset, WWW-Authenticate, DPoP-Nonce, API-Version",
            ),
        ),
    ];
    headers.extend(SAME);
    headers
        .entry(header::REFERRER_POLICY)
        .or_insert(HeaderValue::from_static("no-referrer"));
    // A page for people keeps to itself: no other origin reads it.
    if !headers.contains_key("cross-origin-opener-policy") {
        headers.extend(FOR_OTHER_ORIGINS);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        );
    }
    // Whatever a layer below has said is a part of this.
    headers.insert(
        header::VARY,
        HeaderValue::from_static("Accept, Accept-Encoding, Authorization, Origin"),
    );
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'",
        ));
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", value);
    }
    if let Ok(value) = HeaderValue::from_str(&format!("db;desc=\"{statements}\"")) {
        headers.insert("server-timing", value);
    }
    if let Some(value) = traceparent {
        headers.insert("traceparent", value);
    }
}

/// Polls `future`; a panic in it becomes `None` and is logged by the panic hook.
async fn catch_panics<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(None),
        },
    )
    .await
}
