//! What tells two receipts apart.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::{GeneratedFacts, Receipt, SegmentFacts};
use crate::templates::blob::Digest;

/// A part of what a video was made of, or of what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The viewer's data.
    Data,
    /// The template's text.
    Template,
    /// The rendition.
    Rendition,
    /// An option of the output.
    Output,
    /// The program, or GStreamer.
    Engine,
    /// The build of the encoder.
    Encoder,
    /// A picture, video or sound.
    Asset,
    /// A font.
    Font,
    /// Who makes what, or the lists of the guard.
    Generators,
    /// A model, or a program that speaks.
    Model,
    /// The language, which follows from data and template.
    Locale,
    /// A generated value.
    Generated,
    /// A segment.
    Segment,
    /// The sound.
    Sound,
    /// The bytes of a file.
    File,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Data => "data",
            Part::Template => "template",
            Part::Rendition => "rendition",
            Part::Output => "output",
            Part::Engine => "engine",
            Part::Encoder => "encoder",
            Part::Asset => "asset",
            Part::Font => "font",
            Part::Generators => "generators",
            Part::Model => "model",
            Part::Locale => "locale",
            Part::Generated => "generated",
            Part::Segment => "segment",
            Part::Sound => "sound",
            Part::File => "file",
        })
    }
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// What kind of thing.
    pub part: Part,
    /// Which one, where there are several: an asset's or value's name, an option, a segment's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What differs about it; no value of the viewer's.
    pub message: String,
    /// Whether something else that differs accounts for it.
    pub follows: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.part)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What differs between the receipt `then` and what is made `now`, causes first. What only one of them tells is not compared: digests of
/// segments and sound, and files. When something was made and what that cost is no difference.
pub fn compare(then: &Receipt, now: &Receipt) -> Vec<Difference> {
    let mut found = Found(Vec::new());
    let inputs_differ = inputs(then, now, &mut found);
    found.unless_equal(Part::Locale, None, &then.locale, &now.locale, inputs_differ);
    generated(&then.generated, &now.generated, inputs_differ, &mut found);
    let any = !found.0.is_empty();
    made(then, now, any, &mut found);
    let mut found = found.0;
    // The order of parts is that of causes; within one it is that of finding.
    found.sort_by_key(|difference| (difference.follows, difference.part));
    found
}

struct Found(Vec<Difference>);

impl Found {
    fn add(&mut self, part: Part, name: Option<&str>, message: impl Into<String>, follows: bool) {
        let name = name.map(str::to_owned);
        self.0.push(Difference { part, name, message: message.into(), follows });
    }

    /// Tells two values where they differ.
    fn unless_equal<T: PartialEq + fmt::Debug>(
        &mut self,
        part: Part,
        name: Option<&str>,
        then: &T,
        now: &T,
        follows: bool,
    ) {
        if then != now {
            self.add(part, name, format!("{now:?} instead of {then:?}"), follows);
        }
    }
}

