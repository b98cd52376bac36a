//! Requests that a careless or hostile caller could send, made from the OpenAPI document: valid ones by
//! its schemas, and what spoils them.

use axum::http::Method;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// How deep generated bodies nest.
const DEPTH_MAX: usize = 7;

/// A request, ready to be sent.
#[derive(Clone)]
pub struct Hostile {
    pub method: Method,
    pub target: String,
    pub headers: Vec<(&'static str, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl fmt::Debug for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |bytes: &[u8]| {
            let text = bytes.escape_ascii().to_string();
            match text.char_indices().nth(4_000) {
                Some((at, _)) => format!("{}… ({} bytes)", &text[..at], bytes.len()),
                None => text,
            }
        };
        writeln!(f, "{} {}", self.method, short(self.target.as_bytes()))?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", short(value))?;
        }
        write!(f, "\n{}", short(&self.body))
    }
}

/// An operation of the document with its references followed.
pub struct Operation<'a> {
    pub method: Method,
    pub path: &'a str,
    operation: &'a Value,
    known: &'a Known,
    document: &'a Value,
}

/// Values that name something that exists, by the name of the parameter or member. They open the doors
/// behind which an invented value never comes.
pub type Known = BTreeMap<&'static str, Vec<Value>>;

/// Every operation of the document, in its order.
pub fn operations<'a>(document: &'a Value, known: &'a Known) -> Vec<Operation<'a>> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let each = paths.flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods").iter();
        methods.map(move |(method, operation)| Operation {
            method: method.to_uppercase().parse().expect("a method"),
            path,
            operation,
            known,
            document,
        })
    });
    each.collect()
}

