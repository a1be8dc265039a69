//! `vignette plan`: the segments of one viewer's video.

use serde_json::json;

use super::args::{OutputArguments, Source, StoreOptions};
use super::{Stop, fill, open, plainly, print_json, say, store};
use vignette::Error;
use vignette::output::{Format, Output};

pub(super) fn show(
    source: &Source,
    output: &OutputArguments,
    as_json: bool,
    options: &StoreOptions,
) -> Result<(), Stop> {
    let format = output.format.unwrap_or_default();
    if !format.is_film() {
        let films: Vec<&str> = Format::ALL.iter().filter(|f| f.is_film()).map(|f| f.as_str()).collect();
        return Err(Stop::Usage(format!(
            "--format {}: it is made of frames, not of segments; a plan is of {}",
            format.as_str(),
            films.join(", ")
        )));
    }
    let idle = output.idle(format);
    if !idle.is_empty() {
        let message = format!("{}: goes with another --format than {}", idle.join(", "), format.as_str());
        return Err(Stop::Usage(message));
    }
    let output = Output::resolve(output.options(format))?;
    output.notes.iter().for_each(|note| plainly("warning", note));
    let engine = source.generators.engine()?.with_stores(store::open(options, &plainly));
    let template = open(&engine, source, &plainly)?;
    let video = fill(&engine, &template, source, &plainly)?;
    let plans = output.plans(&engine, &video)?;
    // The size that players begin with; the others are cut alike.
    let Some(plan) = plans.first() else {
        return Err(Error::Options("no size is asked for".into()).into());
    };
    let vault = &engine.stores().vault;
    let stored: Vec<bool> =
        plan.segments.iter().map(|segment| vault.contains(segment.key.digest())).collect();
    let sound = vault.contains(&plan.audio);
    store::tell_troubles(engine.stores(), &plainly);
    let scene = |index: usize| video.scenes[index].name.as_str();
    if as_json {
        let segments: Vec<_> = plan
            .segments
            .iter()
            .zip(&stored)
            .map(|(segment, stored)| {
                json!({
                    "index": segment.index,
                    "scene": scene(segment.scene),
                    "first_frame": segment.first_frame,
                    "frames": segment.range.len(),
                    "key": segment.key,
                    "personal": segment.personal,
                    "stored": stored,
                })
            })
            .collect();
        return print_json(&json!({
            "template": video.name,
            "frames": video.frames(),
            "seconds": video.duration().as_seconds(),
            "profile": plan.profile,
            "segments": segments,
            "audio": { "key": plan.audio, "codec": plan.sound, "stored": sound },
        }));
    }
    let width = plan.segments.iter().map(|segment| scene(segment.scene).chars().count()).max().unwrap_or(0);
    let width = width.max("scene".len());
    let mut lines = vec![format!(
        "{:>4}  {:width$}  {:>6}  {:>6}  {:8}  {:6}  key",
        "", "scene", "first", "frames", "for", "store"
    )];
    for (segment, stored) in plan.segments.iter().zip(&stored) {
        lines.push(format!(
            "{:>4}  {:width$}  {:>6}  {:>6}  {:8}  {:6}  {}",
            segment.index,
            scene(segment.scene),
            segment.first_frame,
            segment.range.len(),
            if segment.personal { "viewer" } else { "everyone" },
            if *stored { "there" } else { "new" },
            segment.key,
        ));
    }
    lines.push(format!(
        "{:>4}  {:width$}  {:>6}  {:>6}  {:8}  {:6}  {}",
        "",
        "sound",
        "",
        "",
        "",
        if sound { "there" } else { "new" },
        plan.audio
    ));
    let new: u32 =
        plan.segments.iter().zip(&stored).filter(|(_, stored)| !**stored).map(|(s, _)| s.range.len()).sum();
    lines.push(format!("{} of {} frames to encode", new, video.frames()));
    say(&lines.join("\n"))
}
