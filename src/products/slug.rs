//! Slugs: the readable part of a product's address, made from its title.

/// Longest slug, in characters (all are ASCII).
pub const SLUG_LEN_MAX: usize = 200;

/// The slug of a title without a single letter or digit that can be transliterated.
const FALLBACK: &str = "product";

/// A valid slug for `title`: transliterated to ASCII, lower case, runs of anything but letters and digits
/// become one hyphen, apostrophes vanish (`Men's` is `mens`), cut to [`SLUG_LEN_MAX`]. Never empty.
/// The same title gives the same slug; making it unique is for the caller.
pub fn slugify(title: &str) -> String {
    let mut slug = String::new();
    let mut gap = false;
    for c in deunicode::deunicode_with_tofu(title, "").chars() {
        if c == '\'' {
            continue;
        }
        if !c.is_ascii_alphanumeric() {
            gap = !slug.is_empty(); // a hyphen is written only between two words
            continue;
        }
        if slug.len() + usize::from(gap) >= SLUG_LEN_MAX {
            break;
        }
        if gap {
            slug.push('-');
            gap = false;
        }
        slug.push(c.to_ascii_lowercase());
    }
    if slug.is_empty() {
        FALLBACK.to_owned()
    } else {
        slug
    }
}

/// Whether a slug sent by a caller is `[a-z0-9-]{1,200}`.
pub fn is_valid(slug: &str) -> bool {
    (1..=SLUG_LEN_MAX).contains(&slug.len())
        && slug
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn titles_become_readable_addresses() {
        for (title, slug) in [
            ("Wireless Mouse", "wireless-mouse"),
            ("  Crème brûlée -- 6\u{a0}pcs! ", "creme-brulee-6-pcs"),
            ("Men's / Women’s Straße", "mens-womens-strasse"),
            ("北京", "bei-jing"),
            (
                "WHITE HANGING HEART T-LIGHT HOLDER",
                "white-hanging-heart-t-light-holder",
            ),
            ("", "product"),
            ("?!…", "product"),
        ] {
            assert_eq!(slugify(title), slug, "{title}");
        }
        assert_eq!(slugify(&"x".repeat(300)).len(), SLUG_LEN_MAX);
        assert_eq!(slugify(&"ab ".repeat(100)).len(), SLUG_LEN_MAX);
    }

    #[test]
    fn a_slug_is_one_to_two_hundred_plain_characters() {
        assert!(is_valid("a") && is_valid("blue-mug-2") && is_valid(&"x".repeat(200)));
        for bad in ["", "Blue", "a b", "a_b", "é", "a/b"] {
            assert!(!is_valid(bad), "{bad}");
        }
        assert!(!is_valid(&"x".repeat(201)));
    }

    proptest! {
        #[test]
        fn every_title_gives_a_valid_tidy_slug(title in "\\PC{0,255}") {
            let slug = slugify(&title);
            prop_assert!(is_valid(&slug));
            prop_assert!(!slug.starts_with('-') && !slug.ends_with('-') && !slug.contains("--"));
            prop_assert_eq!(slugify(&slug), slug);
        }

        #[test]
        fn no_text_panics(title: String) {
            prop_assert!(is_valid(&slugify(&title)));
        }
    }
}
