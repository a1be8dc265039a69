use super::*;

/// Something like speech: harmonics of a voice whose syllables swell and fade, between silences.
fn voiced(rate: u32, seconds: f64, pitch: f64, amplitude: f64) -> Vec<i16> {
    let count = (seconds * f64::from(rate)) as usize;
    (0..count)
        .map(|n| {
            let t = n as f64 / f64::from(rate);
            let syllable = 0.6 - 0.4 * (std::f64::consts::TAU * 4.0 * t).cos();
            let wave: f64 = (1..12)
                .map(|h| (std::f64::consts::TAU * pitch * f64::from(h) * t).sin() / f64::from(h))
                .sum();
            (wave * syllable * amplitude * 12_000.0) as i16
        })
        .collect()
}

fn seconds(value: f64) -> Time {
    Time::from_ticks((value * Time::TICKS_PER_SECOND as f64).round() as i64)
}

fn word(text: &str, start: f64, end: f64) -> SpokenWord {
    SpokenWord { text: text.into(), start: seconds(start), end: seconds(end) }
}

fn hole(from: f64, to: f64) -> Hole {
    Hole { from: seconds(from), to: seconds(to), say: "Maria".into(), optional: false }
}

/// Six seconds of speech with a pause in each second.
fn recording(rate: u32, holes: Vec<Hole>) -> Recording {
    let mut samples = Vec::new();
    for _ in 0..6 {
        samples.extend(voiced(rate, 0.8, 117.0, 0.4));
        samples.extend(vec![0; rate as usize / 5]);
    }
    let words = (0..6).map(|n| word("one two", f64::from(n), f64::from(n) + 0.8)).collect();
    Recording { audio: Blob::new(Sound { rate, samples }.to_wav()), holes, words }
}

/// Speech as a provider gives it, at another rate, pitch and loudness, with silence around it.
fn name(rate: u32, length: f64, amplitude: f64) -> Voice {
    let quiet = vec![0; rate as usize / 8];
    let samples = [quiet.clone(), voiced(rate, length, 190.0, amplitude), quiet].concat();
    let duration = Time::from_samples(samples.len() as u64, rate);
    Voice {
        audio: Blob::new(Sound { rate, samples }.to_wav()),
        duration,
        words: vec![word("Maria", 0.125, 0.125 + length)],
        phonemes: vec![SpokenPhoneme { phoneme: "m".into(), start: seconds(0.125), end: seconds(0.2) }],
    }
}

fn floats(voice: &Voice) -> (u32, Vec<f32>) {
    let sound = Sound::from_wav(voice.audio.bytes()).unwrap();
    (sound.rate, sound.samples.iter().map(|value| f32::from(*value) / 32_768.0).collect())
}

fn steps(samples: &[f32]) -> f32 {
    samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
}

fn loudest(samples: &[f32], window: usize) -> f32 {
    samples
        .chunks(window)
        .map(|part| (part.iter().map(|value| value * value).sum::<f32>() / part.len() as f32).sqrt())
        .fold(0.0, f32::max)
}

fn integrated(samples: &[f32], rate: u32) -> f64 {
    let mut meter = EbuR128::new(1, rate, Mode::I).unwrap();
    meter.add_frames_f32(samples).unwrap();
    meter.loudness_global().unwrap()
}

