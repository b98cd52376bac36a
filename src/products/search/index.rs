//! The index on disk: opening, changing, and knowing how far in the event log it has come.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tantivy::directory::error::LockError;
use tantivy::directory::{Directory, INDEX_WRITER_LOCK, RamDirectory};
use tantivy::indexer::IndexWriterOptions;
use tantivy::merge_policy::LogMergePolicy;
use tantivy::store::Compressor;
use tantivy::{
    IndexReader, IndexSettings, IndexSortByField, IndexWriter, Order, ReloadPolicy, TantivyError,
};

use super::Error;
use super::directory::LazyDirectory;
use super::document::{self, Exact, FORMAT_VERSION, Fields, ProductDoc};
use super::view::View;

/// Memory for the documents of a commit before they are written as a segment: the least tantivy
/// takes, since every commit begins by clearing a part of it.
const WRITER_BYTES: usize = 15_000_000;
/// Segments of a like size that are merged into one; a search visits fewer than this per size.
const MERGE_SEGMENTS: usize = 6;
/// Segments below this are of one size: a commit usually holds a product or two.
const SMALL_SEGMENT_DOCS: u32 = 64;
/// Share of deleted products from which a segment is rewritten.
const DELETED_RATIO_MAX: f32 = 0.3;
/// How far the watermark on disk may lag behind when events change no product: what is read again
/// after a restart.
const WATERMARK_LAG_MAX: i64 = 10_000;
/// Blocks of 16 KiB of stored titles kept in memory per segment.
const TITLE_CACHE_BLOCKS: usize = 16;

/// A place in the event log. [`Watermark::default`] is its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watermark {
    /// The transaction of the event (PostgreSQL), otherwise 0.
    pub tx: i64,
    pub seq: i64,
}

/// What became of a product.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is new or different: this is now all there is to know about it.
    Upsert(Box<ProductDoc>),
    /// It is gone; deleting what is not there is fine.
    Delete(String),
}

impl Change {
    fn product_id(&self) -> &str {
        match self {
            Change::Upsert(product) => &product.product_id,
            Change::Delete(product_id) => product_id,
        }
    }
}

/// Products whose price can have changed by time alone: see [`Index::reprice_due`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepriceDue {
    pub product_ids: Vec<String>,
    /// The next instant at which to ask again, if any is known.
    pub next_micros: Option<i64>,
}

/// The search index. Searches run in parallel on any thread and see the last [`Index::apply`];
/// changes are applied one at a time.
pub struct Index {
    pub(super) fields: Fields,
    writer: Mutex<Writer>,
    reader: IndexReader,
    view: RwLock<Arc<View>>,
}

struct Writer {
    /// Taken when the index is dropped.
    inner: Option<IndexWriter>,
    /// Of what has been applied.
    watermark: Watermark,
    /// Of what is on disk.
    committed: Watermark,
}

impl Writer {
    fn inner(&mut self) -> Result<&mut IndexWriter, Error> {
        let closed = || TantivyError::InternalError("the index is closed".into());
        Ok(self.inner.as_mut().ok_or_else(closed)?)
    }
}

/// Merges that go on would write down the segments that they know, over those of whoever opens the index next.
impl Drop for Index {
    fn drop(&mut self) {
        if let Some(inner) = self.writer().inner.take()
            && let Err(error) = inner.wait_merging_threads()
        {
            tracing::warn!(%error, "segments of the search index were not merged at its end");
        }
    }
}

impl Index {
    /// Opens the index in `dir`, or makes an empty one there. One that is damaged or of another
    /// version is deleted first. Whether it must be fed from the beginning is told by
    /// [`Index::watermark`]. `dir` must belong to the index alone.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process has it open, [`Error::Io`] when the disk refuses.
    pub fn open(dir: &Path) -> Result<Index, Error> {
        platform::private::create_folder(dir)?;
        // Damaged files can make the engine panic where it trusts their lengths.
        match catch_unwind(|| Index::open_existing(dir)) {
            Ok(Ok(index)) => return Ok(index),
            Ok(Err(Error::Engine(TantivyError::LockFailure(LockError::LockBusy, _)))) => {
                return Err(Error::Busy);
            }
            Ok(Err(_)) | Err(_) => remove_index(dir)?,
        }
        Index::create(LazyDirectory::open(dir)?)
    }

