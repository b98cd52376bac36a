//! What holds for every endpoint, told once, before the endpoints.

use super::html::Html;
use super::prose;
use Block::{Answer, Commands};

/// A short text with something to paste beside it.
pub struct Guide {
    /// Its anchor.
    pub id: &'static str,
    pub title: &'static str,
    text: &'static str,
    /// In the order in which a reader meets them. `$BASE` stands for the address of the server.
    pub blocks: &'static [Block],
}

/// One thing beside the text. A test pastes the commands of all guides into one shell, in order, and holds each
/// answer against what the commands before it printed.
pub enum Block {
    /// Lines for a shell and nothing else, below what they do.
    Commands(&'static str, &'static str),
    /// What the server sends, below what it is.
    Answer(&'static str, &'static str),
}

/// In reading order. The first one makes what the others use.
pub const GUIDES: [Guide; 8] = [
    GETTING_STARTED,
    IDEMPOTENCY,
    PAGING,
    HANDLING_ERRORS,
    RETRYING,
    CONCURRENCY,
    RATE_LIMITS,
    VERSIONING,
];

const GETTING_STARTED: Guide = Guide {
    id: "getting-started",
    title: "Getting started",
    text: "Five steps take you from an empty shop to an order. Paste one block after the other into a terminal.\n\n\
        - You need a client: its id and its secret come from \
        [API credentials](/dashboard/credentials) in the dashboard, or from `tradepost clients create --name my-shop` where the server runs. The secret is shown once.\n\
        - Put both into the first block. They get you an access token, which is good for an hour.\n\
        - Every request sends the token: `Authorization: Bearer …`.\n\
        - A product is sold as its variants. One that comes in one form only has one variant, and an order names \
        that one, or its SKU.\n\
        - A guest orders with an `email`; a user of yours with a `user_id`.\n\n\
        Bodies are JSON. Times are RFC 3339 in UTC. Money is an integer of minor units with its currency: \
        `1999` and `USD` is 19.99 dollars.",
    blocks: &[
        Commands(
            "1. Your client",
            r#"CLIENT_ID=YOUR_CLIENT_ID
CLIENT_SECRET=YOUR_CLIENT_SECRET"#,
        ),
        Commands(
            "2. A token",
            r#"TOKEN=$(curl -s $BASE/oauth/token \
  -d grant_type=client_credentials \
  -d "client_id=$CLIENT_ID" \
  -d "client_secret=$CLIENT_SECRET" |
  sed 's/.*"access_token": *"\([^"]*\)".*/\1/')
echo "$TOKEN""#,
        ),
        Commands(
            "3. A product, and the id of its variant",
            r#"PRODUCT=$(curl -s $BASE/v2/products \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Idempotency-Key: my-first-product' \
  -H 'Content-Type: application/json' \
  -d '{
    "title": "Tea mug",
    "sku": "TEA-MUG",
    "price": 1999,
    "currency": "USD",
    "inventory_quantity": 50
  }')
echo "$PRODUCT"
VARIANT_ID=$(echo "$PRODUCT" | grep -o 'var_[0-9a-z]*' | head -n 1)
echo "$VARIANT_ID""#,
        ),
        Commands(
            "4. An order of a guest",
            r#"ORDER=$(curl -s $BASE/v2/orders \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Idempotency-Key: my-first-order' \
  -H 'Content-Type: application/json' \
  -d '{
    "email": "ada@example.com",
    "currency": "USD",
    "items": [
      {"variant_id": "'"$VARIANT_ID"'", "quantity": 2}
    ]
  }')
echo "$ORDER"
ORDER_ID=$(echo "$ORDER" | grep -o 'ord_[0-9a-z]*' | head -n 1)
echo "$ORDER_ID""#,
        ),
        Commands(
            "5. The order, read back",
            r#"curl -i $BASE/v2/orders/$ORDER_ID \
  -H "Authorization: Bearer $TOKEN""#,
        ),
        Answer(
            "Answer, shortened",
            r#"HTTP/1.1 200 OK
Content-Type: application/json

{
  "status": "pending",
  "payment_status": "unpaid",
  "email": "ada@example.com",
  "currency": "USD"
}"#,
        ),
    ],
};

const IDEMPOTENCY: Guide = Guide {
    id: "idempotency",
    title: "Idempotency",
    text: "A request that timed out may have been carried out. Send an `Idempotency-Key` with every POST, and \
        sending it again is safe: the first answer is replayed, byte for byte, with `Idempotent-Replayed: true`.\n\n\
        - 1 to 255 visible ASCII characters, for instance a UUID; new for every new thing you want to happen\n\
        - kept for 24 hours, per client\n\
        - the same key with another body is refused: 422 `idempotency_key_reused`\n\
        - while the first request still runs: 409 `idempotency_in_progress`, with `Retry-After`\n\
        - when the answer told of a person who was forgotten since: 410 `answer_erased`; it was done, and is not \
        done again\n\n\
        The key is stored in the transaction that does the work, so there is no moment at which one exists without \
        the other. Answers 5xx are never stored: repeating them completes the work.\n\n\
        The token and the product are those of [getting started](#getting-started).",
    blocks: &[
        Commands(
            "An order, in a file",
            r#"cat > order.json <<'END'
{
  "email": "ada@example.com",
  "currency": "USD",
  "items": [{"sku": "TEA-MUG", "quantity": 1}]
}
END"#,
        ),
        Commands("Send it", ORDER_WITH_KEY),
        Commands("Again, after a timeout", ORDER_WITH_KEY),
        Answer(
            "The same answer, and one order",
            r#"HTTP/1.1 201 Created
Idempotent-Replayed: true"#,
        ),
    ],
};

