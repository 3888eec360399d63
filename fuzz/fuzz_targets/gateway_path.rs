//! Paths: one that is accepted has one spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|path: &str| {
    if gateway::fuzz::is_canonical(path) {
        assert!(path.starts_with('/') && (path == "/" || !path.ends_with('/')));
        for forbidden in ["//", ".", "%", ";", "\\", "?", "#", " ", "\0"] {
            assert!(!path.contains(forbidden), "{path:?}");
        }
        assert!(path.is_ascii());
    }
});
