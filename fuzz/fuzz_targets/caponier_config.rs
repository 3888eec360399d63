//! Configuration files: every text is read or refused with words.
#![no_main]

use std::{path::Path, sync::LazyLock};

use caponier::config::{Config, schema};
use fuzz::edited_text;
use libfuzzer_sys::fuzz_target;

static DEFAULT: LazyLock<String> = LazyLock::new(|| {
    let lines = schema::default_file();
    lines.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
});

const RULES: &str = "version = 1\n[fraud.rules]\nfan_in = \"enforce\"\n[api.tokens]\na = \"a.token\"\n";

fuzz_target!(|data: &[u8]| {
    let Some(text) = edited_text(&[&DEFAULT, RULES], data) else { return };
    if let Err(faults) = Config::parse("caponier.toml", &text, Path::new("/etc/caponier")) {
        assert!(!faults.to_string().is_empty());
    }
});