impl Operation<'_> {
    pub fn has_body(&self) -> bool {
        self.operation.get("requestBody").is_some()
    }

    /// Requests for this operation.
    pub fn requests(&self) -> BoxedStrategy<Hostile> {
        let body = match self.operation.pointer("/requestBody/content") {
            Some(content) => self.body(content),
            None => prop_oneof![9 => Just(Vec::new()), 1 => bytes()].boxed(),
        };
        let typed: Vec<String> = self
            .operation
            .pointer("/requestBody/content")
            .and_then(Value::as_object)
            .map(|content| content.keys().cloned().collect())
            .unwrap_or_else(|| vec!["application/json".into()]);
        let form = typed.iter().any(|one| one.ends_with("urlencoded"));
        let media_type = prop_oneof![
            12 => select(typed).prop_map(|one| Some(one.into_bytes())),
            1 => Just(None),
            1 => select(MEDIA_TYPES).prop_map(|one| Some(one.as_bytes().to_vec())),
        ];
        let method = self.method.clone();
        (self.path(), self.query(), headers(), media_type, body)
            .prop_map(move |(path, query, mut headers, media_type, body)| {
                let mut body = body;
                if let Some(media_type) = media_type {
                    if form && media_type.ends_with(b"urlencoded") {
                        body = as_form(&body);
                    }
                    headers.push(("content-type", media_type));
                }
                Hostile {
                    method: method.clone(),
                    target: format!("{path}{query}"),
                    headers,
                    body,
                }
            })
            .boxed()
    }

    fn path(&self) -> BoxedStrategy<String> {
        let Some((before, rest)) = self.path.split_once('{') else {
            return Just(self.path.to_owned()).boxed();
        };
        let (_, after) = rest.split_once('}').expect("a closed parameter");
        let (before, after) = (before.to_owned(), after.to_owned());
        let kind = match before.split('/').rfind(|segment| !segment.is_empty()) {
            Some("users") => "user_id",
            Some("products") => "product_id",
            Some("orders") => "order_id",
            Some("notifications") => "notification_id",
            Some("runs") => "run_id",
            Some("integrations") => "integration_id",
            _ => "none",
        };
        let known = self
            .known
            .get(kind)
            .cloned()
            .unwrap_or_else(|| vec![json!("none_1")]);
        let known = select(known).prop_map(|id| id.as_str().expect("text").to_owned());
        let id = prop_oneof![
            6 => known.clone(),
            3 => select(IDS).prop_map(str::to_owned),
            1 => known.prop_map(|id| format!("{id}%00")),
            2 => encoded_text(),
            1 => (1_usize..9_000).prop_map(|length| "a".repeat(length)),
        ];
        id.prop_map(move |id| format!("{before}{id}{after}"))
            .boxed()
    }

    fn query(&self) -> BoxedStrategy<String> {
        let parameters = self.operation["parameters"]
            .as_array()
            .into_iter()
            .flatten();
        let queries: Vec<&Value> = parameters.filter(|one| one["in"] == "query").collect();
        let names: Vec<String> = queries
            .iter()
            .map(|one| one["name"].as_str().expect("a name").to_owned())
            .collect();
        // A cursor that was not answered is never valid: it is among what spoils.
        let valid: Vec<BoxedStrategy<Option<String>>> = queries
            .iter()
            .filter(|parameter| parameter["name"] != "cursor")
            .map(|parameter| {
                let name = parameter["name"].as_str().expect("a name").to_owned();
                let value = self.value(&parameter["schema"], &name, 0);
                prop::option::weighted(0.2, value.prop_map(move |value| query_pair(&name, &value)))
                    .boxed()
            })
            .collect();
        let poisoned = match names.is_empty() {
            true => Just(String::new()).boxed(),
            false => (select(names), select(QUERY_VALUES), any::<bool>())
                .prop_map(|(name, value, twice)| match twice {
                    true => format!("{name}={value}&{name}={value}"),
                    false => format!("{name}={value}"),
                })
                .boxed(),
        };
        let spoilt = prop_oneof![
            6 => Just(String::new()),
            4 => poisoned,
            2 => select(QUERIES).prop_map(str::to_owned),
            1 => (encoded_text(), encoded_text()).prop_map(|(name, value)| format!("{name}={value}")),
            1 => (100_usize..9_000).prop_map(|length| format!("q={}", "a".repeat(length))),
        ];
        (valid, spoilt)
            .prop_map(|(valid, spoilt)| {
                let mut pairs: Vec<String> = valid.into_iter().flatten().collect();
                if !spoilt.is_empty() {
                    pairs.push(spoilt);
                }
                match pairs.is_empty() {
                    true => String::new(),
                    false => format!("?{}", pairs.join("&")),
                }
            })
            .boxed()
    }

    fn body(&self, content: &Value) -> BoxedStrategy<Vec<u8>> {
        let types = content.as_object().expect("media types");
        let media = types.values().next().expect("a media type");
        let by_schema = self.value(&media["schema"], "", 0);
        let valid = match media.get("example") {
            Some(example) => prop_oneof![2 => by_schema, 1 => Just(example.clone())].boxed(),
            None => by_schema,
        };
        let edits = prop::collection::vec((any::<u16>(), edit()), 0..3);
        prop_oneof![
            8 => valid.clone().prop_map(|value| value.to_string().into_bytes()),
            12 => (valid.clone(), edits).prop_map(|(value, edits)| edited(&value, edits)),
            1 => (valid.clone(), any::<u16>()).prop_map(|(value, at)| {
                let text = value.to_string();
                text.as_bytes()[..usize::from(at) % (text.len() + 1)].to_vec()
            }),
            1 => (valid, select(AROUND)).prop_map(|(value, (before, after))| {
                [before.as_bytes(), value.to_string().as_bytes(), after.as_bytes()].concat()
            }),
            1 => bytes(),
            1 => poison(),
        ]
        .boxed()
    }

    /// What the schema allows, or nearly.
    fn value(&self, schema: &Value, name: &str, depth: usize) -> BoxedStrategy<Value> {
        let by_schema = self.by_schema(schema, name, depth);
        match self.known.get(name) {
            Some(known) => prop_oneof![5 => select(known.clone()), 1 => by_schema].boxed(),
            None => by_schema,
        }
    }

    fn by_schema(&self, schema: &Value, name: &str, depth: usize) -> BoxedStrategy<Value> {
        if depth > DEPTH_MAX {
            return Just(Value::Null).boxed();
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.document.pointer(reference.trim_start_matches('#'));
            return self.value(target.expect("a known schema"), name, depth + 1);
        }
        if let Some(one) = schema.get("const") {
            return Just(one.clone()).boxed();
        }
        if let Some(all) = schema["enum"].as_array() {
            return select(all.clone()).boxed();
        }
        for choice in ["anyOf", "oneOf", "allOf"] {
            let forms = schema[choice].as_array().into_iter().flatten();
            let forms: Vec<_> = forms
                .map(|form| self.value(form, name, depth + 1))
                .collect();
            if !forms.is_empty() && schema.get("properties").is_none() {
                return proptest::strategy::Union::new(forms).boxed();
            }
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => vec!["null", "integer", "string"],
        };
        let forms = types.into_iter().map(|kind| match kind {
            "object" => self.object(schema, depth),
            "array" => {
                let most = schema["maxItems"].as_u64().unwrap_or(3).min(3) as usize;
                let least = schema["minItems"].as_u64().unwrap_or(0) as usize;
                let item = self.value(&schema["items"], "", depth + 1);
                let items = prop::collection::vec(item, least..=most.max(least));
                items.prop_map(Value::Array).boxed()
            }
            "integer" => integer(schema),
            "number" => any::<f64>().prop_map(Value::from).boxed(),
            "boolean" => any::<bool>().prop_map(Value::from).boxed(),
            "null" => Just(Value::Null).boxed(),
            _ => text(schema),
        });
        proptest::strategy::Union::new(forms.collect::<Vec<_>>()).boxed()
    }

    fn object(&self, schema: &Value, depth: usize) -> BoxedStrategy<Value> {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let members: Vec<BoxedStrategy<Option<(String, Value)>>> = schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, schema)| {
                let is_required = required.contains(&json!(name));
                let member = self.value(schema, name, depth + 1);
                let name = name.clone();
                let named = member.prop_map(move |value| (name.clone(), value));
                match is_required {
                    true => named.prop_map(Some).boxed(),
                    false => prop::option::weighted(0.25, named).boxed(),
                }
            })
            .collect();
        let others = match schema.get("additionalProperties") {
            Some(Value::Object(_)) => {
                let value = self.value(&schema["additionalProperties"], "", depth + 1);
                prop::collection::vec(("[a-z]{1,6}", value), 0..3).boxed()
            }
            _ => Just(Vec::new()).boxed(),
        };
        (members, others)
            .prop_map(|(members, others)| {
                let all = members.into_iter().flatten().chain(others);
                Value::Object(all.collect::<Map<_, _>>())
            })
            .boxed()
    }
}

