//! Try-it: plain forms, hidden until `reference.js` can send them.

use super::html::Html;
use super::operation::{Operation, Parameter, is_json};
use super::samples::{plain, pretty};
use super::schema::Schemas;

/// The form of one operation.
pub fn form(h: &mut Html, o: &Operation<'_>, schemas: Schemas<'_>) {
    h.el("details", &[("class", "try"), ("hidden", "")], |h| {
        h.leaf("summary", &[], "Try it");
        let token = if o.scopes.is_some() { "needed" } else { "none" };
        let attributes = [
            ("data-method", o.method.as_str()),
            ("data-path", o.path),
            ("data-token", token),
        ];
        h.el("form", &attributes, |h| {
            for parameter in o.parameters.iter().filter(|p| p.place != "cookie") {
                field(h, parameter, schemas);
            }
            if o.own_token.is_some() {
                h.el("label", &[], |h| {
                    h.text("Authorization");
                    let attributes = [
                        ("name", "Authorization"),
                        ("data-in", "header"),
                        ("autocomplete", "off"),
                        ("spellcheck", "false"),
                        ("required", ""),
                        ("placeholder", "Bearer …"),
                    ];
                    h.void("input", &attributes);
                });
            }
            if let Some(body) = &o.body {
                let media = &body.media;
                let json = is_json(media.content_type);
                let text = if json {
                    pretty(&media.example)
                } else {
                    plain(&media.example)
                };
                let rows = text.lines().count().clamp(3, 16).to_string();
                h.el("label", &[], |h| {
                    h.text("Body");
                    let attributes = [
                        ("name", "body"),
                        ("data-type", media.content_type),
                        ("rows", &rows),
                        ("spellcheck", "false"),
                    ];
                    h.leaf("textarea", &attributes, &text);
                });
            }
            h.leaf("button", &[], "Send");
            let answer = [
                ("role", "status"),
                ("aria-label", "Answer"),
                ("tabindex", "-1"),
            ];
            h.leaf("output", &answer, "");
        });
    });
}

/// A required parameter starts with the example it was given; otherwise examples only show through.
fn field(h: &mut Html, p: &Parameter<'_>, schemas: Schemas<'_>) {
    let given = p.given_example(schemas).filter(|_| p.is_required);
    let shown = p.example_text(schemas);
    h.el("label", &[], |h| {
        h.text(p.name);
        let mut attributes = vec![
            ("name", p.name),
            ("data-in", p.place),
            ("autocomplete", "off"),
        ];
        if p.is_required {
            attributes.push(("required", ""));
        }
        match &given {
            Some(value) => attributes.push(("value", value)),
            None => attributes.push(("placeholder", &shown)),
        }
        h.void("input", &attributes);
    });
}

/// Where a client is chosen, by whoever is signed in to the dashboard, or its id and secret are typed. They stay
/// in the memory of the page.
pub fn credentials(h: &mut Html) {
    h.el("dialog", &[("id", "credentials"), ("aria-labelledby", "credentials-title")], |h| {
        h.el("form", &[], |h| {
            h.leaf("h2", &[("id", "credentials-title")], "Connect a client");
            h.leaf(
                "p",
                &[],
                "Kept in the memory of this page only, gone when you close it. Requests are real: they \
                 change the data of this server.",
            );
            h.el("label", &[("hidden", "")], |h| {
                h.text("Client");
                h.el("select", &[("name", "client")], |h| {
                    h.leaf("option", &[("value", "")], "Another one, by its id and secret");
                });
                h.leaf("small", &[], "You are signed in: it gets a token for five minutes.");
            });
            for (name, label, kind) in [("client_id", "Client id", "text"), ("client_secret", "Client secret", "password")]
            {
                h.el("label", &[], |h| {
                    h.text(label);
                    let off = [("autocomplete", "off"), ("spellcheck", "false"), ("required", "")];
                    h.void("input", &[&[("name", name), ("type", kind)][..], &off].concat());
                });
            }
            h.leaf("output", &[], "");
            h.el("p", &[("class", "buttons")], |h| {
                h.leaf("button", &[("type", "button"), ("class", "quiet")], "Cancel");
                h.leaf("button", &[], "Connect");
            });
        });
    });
}
