//! The service against its own OpenAPI document, as others read it: a linter, and Schemathesis, which asks whatever the document allows
//! and much that it does not.

mod common;

use std::process::Command;

use common::place::{Place, all_media};
use common::root;

use serde_json::json;

#[test]
fn the_document_has_no_fault() {
    let linter = root().join(".cache/redocly/2.77.0/bin/cli.js");
    assert!(linter.is_file(), "{} is missing: run scripts/setup.sh --tests", linter.display());
    let mut command = Command::new(root().join(".cache/node/22.23.3/bin/node"));
    command.arg(linter).args(["lint", "--extends", "recommended", "server/src/openapi.json"]);
    // It would look for a newer one.
    command.env("REDOCLY_TELEMETRY", "off").env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    common::succeed(command.current_dir(root()));
}

#[test]
fn it_answers_as_documented_whatever_it_is_asked() {
    let place = Place::new();
    let service = place.start("[limits]\nrequests_per_second = 1000000\nqueue = 100\nvideo_seconds = 20\n");
    let link = service.link("hello", json!({ "first_name": "Maria" }));
    let token = link.trim_start_matches("/w/").trim_end_matches('/');
    let segment = all_media(&service, &link)[0][1].trim_start_matches("/s/").to_owned();
    let job = service.post("/v1/renders", &json!({ "template": "hello", "data": { "first_name": "Maria" } }));
    let job = job.json()["id"].as_str().unwrap().to_owned();
    service.ended(&job);
    // What there is, so that not everything ends with 404.
    let config = format!(
        "parameters = {{ \"path.token\" = {token:?}, \"path.id\" = {job:?}, \"path.name\" = \"hello\" }}\n\
         [[operations]]\ninclude-path = \"/s/{{name}}\"\nparameters = {{ \"path.name\" = {segment:?} }}\n"
    );
    std::fs::write(place.path().join("schemathesis.toml"), config).unwrap();
    let program = root().join(".cache/api/bin/schemathesis");
    assert!(program.is_file(), "{} is missing: run scripts/setup.sh --tests", program.display());
    let mut command = Command::new(program);
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(proxy);
    }
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,\
                  response_headers_conformance,response_schema_conformance";
    command
        .args(["run", &format!("http://127.0.0.1:{}/openapi.json", service.port)])
        .args(["--checks", checks, "--phases", "examples,coverage,fuzzing", "--max-examples", "20"])
        .args(["--generation-deterministic", "--no-color"])
        .current_dir(place.path());
    common::succeed(&mut command);
    assert_eq!(service.get("/healthz").status, 200);
}
