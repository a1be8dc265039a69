//! Templates and viewers become videos.

mod support;

use std::collections::BTreeMap;

use serde_json::json;
use support::{EVERYTHING, fill_plain, generated, maria, open, text, voice, with_layers, world};
use vignette_templates::generate::RequestKind;
use vignette_templates::time::{FrameRange, Time};
use vignette_templates::video::{
    Align, AudioRole, Color, Direction, Easing, FontSource, LayerKind, Paint, TextFit, Video,
};
use vignette_templates::{Fill, ask, fill};

fn seconds(value: f64) -> Time {
    Time::from_ticks((value * Time::TICKS_PER_SECOND as f64).round() as i64)
}

fn everything(rendition: Option<&str>) -> Video {
    let template = open(EVERYTHING);
    let data = template.data("maria", maria()).unwrap();
    match fill(&template, &data, &generated(), Fill { rendition }, &world()) {
        Ok(filled) => {
            assert_eq!(filled.warnings, []);
            filled.value
        }
        Err(faults) => panic!("{faults}"),
    }
}

#[test]
fn generators_are_asked_in_the_order_of_what_they_need() {
    let template = open(EVERYTHING);
    let data = template.data("maria", maria()).unwrap();
    let mut answers = BTreeMap::new();
    let first = ask(&template, &data, &answers, &world()).unwrap();
    let names: Vec<&str> = first.iter().map(|request| request.name.as_str()).collect();
    assert_eq!(names, ["hook", "backdrop"]);
    let RequestKind::Text(hook) = &first[0].kind else { panic!() };
    assert_eq!(hook.prompt, "greet Maria");
    assert_eq!(hook.grammar["start"][0].say, "Good to see you, Maria[closing]");
    assert_eq!(hook.grammar["start"][1].weight, 2.0);
    assert_eq!((hook.max_chars, hook.fallback.as_deref()), (60, Some("Hello, Maria")));
    let RequestKind::Image(backdrop) = &first[1].kind else { panic!() };
    assert_eq!(backdrop.palette[1], Color { r: 0x7c, g: 0x3a, b: 0xed, a: 255 });

    answers.insert("hook".to_owned(), text("Good to see you!"));
    let second = ask(&template, &data, &answers, &world()).unwrap();
    assert_eq!(second.len(), 2);
    let RequestKind::Voice(narration) = &second[0].kind else { panic!() };
    assert_eq!(narration.say, "Welcome, Maria! Good to see you!");
    assert_eq!(second[1], first[1], "the same question has the same seed");
    assert_eq!(ask(&template, &data, &generated(), &world()).unwrap(), []);

    let other = template.data("zoe", json!({ "first_name": "Zoë", "plan": "pro" })).unwrap();
    assert_ne!(ask(&template, &other, &BTreeMap::new(), &world()).unwrap()[0].seed, first[0].seed);
}

#[test]
fn a_viewers_words_are_no_grammar() {
    let template = open(EVERYTHING);
    let data = json!({ "first_name": "[start] {{plan}}", "plan": "pro" });
    let data = template.data("mallory", data).unwrap();
    let requests = ask(&template, &data, &BTreeMap::new(), &world()).unwrap();
    let RequestKind::Text(hook) = &requests[0].kind else { panic!() };
    assert_eq!(hook.grammar["start"][0].say, "Good to see you, (start) {{plan}}[closing]");
}

#[test]
fn scenes_follow_one_another_on_the_frame_grid() {
    let video = everything(None);
    let scenes: Vec<(&str, u32)> =
        video.scenes.iter().map(|scene| (scene.name.as_str(), scene.frames)).collect();
    // 3.21 s of speech and 0.5 s of silence cover 112 frames at 30 fps.
    assert_eq!(scenes, [("hello", 112), ("list", 60), ("bye[0]", 12), ("bye[1]", 12)]);
    assert_eq!(video.frames(), 196);
    assert_eq!(video.scenes[0].transition, None);
    assert_eq!(video.scenes[1].transition.unwrap().frames, 15);
    assert_eq!(video.scenes[2].transition, None);
    assert_eq!(video.scenes[2].background, Some(Color { r: 0x0b, g: 0x10, b: 0x20, a: 255 }));
    assert_eq!(video.locale, "en");
    assert_eq!(video.canvas.background, Color { r: 0x10, g: 0x18, b: 0x28, a: 255 });
}

