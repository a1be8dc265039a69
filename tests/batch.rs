//! `vignette batch`, as a person or a script uses it: every row, resumed wherever it was ended, on disks that fill up.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::BufRead;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::{package, probe, run, succeed, vignette};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use serde_json::Value;
use tempfile::TempDir;

/// A video as long as the row says, with a tone, so that longer ones are larger files.
const TEMPLATE: &str = r##"
vignette: 1
name: small
canvas: { width: 96, height: 64, fps: 20, background: "#101828" }
renditions: { tall: { width: 64, height: 96 } }
data:
  required: [first_name]
  properties: { first_name: { type: string, maxLength: 12 }, frames: { type: integer, default: 6 } }
assets: { tone: { audio: tone.wav } }
scenes:
  - name: one
    duration: "{{frames}}f"
    layers:
      - text: "Hi {{first_name}}"
        style: { size: 14px, color: white, fit: shrink }
        box: { x: 5%, y: 30%, width: 90%, height: 40% }
  - name: two
    duration: 6f
    layers: [{ rect: { fill: "#ff8800" } }]
audio: [{ asset: tone, loop: true }]
"##;

const JOURNAL: &str = ".vignette-batch.jsonl";

struct Bench {
    package: TempDir,
    out: TempDir,
}

impl Bench {
    fn new(audiences: &[(&str, &[u8])]) -> Bench {
        let tone = fs::read(common::root().join("fixtures/media/tone.wav")).unwrap();
        let files: Vec<(&str, &[u8])> =
            audiences.iter().copied().chain([("tone.wav", tone.as_slice())]).collect();
        Bench { package: package(TEMPLATE, &files), out: tempfile::tempdir().unwrap() }
    }

    /// A batch of `audience` into `out`, quiet.
    fn batch(&self, audience: &str, out: &str) -> Command {
        let mut command = vignette();
        command
            .arg("batch")
            .arg(self.package.path())
            .arg("--audience")
            .arg(self.package.path().join(audience));
        command.arg("-o").arg(self.out(out));
        command
    }

    fn out(&self, name: &str) -> PathBuf {
        self.out.path().join(name)
    }

    fn table(&self, out: &str) -> Vec<BTreeMap<String, String>> {
        table(&self.out(out))
    }
}

fn status(command: &mut Command) -> (i32, String, String) {
    let output = run(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// The rows of results.csv by the names of their columns.
fn table(folder: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(folder.join("results.csv")).unwrap();
    let heads = reader.headers().unwrap().clone();
    let rows = reader.byte_records().map(|row| {
        let row = row.unwrap();
        let cells = row.iter().map(|cell| String::from_utf8_lossy(cell).into_owned());
        heads.iter().map(str::to_owned).zip(cells).collect()
    });
    rows.collect()
}

fn column<'a>(table: &'a [BTreeMap<String, String>], name: &str) -> Vec<&'a str> {
    table.iter().map(|row| row[name].as_str()).collect()
}

/// Every file of a folder with what it holds, the journal aside: its lines stand in the order of making.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
    files.filter(|(name, _)| name != JOURNAL).collect()
}

