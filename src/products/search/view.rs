//! What a search reads: the segments as of the last change, with their columns opened once and not
//! once per search.

use std::sync::Arc;

use tantivy::columnar::{Column, StrColumn};
use tantivy::index::SegmentId;
use tantivy::{DocId, Searcher, SegmentReader};

use super::document::id_of_parts;
use super::{Error, Facet};

/// A consistent state of the index. It never changes, so a search that holds it needs no lock.
pub(super) struct View {
    pub searcher: Searcher,
    columns: Vec<Arc<Columns>>,
}

impl View {
    /// `known` are columns opened before: those of segments that are still there are taken over.
    pub fn open(searcher: Searcher, known: &[Arc<Columns>]) -> Result<View, Error> {
        let columns = searcher
            .segment_readers()
            .iter()
            .map(|reader| {
                let same = |columns: &&Arc<Columns>| columns.segment_id == reader.segment_id();
                match known.iter().find(same) {
                    Some(columns) => Ok(Arc::clone(columns)),
                    None => Columns::open(reader).map(Arc::new),
                }
            })
            .collect::<Result<_, Error>>()?;
        Ok(View { searcher, columns })
    }

    pub fn columns(&self) -> &[Arc<Columns>] {
        &self.columns
    }

    /// The segments with their columns.
    pub fn segments(&self) -> impl Iterator<Item = (&SegmentReader, &Columns)> {
        let columns = self.columns.iter().map(Arc::as_ref);
        self.searcher.segment_readers().iter().zip(columns)
    }
}

/// The columns of one segment: values by document, for sorting, counting and predicates. Strings
/// are ordinals in a dictionary that is sorted, so ordinals of one segment compare like strings.
pub(super) struct Columns {
    segment_id: SegmentId,
    id_part: Column<u64>,
    pub key: Column<u64>,
    pub created_at: Column<i64>,
    pub sold_count: Column<u64>,
    pub title: Option<StrColumn>,
    status: Option<StrColumn>,
    product_type: Option<StrColumn>,
    vendor: Option<StrColumn>,
    brand: Option<StrColumn>,
    category: Option<StrColumn>,
    tag: Option<StrColumn>,
    pub attribute: Option<StrColumn>,
}

impl Columns {
    fn open(reader: &SegmentReader) -> Result<Columns, Error> {
        let fast = reader.fast_fields();
        Ok(Columns {
            segment_id: reader.segment_id(),
            id_part: fast.u64("id_part")?,
            key: fast.u64("key")?,
            created_at: fast.i64("created_at")?,
            sold_count: fast.u64("sold_count")?,
            title: fast.str("title_sort")?,
            status: fast.str("status")?,
            product_type: fast.str("type")?,
            vendor: fast.str("vendor")?,
            brand: fast.str("brand")?,
            category: fast.str("category")?,
            tag: fast.str("tag")?,
            attribute: fast.str("attribute")?,
        })
    }

    /// The column a facet is counted in; `None` where no product of the segment has a value.
    pub fn facet(&self, facet: &Facet) -> Option<&StrColumn> {
        match facet {
            Facet::Status => &self.status,
            Facet::Type => &self.product_type,
            Facet::Vendor => &self.vendor,
            Facet::Brand => &self.brand,
            Facet::Category => &self.category,
            Facet::Tag => &self.tag,
            Facet::Attribute(_) => &self.attribute,
        }
        .as_ref()
    }

    /// The product id of a document.
    pub fn product_id(&self, doc: DocId) -> String {
        id_of_parts(self.id_part.values_for_doc(doc))
    }
}

/// The strings of ordinals in ascending order.
pub(super) fn strings(
    column: Option<&StrColumn>,
    sorted_ords: &[u64],
) -> Result<Vec<String>, Error> {
    let mut strings = Vec::with_capacity(sorted_ords.len());
    if let Some(column) = column {
        column
            .dictionary()
            .sorted_ords_to_term_cb(sorted_ords, |term| {
                strings.push(String::from_utf8_lossy(term).into_owned());
            })?;
    }
    Ok(strings)
}
