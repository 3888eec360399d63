//! A text as a QR code (ISO/IEC 18004), black on white in any colour scheme: cameras read nothing else reliably.

use std::fmt::Write as _;

use maud::{Markup, html};
use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code (ISO/IEC 18004, 6.3.8).
const QUIET: usize = 4;

/// The picture; `None` for a text that is too long for one.
pub(crate) fn qr(text: &str) -> Option<Markup> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let (width, colours) = (code.width(), code.to_colors());
    let mut path = String::new();
    for (y, row) in colours.chunks(width).enumerate() {
        for (x, _) in row.iter().enumerate().filter(|(_, colour)| **colour == Color::Dark) {
            // Writing to memory does not fail.
            let _ = write!(path, "M{} {}h1v1h-1z", x + QUIET, y + QUIET);
        }
    }
    let side = width + 2 * QUIET;
    Some(html! {
        svg.qr viewBox={ "0 0 " (side) " " (side) } role="img" aria-label="QR code for an authenticator app" shape-rendering="crispEdges" {
            rect width=(side) height=(side) fill="#fff" {}
            path d=(path) fill="#000" {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_three_finders_and_too_much_text_has_none() {
        let picture = qr("otpauth://totp/a:b?secret=MZXW6YTB").unwrap().into_string();
        // The corner of the finder at the top left, dark, and the ring of light around it.
        assert!(picture.contains("M4 4h1v1h-1z") && !picture.contains("M5 5h1v1h-1z"));
        assert!(qr(&"x".repeat(4_000)).is_none());
    }
}