#[test]
fn layers_are_pixels_frames_and_colours() {
    let video = everything(None);
    let hello = &video.scenes[0].layers;
    let LayerKind::Video { focus, start, repeat, .. } = &hello[0].kind else { panic!() };
    assert_eq!((*focus, *start, *repeat), ([0.5, 0.25], seconds(1.0), true));
    assert_eq!((hello[0].placement.width, hello[0].placement.height), (Some(1920.0), Some(1080.0)));
    assert!(!hello[0].personal, "the same for every viewer");

    let photo = &hello[1];
    assert!(photo.personal);
    assert_eq!((photo.placement.x, photo.placement.y), (960.0, 432.0));
    assert_eq!((photo.placement.width, photo.placement.anchor), (Some(216.0), [0.5, 0.5]));
    assert!(photo.clip.unwrap() >= 108.0);
    assert!(hello[2].personal, "a generated picture is the viewer's");
    assert_eq!(hello[2].motion.opacity.keys[0].value, 0.5);

    let title = &hello[3];
    assert_eq!(title.span, FrameRange { start: 9, end: 69 });
    let LayerKind::Text(text) = &title.kind else { panic!() };
    assert_eq!(text.text, "WELCOME, MARIA!");
    assert_eq!((text.size, text.weight), (96.0, 700));
    assert_eq!(text.fit, TextFit::Shrink { max_lines: 2, min_size: 48.0 });
    assert_eq!(text.fill, Paint::Solid(Color { r: 0x7c, g: 0x3a, b: 0xed, a: 255 }));
    assert!(matches!(&text.fonts[..], [FontSource::Asset(_), FontSource::Family(name)] if name == "Inter"));
    let enter = title.enter.unwrap();
    assert_eq!((enter.slide, enter.fade, enter.duration), (Some([0.0, 40.0]), true, seconds(0.6)));
    let exit = title.exit.unwrap();
    assert_eq!((exit.slide, exit.wipe), (Some([-86.4, 0.0]), Some(Direction::Right)));
    let Easing::CubicBezier(curve) = exit.easing else { panic!() };
    for (value, expected) in curve.iter().zip([0.32, 0.0, 0.67, 0.0]) {
        assert!((value - expected).abs() < 1e-6, "in-cubic, as time runs: {curve:?}");
    }
    let shadow = title.shadow.unwrap();
    assert_eq!((shadow.offset, shadow.blur, shadow.color.a), ([0.0, 4.0], 24.0, 0x88));
}

#[test]
fn repeats_see_their_entries() {
    let video = everything(None);
    let layers = &video.scenes[1].layers;
    assert_eq!(layers.len(), 4);
    let LayerKind::Rect { fill: Some(Paint::Linear { angle, stops }), radius, .. } = &layers[0].kind else {
        panic!()
    };
    assert_eq!((*angle, *radius), (135.0, 24.0));
    let offsets: Vec<f32> = stops.iter().map(|stop| stop.offset).collect();
    assert_eq!(offsets, [0.0, 0.3, 1.0]);
    assert!(!layers[0].personal);
    for (index, (words, width)) in [("1. Safety", Some(768.0)), ("2. Tools", None)].iter().enumerate() {
        let group = &layers[1 + index];
        assert!(group.personal);
        assert_eq!(group.placement.y, 1080.0 * (0.2 + 0.2 * index as f32));
        let LayerKind::Group { layers } = &group.kind else { panic!() };
        let LayerKind::Text(text) = &layers[0].kind else { panic!() };
        assert_eq!(text.text, *words);
        assert_eq!((text.align, layers[0].placement.width), (Align::Center, Some(1536.0)));
        // A bar of 0 % is not drawn.
        assert_eq!(layers.get(1).map(|bar| bar.placement.width.unwrap()), *width);
    }
    assert_eq!(layers[3].span, FrameRange { start: 45, end: 60 });
    let LayerKind::Path { view_box, stroke, .. } = &layers[3].kind else { panic!() };
    assert_eq!((*view_box, stroke.unwrap().width), (Some([0.0, 0.0, 24.0, 24.0]), 2.0));

    let first = &video.scenes[2].layers;
    assert_eq!((first.len(), video.scenes[3].layers.len()), (2, 1));
    let LayerKind::Text(text) = &first[1].kind else { panic!() };
    assert_eq!(text.text, "Safety friend");
    assert_eq!((first[1].placement.x, first[1].placement.y), (960.0, 540.0));
    let motion = &first[0].motion;
    assert_eq!(motion.rotation.keys[0].value, 45.0);
    assert_eq!(motion.offset.keys[0].value, [153.6, 0.0]);
    assert_eq!(motion.offset.keys[1].value, [384.0, 10.0]);
    assert_eq!(motion.scale.keys[1].value, [1.2, 2.0]);
    assert_eq!(motion.opacity.keys[1].at, seconds(1.0 / 3.0));
}

