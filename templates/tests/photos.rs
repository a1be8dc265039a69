//! Photos of a viewer's own: what is asked, and what is shown when there is none.

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::{PNG, faults, open, world};
use vignette_templates::blob::Digest;
use vignette_templates::generate::{
    Crop, Enlarge, Generated, GeneratedValue, PhotoRequest, PhotoStyle, Provenance, RequestKind,
};
use vignette_templates::video::LayerKind;
use vignette_templates::{Fill, ask, fill};

fn template(asset: &str, photo: &str) -> String {
    format!(
        "vignette: 1\nname: t\ncanvas: {{ width: 64, height: 48 }}\ndata:\n  properties:\n    \
         photo: {{ type: string, x-pii: true, default: \"\" }}\n    style: {{ type: string, default: mist }}\n\
         assets: {{ own: {asset}, other: {{ image: photos/maria.png }} }}\n\
         generate:\n  portrait: {{ photo: {photo} }}\n\
         scenes: [{{ name: s, duration: 1s, layers: [{{ image: portrait }}, {{ image: other, opacity: 0 }}] }}]\n"
    )
}

const OWN: &str = "{ image: \"{{photo}}\" }";
const OWN_OR_DRAWN: &str = "{ image: \"{{photo}}\", fallback: assets/person.svg }";
const PLAIN: &str = "{ from: own, width: 32, height: 24 }";

fn maria() -> Value {
    json!({ "photo": "photos/maria.png" })
}

fn asked(text: &str, data: Value) -> Result<Vec<PhotoRequest>, String> {
    let template = open(text);
    let data = template.data("viewer", data).unwrap();
    let requests = ask(&template, &data, &BTreeMap::new(), &world()).map_err(|faults| faults.to_string())?;
    Ok(requests
        .into_iter()
        .map(|request| match request.kind {
            RequestKind::Photo(photo) => {
                assert_eq!(request.name, "portrait");
                // It goes nowhere, whatever it was chosen by.
                assert!(request.viewer.fields.is_empty() && !request.viewer.may_be_sent);
                photo
            }
            other => panic!("{other:?}"),
        })
        .collect())
}

#[test]
fn a_photo_is_asked_for_by_its_content() {
    let photo = asked(&template(OWN, PLAIN), maria()).unwrap().remove(0);
    assert_eq!(photo.source.digest, Digest::of(PNG));
    assert_eq!(photo.source.file.as_ref().unwrap().bytes()[..], *PNG);
    let expected = PhotoRequest::new(photo.source.file.clone().unwrap(), 32, 24);
    assert_eq!(photo, expected);
    let written = serde_json::to_string(&RequestKind::Photo(photo)).unwrap();
    assert!(written.contains(&Digest::of(PNG).to_string()) && written.len() < 400, "{written}");

    let all = "{ from: own, width: 32, height: 24, crop: none, cut_out: true, enlarge: off, denoise: true, \
               style: \"{{style}}\", strength: 40%, refuse: 0.8, fallback: assets/person.svg }";
    let photo = asked(&template(OWN, all), maria()).unwrap().remove(0);
    let style = Some(PhotoStyle::Named("mist".to_owned()));
    assert_eq!((photo.crop, photo.enlarge, photo.style), (Crop::None, Enlarge::Off, style));
    assert_eq!((photo.cut_out, photo.denoise), (true, true));
    assert_eq!((photo.strength, photo.refuse), (0.4, Some(0.8)));

    let like = "{ from: own, width: 32, height: 24, like: other }";
    let photo = asked(&template(OWN, like), maria()).unwrap().remove(0);
    assert!(matches!(photo.style, Some(PhotoStyle::Like(source)) if source.digest == Digest::of(PNG)));
}

#[test]
fn what_is_wrong_is_found_before_there_is_a_viewer() {
    for (photo, expected) in [
        ("{ from: own, width: 32 }", "the field `height` is missing"),
        ("{ from: onw, width: 32, height: 24 }", "unknown image `onw`"),
        ("{ from: portrait, width: 32, height: 24 }", "`portrait` is generated"),
        ("{ from: own, width: 32, height: 24, crop: fase }", "did you mean `face`?"),
        (
            "{ from: own, width: 32, height: 24, style: mist, like: other }",
            "`style` and `like` cannot stand together",
        ),
        ("{ from: own, width: 32, height: 24, strength: 1.5 }", "a number from 0 to 1"),
        ("{ from: own, width: 32, height: 24, refuse: \"{{style}}\" }", "refuse"),
        ("{ from: own, width: 32, height: 24, fallback: no.png }", "no.png"),
    ] {
        let found = faults(&template(OWN, photo));
        assert!(found.contains(expected), "{photo}: {found}");
    }
}

/// Styles, and all else that is done to a photo, are for pictures: a video is refused where it is named, with what to do.
#[test]
fn a_video_is_not_worked_on_as_a_picture() {
    let clip = "{ video: assets/office.webm }";
    let plain = "{ from: own, width: 32, height: 24 }";
    for (text, field) in [
        (template(clip, "{ from: own, width: 32, height: 24, style: night }"), "from"),
        (template(clip, "{ from: other, width: 32, height: 24, like: own }"), "like"),
        (edit(clip, "{ prompt: add a hat, from: own }"), "from"),
        (edit(clip, "{ prompt: add a hat, from: other, mask: own }"), "mask"),
    ] {
        let found = faults(&text);
        let at = ["photo", "image"].map(|kind| format!("generate.portrait.{kind}.{field}: "));
        let told = "the asset `own` is a video, not an image\n  hint: styles, the other operations on photos, and changes by \
                    a service are for pictures, not for video: name an `image` asset";
        assert!(at.iter().any(|at| found.contains(&format!("{at}{told}"))), "{found}");
        assert!(found.starts_with("t.yaml:10:"), "{found}");
    }
    // Where the data say which asset it is, they are told so too.
    let chosen = template(clip, &plain.replace("own", "\"{{style}}\""));
    let found = asked(&chosen, json!({ "style": "own" })).unwrap_err();
    assert!(found.contains("is a video, not an image") && found.contains("not for video"), "{found}");
    // A video under the name of a picture is no picture.
    let found = faults(&template("{ image: assets/office.webm }", plain));
    assert!(found.contains("assets.own.image: \"assets/office.webm\": expected an image"), "{found}");
}

