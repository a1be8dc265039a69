//! Rules between the fields of one record: what belongs together, what excludes what.

use std::collections::{BTreeMap, BTreeSet};

use crate::fault::{At, Fault, Faults};
use crate::template::document::{Document, Fitted, Scene};
use crate::template::generate::TextGenerator;
use crate::template::layer::{Keyed, Keyframes, Layer, Passage};
use crate::template::read::Either;
use crate::template::scalar::{Fade, MAX_SECONDS, Paintable};
use crate::template::style::{Gradient, Stop, Style};
use crate::template::written::Written;
use crate::time::Time;
use crate::units::Duration;

/// Checks every record of `document`.
pub(super) fn check(document: &Document, faults: &mut Faults) {
    let renditions: Vec<&str> = document.renditions.names().chain(["default"]).collect();
    if document.scenes.is_empty() {
        faults.push(Fault::new(&document.here, "a template needs at least one scene"));
    }
    let mut names: BTreeMap<&str, &At> = BTreeMap::new();
    let mut total = Time::ZERO;
    for scene in &document.scenes {
        if let Some(name) = &scene.name
            && let Some(first) = names.insert(&name.value.0, &name.at)
        {
            let message = format!("two scenes are named `{}`, first on line {}", name.value.0, first.line);
            faults.push(Fault::new(&name.at, message).hint("give each scene a name of its own"));
        }
        if let Either::Short(duration) = &scene.duration
            && scene.when.is_none()
            && let Some(Duration::Time(time)) = duration.plain().map(|span| span.0)
        {
            total = total + time;
        }
        check_scene(scene, &renditions, faults);
    }
    if total > Time::from_seconds(MAX_SECONDS) {
        let message = format!("the scenes last {:.0} s in all, more than one hour", total.as_seconds());
        faults.push(Fault::new(&document.here.within("scenes"), message));
    }
    for (_, at, rendition) in &document.renditions.entries {
        let _ = rendition;
        if at.path.ends_with(".default") {
            let fault = Fault::new(at, "`default` is the canvas itself");
            faults.push(fault.hint("give the rendition another name"));
        }
    }
    check_styles(document, faults);
    for (_, _, generator) in &document.generate.entries {
        if let Some(text) = &generator.text {
            check_text(text, faults);
        }
    }
}

fn check_scene(scene: &Scene, renditions: &[&str], faults: &mut Faults) {
    if let Either::Full(Fitted { min: Some(min), max: Some(max), .. }) = &scene.duration
        && let (Some(shortest), Some(longest)) = (min.plain(), max.plain())
        && later(shortest.0, longest.0)
    {
        faults.push(Fault::new(&max.at, "`max` is shorter than `min`"));
    }
    for layer in scene.layers.as_deref().unwrap_or_default() {
        check_layer(layer, renditions, faults);
    }
}

/// Whether `a` is later than `b`, where that can be told without a frame rate.
fn later(a: Duration, b: Duration) -> bool {
    match (a, b) {
        (Duration::Time(a), Duration::Time(b)) => a > b,
        (Duration::Frames(a), Duration::Frames(b)) => a > b,
        _ => false,
    }
}

