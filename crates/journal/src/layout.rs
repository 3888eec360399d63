//! Names within the data directory.

/// Where segments live.
pub const JOURNAL_DIR: &str = "journal";

/// Where keys live.
pub const KEYS_DIR: &str = "keys";

/// The key table: 128-byte slots, see [`keyring`].
pub const KEY_TABLE: &str = "keys/table";

/// Locked by the one process that has the journal open; always empty.
pub const LOCK: &str = "LOCK";

const SEGMENT_SUFFIX: &str = ".seg";
const SEQ_DIGITS: usize = 20;

/// Path of the segment whose first entry is `first_seq`.
pub(crate) fn segment_path(first_seq: u64) -> String {
    format!("{JOURNAL_DIR}/{first_seq:020}{SEGMENT_SUFFIX}")
}

/// The first sequence number a segment's file name states; `None` for any other name.
pub(crate) fn parse_segment_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    let canonical = digits.len() == SEQ_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    if canonical { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_names_are_segments() {
        assert_eq!(segment_path(7), "journal/00000000000000000007.seg");
        assert_eq!(parse_segment_name("00000000000000000007.seg"), Some(7));
        assert_eq!(parse_segment_name("18446744073709551615.seg"), Some(u64::MAX));
        for name in ["7.seg", "00000000000000000007", "+0000000000000000007.seg", "99999999999999999999.seg"]
        {
            assert_eq!(parse_segment_name(name), None, "{name}");
        }
    }
}
