//! The report types: their names, columns and parameters.

use super::period::Interval;
use platform::http::Schema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest range of a report over time: ten years.
pub const RANGE_DAYS_MAX: i32 = 3_660;

/// Which report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ReportKind {
    SalesByPeriod,
    SalesByDay,
    SalesByMonth,
    SalesByProduct,
    SalesByCountry,
    UserActivity,
    InventoryOnHand,
}

/// What a column holds. `money` is an integer of minor units in JSON and a decimal of major units in
/// CSV, each time with the row's `currency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    String,
    Integer,
    Money,
}

/// A column of a report.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Column {
    pub name: &'static str,
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// What one of it is.
    pub unit: &'static str,
    pub description: &'static str,
}

/// The forms in which a report's file can be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Format {
    #[default]
    Json,
    Csv,
}

/// A report type, as `GET /v2/reports` lists it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReportType {
    /// What `POST /v2/reports/generate` calls `type`.
    pub id: ReportKind,
    /// Of the definitions; grows when a figure comes to mean something else.
    pub version: i64,
    pub title: &'static str,
    pub description: &'static str,
    pub category: &'static str,
    pub columns: Vec<Column>,
    /// JSON Schema of `parameters`.
    pub parameters: Value,
    pub formats: Vec<Format>,
    /// The longest range; `null` for a report about the present.
    pub max_range_days: Option<i32>,
}

/// The parameters of a report with a range and buckets.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PeriodParameters {
    /// The first local day, `YYYY-MM-DD`; 30 days before `end` when left away.
    #[schemars(extend("format" = "date"))]
    pub start: Option<String>,
    /// The local day after the last one; tomorrow when left away.
    #[schemars(extend("format" = "date"))]
    pub end: Option<String>,
    /// How long each bucket is.
    pub interval: Interval,
}

/// The parameters of a report with a range.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RangeParameters {
    /// The first local day, `YYYY-MM-DD`; 30 days before `end` when left away.
    #[schemars(extend("format" = "date"))]
    pub start: Option<String>,
    /// The local day after the last one; tomorrow when left away.
    #[schemars(extend("format" = "date"))]
    pub end: Option<String>,
}

/// The parameters of a report that has none.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParameters {}

const fn text(name: &'static str, unit: &'static str, description: &'static str) -> Column {
    Column {
        name,
        kind: ColumnType::String,
        unit,
        description,
    }
}

const fn count(name: &'static str, unit: &'static str, description: &'static str) -> Column {
    Column {
        name,
        kind: ColumnType::Integer,
        unit,
        description,
    }
}

const fn money(name: &'static str, description: &'static str) -> Column {
    let unit = "minor units of `currency` in JSON, major units in CSV";
    Column {
        name,
        kind: ColumnType::Money,
        unit,
        description,
    }
}

const PERIOD: Column = text(
    "period",
    "local day or month",
    "The bucket: YYYY-MM-DD or YYYY-MM in the report's time zone.",
);
const CURRENCY: Column = text("currency", "ISO 4217", "The currency of the row's amounts.");
const ORDERS: Column = count(
    "orders",
    "orders",
    "Orders placed; credit notes, adjustments and cancellations neither add nor take one.",
);
const UNITS: Column = count("units", "pieces", "Pieces sold less pieces reversed.");
const GROSS: Column = money(
    "gross_sales",
    "Unit price times quantity of the orders placed, before discounts, reversals, shipping and tax.",
);
const DISCOUNTS: Column = money("discounts", "Discounts on the orders placed.");
const REVERSALS: Column = money(
    "sales_reversals",
    "Goods value of cancellations, credit notes and adjustments, dated when they happened; positive takes back sales.",
);
const NET: Column = money("net_sales", "gross_sales - discounts - sales_reversals.");
const SHIPPING: Column = money("shipping", "Shipping charged, less what was reversed.");
const TAXES: Column = money("taxes", "Tax charged, less what was reversed.");
const TOTAL: Column = money("total_sales", "net_sales + shipping + taxes.");
const AOV: Column = money(
    "aov",
    "Average order value: (gross_sales - discounts) / orders, rounded half up; null without orders.",
);

const SALES: &[Column] = &[
    PERIOD, CURRENCY, ORDERS, UNITS, GROSS, DISCOUNTS, REVERSALS, NET, SHIPPING, TAXES, TOTAL, AOV,
];
const PRODUCTS: &[Column] = &[
    text(
        "product_id",
        "id",
        "The product; null for a line that names none.",
    ),
    text("sku", "SKU", "As it was sold."),
    text("title", "text", "As it was sold last within the range."),
    CURRENCY,
    UNITS,
    GROSS,
    DISCOUNTS,
    REVERSALS,
    NET,
    count(
        "orders",
        "orders",
        "Orders placed that hold the product, each once.",
    ),
];
const COUNTRIES: &[Column] = &[
    text(
        "country",
        "as on the order",
        "The country of the order; null when it names none.",
    ),
    CURRENCY,
    ORDERS,
    UNITS,
    NET,
    TOTAL,
];
const ACTIVITY: &[Column] = &[
    PERIOD,
    count(
        "new_users",
        "users",
        "Users created, without those deleted since.",
    ),
    count(
        "ordering_users",
        "users",
        "Different users who placed an order; guests are not users. Does not add up over buckets.",
    ),
    count("orders", "orders", "Orders placed, those of guests too."),
];
const INVENTORY: &[Column] = &[
    text("sku", "SKU", "The variant's present SKU."),
    text("variant_id", "id", "The variant."),
    text("product_id", "id", "Its product."),
    text("title", "text", "The product's present title."),
    text(
        "variant_title",
        "text",
        "The variant's own title, when it has one.",
    ),
    count("on_hand", "pieces", "In stock, over all locations."),
    count(
        "allocated",
        "pieces",
        "Promised to orders and not yet shipped.",
    ),
    count("available", "pieces", "on_hand - allocated."),
];

