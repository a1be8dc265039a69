//! The gallery's templates are right, and so are their viewers.

use std::collections::BTreeMap;
use std::path::Path;

use vignette_templates::blob::Blob;
use vignette_templates::generate::{Generated, GeneratedValue, Provenance, RequestKind, Voice};
use vignette_templates::time::Time;
use vignette_templates::{Fill, OpenOptions, Package, ask, fill};

/// Stands in for the generators: a text is its fallback, speech lasts 70 ms for each character, a picture is empty.
fn answer(kind: &RequestKind) -> GeneratedValue {
    match kind {
        RequestKind::Text(text) => GeneratedValue::Text(text.fallback.clone().unwrap_or_default()),
        RequestKind::Voice(voice) => GeneratedValue::Voice(Voice {
            audio: Blob::new(&b"RIFF\0\0\0\0WAVE"[..]),
            duration: Time::from_ticks(Time::TICKS_PER_SECOND * 7 / 100 * voice.say.chars().count() as i64),
            words: Vec::new(),
            phonemes: Vec::new(),
        }),
        RequestKind::Image(_) | RequestKind::Photo(_) => {
            GeneratedValue::Image(Blob::new(&b"\x89PNG\r\n\x1a\n"[..]))
        }
    }
}

#[test]
fn every_template_fills_for_every_viewer_in_every_rendition() {
    let gallery = Path::new(env!("CARGO_MANIFEST_DIR")).join("gallery");
    let mut videos = 0;
    for folder in std::fs::read_dir(&gallery).unwrap().map(|entry| entry.unwrap().path()) {
        if !folder.join("template.yaml").exists() {
            continue;
        }
        let opened =
            Package::open(&folder, &OpenOptions::default()).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(opened.warnings, [], "{}", folder.display());
        let package = opened.value;
        let template = &package.template;
        for viewer in std::fs::read_dir(folder.join("viewers")).unwrap().map(|entry| entry.unwrap().path()) {
            let name = viewer.display().to_string();
            let text = std::fs::read(&viewer).unwrap();
            let data = template.parse_data(&name, &text).unwrap_or_else(|faults| panic!("{faults}"));
            let mut generated = BTreeMap::new();
            loop {
                let requests = ask(template, &data, &generated, &package.files)
                    .unwrap_or_else(|faults| panic!("{name}: {faults}"));
                if requests.is_empty() {
                    break;
                }
                for request in requests {
                    let provenance = Provenance { provider: "test".into(), ..Provenance::default() };
                    let made = Generated { value: answer(&request.kind), provenance };
                    assert!(generated.insert(request.name, made).is_none(), "{name}: asked twice");
                }
            }
            for (rendition, width, height) in template.renditions() {
                let options = Fill { rendition: Some(rendition) };
                let filled = fill(template, &data, &generated, options, &package.files);
                let video = filled.unwrap_or_else(|faults| panic!("{name} {rendition}: {faults}")).value;
                assert_eq!((video.canvas.width, video.canvas.height), (width, height), "{name} {rendition}");
                assert!(
                    video.frames() > 0 && video.scenes.iter().all(|scene| scene.frames > 0),
                    "{name} {rendition}"
                );
                videos += 1;
            }
        }
    }
    assert!(videos >= 9, "only {videos} videos");
}