fn edit(asset: &str, image: &str) -> String {
    template(asset, PLAIN).replace(&format!("{{ photo: {PLAIN} }}"), &format!("{{ image: {image} }}"))
}

#[test]
fn a_picture_is_changed_by_its_content_and_counts_as_personal() {
    let all = "{ prompt: add a hat, from: own, mask: other, width: 32, height: 24, send_personal: true }";
    for (image, may_be_sent, or_unchanged) in [
        ("{ prompt: add a hat, from: own }", false, true),
        (all, true, true),
        ("{ prompt: add a hat, from: own, fallback: assets/person.svg }", false, false),
    ] {
        let template = open(&edit(OWN, image));
        let data = template.data("viewer", maria()).unwrap();
        let request = ask(&template, &data, &BTreeMap::new(), &world()).unwrap().remove(0);
        assert_eq!(
            (request.viewer.fields, request.viewer.may_be_sent),
            (vec!["/photo".to_owned()], may_be_sent)
        );
        let RequestKind::Image(asked) = request.kind else { panic!("{image}") };
        let edit = asked.edit.unwrap();
        assert_eq!((edit.picture.digest, edit.or_unchanged), (Digest::of(PNG), or_unchanged), "{image}");
        assert_eq!(edit.mask.map(|mask| mask.digest), (image == all).then(|| Digest::of(PNG)), "{image}");
    }
    for (image, expected) in [
        ("{ prompt: a, from: onw }", "unknown image `onw`"),
        ("{ prompt: a, from: portrait }", "`portrait` is generated"),
        ("{ prompt: a, mask: other }", "`mask` says which part of a picture is changed, and there is none"),
        ("{ prompt: a, from: own, style: waves }", "`style` is that of a picture that is drawn"),
        ("{ from: own }", "the field `prompt` is missing"),
    ] {
        let found = faults(&edit(OWN, image));
        assert!(found.contains(expected), "{image}: {found}");
    }
    // Without a photo there is nothing to change: what stands in for it is shown.
    let text = edit(OWN_OR_DRAWN, "{ prompt: a, from: own }");
    let (digest, warnings) = shown(&text, json!({}), &BTreeMap::new()).unwrap();
    assert_eq!(digest, Digest::of(support::SVG));
    assert!(warnings.contains("the fallback stands in for `portrait`"), "{warnings}");
}

/// What the first layer shows, and the warnings.
fn shown(
    text: &str,
    data: Value,
    generated: &BTreeMap<String, Generated>,
) -> Result<(Digest, String), String> {
    let template = open(text);
    let data = template.data("viewer", data).unwrap();
    let filled =
        fill(&template, &data, generated, Fill::default(), &world()).map_err(|faults| faults.to_string())?;
    let LayerKind::Image { asset, .. } = &filled.value.scenes[0].layers[0].kind else { panic!("no image") };
    let warnings: Vec<String> = filled.warnings.iter().map(ToString::to_string).collect();
    Ok((*asset, warnings.join("\n")))
}

#[test]
fn without_a_photo_the_fallback_is_shown_as_it_is() {
    let none = BTreeMap::new();
    let drawn = Digest::of(support::SVG);
    let own_fallback = "{ from: own, width: 32, height: 24, fallback: assets/person.svg }";
    for (asset, photo) in [(OWN_OR_DRAWN, PLAIN), (OWN, own_fallback)] {
        let text = template(asset, photo);
        for data in [json!({}), json!({ "photo": "missing.png" }), json!({ "photo": "liar.png" })] {
            assert_eq!(asked(&text, data.clone()).unwrap(), [], "{data}");
            let (digest, warnings) = shown(&text, data, &none).unwrap();
            assert_eq!(digest, drawn);
            assert!(warnings.contains("the fallback stands in for `portrait`"), "{warnings}");
            assert!(!warnings.contains("missing.png") && !warnings.contains("liar.png"), "{warnings}");
        }
        // There is one, but what was to prepare it did not.
        assert_eq!(asked(&text, maria()).unwrap().len(), 1);
        assert_eq!(shown(&text, maria(), &none).unwrap().0, drawn);
    }
    let error = asked(&template(OWN, PLAIN), json!({})).unwrap_err();
    assert!(error.contains("no file is named"), "{error}");
    let error = shown(&template(OWN, PLAIN), maria(), &none).unwrap_err();
    assert!(error.contains("`portrait` was not generated"), "{error}");
}

#[test]
fn a_prepared_photo_is_an_image() {
    let picture = vignette_templates::blob::Blob::new(&b"\x89PNG\r\n\x1a\n prepared"[..]);
    let made = Generated { value: GeneratedValue::Image(picture.clone()), provenance: Provenance::default() };
    let generated = BTreeMap::from([("portrait".to_owned(), made)]);
    let (digest, warnings) = shown(&template(OWN, PLAIN), maria(), &generated).unwrap();
    assert_eq!((digest, warnings.as_str()), (picture.digest(), ""));
}
