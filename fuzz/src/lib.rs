//! What the fuzz targets share: a runtime, and what every refusal must look like.

use platform::clock::Timestamp;
use platform::http::Problem;
use serde_json::Value;
use std::cell::RefCell;

/// 2023-10-27T10:00:00Z, the day of the reference's examples.
pub const NOW: Timestamp = Timestamp::from_micros(1_698_400_800_000_000);

/// Runs `work` to its end on a runtime that lives as long as the target.
pub fn run<F: Future>(work: F) -> F::Output {
    thread_local! {
        static RUNTIME: RefCell<tokio::runtime::Runtime> = RefCell::new(
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
        );
    }
    RUNTIME.with_borrow(|runtime| runtime.block_on(work))
}

/// The value, or nothing when it was refused as a bad request is: with a 4xx and a JSON body that has
/// the code.
pub fn accepted<T>(outcome: Result<T, Problem>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(problem) => {
            assert!(problem.status().is_client_error(), "{problem:?}");
            let body: Value = serde_json::from_str(&problem.body("fuzz")).expect("JSON");
            assert_eq!(body["code"], problem.code().code);
            None
        }
    }
}