#[test]
fn what_is_spoken_fits_in_without_a_click() {
    // The hole lies in the pause, and in the middle of a syllable.
    for (case, recorded, spoken, amplitude, from, to) in [
        ("in a pause, softer", 48_000, 24_000, 0.05, 1.85, 2.0),
        ("a whole word, louder", 44_100, 16_000, 0.9, 2.0, 2.8),
        ("in the middle of syllables", 24_000, 22_050, 0.2, 2.31, 3.47),
        ("at the same rate", 16_000, 16_000, 0.2, 2.31, 3.47),
        ("nothing is cut out", 48_000, 24_000, 0.2, 2.55, 2.55),
    ] {
        let recording = recording(recorded, vec![hole(from, to)]);
        let voice = name(spoken, 1.2, amplitude);
        let whole = splice(&recording, &[Some(voice.clone())]).unwrap();
        let again = splice(&recording, &[Some(voice.clone())]).unwrap();
        assert_eq!(again.audio, whole.audio, "{case}: the same gives the same");

        let (rate, samples) = floats(&whole);
        assert_eq!(rate, recorded, "{case}");
        assert_eq!(whole.duration, Time::from_samples(samples.len() as u64, rate), "{case}");
        let second = f64::from(rate);
        // What is spoken lasts 1.2 s with 20 ms on both sides; two cross-fades of 10 ms lie over the recording by half each. Cuts move
        // to zero crossings, and silence is found in grains of 5 ms.
        let expected = 6.0 - (to - from) + 1.2 + 0.04 - 0.01;
        let lasts = samples.len() as f64 / second;
        assert!((lasts - expected).abs() < 0.022, "{case}: {lasts} s, not {expected}");

        // Outside the joins the recording is what it was, to the bit.
        let original = Sound::from_wav(recording.audio.bytes()).unwrap().samples;
        let joined = Sound::from_wav(whole.audio.bytes()).unwrap().samples;
        let before = ((from - 0.011) * second) as usize;
        let after = ((6.0 - to - 0.011) * second) as usize;
        assert_eq!(joined[..before], original[..before], "{case}");
        assert_eq!(joined[joined.len() - after..], original[original.len() - after..], "{case}");

        let said = whole.words.iter().find(|word| word.text == "Maria").unwrap();
        let (start, end) = (said.start.as_seconds(), said.end.as_seconds());
        let part = |from: f64, to: f64| &samples[(from * second) as usize..(to * second) as usize];
        // No step at a join is larger than those inside either sound, nor is any moment louder.
        let inside = part(start + 0.05, end - 0.05);
        let around = [&samples[..before], &samples[samples.len() - after..]].concat();
        for (name, join) in [("in", part(start - 0.06, start + 0.03)), ("out", part(end - 0.03, end + 0.06))]
        {
            let bound = steps(inside).max(steps(&around)) * 1.05;
            assert!(steps(join) <= bound, "{case}, {name}: a step of {} beside {bound}", steps(join));
            let window = rate as usize / 200;
            let bound = loudest(inside, window).max(loudest(&around, window)) * 1.05;
            assert!(loudest(join, window) <= bound, "{case}, {name}: {}", loudest(join, window));
        }
        let difference = integrated(part(start, end), rate) - integrated(&around, rate);
        assert!(difference.abs() < 1.0, "{case}: {difference} LU");

        // Words after the hole are as much later as the whole became longer.
        assert!(whole.words.windows(2).all(|pair| pair[0].end <= pair[1].start), "{case}: {:?}", whole.words);
        let last = whole.words.last().unwrap();
        assert!((last.end.as_seconds() - (5.8 + lasts - 6.0)).abs() < 0.001, "{case}: {last:?}");
        assert_eq!(whole.phonemes[0].start, said.start, "{case}");
    }
}

#[test]
fn a_hole_that_nobody_speaks_is_closed() {
    let recording = recording(48_000, vec![hole(0.9, 1.9)]);
    let whole = splice(&recording, &[None]).unwrap();
    assert!((whole.duration.as_seconds() - 5.0).abs() < 0.011, "{:?}", whole.duration);
    let starts: Vec<i64> =
        whole.words.iter().map(|word| (word.start.as_seconds() * 10.0).round() as i64).collect();
    // Two words share each entry; those of the second are cut out.
    assert_eq!(starts, [0, 4, 10, 14, 20, 24, 30, 34, 40, 44]);
    let (_, samples) = floats(&whole);
    assert!(steps(&samples) <= steps(&floats(&splice(&recording, &[]).unwrap()).1) * 1.001);
}

#[test]
fn holes_may_lie_anywhere() {
    let voice = || Some(name(24_000, 0.5, 0.2));
    let holes = vec![hole(0.0, 0.8), hole(2.0, 2.0), hole(2.0, 2.8), hole(5.0, 6.0)];
    let whole = splice(&recording(48_000, holes.clone()), &[voice(), voice(), voice(), voice()]).unwrap();
    let said: Vec<&str> = whole.words.iter().map(|word| word.text.as_str()).collect();
    assert_eq!(said, ["Maria", "one", "two", "Maria", "Maria", "one", "two", "one", "two", "Maria"]);
    assert!(whole.words.windows(2).all(|pair| pair[0].end <= pair[1].start), "{:?}", whole.words);
    // All of it.
    let whole = splice(&recording(48_000, vec![hole(0.0, 6.0)]), &[voice()]).unwrap();
    assert!((whole.duration.as_seconds() - 0.54).abs() < 0.01);
    assert!(
        splice(&recording(48_000, vec![hole(0.0, 6.0)]), &[None]).unwrap_err().contains("nothing is left")
    );
}

#[test]
fn faults_are_told() {
    let voice = name(24_000, 0.5, 0.2);
    let silent =
        Voice { audio: Blob::new(Sound { rate: 16_000, samples: vec![0; 4000] }.to_wav()), ..voice.clone() };
    let good = recording(16_000, vec![hole(1.0, 2.0)]);
    let other = |bytes: &[u8]| Recording { audio: Blob::new(bytes), ..good.clone() };
    for (case, recording, voice, expected) in [
        (
            "a hole behind the end",
            recording(16_000, vec![hole(1.0, 7.0)]),
            &voice,
            "ends at 7.00 s, and the recording lasts 6.00 s",
        ),
        ("no file of sound", other(b"OggS"), &voice, "no RIFF WAVE file"),
        ("silence", good.clone(), &silent, "silent"),
    ] {
        let error = splice(&recording, &[Some(voice.clone())]).unwrap_err();
        assert!(error.contains(expected), "{case}: {error}");
    }
}