    /// An empty index in memory.
    ///
    /// # Errors
    /// [`Error::Engine`] when its threads cannot be started.
    pub fn in_memory() -> Result<Index, Error> {
        Index::create(RamDirectory::create())
    }

    fn create(directory: impl Into<Box<dyn Directory>>) -> Result<Index, Error> {
        let (schema, fields) = Fields::schema();
        let settings = IndexSettings {
            // So that equal matches are found in the order they are shown.
            sort_by_field: Some(IndexSortByField {
                field: "id".to_owned(),
                order: Order::Asc,
            }),
            docstore_compression: Compressor::None,
            // A thread per commit would cost more than it saves.
            docstore_compress_dedicated_thread: false,
            ..IndexSettings::default()
        };
        let index = tantivy::Index::builder()
            .schema(schema)
            .settings(settings)
            .tokenizers(document::tokenizers())
            .open_or_create(directory)?;
        Index::start(index, fields, Watermark::default())
    }

    fn open_existing(dir: &Path) -> Result<Index, Error> {
        let mut index = tantivy::Index::open(LazyDirectory::open(dir)?)?;
        index.set_tokenizers(document::tokenizers());
        let (schema, fields) = Fields::schema();
        let payload = index.load_metas()?.payload.unwrap_or_default();
        match read_payload(&payload) {
            Some((FORMAT_VERSION, watermark)) if index.schema() == schema => {
                check_files(&index)?;
                Index::start(index, fields, watermark)
            }
            _ => Err(TantivyError::SchemaError("another version".into()).into()),
        }
    }

    fn start(index: tantivy::Index, fields: Fields, watermark: Watermark) -> Result<Index, Error> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .memory_budget_per_thread(WRITER_BYTES)
            .num_merge_threads(1)
            .build();
        let writer: IndexWriter = index.writer_with_options(options)?;
        let mut merge_policy = LogMergePolicy::default();
        merge_policy.set_min_num_segments(MERGE_SEGMENTS);
        merge_policy.set_min_layer_size(SMALL_SEGMENT_DOCS);
        merge_policy.set_del_docs_ratio_before_merge(DELETED_RATIO_MAX);
        writer.set_merge_policy(Box::new(merge_policy));
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(TITLE_CACHE_BLOCKS)
            .try_into()?;
        let view = View::open(reader.searcher(), &[])?;
        Ok(Index {
            fields,
            writer: Mutex::new(Writer {
                inner: Some(writer),
                watermark,
                committed: watermark,
            }),
            reader,
            view: RwLock::new(Arc::new(view)),
        })
    }

    /// How far in the event log the index has come; the beginning for a new one.
    pub fn watermark(&self) -> Watermark {
        self.writer().watermark
    }

    /// Products in the index.
    pub fn len(&self) -> u64 {
        self.view().searcher.num_docs()
    }

    /// Whether no product is in the index.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moves on to `watermark` without a change, in memory alone; `false` when the one on disk would lag too far
    /// behind, or when a change is being applied: then [`Index::apply`] does it.
    pub fn advance(&self, watermark: Watermark) -> bool {
        let Ok(mut writer) = self.writer.try_lock() else {
            return false;
        };
        let near = watermark.seq - writer.committed.seq < WATERMARK_LAG_MAX;
        if near {
            writer.watermark = watermark;
        }
        near
    }

    /// Applies changes in their order and moves on to `watermark`. When this returns, every search
    /// sees them, and they and the watermark outlive the process together; without changes the
    /// watermark may stay behind by up to 10,000 events.
    ///
    /// # Errors
    /// Nothing was applied; the same changes can be applied again.
    pub fn apply(&self, changes: Vec<Change>, watermark: Watermark) -> Result<(), Error> {
        if changes.is_empty() && self.advance(watermark) {
            return Ok(());
        }
        let mut writer = self.writer();
        let inner = writer.inner()?;
        if let Err(error) = write(inner, &self.fields, changes, watermark) {
            inner.rollback()?;
            return Err(error);
        }
        writer.watermark = watermark;
        writer.committed = watermark;
        self.reload()
    }

    /// Takes over segments that were merged since the last change. To be called now and then, say
    /// every minute and after a rebuild: results are the same, searches become cheaper.
    ///
    /// # Errors
    /// [`Error::Engine`] when the index cannot be read.
    pub fn refresh(&self) -> Result<(), Error> {
        let _writer = self.writer();
        self.reload()
    }

    /// Forgets everything, the watermark too, so that the index can be fed again.
    ///
    /// # Errors
    /// [`Error::Engine`] when the index cannot be written.
    pub fn clear(&self) -> Result<(), Error> {
        let mut writer = self.writer();
        let inner = writer.inner()?;
        inner.delete_all_documents()?;
        commit(inner, Watermark::default())?;
        writer.watermark = Watermark::default();
        writer.committed = Watermark::default();
        self.reload()
    }

    /// Products whose `reprice_at_micros` has come at `now_micros`, at most `limit` of them: they
    /// are to be priced anew and applied again.
    ///
    /// # Errors
    /// [`Error::Engine`] when the index cannot be read.
    pub fn reprice_due(&self, now_micros: i64, limit: usize) -> Result<RepriceDue, Error> {
        let view = self.view();
        let mut due = RepriceDue::default();
        for (reader, segment) in view.segments() {
            let Some(column) = reader.fast_fields().column_opt::<i64>("reprice_at")? else {
                continue;
            };
            let mut rows = Vec::new();
            let everything = i64::MIN..=i64::MAX;
            column.get_docids_for_value_range(everything, 0..reader.max_doc(), &mut rows);
            for doc in rows {
                let Some(at) = column.first(doc).filter(|_| !reader.is_deleted(doc)) else {
                    continue;
                };
                if at <= now_micros && due.product_ids.len() < limit {
                    due.product_ids.push(segment.product_id(doc));
                } else {
                    due.next_micros = Some(due.next_micros.map_or(at, |next| next.min(at)));
                }
            }
        }
        Ok(due)
    }

    /// What searches see now.
    pub(super) fn view(&self) -> Arc<View> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&view)
    }

    /// Only called by the holder of the writer, so that an older view never follows a newer one.
    fn reload(&self) -> Result<(), Error> {
        self.reader.reload()?;
        let view = View::open(self.reader.searcher(), self.view().columns())?;
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic in between leaves uncommitted changes at worst, and the next commit follows a
        // whole application of the same events.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(
    writer: &mut IndexWriter,
    fields: &Fields,
    changes: Vec<Change>,
    watermark: Watermark,
) -> Result<(), Error> {
    let mut last_of: HashMap<&str, &Change> = HashMap::with_capacity(changes.len());
    for change in &changes {
        last_of.insert(change.product_id(), change);
    }
    for (product_id, change) in last_of {
        writer.delete_term(fields.exact(Exact::Id(product_id)));
        if let Change::Upsert(product) = change {
            writer.add_document(fields.document(product))?;
        }
    }
    commit(writer, watermark)
}