#[test]
fn every_row_has_a_line_and_what_can_be_made_is_made() {
    let csv = [
        &b"viewer_id, first_name ,frames,status,note\n"[..],
        b"7,Maria,,gold,=cmd()\n",
        b"8,\"Maximiliana Augusta\",,,\n",
        b"9,Li\n",
        b"10,J\xf6rg,,,\n",
        b"11,\"Li, Wei\",9,,\"a\nb\"\n",
        b"12,\xf4\x8f\xbf\xbd,,,\n",
    ]
    .concat();
    let bench = Bench::new(&[("people.csv", &csv)]);
    let (code, text, error) = status(&mut bench.batch("people.csv", "out"));
    assert_eq!((code, error.as_str()), (1, ""), "quiet when piped");
    assert!(text.contains("3 done, 3 failed, of 6 rows"), "{text}");

    let header = fs::read_to_string(bench.out("out/results.csv").as_path()).unwrap_or_else(|_| {
        String::from_utf8_lossy(&fs::read(bench.out("out/results.csv")).unwrap()).into_owned()
    });
    assert!(
        header.starts_with(
            "viewer_id,first_name,frames,status,note,file,vignette_status,error,duration,size,segments_new,\
             segments_reused,warnings\n"
        ),
        "{header}"
    );
    let table = bench.table("out");
    assert_eq!(
        column(&table, "viewer_id"),
        ["7", "8", "9", "10", "11", "12"],
        "in the order of the audience"
    );
    assert_eq!(column(&table, "vignette_status"), ["done", "failed", "failed", "failed", "done", "done"]);
    assert_eq!(column(&table, "file"), ["0001.mp4", "", "", "", "0005.mp4", "0006.mp4"]);
    assert_eq!((table[0]["status"].as_str(), table[0]["note"].as_str()), ("gold", "=cmd()"), "as they came");
    assert_eq!(table[4]["note"], "a\nb");
    for (row, said) in [(1, "at most 12 characters"), (2, "2 cells, the header 5"), (3, "not UTF-8")] {
        assert!(
            table[row]["error"].contains(said) && !table[row]["error"].contains('\n'),
            "{:?}",
            table[row]
        );
    }
    assert!(table[5]["warnings"].contains("U+10FFFD"), "{:?}", table[5]);
    // Byte by byte, also what is no text.
    let bytes = fs::read(bench.out("out/results.csv")).unwrap();
    assert!(bytes.windows(5).any(|window| window == b"J\xf6rg,"));
    for (row, frames) in [(0, 12), (4, 15)] {
        let file = bench.out("out").join(&table[row]["file"]);
        assert_eq!(probe(&file).frames, frames);
        assert_eq!(table[row]["duration"].parse::<f64>().unwrap(), frames as f64 / 20.0);
        assert_eq!(table[row]["size"].parse::<u64>().unwrap(), fs::metadata(&file).unwrap().len());
        let segments =
            ["segments_new", "segments_reused"].map(|name| table[row][name].parse::<u64>().unwrap());
        assert!(segments.iter().sum::<u64>() >= 2, "{segments:?}");
    }
    for name in [JOURNAL, "results.csv"] {
        let mode = fs::metadata(bench.out("out").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name} holds viewers' data");
    }
    let expected: Vec<&str> = vec!["0001.mp4", "0005.mp4", "0006.mp4", "results.csv"];
    assert_eq!(files(&bench.out("out")).keys().collect::<Vec<_>>(), expected);
}

#[test]
fn files_are_called_as_the_data_say_and_never_anything_else() {
    let csv = "viewer_id,first_name\nab/../c,Ana\n.hidden,Bo\nab_.._c,Cleo\n...,Dan\nok,Eve\n";
    let bench = Bench::new(&[("people.csv", csv.as_bytes())]);
    let (code, _, error) = status(bench.batch("people.csv", "out").args(["--name", "{{viewer_id}}"]));
    assert_eq!(code, 1, "{error}");
    let table = bench.table("out");
    assert_eq!(column(&table, "file"), ["ab_.._c.mp4", "hidden.mp4", "", "", "ok.mp4"]);
    assert!(table[2]["error"].contains("row 1"), "{:?}", table[2]);
    assert!(table[3]["error"].contains("--name"), "{:?}", table[3]);
    assert_eq!(fs::read_dir(bench.out.path()).unwrap().count(), 1, "nothing outside the folder");
    // The number keeps names apart, and the data may be used in any way that a template can.
    let (code, _, error) = status(bench.batch("people.csv", "apart").args([
        "--limit",
        "3",
        "--name",
        "{{row}} {{upper first_name}}",
    ]));
    assert_eq!(code, 0, "{error}");
    assert_eq!(column(&bench.table("apart"), "file"), ["1 ANA.mp4", "2 BO.mp4", "3 CLEO.mp4"]);
    for (name, code, said) in
        [("{{viewerid}}", 1, "did you mean `viewer_id`?"), ("video", 2, "same name"), ("{{#if}}", 2, "")]
    {
        let (found, _, error) = status(bench.batch("people.csv", "never").args(["--name", name]));
        assert_eq!(found, code, "{name}: {error}");
        assert!(error.contains(said), "{name}: {error}");
    }
    assert!(!bench.out("never").exists());
}

