//! `vignette plan`: the segments of one viewer's video.

use serde_json::{Value, json};

use super::args::{OutputArguments, Source, StoreOptions};
use super::{Stop, fill, open, plainly, print_json, say, store};
use vignette::Error;
use vignette::output::{Format, Output};
use vignette::renderer::plan::{Plan, Segment};
use vignette::templates::video::Video;

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
    // All sizes have one sound.
    let Some(Plan { audio, sound: codec, .. }) = plans.first() else {
        return Err(Error::Options("no size is asked for".into()).into());
    };
    let vault = &engine.stores().vault;
    let stored = |plan: &Plan| -> Vec<bool> {
        plan.segments.iter().map(|segment| vault.contains(segment.key.digest())).collect()
    };
    let sizes: Vec<(&Plan, Vec<bool>)> = plans.iter().map(|plan| (plan, stored(plan))).collect();
    let sound = vault.contains(audio);
    store::tell_troubles(engine.stores(), &plainly);
    if as_json {
        let mut told = json!({
            "template": video.name,
            "frames": video.frames(),
            "seconds": video.duration().as_seconds(),
            "audio": { "key": audio, "codec": codec, "stored": sound },
        });
        let of_size = |(plan, stored): &(&Plan, Vec<bool>)| json!({ "profile": plan.profile, "segments": segments(&video, plan, stored) });
        match sizes.as_slice() {
            [one] if format != Format::Hls => {
                let one = of_size(one);
                (told["profile"], told["segments"]) = (one["profile"].clone(), one["segments"].clone());
            }
            all => told["sizes"] = all.iter().map(of_size).collect(),
        }
        return print_json(&told);
    }
    let names = plans.iter().flat_map(|plan| &plan.segments).map(|segment| scene(&video, segment.scene));
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0).max("scene".len());
    let mut lines = Vec::new();
    for (plan, stored) in &sizes {
        if format == Format::Hls {
            lines.push(format!("{} x {}", plan.profile.width, plan.profile.height));
        }
        lines.extend(table(&video, plan, stored, width));
    }
    lines.push(format!(
        "{:>4}  {:width$}  {:>6}  {:>6}  {:8}  {:6}  {}",
        "",
        "sound",
        "",
        "",
        "",
        if sound { "there" } else { "new" },
        audio
    ));
    let new: u32 = sizes
        .iter()
        .flat_map(|(plan, stored)| plan.segments.iter().zip(stored))
        .filter(|(_, stored)| !**stored)
        .map(|(segment, _)| segment.range.len())
        .sum();
    let all = u64::from(video.frames()) * sizes.len() as u64;
    let sizes = if format == Format::Hls { format!(", in {} sizes", sizes.len()) } else { String::new() };
    lines.push(format!("{new} of {all} frames to encode{sizes}"));
    say(&lines.join("\n"))
}

fn scene(video: &Video, index: usize) -> &str {
    video.scenes.get(index).map_or("", |scene| scene.name.as_str())
}

fn segments(video: &Video, plan: &Plan, stored: &[bool]) -> Vec<Value> {
    let told = |(segment, stored): (&Segment, &bool)| {
        json!({
            "index": segment.index,
            "scene": scene(video, segment.scene),
            "first_frame": segment.first_frame,
            "frames": segment.range.len(),
            "key": segment.key,
            "personal": segment.personal,
            "stored": stored,
        })
    };
    plan.segments.iter().zip(stored).map(told).collect()
}

/// A line for each segment below a heading; scenes' names take `width` characters.
fn table(video: &Video, plan: &Plan, stored: &[bool], width: usize) -> Vec<String> {
    let heading = format!(
        "{:>4}  {:width$}  {:>6}  {:>6}  {:8}  {:6}  key",
        "", "scene", "first", "frames", "for", "store"
    );
    let line = |(segment, stored): (&Segment, &bool)| {
        format!(
            "{:>4}  {:width$}  {:>6}  {:>6}  {:8}  {:6}  {}",
            segment.index,
            scene(video, segment.scene),
            segment.first_frame,
            segment.range.len(),
            if segment.personal { "viewer" } else { "everyone" },
            if *stored { "there" } else { "new" },
            segment.key,
        )
    };
    std::iter::once(heading).chain(plan.segments.iter().zip(stored).map(line)).collect()
}