fn commit(writer: &mut IndexWriter, watermark: Watermark) -> Result<(), Error> {
    let mut commit = writer.prepare_commit()?;
    let Watermark { tx, seq } = watermark;
    commit.set_payload(&format!("{FORMAT_VERSION} {tx} {seq}"));
    commit.commit()?;
    Ok(())
}

/// The format version and the watermark that [`commit`] wrote.
fn read_payload(payload: &str) -> Option<(u32, Watermark)> {
    let mut parts = payload.split(' ');
    let version = parts.next()?.parse().ok()?;
    let tx = parts.next()?.parse().ok()?;
    let seq = parts.next()?.parse().ok()?;
    Some((version, Watermark { tx, seq }))
}

/// Reads every file once and compares its checksum: see [`LazyDirectory`] for how they get damaged.
fn check_files(index: &tantivy::Index) -> Result<(), Error> {
    let directory = index.directory();
    for path in index.load_metas()?.list_segment_files() {
        let exists = directory.exists(&path).map_err(TantivyError::from)?;
        let whole = || directory.validate_checksum(&path);
        if exists && !whole().map_err(TantivyError::from)? {
            let damage = format!("{} is damaged", path.display());
            return Err(TantivyError::InternalError(damage).into());
        }
    }
    Ok(())
}

/// Deletes the files of an index nobody has open.
fn remove_index(dir: &Path) -> Result<(), Error> {
    let directory = LazyDirectory::open(dir)?;
    let lock = match directory.acquire_lock(&INDEX_WRITER_LOCK) {
        Ok(lock) => lock,
        Err(LockError::LockBusy) => return Err(Error::Busy),
        Err(LockError::IoError(error)) => return Err(io::Error::other(error).into()),
    };
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    drop(lock);
    Ok(())
}
