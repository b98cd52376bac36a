//! The rules of docs/STYLE.md that no compiler and no clippy lint holds. Each has a test below that
//! shows it failing.
//!
//! They read names and text, not types: a rule that needs more belongs into a test of the product.

mod rust;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::process::Command;

use crate::Result;
use crate::process::{output, root};
use rust::Source;

const LINES_MAX: usize = 600;

/// The only places that may name a database driver: the seam, and the benchmark, which measures what
/// the seam costs next to them.
const DRIVERS_IN: [&str; 3] = [
    "crates/platform/src/db/",
    "crates/platform/src/db.rs",
    "benches/",
];
const DRIVERS: [&str; 5] = [
    "rusqlite",
    "libsqlite3_sys",
    "tokio_postgres",
    "tokio_postgres_rustls",
    "deadpool",
];

/// Names that say nothing about what is inside, so that anything gets put there.
const EMPTY_NAMES: [&str; 9] = [
    "common", "helper", "helpers", "manager", "misc", "service", "services", "util", "utils",
];

const UNFINISHED_MACROS: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];
const UNFINISHED_NOTES: [&str; 3] = ["FIXME", "TODO", "XXX"];

/// Parts of statements that no other text has, in the upper case of all our SQL.
const SQL: [&str; 12] = [
    "SELECT",
    "INSERT INTO",
    "DELETE FROM",
    "CREATE TABLE",
    "CREATE INDEX",
    "ALTER TABLE",
    "DROP TABLE",
    "WHERE",
    "ORDER BY",
    "GROUP BY",
    "ON CONFLICT",
    "RETURNING",
];

/// This file shows what is forbidden.
const SHOWS_WHAT_IS_FORBIDDEN: [&str; 2] = ["xtask/src/tidy.rs", "docs/STYLE.md"];

/// A broken rule, as `path:line: what`.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Checks every text file that git knows or would add.
pub fn run() -> Result {
    // A clone mounted into a container belongs to another user, which git refuses unless told.
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*", "ls-files", "-z"]);
    git.args(["--cached", "--others", "--exclude-standard"]);
    let listed = output(git.current_dir(root()))?;
    let paths: BTreeSet<&str> = listed.split('\0').filter(|path| !path.is_empty()).collect();
    let chapters = chapters(&paths);
    let mut findings = Vec::new();
    for path in paths {
        // Deleted but not yet committed, or not text: nothing to read.
        if let Ok(text) = fs::read_to_string(root().join(path)) {
            findings.extend(check(path, &text, &chapters));
        }
    }
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => Err(format!("{count} broken rules (docs/STYLE.md)")),
    }
}

/// The chapters of the product: the folders of `src/` that have handlers.
fn chapters<'a>(paths: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let in_src = paths.iter().filter_map(|path| path.strip_prefix("src/"));
    in_src
        .filter_map(|path| path.strip_suffix("/api.rs"))
        .filter_map(|folder| folder.split('/').next())
        .collect()
}

fn check(path: &str, text: &str, chapters: &BTreeSet<&str>) -> Vec<Finding> {
    if SHOWS_WHAT_IS_FORBIDDEN.contains(&path) {
        return Vec::new();
    }
    let mut found = Findings {
        path,
        all: Vec::new(),
    };
    check_paths_of_a_machine(text, &mut found);
    check_notes(text, &mut found);
    if is_written_by_hand(path) {
        check_length(path, text, &mut found);
    }
    if path.ends_with(".rs") {
        let source = Source::read(text);
        check_name(&mut found);
        check_unfinished(&source, &mut found);
        check_drivers(&source, &mut found);
        check_platform(&source, chapters, &mut found);
        check_sql(&source, &mut found);
    }
    found.all
}

/// The findings of one file.
struct Findings<'a> {
    path: &'a str,
    all: Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, line: usize, what: impl Into<String>) {
        self.all.push(Finding {
            path: self.path.to_owned(),
            line,
            what: what.into(),
        });
    }
}

fn is_written_by_hand(path: &str) -> bool {
    [".rs", ".js", ".css", ".html"]
        .iter()
        .any(|end| path.ends_with(end))
}

/// Tests apart: they are read one by one, never whole.
fn check_length(path: &str, text: &str, found: &mut Findings<'_>) {
    if path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs") {
        return;
    }
    let lines = text
        .split("\n#[cfg(test)]\nmod ")
        .next()
        .unwrap_or(text)
        .lines()
        .count();
    if lines > LINES_MAX {
        found.add(
            lines,
            format!("{lines} lines, more than {LINES_MAX}: split it by meaning"),
        );
    }
}

