//! A video of more than a hundred segments, packaged in every way and decoded again by others.
//!
//! Each frame tells its own number in blocks of black and white, and a burst of noise, each another one, sounds where segments meet: so a
//! frame out of place and a sound out of step are seen whatever the container says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use vignette_renderer::audio::{AacTrack, Programme, SoundTrack, decode, encode_aac};
use vignette_renderer::encode::{SegmentEncoder, VideoProfile};
use vignette_renderer::frame::I420Frame;
use vignette_renderer::media::{ConformSpec, VideoClip};
use vignette_renderer::package::cmaf::audio_key;
use vignette_renderer::package::folder::{HlsFolder, HlsMovie, HlsRung, write_hls};
use vignette_renderer::package::hls::{BitRates, Presentation, Sound, Variant};
use vignette_renderer::plan::{Plan, plan};
use vignette_renderer::render::Rendered;
use vignette_renderer::scale::Scaler;
use vignette_renderer::segment::EncodedSegment;
use vignette_renderer::text::FontLibrary;
use vignette_templates::blob::Blob;
use vignette_templates::time::{FrameRate, Time};
use vignette_templates::video::{Canvas, Color, Cue, Fit, Scene, Video};

const SCENES: u32 = 112;
const SIZE: [u32; 2] = [160, 90];
const SMALLER: [u32; 2] = [128, 72];
/// Length of the burst at each join, in samples.
const BURST: usize = 480;

fn rate() -> FrameRate {
    FrameRate::new(30000, 1001).unwrap()
}

/// A video of scenes of 6 to 30 frames; `shade` gives the background of each.
fn video([width, height]: [u32; 2], shade: impl Fn(u32) -> u8) -> Video {
    let grey = |value: u8| Color { r: value, g: value, b: value, a: 255 };
    let scene = |index: u32| Scene {
        name: format!("scene {index}"),
        frames: 6 + index * 7 % 25,
        background: Some(grey(shade(index))),
        layers: Vec::new(),
        transition: None,
    };
    Video {
        name: "many segments".into(),
        canvas: Canvas { width, height, frame_rate: rate(), background: grey(0) },
        locale: "en".into(),
        scenes: (0..SCENES).map(scene).collect(),
        audio: Vec::new(),
        captions: Vec::new(),
        mastering: Default::default(),
        assets: BTreeMap::new(),
        generated: BTreeMap::new(),
    }
}

fn usual_shade(scene: u32) -> u8 {
    90 + (scene % 60) as u8
}

/// Frame `number` on a background: twelve blocks, white for a one, the lowest bit on the left; below them their opposites.
fn paint(number: u32, shade: u8) -> I420Frame {
    let mut frame = I420Frame::new(SIZE[0], SIZE[1]);
    let width = SIZE[0] as usize;
    for (at, sample) in frame.y.iter_mut().enumerate() {
        let (column, row) = (at % width, at / width);
        let bit = number >> (column / 13) & 1 == 1;
        *sample = match row {
            10..40 if column < 156 => 16 + 219 * u8::from(bit),
            50..80 if column < 156 => 16 + 219 * u8::from(!bit),
            _ => shade,
        };
    }
    frame
}

/// The number that a frame tells; `None` when it is unreadable.
fn read_number(luma: &[u8], [width, height]: [u32; 2]) -> Option<u32> {
    let at = |bit: u32, row: u32| {
        let column = (bit * 13 + 6) * width / SIZE[0];
        luma.get((row * height / SIZE[1] * width + column) as usize).copied()
    };
    (0..12).try_fold(0, |number, bit| {
        let (value, opposite) = (at(bit, 25)?, at(bit, 65)?);
        (value.abs_diff(opposite) > 100).then_some(number | u32::from(value > opposite) << bit)
    })
}

fn noise(seed: u32, length: usize) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..length).map(move |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    })
}

/// Encodes a plan's segments from frames that `frame` draws.
fn encode(plan: &Plan, mut frame: impl FnMut(u32, usize) -> I420Frame) -> Vec<Arc<EncodedSegment>> {
    let segments = plan.segments.iter().map(|segment| {
        let mut encoder = SegmentEncoder::start(plan.profile, segment.range.len()).unwrap();
        for number in segment.range.start..segment.range.end {
            encoder.push(&frame(segment.first_frame - segment.range.start + number, segment.scene)).unwrap();
        }
        Arc::new(encoder.finish().unwrap())
    });
    segments.collect()
}

