//! What stands before every endpoint: the token, its scope, and the rate limit of its client.

use super::dpop;
use super::scope::{Scope, Scopes};
use super::token::Claims;
use crate::app::App;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use governor::clock::Clock;
use platform::http::{Access, Answered, CheckQuery, ClientName, Endpoint, Problem, codes};
use std::sync::Arc;

/// Who calls: the client that the token was issued to, and what the token allows.
#[derive(Clone, Debug)]
pub struct Caller {
    pub client_id: Arc<str>,
    pub scopes: Scopes,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.ok_or_else(|| {
            Problem::new(
                &codes::INTERNAL,
                "a handler of a public endpoint asked who calls",
            )
        })
    }
}

#[derive(Clone)]
struct Gate {
    app: App,
    needs: Option<Scope>,
    route: &'static str,
    check_query: CheckQuery,
}

/// The endpoint's handler behind its guard.
pub fn guarded(app: &App, endpoint: &Endpoint<App>) -> MethodRouter<App> {
    let needs = match endpoint.access {
        Access::Public => None,
        Access::Scope(name) => {
            Some(Scope::from_name(name).expect("router.rs names scopes by their enum"))
        }
    };
    let gate = Gate {
        app: app.clone(),
        needs,
        route: endpoint.path,
        check_query: endpoint.operation.check_query(),
    };
    endpoint
        .handler
        .clone()
        .route_layer(from_fn_with_state(gate, pass))
}

async fn pass(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let Some(scope) = gate.needs else {
        let mut response = run(&gate, request, next).await;
        let client = response.extensions_mut().remove::<ClientName>();
        response.extensions_mut().insert(Answered {
            route: gate.route,
            client,
        });
        return response;
    };
    let mut nonce = None;
    let caller = match authenticate(&gate.app, request.headers(), scope) {
        // Whoever comes with a bearer token was let in already and pays nothing for this.
        Err(_) if dpop::is_presented(request.headers()) => {
            let shown = dpop::Shown::of(&gate.app, &request);
            nonce = HeaderValue::try_from(gate.app.oauth.nonces.at(gate.app.clock.now())).ok();
            Box::pin(dpop::authenticate(&gate.app, shown, scope)).await
        }
        other => other,
    };
    let caller = match caller {
        Ok(caller) => caller,
        Err(problem) => {
            let mut response = problem.into_response();
            response.extensions_mut().insert(Answered {
                route: gate.route,
                client: None,
            });
            return response;
        }
    };
    let client = ClientName(caller.client_id.clone());
    let mut response = match take_turn(&gate.app, &caller.client_id) {
        Ok(limits) => {
            request.extensions_mut().insert(client.clone());
            request.extensions_mut().insert(caller);
            let mut response = run(&gate, request, next).await;
            response.headers_mut().extend(limits.into_iter().flatten());
            let nonce = nonce.map(|nonce| (dpop::NONCE, nonce));
            response.headers_mut().extend(nonce);
            response
        }
        Err(problem) => problem.into_response(),
    };
    response.extensions_mut().insert(Answered {
        route: gate.route,
        client: Some(client),
    });
    response
}