impl ReportKind {
    /// All of them, as they are listed.
    pub const ALL: [ReportKind; 7] = [
        ReportKind::SalesByPeriod,
        ReportKind::SalesByDay,
        ReportKind::SalesByMonth,
        ReportKind::SalesByProduct,
        ReportKind::SalesByCountry,
        ReportKind::UserActivity,
        ReportKind::InventoryOnHand,
    ];

    /// The report called `name`.
    pub fn parse(name: &str) -> Option<ReportKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            ReportKind::SalesByPeriod => "sales_by_period",
            ReportKind::SalesByDay => "sales_by_day",
            ReportKind::SalesByMonth => "sales_by_month",
            ReportKind::SalesByProduct => "sales_by_product",
            ReportKind::SalesByCountry => "sales_by_country",
            ReportKind::UserActivity => "user_activity",
            ReportKind::InventoryOnHand => "inventory_on_hand",
        }
    }

    /// The version of its definitions.
    pub fn version(self) -> i64 {
        1
    }

    /// Its columns, in the order of the file.
    pub fn columns(self) -> &'static [Column] {
        match self {
            ReportKind::SalesByPeriod | ReportKind::SalesByDay | ReportKind::SalesByMonth => SALES,
            ReportKind::SalesByProduct => PRODUCTS,
            ReportKind::SalesByCountry => COUNTRIES,
            ReportKind::UserActivity => ACTIVITY,
            ReportKind::InventoryOnHand => INVENTORY,
        }
    }

    /// Whether its amounts can be limited to one currency.
    pub fn has_currency(self) -> bool {
        self.columns()
            .iter()
            .any(|column| column.name == CURRENCY.name)
    }

    /// Whether it is about a range of days; else it is about the present.
    pub fn has_range(self) -> bool {
        self != ReportKind::InventoryOnHand
    }

    /// Whether the caller chooses the length of the buckets.
    pub fn has_interval(self) -> bool {
        matches!(self, ReportKind::SalesByPeriod | ReportKind::UserActivity)
    }

    /// The schema that checks `parameters`.
    pub fn parameters(self) -> &'static Schema {
        match (self.has_range(), self.has_interval()) {
            (false, _) => Schema::of::<NoParameters>(),
            (true, false) => Schema::of::<RangeParameters>(),
            (true, true) => Schema::of::<PeriodParameters>(),
        }
    }

    /// As it is listed.
    pub fn described(self) -> ReportType {
        let (title, description, category) = match self {
            ReportKind::SalesByPeriod => (
                "Sales by period",
                "Sales for each day or month and currency. A currency in which there were sales within the range, and the \
                 `currency` that is asked for in any case, has a row for each bucket, with zeros where nothing was sold; so \
                 without `currency` a range without sales has no rows.",
                "sales",
            ),
            ReportKind::SalesByDay => (
                "Sales by day",
                "`sales_by_period` with the interval `day`.",
                "sales",
            ),
            ReportKind::SalesByMonth => (
                "Sales by month",
                "`sales_by_period` with the interval `month`.",
                "sales",
            ),
            ReportKind::SalesByProduct => (
                "Sales by product",
                "Sales for each product, SKU and currency, best first.",
                "sales",
            ),
            ReportKind::SalesByCountry => (
                "Sales by country",
                "Sales for each country and currency, best first.",
                "sales",
            ),
            ReportKind::UserActivity => (
                "User activity",
                "New users, ordering users and orders for each day or month.",
                "users",
            ),
            ReportKind::InventoryOnHand => (
                "Inventory on hand",
                "The present stock of every variant whose stock is tracked.",
                "inventory",
            ),
        };
        ReportType {
            id: self,
            version: self.version(),
            title,
            description,
            category,
            columns: self.columns().to_vec(),
            parameters: self.parameters().json.clone(),
            formats: vec![Format::Json, Format::Csv],
            max_range_days: self.has_range().then_some(RANGE_DAYS_MAX),
        }
    }
}

impl Format {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Csv => "csv",
        }
    }

    /// The media type of the file.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_are_the_names_on_the_wire() {
        for kind in ReportKind::ALL {
            assert_eq!(ReportKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(ReportKind::parse("sales"), None);
    }
}