/// Compares what does not follow from anything else; whether any of it differs.
fn inputs(then: &Receipt, now: &Receipt, found: &mut Found) -> bool {
    if then.data != now.data {
        found.add(Part::Data, None, "the viewer's data are others", false);
    }
    match (then.template.name == now.template.name, then.template.digest == now.template.digest) {
        (true, true) => {}
        (false, _) => {
            let (then, now) = (&then.template.name, &now.template.name);
            found.add(Part::Template, None, format!("it is `{now}` instead of `{then}`"), false);
        }
        (true, false) => found.add(Part::Template, None, "its text was changed", false),
    }
    found.unless_equal(Part::Rendition, None, &then.rendition, &now.rendition, false);
    output(then, now, found);
    let (a, b) = (&then.engine, &now.engine);
    found.unless_equal(Part::Engine, Some("vignette"), &a.vignette, &b.vignette, false);
    found.unless_equal(Part::Engine, Some("segments"), &a.segments, &b.segments, false);
    found.unless_equal(Part::Engine, Some("gstreamer"), &a.gstreamer, &b.gstreamer, false);

    let sets_follow = !found.0.is_empty();
    // Which files are used follows from data and template; what is in one does not, unless the data name it.
    let other_data = then.data != now.data;
    let files = |receipt: &Receipt| -> BTreeMap<String, (Part, bool, Vec<Digest>)> {
        let mut files: BTreeMap<String, (Part, bool, Vec<Digest>)> = BTreeMap::new();
        for asset in &receipt.assets {
            let part = if asset.role == "font" { Part::Font } else { Part::Asset };
            let entry = files.entry(asset.name.clone()).or_insert((part, asset.by_data, Vec::new()));
            entry.2.push(asset.digest);
        }
        files
    };
    let (mut before, after) = (files(then), files(now));
    for (name, (part, by_data, digests)) in after {
        match before.remove(&name) {
            Some((_, _, known)) if known == digests => {}
            Some(_) => {
                let follows = by_data && other_data;
                found.add(part, Some(&name), "the file has other bytes", follows);
            }
            None => found.add(part, Some(&name), "it was not used", sets_follow),
        }
    }
    for (name, (part, ..)) in before {
        found.add(part, Some(&name), "it is no longer used", sets_follow);
    }
    if then.fonts.library != now.fonts.library {
        found.add(Part::Font, None, "the engine's fonts are others", false);
    }
    let fonts = |receipt: &Receipt| -> BTreeMap<String, Digest> {
        receipt.fonts.used.iter().map(|font| (font.name.clone(), font.digest)).collect()
    };
    files_differ(Part::Font, &fonts(then), &fonts(now), sets_follow, found);

    let (a, b) = (&then.generators, &now.generators);
    found.unless_equal(Part::Generators, Some("text"), &a.text, &b.text, false);
    found.unless_equal(Part::Generators, Some("voice"), &a.voice, &b.voice, false);
    found.unless_equal(Part::Generators, Some("image"), &a.image, &b.image, false);
    if a.guard != b.guard {
        found.add(Part::Generators, Some("guard"), "its lists of words are others", false);
    }
    if a.approved != b.approved {
        found.add(Part::Generators, Some("approved"), "the approved copy is another", false);
    }
    let sets_follow = !found.0.is_empty();
    let models = |receipt: &Receipt| -> BTreeMap<String, Digest> {
        receipt.models.iter().map(|model| (model.name.clone(), model.digest)).collect()
    };
    files_differ(Part::Model, &models(then), &models(now), sets_follow, found);
    !found.0.is_empty()
}

/// Compares files of this machine by their names. A change of bytes is a cause; which are used may follow from something else.
fn files_differ(
    part: Part,
    then: &BTreeMap<String, Digest>,
    now: &BTreeMap<String, Digest>,
    sets_follow: bool,
    found: &mut Found,
) {
    for (name, digest) in now {
        match then.get(name) {
            Some(known) if known == digest => {}
            Some(_) => found.add(part, Some(name), "the file has other bytes", false),
            None => found.add(part, Some(name), "it was not used", sets_follow),
        }
    }
    for name in then.keys().filter(|name| !now.contains_key(*name)) {
        found.add(part, Some(name), "it is no longer used", sets_follow);
    }
}

fn output(then: &Receipt, now: &Receipt, found: &mut Found) {
    // Destructured in full, so that no option can be forgotten here.
    let super::OutputFacts {
        format,
        codec,
        encoder,
        encoder_build,
        hardware,
        quality,
        ladder,
        from,
        to,
        first,
        width,
        frames_per_second,
        max_bytes,
        at,
    } = &then.output;
    let now = &now.output;
    let part = Part::Output;
    found.unless_equal(part, Some("format"), format, &now.format, false);
    found.unless_equal(part, Some("codec"), codec, &now.codec, false);
    found.unless_equal(part, Some("hardware"), hardware, &now.hardware, false);
    found.unless_equal(part, Some("quality"), quality, &now.quality, false);
    found.unless_equal(part, Some("ladder"), ladder, &now.ladder, false);
    found.unless_equal(part, Some("from"), from, &now.from, false);
    found.unless_equal(part, Some("to"), to, &now.to, false);
    found.unless_equal(part, Some("first"), first, &now.first, false);
    found.unless_equal(part, Some("width"), width, &now.width, false);
    found.unless_equal(part, Some("frames_per_second"), frames_per_second, &now.frames_per_second, false);
    found.unless_equal(part, Some("max_bytes"), max_bytes, &now.max_bytes, false);
    found.unless_equal(part, Some("at"), at, &now.at, false);
    // Another codec has another encoder.
    let follows = codec != &now.codec || hardware != &now.hardware;
    found.unless_equal(Part::Encoder, None, encoder, &now.encoder, follows);
    if encoder == &now.encoder && encoder_build != &now.encoder_build {
        let name = encoder.as_deref();
        found.add(Part::Encoder, name, "this build of it makes other bytes", false);
    }
}