fn integer(schema: &Value) -> BoxedStrategy<Value> {
    let least = schema["minimum"].as_i64().unwrap_or(-1_000_000);
    let most = schema["maximum"].as_i64().unwrap_or(1_000_000).max(least);
    prop_oneof![
        2 => least..=most.min(least.saturating_add(100)),
        1 => least..=most,
        1 => select(vec![least, most]),
    ]
    .prop_map(Value::from)
    .boxed()
}

fn text(schema: &Value) -> BoxedStrategy<Value> {
    let least = schema["minLength"].as_u64().unwrap_or(0) as usize;
    let most = schema["maxLength"].as_u64().unwrap_or(40) as usize;
    let by_pattern = schema["pattern"].as_str().and_then(|pattern| {
        let bare = pattern.trim_start_matches('^').trim_end_matches('$');
        proptest::string::string_regex(bare).ok()
    });
    if schema["format"] == "date-time" {
        return select(TIMES).prop_map(Value::from).boxed();
    }
    match by_pattern {
        Some(pattern) => pattern.prop_map(Value::from).boxed(),
        None => {
            let short = proptest::string::string_regex(&format!(
                "\\PC{{{least},{}}}",
                most.min(least + 30)
            ));
            let short = short.expect("a regular expression");
            let full = Just("ä".repeat(most.min(2_000)));
            prop_oneof![6 => short, 1 => full]
                .prop_map(Value::from)
                .boxed()
        }
    }
}

/// One way to spoil a body at one place.
#[derive(Clone, Debug)]
enum Edit {
    /// Something else instead.
    Instead(Vec<u8>),
    /// The first member or item again; an item so often that every bound is passed.
    Again,
    /// A member that nobody knows.
    Unknown(Vec<u8>),
}

fn edit() -> BoxedStrategy<Edit> {
    prop_oneof![
        6 => poison().prop_map(Edit::Instead),
        1 => Just(Edit::Again),
        1 => poison().prop_map(Edit::Unknown),
    ]
    .boxed()
}

