//! The control API does what its OpenAPI document says, as Schemathesis finds: it asks for everything the document allows
//! and much that it does not, and compares status, media type and form of every answer.

use std::{fs, path::Path, process::Command};

use crate::support::{Done, House, ROOT, Settings, finish, skipped};

/// Requests per operation and phase.
const EXAMPLES: &str = "30";

fn ask_everything(program: &Path, house: &House, api: &str, document: &Path, more: &[&str]) -> Done {
    let interop = Path::new(ROOT).join("tests/interop");
    finish(
        Command::new(program)
            .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
            .env("PYTHONPATH", &interop)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(house.path(""))
            .arg("--config-file")
            .arg(interop.join("schemathesis.toml"))
            .arg("run")
            .arg(document)
            .args(["--url", api, "--seed", "1", "--no-color", "-n", EXAMPLES])
            .args(["-H", &format!("Authorization: Bearer {}", house.token())])
            .args(more),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_no_answer_that_is_not_described() {
    let Some(python) = crate::clients::python() else { return };
    let program = python.with_file_name("schemathesis");
    if !program.exists() {
        return skipped("Schemathesis is not installed; run cargo xtask setup");
    }
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    house.open_account("anna").await;
    let api = serving.text("api").to_owned();
    let document = Path::new(ROOT).join("docs/openapi/control-v1.json");
    // Streams have no end: they have tests of their own.
    let streams = ["--exclude-operation-id", "streamDecisions", "--exclude-operation-id", "streamAlerts"];
    let all = ask_everything(&program, &house, &api, &document, &streams);
    assert_eq!(all.code, 0, "{all:?}");
    assert!(all.stdout.contains("No issues found") || all.stdout.contains(" passed"), "{all:?}");

    // The check can fail: an answer is not what a document promises.
    let text = fs::read_to_string(&document).unwrap();
    let promising = house.path("promising.json");
    assert!(text.contains("\"const\": \"ok\""));
    fs::write(&promising, text.replace("\"const\": \"ok\"", "\"const\": \"splendid\"")).unwrap();
    let broken = ask_everything(&program, &house, &api, &promising, &["--include-operation-id", "health"]);
    assert_eq!(broken.code, 1, "{broken:?}");
    assert_eq!(serving.stop(), 0);
}