struct Made {
    rendered: Rendered,
    smaller_plan: Plan,
    smaller: Vec<Arc<EncodedSegment>>,
    programme: Vec<f32>,
}

static MADE: LazyLock<Made> = LazyLock::new(|| {
    let fonts = FontLibrary::system().unwrap();
    let large = video(SIZE, usual_shade);
    let plan_of = |video: &Video| plan(video, &fonts, 30);
    let (frames, large_plan, smaller_plan) =
        (large.frames(), plan_of(&large), plan_of(&video(SMALLER, usual_shade)));
    let segments = encode(&large_plan, |number, scene| paint(number, usual_shade(scene as u32)));
    let mut scaler = Scaler::new(SIZE, SMALLER).unwrap();
    let smaller = encode(&smaller_plan, |number, scene| {
        scaler.scale(&paint(number, usual_shade(scene as u32))).unwrap()
    });
    // A faint tone, and the bursts.
    let length = large.duration().to_samples(48_000) as usize;
    let mut programme: Vec<f32> = (0..length)
        .map(|sample| 0.02 * (sample as f32 * 440.0 / 48_000.0 * std::f32::consts::TAU).sin())
        .collect();
    for (index, join) in joins(&large_plan).into_iter().enumerate() {
        for (sample, value) in programme[join..].iter_mut().zip(noise(index as u32, BURST)) {
            *sample += value;
        }
    }
    let stereo = programme.iter().flat_map(|value| [*value, *value]).collect();
    let audio = encode_aac(&Programme { samples: stereo }).unwrap();
    let (distinct, sound) = (segments.len(), Arc::new(SoundTrack::Aac(audio)));
    let rendered =
        Rendered { plan: large_plan, segments, distinct, new: distinct, sound, locale: "en".into(), frames };
    Made { rendered, smaller_plan, smaller, programme }
});

/// The first sample of each segment.
fn joins(plan: &Plan) -> Vec<usize> {
    let time = |frame: u32| rate().time_of(u64::from(frame)).to_samples(48_000) as usize;
    plan.segments.iter().map(|segment| time(segment.first_frame)).collect()
}

fn cue() -> Cue {
    Cue { start: Time::ZERO, end: Time::from_seconds(3), text: "Hello".into() }
}

/// Writes the presentation in both sizes.
fn write_presentation(folder: &Path) -> u64 {
    let made = &*MADE;
    let rungs = [
        HlsRung { name: "v90", plan: &made.rendered.plan, segments: &made.rendered.segments },
        HlsRung { name: "v72", plan: &made.smaller_plan, segments: &made.smaller },
    ];
    let captions = [cue()];
    let movie =
        HlsMovie { rungs: &rungs, audio: made.rendered.sound.aac(), captions: &captions, locale: "en" };
    write_hls(folder, &movie).unwrap()
}

/// Runs a program that must succeed and say nothing on its standard error.
fn run(program: &str, arguments: &[&str], file: &Path, more: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .arg(file)
        .args(more)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; install the Debian package ffmpeg"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{program} on {}: {said}", file.display());
    output.stdout
}

/// A field of every frame or packet of a stream, as ffprobe sees it.
fn probe(file: &Path, stream: &str, entries: &str) -> Vec<Vec<f64>> {
    let more = ["-select_streams", stream, "-show_entries", entries, "-of", "csv=p=0"];
    let mut arguments = vec!["-v", "error"];
    arguments.extend(more);
    let text = String::from_utf8(run("ffprobe", &arguments, file, &[])).unwrap();
    let number = |field: &str| field.parse().unwrap_or(f64::NAN);
    text.lines()
        .map(|line| line.trim_end_matches(',').split(',').map(number).collect::<Vec<f64>>())
        .filter(|fields| fields.iter().all(|field| field.is_finite()))
        .collect()
}