/// A JSON value, or something that only looks like one.
fn poison() -> BoxedStrategy<Vec<u8>> {
    let deep = select(&[63_usize, 64, 65, 127, 128, 129, 20_000][..]).prop_map(|levels| {
        let mut text = "[".repeat(levels);
        text.push_str(&"]".repeat(levels));
        text.into_bytes()
    });
    let long = select(&[256_usize, 501, 10_001, 65_536, 300_000][..])
        .prop_map(|length| format!("\"{}\"", "x".repeat(length)).into_bytes());
    prop_oneof![
        20 => select(POISON).prop_map(|text| text.as_bytes().to_vec()),
        1 => deep,
        1 => long,
        1 => select(NOT_TEXT).prop_map(<[u8]>::to_vec),
        2 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        2 => any::<f64>().prop_map(|number| format!("{number:?}").into_bytes()),
        2 => "\\PC{0,40}".prop_map(|text| json!(text).to_string().into_bytes()),
    ]
    .boxed()
}

fn bytes() -> BoxedStrategy<Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..64).boxed()
}

/// The text of `value` with edits at some of its parts.
fn edited(value: &Value, edits: Vec<(u16, Edit)>) -> Vec<u8> {
    let parts = count(value);
    let edits: BTreeMap<usize, Edit> = edits
        .into_iter()
        .map(|(at, edit)| (usize::from(at) % parts, edit))
        .collect();
    let mut out = Vec::new();
    write(value, &mut 0, &edits, &mut out);
    out
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

fn write(value: &Value, at: &mut usize, edits: &BTreeMap<usize, Edit>, out: &mut Vec<u8>) {
    let edit = edits.get(at);
    *at += 1;
    if let Some(Edit::Instead(poison)) = edit {
        *at += count(value) - 1;
        out.extend_from_slice(poison);
        return;
    }
    match value {
        Value::Array(items) => {
            let mut texts: Vec<Vec<u8>> = Vec::new();
            for item in items {
                let mut text = Vec::new();
                write(item, at, edits, &mut text);
                texts.push(text);
            }
            if let (Some(Edit::Again), Some(first)) = (edit, texts.first()) {
                let times = (400_000 / first.len().max(1)).min(2_001);
                texts = vec![first.clone(); times];
            }
            out.push(b'[');
            out.extend_from_slice(&texts.join(&b','));
            out.push(b']');
        }
        Value::Object(members) => {
            let mut texts: Vec<Vec<u8>> = Vec::new();
            for (name, member) in members {
                let mut text = format!("{}:", json!(name)).into_bytes();
                write(member, at, edits, &mut text);
                texts.push(text);
            }
            match edit {
                Some(Edit::Again) => texts.extend(texts.first().cloned()),
                Some(Edit::Unknown(poison)) => {
                    texts.push([b"\"no_such_field\":", &poison[..]].concat())
                }
                _ => {}
            }
            out.push(b'{');
            out.extend_from_slice(&texts.join(&b','));
            out.push(b'}');
        }
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}

/// A JSON object as a form, as far as that goes.
fn as_form(body: &[u8]) -> Vec<u8> {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return body.to_vec();
    };
    let pairs = members.iter().map(|(name, value)| query_pair(name, value));
    pairs.collect::<Vec<_>>().join("&").into_bytes()
}

fn query_pair(name: &str, value: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => percent_encoded(text),
        other => percent_encoded(&other.to_string()),
    };
    let name = percent_encoded(name);
    match value {
        Value::Array(items) => {
            format!(
                "{name}={}",
                items.iter().map(plain).collect::<Vec<_>>().join(",")
            )
        }
        Value::Object(members) => {
            let pairs = members.iter().map(|(key, value)| {
                format!("{name}%5B{}%5D={}", percent_encoded(key), plain(value))
            });
            pairs.collect::<Vec<_>>().join("&")
        }
        other => format!("{name}={}", plain(other)),
    }
}

fn percent_encoded(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    });
    bytes.collect()
}

fn encoded_text() -> BoxedStrategy<String> {
    "\\PC{1,24}".prop_map(|text| percent_encoded(&text)).boxed()
}

fn headers() -> BoxedStrategy<Vec<(&'static str, Vec<u8>)>> {
    let known = select(HEADERS).prop_map(|(name, value)| (name, value.as_bytes().to_vec()));
    let names: Vec<&'static str> = HEADERS.iter().map(|(name, _)| *name).collect();
    let visible = prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..40);
    let odd = (select(names), visible);
    let some = prop::collection::vec(prop_oneof![3 => known, 1 => odd], 1..3);
    prop_oneof![3 => Just(Vec::new()), 2 => some].boxed()
}

