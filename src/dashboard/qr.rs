//! Pictures that a phone reads, as the path of an SVG: nothing is loaded from anywhere and nothing runs.

use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write;

/// Light modules around the picture (ISO/IEC 18004 §9.1).
const MARGIN: i32 = 4;

/// A picture of a text.
#[derive(Debug)]
pub struct Qr {
    /// Modules on a side, margin included.
    pub size: i32,
    /// The dark ones.
    pub path: String,
}

impl Qr {
    /// `None` for a text that is too long for any picture: more than some 2,300 bytes.
    pub fn new(text: &str) -> Option<Qr> {
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
        let mut path = String::new();
        for y in 0..code.size() {
            let mut x = 0;
            while x < code.size() {
                let dark = (x..code.size()).take_while(|x| code.get_module(*x, y));
                let width = i32::try_from(dark.count()).unwrap_or_default();
                if width > 0 {
                    let (left, top) = (x + MARGIN, y + MARGIN);
                    let _ = write!(path, "M{left} {top}h{width}v1h-{width}z"); // a String takes everything
                }
                x += width + 1;
            }
        }
        let size = code.size() + 2 * MARGIN;
        Some(Qr { size, path })
    }
}

#[cfg(test)]
mod tests {
    use super::Qr;

    #[test]
    fn a_text_becomes_a_picture_with_a_margin() {
        let qr = Qr::new("otpauth://totp/Shop:ada@example.com?secret=GEZDGNBVGY3TQOJQ").unwrap();
        assert_eq!((qr.size - 8 - 17) % 4, 0);
        assert!(
            qr.path.starts_with("M4 4h7v1h-7z"),
            "the corner mark: {}",
            qr.path
        );
        assert!(Qr::new(&"x".repeat(4_000)).is_none());
    }
}