#[test]
fn sound_and_captions_stand_where_their_scenes_do() {
    let video = everything(None);
    let [voice, music, office] = &video.audio[..] else { panic!("{:?}", video.audio) };
    assert_eq!((voice.role, voice.start, voice.gain_db), (AudioRole::Voice, Time::ZERO, 3.0));
    assert_eq!((music.gain_db, music.duck_db, music.repeat), (-12.0, 9.0, true));
    assert_eq!((music.fade_in, music.fade_out), (seconds(0.5), seconds(1.0)));
    let list = video.canvas.frame_rate.time_of(112);
    assert_eq!((office.start, office.duration), (list + seconds(0.3), Some(seconds(1.0))));
    let cues: Vec<&str> = video.captions.iter().map(|cue| cue.text.as_str()).collect();
    assert_eq!(cues, ["Welcome, Maria!", "Hello."]);
    assert_eq!((video.captions[1].start, video.captions[1].end), (seconds(2.0), seconds(3.0)));
    let names: Vec<&str> = {
        let mut names: Vec<&str> = video.assets.values().map(|asset| asset.name.as_str()).collect();
        names.sort_unstable();
        names
    };
    // The photo and the backdrop are the same bytes here, and one asset.
    assert_eq!(
        names,
        ["assets.brand", "assets.music", "assets.office", "assets.photo", "generate.narration"]
    );
    assert_eq!(video.generated.keys().collect::<Vec<_>>(), ["backdrop", "hook", "narration"]);
}

#[test]
fn a_rendition_has_its_own_size_and_overrides() {
    let video = everything(Some("story"));
    assert_eq!((video.canvas.width, video.canvas.height), (1080, 1920));
    let title = &video.scenes[0].layers[3];
    let LayerKind::Text(text) = &title.kind else { panic!() };
    assert_eq!((title.placement.x, title.placement.y), (86.4, 960.0));
    assert_eq!((text.size, text.weight), (129.6, 700));

    let template = open(EVERYTHING);
    let data = template.data("maria", maria()).unwrap();
    let faults =
        fill(&template, &data, &generated(), Fill { rendition: Some("storry") }, &world()).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "t.yaml:1:1: renditions: unknown rendition `storry`\n  hint: did you mean `story`?"
    );
}

