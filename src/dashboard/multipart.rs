//! Forms with a file in them: `multipart/form-data` (RFC 7578), as browsers write it, held in memory.

use super::fields::Fields;

/// Longest boundary (RFC 2046 § 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

/// Why a form was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("this is not a form of the dashboard")]
    Malformed,
    #[error("the {0} is not text in UTF-8: save it as “CSV UTF-8” and send it again")]
    NotText(Named),
}

/// The part of a form that a fault is about: the file, or something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    File,
    Field,
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Named::File => "file",
            Named::Field => "form",
        })
    }
}

/// The fields of `body`; a file's content is the value of its field, its name that of `NAME.filename`.
pub fn parse(content_type: &str, body: &[u8]) -> Result<Fields, Fault> {
    let boundary = boundary(content_type).ok_or(Fault::Malformed)?;
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter has no line before it.
    let mut rest = body
        .strip_prefix(&delimiter.as_bytes()[2..])
        .ok_or(Fault::Malformed)?;
    let mut fields = Vec::new();
    while !rest.starts_with(b"--") {
        let part = rest.strip_prefix(b"\r\n").ok_or(Fault::Malformed)?;
        let end = find(part, delimiter.as_bytes()).ok_or(Fault::Malformed)?;
        read(&part[..end], &mut fields)?;
        rest = &part[end + delimiter.len()..];
    }
    Fields::new(fields).ok_or(Fault::Malformed)
}

fn boundary(content_type: &str) -> Option<&str> {
    let (_, boundary) = content_type.split_once("boundary=")?;
    let boundary = boundary.split(';').next()?.trim().trim_matches('"');
    (1..=BOUNDARY_BYTES_MAX)
        .contains(&boundary.len())
        .then_some(boundary)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|here| here == wanted)
}

/// One part: its head and what it holds.
fn read(part: &[u8], fields: &mut Vec<(String, String)>) -> Result<(), Fault> {
    let end = find(part, b"\r\n\r\n").ok_or(Fault::Malformed)?;
    let head = std::str::from_utf8(&part[..end]).map_err(|_| Fault::Malformed)?;
    let disposition = head.lines().find(|line| {
        let name = line.split(':').next().unwrap_or_default();
        name.eq_ignore_ascii_case("content-disposition")
    });
    let disposition = disposition.ok_or(Fault::Malformed)?;
    let name = attribute(disposition, "name").ok_or(Fault::Malformed)?;
    let file = attribute(disposition, "filename");
    let named = if file.is_some() {
        Named::File
    } else {
        Named::Field
    };
    let value = std::str::from_utf8(&part[end + 4..]).ok();
    let value = value.filter(|value| !value.contains('\0'));
    let value = value.ok_or(Fault::NotText(named))?;
    fields.push((name.to_owned(), value.to_owned()));
    if let Some(file) = file {
        fields.push((format!("{name}.filename"), file.replace('\0', "")));
    }
    Ok(())
}

/// A quoted attribute; browsers write a quote in it as `%22`.
fn attribute<'a>(disposition: &'a str, name: &str) -> Option<&'a str> {
    let start = format!("; {name}=\"");
    let (_, rest) = disposition.split_once(&start)?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &str = "multipart/form-data; boundary=----x7";

    fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (attributes, value) in parts {
            let head = format!("------x7\r\nContent-Disposition: form-data; {attributes}\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"------x7--\r\n");
        body
    }

    #[test]
    fn a_form_with_a_file_is_read() {
        let body = form(&[
            ("name=\"form\"", b"token"),
            (
                "name=\"file\"; filename=\"a.csv\"\r\nContent-Type: text/csv",
                b"title,sku\r\nMug,M\r\n",
            ),
            ("name=\"empty\"", b""),
        ]);
        let fields = parse(TYPE, &body).unwrap();
        assert_eq!(fields.exact("form"), "token");
        assert_eq!(fields.exact("file"), "title,sku\r\nMug,M\r\n");
        assert_eq!(fields.exact("file.filename"), "a.csv");
        assert_eq!(fields.exact("empty"), "");
    }

    #[test]
    fn what_is_no_form_is_refused() {
        let latin = form(&[("name=\"file\"; filename=\"a.csv\"", b"caf\xe9")]);
        assert_eq!(
            parse(TYPE, &latin).unwrap_err(),
            Fault::NotText(Named::File)
        );
        let good = form(&[("name=\"a\"", b"b")]);
        for (kind, body) in [
            ("multipart/form-data", &good[..]),
            ("multipart/form-data; boundary=", &good),
            ("multipart/form-data; boundary=other", &good),
            (TYPE, &good[..good.len() - 8]),
            (TYPE, b""),
            (TYPE, &form(&[("filename=\"a\"", b"b")])),
        ] {
            assert_eq!(parse(kind, body).unwrap_err(), Fault::Malformed);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(noise: Vec<u8>) {
            let _ = parse(TYPE, &noise);
            let body = form(&[("name=\"a\"; filename=\"f\"", &noise)]);
            if let Ok(fields) = parse(TYPE, &body) {
                prop_assert_eq!(fields.exact("a").as_bytes(), &noise[..]);
            }
        }
    }
}
