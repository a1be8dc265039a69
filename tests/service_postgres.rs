//! The service on PostgreSQL: its tests once more, and what several processes do that share one.

#![allow(clippy::duplicate_mod, reason = "tests that run on both databases bring their helpers along")]

mod common;

#[path = "service.rs"]
mod basics;
#[path = "service_batches.rs"]
mod batches;
#[path = "service_erase.rs"]
mod erase;
#[path = "service_faults.rs"]
mod faults;
#[path = "service_keys.rs"]
mod keys;
#[path = "service_signed.rs"]
mod signed;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::place::{Place, all_media};
use common::postgres::Server;
use common::service::{Receiver, Service, path_of};
use common::{run, vignette};
use serde_json::json;

/// Accepts renders for so many viewers, and gives their names.
fn renders(service: &Service, count: usize, receiver: &Receiver) -> Vec<String> {
    let hook = format!("http://127.0.0.1:{}/", receiver.port);
    let one = |number: usize| {
        let job =
            json!({ "template": "hello", "data": { "first_name": format!("V {number}") }, "webhook": hook });
        let made = service.post("/v1/renders", &job);
        assert_eq!(made.status, 202, "{}", made.text());
        made.json()["id"].as_str().unwrap().to_owned()
    };
    (0..count).map(one).collect()
}