/// Recursion is bounded by the depth of the source.
fn check_layer(layer: &Layer, renditions: &[&str], faults: &mut Faults) {
    let kind = layer.kind();
    let mut misplaced = |given: bool, field: &str, kinds: &[&str]| {
        if given && !kinds.contains(&kind) {
            let fault =
                Fault::new(&layer.here.within(field), format!("a layer with `{kind}` has no `{field}`"));
            let kinds: Vec<String> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
            faults.push(fault.hint(format!("`{field}` is for {}", kinds.join(" and "))));
        }
    };
    misplaced(layer.style.is_some(), "style", &["text", "spoken"]);
    // When its words come and go is said by the voice.
    let others = ["text", "image", "video", "rect", "ellipse", "path", "group"];
    misplaced(layer.r#for.is_some(), "for", &others);
    misplaced(layer.enter.is_some(), "enter", &others);
    misplaced(layer.exit.is_some(), "exit", &others);
    misplaced(layer.keyframes.is_some(), "keyframes", &others);
    misplaced(layer.fit.is_some(), "fit", &["image", "video"]);
    misplaced(layer.focus.is_some(), "focus", &["image", "video"]);
    misplaced(layer.start.is_some(), "start", &["video"]);
    misplaced(layer.r#loop.is_some(), "loop", &["video"]);
    let paints = ["text", "rect", "ellipse", "path"];
    let colored = layer.keyframes.as_ref().is_some_and(|keyframes| keyframes.color.is_some());
    misplaced(colored, "keyframes.color", &paints);
    for (rendition, at, change) in &layer.on.entries {
        if !renditions.contains(&rendition.as_str()) {
            let hint = crate::fault::did_you_mean(rendition, renditions.iter().copied());
            faults.push(Fault::new(at, format!("unknown rendition `{rendition}`")).hint_if(hint));
        }
        let mut replaced = |given: bool, field: &str, kinds: &[&str]| {
            if given && !kinds.contains(&kind) {
                let message = format!("a layer with `{kind}` has no `{field}`");
                faults.push(Fault::new(&change.here.within(field), message));
            }
        };
        replaced(change.text.is_some(), "text", &["text"]);
        replaced(change.image.is_some(), "image", &["image"]);
        replaced(change.video.is_some(), "video", &["video"]);
        replaced(change.style.is_some(), "style", &["text", "spoken"]);
        replaced(change.r#for.is_some(), "for", &others);
        replaced(change.enter.is_some(), "enter", &others);
        replaced(change.exit.is_some(), "exit", &others);
        replaced(change.keyframes.is_some(), "keyframes", &others);
        replaced(change.fit.is_some(), "fit", &["image", "video"]);
        replaced(change.focus.is_some(), "focus", &["image", "video"]);
        replaced(change.start.is_some(), "start", &["video"]);
        check_passages(change.enter.as_ref(), change.exit.as_ref(), faults);
        change.keyframes.iter().for_each(|keyframes| check_keyframes(keyframes, faults));
        if let Some(Either::Full(style)) = &change.style {
            check_style_colors(style, faults);
        }
    }
    check_passages(layer.enter.as_ref(), layer.exit.as_ref(), faults);
    layer.keyframes.iter().for_each(|keyframes| check_keyframes(keyframes, faults));
    let fills = [
        layer.rect.as_ref().and_then(|shape| shape.fill.as_ref()),
        layer.ellipse.as_ref().and_then(|shape| shape.fill.as_ref()),
        layer.path.as_ref().and_then(|shape| shape.fill.as_ref()),
    ];
    fills.into_iter().flatten().for_each(|fill| check_paint(fill, faults));
    if let Some(Either::Full(style)) = &layer.style {
        check_style_colors(style, faults);
    }
    for inner in layer.group.as_deref().unwrap_or_default() {
        check_layer(inner, renditions, faults);
    }
}

fn check_passages(enter: Option<&Passage>, exit: Option<&Passage>, faults: &mut Faults) {
    for (passage, right, word) in [(enter, Fade::In, "in"), (exit, Fade::Out, "out")] {
        let Some(passage) = passage else { continue };
        if let Some(fade) = &passage.fade
            && fade.plain().is_some_and(|fade| *fade != right)
        {
            faults.push(Fault::new(&fade.at, format!("expected `{word}` here")));
        }
        let parts = passage.fade.is_some()
            || passage.slide.is_some()
            || passage.scale.is_some()
            || passage.wipe.is_some();
        if !parts {
            let fault = Fault::new(&passage.here, "this says not how the layer moves");
            faults.push(fault.hint("add `fade`, `slide`, `scale` or `wipe`"));
        }
    }
}

fn check_keyframes(keyframes: &Keyframes, faults: &mut Faults) {
    fn ascending<K: Keyed>(keys: &Option<Vec<K>>, here: &At, faults: &mut Faults) {
        let Some(keys) = keys else { return };
        if keys.is_empty() {
            faults.push(Fault::new(here, "a list of keyframes needs at least one"));
        }
        for pair in keys.windows(2) {
            let ((first, ..), (second, _, at)) = (pair[0].time(), pair[1].time());
            if let (Some(first), Some(second)) = (first.plain(), second.plain())
                && !later(second.0, first.0)
                && std::mem::discriminant(&first.0) == std::mem::discriminant(&second.0)
            {
                faults.push(Fault::new(at, "keyframes must follow one another in time"));
            }
        }
    }
    ascending(&keyframes.position, &keyframes.here, faults);
    ascending(&keyframes.scale, &keyframes.here, faults);
    ascending(&keyframes.rotation, &keyframes.here, faults);
    ascending(&keyframes.opacity, &keyframes.here, faults);
    ascending(&keyframes.color, &keyframes.here, faults);
}

fn check_style_colors(style: &Style, faults: &mut Faults) {
    style.color.iter().for_each(|color| check_paint(color, faults));
}

fn check_paint(paint: &Either<Written<Paintable>, Gradient>, faults: &mut Faults) {
    let Either::Full(gradient) = paint else { return };
    let stops: Option<&Vec<Either<Written<Paintable>, Stop>>> = gradient
        .linear
        .as_ref()
        .map(|linear| &linear.stops)
        .or(gradient.radial.as_ref().map(|radial| &radial.stops));
    if stops.is_some_and(|stops| stops.len() < 2) {
        faults.push(Fault::new(&gradient.here, "a gradient needs at least two colours"));
    }
}

/// How long a chain of styles that extend one another may be.
pub(crate) const MAX_EXTENDS: usize = 32;

/// Styles must end somewhere: none extends itself, not even by way of others.
fn check_styles(document: &Document, faults: &mut Faults) {
    for (name, at, style) in &document.styles.entries {
        check_style_colors(style, faults);
        let mut next = style.extends.as_ref();
        for depth in 1.. {
            let Some(base) = next else { break };
            if depth > MAX_EXTENDS {
                let message = format!(
                    "the style `{name}` extends more than {MAX_EXTENDS} others, or one that extends itself"
                );
                faults.push(Fault::new(at, message));
                break;
            }
            if base.value.0 == *name {
                let fault = Fault::new(at, format!("the style `{name}` extends itself"));
                faults.push(fault.hint("let one of the styles stand on its own"));
                break;
            }
            next = document.styles.get(&base.value.0).and_then(|style| style.extends.as_ref());
        }
    }
}

fn check_text(text: &TextGenerator, faults: &mut Faults) {
    if text.prompt.is_none() && text.grammar.entries.is_empty() && text.grammar.faulty.is_empty() {
        let fault = Fault::new(&text.here, "a text to generate needs a `prompt` or a `grammar`");
        faults.push(
            fault.hint("a `grammar` needs no account: grammar: { start: [\"Hello, {{first_name}}\"] }"),
        );
    }
    let rules: Vec<&str> = text.grammar.names().collect();
    if !rules.is_empty() && !rules.contains(&"start") {
        let fault = Fault::new(&text.here.within("grammar"), "the grammar has no rule `start`");
        faults.push(fault.hint("writing begins at the rule `start`"));
    }
    let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (rule, at, phrases) in &text.grammar.entries {
        if phrases.is_empty() {
            faults.push(Fault::new(at, format!("the rule `{rule}` has no phrase")));
        }
        for phrase in phrases {
            let say = match phrase {
                Either::Short(say) => say,
                Either::Full(phrase) => &phrase.say,
            };
            if let Err((message, hint)) = check_choices(&source_of(say), text) {
                faults.push(Fault::new(&say.at, message).hint(hint));
            }
            for used in rules_in(&source_of(say)) {
                match rules.iter().find(|rule| **rule == used) {
                    Some(known) => edges.entry(rule).or_default().push(known),
                    None => {
                        let hint = crate::fault::did_you_mean(&used, rules.iter().copied());
                        let message = format!("unknown rule `[{}]`", crate::fault::shortened(&used));
                        faults.push(Fault::new(&say.at, message).hint_if(hint));
                    }
                }
            }
        }
    }
    // Takes away rules that use no remaining rule; what is left goes round in a circle.
    let mut left: BTreeSet<&str> = edges.keys().copied().collect();
    loop {
        let before = left.len();
        let snapshot = left.clone();
        left.retain(|rule| edges[rule].iter().any(|used| snapshot.contains(used)));
        if left.len() == before {
            break;
        }
    }
    if let Some(rule) = left.first() {
        let fault = Fault::new(
            &text.here.within("grammar"),
            format!("the rule `{rule}` expands itself without an end"),
        );
        faults.push(fault.hint("a rule may use rules that do not lead back to it"));
    }
}

/// Nothing when every choice of a phrase agrees with something that there is.
fn check_choices(phrase: &str, text: &TextGenerator) -> Result<(), (String, String)> {
    // What expressions become is known later; what they are written with is no choice.
    let mut plain = String::new();
    let mut rest = phrase;
    while let Some((before, after)) = rest.split_once("{{") {
        plain.push_str(before);
        plain.push('x');
        rest = after.split_once("}}").map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    for part in crate::agree::parts(&plain)? {
        let crate::agree::Part::Choice { name, .. } = part else { continue };
        if text.agree.get(name).is_none() && !text.agree.faulty.iter().any(|faulty| faulty == name) {
            let hint = crate::fault::did_you_mean(name, text.agree.names());
            let hint = hint.unwrap_or_else(|| format!("add it: agree: {{ {name}: \"{{{{…}}}}\" }}"));
            return Err((format!("there is no `{name}` to agree with"), hint));
        }
    }
    Ok(())
}

fn source_of(written: &Written<crate::template::scalar::Text>) -> String {
    match &written.form {
        crate::template::written::Form::Plain(text) => text.0.clone(),
        crate::template::written::Form::Expression { source, .. } => source.to_string(),
    }
}

/// The rules that a phrase expands: every `[name]` outside of expressions.
pub(crate) fn rules_in(phrase: &str) -> Vec<String> {
    let mut rules = Vec::new();
    let mut rest = phrase;
    while let Some(open) = rest.find(['[', '{']) {
        if rest[open..].starts_with("{{") {
            match rest[open..].find("}}") {
                Some(close) => rest = &rest[open + close + 2..],
                None => break,
            }
            continue;
        }
        let after = &rest[open + 1..];
        if rest[open..].starts_with('[')
            && let Some(close) = after.find(']')
            && crate::template::read::is_name(&after[..close])
        {
            rules.push(after[..close].to_owned());
        }
        rest = after;
    }
    rules
}