/// How many samples later than it should the burst of each join sounds, to parts of a sample; `left` is one channel, whose first sample
/// stands at `start`.
fn lags(left: &[f32], start: i64) -> Vec<f64> {
    let plan = &MADE.rendered.plan;
    let lag = |(index, join): (usize, usize)| {
        let burst: Vec<f32> = noise(index as u32, BURST).collect();
        let product = |shift: i64| -> f64 {
            let first = join as i64 + shift - start;
            let heard = |at: i64| usize::try_from(first + at).ok().and_then(|at| left.get(at)).copied();
            (0..).zip(&burst).map(|(at, value)| f64::from(heard(at).unwrap_or(0.0) * value)).sum()
        };
        let products: Vec<f64> = (-1500..=1500).map(product).collect();
        let best = (1..products.len() - 1).max_by(|a, b| products[*a].total_cmp(&products[*b])).unwrap();
        // The top of the parabola through the peak and its neighbours.
        let (before, peak, after) = (products[best - 1], products[best], products[best + 1]);
        best as f64 - 1500.0 + 0.5 * (before - after) / (before - 2.0 * peak + after)
    };
    joins(plan).into_iter().enumerate().map(lag).collect()
}

/// Fails unless every burst is less than half a sample away from its place; coding moves their tops a little.
fn assert_in_step(left: &[f32], start: i64, what: &str) {
    let lags = lags(left, start);
    assert!(lags.len() > 100, "{what}");
    let worst = lags.iter().fold(0.0, |worst: f64, lag| worst.max(lag.abs()));
    println!("{what}: join 100 is off by {:.4} samples, the worst by {worst:.4}", lags[100]);
    assert!(worst < 0.5, "{what}: {worst} samples");
}

/// Decodes pictures and sound of `file` with ffmpeg and holds them against what was encoded. Sound may be in a playlist of its own.
fn check_with_ffmpeg(file: &Path, size: [u32; 2], with_sound: bool) {
    let what = file.display().to_string();
    let frames = MADE.rendered.frames;
    let strict = ["-nostdin", "-v", "error", "-xerror", "-i"];
    let pictures = ["-map", "0:v:0", "-vsync", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", "-"];
    let raw = run("ffmpeg", &strict, file, &pictures);
    let numbers: Vec<Option<u32>> =
        raw.chunks((size[0] * size[1]) as usize).map(|luma| read_number(luma, size)).collect();
    assert_eq!(numbers, (0..frames).map(Some).collect::<Vec<_>>(), "{what}");

    let times = probe(file, "v:0", "frame=pts_time");
    assert_eq!(times.len(), frames as usize, "{what}");
    for (index, time) in times.iter().enumerate() {
        let expected = index as f64 * 1001.0 / 30000.0;
        assert!((time[0] - expected).abs() < 2e-6, "{what}: frame {index} at {} s", time[0]);
    }
    let packets = probe(file, "v:0", "packet=dts_time,duration_time");
    assert_eq!(packets.len(), frames as usize, "{what}");
    for pair in packets.windows(2) {
        assert!((pair[1][0] - pair[0][0] - 1001.0 / 30000.0).abs() < 2e-6, "{what}: {pair:?}");
    }
    if !with_sound {
        return;
    }
    let first = probe(file, "a:0", "frame=pts_time,nb_samples");
    let start = (first[0][0] * 48_000.0).round() as i64;
    for pair in first.windows(2) {
        assert!((pair[0][0] + pair[0][1] / 48_000.0 - pair[1][0]).abs() < 2e-6, "{what}: {pair:?}");
    }
    let raw = run("ffmpeg", &strict, file, &["-map", "0:a:0", "-ac", "1", "-f", "f32le", "-"]);
    let left: Vec<f32> =
        raw.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    let end = start + left.len() as i64;
    let length = MADE.programme.len() as i64;
    println!("{what}: sound from {start} to {end} of {length}");
    assert!((length..length + 1024).contains(&end), "{what}: sound ends at {end} instead of {length}");
    assert_in_step(&left, start, &format!("{what}, ffmpeg"));
}

/// The same with GStreamer, through the readers of media that templates use.
fn check_with_gstreamer(what: &str, pictures: Vec<u8>, sound: Vec<u8>, size: [u32; 2]) {
    let frames = MADE.rendered.frames;
    let clip = VideoClip::open(&Blob::new(pictures)).unwrap();
    let expected: Vec<i64> =
        (0..i64::from(frames)).map(|frame| frame * 1001 * 1_000_000_000 / 30_000).collect();
    let found = &clip.info().frame_times;
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(&expected).map(|(found, expected)| found.abs_diff(*expected)).max();
    assert!(worst <= Some(1), "{what}: {worst:?} ns");
    let spec = ConformSpec {
        width: size[0],
        height: size[1],
        fit: Fit::Fill,
        focus: [0.5; 2],
        rate: rate(),
        start: Time::ZERO,
        repeat: false,
    };
    let mut reader = clip.reader(spec).unwrap();
    for number in 0..frames {
        let frame = reader.frame(number).unwrap();
        assert_eq!(read_number(&frame.y, size), Some(number), "{what}");
    }
    let pcm = decode(&Blob::new(sound)).unwrap();
    let left: Vec<f32> = pcm.samples.chunks_exact(2).map(|pair| pair[0]).collect();
    println!("{what}: {} samples of {}", left.len(), MADE.programme.len());
    assert_in_step(&left, 0, &format!("{what}, GStreamer"));
}

#[test]
fn an_mp4_file_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("video.mp4");
    assert!(MADE.rendered.plan.segments.len() > 100);
    MADE.rendered.write_mp4(&path).unwrap();
    check_with_ffmpeg(&path, SIZE, true);
    let bytes = fs::read(&path).unwrap();
    check_with_gstreamer("MP4", bytes.clone(), bytes, SIZE);
}

