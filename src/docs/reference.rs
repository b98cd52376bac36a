//! `/docs`: the whole reference on one page. Navigation on the left, text in the middle, and what to
//! paste on the right; below one another on a narrow screen.

use super::changelog;
use super::fields::{Fields, Nested, object_anchor};
use super::guides::{self, GUIDES};
use super::html::Html;
use super::operation::{Operation, Response, anchor, entries, is_json, operations, tags};
use super::problems::catalogue;
use super::recorded::Recorded;
use super::samples::{self, plain, pretty};
use super::schema::{Direction, Schemas, text};
use super::{page, prose, try_it};
use serde_json::Value;

/// Where examples point when the document names no server with an absolute URL, and where they were recorded.
pub const BASE_DEFAULT: &str = "http://127.0.0.1:8080";

/// The page at `/docs` for any OpenAPI 3.1 document. Send it with
/// [`CONTENT_SECURITY_POLICY`](super::CONTENT_SECURITY_POLICY). Parts the document lacks are left
/// out; nothing in it can make this fail. What was recorded is shown in place of made-up examples.
pub fn render(openapi: &Value, recorded: &Recorded) -> String {
    let operations = operations(openapi);
    let reference = Reference {
        document: openapi,
        schemas: Schemas { document: openapi },
        tags: tags(openapi, &operations),
        operations,
        recorded,
        base: base(openapi),
    };
    let info = openapi.get("info").unwrap_or(&Value::Null);
    let title = text(info, "title").unwrap_or("API reference");
    page::render(
        title,
        |h| reference.bar(h, info),
        |h| reference.body(h, info, title),
    )
}

fn base(openapi: &Value) -> &str {
    let url = openapi
        .pointer("/servers/0/url")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if url.starts_with("http://") || url.starts_with("https://") {
        url
    } else {
        BASE_DEFAULT
    }
}

struct Reference<'a> {
    document: &'a Value,
    schemas: Schemas<'a>,
    tags: Vec<(&'a str, &'a str)>,
    operations: Vec<Operation<'a>>,
    recorded: &'a Recorded,
    base: &'a str,
}

impl<'a> Reference<'a> {
    fn bar(&self, h: &mut Html, info: &Value) {
        if let Some(version) = text(info, "version") {
            h.leaf("span", &[("class", "version")], version);
        }
        h.leaf("a", &[("href", "/openapi.json")], "OpenAPI");
        h.leaf(
            "button",
            &[("id", "connect"), ("type", "button"), ("hidden", "")],
            "Connect",
        );
    }

    fn body(&self, h: &mut Html, info: &Value, title: &str) {
        h.el("nav", &[("aria-label", "Contents")], |h| {
            h.void(
                "input",
                &[("id", "menu"), ("type", "checkbox"), ("class", "unseen")],
            );
            h.leaf("label", &[("for", "menu")], "Contents");
            h.el("div", &[], |h| self.navigation(h));
        });
        h.el("main", &[("id", "content")], |h| {
            h.el("section", &[("class", "row hero")], |h| {
                self.introduction(h, info, title)
            });
            for guide in &GUIDES {
                guides::write(h, guide, self.base);
            }
            for (name, description) in &self.tags {
                self.tag(h, name, description);
            }
            self.errors(h);
            self.objects(h);
            changelog::write(h);
        });
        try_it::credentials(h);
    }

    fn navigation(&self, h: &mut Html) {
        h.leaf("p", &[], "Guides");
        h.el("ul", &[], |h| {
            for guide in &GUIDES {
                link(h, guide.id, guide.title);
            }
        });
        for (tag, _) in &self.tags {
            h.leaf("p", &[], tag);
            h.el("ul", &[], |h| {
                for o in self.operations.iter().filter(|o| o.tag == *tag) {
                    h.el("li", &[], |h| {
                        h.el("a", &[("href", &format!("#{}", o.id))], |h| {
                            method(h, o);
                            h.text(" ").el("code", &[], |h| breakable(h, o.path));
                        });
                    });
                }
            });
        }
        h.leaf("p", &[], "Reference");
        h.el("ul", &[], |h| {
            link(h, "errors", "Error catalogue");
            link(h, "objects", "Objects");
            link(h, "changelog", "Changelog");
        });
    }

