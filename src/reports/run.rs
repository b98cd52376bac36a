//! A run of a report: what is asked for, what it resolves to, and what became of it.

use super::period::{Interval, Periods, first_instant};
use super::report::{Column, Format, PeriodParameters, RANGE_DAYS_MAX, ReportKind};
use crate::money::Currency;
use jiff::civil::{Date, date};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use platform::clock::Timestamp;
use platform::http::{FieldError, Place};
use platform::id_type;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

id_type! { /// A run of a report.
RunId, "rpt" }

/// How long the file of a run is kept.
pub const FILE_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long a run without a file is still listed.
pub const RUN_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Days of a range that does not say where it begins.
const RANGE_DAYS_DEFAULT: i32 = 30;
/// No order is older, and no calendar trouble is nearer.
const DAY_MIN: Date = date(1970, 1, 1);
const DAY_MAX: Date = date(2200, 1, 1);

/// The body of `POST /v2/reports/generate`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReport {
    /// An `id` of `GET /v2/reports`.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 64), extend("x-rules" = [{ "enum": ReportKind::ALL.map(ReportKind::as_str) }]))]
    pub kind: String,
    /// As the type's `parameters` schema says.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// The form of the file.
    #[serde(default)]
    pub format: Format,
    /// The IANA time zone whose days and months are meant; `UTC` when left away.
    #[schemars(length(min = 1, max = 64))]
    pub timezone: Option<String>,
    /// Only amounts in this currency (ISO 4217); all, each in rows of its own, when left away.
    #[schemars(regex(pattern = "^[A-Z]{3}$"), extend("x-rules" = [{ "enum": codes_or_null() }]))]
    pub currency: Option<String>,
}

fn codes_or_null() -> Vec<Option<&'static str>> {
    Currency::codes()
        .into_iter()
        .map(Some)
        .chain([None])
        .collect()
}

/// The parameters with nothing left open, as a run shows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

/// A report with nothing left open.
#[derive(Clone, Debug)]
pub struct Plan {
    pub kind: ReportKind,
    pub format: Format,
    pub zone: TimeZone,
    /// The zone's name as the IANA database writes it.
    pub timezone: String,
    pub currency: Option<Currency>,
    pub parameters: Parameters,
}

fn wrong(pointer: &str, code: &'static str, detail: impl Into<String>) -> FieldError {
    let place = Place::Pointer(pointer.to_owned());
    FieldError {
        place,
        code,
        detail: detail.into(),
    }
}

/// The IANA zone called `name`, in any case, with its proper name. The zones are those that are part of the
/// program: a system's own files have names, such as `localtime`, that mean something else elsewhere.
fn zone_called(name: &str) -> Option<(TimeZone, String)> {
    let zone = TimeZoneDatabase::bundled()
        .get(name)
        .ok()
        .filter(|zone| !zone.is_unknown())?;
    let name = zone.iana_name()?.to_owned();
    Some((zone, name))
}