#[test]
fn all_formats_give_the_same_videos() {
    let csv = "first_name,frames\nMaria,9\nZoë,\n";
    let lines = "{\"first_name\":\"Maria\",\"frames\":9}\n\n{\"first_name\":\"Zoë\"}\n";
    let schema = "message people { required binary first_name (utf8); optional int64 frames; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let mut table = Vec::new();
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(&mut table, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut names = group.next_column().unwrap().unwrap();
    let texts = ["Maria", "Zoë"].map(ByteArray::from);
    names.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
    names.close().unwrap();
    let mut frames = group.next_column().unwrap().unwrap();
    frames.typed::<Int64Type>().write_batch(&[9], Some(&[1, 0]), None).unwrap();
    frames.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let bench = Bench::new(&[
        ("people.csv", csv.as_bytes()),
        ("people.jsonl", lines.as_bytes()),
        ("people.parquet", &table),
    ]);
    for audience in ["people.csv", "people.jsonl", "people.parquet"] {
        let (code, _, error) = status(&mut bench.batch(audience, audience));
        assert_eq!(code, 0, "{audience}: {error}");
    }
    let expected = files(&bench.out("people.csv"));
    assert_eq!(expected.len(), 3);
    assert_ne!(expected["0001.mp4"], expected["0002.mp4"]);
    for audience in ["people.jsonl", "people.parquet"] {
        assert!(files(&bench.out(audience)) == expected, "{audience}");
    }
    // One row alone is the same video, too.
    let alone = bench.out("alone.mp4");
    succeed(
        vignette()
            .arg("render")
            .arg(bench.package.path())
            .arg("--data")
            .arg(bench.package.path().join("people.parquet"))
            .args(["--row", "2", "-o"])
            .arg(&alone),
    );
    assert!(fs::read(&alone).unwrap() == expected["0002.mp4"]);
}

#[test]
fn rows_are_written_in_the_format_that_is_asked_for() {
    let bench = Bench::new(&[("people.csv", b"first_name\nAna\nBo\nCleo\n")]);
    for (format, more, file, again) in [
        ("webm", &[][..], "0002.webm", "0002.webm"),
        ("hls", &["--codec", "h265", "--ladder", "64"], "0002/master.m3u8", "0002/s"),
        ("gif", &["--to", "250ms", "--fps", "20"], "0002.gif", "0002.gif"),
        ("jpeg", &["--at", "3f"], "0002.jpg", "0002.jpg"),
    ] {
        let batch = |more: &[&str]| {
            let mut command = bench.batch("people.csv", format);
            command.args(["--format", format]).args(more);
            succeed(&mut command)
        };
        let text = batch(more);
        assert!(text.contains("3 done, 0 failed, of 3 rows"), "{text}");
        let rows = bench.table(format);
        assert_eq!(column(&rows, "file")[1], file);
        let found = bench.out(format).join(file);
        assert!(found.is_file(), "{format}");
        let before = fs::read(&found).unwrap();
        // What is damaged is made again, and nothing else.
        let damaged = bench.out(format).join(again);
        if damaged.is_dir() {
            let media = fs::read_dir(&damaged).unwrap().next().unwrap().unwrap().path();
            fs::remove_file(media).unwrap();
        } else {
            fs::write(&damaged, "x").unwrap();
        }
        let text = batch(&[more, &["--resume"]].concat());
        assert!(text.contains("3 done (2 before), 0 failed, of 3 rows"), "{text}");
        assert!(fs::read(&found).unwrap() == before, "{format}");
        let text = batch(&[more, &["--resume"]].concat());
        assert!(text.contains("3 done (3 before), 0 failed, of 3 rows"), "{text}");
        // Another codec or part would be another batch.
        let mut other = bench.batch("people.csv", format);
        other.args(["--format", format, "--resume"]).args(match format {
            "webm" => &["--codec", "av1"][..],
            "hls" => &["--ladder", "64"],
            _ => &["--width", "32"],
        });
        let (code, _, error) = status(&mut other);
        assert_eq!(code, 1, "{format}: {error}");
    }
}

#[test]
fn options_go_for_every_row() {
    let bench = Bench::new(&[("people.csv", b"first_name\nAna\nBo\nCleo\n")]);
    let (code, _, error) = status(bench.batch("people.csv", "out").args([
        "--rendition",
        "tall",
        "--set",
        "frames=8",
        "--limit",
        "2",
        "--workers",
        "1",
        "--quality",
        "40",
    ]));
    assert_eq!(code, 0, "{error}");
    let table = bench.table("out");
    assert_eq!(column(&table, "file"), ["0001.mp4", "0002.mp4"]);
    let probed = probe(&bench.out("out/0002.mp4"));
    assert_eq!((probed.width, probed.height, probed.frames), (64, 96, 14));
    let (code, _, error) = status(bench.batch("people.csv", "never").args(["--rendition", "wide"]));
    assert_eq!(code, 1, "one error, not one for each row");
    assert!(error.contains("one of `default`, `tall`"), "{error}");
}

#[test]
fn progress_is_told_to_programs() {
    let bench = Bench::new(&[("people.csv", b"first_name\nAna\nMaximiliana Augusta\nCleo\n")]);
    let (code, text, error) = status(bench.batch("people.csv", "out").args(["--progress", "json"]));
    assert_eq!((code, text.as_str()), (1, ""));
    let lines: Vec<Value> = error.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["event"], &last["done"], &last["failed"]),
        (&"done".into(), &2.into(), &1.into()),
        "{last}"
    );
    assert!(last["results"].as_str().unwrap().ends_with("results.csv"));
    assert!(lines.iter().any(|line| line["event"] == "progress" && line["total"] == 3), "{error}");
    assert!(!error.contains("Ana") && !error.contains("Augusta"), "no viewer's data: {error}");
}