#[test]
fn a_file_of_fragments_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("video.mp4");
    let length = MADE.rendered.write_fragmented(&path).unwrap();
    check_with_ffmpeg(&path, SIZE, true);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len() as u64, length);
    check_with_gstreamer("fragmented MP4", bytes.clone(), bytes, SIZE);
}

/// A track of a presentation as one file: its header and its segments, in the order of a playlist.
fn joined(playlist: &Path) -> Vec<u8> {
    let text = fs::read_to_string(playlist).unwrap();
    let header = text.lines().find_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")?.strip_suffix('"'));
    let segments = text.lines().filter(|line| !line.starts_with('#'));
    let folder = playlist.parent().unwrap();
    header.into_iter().chain(segments).flat_map(|name| fs::read(folder.join(name)).unwrap()).collect()
}

#[test]
fn a_presentation_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let total = write_presentation(folder.path());
    check_with_ffmpeg(&folder.path().join("master.m3u8"), SIZE, true);
    check_with_ffmpeg(&folder.path().join("v90/index.m3u8"), SIZE, false);
    check_with_ffmpeg(&folder.path().join("v72/index.m3u8"), SMALLER, false);
    let sound = joined(&folder.path().join("audio/index.m3u8"));
    let pictures = joined(&folder.path().join("v90/index.m3u8"));
    check_with_gstreamer("HLS", pictures, sound.clone(), SIZE);
    check_with_gstreamer("HLS, smaller", joined(&folder.path().join("v72/index.m3u8")), sound, SMALLER);

    let lasts = f64::from(MADE.rendered.frames) * 1001.0 / 30000.0;
    for playlist in ["master.m3u8", "v90/index.m3u8", "v72/index.m3u8", "audio/index.m3u8"] {
        let path = folder.path().join(playlist);
        let arguments = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"];
        let text = String::from_utf8(run("ffprobe", &arguments, &path, &[])).unwrap();
        let found: f64 = text.trim().parse().unwrap();
        assert!((found - lasts).abs() < 1e-4, "{playlist}: {found} s instead of {lasts}");
    }
    let all: u64 = files(folder.path()).values().map(|bytes| bytes.len() as u64).sum();
    assert_eq!(all, total, "every file of the folder belongs to the presentation");

    // What is told of the bit rates agrees with the files.
    let master = fs::read_to_string(folder.path().join("master.m3u8")).unwrap();
    let attribute = |line: &str, name: &str| -> f64 {
        let value = line.split([':', ',']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("{name} in {line}")).parse().unwrap()
    };
    let lines: Vec<&str> = master.lines().filter(|line| line.starts_with("#EXT-X-STREAM-INF")).collect();
    assert_eq!(lines.len(), 2);
    for (line, rung) in lines.into_iter().zip(["v90", "v72"]) {
        let media = [rung, "audio"].map(|name| joined(&folder.path().join(name).join("index.m3u8")).len());
        let average = media.iter().sum::<usize>() as f64 * 8.0 / lasts;
        let told = attribute(line, "AVERAGE-BANDWIDTH");
        // Headers are not counted.
        assert!((0.97..=1.0).contains(&(told / average)), "{rung}: {told} instead of {average}");
        assert!(attribute(line, "BANDWIDTH") > told, "{rung}");
        assert_eq!(attribute(line, "FRAME-RATE"), 29.97);
    }
    let text = "WEBVTT\n\n00:00:00.000 --> 00:00:03.000\nHello\n";
    assert_eq!(fs::read_to_string(folder.path().join("captions/captions.vtt")).unwrap(), text);
}

