//! The document as one page of HTML for people: no script, nothing from elsewhere, readable without colour.

use std::{fmt::Write as _, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

/// Allowed by its digest and by nothing else.
const STYLE: &str = "\
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
body{max-width:60rem;margin:0 auto;padding:1rem}\
section{border-top:1px solid;margin-top:2rem;padding-top:1rem}\
h3 code{font-size:1rem}\
pre{overflow:auto;padding:.75rem;border:1px solid;border-radius:.25rem}\
table{border-collapse:collapse;width:100%}\
td,th{border:1px solid;padding:.25rem .5rem;text-align:left;vertical-align:top}";

/// The page, and the `Content-Security-Policy` it is served with.
pub(crate) fn page() -> (&'static str, &'static str) {
    static PAGE: LazyLock<(String, String)> = LazyLock::new(|| {
        let digest = STANDARD.encode(crypto::sha256(&[STYLE.as_bytes()]));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        (render(&super::document()), policy)
    });
    (&PAGE.0, &PAGE.1)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

fn pretty(value: &Value) -> String {
    let plain = value.as_str().map(str::to_owned);
    escaped(&plain.unwrap_or_else(|| serde_json::to_string_pretty(value).unwrap_or_default()))
}

fn examples(html: &mut String, content: &Value) {
    let media = content.as_object().into_iter().flatten();
    for (media, content) in media {
        let _ = write!(html, "<p><code>{}</code>", escaped(media));
        if let Some(name) = content["schema"]["$ref"].as_str() {
            let name = escaped(name.rsplit('/').next().unwrap_or_default());
            let _ = write!(html, " <a href=\"#schema-{name}\">{name}</a>");
        }
        html.push_str("</p>");
        for (name, example) in content["examples"].as_object().into_iter().flatten() {
            let _ = write!(html, "<p>Example {}:</p><pre>{}</pre>", escaped(name), pretty(&example["value"]));
        }
    }
}

fn operation(html: &mut String, method: &str, path: &str, operation: &Value) {
    let (id, summary) = (text(&operation["operationId"]), text(&operation["summary"]));
    let _ = write!(
        html,
        "<section id=\"{id}\"><h3><code>{} {}</code></h3><p><strong>{summary}</strong> {}</p>",
        method.to_uppercase(),
        escaped(path),
        text(&operation["description"])
    );
    match operation["x-permission"].as_str() {
        None => html.push_str("<p>Needs no token.</p>"),
        Some(permission) => {
            let _ = write!(html, "<p>Permission: <code>{}</code>", escaped(permission));
            let roles: Vec<&str> =
                operation["x-roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if !roles.is_empty() {
                let _ = write!(html, "; roles: {}", escaped(&roles.join(", ")));
            }
            html.push_str("</p>");
        }
    }
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        html.push_str("<table><tr><th>Parameter</th><th>In</th><th>Meaning</th></tr>");
        for parameter in parameters {
            let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
            let _ = write!(
                html,
                "<tr><td><code>{name}</code></td><td>{place}</td><td>{}</td></tr>",
                text(&parameter["description"])
            );
        }
        html.push_str("</table>");
    }
    if operation["requestBody"].is_object() {
        let _ = write!(html, "<h4>Body</h4><p>{}</p>", text(&operation["requestBody"]["description"]));
        examples(html, &operation["requestBody"]["content"]);
    }
    html.push_str("<h4>Answers</h4>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let _ =
            write!(html, "<p><strong>{}</strong> {}</p>", escaped(status), text(&response["description"]));
        if status == "200" {
            examples(html, &response["content"]);
        }
    }
    html.push_str("</section>");
}

fn render(document: &Value) -> String {
    let mut html = String::with_capacity(128 * 1024);
    let info = &document["info"];
    let _ = write!(
        html,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1><p>{}</p>\
         <p>{}</p><p>The same for programs: <a href=\"/v1/openapi.json\"><code>/v1/openapi.json</code></a></p><h2>Calls</h2>",
        text(&info["summary"]),
        text(&info["description"]),
        title = text(&info["title"]),
    );
    let paths = document["paths"].as_object();
    html.push_str("<table><tr><th>Call</th><th>Does</th><th>Permission</th></tr>");
    for (path, methods) in paths.into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let _ = write!(
                html,
                "<tr><td><a href=\"#{}\"><code>{} {}</code></a></td><td>{}</td><td>{}</td></tr>",
                text(&operation["operationId"]),
                method.to_uppercase(),
                escaped(path),
                text(&operation["summary"]),
                text(&operation["x-permission"])
            );
        }
    }
    html.push_str("</table>");
    for (path, methods) in paths.into_iter().flatten() {
        for (method, described) in methods.as_object().into_iter().flatten() {
            operation(&mut html, method, path, described);
        }
    }
    html.push_str("<h2>Schemas</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let name = escaped(name);
        let _ = write!(
            html,
            "<section id=\"schema-{name}\"><h3>{name}</h3><pre>{}</pre></section>",
            pretty(schema)
        );
    }
    html.push_str("</body></html>\n");
    html
}