/// The files whose rows have their line in the journal, with their inodes.
fn finished(folder: &Path) -> BTreeMap<String, u64> {
    let journal = fs::read_to_string(folder.join(JOURNAL)).unwrap_or_default();
    let whole = journal.split_inclusive('\n').filter(|line| line.ends_with('\n')).skip(1);
    let rows = whole.map(|line| serde_json::from_str::<Value>(line).unwrap()["row"].as_u64().unwrap());
    let names = rows.map(|row| format!("{row:04}.mp4"));
    names.map(|name| (name.clone(), fs::metadata(folder.join(&name)).unwrap().ino())).collect()
}

#[test]
fn a_batch_goes_on_wherever_it_was_killed() {
    let names = ["Ana", "Bo", "Cleo", "Dan", "Eve", "Fay", "Gil", "Hal", "Ida", "Jo"];
    let mut csv = String::from("first_name,frames\n");
    for (index, name) in names.iter().enumerate() {
        csv.push_str(&format!("{name},{}\n", 6 + index % 3));
    }
    let bench = Bench::new(&[("people.csv", csv.as_bytes())]);
    let begun = std::time::Instant::now();
    let (code, _, error) = status(&mut bench.batch("people.csv", "whole"));
    assert_eq!(code, 0, "{error}");
    let took = begun.elapsed();
    let whole = files(&bench.out("whole"));
    assert_eq!(whole.len(), names.len() + 1);

    let mut random = 20_260_115u64;
    let mut next = move || {
        // Knuth's MMIX generator; its upper bits are the random ones.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as f64 / f64::from(1u32 << 31)
    };
    let (mut kills, mut finished_by_kill, mut round) = (0, 0, 0);
    while kills < 20 {
        round += 1;
        let name = format!("killed-{round}");
        let out = bench.out(&name);
        let store = bench.out(&format!("store-{round}"));
        let mut before: BTreeMap<String, u64> = BTreeMap::new();
        loop {
            let mut child = bench
                .batch("people.csv", &name)
                .arg("--resume")
                .arg("--store")
                .arg(&store)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            if kills < 20 {
                std::thread::sleep(took.mul_f64(next() * 0.9));
                if child.try_wait().unwrap().is_none() {
                    child.kill().unwrap();
                    kills += 1;
                }
            }
            let ended = child.wait().unwrap();
            let after = if out.exists() { finished(&out) } else { BTreeMap::new() };
            for (file, inode) in &before {
                assert_eq!(after.get(file), Some(inode), "{file} was rendered again");
            }
            finished_by_kill += after.len() - before.len();
            before = after;
            if ended.success() {
                break;
            }
            assert_eq!(ended.code(), None, "it ended by itself, and not well");
        }
        let found = files(&out);
        assert_eq!(found.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>(), "round {round}");
        for (name, bytes) in &whole {
            if name == "results.csv" {
                continue;
            }
            assert!(found[name] == *bytes, "{name} of round {round} differs");
        }
        // Where segments come from may differ, the rest may not.
        let figures = |out: &str| {
            let mut table = bench.table(out);
            for row in &mut table {
                let segments = ["segments_new", "segments_reused"].map(|name| row.remove(name).unwrap());
                let sum: u64 = segments.iter().map(|count| count.parse::<u64>().unwrap()).sum();
                row.insert("segments".to_owned(), sum.to_string());
            }
            table
        };
        assert_eq!(figures(&name), figures("whole"), "round {round}");
        // Whatever was being kept when the process died, the store is sound and holds nothing unfinished.
        succeed(vignette().args(["store", "verify", "--store"]).arg(&store));
        let unfinished = || fs::read_dir(store.join("v1/tmp")).map_or(0, |files| files.count());
        if unfinished() > 0 {
            // What was begun within two seconds may have a writer that has only just begun; whoever opens the store later removes it.
            std::thread::sleep(Duration::from_millis(2_500));
            succeed(vignette().args(["store", "verify", "--store"]).arg(&store));
        }
        assert_eq!(unfinished(), 0, "round {round}");
    }
    assert!(finished_by_kill >= names.len(), "kills came before anything was done");
}