    fn introduction(&self, h: &mut Html, info: &Value, title: &str) {
        h.el("div", &[("class", "text")], |h| {
            h.leaf("h1", &[], title);
            if let Some(summary) = text(info, "summary") {
                h.leaf("p", &[("class", "lead")], summary);
            }
            prose::write(h, text(info, "description").unwrap_or_default());
        });
        h.el("div", &[("class", "aside")], |h| {
            guides::labelled(h, "block", "", "Base URL", self.base);
        });
    }

    fn tag(&self, h: &mut Html, tag: &str, description: &str) {
        h.el(
            "section",
            &[
                ("id", &format!("tag-{}", anchor(tag))),
                ("class", "row chapter"),
            ],
            |h| {
                h.el("div", &[("class", "text")], |h| {
                    h.leaf("h2", &[], tag);
                    prose::write(h, description);
                });
                h.el("div", &[("class", "aside")], |h| {
                    h.el("ul", &[("class", "routes")], |h| {
                        for o in self.operations.iter().filter(|o| o.tag == tag) {
                            h.el("li", &[], |h| {
                                h.el("a", &[("href", &format!("#{}", o.id))], |h| {
                                    method(h, o);
                                    h.leaf("code", &[], o.path);
                                });
                            });
                        }
                    });
                });
            },
        );
        for operation in self.operations.iter().filter(|o| o.tag == tag) {
            self.operation(h, operation);
        }
    }