const ORDER_WITH_KEY: &str = r#"curl -i $BASE/v2/orders \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Idempotency-Key: 5f0c2e9a-order-10042' \
  -H 'Content-Type: application/json' \
  -d @order.json"#;

const PAGING: Guide = Guide {
    id: "paging",
    title: "Paging",
    text: "A list answers a bare JSON array, oldest first. `limit` is 1 to 250, 50 when absent. More than 250 is \
        refused, so that a short page always means the end.\n\n\
        Follow the `Link` header with `rel=\"next\"` until there is none. It carries a cursor: the hundredth page \
        costs the same as the first, and rows that are added while you read are neither skipped nor repeated. \
        `offset` works too, for jumping to a place.\n\n\
        `X-Total-Count` is sent when you ask with `include_total=true`.",
    blocks: &[
        Commands(
            "A page of one order, of two or more",
            r#"curl -i "$BASE/v2/orders?status=pending&limit=1" \
  -H "Authorization: Bearer $TOKEN""#,
        ),
        Answer(
            "Answer: there is more",
            r#"HTTP/1.1 200 OK
Link: <$BASE/v2/orders?status=pending&limit=1&cursor=…>; rel="next""#,
        ),
    ],
};

const HANDLING_ERRORS: Guide = Guide {
    id: "handling-errors",
    title: "Handling errors",
    text: "Every error under `/v2` is `application/problem+json` (RFC 9457). Branch on `code`: it is stable and never \
        renamed. `title` is the same for all problems of a type, `detail` tells about this one, and `errors` lists \
        every violation of the request at once, each with a pointer into the body, a parameter or a header.\n\n\
        `/oauth/token` answers in the form of RFC 6749, because every OAuth library expects that. \
        `WWW-Authenticate` says what is missing on 401 and 403.\n\n\
        Quote `request_id` when you ask for help. All codes are in the [error catalogue](#errors).",
    blocks: &[
        Commands(
            "An order of nothing",
            r#"curl -i $BASE/v2/orders \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Content-Type: application/json' \
  -d '{
    "email": "ada@example.com",
    "currency": "USD",
    "items": [{"sku": "TEA-MUG", "quantity": 0}]
  }'"#,
        ),
        Answer(
            "Answer: refused",
            r##"HTTP/1.1 422 Unprocessable Content
Content-Type: application/problem+json

{
  "type": "/problems/invalid_body",
  "title": "The body breaks a rule.",
  "status": 422,
  "detail": "#/items/0/quantity: expected at least 1",
  "code": "invalid_body",
  "request_id": "0192f3a0-7c1e",
  "errors": [
    {
      "pointer": "#/items/0/quantity",
      "code": "too_small",
      "detail": "expected at least 1"
    }
  ]
}"##,
        ),
    ],
};

const RETRYING: Guide = Guide {
    id: "retries",
    title: "Retrying",
    text: "Networks fail, and so do servers. With an `Idempotency-Key` every request can be sent again: the key and the \
        body stay the same, and what was done already is answered and not done twice.\n\n\
        - no answer, 500, 502, 504: again after a pause that doubles with each try, with a little chance in it, \
        five times at most\n\
        - 429, 503 and 409 `idempotency_in_progress`: again after the seconds in `Retry-After`\n\
        - 401: once, with a new token\n\
        - 412: after reading the object again, see [changing what others change](#concurrency)\n\
        - every other 4xx: not unchanged, it would be refused again\n\n\
        The [page of each error](#errors) says the same for its code.",
    blocks: &[
        Commands(
            "curl waits as Retry-After says, or longer each time",
            r#"curl -i --retry 5 --max-time 30 $BASE/v2/orders \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Idempotency-Key: 0e9f1c52-order-10043' \
  -H 'Content-Type: application/json' \
  -d '{
    "email": "ada@example.com",
    "currency": "USD",
    "items": [{"sku": "TEA-MUG", "quantity": 1}]
  }'"#,
        ),
        Answer(
            "Answer",
            r#"HTTP/1.1 201 Created
Content-Type: application/json"#,
        ),
    ],
};

