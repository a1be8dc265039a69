//! The command line, as a person or a script uses it.

mod common;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use common::{SMALL, package, probe, run, succeed, vignette};
use serde_json::{Value, json};

fn status(command: &mut Command) -> (i32, String, String) {
    let output = run(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_new_template_renders_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("hello");
    succeed(vignette().arg("new").arg(&template));
    for viewer in ["maria", "lucia", "mohammed"] {
        let data = template.join(format!("viewers/{viewer}.json"));
        succeed(vignette().arg("check").arg(&template).arg("--data").arg(&data));
    }
    let out = folder.path().join("maria.mp4");
    let captions = folder.path().join("maria.vtt");
    succeed(
        vignette()
            .arg("render")
            .arg(&template)
            .arg("--data")
            .arg(template.join("viewers/maria.json"))
            .arg("-o")
            .arg(&out)
            .arg("--captions")
            .arg(&captions),
    );
    assert!(probe(&out).frames >= 120, "at least four seconds");
    assert!(fs::read_to_string(captions).unwrap().contains("Hello, Maria!"));
    let (code, _, error) = status(vignette().arg("new").arg(&template));
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("not empty"), "{error}");
}

#[test]
fn check_prints_every_fault_at_once() {
    let template = r##"
vignette: 1
name: wrong
canvas: { width: 161, height: 96, fps: 20 }
data: { properties: { first_name: { type: string, default: there } } }
scenes:
  - name: one
    duration: -1s
    layers:
      - text: "{{frist_name}}"
        stile: { size: 24px }
"##;
    let folder = package(template, &[]);
    let (code, _, error) = status(vignette().arg("check").arg(folder.path()));
    assert_eq!(code, 1);
    for (place, message) in [
        (":4:18: canvas.width: ", "161"),
        (":8:15: scenes[0].duration: ", "-1s"),
        ("scenes[0].layers[0].text: ", "did you mean `first_name`"),
        (":11:9: scenes[0].layers[0].stile: ", "did you mean `style`"),
    ] {
        assert!(error.contains(place) && error.contains(message), "{place}{message} is missing in\n{error}");
    }
    assert!(error.contains("4 faults"), "{error}");
}