#[test]
fn a_batch_is_only_resumed_with_what_it_was_begun_with() {
    let bench =
        Bench::new(&[("people.csv", b"first_name\nAna\nBo\n"), ("others.csv", b"first_name\nAna\nBob\n")]);
    let (code, _, error) = status(&mut bench.batch("people.csv", "out"));
    assert_eq!(code, 0, "{error}");
    let (code, _, error) = status(&mut bench.batch("people.csv", "out"));
    assert_eq!(code, 1);
    assert!(error.contains("--resume") && error.contains("another folder"), "{error}");
    let before = files(&bench.out("out"));
    let settings = bench.package.path().join("generators.toml");
    fs::write(&settings, "[image]\nuse = []\n").unwrap();
    let approved = bench.package.path().join("copy.json");
    fs::write(&approved, "{ \"vignette_copy\": 1, \"copy\": [] }").unwrap();
    let (photos, settings, approved) =
        (bench.package.path().to_str().unwrap(), settings.to_str().unwrap(), approved.to_str().unwrap());
    for (audience, more, said) in [
        ("others.csv", &[][..], "another audience"),
        ("people.csv", &["--assets", photos], "another --assets"),
        ("people.csv", &["--generators", settings], "another --generators"),
        ("people.csv", &["--approved", approved], "another --approved"),
        ("people.csv", &["--quality", "30"], "another --quality"),
        ("people.csv", &["--name", "{{first_name}}"], "another --name"),
        ("people.csv", &["--set", "frames=7"], "another --set"),
        ("people.csv", &["--rendition", "tall"], "another --rendition"),
    ] {
        let (code, _, error) = status(bench.batch(audience, "out").arg("--resume").args(more));
        assert_eq!(code, 1, "{said}: {error}");
        assert!(error.contains(said), "{error}");
    }
    // An asset that the template names is part of it.
    let tone = bench.package.path().join("tone.wav");
    let kept = fs::read(&tone).unwrap();
    let mut other = kept.clone();
    let last = other.len() - 1;
    other[last] ^= 1;
    fs::write(&tone, other).unwrap();
    let (code, _, error) = status(bench.batch("people.csv", "out").arg("--resume"));
    assert_eq!(code, 1);
    assert!(error.contains("another template"), "{error}");
    fs::write(&tone, kept).unwrap();
    assert!(files(&bench.out("out")) == before);
    // With the same there is nothing left to do, whatever a service may cost now.
    fs::write(settings, "deadline = \"30s\"\n").unwrap();
    let (code, text, error) = status(bench.batch("people.csv", "out").args([
        "--resume",
        "--workers",
        "1",
        "--generators",
        settings,
    ]));
    assert_eq!(code, 0, "{error}");
    assert!(text.contains("2 done (2 before)"), "{text}");
    assert!(files(&bench.out("out")) == before);
}

