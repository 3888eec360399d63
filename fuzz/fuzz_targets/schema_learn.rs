//! Learning: whatever is fed, the learner stays within its bounds, its export imports, and admits what was learned.
#![no_main]

use fuzz::{Choices, edited_text};
use libfuzzer_sys::fuzz_target;
use schema::{Conformance, LearnBounds, Learned, Learner, Model, Request};

const BODY: &str = r#"{"a":"b","n":[1,-2.5,null],"o":{"x":true,"":"0.1"}}"#;
const QUERY: &str = "a=1&b=x%20y&a=2";
const PATH: &str = "/v5/order/123e4567-e89b-12d3-a456-426614174000/x";

fuzz_target!(|data: &[u8]| {
    let mut choices = Choices::new(data);
    let bounds = LearnBounds {
        facts_max: 200,
        siblings_max: choices.below(4) + 1,
        properties_max: choices.below(4) + 1,
        values_max: choices.below(4),
        samples_min: u64::from(choices.byte() % 4) + 1,
    };
    let mut learner = Learner::new(bounds);
    let mut learned = Vec::new();
    for _ in 0..8 {
        let mut part = |example: &str| {
            let len = usize::from(choices.byte() % 64);
            edited_text(&[example], choices.bytes(len))
        };
        let (Some(path), Some(query), Some(body)) = (part(PATH), part(QUERY), part(BODY)) else { return };
        learned.push((path, query, body));
    }
    learned.retain(|(path, query, body)| learner.observe(&request(path, query, body)) == Learned::Learned);
    assert!(learner.n_facts() <= bounds.facts_max);
    let document = learner.export();
    let model = Model::import(document.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{document}"));
    for (path, query, body) in &learned {
        let outcome = model.check(&request(path, query, body));
        assert!(
            matches!(outcome, Conformance::Conforming(_)),
            "{path} {query} {body} {outcome:?}\n{document}"
        );
    }
});

fn request<'a>(path: &'a str, query: &'a str, body: &'a str) -> Request<'a> {
    let content_type = Some("application/json");
    Request { method: "POST", path, query: Some(query), content_type, body: body.as_bytes() }
}