    fn operation(&self, h: &mut Html, o: &Operation<'a>) {
        h.el(
            "section",
            &[("id", &o.id), ("class", "row operation")],
            |h| {
                h.el("div", &[("class", "text")], |h| {
                    self.heading(h, o);
                    self.request(h, o);
                    self.responses(h, o);
                });
                h.el("div", &[("class", "aside")], |h| {
                    if !o.is_webhook {
                        let recorded = self.recorded.success(&o.id);
                        let samples = samples::all(o, self.schemas, self.base, recorded);
                        let language = |label: &'static str, text| Tab {
                            label: label.to_owned(),
                            class: "",
                            language: label,
                            text,
                        };
                        let samples = samples
                            .into_iter()
                            .map(|(label, text)| language(label, text))
                            .collect();
                        tabs(h, &format!("{}.ask", o.id), "Language", samples);
                    }
                    self.answers(h, o);
                    if !o.is_webhook {
                        try_it::form(h, o, self.schemas);
                    }
                });
            },
        );
    }

    fn heading(&self, h: &mut Html, o: &Operation<'a>) {
        h.el("h3", &[], |h| {
            h.leaf("a", &[("href", &format!("#{}", o.id))], o.summary);
            if o.is_deprecated {
                h.text(" ")
                    .leaf("i", &[("class", "deprecated")], "deprecated");
            }
        });
        h.el("p", &[("class", "route")], |h| {
            method(h, o);
            h.leaf("code", &[], o.path);
        });
        prose::write(h, o.description);
        if o.is_webhook {
            return;
        }
        h.el("p", &[("class", "scope")], |h| match &o.scopes {
            None if o.own_token.is_some() => {
                h.text("Needs a token of its own kind. ");
                prose::inline(h, o.own_token.unwrap_or_default());
            }
            None => {
                h.text("Public: no token needed");
            }
            Some(scopes) if scopes.is_empty() => {
                h.text("Needs a token, with any scope");
            }
            Some(scopes) => {
                h.text("Needs scope ");
                for (n, scope) in scopes.iter().enumerate() {
                    h.text(if n > 0 { " " } else { "" })
                        .leaf("code", &[], scope);
                }
            }
        });
    }

    fn request(&self, h: &mut Html, o: &Operation<'a>) {
        let fields = Fields {
            schemas: self.schemas,
            nested: Nested::Inline,
        };
        for (place, title) in [
            ("path", "Path parameters"),
            ("query", "Query parameters"),
            ("header", "Headers"),
            ("cookie", "Cookies"),
        ] {
            let parameters: Vec<_> = o.parameters.iter().filter(|p| p.place == place).collect();
            if !parameters.is_empty() {
                h.leaf("h4", &[], title);
                fields.parameters(h, &parameters);
            }
        }
        let Some(body) = &o.body else { return };
        h.el("h4", &[], |h| {
            h.text("Body ");
            h.el("span", &[("class", "type")], |h| {
                fields.type_name(h, body.media.schema, 0)
            });
            if !body.is_required {
                h.text(" ").leaf("i", &[], "optional");
            }
        });
        media_types(h, body.media.content_type, &body.media.others);
        prose::write(h, body.description);
        fields.schema(h, body.media.schema);
    }

    fn responses(&self, h: &mut Html, o: &Operation<'a>) {
        if o.responses.is_empty() {
            return;
        }
        h.leaf("h4", &[], "Responses");
        h.el("ul", &[("class", "fields answers")], |h| {
            for response in &o.responses {
                h.el("li", &[], |h| self.response(h, response));
            }
        });
    }

    fn response(&self, h: &mut Html, response: &Response<'a>) {
        let fields = Fields {
            schemas: self.schemas,
            nested: Nested::Linked,
        };
        h.leaf(
            "code",
            &[("class", &status_class(response.status))],
            response.status,
        )
        .text(" ");
        h.el("span", &[], |h| prose::inline(h, response.description));
        if let Some(media) = &response.media {
            h.text(" ");
            h.el("span", &[("class", "type")], |h| {
                fields.type_name(h, media.schema, 0)
            });
            media_types(h, media.content_type, &media.others);
        }
        for (name, description) in &response.headers {
            h.el("p", &[("class", "bounds")], |h| {
                h.leaf("code", &[], name).text(" ");
                prose::inline(h, description);
            });
        }
    }

    /// What was recorded; without it example bodies of the responses. One tab each.
    fn answers(&self, h: &mut Html, o: &Operation<'a>) {
        let recorded: Vec<_> = self.recorded.of(&o.id).collect();
        if !recorded.is_empty() {
            let tab = |exchange: super::recorded::Exchange<'_>| Tab {
                label: exchange.label(),
                class: tone(&exchange.status().to_string()),
                language: "json",
                text: exchange.transcript(&o.method),
            };
            h.leaf(
                "p",
                &[("class", "eyebrow")],
                "Recorded from a running server; what differs each time (ids, tags, secrets) is replaced",
            );
            let recorded = recorded.into_iter().map(tab).collect();
            return tabs(
                h,
                &format!("{}.answer", o.id),
                "Recorded response",
                recorded,
            );
        }
        let with_body = o
            .responses
            .iter()
            .filter_map(|r| Some((r, r.media.as_ref()?)));
        let tab = |(r, media): (&Response<'a>, &super::operation::Media<'a>)| {
            let json = is_json(media.content_type);
            Tab {
                label: r.status.to_owned(),
                class: tone(r.status),
                language: if json { "json" } else { "" },
                text: if json {
                    pretty(&media.example)
                } else {
                    plain(&media.example)
                },
            }
        };
        tabs(
            h,
            &format!("{}.answer", o.id),
            "Response",
            with_body.map(tab).collect(),
        );
    }

    fn errors(&self, h: &mut Html) {
        h.el(
            "section",
            &[("id", "errors"), ("class", "row chapter wide")],
            |h| {
                h.el("div", &[("class", "text")], |h| {
                    h.leaf("h2", &[], "Error catalogue");
                    h.el("p", &[], |h| {
                        h.text("Every ")
                            .leaf("code", &[], "code")
                            .text(" a problem can carry. Codes are never renamed.");
                    });
                });
            },
        );
        h.el("section", &[("class", "row wide")], |h| {
            h.el("dl", &[("class", "errors")], |h| {
                for entry in catalogue(self.document) {
                    let page = format!("/problems/{}", entry.code);
                    h.el(
                        "div",
                        &[("id", &format!("error-{}", anchor(entry.code)))],
                        |h| {
                            h.el("dt", &[], |h| {
                                let status = entry.status.to_string();
                                h.leaf("code", &[("class", &status_class(&status))], &status);
                                h.el("a", &[("href", &page)], |h| {
                                    h.leaf("code", &[], entry.code);
                                });
                            });
                            h.el("dd", &[], |h| {
                                h.leaf("b", &[], entry.title);
                                prose::write(h, entry.description);
                            });
                        },
                    );
                }
            });
        });
    }

    /// Every named schema that has fields, once; the types in the text link here.
    fn objects(&self, h: &mut Html) {
        let schemas = self.document.pointer("/components").unwrap_or(&Value::Null);
        let objects: Vec<_> = entries(schemas, "schemas")
            .filter(|(_, s)| self.schemas.has_fields(s))
            .collect();
        if objects.is_empty() {
            return;
        }
        h.el("section", &[("id", "objects"), ("class", "row chapter")], |h| {
            h.el("div", &[("class", "text")], |h| {
                h.leaf("h2", &[], "Objects");
                h.leaf("p", &[], "What travels in bodies. A type in the text above links to its object here.");
            });
        });
        let fields = Fields {
            schemas: self.schemas,
            nested: Nested::Linked,
        };
        for (name, schema) in objects {
            h.el(
                "section",
                &[("id", &object_anchor(name)), ("class", "row object")],
                |h| {
                    h.el("div", &[("class", "text")], |h| {
                        h.leaf("h3", &[], name);
                        prose::write(h, text(schema, "description").unwrap_or_default());
                        fields.schema(h, schema);
                    });
                    h.el("div", &[("class", "aside")], |h| {
                        let example = self.schemas.example(schema, Direction::Response);
                        let attributes = [
                            ("class", "code"),
                            ("tabindex", "0"),
                            ("data-language", "json"),
                        ];
                        h.leaf("pre", &attributes, &pretty(&example));
                    });
                },
            );
        }
    }
}

