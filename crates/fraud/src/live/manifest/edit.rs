//! New thresholds in the text of a manifest, which otherwise stays as somebody wrote it.
//!
//! The text is changed line by line and then read again: unless it says exactly what it said before with the new
//! thresholds, nothing comes of it. A manifest whose thresholds stand in no section of their own is refused.

use super::{ChosenBy, Manifest, ManifestError};

const SECTION: &str = "[thresholds]";
const CHOSEN_BY: &str = "[thresholds.chosen_by]";
const OF_MODEL: [&str; 3] = ["challenge_from", "hold_from", "alert_from"];

/// The text with `(question_from, hold_from)` as thresholds: the customer is asked and an alert is raised from the first
/// on, people look first from the second on. `by` is kept with them.
///
/// # Errors
/// [`ManifestError`]: the manifest is none, has no such section, or would come to say something else.
pub fn with_thresholds(
    text: &str,
    (question_from, hold_from): (f64, f64),
    by: ChosenBy,
) -> Result<String, ManifestError> {
    let before = Manifest::parse(text)?;
    let mut kept: Vec<&str> = Vec::new();
    let mut section = "";
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            section = trimmed.split('#').next().unwrap_or_default().trim();
        }
        let key = trimmed.split('=').next().unwrap_or_default().trim();
        let is_replaced = section == CHOSEN_BY || section == SECTION && OF_MODEL.contains(&key);
        if !is_replaced {
            kept.push(line);
        }
    }
    let mut lines: Vec<String> = kept.iter().map(|line| (*line).to_owned()).collect();
    let of = |line: &String| line.split('#').next().unwrap_or_default().trim() == SECTION;
    let at = match lines.iter().position(of) {
        Some(at) => at,
        None => {
            lines.extend([String::new(), SECTION.to_owned()]);
            lines.len() - 1
        }
    };
    let values = [question_from, hold_from, question_from];
    let set = OF_MODEL.iter().zip(values).map(|(key, value)| format!("{key} = {value:?}"));
    lines.splice(at + 1..=at, set);
    // What follows the section of before stays, and no more empty lines with every change.
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    lines.push(String::new());
    lines.push(CHOSEN_BY.to_owned());
    let ChosenBy { costs, limits } = by;
    lines.push(format!("missed_bps = {}", costs.missed_bps));
    lines.push(format!("missed_minor = {}", costs.missed_minor));
    lines.push(format!("found_bps = {}", costs.found_bps));
    lines.push(format!("alert_minor = {}", costs.alert_minor));
    lines.push(format!("friction_minor = {}", costs.friction_minor));
    if let Some(alerts) = limits.alerts_max {
        lines.push(format!("alerts_max = {alerts}"));
    }
    lines.push(format!("friction_max = {:?}", limits.friction_max));
    let edited = lines.join("\n") + "\n";
    let after = Manifest::parse(&edited)?;
    let mut wanted = before;
    wanted.thresholds.challenge_from = question_from;
    wanted.thresholds.alert_from = question_from;
    wanted.thresholds.hold_from = hold_from;
    wanted.thresholds.chosen_by = Some(by);
    if after != wanted {
        let message = "cannot be edited line by line: give it a section of its own".to_owned();
        return Err(ManifestError { line: 1, key: "thresholds".to_owned(), message });
    }
    Ok(edited)
}

#[cfg(test)]
mod tests {
    use scoring::threshold::{Costs, Limits};

    use super::*;

    const BY: ChosenBy = ChosenBy {
        costs: Costs { missed_bps: 9_000, missed_minor: 1, found_bps: 5, alert_minor: 7, friction_minor: 9 },
        limits: Limits { alerts_max: Some(300), friction_max: 0.005 },
    };

    #[test]
    fn thresholds_are_put_in_and_the_rest_stays() {
        let whole = "# ours\n[bundle]\nname = \"b\"\nversion = \"1\"\npack = \"p\"\nmodel = \"m\"\njudge = [\"login\"]\n";
        let sectioned = format!(
            "{whole}\n[thresholds] # by hand\nhold_from = 0.9 # sure\nchallenge_from = 0.5\nalert_from = 0.4\n\
             points_challenge_from = 3.0\n\n[thresholds.chosen_by]\nmissed_bps = 1\n\n[evidence]\nweak = [\"x\"] # said so\n"
        );
        let edited = with_thresholds(&sectioned, (0.123_456_789_012_345_68, 1.0), BY).unwrap();
        let read = Manifest::parse(&edited).unwrap();
        assert_eq!(read.thresholds.challenge_from.to_bits(), 0.123_456_789_012_345_68_f64.to_bits());
        assert_eq!((read.thresholds.hold_from, read.thresholds.points_challenge_from), (1.0, 3.0));
        assert_eq!(read.thresholds.chosen_by, Some(BY));
        for kept in ["# ours", "[thresholds] # by hand", "weak = [\"x\"] # said so"] {
            assert!(edited.contains(kept), "{edited}");
        }
        assert_eq!(
            with_thresholds(&edited, (0.123_456_789_012_345_68, 1.0), BY).unwrap().trim(),
            edited.trim()
        );
        // Rules alone have no thresholds until a model comes.
        let none = whole.replace("model = \"m\"\n", "");
        assert!(with_thresholds(&none, (0.2, 0.8), BY).unwrap().contains("hold_from = 0.8"));
        // In another form it is refused rather than broken.
        let inline =
            format!("thresholds = {{ hold_from = 0.9, challenge_from = 0.5, alert_from = 0.4 }}\n{whole}");
        assert!(with_thresholds(&inline, (0.2, 0.8), BY).is_err());
        assert!(with_thresholds(&sectioned, (0.9, 0.2), BY).is_err(), "a hold below a challenge");
    }
}