#[test]
fn names_are_said_as_the_audience_says() {
    let lexicon =
        "lexicon: [{ word: \"{{first_name}}\", say: \"{{plan}}\" }, { word: Vignette, say: vin-YET }] }";
    let template = open(&EVERYTHING.replace("speed: 1.1 }", lexicon));
    let asked = |name: &str, plan: &str| {
        let data = template.data("maria", json!({ "first_name": name, "plan": plan })).unwrap();
        let answers = BTreeMap::from([("hook".to_owned(), text("Good day!"))]);
        ask(&template, &data, &answers, &world())
    };
    let lexicon = |name: &str, plan: &str| {
        let requests = asked(name, plan).unwrap();
        let RequestKind::Voice(narration) = &requests[0].kind else { panic!() };
        narration.lexicon.clone()
    };
    let own = ("Vignette".to_owned(), "vin-YET".to_owned());
    assert_eq!(
        lexicon("Maria", "pro"),
        BTreeMap::from([("Maria".to_owned(), "pro".to_owned()), own.clone()])
    );
    // What is empty for a viewer says nothing.
    assert_eq!(lexicon("", "pro"), BTreeMap::from([own]));
    let message = asked("Mary Jane", "pro").unwrap_err().to_string();
    assert!(message.contains("2 words are to be said, and 1 pronunciations are given"), "{message}");
}

#[test]
fn another_viewer_sees_another_video() {
    let template = open(EVERYTHING);
    let data = json!({ "first_name": "محمد", "plan": "basic", "language": "ar-EG" });
    let data = template.data("mohammed", data).unwrap();
    let mut answers = generated();
    answers.insert("narration".to_owned(), voice(500, &[]));
    let filled = fill(&template, &data, &answers, Fill::default(), &world()).unwrap();
    let video = filled.value;
    let LayerKind::Text(text) = &video.scenes[0].layers[3].kind else { panic!() };
    assert_eq!((text.text.as_str(), video.locale.as_str()), ("مرحبًا محمد", "ar-EG"));
    assert_eq!(video.scenes.len(), 1, "no modules: neither the list nor its scenes");
    assert_eq!(video.scenes[0].frames, 60, "never shorter than `min`");
    assert_eq!(video.audio.len(), 2, "the sound of a scene that is not shown is not heard");
    let warnings: Vec<String> = filled.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "t.yaml:31:19: assets.photo.image: the fallback is shown: the file that the data names cannot be used"
        ]
    );
    assert!(video.assets.values().any(|asset| asset.blob.bytes().as_ref() == support::SVG));
}

#[test]
fn a_missing_generator_uses_its_fallback_or_says_so() {
    let template = open(EVERYTHING);
    let data = template.data("maria", maria()).unwrap();
    let mut answers = generated();
    answers.remove("hook");
    let filled = fill(&template, &data, &answers, Fill::default(), &world()).unwrap();
    assert_eq!(filled.warnings.len(), 1);
    assert_eq!(filled.value.generated["hook"].provider, "fallback");
    answers.remove("narration");
    let faults = fill(&template, &data, &answers, Fill::default(), &world()).unwrap_err().to_string();
    assert!(
        faults.starts_with("t.yaml:42:3: generate.narration: `narration` was not generated\n"),
        "{faults}"
    );
}