#[test]
fn a_full_disk_ends_the_batch_and_not_every_row() {
    let csv = "first_name,frames\nAna,6\nBo,6\nCleo,200\nDan,6\nEve,6\n";
    let bench = Bench::new(&[("people.csv", csv.as_bytes())]);
    let (code, _, error) = status(&mut bench.batch("people.csv", "whole"));
    assert_eq!(code, 0, "{error}");
    let whole = files(&bench.out("whole"));
    let size = |name: &str| whole[name].len() as u64;
    // Room for the short videos, but not for the long one.
    let room = (size("0001.mp4") + size("0003.mp4")) / 2 / 1024;
    assert!(size("0001.mp4") < room * 1024 && room * 1024 < size("0003.mp4"), "{room}");
    // A limit on the size of files stands for a full disk: writes beyond it fail in the same way.
    let script = format!(r#"trap "" XFSZ; ulimit -f {room}; exec "$0" "$@""#);
    let mut limited = Command::new("bash");
    limited.env("VIGNETTE_STORE", "memory:");
    limited.args(["-c", &script, env!("CARGO_BIN_EXE_vignette"), "batch"]).arg(bench.package.path());
    limited.arg("--audience").arg(bench.package.path().join("people.csv")).arg("-o").arg(bench.out("out"));
    let (code, text, error) = status(&mut limited);
    assert_eq!(code, 3, "{error}");
    assert_eq!(error.lines().count(), 1, "one error: {error}");
    assert!(error.contains("row 3") && error.contains("0003.mp4") && error.contains("--resume"), "{error}");
    assert!(text.contains("2 done, 0 failed, of 5 rows"), "{text}");
    assert_eq!(column(&bench.table("out"), "file"), ["0001.mp4", "0002.mp4"]);
    let left: Vec<String> = files(&bench.out("out")).into_keys().collect();
    assert_eq!(left, ["0001.mp4", "0002.mp4", "results.csv"]);
    let (code, text, error) = status(bench.batch("people.csv", "out").arg("--resume"));
    assert_eq!(code, 0, "{error}");
    assert!(text.contains("5 done (2 before)"), "{text}");
    // Which segments were new differs, as the second half began with an empty store.
    let videos = |mut files: BTreeMap<String, Vec<u8>>| {
        files.remove("results.csv").expect("a table of results");
        files
    };
    assert!(videos(files(&bench.out("out"))) == videos(whole));
}

#[test]
fn a_disk_without_room_for_the_journal_ends_the_batch_too() {
    let bench = Bench::new(&[("people.csv", b"first_name\nAna\n")]);
    let script = r#"trap "" XFSZ; ulimit -f 0; exec "$0" "$@""#;
    let mut limited = Command::new("bash");
    limited.env("VIGNETTE_STORE", "memory:");
    limited.args(["-c", script, env!("CARGO_BIN_EXE_vignette"), "batch"]).arg(bench.package.path());
    limited.arg("--audience").arg(bench.package.path().join("people.csv")).arg("-o").arg(bench.out("out"));
    let (code, _, error) = status(&mut limited);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains(JOURNAL), "{error}");
    // What is left is no obstacle.
    let (code, _, error) = status(bench.batch("people.csv", "out").arg("--resume"));
    assert_eq!(code, 0, "{error}");
    assert_eq!(column(&bench.table("out"), "status"), ["done"]);
}

#[test]
fn an_interrupt_ends_cleanly() {
    let mut csv = String::from("first_name,frames\n");
    (0..60).for_each(|row| csv.push_str(&format!("A{row},60\n")));
    let bench = Bench::new(&[("people.csv", csv.as_bytes())]);
    let mut child = bench
        .batch("people.csv", "out")
        .args(["--progress", "json"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines().map(|line| line.unwrap());
    let done = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["event"] == "progress" && line["done"].as_u64() >= Some(1)
    };
    lines.find(done).unwrap();
    succeed(Command::new("kill").args(["-INT", &child.id().to_string()]));
    let told: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{told:?}");
    assert!(told.iter().any(|line| line.contains("interrupted") && line.contains("--resume")), "{told:?}");
    let table = bench.table("out");
    assert!((1..60).contains(&table.len()), "{}", table.len());
    assert!(table.iter().all(|row| row["status"] == "done"));
    let files = files(&bench.out("out"));
    assert_eq!(files.len(), table.len() + 1, "{:?}", files.keys());
}

#[test]
fn what_a_killed_process_left_is_removed_and_nothing_else() {
    let bench = Bench::new(&[("people.csv", b"first_name\nAna\n")]);
    fs::create_dir(bench.out("out")).unwrap();
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    // A process that ran, and is no more.
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    std::thread::sleep(Duration::from_millis(20));
    let running = format!(".vignette-{}-0.part", other.id());
    let left = format!(".vignette-{}-3.part", gone.id());
    for name in [&running, &left] {
        fs::write(bench.out("out").join(name), "x").unwrap();
    }
    let (code, _, error) = status(&mut bench.batch("people.csv", "out"));
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(code, 0, "{error}");
    let names: Vec<String> = files(&bench.out("out")).into_keys().collect();
    assert_eq!(names, [running.as_str(), "0001.mp4", "results.csv"]);
}
