//! Postal addresses, the same in a user's address book and on an order.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;

/// The officially assigned codes of ISO 3166-1 alpha-2 (249, as of 2026), sorted.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS \
    BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ \
    FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT \
    JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP \
    MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE \
    RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV \
    TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// E.164: `+`, then a country code and a number of together at most 15 digits.
pub const PHONE_PATTERN: &str = "^\\+[1-9][0-9]{1,14}$";

/// A country of ISO 3166-1. It comes only from the list, so holding one means that the code is assigned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country(&'static str);

impl Country {
    /// Reads an upper-case alpha-2 code; `None` when it is not assigned.
    pub fn parse(code: &str) -> Option<Country> {
        Country::all().find(|country| country.0 == code)
    }

    /// Every country, by code.
    pub fn all() -> impl Iterator<Item = Country> {
        COUNTRIES.split_ascii_whitespace().map(Country)
    }

    /// The two letters, such as `DE`.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = Cow::<str>::deserialize(deserializer)?;
        Country::parse(&code).ok_or_else(|| de::Error::custom("not an ISO 3166-1 alpha-2 code"))
    }
}

impl JsonSchema for Country {
    fn schema_name() -> Cow<'static, str> {
        "Country".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let codes: Vec<&str> = Country::all().map(Country::as_str).collect();
        json_schema!({
            "type": "string",
            "description": "An assigned ISO 3166-1 alpha-2 country code.",
            "enum": codes,
        })
    }
}

/// Where a parcel or an invoice goes. Parts that a country does not use are left out.
//
// The schema, not serde, refuses unknown fields: serde cannot once this is flattened into another type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, extend("additionalProperties" = false))]
pub struct Address {
    /// Who receives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// Street and number.
    #[schemars(length(min = 1, max = 255))]
    pub line1: String,
    /// Flat, floor, company or care-of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub line2: Option<String>,
    /// City or locality.
    #[schemars(length(min = 1, max = 120))]
    pub city: String,
    /// State, province or county.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 120))]
    pub region: Option<String>,
    /// As the country writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20))]
    pub postal_code: Option<String>,
    pub country: Country,
    /// For the carrier, in E.164 form such as `+4930123456`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = PHONE_PATTERN))]
    pub phone: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::http::Schema;
    use serde_json::json;

    #[test]
    fn every_country_reads_back_and_nothing_else_does() {
        let all: Vec<Country> = Country::all().collect();
        assert_eq!(all.len(), 249);
        assert!(
            all.is_sorted()
                && all
                    .iter()
                    .all(|country| Country::parse(country.0) == Some(*country))
        );
        for code in ["de", "UK", "XK", "ZZ", "", "D", "DEU", "DE "] {
            assert_eq!(Country::parse(code), None, "{code}");
        }
    }

    #[test]
    fn the_schema_refuses_what_an_address_does_not_have() {
        let schema = Schema::of::<Address>();
        let good = json!({ "line1": "1 Main St", "line2": null, "city": "Springfield", "country": "US", "phone": "+12025550123" });
        assert_eq!(schema.violations(&good), []);
        let bad = json!({ "line1": "", "country": "UK", "phone": "030 1234", "zip": "1" });
        let codes: Vec<&str> = schema
            .violations(&bad)
            .iter()
            .map(|error| error.code)
            .collect();
        for code in [
            "too_short",
            "required",
            "invalid_value",
            "invalid_format",
            "unknown_field",
        ] {
            assert!(codes.contains(&code), "{code} in {codes:?}");
        }
    }
}
