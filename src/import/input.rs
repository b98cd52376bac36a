//! Files as streams: plain or `.zst`, and no record longer than a bound.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

/// Longest record, in bytes: a quote that is never closed must not read the whole file into memory.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// A file that is read record by record.
pub(super) struct Input {
    bytes: Box<dyn Read>,
    budget: RecordBudget,
}

/// What is left of the bytes that one record may have.
#[derive(Clone)]
pub(super) struct RecordBudget(Rc<Cell<usize>>);

impl RecordBudget {
    /// A record has ended.
    pub(super) fn renew(&self) {
        self.0.set(RECORD_BYTES_MAX);
    }
}

impl Input {
    /// Opens `path`; a name that ends in `.zst` is decompressed.
    pub(super) fn open(path: &Path) -> io::Result<Input> {
        let file = File::open(path)?;
        let bytes: Box<dyn Read> = match path.extension() {
            Some(end) if end == "zst" => Box::new(zstd::Decoder::new(file)?),
            _ => Box::new(BufReader::new(file)),
        };
        Ok(Input::of(bytes))
    }

    /// Reads a text that is in memory already.
    pub(super) fn text(text: String) -> Input {
        Input::of(Box::new(io::Cursor::new(text)))
    }

    fn of(bytes: Box<dyn Read>) -> Input {
        Input {
            bytes,
            budget: RecordBudget(Rc::new(Cell::new(RECORD_BYTES_MAX))),
        }
    }

    /// To be renewed after each record.
    pub(super) fn budget(&self) -> RecordBudget {
        self.budget.clone()
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.budget.0.get();
        if left == 0 && !buffer.is_empty() {
            let text =
                format!("a record is longer than {RECORD_BYTES_MAX} bytes; is a quote left open?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let room = buffer.len().min(left);
        let count = self.bytes.read(&mut buffer[..room])?;
        self.budget.0.set(left - count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_compressed_file_reads_as_a_plain_one_and_a_record_has_a_bound() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let text = vec![b'x'; RECORD_BYTES_MAX + 1];
        let (plain, packed) = (dir.path().join("a.csv"), dir.path().join("a.csv.zst"));
        std::fs::write(&plain, &text).expect("written");
        let mut file = File::create(&packed).expect("created");
        file.write_all(&zstd::encode_all(&text[..], 1).expect("packed"))
            .expect("written");
        for path in [&plain, &packed] {
            let mut input = Input::open(path).expect("opened");
            let budget = input.budget();
            let mut first = vec![0; 10];
            input.read_exact(&mut first).expect("the first record");
            budget.renew();
            let mut rest = Vec::new();
            input
                .read_to_end(&mut rest)
                .expect("the second, as long as may be");
            assert_eq!(rest.len(), text.len() - 10);
            let mut input = Input::open(path).expect("opened");
            let error = input
                .read_to_end(&mut rest)
                .expect_err("one record that is too long");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}
