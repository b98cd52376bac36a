//! What changed in the API, version by version, as its reference tells it.

use super::html::Html;
use super::prose;

/// The versions, newest first, with the day each came out.
const VERSIONS: [(&str, &str, &str); 2] = [
    (
        "v2.1.0",
        "October 26, 2023",
        "- Added new `/v2/products/search` endpoint.\n- Improved error codes for better debugging.\n\
         - Fixed bug in order status updates.",
    ),
    (
        "v2.0.0",
        "September 15, 2023",
        "- Initial release of API v2.\n- Introduced new authentication flow.\n\
         - Added advanced features like Notifications and Reporting APIs.",
    ),
];

/// The section, under the anchor `changelog`.
pub fn write(h: &mut Html) {
    h.el("section", &[("id", "changelog"), ("class", "row chapter")], |h| {
        h.el("div", &[("class", "text")], |h| {
            h.leaf("h2", &[], "Changelog");
            prose::write(
                h,
                "An answer says in `API-Version` which version it is of. Within v2 things are only added: see \
                 [Versioning](#versioning).",
            );
            for (version, day, changes) in VERSIONS {
                h.leaf("h3", &[], &format!("{version}, {day}"));
                prose::write(h, changes);
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_one_that_is_served() {
        let document = crate::openapi::build("http://127.0.0.1");
        let served = document["info"]["version"].as_str().unwrap();
        assert_eq!(VERSIONS[0].0, format!("v{served}"));
    }
}