impl Plan {
    /// Fills in what `new` leaves open; `now` decides what today is.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(new: &NewReport, now: Timestamp) -> Result<Plan, Vec<FieldError>> {
        let mut errors = Vec::new();
        let zone = zone_called(new.timezone.as_deref().unwrap_or("UTC"));
        if zone.is_none() {
            errors.push(wrong(
                "#/timezone",
                "unknown_timezone",
                "expected an IANA time zone such as Europe/London",
            ));
        }
        let currency = new.currency.as_deref().map(Currency::parse);
        if let Some(Err(error)) = currency {
            errors.push(wrong("#/currency", "invalid_value", error.to_string()));
        }
        let Some(kind) = ReportKind::parse(&new.kind) else {
            errors.push(wrong(
                "#/type",
                "invalid_value",
                "expected an id of GET /v2/reports",
            ));
            return Err(errors);
        };
        if currency.is_some() && !kind.has_currency() {
            errors.push(wrong(
                "#/currency",
                "not_applicable",
                "this report has no amounts",
            ));
        }
        let parameters = read_parameters(kind, &new.parameters, &mut errors);
        let Some((zone, timezone)) = zone.filter(|_| errors.is_empty()) else {
            return Err(errors);
        };
        let parameters = resolve(kind, &parameters, &zone, now).map_err(|error| vec![error])?;
        let currency = currency.and_then(Result::ok);
        Ok(Plan {
            kind,
            format: new.format,
            zone,
            timezone,
            currency,
            parameters,
        })
    }

    /// The plan of a stored run; `None` when this program does not know such a one (any more).
    pub fn stored(
        kind: &str,
        format: &str,
        timezone: &str,
        currency: Option<&str>,
        parameters: &str,
    ) -> Option<Plan> {
        let (zone, timezone) = zone_called(timezone)?;
        Some(Plan {
            kind: ReportKind::parse(kind)?,
            format: if format == Format::Csv.as_str() {
                Format::Csv
            } else {
                Format::Json
            },
            zone,
            timezone,
            currency: currency.map(Currency::parse).transpose().ok()?,
            parameters: serde_json::from_str(parameters).ok()?,
        })
    }

    fn days(&self) -> (Date, Date) {
        (
            self.parameters.start.unwrap_or(DAY_MIN),
            self.parameters.end.unwrap_or(DAY_MAX),
        )
    }

    /// Its buckets.
    pub fn periods(&self) -> Result<Periods, jiff::Error> {
        let interval = match self.kind {
            ReportKind::SalesByMonth => Interval::Month,
            _ => self.parameters.interval.unwrap_or_default(),
        };
        Periods::new(&self.zone, self.days(), interval)
    }

    /// The instants `[from, to)` of its range, in microseconds.
    pub fn range(&self) -> Result<(i64, i64), jiff::Error> {
        let (start, end) = self.days();
        Ok((
            first_instant(&self.zone, start)?,
            first_instant(&self.zone, end)?,
        ))
    }

    /// The instant whose knowledge a file made at `now` holds: the end of its range once that has
    /// passed, so that a report about the past is the same bytes whenever it is made.
    pub fn as_of(&self, now: Timestamp) -> Timestamp {
        let end = self
            .parameters
            .end
            .and_then(|end| first_instant(&self.zone, end).ok());
        end.map_or(now, |end| now.min(Timestamp::from_micros(end)))
    }
}

/// Checks `given` against the schema of `kind`, each error below `#/parameters`.
fn read_parameters(
    kind: ReportKind,
    given: &Map<String, Value>,
    errors: &mut Vec<FieldError>,
) -> PeriodParameters {
    let given = Value::Object(given.clone());
    let violations = kind.parameters().violations(&given);
    if violations.is_empty() {
        // The other parameter types are parts of this one.
        return serde_json::from_value(given).unwrap_or_default();
    }
    errors.extend(violations.into_iter().map(|mut error| {
        if let Place::Pointer(pointer) = &mut error.place {
            *pointer = format!("#/parameters{}", pointer.trim_start_matches('#'));
        }
        error
    }));
    PeriodParameters::default()
}