/// Every file below `folder`, by its path there.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let bytes = fs::read(&path).unwrap();
                    found.insert(path.strip_prefix(folder).unwrap().to_owned(), bytes);
                }
            }
        }
    }
    found
}

#[test]
fn two_languages_share_a_folder_and_a_sound() {
    let folder = tempfile::tempdir().unwrap();
    let made = &*MADE;
    let rungs = [HlsRung { name: "v90", plan: &made.rendered.plan, segments: &made.rendered.segments }];
    let mut media = Vec::new();
    for locale in ["en", "de", "ar"] {
        let movie = HlsMovie { rungs: &rungs, audio: made.rendered.sound.aac(), captions: &[], locale };
        write_hls(folder.path(), &movie).unwrap_or_else(|error| panic!("{locale}: {error}"));
        let master = fs::read_to_string(folder.path().join("master.m3u8")).unwrap();
        assert!(master.contains(&format!("LANGUAGE=\"{locale}\"")), "{master}");
        media.push(fs::read_dir(folder.path().join("s")).unwrap().count());
    }
    // What sounds alike is stored once.
    assert_eq!(media, [media[0]; 3]);
}

#[test]
fn playlists_are_known_before_anything_is_rendered() {
    let folder = tempfile::tempdir().unwrap();
    write_presentation(folder.path());
    let made = &*MADE;
    let length = rate().time_of(u64::from(made.rendered.frames));
    let key = audio_key(made.rendered.sound.aac().unwrap());
    let planned = Presentation {
        variants: vec![
            Variant::planned("v90", &made.rendered.plan, BitRates { peak: 1, average: 1 }),
            Variant::planned("v72", &made.smaller_plan, BitRates { peak: 1, average: 1 }),
        ],
        sound: Some(Sound::planned(key, length, "en")),
        captions: None,
    };
    for (path, text) in planned.files(None) {
        let written = fs::read_to_string(folder.path().join(&path)).unwrap();
        if path != "master.m3u8" {
            assert_eq!(text, written, "{path}");
            continue;
        }
        // Codecs, sizes and rates stand in the master playlist as they will be; only bit rates are estimates.
        let told = |text: &str| -> Vec<String> {
            text.lines()
                .filter_map(|line| {
                    Some(line.split_once(",CODECS=")?.1.replace(",SUBTITLES=\"captions\"", ""))
                })
                .collect()
        };
        assert_eq!(told(&text), told(&written));
    }
}

#[test]
fn a_name_stands_for_the_same_bytes_for_every_viewer() {
    let fonts = FontLibrary::system().unwrap();
    // The second viewer sees another shade in scene 50; everything else is encoded a second time, on its own.
    let other_shade = |scene: u32| if scene == 50 { 20 } else { usual_shade(scene) };
    let plan_of_other = plan(&video(SIZE, other_shade), &fonts, 30);
    let segments = encode(&plan_of_other, |number, scene| paint(number, other_shade(scene as u32)));
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let made = &*MADE;
    for (folder, plan, segments) in [
        (&folders[0], &made.rendered.plan, &made.rendered.segments),
        (&folders[1], &plan_of_other, &segments),
    ] {
        let rung = HlsRung { name: "v90", plan, segments };
        let movie =
            HlsMovie { rungs: &[rung], audio: made.rendered.sound.aac(), captions: &[], locale: "en" };
        write_hls(folder.path(), &movie).unwrap();
    }
    let [one, other] = folders.each_ref().map(|folder| files(&folder.path().join("s")));
    let own: Vec<&PathBuf> = one.keys().filter(|name| !other.contains_key(*name)).collect();
    assert_eq!(own.len(), 1, "one segment is not shared: {own:?}");
    let shared = one.iter().filter_map(|(name, bytes)| Some((name, bytes, other.get(name)?)));
    let mut count = 0;
    for (name, bytes, others) in shared {
        assert!(bytes == others, "{} differs", name.display());
        count += 1;
    }
    assert_eq!(count, one.len() - 1);
    // No name tells anything but digests and numbers.
    for name in one.keys().map(|name| name.display().to_string()) {
        let (stem, _) = name.split_once('.').unwrap();
        assert!(stem.bytes().all(|sign| sign.is_ascii_hexdigit() || sign == b'-'), "{name}");
    }
}

