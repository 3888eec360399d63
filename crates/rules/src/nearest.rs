//! "Did you mean": the known name with the fewest edits.

/// Names compared; a longer list is compared up to here.
const COMPARED_MAX: usize = 4_096;
/// Longer names are not compared.
const NAME_CHARS_MAX: usize = 128;

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut best = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                best = best.min(before[j - 1] + 1);
            }
            row[j + 1] = best;
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

/// The name closest to `name`, if one is close: one edit, or a third of its characters. The first of equals.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = name.chars().take(NAME_CHARS_MAX + 1).collect();
    if wanted.len() > NAME_CHARS_MAX || wanted.len() < 2 {
        return None;
    }
    let mut best = None;
    let mut best_distance = (wanted.len() / 3 + 1).max(2);
    for known in known.into_iter().take(COMPARED_MAX) {
        let letters: Vec<char> = known.chars().take(NAME_CHARS_MAX + 1).collect();
        if letters.len().abs_diff(wanted.len()) >= best_distance {
            continue;
        }
        let distance = distance(&wanted, &letters);
        if distance < best_distance {
            (best, best_distance) = (Some(known), distance);
        }
    }
    best
}

/// ` (did you mean X?)`, or nothing.
pub(crate) fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names_are_found_and_others_are_not() {
        let known = ["amount", "account_age", "new_device"];
        assert_eq!(nearest("ammount", known), Some("amount"));
        assert_eq!(nearest("amuont", known), Some("amount"));
        assert_eq!(nearest("acount_age", known), Some("account_age"));
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(nearest("", known), None);
    }
}
