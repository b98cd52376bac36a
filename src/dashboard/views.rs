//! Views: lists that are often wanted, as tabs over the list. Some are everybody's, some one's own.

use super::fields::{Fields, encode};
use crate::text::is_line;

/// Most views of one's own over one list.
pub const OWN_MAX: i64 = 20;
/// Longest name of a view, in characters.
const NAME_CHARS_MAX: usize = 40;
/// Longest filters that are kept.
const QUERY_BYTES_MAX: usize = 1_000;

/// A list that has views.
#[derive(Debug)]
pub struct Listed {
    pub name: &'static str,
    pub path: &'static str,
    /// The fields of its address that filter it, in the order in which they are kept.
    pub filters: &'static [&'static str],
    /// The views that everybody has: name and filters.
    pub shared: &'static [(&'static str, &'static str)],
}

pub static ORDERS: Listed = Listed {
    name: "orders",
    path: "/dashboard/orders",
    filters: &["status", "payment", "fulfillment", "q"],
    shared: &[
        ("All", ""),
        ("To confirm", "status=pending"),
        ("Unpaid", "status=confirmed&payment=unpaid"),
        ("To ship", "status=confirmed&fulfillment=unfulfilled"),
        ("Completed", "status=completed"),
        ("Cancelled", "status=cancelled"),
    ],
};

pub static PRODUCTS: Listed = Listed {
    name: "products",
    path: "/dashboard/products",
    filters: &["status", "stock", "q"],
    shared: &[
        ("All", ""),
        ("Active", "status=active"),
        ("Drafts", "status=draft"),
        ("Archived", "status=archived"),
        ("Low stock", "stock=low"),
    ],
};

/// Every list that has views.
pub static LISTS: [&Listed; 2] = [&ORDERS, &PRODUCTS];

impl Listed {
    /// The filters that an address sets, in one form, whatever else stands in it.
    pub fn query(&self, asked: &Fields) -> String {
        let set = self.filters.iter().filter_map(|name| {
            let value = asked.some(name)?;
            Some(format!("{name}={}", encode(value)))
        });
        set.collect::<Vec<_>>().join("&")
    }

    fn address(&self, query: &str) -> String {
        match query {
            "" => self.path.to_owned(),
            query => format!("{}?{query}", self.path),
        }
    }
}

/// A view of somebody's own.
#[derive(Clone, Debug)]
pub struct OwnView {
    pub id: String,
    pub name: String,
    pub query: String,
}

/// A tab over a list.
#[derive(Debug)]
pub struct Tab {
    pub name: String,
    pub address: String,
    pub here: bool,
}

/// The tabs over a list, and what can be done about them.
#[derive(Debug)]
pub struct Tabs {
    pub list: &'static str,
    pub tabs: Vec<Tab>,
    /// The filters that are in force and no view yet; empty when they are one.
    pub keep: String,
    /// The view of one's own that is shown.
    pub own: Option<OwnView>,
}

impl Tabs {
    /// The tabs of `listed` when `asked` is shown.
    pub fn new(listed: &'static Listed, asked: &Fields, own: Vec<OwnView>) -> Tabs {
        let query = listed.query(asked);
        let tab = |name: &str, filters: &str| Tab {
            name: name.to_owned(),
            address: listed.address(filters),
            here: query == filters,
        };
        let shared = listed
            .shared
            .iter()
            .map(|(name, filters)| tab(name, filters));
        let mut tabs: Vec<Tab> = shared.collect();
        tabs.extend(own.iter().map(|view| tab(&view.name, &view.query)));
        let known = tabs.iter().any(|tab| tab.here);
        Tabs {
            list: listed.name,
            tabs,
            own: own.into_iter().find(|view| view.query == query),
            keep: if known { String::new() } else { query },
        }
    }
}

/// A view as somebody wants to keep it: its list, name and filters.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse(typed: &Fields) -> Result<(&'static Listed, String, String), &'static str> {
    let listed = LISTS
        .into_iter()
        .find(|list| list.name == typed.get("list"));
    let listed = listed.ok_or("This list has no views.")?;
    let name = typed.get("name");
    let plain = is_line(name);
    if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) || !plain {
        return Err("Give the view a name of 1 to 40 characters.");
    }
    let filters = Fields::parse(typed.get("query")).unwrap_or_default();
    let query = listed.query(&filters);
    if query.is_empty() || query.len() > QUERY_BYTES_MAX {
        return Err("Filter the list first, with at most 1,000 characters.");
    }
    Ok((listed, name.to_owned(), query))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_have_one_form_and_nothing_else_is_kept() {
        let asked = Fields::parse("q=a%20b&cursor=x&status=pending&payment=&evil=1").unwrap();
        assert_eq!(ORDERS.query(&asked), "status=pending&q=a%20b");
        for list in LISTS {
            for (name, filters) in list.shared {
                let asked = Fields::parse(filters).unwrap();
                assert_eq!(list.query(&asked), *filters, "{name}");
                let tabs = Tabs::new(list, &asked, Vec::new());
                assert_eq!(tabs.tabs.iter().filter(|tab| tab.here).count(), 1, "{name}");
                assert_eq!(tabs.keep, "");
            }
        }
    }
}
