//! OpenAPI documents: imported or refused with words, and what was imported judges requests to the end.
#![no_main]

use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use schema::{Conformance, Model, Request};

const SMALL: &[u8] = br##"{"openapi":"3.1.0","info":{},"servers":[{"url":"/v1"}],"paths":{"/a/{id}":{"post":{"parameters":[
{"name":"id","in":"path","required":true,"schema":{"type":"integer","minimum":1}},
{"name":"q","in":"query","explode":false,"schema":{"type":"array","items":{"enum":["x",1,null]}}}],
"requestBody":{"required":true,"content":{"application/json":{"schema":{"$ref":"#/components/schemas/T"}}}}}}},
"components":{"schemas":{"T":{"type":["object","null"],"required":["n"],"additionalProperties":false,"properties":{
"n":{"multipleOf":0.5,"exclusiveMaximum":9},"s":{"pattern":"^[a-z]{1,3}$","maxLength":4},"t":{"$ref":"#/components/schemas/T"},
"u":{"oneOf":[{"const":1},{"not":{"anyOf":[{"format":"date-time"},true]}}]}}}}}}"##;
const OLD: &[u8] =
    br##"{"openapi":"3.0.3","info":{},"paths":{"/a/b":{"post":{"requestBody":{"content":{"application/json":
{"schema":{"type":"object","nullable":true,"properties":{"n":{"type":"integer","format":"int64","minimum":1,
"exclusiveMinimum":true}},"allOf":[{"maxProperties":3}]}}}}}}}}"##;

fuzz_target!(|data: &[u8]| {
    let document = edited(&[SMALL, OLD], data);
    let model = match Model::import(&document) {
        Ok(model) => model,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for path in ["/v1/a/7", "/a/b", "/a/7", "/"] {
        for body in [r#"{"n":1.5,"s":"ab","t":{"n":2},"u":1}"#, "[[[[[[1]]]]]]", "null"] {
            let request = Request {
                method: "POST",
                path,
                query: Some("q=x,1&q=%41"),
                content_type: Some("application/json"),
                body: body.as_bytes(),
            };
            if let Conformance::Violations { violations, .. } = model.check(&request) {
                assert!((1..=schema::bounds::VIOLATIONS_MAX).contains(&violations.len()));
            }
        }
    }
});