const CONCURRENCY: Guide = Guide {
    id: "concurrency",
    title: "Changing what others change",
    text: "Whoever saves an object that they read a while ago overwrites what others did meanwhile. A single object \
        therefore carries an `ETag`, which changes with it. Send it back as `If-Match` with PUT, PATCH, DELETE or a \
        step of an order, and the request is carried out only while the object is as you read it.\n\n\
        Otherwise the answer is 412 `precondition_failed` with the `ETag` of now, and nothing was changed. Read the \
        object again, repeat your change on it, and send it with the new tag. Without `If-Match` the last one wins.\n\n\
        `If-None-Match` saves the body of a GET: 304 as long as nothing has changed.\n\n\
        The order is that of [getting started](#getting-started).",
    blocks: &[
        Commands(
            "Read it, and keep its tag",
            r#"TAG=$(curl -si $BASE/v2/orders/$ORDER_ID \
  -H "Authorization: Bearer $TOKEN" |
  sed -n 's/^[Ee][Tt]ag: *//p' | tr -d '\r')
echo "$TAG""#,
        ),
        Commands(
            "Change it if it is still as it was",
            r#"curl -i -X PATCH $BASE/v2/orders/$ORDER_ID \
  -H "Authorization: Bearer $TOKEN" \
  -H "If-Match: $TAG" \
  -H 'Content-Type: application/merge-patch+json' \
  -d '{"note": "Leave it with the neighbour."}'"#,
        ),
        Commands(
            "The old tag, once more: somebody was faster",
            r#"curl -i -X PATCH $BASE/v2/orders/$ORDER_ID \
  -H "Authorization: Bearer $TOKEN" \
  -H "If-Match: $TAG" \
  -H 'Content-Type: application/merge-patch+json' \
  -d '{"note": "Ring twice."}'"#,
        ),
        Answer(
            "Answer: refused",
            r##"HTTP/1.1 412 Precondition Failed
Content-Type: application/problem+json

{
  "type": "/problems/precondition_failed",
  "title": "The object has changed since you read it.",
  "status": 412,
  "detail": "the object is at another version than `If-Match` names",
  "code": "precondition_failed",
  "request_id": "0192f3a0-7c1e"
}"##,
        ),
    ],
};

const RATE_LIMITS: Guide = Guide {
    id: "rate-limits",
    title: "Rate limits",
    text: "Each client has a budget that fills up again all the time: 200 requests at once and 100 a second, unless the server \
        is set otherwise. The headers say how much is left, so a client can \
        slow down before it is stopped.\n\n\
        Over the budget the answer is 429 with `Retry-After` in seconds. Wait that long, add a little chance so that \
        your workers do not all come back at once, and send the request again with the same `Idempotency-Key`.",
    blocks: &[Answer(
        "Headers of an answer",
        r#"HTTP/1.1 200 OK
RateLimit-Policy: "default";q=200;w=2
RateLimit: "default";r=199;t=1
X-RateLimit-Limit: 200
X-RateLimit-Remaining: 199
X-RateLimit-Reset: 1"#,
    )],
};

const VERSIONING: Guide = Guide {
    id: "versioning",
    title: "Versioning",
    text: "The version is in the path. `/v2` only ever grows: new endpoints, new optional parameters, new fields in \
        answers. Ignore fields that you do not know. Removing or renaming something, a new required field and a new \
        validation rule are breaking, and wait for `/v3`.\n\n\
        What is going away says so in advance with `Deprecation` and `Sunset` headers. `API-Version` tells \
        which release answered. A machine-readable description is at [/openapi.json](/openapi.json).",
    blocks: &[Answer(
        "Headers of an answer",
        r#"HTTP/1.1 200 OK
API-Version: 2.1.0
Deprecation: @1767225600
Sunset: Fri, 01 Jan 2027 00:00:00 GMT"#,
    )],
};

/// Writes one guide as a section of the reference.
pub fn write(h: &mut Html, guide: &Guide, base: &str) {
    h.el("section", &[("id", guide.id), ("class", "row")], |h| {
        h.el("div", &[("class", "text")], |h| {
            h.leaf("h2", &[], guide.title);
            prose::write(h, guide.text);
        });
        h.el("div", &[("class", "aside")], |h| {
            for block in guide.blocks {
                block.write(h, base.trim_end_matches('/'));
            }
        });
    });
}

impl Block {
    fn write(&self, h: &mut Html, base: &str) {
        let (class, language, title, text) = match self {
            Commands(title, text) => ("block", "sh", title, text),
            Answer(title, text) => ("block answer", "", title, text),
        };
        labelled(h, class, language, title, &text.replace("$BASE", base));
    }
}

/// Something to read or to copy below a row that says what it is; the script puts its button into that row.
pub fn labelled(h: &mut Html, class: &str, language: &str, title: &str, text: &str) {
    let around = [("class", class), ("role", "group"), ("aria-label", title)];
    h.el("div", &around, |h| {
        h.leaf("p", &[], title);
        let code = [
            ("class", "code"),
            ("tabindex", "0"),
            ("data-language", language),
        ];
        h.leaf("pre", &code, text);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_that_is_shown_exists() {
        let mut shown = 0;
        for block in GUIDES.iter().flat_map(|guide| guide.blocks) {
            let Answer(_, text) = block else { continue };
            for part in text.split("/problems/").skip(1) {
                let code = part.split('"').next().unwrap();
                assert!(
                    crate::error::all_codes().any(|known| known.code == code),
                    "{code}"
                );
                assert!(text.contains(&format!("\"code\": \"{code}\"")));
                shown += 1;
            }
        }
        assert!(shown > 0);
    }
}