/// Waits until each is done and its webhook delivered.
fn settled(service: &Service, ids: &[String]) {
    for id in ids {
        assert_eq!(service.ended(id)["state"], "done");
        let state = || service.get(&format!("/v1/renders/{id}")).json()["webhook"]["state"].clone();
        while state() != "delivered" {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// How often each render was told of.
fn told(receiver: &Receiver) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for (_, body) in receiver.heard() {
        *told.entry(body["data"]["id"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    told
}

#[test]
fn processes_share_the_work_and_take_over_from_one_that_was_killed() {
    let place = Place::generated();
    let receiver = Receiver::new(204);
    let config = "private_webhook_hosts = ['127.0.0.1']\n[limits]\njobs = 1\n";
    let (one, two) = (place.start(config), place.start(config));
    let ids = renders(&one, 12, &receiver);
    settled(&two, &ids);
    assert_eq!(told(&receiver), ids.iter().map(|id| (id.clone(), 1)).collect());
    // What one erases, the other does not show any more.
    let made = json!({ "template": "hello", "data": { "first_name": "Maria" }, "viewer": "u1" });
    let link = path_of(one.post("/v1/links", &made).json()["url"].as_str().unwrap());
    assert_eq!(two.get(&format!("{link}master.m3u8")).status, 200);
    assert_eq!(one.ask("DELETE", "/v1/viewers/u1", &[], b"").status, 200);
    while two.get(&format!("{link}master.m3u8")).status == 200 {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(two.get(&format!("{link}master.m3u8")).code(), "link-erased");
    // One that is killed has claimed something, unless all was done by then.
    let ids = renders(&two, 8, &receiver);
    one.kill();
    settled(&two, &ids);
    assert!(ids.iter().all(|id| told(&receiver)[id] >= 1));
    assert!(two.terminate());
}

#[test]
fn a_database_that_freezes_or_ends_loses_nothing() {
    let mut server = Server::start(&[]);
    let place = Place::new().on(server.database());
    let receiver = Receiver::new(204);
    let service = place.start("private_webhook_hosts = ['127.0.0.1']\n");
    let link = service.link("hello", json!({ "first_name": "Maria" }));
    let late = json!({ "template": "hello", "data": { "first_name": "late" } });
    for (down, up) in [("freeze", "thaw"), ("down", "up")] {
        let ids = renders(&service, 3, &receiver);
        server.tell(down);
        let away = Instant::now();
        // Who watches needs no database; who wants to have something written is told to come again.
        for name in all_media(&service, &link).concat() {
            assert_eq!(service.get(&name).status, 200, "{name}");
        }
        let refused = service.post("/v1/renders", &late);
        assert_eq!((refused.status, refused.code().as_str()), (503, "busy"), "{}", refused.text());
        assert!(refused.header("retry-after").is_some());
        assert_eq!(service.get("/healthz").status, 200);
        assert_eq!(service.get("/readyz").status, 503);
        // Twenty seconds at least, in which jobs end and cannot say so.
        std::thread::sleep(Duration::from_secs(20).saturating_sub(away.elapsed()));
        server.tell(up);
        settled(&service, &ids);
        assert!(ids.iter().all(|id| told(&receiver)[id] == 1), "each webhook once");
        assert_eq!(service.get("/readyz").status, 200);
    }
}

#[test]
fn the_database_is_checked_and_its_password_stays_where_it_is() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let check = |text: String| {
        fs::write(&file, text).unwrap();
        let output = run(vignette().args(["serve", "--check-config", "--config"]).arg(&file));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!told.contains("geheim"), "{told}");
        (output.status.success(), told)
    };
    let url = |rest: &str| format!("database = 'postgres://vignette:geheim@127.0.0.1:{rest}'");
    assert!(check(url(&format!("{}/postgres", server.port))).0);
    for (text, words) in [
        (url("1/x"), "127.0.0.1:1/x cannot be reached: "),
        (url(&format!("{}/nowhere", server.port)), "refuses: database \"nowhere\" does not exist"),
        (url(&format!("{}/postgres?sslmode=require", server.port)), "cannot be reached: "),
        (url("port/x"), "this is no URL of PostgreSQL"),
        (format!("databse = {}", &url("1/x")[11..]), "line 1"),
        (url("1/x").replace("x'", "x"), "line 1"),
    ] {
        let (well, told) = check(text);
        assert!(!well && told.contains(words), "{words}: {told}");
    }
}

/// Has openssl make a certificate for two days with these arguments: `{name}.crt`, and `{name}.key`.
fn certify(folder: &Path, name: &str, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
    ]);
    command.args(["-nodes", "-days", "2", "-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn connections_are_encrypted_and_certificates_checked() {
    let folder = tempfile::tempdir().unwrap();
    for authority in ["ca", "stranger"] {
        certify(folder.path(), authority, &["-subj", "/CN=authority"]);
    }
    let own = ["-CA", "ca.crt", "-CAkey", "ca.key", "-subj", "/CN=database"];
    let of_address =
        ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
    certify(folder.path(), "server", &[&own[..], &of_address[..]].concat());
    let server = Server::start_with(&[], Some(folder.path()));
    let url = format!("{}&sslmode=require", server.database());
    let place = Place::new().on(url.clone());
    let mut command = Command::new(env!("CARGO_BIN_EXE_vignette"));
    command.env("SSL_CERT_FILE", folder.path().join("ca.crt"));
    let receiver = Receiver::new(204);
    let service = place.start_by(command, "private_webhook_hosts = ['127.0.0.1']\n");
    settled(&service, &renders(&service, 2, &receiver));
    server.sql(
        "DO $$ BEGIN IF NOT (SELECT count(*) > 0 AND bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = 'vignette') THEN RAISE 'in the open'; END IF; END $$",
    );
    assert!(service.terminate());
    // Somebody else's authority, and another name than the certificate is for.
    let file = folder.path().join("config.toml");
    let check = |url: &str, authority: &str| {
        fs::write(&file, format!("database = '{url}'")).unwrap();
        let mut command = vignette();
        command.env("SSL_CERT_FILE", folder.path().join(authority));
        run(command.args(["serve", "--check-config", "--config"]).arg(&file)).status.success()
    };
    assert!(check(&url, "ca.crt"));
    assert!(!check(&url, "stranger.crt"));
    assert!(!check(&url.replace("127.0.0.1", "localhost"), "ca.crt"));
    assert!(check(&url.replace("127.0.0.1", "localhost").replace("require", "disable"), "stranger.crt"));
}
