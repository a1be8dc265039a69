//! Names in seventeen writing systems, as people have them: every character is drawn.

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{SMALL, package, root};
use serde_json::json;
use vignette::Engine;

#[test]
fn every_name_has_its_glyphs() {
    let path = root().join(".cache/fixtures/names.json");
    let text = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run scripts/setup.sh --tests", path.display()));
    let names: BTreeMap<String, Vec<String>> = serde_json::from_str(&text).unwrap();
    assert_eq!(names.len(), 17, "writing systems");
    let folder = package(SMALL, &[]);
    let engine = Engine::new().unwrap();
    let template = engine.open(folder.path(), &[]).unwrap().value;
    let mut wrong = Vec::new();
    let mut blank = None;
    for (script, name) in
        names.iter().flat_map(|(script, names)| names.iter().take(40).map(move |name| (script, name)))
    {
        let data = template.data("data", json!({ "first_name": name })).unwrap();
        let video = engine.personalise(&template, &data, None).unwrap().value;
        let prepared = engine.prepare(&template, &video).unwrap();
        wrong.extend(
            prepared
                .warnings
                .iter()
                .filter(|warning| warning.severe)
                .map(|warning| format!("{script}: {warning}")),
        );
        let frame = prepared.frame(0).unwrap();
        let without = blank.get_or_insert_with(|| {
            let data = template.data("data", json!({ "first_name": "" })).unwrap();
            let video = engine.personalise(&template, &data, None).unwrap().value;
            engine.prepare(&template, &video).unwrap().frame(0).unwrap()
        });
        if frame.y == without.y {
            wrong.push(format!("{script}: a name left no trace"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