const TIMES: &[&str] = &[
    "2023-10-27T10:00:00Z",
    "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00+14:00",
    "2024-02-29T12:00:00.123456-05:00",
    "2016-12-31T23:59:60Z",
];

const POISON: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1.5",
    "1.0",
    "1E2",
    "-0.0",
    "1e-400",
    "1e308",
    "1e309",
    "-1e400",
    "9007199254740991",
    "9007199254740992",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    "01",
    "+1",
    ".5",
    "0x10",
    "NaN",
    "Infinity",
    "undefined",
    "'x'",
    "",
    "\"",
    "\"\"",
    "\" \"",
    "\"\\u0000\"",
    "\"a\\u0000b\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u202e\\u2066evil\\u2069\"",
    "\"\u{feff}\"",
    "\"👩‍👩‍👧‍👦\"",
    "\"العربية עברית\"",
    "\"ﷺ\u{301}\u{302}\u{303}\"",
    "\"' OR 1=1; --\"",
    "\"'; DROP TABLE users; --\"",
    "\"$1 %s {} \\\\\"",
    "\"<script>alert(1)</script>\"",
    "\"a\\r\\nX-Injected: 1\"",
    "\"../../etc/passwd\"",
    "\"=cmd|' /C calc'!A0\"",
    "[]",
    "{}",
    "[[]]",
    "[null]",
    "[1,\"a\",{}]",
    "{\"a\":{\"b\":[1]}}",
    "{\"\":0}",
    "{\"__proto__\":1}",
    "{\"a\":1,\"a\":2}",
    "[1,]",
    "{\"a\":1,}",
    "/**/1",
    "\"2023-02-30T00:00:00Z\"",
    "\"2023-10-27T10:00:00\"",
    "\"+010000-01-01T00:00:00Z\"",
    "\"-000001-01-01T00:00:00Z\"",
    "\"user_123\"",
    "\"user_999\"",
    "\"MUG-BLUE\"",
    "\"USD\"",
    "\"XTS\"",
    "\"usd\"",
    "\"JPY\"",
];

/// Strings that are not UTF-8 or hold a control character as it is.
const NOT_TEXT: &[&[u8]] = &[b"\"\xff\"", b"\"\xc3\"", b"\"\xed\xa0\x80\"", b"\"a\0b\""];

/// What is put before and after a body.
const AROUND: &[(&str, &str)] = &[
    ("\u{feff}", ""),
    ("", "x"),
    ("", "{}"),
    ("[", "]"),
    ("{\"a\":", "}"),
    ("", "\0"),
    (" \n\t", " \r\n"),
    ("//\n", ""),
];

const IDS: &[&str] = &[
    "none_1",
    "",
    "%00",
    "%ff",
    "%C3%28",
    "%",
    "%2",
    "%zz",
    "..",
    "%2e%2e%2f%2e%2e",
    "a%2Fb",
    "user_",
    "_",
    "user_%0d%0aX:1",
    "user_123%20",
    "user_123/",
    "user_123;x=1",
    "%F0%9F%92%A3",
    "'%20OR%201=1--",
    "USER_123",
    "user_123%00",
    "search",
    "generate",
    "-1",
    "0",
    "null",
    "undefined",
    "{id}",
    "*",
    "%E2%80%AE",
];

const QUERY_VALUES: &[&str] = &[
    "",
    "%00",
    "a%00b",
    "%ff",
    "%C3",
    "%",
    "%2",
    "%zz",
    "%u0041",
    "+",
    "0",
    "-1",
    "1.5",
    "1e3",
    "+5",
    "0x10",
    "250",
    "251",
    "9007199254740991",
    "9007199254740992",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "99999999999999999999",
    "true",
    "TRUE",
    "yes",
    "null",
    "[]",
    "{}",
    ",",
    "a,,b",
    ",a",
    "a,",
    "%27%20OR%201%3D1--",
    "%22",
    "%5C",
    "%25",
    "_",
    "%0d%0aX-Injected:%201",
    "%3Cscript%3E",
    "%F0%9F%92%A9",
    "%E2%80%AE",
    "2023-10-27T10:00:00Z",
    "2023-10-27",
    "9999-12-31T23:59:59Z",
    "-9999-01-01T00:00:00Z",
    "user_123",
    "*",
    "a*",
    "\"a",
    "(",
    "AND",
    "-",
    "~",
    "a:b",
    "USD",
    "XTS",
];

