//! Real sound through the decoders and back from the encoder, sample-exactly.

use std::path::Path;
use std::process::Command;

use vignette_renderer::audio::{Pcm, Programme, decode, decode_heard, encode_aac, mix, probe};
use vignette_templates::blob::Blob;
use vignette_templates::time::Time;

const SAMPLES: &str = "/usr/share/forensics-samples/original-files";

fn sample(name: &str) -> Blob {
    let path = Path::new(SAMPLES).join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; install the Debian package forensics-samples-files", path.display())
    });
    Blob::from_file(bytes, path)
}

fn ffmpeg(arguments: &[&str]) {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .output()
        .expect("ffmpeg runs; install the Debian package ffmpeg");
    assert!(output.status.success(), "ffmpeg {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A WAV of `length` bytes of silence, 8 bits each (RIFF 1.0, WAVE format 1).
fn silent_wav(rate: u32, channels: u16, length: u32) -> Vec<u8> {
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + length).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    wav.extend(channels.to_le_bytes());
    wav.extend(rate.to_le_bytes());
    wav.extend((rate * u32::from(channels)).to_le_bytes());
    wav.extend(channels.to_le_bytes());
    wav.extend(b"\x08\0data");
    wav.extend(length.to_le_bytes());
    wav.resize(wav.len() + length as usize, 0x80);
    wav
}

/// A second and a half of a rising tone with a click, different left and right: nothing in it repeats.
fn chirp(frames: usize) -> Vec<f32> {
    (0..frames)
        .flat_map(|n| {
            let t = n as f32 / 48_000.0;
            let tone = 0.4 * (std::f32::consts::TAU * (200.0 + 700.0 * t) * t).sin();
            [tone, 0.5 * tone]
        })
        .collect()
}

/// How many frames later `heard` plays what `source` plays, within `most`, by the best correlation of the left channels; and how
/// well they then agree, in dB of signal over difference.
fn delay(source: &[f32], heard: &[f32], most: usize) -> (i64, f64) {
    let left = |samples: &[f32], frame: i64| {
        usize::try_from(frame).ok().and_then(|frame| samples.get(2 * frame)).copied().unwrap_or(0.0)
    };
    let window = 6000..18_000i64;
    let most = most as i64;
    let best = (-most..=most)
        .map(|shift| {
            let product: f64 =
                window.clone().map(|n| f64::from(left(source, n)) * f64::from(left(heard, n + shift))).sum();
            (shift, product)
        })
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let shift = best.map_or(0, |(shift, _)| shift);
    let (mut signal, mut noise) = (0.0, 1e-12);
    for n in window {
        let (was, is) = (f64::from(left(source, n)), f64::from(left(heard, n + shift)));
        signal += was * was;
        noise += (was - is) * (was - is);
    }
    (shift, 10.0 * (signal / noise).log10())
}

#[test]
fn every_format_decodes_at_its_place() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let samples = chirp(72_000);
    let raw = directory.path().join("chirp.f32");
    let bytes: Vec<u8> = samples.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(&raw, bytes).expect("a temporary file");
    let raw = raw.to_str().expect("UTF-8");
    let mut wrong = Vec::new();
    for (name, options, most_late, most_longer, agree) in [
        ("a.wav", &["-c:a", "pcm_s16le"][..], 0, 0, 60.0),
        ("a24.wav", &["-c:a", "pcm_s24le"], 0, 0, 80.0),
        // Two resamplers meet here, ours and ffmpeg's.
        ("a44.wav", &["-c:a", "pcm_s16le", "-ar", "44100"], 0, 1, 40.0),
        ("a.flac", &["-c:a", "flac"], 0, 0, 60.0),
        ("a.ogg", &["-c:a", "libvorbis", "-q:a", "6"], 0, 1, 20.0),
        ("a.opus", &["-c:a", "libopus", "-b:a", "160k"], 0, 960, 15.0),
        ("a.webm", &["-c:a", "libopus", "-b:a", "160k"], 0, 960, 15.0),
        ("a.m4a", &["-c:a", "aac", "-b:a", "192k"], 0, 1024, 20.0),
        // MPEG audio says nothing of its encoder's delay; 1105 samples and a frame's rest remain.
        ("a.mp3", &["-c:a", "libmp3lame", "-b:a", "192k", "-write_xing", "0"], 1200, 3500, 20.0),
        ("a.aac", &["-c:a", "aac", "-b:a", "192k"], 1024, 2100, 20.0),
    ] {
        let path = directory.path().join(name);
        let file = path.to_str().expect("UTF-8");
        ffmpeg(&[&["-f", "f32le", "-ar", "48000", "-ac", "2", "-i", raw], options, &[file]].concat());
        let pcm: Pcm = decode(&Blob::new(std::fs::read(&path).expect("ffmpeg wrote it")))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let (late, ratio) = delay(&samples, &pcm.samples, 1300);
        let longer = pcm.frames() as i64 - 72_000;
        // qtdemux 1.22 leaves out a last packet that the file's index cuts short: up to 21 ms of an M4A's end.
        let most_shorter = if name == "a.m4a" { 1023 } else { 1 };
        let right = (0..=most_late).contains(&late)
            && (-most_shorter..=most_longer).contains(&longer)
            && ratio > agree;
        if !right {
            wrong.push(format!("{name}: {late} frames late, {longer} longer, {ratio:.1} dB"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn real_files_have_their_length() {
    for (name, seconds) in [
        ("audio1/debian.wav", 0.0),
        ("audio1/debian.mp3", 0.0),
        ("audio1/debian.ogg", 0.0),
        ("movie1/VID_20191220_170832.mp4", 1.6),
        ("movie2/movie-hello.mp4", 8.32),
        ("movie2/movie-hello.avi", 8.21),
        ("movie2/movie-hello.ogg", 8.29),
        ("movie2/movie-hello.mpeg", 8.21),
    ] {
        let pcm = decode(&sample(name)).unwrap_or_else(|error| panic!("{error}"));
        let found = pcm.duration().as_seconds();
        assert!(pcm.samples.iter().any(|value| value.abs() > 0.01), "{name} is silent");
        assert!(found > 1.0 && (seconds == 0.0 || (found - seconds).abs() < 0.1), "{name}: {found} s");
    }
    let file = decode(&sample("audio1/debian.wav")).map(|pcm| pcm.frames()).unwrap_or_default();
    let coded = decode(&sample("audio1/debian.ogg")).map(|pcm| pcm.frames()).unwrap_or_default();
    assert!(file.abs_diff(coded) < 2000, "{file} {coded}");
}

#[test]
fn what_is_no_sound_is_refused() {
    let wav = sample("audio1/debian.wav");
    for (label, bytes, says) in [
        ("nothing", Vec::new(), "the file is empty"),
        ("a text", b"I make no sound".to_vec(), "not a WAV"),
        ("a playlist", b"#EXTM3U\n/etc/passwd\n".to_vec(), "#EXTM3U"),
        ("a cut WAV", wav.bytes()[..2000].to_vec(), "ends early"),
        ("a picture", sample("pic2/d-debian.png").bytes().to_vec(), "not a WAV"),
        ("tags alone", b"ID3\x04\0\0\0\0\0\x10aaaaaaaaaaaaaaaaaaaa".to_vec(), "not a WAV"),
        ("a WAV of junk", b"RIFF\0\0\0\0WAVEjunk".to_vec(), ""),
        ("a WAV without samples", silent_wav(48_000, 1, 0), "no audio track"),
        ("1 Hz", silent_wav(1, 1, 8000), "at 1 Hz"),
        ("just too slow", silent_wav(3_999, 1, 8000), "at 3999 Hz"),
        ("too fast", silent_wav(400_000, 1, 8000), "at 400000 Hz"),
        ("too many channels", silent_wav(48_000, 12, 12_000), "with 12 channels"),
    ] {
        let blob = Blob::new(bytes);
        for error in [decode(&blob).map(|_| ()).expect_err(label), probe(&blob).expect_err(label)] {
            assert!(!error.is_machine() && error.to_string().contains(says), "{label}: {error}");
        }
    }
    assert!(decode(&wav).is_ok() && probe(&wav).is_ok());
    let slow = decode(&Blob::new(silent_wav(4_000, 1, 8000))).unwrap_or_else(|error| panic!("{error}"));
    assert!(slow.frames().abs_diff(96_000) < 100, "{} frames", slow.frames());
}

#[test]
fn only_what_is_heard_is_decoded() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, options) in [("long.flac", &["-c:a", "flac"][..]), ("long.wav", &["-c:a", "pcm_s16le"])] {
        let path = directory.path().join(name);
        let file = path.to_str().expect("UTF-8");
        let tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=600"];
        ffmpeg(&[&tone[..], options, &[file]].concat());
        let blob = Blob::new(std::fs::read(&path).expect("ffmpeg wrote it"));
        let heard = |time: Time| {
            decode_heard(&blob, time, &|| false).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let (second, three) = (heard(Time::from_seconds(1)), heard(Time::from_seconds(3)));
        assert!((48_000..96_000).contains(&second.frames()), "{name}: {} frames", second.frames());
        assert!((144_000..192_000).contains(&three.frames()), "{name}: {} frames", three.frames());
        assert!(second.samples.iter().any(|value| value.abs() > 0.01), "{name} is silent");
        assert!(second.samples[..96_000] == three.samples[..96_000], "{name}: it is another sound");

        let none = decode_heard(&blob, Time::from_seconds(900), &|| true).map(|pcm| pcm.frames());
        assert_eq!(none.unwrap_or(usize::MAX), 0, "{name}: cancelled before it began");
        let asked = std::sync::atomic::AtomicU32::new(0);
        let cancelled = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 20;
        let part = decode_heard(&blob, Time::from_seconds(900), &cancelled).map(|pcm| pcm.frames());
        assert!(part.is_ok_and(|frames| frames < 300 * 48_000), "{name}: cancelled on the way");
    }
}

#[test]
fn the_track_plays_the_programme_to_the_sample() {
    for frames in [48_000usize, 48_001, 51_200, 1024 * 40 - 1, 72_000] {
        let programme = Programme { samples: chirp(frames) };
        let track = encode_aac(&programme).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(track.length, frames as u64);
        let units = (u64::from(track.priming) + track.length).div_ceil(1024);
        assert_eq!(track.samples.len() as u64, units, "{frames}");
        assert_eq!(track.config.first_chunk(), Some(&[0x11, 0x90]), "AAC-LC, 48 kHz, stereo");

        // As ADTS (ISO/IEC 13818-7, 6.2), through an independent decoder that knows no edit list.
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (adts, out) = (directory.path().join("a.aac"), directory.path().join("a.f32"));
        let mut bytes = Vec::new();
        for unit in &track.samples {
            let size = unit.len() + 7;
            bytes.extend([
                0xff,
                0xf1,
                0x4c,
                0x80 | (size >> 11) as u8,
                (size >> 3) as u8,
                (size << 5) as u8 | 0x1f,
                0xfc,
            ]);
            bytes.extend(unit);
        }
        std::fs::write(&adts, bytes).expect("a temporary file");
        let (input, output) = (adts.to_str().expect("UTF-8"), out.to_str().expect("UTF-8"));
        ffmpeg(&["-i", input, "-f", "f32le", "-ac", "2", "-ar", "48000", output]);
        let heard = std::fs::read(&out).expect("ffmpeg wrote it");
        let heard: Vec<f32> =
            heard.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let (late, ratio) = delay(&programme.samples, &heard, 3000);
        assert_eq!(late, i64::from(track.priming), "{frames}: the encoder's delay");
        assert!(ratio > 20.0, "{frames}: {ratio} dB");
        assert!(heard.len() / 2 >= track.priming as usize + frames, "{frames}: the end is there");
    }
    let empty = encode_aac(&Programme::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(empty.samples.len(), 1);
}

/// What ffmpeg measures by EBU R 128: integrated loudness in LUFS and true peak in dBTP.
fn measured(programme: &Programme) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("programme.f32");
    let bytes: Vec<u8> = programme.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    std::fs::write(&raw, bytes).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostats", "-f", "f32le", "-ar", "48000", "-ac", "2", "-i"])
        .arg(&raw)
        .args(["-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-"])
        .output()
        .expect("ffmpeg runs; install the Debian package ffmpeg");
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{printed}");
    let value = |name: &str| {
        let rest = printed.rsplit_once(name).map(|(_, rest)| rest.split_whitespace().next());
        rest.flatten().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} {printed}"))
    };
    (value("I:"), value("Peak:"))
}

#[test]
fn another_meter_finds_the_loudness_and_peak_that_were_asked_for() {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use vignette_templates::blob::Digest;
    use vignette_templates::time::FrameRate;
    use vignette_templates::video::{AudioClip, AudioRole, Canvas, Color, Duck, Mastering, Scene, Video};
    let (voice, music) = (Digest::of(b"voice"), Digest::of(b"music"));
    // Noise in syllables, with pauses; and a dense chord that peaks between its samples.
    let mut state = 1u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let speech: Vec<f32> = (0..6 * 48_000)
        .flat_map(|n| {
            let t = n as f32 / 48_000.0;
            let syllable = (std::f32::consts::TAU * 3.0 * t).sin().max(0.0);
            let pause = if (t as u32) % 3 == 2 { 0.0 } else { 1.0 };
            [0.05 * noise() * syllable * pause; 2]
        })
        .collect();
    let chord: Vec<f32> = (0..10 * 48_000)
        .flat_map(|n| {
            let t = n as f32 / 48_000.0;
            let tones = [11_987.0, 440.0, 3_001.0].map(|hz| (std::f32::consts::TAU * hz * t + 0.6).sin());
            [0.3 * tones.iter().sum::<f32>(), 0.25 * tones[0] + 0.3 * tones[1]]
        })
        .collect();
    let sounds = BTreeMap::from([
        (voice, Arc::new(Pcm { samples: speech })),
        (music, Arc::new(Pcm { samples: chord })),
    ]);
    let clip = |asset, role, start, gain_db| AudioClip {
        path: String::new(),
        asset,
        role,
        start: Time::from_seconds(start),
        skip: Time::ZERO,
        duration: None,
        repeat: false,
        gain_db,
        fade_in: Time::ZERO,
        fade_out: Time::ZERO,
        duck: None,
    };
    let video = |audio, mastering| Video {
        name: "test".into(),
        canvas: Canvas {
            width: 64,
            height: 64,
            frame_rate: FrameRate::new(25, 1).unwrap(),
            background: Color { r: 0, g: 0, b: 0, a: 255 },
        },
        locale: "en".into(),
        scenes: vec![Scene {
            name: "s".into(),
            frames: 250,
            background: None,
            layers: Vec::new(),
            transition: None,
        }],
        audio,
        captions: Vec::new(),
        mastering,
        assets: BTreeMap::new(),
        generated: BTreeMap::new(),
    };
    let tenth = Time::from_ticks(Time::TICKS_PER_SECOND / 10);
    let duck = Duck { under: Some(voice), by_db: 12.0, attack: tenth, release: tenth };
    let both = || {
        let music = AudioClip { duck: Some(duck), ..clip(music, AudioRole::Sound, 0, 0.0) };
        vec![clip(voice, AudioRole::Voice, 2, 0.0), music]
    };
    let alone = || vec![clip(voice, AudioRole::Voice, 2, 0.0)];
    let to = |loudness, true_peak| Mastering { loudness, true_peak };
    for (name, audio, mastering, expected) in [
        ("speech", alone(), Mastering::default(), Some(-16.0)),
        ("speech for television", alone(), to(Some(-23.0), -1.0), Some(-23.0)),
        ("all", both(), to(Some(-16.0), -1.0), Some(-16.0)),
        ("all, softer peaks", both(), to(Some(-20.0), -6.0), Some(-20.0)),
        ("music that is too loud", vec![clip(music, AudioRole::Sound, 0, 12.0)], to(None, -2.0), None),
    ] {
        let programme = mix(&video(audio, mastering), &sounds);
        let (loudness, peak) = measured(&programme);
        println!("{name}: {loudness} LUFS, {peak} dBTP");
        if let Some(expected) = expected {
            assert!((loudness - expected).abs() <= 0.5, "{name}: {loudness} LUFS");
        }
        // The other meter makes its points between samples by another filter, and rounds to a tenth.
        assert!(peak <= f64::from(mastering.true_peak) + 0.15, "{name}: {peak} dBTP");
    }
}
