//! Pages for people, as Playwright sees them in Debian's Chromium: a link is watched with the keyboard alone, the status page is looked at.

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::place::Place;
use common::{root, succeed};
use serde_json::{Value, json};

/// What a script in `tests/browser` saw.
fn drive(script: &str, arguments: &[&str]) -> Value {
    let playwright = root().join(".cache/playwright-core/1.65.1");
    assert!(
        playwright.join("package.json").is_file(),
        "{} is missing: run scripts/setup.sh --tests",
        playwright.display()
    );
    let mut command = Command::new(root().join(".cache/node/22.23.3/bin/node"));
    command.arg(root().join("tests/browser").join(script)).arg(playwright).arg(chromium()).args(arguments);
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(proxy);
    }
    let told = succeed(&mut command);
    serde_json::from_str(told.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {told}"))
}

fn chromium() -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&folders).map(|folder| folder.join("chromium")).find(|path| path.is_file());
    found.expect("chromium is missing: run scripts/setup.sh --tests")
}

#[test]
fn a_link_is_watched_with_the_keyboard() {
    let place = Place::new();
    let player = root().join(".cache/hls.js/1.7.4/hls.min.js");
    assert!(player.is_file(), "{} is missing: run scripts/setup.sh --tests", player.display());
    let service = place.start(&format!("player = {:?}", player.display().to_string()));
    let link = service.link("hello", json!({ "first_name": "Maria" }));
    let seen = drive("watch.cjs", &[&format!("http://127.0.0.1:{}{link}", service.port)]);
    for empty in ["console", "refused", "errors"] {
        assert_eq!(seen[empty], json!([]), "{seen}");
    }
    assert!(seen["faults"].as_array().unwrap().iter().all(|fault| fault["fatal"] == false), "{seen}");
    assert_eq!((&seen["role"], &seen["name"]), (&json!(1), &json!("Your video")), "{seen}");
    assert_eq!(
        (&seen["first"]["paused"], &seen["playing"]["paused"]),
        (&json!(true), &json!(false)),
        "{seen}"
    );
    assert_eq!(seen["stopped"]["paused"], true, "{seen}");
    assert!(!seen["first"]["captions"].to_string().contains("showing"), "{seen}");
    assert!(seen["captioned"]["captions"].to_string().contains("showing"), "{seen}");
    assert_eq!(seen["said"], "Captions on");
    assert_eq!((&seen["muted"]["muted"], &seen["loud"]["muted"]), (&json!(true), &json!(false)), "{seen}");
    let at = |moment: &str| seen[moment]["at"].as_f64().unwrap();
    assert!(at("later") > at("stopped") + 4.0, "{seen}");
    assert!(at("earlier") < at("later") - 4.0, "{seen}");
    assert_eq!(seen["focus"], "VIDEO", "{seen}");
    assert_eq!((&seen["last"]["ended"], &seen["last"]["error"]), (&json!(true), &Value::Null), "{seen}");
    assert!((at("last") - 6.0).abs() < 0.1, "{seen}");
    assert!(seen["cues"].as_array().unwrap().contains(&json!("Welcome, Maria")), "{seen}");
}

#[test]
fn the_status_page_reads_well_in_light_and_dark() {
    let place = Place::new();
    let key = place.key("ours", &["read"]);
    let service = place.start("");
    let folder = root().join("target/pages");
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("http://127.0.0.1:{}/status", service.port);
    let seen = drive("look.cjs", &[&url, &folder.display().to_string(), &key]);
    assert_eq!(seen["status"], 200, "{seen}");
    assert_eq!(seen["problems"], json!([]), "{seen}");
    for scheme in ["light", "dark"] {
        // WCAG 2.2, 1.4.3 (AA).
        assert!(seen[scheme].as_f64().unwrap() >= 4.5, "{scheme}: {seen}");
    }
    assert_eq!(
        (&seen["wide"], &seen["narrow"]),
        (&json!(false), &json!(false)),
        "it scrolls one way alone: {seen}"
    );
    let text = seen["text"].as_str().unwrap();
    for part in ["All parts answer.", "Waiting", "Found made", "GStreamer", "Look again"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(seen["rows"].as_u64().unwrap() > 15, "{seen}");
}