fn check_name(found: &mut Findings<'_>) {
    let names = found.path.trim_end_matches(".rs").split('/');
    let empty: Vec<&str> = names.filter(|name| EMPTY_NAMES.contains(name)).collect();
    for name in empty {
        found.add(
            1,
            format!("`{name}` says nothing: name the module for what it does"),
        );
    }
}

/// What is true on one machine only. Left of the slash no name may end, or `example.org/home/` counts.
fn check_paths_of_a_machine(text: &str, found: &mut Findings<'_>) {
    for (number, line) in numbered(text) {
        for root in ["/home/", "/root/", "/work/", "/Users/"] {
            let is_path = |at: usize| {
                let before = line[..at].chars().next_back();
                let after = line[at + root.len()..].chars().next();
                !before.is_some_and(|c| c.is_alphanumeric() || "._-}~/".contains(c))
                    && after.is_some_and(|c| c.is_alphanumeric() || "._$".contains(c))
            };
            if line.match_indices(root).any(|(at, _)| is_path(at)) {
                found.add(
                    number,
                    format!("a path under `{root}` exists on one machine only"),
                );
            }
        }
    }
}

fn check_notes(text: &str, found: &mut Findings<'_>) {
    for (number, line) in numbered(text) {
        for note in UNFINISHED_NOTES {
            if has_word(line, note) {
                found.add(
                    number,
                    format!("{note}: finish it, or write it into an issue"),
                );
            }
        }
    }
}

fn check_unfinished(source: &Source, found: &mut Findings<'_>) {
    for (number, line) in numbered(&source.code) {
        for name in UNFINISHED_MACROS {
            if has_word(line, name) {
                found.add(number, format!("`{name}` is not finished code"));
            }
        }
        if line.contains("#[ignore") {
            found.add(
                number,
                "an ignored test proves nothing: repair it or remove it",
            );
        }
    }
}

fn check_drivers(source: &Source, found: &mut Findings<'_>) {
    if DRIVERS_IN.iter().any(|place| found.path.starts_with(place)) {
        return;
    }
    for (number, line) in numbered(&source.code) {
        for driver in DRIVERS {
            if has_word(line, driver) {
                found.add(
                    number,
                    format!("only `platform::db` names a driver, here `{driver}`"),
                );
            }
        }
    }
}

/// Names in code and tables in SQL; a comment may give an example from commerce.
fn check_platform(source: &Source, chapters: &BTreeSet<&str>, found: &mut Findings<'_>) {
    if !found.path.starts_with("crates/platform/") {
        return;
    }
    let sql = source.strings.iter().filter(|(_, text)| is_sql(text));
    let sql: Vec<(usize, &str)> = sql.map(|(line, text)| (*line, text.as_str())).collect();
    for (number, line) in numbered(&source.code).chain(sql) {
        for word in line.split(|c: char| !c.is_alphanumeric()) {
            if chapters.contains(word) {
                found.add(
                    number,
                    format!("`platform` knows nothing of the chapter `{word}`"),
                );
            }
        }
    }
}

fn check_sql(source: &Source, found: &mut Findings<'_>) {
    let Some((_, in_chapter)) = found
        .path
        .strip_prefix("src/")
        .and_then(|p| p.split_once('/'))
    else {
        return;
    };
    if in_chapter
        .split('/')
        .any(|part| part == "store" || part == "store.rs")
    {
        return;
    }
    for (number, text) in &source.strings {
        if is_sql(text) {
            found.add(*number, "in a chapter only store.rs has SQL");
        }
    }
}

fn is_sql(text: &str) -> bool {
    let is_update = has_word(text, "UPDATE") && has_word(text, "SET");
    is_update || SQL.iter().any(|part| has_word(text, part))
}

