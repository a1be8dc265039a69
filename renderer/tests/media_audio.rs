//! Real sound through the decoders and back from the encoder, sample-exactly.

use std::path::Path;
use std::process::Command;

use vignette_renderer::audio::{Pcm, Programme, decode, encode_aac};
use vignette_templates::blob::Blob;

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
    ] {
        let error = decode(&Blob::new(bytes)).expect_err(label).to_string();
        assert!(error.contains(says), "{label}: {error}");
    }
    assert!(decode(&wav).is_ok());
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