const QUERIES: &[&str] = &[
    "no_such=1",
    "&&&",
    "=",
    "=x",
    "limit",
    "limit=1&limit=2",
    "limit=5&limit[x]=1",
    "limit[]=1",
    "[",
    "]",
    "a[b",
    "a]b=1",
    "attributes[]=x",
    "attributes%5B%5D=",
    "attributes[color]=red&attributes[color]=blue",
    "attributes[a][b]=1",
    "attributes=x",
    "cursor=&offset=0",
    "cursor=AAAA",
    "cursor=AAAA&offset=1",
    "cursor=%00",
    "cursor=a.b.c",
    "offset=9007199254740991&limit=250",
    "%6Cimit=1",
    "limit=1&%6Cimit=2",
    "%63ursor=AAAA",
    "include_total=true&limit=1",
    "offset=10000&limit=50",
    "offset=9999&limit=2",
    "expand=items&limit=51",
    "min_price=1",
    "min_price=5&max_price=1&currency=USD",
    "sort=price",
    "sort=-price&currency=USD",
    "limit=1;offset=2",
    "?limit=1",
    "limit=1?offset=2",
];

const MEDIA_TYPES: &[&str] = &[
    "",
    " ",
    "application/json; charset=utf-8",
    "application/json;charset=utf-16",
    "APPLICATION/JSON",
    "application/json, text/plain",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/merge-patch+json",
    "*/*",
    "json",
    "é",
];

const HEADERS: &[(&str, &str)] = &[
    ("idempotency-key", ""),
    ("idempotency-key", "\"\""),
    ("idempotency-key", "a b"),
    ("idempotency-key", "key-1"),
    ("idempotency-key", "\"key-2\""),
    ("idempotency-key", "ключ"),
    ("idempotency-key", "\"a\"b\""),
    ("if-match", ""),
    ("if-match", "*"),
    ("if-match", "\"1\""),
    ("if-match", "W/\"1\""),
    ("if-match", "\"99\""),
    ("if-match", "999999999999999999"),
    ("if-match", "9223372036854775808"),
    ("if-match", "\"1\", \"2\""),
    ("if-match", "\""),
    ("if-none-match", "*"),
    ("if-none-match", "\"1\", W/\"2\""),
    ("if-none-match", "\""),
    ("accept", ""),
    ("accept", "*/*"),
    ("accept", "text/html"),
    ("accept", "application/json;q=0"),
    ("accept", "application/json;q=NaN, */*;q=2"),
    ("accept", ";;;,,,="),
    ("accept", "é"),
    ("accept-encoding", "gzip"),
    ("accept-encoding", "br;q=1.0, *;q=0"),
    ("accept-encoding", "zstd, identity;q=0"),
    ("accept-encoding", "é"),
    ("content-encoding", "gzip"),
    ("content-encoding", "br"),
    ("content-encoding", "zstd"),
    ("content-encoding", "deflate"),
    ("content-encoding", "compress"),
    ("content-encoding", "identity"),
    ("content-encoding", "gzip, gzip"),
    ("content-length", "99999999999"),
    ("content-length", "-1"),
    ("range", "bytes=0-0"),
    ("range", "bytes=-"),
    ("prefer", "return=minimal"),
    ("prefer", "wait=-1"),
    ("prefer", "é"),
    ("x-request-id", "a b"),
    ("x-request-id", "x"),
    ("x-request-id", "é"),
    ("traceparent", "00-zz-1-1"),
    ("origin", "null"),
    ("x-forwarded-for", "' OR 1=1"),
    ("x-forwarded-proto", "gopher"),
    ("host", ""),
    ("expect", "100-continue"),
    ("authorization", "Bearer"),
    ("authorization", "Bearer a.b.c"),
    ("authorization", "Basic YTpi"),
    ("authorization", "Basic %%%"),
    ("authorization", "é"),
    ("x-http-method-override", "DELETE"),
    ("cookie", "a=b"),
];
