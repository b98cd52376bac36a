//! Answers as the sample data gives them, for the OpenAPI document.

use serde_json::Value;

/// The answer called `name` in `examples.json`.
pub fn of(name: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("examples.json"))
        .expect("the file is part of the program and read by every test of the document");
    all[name].clone()
}
