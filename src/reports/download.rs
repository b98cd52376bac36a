//! The file of a run as an answer that reads it part by part: no answer holds the whole.

use super::run::RunId;
use super::store;
use crate::app::App;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use platform::db::DbError;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

type Reading = Pin<Box<dyn Future<Output = Result<Option<String>, DbError>> + Send>>;

/// A body that reads the parts of a file as the client takes them.
pub struct Download {
    app: App,
    run: RunId,
    attempt: i64,
    /// The part that is read next.
    part: i64,
    /// Bytes that are still to come.
    left: u64,
    reading: Option<Reading>,
}

impl Download {
    /// The file of `size` bytes that try `attempt` of `run` made.
    pub fn new(app: App, run: RunId, attempt: i64, size: u64) -> Download {
        Download {
            app,
            run,
            attempt,
            part: 0,
            left: size,
            reading: None,
        }
    }
}

async fn read_part(
    app: App,
    run: RunId,
    attempt: i64,
    part: i64,
) -> Result<Option<String>, DbError> {
    store::chunk(&mut app.db.read().await?, run.as_str(), attempt, part).await
}

impl Body for Download {
    type Data = Bytes;
    type Error = DbError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, DbError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let next = (self.app.clone(), self.run.clone(), self.attempt, self.part);
        let reading = self
            .reading
            .get_or_insert_with(|| Box::pin(read_part(next.0, next.1, next.2, next.3)));
        let read = ready!(reading.as_mut().poll(cx));
        self.reading = None;
        Poll::Ready(Some(match read {
            Ok(Some(text)) => {
                self.part += 1;
                self.left = self.left.saturating_sub(text.len() as u64);
                Ok(Frame::data(Bytes::from(text)))
            }
            // Removed since: the connection breaks off, so that nobody takes a part for the whole.
            Ok(None) => Err(DbError::NoRow),
            Err(error) => Err(error),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