struct Tab<'t> {
    label: String,
    class: &'static str,
    language: &'t str,
    text: String,
}

/// Panes of which one is seen, chosen by radio buttons, so that it works without scripts.
fn tabs(h: &mut Html, name: &str, label: &str, tabs: Vec<Tab<'_>>) {
    if tabs.is_empty() {
        return;
    }
    h.el(
        "div",
        &[("class", "tabs"), ("role", "group"), ("aria-label", label)],
        |h| {
            for (n, tab) in tabs.iter().enumerate() {
                let id = format!("{name}.{n}");
                let mut attributes = vec![
                    ("type", "radio"),
                    ("class", "unseen"),
                    ("name", name),
                    ("id", id.as_str()),
                ];
                if n == 0 {
                    attributes.push(("checked", ""));
                }
                h.void("input", &attributes);
                h.leaf("label", &[("for", &id), ("class", tab.class)], &tab.label);
            }
            for tab in &tabs {
                h.leaf(
                    "pre",
                    &[
                        ("class", "code"),
                        ("tabindex", "0"),
                        ("data-language", tab.language),
                    ],
                    &tab.text,
                );
            }
        },
    );
}

fn link(h: &mut Html, anchor: &str, label: &str) {
    h.el("li", &[], |h| {
        h.leaf("a", &[("href", &format!("#{anchor}"))], label);
    });
}

fn method(h: &mut Html, operation: &Operation<'_>) {
    let label = if operation.is_webhook {
        "EVENT"
    } else {
        operation.method.as_str()
    };
    h.leaf("b", &[("class", "method"), ("data-method", label)], label);
}

/// A path that breaks between its segments.
fn breakable(h: &mut Html, path: &str) {
    for (n, segment) in path.split_inclusive('/').enumerate() {
        if n > 1 {
            h.void("wbr", &[]);
        }
        h.text(segment);
    }
}

/// The usual type, `application/json` or a problem, goes without saying.
fn media_types(h: &mut Html, first: &str, others: &[&str]) {
    if others.is_empty() && is_json(first) {
        return;
    }
    h.el("p", &[("class", "bounds")], |h| {
        h.text("As ").leaf("code", &[], first);
        for other in others {
            h.text(" or ").leaf("code", &[], other);
        }
    });
}

/// The classes of a status code: its colour says how it went.
pub(super) fn status_class(status: &str) -> String {
    format!("status {}", tone(status))
}

fn tone(status: &str) -> &'static str {
    match status.as_bytes().first() {
        Some(b'2') => "ok",
        Some(b'3') => "info",
        Some(b'4') => "warn",
        Some(b'5') => "danger",
        _ => "neutral",
    }
}