#[test]
fn files_that_are_there_are_kept_and_damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    write_presentation(folder.path());
    let media = folder.path().join("s");
    let modified = || -> BTreeMap<PathBuf, std::time::SystemTime> {
        let entries = fs::read_dir(&media).unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.path(), entry.metadata().unwrap().modified().unwrap())).collect()
    };
    let before = modified();
    let mut names = before.keys().filter(|name| name.extension().is_some_and(|kind| kind == "m4s"));
    let (short, gone, wrong) = (names.next().unwrap(), names.next().unwrap(), names.next().unwrap());
    fs::write(short, b"half").unwrap();
    fs::remove_file(gone).unwrap();
    write_presentation(folder.path());
    let after = modified();
    for (name, time) in &before {
        let kept = after.get(name) == Some(time);
        assert_eq!(kept, name != short && name != gone, "{}", name.display());
    }

    // A file of the right length that is damaged in its index is kept, found, and named; then nothing is playable.
    let mut bytes = fs::read(wrong).unwrap();
    let at = bytes.windows(4).position(|name| name == b"tfdt").unwrap();
    bytes[at + 15] ^= 1;
    fs::write(wrong, bytes).unwrap();
    fs::remove_file(folder.path().join("master.m3u8")).unwrap();
    let made = &*MADE;
    let rungs = [
        HlsRung { name: "v90", plan: &made.rendered.plan, segments: &made.rendered.segments },
        HlsRung { name: "v72", plan: &made.smaller_plan, segments: &made.smaller },
    ];
    let movie = HlsMovie { rungs: &rungs, audio: made.rendered.sound.aac(), captions: &[], locale: "en" };
    let said = write_hls(folder.path(), &movie).unwrap_err().to_string();
    let name = wrong.file_name().unwrap().to_string_lossy().into_owned();
    assert!(said.contains(&name) && said.contains("does not start where"), "{said}");
    assert!(!folder.path().join("master.m3u8").exists());
}

#[test]
fn nothing_is_playable_before_all_media_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let to = HlsFolder::open(folder.path()).unwrap();
    let plan = &MADE.rendered.plan;
    let presentation = |name: &str| Presentation {
        variants: vec![Variant::planned(name, plan, BitRates::default())],
        sound: None,
        captions: None,
    };
    // In any order, and all but one.
    for (segment, encoded) in plan.segments.iter().zip(&MADE.rendered.segments).skip(1).rev() {
        to.put_segment(&plan.profile, segment, encoded).unwrap();
    }
    let said = to.finish(presentation("v90")).unwrap_err().to_string();
    assert!(said.contains("cannot read back"), "{said}");
    assert!(!folder.path().join("master.m3u8").exists());
    to.put_segment(&plan.profile, &plan.segments[0], &MADE.rendered.segments[0]).unwrap();
    let said = to.finish(presentation("../v90")).unwrap_err().to_string();
    assert!(said.contains("cannot be named"), "{said}");
    to.finish(presentation("v90")).unwrap();
    assert!(folder.path().join("master.m3u8").exists());

    // A segment of another encoder is refused by name.
    let mut other = MADE.rendered.segments[0].clone();
    Arc::make_mut(&mut other).config[3] += 1;
    let said = to.put_segment(&plan.profile, &plan.segments[0], &other).unwrap_err().to_string();
    assert!(said.contains("another encoder"), "{said}");
}

#[test]
fn a_sound_of_another_length_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let made = &*MADE;
    let rung = HlsRung { name: "v90", plan: &made.rendered.plan, segments: &made.rendered.segments };
    let short: AacTrack = encode_aac(&Programme { samples: vec![0.0; 96_000] }).unwrap();
    let movie = HlsMovie { rungs: &[rung], audio: Some(&short), captions: &[], locale: "en" };
    let said = write_hls(folder.path(), &movie).unwrap_err().to_string();
    assert!(said.contains("more than a frame"), "{said}");
    let profile: VideoProfile = made.rendered.plan.profile;
    assert_eq!((profile.width, profile.height), (SIZE[0], SIZE[1]));
}