fn resolve(
    kind: ReportKind,
    given: &PeriodParameters,
    zone: &TimeZone,
    now: Timestamp,
) -> Result<Parameters, FieldError> {
    if !kind.has_range() {
        return Ok(Parameters {
            start: None,
            end: None,
            interval: None,
        });
    }
    let day = |name: &str, text: &Option<String>| match text.as_deref().map(str::parse::<Date>) {
        None => Ok(None),
        Some(Ok(day)) if (DAY_MIN..=DAY_MAX).contains(&day) => Ok(Some(day)),
        Some(Ok(_)) => {
            let detail = format!("expected a day from {DAY_MIN} to {DAY_MAX}");
            Err(wrong(
                &format!("#/parameters/{name}"),
                "out_of_range",
                detail,
            ))
        }
        Some(Err(_)) => Err(wrong(
            &format!("#/parameters/{name}"),
            "invalid_format",
            "expected a day such as 2011-03-27",
        )),
    };
    let today = now.to_jiff().to_zoned_datetime(zone.clone()).date();
    let end =
        day("end", &given.end)?.unwrap_or_else(|| today.saturating_add(jiff::Span::new().days(1)));
    let start = day("start", &given.start)?.unwrap_or_else(|| {
        end.saturating_sub(jiff::Span::new().days(RANGE_DAYS_DEFAULT))
            .max(DAY_MIN)
    });
    let length = end.since(start).map_or(0, |span| span.get_days());
    if length < 1 {
        return Err(wrong(
            "#/parameters/end",
            "too_small",
            format!("expected a day after start, {start}"),
        ));
    }
    if length > RANGE_DAYS_MAX {
        return Err(wrong(
            "#/parameters/end",
            "too_large",
            format!("expected at most {RANGE_DAYS_MAX} days after start, {start}"),
        ));
    }
    let interval = kind.has_interval().then_some(given.interval);
    Ok(Parameters {
        start: Some(start),
        end: Some(end),
        interval,
    })
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum RunStatus {
    Queued,
    Running,
    Succeeded,
    Failed,
    Expired,
}

impl RunStatus {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            RunStatus::Queued => "queued",
            RunStatus::Running => "running",
            RunStatus::Succeeded => "succeeded",
            RunStatus::Failed => "failed",
            RunStatus::Expired => "expired",
        }
    }

    /// The status called `name`.
    pub fn parse(name: &str) -> Option<RunStatus> {
        use RunStatus::{Expired, Failed, Queued, Running, Succeeded};
        [Queued, Running, Succeeded, Failed, Expired]
            .into_iter()
            .find(|status| status.as_str() == name)
    }

    /// Whether nothing more will be done for it.
    pub fn is_final(self) -> bool {
        !matches!(self, RunStatus::Queued | RunStatus::Running)
    }
}

/// How far a run is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Progress {
    /// Steps that are done.
    pub done: i64,
    /// Steps in all: read, write.
    pub total: i64,
    /// `queued`, `reading`, `writing` or `finished`.
    pub phase: String,
}

impl Progress {
    /// At the beginning of `phase`.
    pub fn at(phase: &str) -> Progress {
        let done = match phase {
            "writing" => 1,
            "finished" => 2,
            _ => 0,
        };
        Progress {
            done,
            total: 2,
            phase: phase.to_owned(),
        }
    }
}

/// What a run made.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunResult {
    pub row_count: i64,
    pub columns: Vec<Column>,
    pub content_type: &'static str,
    /// Bytes of the file.
    pub size: i64,
    /// Of the file, in hexadecimal; its `ETag` too.
    pub sha256: String,
    /// Where the file is, for a client with `reports:read`.
    pub download_url: String,
}

/// A run of a report, as it is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReportRun")]
pub struct Run {
    pub id: RunId,
    #[serde(rename = "type")]
    pub kind: String,
    pub status: RunStatus,
    pub progress: Progress,
    pub created_at: Timestamp,
    pub format: String,
    /// As they were resolved: a range that was left open is filled in.
    pub parameters: Value,
    pub timezone: String,
    pub currency: Option<String>,
    /// Of the report type.
    pub type_version: i64,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    /// The instant whose knowledge the file holds.
    pub as_of: Option<Timestamp>,
    /// When the file is removed.
    pub expires_at: Option<Timestamp>,
    /// When it succeeded.
    pub result: Option<RunResult>,
    /// When it failed: why, with `code`, `title` and `detail`.
    pub problem: Option<Value>,
    pub version: i64,
    /// Which try made the file; not shown.
    #[serde(skip)]
    pub attempt: i64,
    /// `created_at` to the microsecond, by which runs are listed; not shown.
    #[serde(skip)]
    pub created_micros: i64,
}

impl Run {
    /// A run of `plan` that waits for its turn.
    pub fn queued(plan: &Plan, now: Timestamp) -> Run {
        Run {
            id: RunId::new(),
            kind: plan.kind.as_str().to_owned(),
            status: RunStatus::Queued,
            progress: Progress::at("queued"),
            created_at: now,
            format: plan.format.as_str().to_owned(),
            parameters: serde_json::to_value(&plan.parameters).unwrap_or_default(),
            timezone: plan.timezone.clone(),
            currency: plan.currency.map(|currency| currency.to_string()),
            type_version: plan.kind.version(),
            started_at: None,
            completed_at: None,
            as_of: None,
            expires_at: None,
            result: None,
            problem: None,
            version: 1,
            attempt: 0,
            created_micros: now.micros(),
        }
    }