#[test]
fn check_looks_at_the_data_too() {
    let folder = package(
        SMALL,
        &[("v.json", br#"{ "first_name": 7 }"#), ("list.json", b"[1]"), ("bad.json", b"{\n x")],
    );
    for (file, said) in [("v.json", "first_name"), ("list.json", "an object"), ("bad.json", ":2:2: ")] {
        let (code, _, error) =
            status(vignette().arg("check").arg(folder.path()).arg("--data").arg(folder.path().join(file)));
        assert_eq!(code, 1, "{file}: {error}");
        assert!(error.contains(said), "{file}: {error}");
    }
}

#[test]
fn schemas_are_printed() {
    let language: Value = serde_json::from_str(&succeed(vignette().arg("schema"))).unwrap();
    assert_eq!(language["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(language["properties"]["scenes"].is_object());
    let folder = package(SMALL, &[]);
    let data: Value = serde_json::from_str(&succeed(vignette().arg("schema").arg(folder.path()))).unwrap();
    assert_eq!(data["properties"]["first_name"]["maxLength"], 40);
}

#[test]
fn data_come_from_files_rows_and_the_command_line() {
    let csv = "first_name,age\nMaria,41\nLi,\n";
    let lines = "{\"first_name\":\"Ana\"}\n{\"first_name\":\"Bo\"}\n";
    // Right, but longer than one viewer's data may be.
    let big = format!("{}{{\"first_name\":\"Ana\"}}", " ".repeat(1 << 20));
    let folder = package(
        SMALL,
        &[
            ("p.csv", csv.as_bytes()),
            ("P2.CSV", csv.as_bytes()),
            ("p.jsonl", lines.as_bytes()),
            ("big.json", big.as_bytes()),
            ("big.jsonl", big.as_bytes()),
        ],
    );
    let fill = |arguments: &[&str]| {
        let mut command = vignette();
        command.arg("fill").arg(folder.path()).args(arguments).current_dir(folder.path());
        let (code, out, error) = status(&mut command);
        let text = serde_json::from_str::<Value>(&out).ok();
        let text = text.map(|video| video["scenes"][0]["layers"][0]["kind"]["text"]["text"].clone());
        (code, text.unwrap_or(json!(error)))
    };
    for (arguments, expected) in [
        (&["--data", "p.csv", "--row", "1"][..], "Hi Maria"),
        (&["--data", "p.csv", "--row", "2"], "Hi Li"),
        (&["--data", "p.jsonl", "--row", "2"], "Hi Bo"),
        (&["--data", "P2.CSV", "--row", "2"], "Hi Li"),
        (&["--set", "first_name=Eva"], "Hi Eva"),
        (&["--set", "first_name=42"], "Hi 42"),
        (&["--set", "first_name=Eva", "--set", "age=7"], "Hi Eva"),
        (&["--data", "p.csv", "--row", "1", "--set", "first_name=Zoë"], "Hi Zoë"),
    ] {
        assert_eq!(fill(arguments), (0, json!(expected)), "{arguments:?}");
    }
    for (arguments, code) in [
        (&["--data", "p.csv"][..], 1),
        (&["--data", "p.csv", "--row", "3"], 1),
        (&["--data", "nowhere.json"], 1),
        (&["--data", "big.json", "--set", "first_name=Eva"], 1),
        (&["--data", "big.jsonl", "--row", "1"], 1),
        (&["--set", "first_name=Eva", "--set", "age=old"], 1),
        (&["--row", "1"], 2),
        (&["--set", "x"], 2),
        (&[], 1),
    ] {
        assert_eq!(fill(arguments).0, code, "{arguments:?}");
    }
}

#[test]
fn data_come_through_standard_input() {
    let folder = package(SMALL, &[]);
    let out = folder.path().join("still.png");
    let mut child = vignette()
        .arg("still")
        .arg(folder.path())
        .args(["--data", "-", "--at", "5f", "-o"])
        .arg(&out)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(br#"{ "first_name": "Maria" }"#).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(image::open(out).unwrap().to_rgb8().dimensions(), (160, 96));
}

#[test]
fn progress_is_json_lines_when_asked_for_and_quiet_when_piped() {
    let folder = package(SMALL, &[]);
    let out = folder.path().join("a.mp4");
    let render = || {
        let mut command = vignette();
        command.arg("render").arg(folder.path()).args(["--set", "first_name=Maria", "-o"]).arg(&out);
        command
    };
    let (code, _, error) = status(render().args(["--progress", "json"]));
    assert_eq!(code, 0, "{error}");
    let lines: Vec<Value> = error.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let done: Vec<u64> = lines
        .iter()
        .filter(|line| line["event"] == "progress")
        .filter_map(|line| line["done"].as_u64())
        .collect();
    assert_eq!(done.last(), Some(&10), "{error}");
    assert!(done.is_sorted(), "{error}");
    assert_eq!(lines.last().unwrap()["event"], "done");
    let (code, text, error) = status(&mut render());
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(text.contains("a.mp4") && text.contains("0.500 s"), "{text}");
}

#[test]
fn warnings_and_errors_are_json_lines_too() {
    let folder = package(SMALL, &[]);
    let render = |arguments: &[&str]| {
        let mut command = vignette();
        command.arg("render").arg(folder.path()).args(["--progress", "json", "-o"]);
        let (code, _, error) = status(command.arg(folder.path().join("a.mp4")).args(arguments));
        let lines: Vec<Value> = error.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        (code, lines)
    };
    let (code, lines) = render(&["--set", "first_name=\u{10FFFD}"]);
    assert_eq!(code, 0, "{lines:?}");
    let warning = lines.iter().find(|line| line["event"] == "warning").unwrap();
    assert!(warning["message"].as_str().unwrap().contains("U+10FFFD"), "{warning}");
    let (code, lines) = render(&["--set", "age=old"]);
    let last = lines.last().unwrap();
    assert_eq!((code, &last["event"]), (1, &json!("error")), "{last}");
    assert!(last["faults"].as_array().unwrap().iter().any(|fault| fault["path"] == "age"), "{last}");
    let (code, lines) = render(&["--captions", "nowhere/a.vtt"]);
    let last = lines.last().unwrap();
    assert_eq!((code, &last["event"]), (3, &json!("error")), "{last}");
    assert!(last["message"].as_str().unwrap().contains("nowhere/a.vtt"), "{last}");
}

#[test]
fn wrong_usage_ends_with_two() {
    let folder = package(SMALL, &[]);
    let path = folder.path().to_str().unwrap();
    for arguments in [
        &["frobnicate"][..],
        &["render", path],
        &["render", path, "--set", "first_name=A", "-o", "a.avi"],
        &["render", path, "--set", "first_name=A", "--format", "hls", "-o", "a.mp4"],
        &["render", path, "--set", "first_name=A", "-o", "hls/other.m3u8"],
        &["render", path, "--set", "first_name=A", "--ladder", "180", "-o", "a.mp4"],
        &["render", path, "--set", "first_name=A", "--ladder", "4320", "-o", "hls/master.m3u8"],
        &["render", path, "--set", "first_name=A", "-o", "a.mp4", "--captions", "a.mp4"],
        &["render", path, "--set", "first_name=A", "--quality", "51", "-o", "a.mp4"],
        &["render", path, "--set", "first_name=A", "--quality", "0", "-o", "a.mp4"],
        // Pictures and animations have no such scale.
        &["render", path, "--set", "first_name=A", "--quality", "20", "-o", "a.jpg"],
        &["render", path, "--set", "first_name=A", "--quality", "20", "-o", "a.gif"],
        &["check", path, "--row", "1"],
        &["still", path, "--set", "first_name=A", "--at", "0s", "-o", "out.jpg"],
        &["render", path, "--set", "first_name=A", "--workers", "0", "-o", "a.mp4"],
        &["still", path, "--set", "first_name=A", "--at", "9s", "-o", "a.png"],
        &["still", path, "--set", "first_name=A", "--at", "soon", "-o", "a.png"],
    ] {
        let (code, _, error) = status(vignette().args(arguments).current_dir(folder.path()));
        assert_eq!(code, 2, "{arguments:?}: {error}");
        assert!(!error.is_empty());
    }
    let before = ["still", path, "--set", "first_name=A", "--at", "-1s", "-o", "a.png"];
    let (code, _, error) = status(vignette().args(before).current_dir(folder.path()));
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("before the start"), "{error}");
}

#[test]
fn only_ordinary_files_are_replaced() {
    let folder = package(SMALL, &[]);
    let out = tempfile::tempdir().unwrap();
    let still = |name: &str| {
        status(
            vignette()
                .arg("still")
                .arg(folder.path())
                .args(["--set", "first_name=A", "--at", "0s", "-o", name])
                .current_dir(out.path()),
        )
    };
    succeed(Command::new("mkfifo").arg(out.path().join("fifo.png")));
    fs::create_dir(out.path().join("folder.png")).unwrap();
    for name in ["fifo.png", "folder.png", "new.png/"] {
        let (code, _, error) = still(name);
        assert_eq!(code, 2, "{name}: {error}");
        assert!(error.contains(name), "{error}");
    }
    // A link stays, and what it leads to is replaced.
    fs::create_dir(out.path().join("real")).unwrap();
    fs::write(out.path().join("real/old.png"), "the old one").unwrap();
    std::os::unix::fs::symlink("real/old.png", out.path().join("link.png")).unwrap();
    let (code, _, error) = still("link.png");
    assert_eq!(code, 0, "{error}");
    assert!(out.path().join("link.png").is_symlink());
    assert_eq!(image::open(out.path().join("real/old.png")).unwrap().to_rgb8().dimensions(), (160, 96));
    std::os::unix::fs::symlink("real/nothing.png", out.path().join("lost.png")).unwrap();
    for name in ["lost.png", "nowhere/a.png", "link.png/a.png"] {
        let (code, _, error) = still(name);
        assert_eq!(code, 3, "{name}: {error}");
        assert!(error.contains(name), "{error}");
    }
    // A name as long as names can be, with an ending in capitals.
    let long = format!("{}.PNG", "x".repeat(251));
    let (code, _, error) = still(&long);
    assert_eq!(code, 0, "{error}");
    let mut left = fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.all(|name| !name.to_string_lossy().ends_with(".part")));
}

#[test]
fn this_machine_at_fault_ends_with_three_and_leaves_nothing() {
    let folder = package(SMALL, &[]);
    let empty = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    // A machine without x264: GStreamer finds no plug-ins but those of its core.
    let (code, _, error) = status(
        vignette()
            .arg("render")
            .arg(folder.path())
            .args(["--set", "first_name=A", "-o"])
            .arg(out.path().join("a.mp4"))
            .env("GST_PLUGIN_SYSTEM_PATH_1_0", empty.path())
            .env("GST_PLUGIN_PATH_1_0", empty.path())
            .env("GST_REGISTRY_1_0", empty.path().join("registry.bin")),
    );
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("gstreamer1.0-plugins-"), "the package is named: {error}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    // A folder that is not there.
    let (code, _, error) = status(
        vignette()
            .arg("render")
            .arg(folder.path())
            .args(["--set", "first_name=A", "-o"])
            .arg(out.path().join("nowhere/a.mp4")),
    );
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("nowhere/a.mp4") && error.contains("does not exist"), "{error}");
    // The captions' folder is looked at before anything is rendered, too.
    let (code, _, error) = status(
        vignette()
            .arg("render")
            .arg(folder.path())
            .args(["--set", "first_name=A", "-o"])
            .arg(out.path().join("a.mp4"))
            .arg("--captions")
            .arg(out.path().join("nowhere/a.vtt")),
    );
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("nowhere/a.vtt"), "{error}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn a_full_disk_under_standard_output_ends_with_three() {
    let folder = package(SMALL, &[]);
    let path = folder.path().to_str().unwrap();
    for arguments in [&["schema"][..], &["fill", path, "--set", "first_name=A"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut child =
            vignette().args(arguments).stdout(Stdio::from(full)).stderr(Stdio::null()).spawn().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(3), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_ends_with_three_and_leaves_nothing() {
    let folder = package(SMALL, &[]);
    let out = tempfile::tempdir().unwrap();
    // A limit on the size of files stands for a full disk: writes beyond it fail in the same way.
    let script =
        r#"trap "" XFSZ; ulimit -f 1; exec "$0" render "$1" --set first_name=A -o "$2" --progress none"#;
    let noisy = SMALL.replace("duration: 500ms", "duration: 3s");
    fs::write(folder.path().join("template.yaml"), noisy).unwrap();
    let (code, _, error) = status(
        Command::new("bash")
            .args(["-c", script, env!("CARGO_BIN_EXE_vignette")])
            .arg(folder.path())
            .arg(out.path().join("a.mp4")),
    );
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("a.mp4"), "{error}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "{error}");
}

#[test]
fn an_interrupted_render_leaves_the_old_file_and_nothing_else() {
    let long = SMALL
        .replace("duration: 500ms", "duration: 600s")
        .replace("width: 160, height: 96", "width: 1280, height: 720");
    let folder = package(&long, &[]);
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("a.mp4");
    fs::write(&file, "the old one").unwrap();
    let mut child = vignette()
        .arg("render")
        .arg(folder.path())
        .args(["--set", "first_name=A", "--progress", "json", "-o"])
        .arg(&file)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Wait until frames are being made, then interrupt.
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("\"progress\""))).unwrap().unwrap();
    succeed(Command::new("kill").args(["-INT", &child.id().to_string()]));
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(fs::read_to_string(&file).unwrap(), "the old one");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let folder = package(SMALL, &[]);
    let mut child = vignette()
        .arg("render")
        .arg(folder.path())
        .args(["--data", "-", "--progress", "json", "-o"])
        .arg(folder.path().join("a.mp4"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It waits for data that do not come, so that one interrupt alone would not end it.
    let input = child.stdin.take();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("\"filling\""))).unwrap().unwrap();
    for _ in 0..50 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        run(Command::new("kill").args(["-INT", &child.id().to_string()]));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    if child.try_wait().unwrap().is_none() {
        child.kill().unwrap();
    }
    assert_eq!(child.wait().unwrap().code(), Some(3));
    drop((input, lines));
}

#[test]
fn characters_without_a_font_are_named() {
    let folder = package(SMALL, &[]);
    let still = |strict: &[&str]| {
        status(
            vignette()
                .arg("still")
                .arg(folder.path())
                .args(["--set", "first_name=\u{10FFFD}", "--at", "0s", "-o"])
                .arg(folder.path().join("a.png"))
                .args(strict),
        )
    };
    let (code, _, error) = still(&[]);
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("scenes[0].layers[0]") && error.contains("U+10FFFD"), "{error}");
    assert_eq!(still(&["--strict"]).0, 1);
}