/// Whether `word` is in the text and no letter, digit or `_` touches it.
fn has_word(text: &str, word: &str) -> bool {
    let touches = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        !touches(text[..at].chars().next_back()) && !touches(text[at + word.len()..].chars().next())
    })
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks one file of a product that has the chapters `orders` and `users`, and compares the
    /// lines with findings.
    #[track_caller]
    fn check_lines(path: &str, text: &str, lines: &[usize]) {
        let findings = check(path, text, &BTreeSet::from(["orders", "users"]));
        let found: Vec<usize> = findings.iter().map(|finding| finding.line).collect();
        assert_eq!(found, lines, "{findings:#?}");
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let code = "fn f() {}\n".repeat(LINES_MAX);
        check_lines("src/money.rs", &code, &[]);
        check_lines(
            "src/money.rs",
            &format!("{code}fn g() {{}}\n"),
            &[LINES_MAX + 1],
        );
        check_lines("tests/it/orders.rs", &format!("{code}fn g() {{}}\n"), &[]);
        let tests = "#[cfg(test)]\nmod tests {}\n".to_owned();
        check_lines("src/money.rs", &format!("{code}{tests}"), &[]);
    }

    #[test]
    fn unfinished_code_is_found() {
        check_lines("src/money.rs", "fn f() {\n    todo!()\n}", &[2]);
        check_lines("src/money.rs", "fn f() { unimplemented!(\"later\") }", &[1]);
        check_lines("src/money.rs", "\n\nfn f() { dbg!(1); }", &[3]);
        check_lines(
            "tests/it/main.rs",
            "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
            &[2],
        );
        check_lines("src/money.rs", "// FIXME: rounding", &[1]);
        check_lines("docs/API-DESIGN.md", "TODO: quirks", &[1]);
        check_lines(
            "src/money.rs",
            "// a todo! in words\nlet s = \"dbg!\";",
            &[],
        );
    }

    #[test]
    fn an_empty_name_is_found() {
        check_lines("src/orders/utils.rs", "", &[1]);
        check_lines("crates/platform/src/common/mod.rs", "", &[1]);
        check_lines("src/orders/order.rs", "", &[]);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        check_lines("README.md", "cd /home/ada/tradepost", &[1]);
        check_lines(
            "src/config.rs",
            "const DIR: &str = \"/home/dev/shop\";",
            &[1],
        );
        check_lines(
            "README.md",
            "https://example.org/home/x and ./work/y and the page /home",
            &[],
        );
    }

    #[test]
    fn a_driver_outside_the_seam_is_found() {
        let text = "use rusqlite::Connection;";
        check_lines("src/orders/store.rs", text, &[1]);
        check_lines(
            "crates/platform/src/jobs/mod.rs",
            "fn f(p: deadpool::Pool) {}",
            &[1],
        );
        check_lines("tests/it/app.rs", "tokio_postgres::connect(url)", &[1]);
        check_lines("crates/platform/src/db/sqlite.rs", text, &[]);
        check_lines("benches/load.rs", text, &[]);
        check_lines("src/app.rs", "// rusqlite is behind the seam", &[]);
    }

    #[test]
    fn a_chapter_named_in_platform_is_found() {
        let path = "crates/platform/src/events/mod.rs";
        check_lines(path, "fn orders_followed() {}", &[1]);
        check_lines(path, "\nlet sql = \"SELECT id FROM users\";", &[2]);
        check_lines(path, "// such as orders\nlet order = \"who orders\";", &[]);
        check_lines("src/app.rs", "mod orders;", &[]);
    }

    #[test]
    fn sql_outside_the_store_is_found() {
        let text = "\nfn f() {\n    q(\"SELECT id FROM orders\");\n}";
        check_lines("src/orders/api.rs", text, &[3]);
        check_lines(
            "src/orders/order.rs",
            "q(\"UPDATE orders\n SET a = 1\")",
            &[1],
        );
        check_lines(
            "src/orders/refunds/jobs.rs",
            "q(r#\"DELETE FROM orders\"#)",
            &[1],
        );
        check_lines("src/orders/store.rs", text, &[]);
        check_lines("src/orders/refunds/store.rs", text, &[]);
        check_lines("src/orders/store/lines.rs", text, &[]);
        check_lines(
            "src/orders/api.rs",
            "// SELECT\nlet verb = \"DELETE\"; let s = \"Select\";",
            &[],
        );
    }

    #[test]
    fn a_chapter_is_a_folder_with_handlers() {
        let paths = [
            "src/main.rs",
            "src/orders/api.rs",
            "src/products/inventory/api.rs",
        ];
        let others = ["src/import/csv.rs", "xtask/src/api.rs"];
        let found = chapters(&paths.into_iter().chain(others).collect());
        assert_eq!(found, BTreeSet::from(["orders", "products"]));
    }
}
