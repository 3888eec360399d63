//! What can be wrong with a pack, and where.

/// Why a text is not a pack: the line, the entry, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, {entry}: {fault}")]
pub struct PackError {
    /// Line of the text, from 1.
    pub line: usize,
    /// The entry, as in `feature "customer_count"`.
    pub entry: String,
    /// What is wrong.
    pub fault: PackFault,
}

/// What is wrong with an entry of a pack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackFault {
    /// Not a duration.
    #[error("{key}: {text:?} is not a duration: a whole number and one of ms, s, m, h, d, up to 3660 days")]
    BadDuration {
        /// The key.
        key: &'static str,
        /// What stands there.
        text: String,
    },
    /// A name with other characters, or of a bad length.
    #[error("{name:?} is not a name: 1 to 64 lower-case letters, digits and underscores, a letter first")]
    BadName {
        /// What stands there.
        name: String,
    },
    /// A required key is not there.
    #[error("{key} is missing")]
    KeyMissing {
        /// The key.
        key: &'static str,
    },
    /// Two keys that exclude each other, or that need each other.
    #[error("{what}")]
    Misfit {
        /// Which, and why.
        what: &'static str,
    },
    /// The name is taken.
    #[error("the name {name:?} is used before")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A duration that is no multiple of the resolution.
    #[error("{key}: {text} is no multiple of the pack's resolution")]
    NotAMultiple {
        /// The key.
        key: &'static str,
        /// What stands there.
        text: String,
    },
    /// A value outside its range.
    #[error("{key}: {text} is not {range}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// What stands there.
        text: String,
        /// What may stand there.
        range: &'static str,
    },
    /// Not TOML.
    #[error("{message}")]
    Syntax {
        /// What the TOML parser says.
        message: String,
    },
    /// More entries than a pack may have.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// A key that means nothing here.
    #[error("unknown key {key:?}{}", hint(.nearest))]
    UnknownKey {
        /// The key.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A name that stands for nothing here.
    #[error("{key}: there is no {what} {name:?}{}", hint(.nearest))]
    UnknownName {
        /// The key.
        key: &'static str,
        /// What is named.
        what: &'static str,
        /// The name.
        name: String,
        /// The known name that looks most like it.
        nearest: Option<String>,
    },
    /// A field of a type that cannot be used so.
    #[error("{key}: field {name:?} is of type {is}, not {want}")]
    WrongField {
        /// The key.
        key: &'static str,
        /// The field.
        name: String,
        /// Its type.
        is: &'static str,
        /// What is asked for.
        want: &'static str,
    },
    /// A value of another type.
    #[error("{key} is not {want}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What is asked for.
        want: &'static str,
    },
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

/// The candidate with the smallest edit distance, if it is at most a third of the name's length, rounded up.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let forgiven = name.chars().count().div_ceil(3);
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= forgiven)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Edit distance (Levenshtein 1966) over the first 64 characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, a) in left.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (index, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(row[index] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(nearest("custmer", ["terminal", "customer"]), Some("customer".to_owned()));
        assert_eq!(nearest("x", ["terminal"]), None);
    }
}
