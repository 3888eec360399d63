//! Documents that are read, and documents that are refused with the place.

use super::*;

/// A document with one operation, whose body has this schema.
fn with_body(edition: &str, schema: &str) -> String {
    format!(
        r#"{{"openapi":"{edition}","info":{{"title":"t","version":"1"}},"paths":{{"/a":{{"post":{{"requestBody":
        {{"content":{{"application/json":{{"schema":{schema}}}}}}},"responses":{{}}}}}}}}}}"#
    )
}

/// The pointer and text of the error.
fn error(document: &str) -> String {
    match Model::import(document.as_bytes()) {
        Ok(_) => panic!("imported: {document}"),
        Err(error) => error.to_string(),
    }
}

const SCHEMA: &str = "/paths/~1a/post/requestBody/content/application~1json/schema";

#[test]
fn an_assertion_that_is_not_understood_is_an_error_that_names_its_place() {
    for (schema, expected) in [
        (r#"{"patternProperties":{}}"#, "keyword patternProperties is not understood"),
        (r#"{"if":{},"then":{}}"#, "keyword if is not understood"),
        (r#"{"uniqueItems":true}"#, "keyword uniqueItems is not understood"),
        (r#"{"nullable":true}"#, "keyword nullable is not understood"),
        (r#"{"contains":{}}"#, "keyword contains is not understood"),
        (r#"{"minimun":1}"#, "keyword minimun is not understood"),
    ] {
        assert_eq!(error(&with_body("3.1.0", schema)), format!("{SCHEMA}: {expected}"), "{schema}");
    }
    for (schema, place, expected) in [
        (
            r#"{"properties":{"a/b":{"type":"strin"}}}"#,
            "/properties/a~1b/type",
            "this type is not understood",
        ),
        (r#"{"items":{"format":"email"}}"#, "/items/format", "this format is not understood"),
        (r#"{"enum":[1,{}]}"#, "/enum/1", "an array or object in an enum is not understood"),
        (r#"{"minLength":-1}"#, "/minLength", "not a whole number"),
        (r#"{"pattern":"(?=a)"}"#, "/pattern", "look-around, a flag or a named group is not understood"),
        (r##"{"$ref":"#/nowhere"}"##, "", "reference #/nowhere leads nowhere in this document"),
        (
            r#"{"$ref":"http://example.com/x"}"#,
            "",
            "reference http://example.com/x leads nowhere in this document",
        ),
        (
            r#"{"properties":{"ä":{}}}"#,
            "/properties/ä",
            "a property name with other than printable ASCII characters is not understood",
        ),
    ] {
        assert_eq!(error(&with_body("3.1.0", schema)), format!("{SCHEMA}{place}: {expected}"), "{schema}");
    }
    assert_eq!(
        error(&with_body("3.0.3", r#"{"const":1}"#)),
        format!("{SCHEMA}: keyword const is not understood")
    );
    assert_eq!(error(&with_body("3.0.3", r#"{"type":["string"]}"#)), format!("{SCHEMA}/type: not a string"));
    assert_eq!(error(&with_body("3.0.3", "true")), format!("{SCHEMA}: not a schema"));
    assert_eq!(error(&with_body("2.0", "{}")), "/openapi: an edition but 3.0 and 3.1 is not understood");
}

#[test]
fn annotations_are_passed_over() {
    let schema = r##"{"title":"t","description":"d","default":1,"deprecated":true,"writeOnly":true,"x-mine":{"a":1},
        "example":1,"examples":[1],"$comment":"c","externalDocs":{},"xml":{},"discriminator":{"propertyName":"a"},
        "contentEncoding":"base64","$schema":"https://json-schema.org/draft/2020-12/schema","format":"double"}"##;
    let model = Model::import(with_body("3.1.0", schema).as_bytes()).unwrap();
    assert_eq!(model.routes().len(), 1);
    assert!(model.unchecked().is_empty());
}

#[test]
fn what_a_check_cannot_see_is_listed() {
    let document = r##"{"openapi":"3.0.3","info":{},"servers":[{"url":"https://a.example/v1/"},{"url":"/v1"}],
        "components":{"parameters":{"H":{"name":"X","in":"header","schema":{"type":"string"}}}},
        "paths":{"/a":{"parameters":[{"$ref":"#/components/parameters/H"}],"post":{"operationId":"o","responses":{},
        "requestBody":{"content":{"text/plain":{"schema":{"type":"string"}},"application/json":{}}}}}}}"##;
    let model = Model::import(document.as_bytes()).unwrap();
    assert_eq!(
        model.unchecked(),
        ["/paths/~1a/parameters/0", "/paths/~1a/post/requestBody/content/text~1plain"]
    );
    let route = &model.routes()[0];
    assert_eq!((route.method(), route.template(), route.operation_id()), ("POST", "/v1/a", Some("o")));
}

#[test]
fn operations_with_holes_are_refused() {
    let path = |template: &str, item: &str| {
        format!(r#"{{"openapi":"3.1.0","info":{{}},"paths":{{"{template}":{item}}}}}"#)
    };
    for (template, item, expected) in [
        ("/{id}", r#"{"get":{}}"#, "/paths/~1{id}/get: a path parameter without a schema is not understood"),
        (
            "/a",
            r#"{"get":{"parameters":[{"in":"path","name":"b","required":true,"schema":{}}]}}"#,
            "/paths/~1a/get: a path parameter that the path does not have is not understood",
        ),
        (
            "/a",
            r#"{"get":{"parameters":[{"in":"query","name":"b"}]}}"#,
            "/paths/~1a/get/parameters/0/schema: missing",
        ),
        (
            "/a",
            r#"{"get":{"parameters":[{"in":"query","name":"b","style":"deepObject","schema":{}}]}}"#,
            "/paths/~1a/get/parameters/0/style: this style of parameter is not understood",
        ),
        (
            "/a",
            r#"{"get":{"parameters":[{"in":"query","name":"b","schema":{"type":"object"}}]}}"#,
            "/paths/~1a/get/parameters/0/schema: an object in a parameter is not understood",
        ),
        ("/a", r#"{"$ref":"x"}"#, "/paths/~1a: keyword $ref is not understood"),
        ("/a", r#"{"get":{"requestbody":{}}}"#, "/paths/~1a/get: keyword requestbody is not understood"),
        (
            "/a",
            r#"{"post":{"requestBody":{"content":{"*/*":{}}}}}"#,
            "/paths/~1a/post/requestBody/content/*~1*: a range of media types is not understood",
        ),
        ("a", r#"{"get":{}}"#, "/paths/a/get: a path whose braces are not whole segments is not understood"),
    ] {
        assert_eq!(error(&path(template, item)), expected);
    }
}

#[test]
fn documents_are_bounded_and_unambiguous() {
    assert_eq!(error("{"), "byte 1: not JSON");
    assert_eq!(error(r#"{"openapi":"3.1.0","openapi":"3.0.0"}"#), "byte 29: member openapi is there twice");
    assert!(Model::import(&vec![b' '; DOCUMENT_BYTES_MAX + 1]).is_err());
    assert_eq!(error(&"[".repeat(1_000)), ": more than 64 nested values of the document");
    let many = format!("[{}1]", "1,".repeat(DOCUMENT_VALUES_MAX));
    assert_eq!(error(&many), format!(": more than {DOCUMENT_VALUES_MAX} values of the document"));
}

#[test]
fn a_schema_may_contain_itself_but_not_judge_by_itself() {
    let document = |schemas: &str| {
        format!(
            r##"{{"openapi":"3.1.0","info":{{}},"components":{{"schemas":{schemas}}},"paths":{{"/a":{{"post":{{"requestBody":
            {{"content":{{"application/json":{{"schema":{{"$ref":"#/components/schemas/A"}}}}}}}}}}}}}}}}"##
        )
    };
    let tree = r##"{"A":{"type":"object","properties":{"next":{"$ref":"#/components/schemas/A"}}}}"##;
    assert!(Model::import(document(tree).as_bytes()).is_ok());
    for circle in [
        r##"{"A":{"$ref":"#/components/schemas/A"}}"##,
        r##"{"A":{"$ref":"#/components/schemas/B"},"B":{"$ref":"#/components/schemas/A"}}"##,
        r##"{"A":{"anyOf":[{"type":"string"},{"not":{"$ref":"#/components/schemas/A"}}]}}"##,
    ] {
        assert!(error(&document(circle)).contains("refers to itself"), "{circle}");
    }
    // A chain longer than schemas may nest.
    let chain: Vec<String> = (0..200)
        .map(|i| {
            format!(
                r##""{}":{{"$ref":"#/components/schemas/S{}"}}"##,
                if i == 0 { "A".into() } else { format!("S{i}") },
                i + 1
            )
        })
        .collect();
    let chain = format!("{{{},\"S200\":{{}}}}", chain.join(","));
    assert!(error(&document(&chain)).contains("schemas inside schemas"));
}
