//! What is wrong with a template is said when it is opened: where, what, and what would be right.

mod support;

use support::{EVERYTHING, faults, open, with_layers, world};
use vignette_templates::Template;

#[test]
fn faults_of_one_layer() {
    let mut wrong = Vec::new();
    let cases: &[(&str, &str, &str)] = &[
        (
            "unknown field",
            "      - { text: x, opasity: 1 }",
            "t.yaml:9:20: scenes[0].layers[0].opasity: unknown field `opasity`\n  hint: did you mean `opacity`?",
        ),
        (
            "unknown variable",
            "      - text: \"Hi {{frist_name}}\"",
            "t.yaml:9:15: scenes[0].layers[0].text: unknown variable `frist_name`\n  hint: did you mean `first_name`?",
        ),
        (
            "not a length",
            "      - { text: x, style: { size: banana } }",
            "t.yaml:9:35: scenes[0].layers[0].style.size: expected a length, found \"banana\"\n  hint: write e.g. 96px, 8%, 9vmin, 50vw, 10vh or 0.5em",
        ),
        (
            "not a number",
            "      - { text: x, opacity: .nan }",
            "t.yaml:9:29: scenes[0].layers[0].opacity: expected a number from 0 to 1 or a percentage, found .nan",
        ),
        (
            "endless",
            "      - { text: x, style: { size: .inf } }",
            "t.yaml:9:35: scenes[0].layers[0].style.size: expected a length, found .inf",
        ),
        (
            "negative size",
            "      - { rect: { fill: red }, box: { width: -5px } }",
            "t.yaml:9:46: scenes[0].layers[0].box.width: expected a length greater than 0, found \"-5px\"",
        ),
        (
            "zero size",
            "      - { rect: { fill: red }, box: { width: 0 } }",
            "t.yaml:9:46: scenes[0].layers[0].box.width: expected a length greater than 0, found 0",
        ),
        (
            "absurd size",
            "      - { rect: { fill: red }, box: { width: 100001px } }",
            "t.yaml:9:46: scenes[0].layers[0].box.width: expected a length greater than 0 of at most 100000, found \"100001px\"",
        ),
        (
            "zero duration",
            "      - { text: x, for: 0s }",
            "t.yaml:9:25: scenes[0].layers[0].for: expected a duration greater than 0, found \"0s\"",
        ),
        (
            "absurd duration",
            "      - { text: x, for: 3601s }",
            "t.yaml:9:25: scenes[0].layers[0].for: expected a duration greater than 0 of at most one hour, found \"3601s\"",
        ),
        (
            "duration without unit",
            "      - { text: x, at: 300 }",
            "t.yaml:9:24: scenes[0].layers[0].at: expected a duration with a unit, found 300",
        ),
        (
            "unknown style",
            "      - { text: x, style: tilte }",
            "t.yaml:9:27: scenes[0].layers[0].style: unknown style `tilte`\n  hint: add it under `styles`",
        ),
        (
            "unknown font",
            "      - { text: x, style: { font: Interr } }",
            "t.yaml:9:35: scenes[0].layers[0].style.font: unknown font `Interr`",
        ),
        (
            "nothing to draw",
            "      - { name: empty }",
            "t.yaml:9:9: scenes[0].layers[0]: a layer needs one of `text`, `spoken`, `image`, `video`, `rect`, `ellipse`, `path`, `group`",
        ),
        ("two things to draw", "      - { text: x, image: y }", "`text` and `image` cannot stand together"),
        (
            "a style on a picture",
            "      - { rect: { fill: red }, style: { size: 5px } }",
            "scenes[0].layers[0].style: a layer with `rect` has no `style`\n  hint: `style` is for `text`",
        ),
        (
            "fades the wrong way",
            "      - { text: x, enter: { fade: out } }",
            "scenes[0].layers[0].enter.fade: expected `in` here",
        ),
        (
            "keyframes out of order",
            "      - { text: x, keyframes: { opacity: [{ at: 2s, value: 0 }, { at: 1s, value: 1 }] } }",
            "scenes[0].layers[0].keyframes.opacity[1]: keyframes must follow one another in time",
        ),
        (
            "one colour is no gradient",
            "      - { rect: { fill: { linear: { stops: [red] } } } }",
            "scenes[0].layers[0].rect.fill: a gradient needs at least two colours",
        ),
        (
            "unknown rendition",
            "      - { text: x, on: { storry: { text: y } } }",
            "scenes[0].layers[0].on.storry: unknown rendition `storry`",
        ),
        (
            "optional data used bare",
            "      - { text: \"{{maybe}}\" }",
            "t.yaml:9:17: scenes[0].layers[0].text: the variable `maybe` can be missing: `maybe` is neither required nor has a default\n  \
             hint: write {{default maybe \"…\"}}",
        ),
        (
            "optional data guarded",
            "      - { text: \"{{default maybe 'x'}} {{#if maybe}}{{maybe}}{{/if}}\" }",
            "",
        ),
        (
            "an entry's field",
            "      - { text: \"{{m.titel}}\", repeat: { for: \"{{list}}\", as: m } }",
            "scenes[0].layers[0].text: unknown variable `m.titel`\n  hint: did you mean `m.title`?",
        ),
        (
            "the loop's facts",
            "      - { text: \"{{m_number}} {{m.title}}\", repeat: { for: \"{{list}}\", as: m } }",
            "",
        ),
        (
            "a loop's variable outside the loop",
            "      - { text: \"{{m.title}}\" }",
            "scenes[0].layers[0].text: unknown variable `m.title`",
        ),
        (
            "a loop over words",
            "      - { text: x, repeat: { for: \"all {{list}}\" } }",
            "scenes[0].layers[0].repeat.for: expected one variable that is a list",
        ),
        (
            "a loop that hides data",
            "      - { text: x, repeat: { for: \"{{list}}\", as: first_name } }",
            "the variable `first_name` is there already",
        ),
        ("path data", "      - { path: { data: \"M0 0 L10\" } }", "scenes[0].layers[0].path.data: expected"),
        (
            "a partial",
            "      - { text: \"{{#*inline \\\"a\\\"}}{{> a}}{{/inline}}{{> a}}\" }",
            "t.yaml:9:17: scenes[0].layers[0].text: ",
        ),
        (
            "an empty value",
            "      - { text: }",
            "t.yaml:9:15: scenes[0].layers[0].text: expected a text, found nothing",
        ),
        (
            "a list for words",
            "      - { text: [a] }",
            "scenes[0].layers[0].text: expected a text, found a list",
        ),
    ];
    for (name, layers, expected) in cases {
        let found = faults(&with_layers(layers));
        if !found.contains(expected) || found.is_empty() != expected.is_empty() {
            wrong.push(format!("{name}:\n{found}\nexpected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // All of them are found at once, and in order.
    let wrong: Vec<&str> = cases.iter().filter(|case| !case.2.is_empty()).map(|case| case.1).collect();
    let found = Template::open("t.yaml", with_layers(&wrong.join("\n")).as_bytes(), &world()).unwrap_err();
    let lines: Vec<u32> = found.iter().map(|fault| fault.line).collect();
    assert!(lines.is_sorted() && found.len() >= wrong.len(), "{found}");
    for line in 9..9 + wrong.len() as u32 {
        assert!(lines.contains(&line), "nothing is said about line {line}: {found}");
    }
}

#[test]
fn faults_of_the_whole() {
    let mut wrong = Vec::new();
    let cases: &[(&str, &str, &str, &str)] = &[
        (
            "version",
            "vignette: 1",
            "vignette: 2",
            "t.yaml:1:11: vignette: expected the language version 1, found 2",
        ),
        ("no name", "name: everything\n", "", "t.yaml:1:1: the field `name` is missing"),
        (
            "odd canvas",
            "width: 1920",
            "width: 1921",
            "t.yaml:4:18: canvas.width: expected an even number of pixels from 16 to 7680, found 1921",
        ),
        ("huge canvas", "width: 1920", "width: 40000", "canvas.width: expected an even number of pixels"),
        (
            "an expression as width",
            "width: 1920",
            "width: \"{{plan}}\"",
            "canvas.width: expected an even number of pixels that is the same for every viewer",
        ),
        ("no frames", "fps: 30", "fps: 0", "canvas.fps: expected a frame rate from 1 to 240, found 0"),
        ("too many frames", "fps: 30", "fps: 241", "canvas.fps: expected a frame rate from 1 to 240"),
        (
            "transparent background",
            "background: \"#101828\"",
            "background: \"#10182880\"",
            "canvas.background: expected an opaque colour",
        ),
        (
            "unknown asset",
            "video: office,",
            "video: ofice,",
            "unknown video `ofice`\n  hint: did you mean `office`?",
        ),
        (
            "wrong kind of asset",
            "video: office,",
            "video: music,",
            "the asset `music` is an audio, not a video",
        ),
        (
            "missing file",
            "assets/music.ogg",
            "assets/nusic.ogg",
            "t.yaml:32:19: assets.music.audio: \"assets/nusic.ogg\": there is no such file in the package",
        ),
        (
            "outside",
            "assets/office.webm",
            "../../etc/passwd",
            "assets.office.video: \"../../etc/passwd\": the file name is not allowed: `..` would leave the package",
        ),
        (
            "not what it says",
            "assets/office.webm",
            "photos/maria.png",
            "assets.office.video: \"photos/maria.png\": expected a video, found a PNG picture\n  hint: a video is an MP4",
        ),
        (
            "a playlist",
            "assets/office.webm",
            "liar.png",
            "expected a video, found a playlist (M3U), which would lead to other files",
        ),
        (
            "unknown voice",
            "at: hello, gain",
            "at: helo, gain",
            "audio[0].at: unknown scene `helo`\n  hint: did you mean `hello`?",
        ),
        (
            "unknown scene",
            "{ scene: list,",
            "{ scene: lists,",
            "audio[2].at.scene: unknown scene `lists`\n  hint: did you mean `list`?",
        ),
        (
            "captions of nothing",
            "captions: { from: narration }",
            "captions: { from: narator }",
            "captions.from: unknown voice `narator`",
        ),
        (
            "captions of silence",
            "  - { voice: narration, at: hello, gain: 3dB }\n",
            "",
            "captions.from: the voice `narration` is not heard",
        ),
        (
            "vars in a circle",
            "accent: \"#7c3aed\"",
            "accent: \"{{vars.greeting}}\"\n  loop: \"{{vars.loop}}\"",
            "these use each other in a circle: `vars.loop` → `vars.loop`",
        ),
        (
            "words in a circle",
            "hello: { en: \"Welcome, {{first_name}}!\"",
            "hello: { en: \"{{vars.greeting}}\"",
            "these use each other in a circle: `vars.greeting` → `t.hello` → `vars.greeting`",
        ),
        (
            "speech in a circle",
            "prompt: \"greet {{first_name}}\"",
            "prompt: \"{{narration.duration}}\"",
            "these use each other in a circle: `hook` → `narration` → `hook`",
        ),
        (
            "styles in a circle",
            "base: { font",
            "base: { extends: title, font",
            "styles.base: the style `base` extends itself",
        ),
        (
            "unknown base",
            "extends: base",
            "extends: bass",
            "styles.title.extends: unknown style `bass`\n  hint: did you mean `base`?",
        ),
        (
            "unknown rule",
            "Hello[closing]",
            "Hello[closng]",
            "unknown rule `[closng]`\n  hint: did you mean `closing`?",
        ),
        (
            "a rule without an end",
            "closing: [\"!\"",
            "closing: [\"![start]\"",
            "expands itself without an end",
        ),
        ("no start", "grammar: { start:", "grammar: { begin:", "the grammar has no rule `start`"),
        ("an image as words", "{{t.hello}} {{hook}}", "{{backdrop}}", "the image `backdrop` has no text"),
        (
            "a voice as words",
            "greeting: \"{{t.hello}}",
            "greeting: \"{{narration}}",
            "the voice `narration` has no text here\n  hint: `narration.duration` is its length in seconds",
        ),
        (
            "a sound that no voice has",
            "speed: 1.1 }",
            "lexicon: [{ word: Siobhan, say: /№/ }] }",
            "generate.narration.voice.lexicon[0].say: `№` is no phoneme that an English voice has",
        ),
        (
            "unknown words",
            "greeting: \"{{t.hello}}",
            "greeting: \"{{t.helo}}",
            "vars.greeting: unknown variable `t.helo`\n  hint: did you mean `t.hello`?",
        ),
        (
            "locale from vars",
            "locale: \"{{language}}\"",
            "locale: \"{{vars.accent}}\"",
            "locale: the language can depend on the viewer's data only",
        ),
        (
            "words in no language",
            "ar: \"مر",
            "\"q-q-q\": \"مر",
            "strings.hello.q-q-q: expected a language tag",
        ),
        (
            "a name that is none",
            "accent: \"#7c3aed\"",
            "\"my accent\": \"#7c3aed\"",
            "vars.my accent: `my accent` is not a name",
        ),
        ("a taken name", "  hook:\n", "  plan:\n", "generate.plan: the name `plan` is taken by the data"),
        ("scenes of one name", "name: list", "name: hello", "two scenes are named `hello`, first on line 48"),
        (
            "min above max",
            "min: 2s, max: 6s",
            "min: 7s, max: 6s",
            "scenes[0].duration.max: `max` is shorter than `min`",
        ),
        (
            "more than an hour",
            "duration: 2s\n    transition",
            "duration: 3601s\n    transition",
            "expected a duration greater than 0 of at most one hour",
        ),
        ("rendition named default", "  story:", "  default:", "`default` is the canvas itself"),
        ("a schema that is none", "maxLength: 40", "maxLength: forty", "this is not JSON Schema"),
        ("data that is no object", "data:\n", "data:\n  type: array\n", "data.type: expected `object`"),
        (
            "a schema from elsewhere",
            "plan: { type: string, enum: [basic, pro] }",
            "plan: { $ref: \"http://127.0.0.1/plan.json\" }",
            "data.properties.plan.$ref: `$ref` cannot lead outside the template",
        ),
        (
            "a schema from a file",
            "plan: { type: string, enum: [basic, pro] }",
            "plan: { $ref: \"file:///etc/passwd\" }",
            "cannot lead outside the template",
        ),
        (
            "a schema in a circle",
            "plan: { type: string, enum: [basic, pro] }",
            "plan: { $ref: \"#/properties/plan\" }",
            "in a circle",
        ),
        (
            "a default that is wrong",
            "language: { type: string, default: en }",
            "language: { type: string, default: 5 }",
            "data.properties.language.default: the default is not valid: expected a text, found 5",
        ),
        (
            "required but unknown",
            "required: [first_name, plan]",
            "required: [first_name, plann]",
            "data.required[1]: `plann` is required but not among `properties`\n  hint: did you mean `plan`?",
        ),
        ("a pattern that never ends", "maxLength: 40", "pattern: \"(a+)+(?=b)\"", "this is not JSON Schema"),
        ("no scenes", "scenes:\n", "scenes: []\nscene:\n", "a template needs at least one scene"),
    ];
    for (name, from, to, expected) in cases {
        assert!(EVERYTHING.contains(from), "{name}: nothing to replace");
        let found = faults(&EVERYTHING.replacen(from, to, 1));
        if !found.contains(expected) {
            wrong.push(format!("{name}:\n{found}\nexpected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_template_that_holds_opens_without_a_word() {
    let opened = Template::open("t.yaml", EVERYTHING.as_bytes(), &world()).unwrap();
    assert_eq!(opened.warnings, []);
    let template = opened.value;
    assert_eq!(template.name(), "everything");
    assert_eq!(template.renditions(), [("default", 1920, 1080), ("story", 1080, 1920)]);
    let personal: Vec<&str> = template.contract().personal().iter().map(String::as_str).collect();
    assert_eq!(
        personal,
        ["/properties/first_name", "/properties/photo"].map(|pointer| &pointer["/properties".len()..])
    );
    let unused = EVERYTHING.replace("  music: {", "  spare: { image: assets/person.svg }\n  music: {");
    let warnings = Template::open("t.yaml", unused.as_bytes(), &world()).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].to_string(), "t.yaml:32:3: assets.spare: the asset `spare` is not used");
}

#[test]
fn json_is_as_good_as_yaml() {
    let yaml = with_layers("      - { text: \"{{first_name}}\" }");
    let json = r#"{"vignette": 1, "name": "small", "canvas": {"width": 1920, "height": 1080},
        "data": {"required": ["first_name"], "properties": {"first_name": {"type": "string"}}},
        "scenes": [{"duration": "4s", "layers": [{"text": "{{first_name}}"}, {"txt": "x"}]}]}"#;
    let found = Template::open("t.json", json.as_bytes(), &world()).unwrap_err().to_string();
    assert!(
        found.contains(
            "t.json:3:79: scenes[0].layers[1].txt: unknown field `txt`\n  hint: did you mean `text`?"
        ),
        "{found}"
    );
    assert!(Template::open("t.json", json.replace(", {\"txt\": \"x\"}", "").as_bytes(), &world()).is_ok());
    open(&yaml);
}

#[test]
fn templates_from_strangers_do_not_end_the_process() {
    let deep = "{{#if first_name}}".repeat(20_000) + &"{{/if}}".repeat(20_000);
    let wide = format!("[{}]", "{ rect: { fill: red } },".repeat(60_000));
    let groups = "{ group: [".repeat(500) + &"] }".repeat(500);
    let vars: String = (0..20_000).map(|n| format!("  v{n}: \"{{{{vars.v{}}}}}\"\n", n + 1)).collect();
    let cases: Vec<(&str, String)> = vec![
        ("20,000 nested blocks", with_layers(&format!("      - text: \"{deep}\""))),
        ("a recursive partial", with_layers("      - text: '{{#*inline \"a\"}}{{> a}}{{/inline}}{{> a}}'")),
        ("many layers", with_layers("").replace("layers:\n", &format!("layers: {wide}"))),
        ("nested groups", with_layers(&format!("      - {groups}"))),
        ("a long chain of values", format!("vars:\n{vars}{}", with_layers("      - text: x"))),
        ("a long word", with_layers(&format!("      - text: \"{}\"", "x".repeat(3_000_000)))),
        ("a long name", with_layers(&format!("      - image: \"{}\"", "x".repeat(1_000_000)))),
    ];
    for (name, text) in cases {
        let found = Template::open("t.yaml", text.as_bytes(), &world());
        assert!(found.is_err() || name == "a long word" || name == "many layers", "{name}");
        if let Err(faults) = found {
            assert!(faults.iter().all(|fault| fault.to_string().len() < 2000), "{name}: {faults}");
        }
        open(&with_layers("      - text: \"{{first_name}}\""));
    }
}