#[test]
fn wrong_values_after_filling_name_place_expression_and_value() {
    let fit = "      - text: x\n        style: ";
    let cases: &[(&str, String, &str)] = &[
        (
            "a name as size",
            format!("{fit}{{ size: \"{{{{first_name}}}}\" }}"),
            "t.yaml:10:24: scenes[0].layers[0].style.size: expected a length, found \"Maria\" (from \"{{first_name}}\")\n  \
             hint: write e.g. 96px, 8%, 9vmin, 50vw, 10vh or 0.5em",
        ),
        (
            "a negative size",
            format!("{fit}{{ size: \"-{{{{n}}}}px\" }}"),
            "t.yaml:10:24: scenes[0].layers[0].style.size: expected a length greater than 0, found \"-5px\" (from \"-{{n}}px\")\n  \
             hint: write a length such as 96px, 5% or 8vmin",
        ),
        (
            "an absurd size",
            format!("{fit}{{ size: \"{{{{n}}}}00000vmin\" }}"),
            "t.yaml:10:24: scenes[0].layers[0].style.size: expected a length greater than 0 of at most 100000",
        ),
        (
            "beyond the bound in pixels",
            format!("{fit}{{ size: \"{{{{n}}}}0000vmin\" }}"),
            "t.yaml:10:24: scenes[0].layers[0].style.size: this is 540000 px, more than the 100000 allowed",
        ),
        (
            "not a number",
            "      - { rect: { fill: red }, opacity: \"{{first_name}}\" }".into(),
            "t.yaml:9:41: scenes[0].layers[0].opacity: expected a number from 0 to 1 or a percentage, found \"Maria\" (from \"{{first_name}}\")",
        ),
        (
            "a colour",
            "      - { rect: { fill: \"{{first_name}}\" } }".into(),
            "t.yaml:9:25: scenes[0].layers[0].rect.fill: expected a colour, found \"Maria\" (from \"{{first_name}}\")",
        ),
        (
            "an image that does not exist",
            "      - { image: \"{{first_name}}\" }".into(),
            "t.yaml:9:18: scenes[0].layers[0].image: unknown image `Maria`\n  hint: add it under `assets`",
        ),
        (
            "a duration",
            "      - { rect: { fill: red }, for: \"{{math n '-' 5}}s\" }".into(),
            "t.yaml:9:37: scenes[0].layers[0].for: expected a duration greater than 0, found \"0s\"",
        ),
    ];
    for (name, layers, expected) in cases {
        let data = json!({ "first_name": "Maria" });
        let found = fill_plain(&with_layers(layers), data).map(|_| ()).expect_err(name);
        assert!(found.starts_with(expected), "{name}: {found}");
    }
    // All of them at once, in order of places.
    let all: Vec<&str> = cases[4..].iter().map(|(_, layers, _)| layers.as_str()).collect();
    let found = fill_plain(&with_layers(&all.join("\n")), json!({ "first_name": "Maria" })).unwrap_err();
    assert_eq!(found.lines().filter(|line| line.starts_with("t.yaml:")).count(), 4, "{found}");
}

#[test]
fn hostile_data_is_bounded() {
    let nested = "      - group:\n          - { rect: { fill: red }, repeat: { for: \"{{list}}\", as: b } }\n        \
                  repeat: { for: \"{{list}}\", as: a }";
    let list = |count: usize| json!({ "first_name": "x", "list": vec![json!({ "title": "t" }); count] });
    let video = fill_plain(&with_layers(nested), list(20)).unwrap().value;
    assert_eq!(video.scenes[0].layers.len(), 20);
    let found = fill_plain(&with_layers(nested), list(1000)).unwrap_err();
    assert!(found.contains("more than 10000 layers"), "{found}");
    assert!(found.lines().count() < 5, "{found}");
    let hidden = nested.replace("fill: red }", "fill: red }, when: false");
    let found = fill_plain(&with_layers(&hidden), list(5000)).unwrap_err();
    assert!(found.contains("the repeats take more than 50000 turns"), "{found}");
    let handlebars = fill_plain(
        &with_layers("      - { text: \"{{first_name}}\" }"),
        json!({ "first_name": "{{#each list}}{{> x}}{{/each}}" }),
    );
    let LayerKind::Text(text) = &handlebars.unwrap().value.scenes[0].layers[0].kind else { panic!() };
    assert_eq!(text.text, "{{#each list}}{{> x}}{{/each}}", "data is never an expression");
}

#[test]
fn a_file_that_data_names_is_held_to_the_same_rules() {
    let text = EVERYTHING.replace(", fallback: assets/person.svg", "");
    let template = open(&text);
    for (photo, expected) in [
        (
            "../../etc/passwd",
            "t.yaml:31:19: assets.photo.image: \"../../etc/passwd\": the file name is not allowed: `..` would leave the package",
        ),
        ("/etc/passwd", "\"/etc/passwd\": the file name is not allowed: it is absolute"),
        ("http://169.254.169.254/x.png", "it is a URL"),
        ("none.png", "there is no such file in the package"),
        ("liar.png", "expected an image, found a playlist (M3U), which would lead to other files"),
        ("", "no file is named"),
    ] {
        let mut data = maria();
        data["photo"] = json!(photo);
        let data = template.data("maria", data).unwrap();
        let found = fill(&template, &data, &generated(), Fill::default(), &world()).unwrap_err().to_string();
        assert!(found.contains(expected), "{photo}: {found}");
    }
}