    /// Its path.
    pub fn location(&self) -> String {
        format!("/v2/reports/runs/{}", self.id)
    }

    /// With the full URL of its file. `public_url` has no slash at its end.
    pub fn with_url(mut self, public_url: &str) -> Run {
        let url = format!("{public_url}{}/download", self.location());
        if let Some(result) = &mut self.result {
            result.download_url = url;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn new(body: Value) -> NewReport {
        serde_json::from_value(body).unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::parse("2023-10-27T23:30:00Z").unwrap()
    }

    fn refused(body: Value) -> Vec<String> {
        let errors = Plan::new(&new(body), now()).unwrap_err();
        errors
            .into_iter()
            .map(|error| match error.place {
                Place::Pointer(pointer) => format!("{pointer} {}", error.code),
                place => format!("{place:?}"),
            })
            .collect()
    }

    #[test]
    fn an_open_range_is_the_last_thirty_days_of_the_zone_and_holds_today() {
        let plan = Plan::new(
            &new(json!({ "type": "sales_by_period", "timezone": "europe/berlin" })),
            now(),
        )
        .unwrap();
        assert_eq!(plan.timezone, "Europe/Berlin");
        // It is the 28th already in Berlin.
        let parameters = serde_json::to_value(&plan.parameters).unwrap();
        assert_eq!(
            parameters,
            json!({ "start": "2023-09-29", "end": "2023-10-29", "interval": "day" })
        );
        assert_eq!(plan.as_of(now()), now());
        let stored = Plan::stored(
            "sales_by_period",
            "json",
            "Europe/Berlin",
            None,
            &parameters.to_string(),
        )
        .unwrap();
        assert_eq!(stored.parameters, plan.parameters);
    }

    #[test]
    fn a_report_about_the_past_is_as_of_its_end() {
        let body = json!({ "type": "sales_by_month", "parameters": { "start": "2011-01-01", "end": "2011-07-01" }, "timezone": "Europe/London" });
        let plan = Plan::new(&new(body), now()).unwrap();
        assert_eq!(plan.as_of(now()).to_string(), "2011-06-30T23:00:00Z");
        assert_eq!(plan.periods().unwrap().labels().len(), 6);
    }

    #[test]
    fn everything_wrong_is_named_at_once_and_by_place() {
        assert_eq!(
            refused(json!({ "type": "profit" })),
            ["#/type invalid_value"]
        );
        let body = json!({ "type": "inventory_on_hand", "timezone": "Mars/Olympus", "currency": "GBP", "parameters": { "start": "2011-01-01" } });
        assert_eq!(
            refused(body),
            [
                "#/timezone unknown_timezone",
                "#/currency not_applicable",
                "#/parameters/start unknown_field"
            ]
        );
        let body = json!({ "type": "sales_by_period", "currency": "XYZ", "parameters": { "start": "2011-02-30", "interval": "week" } });
        let errors = refused(body);
        assert!(
            errors.contains(&"#/currency invalid_value".to_owned()),
            "{errors:?}"
        );
        assert!(
            errors.contains(&"#/parameters/start invalid_format".to_owned()),
            "{errors:?}"
        );
        assert!(
            errors.contains(&"#/parameters/interval invalid_value".to_owned()),
            "{errors:?}"
        );
    }

    #[test]
    fn a_range_is_not_empty_and_not_longer_than_ten_years() {
        let range = |start: &str, end: &str| {
            refused(
                json!({ "type": "sales_by_product", "parameters": { "start": start, "end": end } }),
            )
        };
        assert_eq!(
            range("2011-01-01", "2011-01-01"),
            ["#/parameters/end too_small"]
        );
        assert_eq!(
            range("2001-01-01", "2012-01-01"),
            ["#/parameters/end too_large"]
        );
        assert_eq!(
            range("0001-01-01", "2012-01-01"),
            ["#/parameters/start out_of_range"]
        );
    }
}
