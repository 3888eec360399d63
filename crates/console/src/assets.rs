//! Files a page loads, each under a name with its digest, so that it may be kept for ever.

use std::sync::LazyLock;

use crypto::sha256;

/// A file.
#[derive(Debug)]
pub(crate) struct Asset {
    /// Name in the folder.
    name: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) bytes: &'static [u8],
}

const fn asset(name: &'static str, media_type: &'static str, bytes: &'static [u8]) -> Asset {
    Asset { name, media_type, bytes }
}

const CSS: &str = "text/css; charset=utf-8";
const FONT: &str = "inter.woff2";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SIGN_IN: &str = "sign-in.js";
const SVG: &str = "image/svg+xml";

/// All of them; scripts in the order in which pages load them.
pub(crate) const ASSETS: [Asset; 8] = [
    asset("console.css", CSS, include_bytes!("../assets/console.css")),
    asset(FONT, "font/woff2", include_bytes!("../vendor/inter.woff2")),
    asset("icon.svg", SVG, include_bytes!("../assets/icon.svg")),
    asset("htmx.min.js", SCRIPT, include_bytes!("../vendor/htmx.min.js")),
    asset("hx-csp.min.js", SCRIPT, include_bytes!("../vendor/hx-csp.min.js")),
    asset("hx-sse.min.js", SCRIPT, include_bytes!("../vendor/hx-sse.min.js")),
    asset("console.js", SCRIPT, include_bytes!("../assets/console.js")),
    asset(SIGN_IN, SCRIPT, include_bytes!("../assets/sign-in.js")),
];

/// Their paths, in the same order.
static PATHS: LazyLock<[String; ASSETS.len()]> = LazyLock::new(|| {
    std::array::from_fn(|at| {
        let asset = &ASSETS[at];
        let [a, b, c, d, ..] = sha256(&[asset.bytes]);
        format!("/console/assets/{:08x}-{}", u32::from_be_bytes([a, b, c, d]), asset.name)
    })
});

/// The path of the style sheet.
pub(crate) fn style() -> &'static str {
    path_of("console.css")
}

/// The path of the typeface, as the style sheet names it.
pub(crate) fn font() -> &'static str {
    path_of(FONT)
}

/// The path of the icon.
pub(crate) fn icon() -> &'static str {
    path_of("icon.svg")
}

/// The path of the script of those who are not signed in.
pub(crate) fn sign_in() -> &'static str {
    path_of(SIGN_IN)
}

/// The paths of the scripts of every other page, in order.
pub(crate) fn scripts() -> impl Iterator<Item = &'static str> {
    ASSETS
        .iter()
        .zip(PATHS.iter())
        .filter(|(asset, _)| asset.media_type == SCRIPT && asset.name != SIGN_IN)
        .map(|(_, path)| path.as_str())
}

/// The asset under a path.
pub(crate) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().zip(PATHS.iter()).find(|(_, known)| known.as_str() == path).map(|(asset, _)| asset)
}

fn path_of(name: &str) -> &'static str {
    ASSETS
        .iter()
        .zip(PATHS.iter())
        .find(|(asset, _)| asset.name == name)
        .map_or("", |(_, path)| path.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came from elsewhere is what its note says it is.
    #[test]
    fn vendored_files_have_the_digests_of_their_note() {
        let note = include_str!("../vendor/README.md");
        for name in ["htmx.min.js", "hx-csp.min.js", "hx-sse.min.js", FONT] {
            let asset = find(path_of(name)).unwrap();
            let digest = sha256(&[asset.bytes]).iter().fold(String::new(), |hex, b| format!("{hex}{b:02x}"));
            let line = note.lines().find(|line| line.starts_with(&format!("| `{name}`"))).unwrap();
            assert!(line.contains(&digest), "{name} has SHA-256 {digest}");
        }
    }

    #[test]
    fn every_asset_is_found_under_its_path_and_under_no_other() {
        for path in PATHS.iter() {
            assert!(find(path).is_some());
        }
        assert!(find("/console/assets/console.css").is_none());
        assert_eq!(scripts().count(), 4);
    }

    #[test]
    fn the_style_sheet_names_the_typeface_by_its_digest() {
        let style = std::str::from_utf8(find(style()).unwrap().bytes).unwrap();
        assert!(style.contains(font().rsplit('/').next().unwrap()), "{} is not named", font());
    }

    /// A first visit without live updates, as the budget counts it: the page itself is a few kilobytes.
    #[test]
    fn all_assets_together_stay_within_the_budget_of_the_home_page() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(bytes < 130_000, "{bytes} bytes");
    }
}
