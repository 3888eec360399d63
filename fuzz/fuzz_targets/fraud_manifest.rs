//! Manifests of bundles: whatever is accepted can be used, whatever is refused has a place.
#![no_main]

use fraud::live::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Manifest::parse(text) {
        Ok(manifest) => {
            let thresholds = &manifest.thresholds;
            assert!(thresholds.hold_from >= thresholds.challenge_from);
            let is_score = |score: f64| (0.0..=1.0).contains(&score) || score == f64::INFINITY;
            assert!([thresholds.challenge_from, thresholds.hold_from, thresholds.alert_from].into_iter().all(is_score));
            assert!(!manifest.judge.is_empty());
            for file in [Some(&manifest.pack), manifest.model.as_ref(), manifest.rules.as_ref()].into_iter().flatten() {
                assert!(!file.starts_with('.') && !file.contains(['/', '\\', '\0']));
            }
            if let Some(anomaly) = &manifest.anomaly {
                assert!(anomaly.ranges.values().all(|(low, high)| low <= high));
            }
        }
        Err(error) => assert!(error.line >= 1),
    }
});