fn generated(then: &[GeneratedFacts], now: &[GeneratedFacts], follows: bool, found: &mut Found) {
    let part = Part::Generated;
    for value in now {
        let name = Some(value.name.as_str());
        let Some(before) = then.iter().find(|before| before.name == value.name) else {
            found.add(part, name, "it was not there", follows);
            continue;
        };
        let mut said = Vec::new();
        let made_by = |value: &GeneratedFacts| {
            let parts = [value.provider.as_str(), &value.model, &value.version];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
        };
        let (a, b) = (made_by(before), made_by(value));
        if a != b {
            said.push(format!("`{b}` made it instead of `{a}`"));
        }
        match (&before.fallback, &value.fallback) {
            (None, Some(why)) => said.push(format!("its fallback stands in for it: {why}")),
            (Some(_), None) => said.push("it is no longer its fallback".to_owned()),
            _ => {}
        }
        if before.synthetic != value.synthetic {
            let is = |synthetic| if synthetic { "synthetic" } else { "a person's" };
            said.push(format!("it is {} instead of {}", is(value.synthetic), is(before.synthetic)));
        }
        if (&before.kind, before.digest) != (&value.kind, value.digest) {
            said.push("its value is another".to_owned());
        }
        if said.is_empty() && before.seed != value.seed {
            said.push("its seed is another".to_owned());
        }
        if !said.is_empty() {
            found.add(part, name, said.join("; "), follows);
        }
    }
    for before in then.iter().filter(|before| now.iter().all(|value| value.name != before.name)) {
        found.add(part, Some(&before.name), "it is no longer there", follows);
    }
}

/// Compares what came of it.
fn made(then: &Receipt, now: &Receipt, follows: bool, found: &mut Found) {
    if then.sizes.len() != now.sizes.len() {
        let message = format!("{} sizes instead of {}", now.sizes.len(), then.sizes.len());
        found.add(Part::Segment, None, message, follows);
    }
    for (before, after) in then.sizes.iter().zip(&now.sizes) {
        let size = format!("{}x{}", after.width, after.height);
        if (before.width, before.height) != (after.width, after.height) {
            let message = format!("{size} instead of {}x{}", before.width, before.height);
            found.add(Part::Segment, None, message, follows);
            continue;
        }
        if before.segments.len() != after.segments.len() {
            let message = format!("{} segments instead of {}", after.segments.len(), before.segments.len());
            found.add(Part::Segment, Some(&size), message, follows);
        }
        for (index, (a, b)) in before.segments.iter().zip(&after.segments).enumerate() {
            let name = format!("{index} of {size}");
            if let Some(message) = differ(a, b) {
                found.add(Part::Segment, Some(&name), message, follows);
            }
        }
    }
    match (&then.sound, &now.sound) {
        (Some(a), Some(b)) if (&a.codec, a.key) != (&b.codec, b.key) => {
            found.add(Part::Sound, None, "something else is heard", follows);
        }
        (Some(a), Some(b)) if differs(a.digest, b.digest) => {
            found.add(Part::Sound, None, "the same sound has other bytes", follows);
        }
        (None, Some(_)) => found.add(Part::Sound, None, "there was none", follows),
        (Some(_), None) => found.add(Part::Sound, None, "there is none", follows),
        _ => {}
    }
    if then.files.is_empty() || now.files.is_empty() {
        return;
    }
    let follows = !found.0.is_empty();
    for file in &now.files {
        match then.files.iter().find(|before| before.name == file.name) {
            Some(before) if before.digest == file.digest => {}
            Some(before) => {
                let message = format!("{} other bytes instead of {}", file.bytes, before.bytes);
                found.add(Part::File, Some(&file.name), message, follows);
            }
            None => found.add(Part::File, Some(&file.name), "it was not there", follows),
        }
    }
    for before in &then.files {
        if now.files.iter().all(|file| file.name != before.name) {
            found.add(Part::File, Some(&before.name), "it is no longer there", follows);
        }
    }
}

fn differ(then: &SegmentFacts, now: &SegmentFacts) -> Option<&'static str> {
    if (then.key, then.frames) != (now.key, now.frames) {
        return Some("something else is seen");
    }
    differs(then.digest, now.digest).then_some("the same pictures have other bytes")
}

/// Whether two digests differ, where both are known.
fn differs(then: Option<Digest>, now: Option<Digest>) -> bool {
    then.zip(now).is_some_and(|(then, now)| then != now)
}
