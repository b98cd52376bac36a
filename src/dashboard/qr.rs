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
    use super::{MARGIN, Qr, QrCode, QrCodeEcc};
    use std::collections::HashSet;

    const TEXT: &str = "otpauth://totp/Shop:ada@example.com?secret=GEZDGNBVGY3TQOJQ";

    #[test]
    fn a_text_becomes_a_picture_with_a_margin() {
        let qr = Qr::new(TEXT).unwrap();
        assert_eq!((qr.size - 8 - 17) % 4, 0);
        assert!(
            qr.path.starts_with("M4 4h7v1h-7z"),
            "the corner mark: {}",
            qr.path
        );
        // Every dark module is in the path, and nothing else.
        let mut drawn = HashSet::new();
        for run in qr.path.split_terminator('z') {
            let rest = run.strip_prefix('M').unwrap();
            let (left, rest) = rest.split_once(' ').unwrap();
            let mut parts = rest.split('h');
            let top: i32 = parts.next().unwrap().parse().unwrap();
            let width = parts.next().unwrap().strip_suffix("v1").unwrap();
            let (left, width): (i32, i32) = (left.parse().unwrap(), width.parse().unwrap());
            drawn.extend((left..left + width).map(|x| (x - MARGIN, top - MARGIN)));
        }
        let code = QrCode::encode_text(TEXT, QrCodeEcc::Medium).unwrap();
        for (x, y) in (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y))) {
            assert_eq!(drawn.contains(&(x, y)), code.get_module(x, y), "{x} {y}");
        }
        assert!(Qr::new(&"x".repeat(4_000)).is_none());
    }
}
