use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::audience::Audience;
use crate::templates::video::Video;

const TEMPLATE: &str = r#"
vignette: 1
name: small
canvas: { width: 64, height: 48, fps: 20 }
data: { required: [name], properties: { name: { type: string, maxLength: 10 } } }
scenes: [{ duration: 500ms, layers: [{ text: "{{name}}", style: { size: 12px } }] }]
"#;

struct Bench {
    folder: tempfile::TempDir,
    engine: Engine,
    template: Template,
    audience: Audience,
}

impl Bench {
    fn new(rows: &str) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("template.yaml"), TEMPLATE).unwrap();
        fs::write(folder.path().join("people.csv"), rows).unwrap();
        let engine = Engine::new().unwrap();
        let template = engine.open(folder.path(), &[]).unwrap().value;
        let audience = Audience::open(&folder.path().join("people.csv")).unwrap();
        Bench { folder, engine, template, audience }
    }

    fn run(&self, options: &BatchOptions, make: &Make<'_>) -> Result<Summary, Error> {
        let out = self.folder.path().join("out");
        run_with(&self.engine, &self.template, &self.audience, &out, options, &(), make)
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join("out").join(name)
    }

    fn results(&self) -> Vec<String> {
        fs::read_to_string(self.out(RESULTS)).unwrap().lines().map(str::to_owned).collect()
    }
}

/// Writes a file that names the video instead of showing it.
fn mark(target: &Path, video: &Video) -> Result<Made, Error> {
    let text = format!("{} frames", video.frames());
    fs::write(target, &text).map_err(|error| io("cannot write".into(), error))?;
    Ok(Made { seconds: 0.5, bytes: text.len() as u64, segments_new: 1, ..Made::default() })
}

#[test]
fn a_row_that_panics_stops_no_other() {
    let bench = Bench::new("name\nAna\nBo\nCleo\n");
    let calls = AtomicU64::new(0);
    let summary = bench
        .run(&BatchOptions::default(), &|_, _, row, target, _, _| {
            assert_ne!(calls.fetch_add(1, Ordering::Relaxed), 1, "the second row");
            mark(target, &row.personal.video)
        })
        .unwrap();
    assert!(summary.ended.is_none());
    assert_eq!((summary.counts.done, summary.counts.failed), (2, 1));
    let results = bench.results();
    assert_eq!(results[1], "Ana,0001.mp4,done,,0.5,9,1,0,");
    assert!(results[2].starts_with("Bo,,failed,") && results[2].contains("panicked"), "{}", results[2]);
    assert_eq!(results.len(), 4);
    assert!(!bench.out("0002.mp4").exists());
}

#[test]
fn what_every_row_would_meet_ends_the_batch() {
    let full = || io("cannot write".into(), std::io::ErrorKind::StorageFull.into());
    let missing = EncodeError::MissingElement { element: "x264enc".into(), package: "ugly" };
    let not_installed = || GenerateError::NotInstalled {
        provider: "flite".into(),
        program: "flite".into(),
        package: "flite".into(),
    };
    let failed = |reasons| GenerateError::AllFailed {
        name: "n".into(),
        kind: crate::generators::Kind::Voice,
        reasons,
    };
    for (error, fatal) in [
        (full(), true),
        (RenderError::Encode(missing).into(), true),
        (failed(vec![not_installed()]).into(), true),
        (failed(vec![not_installed(), GenerateError::Invalid("x".into())]).into(), false),
        (io("cannot name".into(), std::io::ErrorKind::IsADirectory.into()), false),
        (RenderError::Check("x".into()).into(), false),
        (Error::Input("x".into()), false),
        (Error::Options("x".into()), true),
    ] {
        assert_eq!(is_fatal(&error), fatal, "{error}");
    }
    let bench = Bench::new("name\nAna\nBo\nCleo\n");
    let calls = AtomicU64::new(0);
    let first_then_full =
        |_: &Engine, _: &Template, row: &Filled, target: &Path, _: &Output, _: &dyn Observer| match calls
            .fetch_add(1, Ordering::Relaxed)
        {
            0 => mark(target, &row.personal.video),
            _ => Err(full()),
        };
    let summary = bench.run(&BatchOptions::default(), &first_then_full).unwrap();
    assert!(matches!(summary.ended, Some(Ended::Failed { row: Some(2), .. })), "{summary:?}");
    assert_eq!((calls.load(Ordering::Relaxed), bench.results().len()), (2, 2));
    // Only what is not done is done then.
    let options = BatchOptions { resume: true, ..BatchOptions::default() };
    let more = AtomicU64::new(0);
    let summary = bench
        .run(&options, &|_, _, row, target, _, _| {
            more.fetch_add(1, Ordering::Relaxed);
            mark(target, &row.personal.video)
        })
        .unwrap();
    assert_eq!((summary.counts.done, summary.counts.earlier, more.load(Ordering::Relaxed)), (3, 1, 2));
}

#[test]
fn a_file_that_is_gone_or_cut_is_made_again() {
    let bench = Bench::new("name\nAna\nBo\nCleo\n");
    let plain: &Make<'_> = &|_, _, row, target, _, _| mark(target, &row.personal.video);
    bench.run(&BatchOptions::default(), plain).unwrap();
    fs::remove_file(bench.out("0001.mp4")).unwrap();
    fs::write(bench.out("0003.mp4"), "x").unwrap();
    let options = BatchOptions { resume: true, ..BatchOptions::default() };
    let summary = bench.run(&options, plain).unwrap();
    assert_eq!((summary.counts.done, summary.counts.earlier), (3, 1));
    assert_eq!(fs::read_to_string(bench.out("0003.mp4")).unwrap(), "10 frames");
}

#[test]
fn rows_that_failed_are_tried_again() {
    let bench = Bench::new("name\nAna\nBo\n");
    let summary =
        bench.run(&BatchOptions::default(), &|_, _, _, _, _, _| Err(Error::Input("not now".into()))).unwrap();
    assert_eq!(summary.counts.failed, 2);
    let options = BatchOptions { resume: true, ..BatchOptions::default() };
    let summary = bench.run(&options, &|_, _, row, target, _, _| mark(target, &row.personal.video)).unwrap();
    assert_eq!((summary.counts.done, summary.counts.failed, summary.counts.earlier), (2, 0, 0));
    assert!(bench.results().iter().all(|line| !line.contains("not now")));
}

#[test]
fn the_audience_is_not_written_over() {
    let bench = Bench::new("name\nAna\n");
    fs::create_dir(bench.out("")).unwrap();
    fs::copy(bench.folder.path().join("people.csv"), bench.out(RESULTS)).unwrap();
    let audience = Audience::open(&bench.out(RESULTS)).unwrap();
    let out = bench.folder.path().join("out");
    let options = BatchOptions::default();
    let error = run(&bench.engine, &bench.template, &audience, &out, &options, &()).unwrap_err();
    assert!(error.to_string().contains("written over"), "{error}");
    let options = BatchOptions { rendition: Some("tall".into()), ..options };
    let error = run(&bench.engine, &bench.template, &bench.audience, &out, &options, &()).unwrap_err();
    assert!(error.to_string().contains("no rendition `tall`"), "{error}");
}

#[test]
fn warnings_are_few_and_short() {
    let many = told((0..30).map(|n| format!("w{}", n / 2)));
    assert_eq!((many.len(), many.last().map(String::as_str)), (11, Some("and 10 more")));
    assert_eq!(in_one_line("a\n  hint: b\nc"), "a; b; c");
    assert_eq!(in_one_line(&"é".repeat(5000)).chars().count(), MAX_TOLD + 1);
}