/// The endpoint itself, unless its query string says what it does not know.
async fn run(gate: &Gate, request: Request, next: Next) -> Response {
    match (gate.check_query)(request.uri().query().unwrap_or_default()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// The caller behind the `Authorization` header (RFC 6750 §2.1), if its token allows `scope`.
fn authenticate(app: &App, headers: &HeaderMap, scope: Scope) -> Result<Caller, Problem> {
    let Some(given) = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
    else {
        // No credentials at all: no error code either (RFC 6750 §3.1).
        return Err(
            Problem::new(&codes::UNAUTHORIZED, "no access token was sent").header(
                header::WWW_AUTHENTICATE,
                &format!("Bearer realm=\"api\", {}", metadata(app)),
            ),
        );
    };
    let token = match given.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    };
    let claims = app.oauth.signer.verify(token, app.clock.now().to_jiff()).map_err(|_| {
        let metadata = metadata(app);
        let challenge = format!("Bearer realm=\"api\", error=\"invalid_token\", error_description=\"the access token is not valid, expired or revoked\", {metadata}");
        Problem::new(&codes::UNAUTHORIZED, "the access token is not valid, expired or revoked")
            .header(header::WWW_AUTHENTICATE, &challenge)
    })?;
    if claims.cnf.is_some() {
        return Err(dpop::not_as_bearer(app));
    }
    allowed(app, &claims, scope, "Bearer")
}

/// Where a client reads what this API asks of it (RFC 9728 §5.1).
pub(super) fn metadata(app: &App) -> String {
    let url = &app.config.public_url;
    format!("resource_metadata=\"{url}/.well-known/oauth-protected-resource/v2\"")
}

/// The caller whose token was verified, if it allows `scope`; `scheme` is how it was sent.
pub(super) fn allowed(
    app: &App,
    claims: &Claims,
    scope: Scope,
    scheme: &str,
) -> Result<Caller, Problem> {
    let scopes = app.oauth.caps.narrow(claims);
    if !scopes.contains(scope) {
        let name = scope.name();
        return Err(Problem::new(
            &codes::INSUFFICIENT_SCOPE,
            format!("this needs the scope {name}"),
        )
        .header(
            header::WWW_AUTHENTICATE,
            &format!(
                "{scheme} realm=\"api\", error=\"insufficient_scope\", scope=\"{name}\", {}",
                metadata(app)
            ),
        ));
    }
    Ok(Caller {
        client_id: Arc::from(claims.client_id.as_str()),
        scopes,
    })
}

type Limits = [(HeaderName, HeaderValue); 5];

/// Counts the request against the client's rate; the headers tell what is left.
fn take_turn(app: &App, client_id: &Arc<str>) -> Result<Option<Limits>, Problem> {
    let Some(limiter) = &app.oauth.limiter else {
        return Ok(None);
    };
    let per_second = app.config.rate_limit_per_second;
    match limiter.check_key(client_id) {
        Ok(snapshot) => {
            let burst = snapshot.quota().burst_size().get();
            let left = snapshot.remaining_burst_capacity();
            let seconds = u32::div_ceil(burst - left.min(burst), per_second.max(1));
            Ok(Some(limit_headers(burst, per_second, left, seconds)))
        }
        Err(until) => {
            let wait = until.wait_time_from(governor::clock::QuantaClock::default().now());
            let seconds = wait.as_secs() + 1;
            let mut problem = Problem::new(
                &codes::RATE_LIMITED,
                format!("{per_second} requests a second are allowed"),
            )
            .with("violated-policies", vec!["default"])
            .header(header::RETRY_AFTER, &seconds.to_string());
            for (name, value) in limit_headers(
                per_second.saturating_mul(2),
                per_second,
                0,
                u32::try_from(seconds).unwrap_or(1),
            ) {
                problem = problem.header(name, value.to_str().unwrap_or_default());
            }
            Err(problem)
        }
    }
}

fn limit_headers(burst: u32, per_second: u32, left: u32, seconds: u32) -> Limits {
    let window = burst.div_ceil(per_second.max(1));
    let text = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0"));
    [
        (
            HeaderName::from_static("ratelimit-policy"),
            text(format!("\"default\";q={burst};w={window}")),
        ),
        (
            HeaderName::from_static("ratelimit"),
            text(format!("\"default\";r={left};t={seconds}")),
        ),
        (
            HeaderName::from_static("x-ratelimit-limit"),
            HeaderValue::from(burst),
        ),
        (
            HeaderName::from_static("x-ratelimit-remaining"),
            HeaderValue::from(left),
        ),
        (
            HeaderName::from_static("x-ratelimit-reset"),
            HeaderValue::from(seconds),
        ),
    ]
}
