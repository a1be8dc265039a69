use std::collections::BTreeSet;
use std::time::Duration;

use vignette_templates::video::Color;

use super::*;

fn context(seed: u64) -> Context {
    let deadline = Instant::now() + Duration::from_secs(60);
    Context { name: "backdrop".into(), locale: "en".into(), seed, deadline }
}

fn request(style: Option<&str>, prompt: &str) -> ImageRequest {
    ImageRequest {
        prompt: prompt.into(),
        width: 240,
        height: 135,
        style: style.map(str::to_owned),
        ..ImageRequest::default()
    }
}

fn pixels(blob: &Blob) -> image::RgbImage {
    image::load_from_memory(blob.bytes()).expect("a PNG file").to_rgb8()
}

#[test]
fn every_style_is_deterministic_and_varied() {
    for style in &STYLES {
        let name = style.name;
        let request = request(Some(name), "");
        let first = Procedural.generate(&request, &context(1)).unwrap();
        assert_eq!(first.digest(), Procedural.generate(&request, &context(1)).unwrap().digest(), "{name}");
        assert_ne!(first.digest(), Procedural.generate(&request, &context(2)).unwrap().digest(), "{name}");
        assert_eq!(check_picture(&first, &request), Ok(()), "{name}");
        // A picture, not a flat field: many colours, from dark to light.
        let picture = pixels(&first);
        let colors: BTreeSet<[u8; 3]> = picture.pixels().map(|pixel| pixel.0).collect();
        assert!(colors.len() > 100, "{name}: {} colours", colors.len());
        let light = |p: &image::Rgb<u8>| u32::from(p.0[0]) + u32::from(p.0[1]) + u32::from(p.0[2]);
        let range = picture.pixels().map(light).max().unwrap() - picture.pixels().map(light).min().unwrap();
        assert!(range > 150, "{name}: range {range}");
    }
}

/// Writes every style in several sizes, to look at: `VIGNETTE_ART=folder cargo test -p vignette-generators gallery`.
#[test]
fn gallery_sizes_are_exact() {
    let folder = std::env::var_os("VIGNETTE_ART").map(std::path::PathBuf::from);
    let sizes: &[(u32, u32)] = if folder.is_some() {
        &[(1280, 720)]
    } else {
        &[(1, 1), (1, 300), (300, 1), (7, 9), (64, 64), (90, 160)]
    };
    for style in &STYLES {
        for (seed, prompt) in [(1, ""), (2, "sunset"), (3, "energetic"), (4, "calm"), (5, "elegant")] {
            for (width, height) in sizes {
                let request =
                    ImageRequest { width: *width, height: *height, ..request(Some(style.name), prompt) };
                let blob = Procedural.generate(&request, &context(seed)).unwrap();
                assert_eq!(check_picture(&blob, &request), Ok(()), "{} {width}x{height}", style.name);
                if let Some(folder) = &folder {
                    std::fs::write(folder.join(format!("{}-{seed}.png", style.name)), blob.bytes()).unwrap();
                }
            }
        }
    }
}

#[test]
fn words_and_palette_decide_colours() {
    let mean = |request: &ImageRequest| {
        let picture = pixels(&Procedural.generate(request, &context(4)).unwrap());
        let count = f64::from(picture.width() * picture.height());
        [0, 1, 2].map(|c| picture.pixels().map(|pixel| f64::from(pixel.0[c])).sum::<f64>() / count)
    };
    let blue = mean(&request(Some("gradient"), "trust in blue"));
    assert!(blue[2] > blue[0] + 20.0, "{blue:?}");
    let warm = mean(&request(Some("gradient"), "Warm, cosy"));
    assert!(warm[0] > warm[2] + 20.0, "{warm:?}");
    // The colour that is named counts more than the mood.
    let named = mean(&request(Some("gradient"), "calm red waves"));
    assert!(named[0] > named[2] + 20.0, "{named:?}");
    let green = Color { r: 20, g: 200, b: 40, a: 255 };
    for style in &STYLES {
        let own = ImageRequest { palette: vec![green], ..request(Some(style.name), "red") };
        let mean = mean(&own);
        assert!(mean[1] > mean[0] && mean[1] > mean[2], "{}: {mean:?}", style.name);
    }
}

#[test]
fn prompts_choose_a_style() {
    let table = [
        ("a calm sea", "waves"),
        ("City lights", "bokeh"),
        ("modern shapes", "geometric"),
        ("wind and silk", "flow"),
        ("soft blur", "gradient"),
        ("Liquid marble", "cppn"),
    ];
    for (prompt, style) in table {
        assert_eq!(style_of(&request(None, prompt), 9).unwrap().name, style, "{prompt}");
    }
    let by_seed: BTreeSet<_> =
        (0..64).map(|seed| style_of(&request(None, "x"), seed).unwrap().name).collect();
    assert_eq!(by_seed.len(), STYLES.len());
}

#[test]
fn faults_say_what_would_be_right() {
    let unknown = Procedural.generate(&request(Some("wavs"), ""), &context(1)).unwrap_err().to_string();
    assert!(unknown.contains("no style `wavs`") && unknown.contains("did you mean `waves`?"), "{unknown}");
    for (width, height) in [(0, 10), (10, 0), (4097, 10), (10, u32::MAX)] {
        let request = ImageRequest { width, height, ..request(None, "") };
        let message = Procedural.generate(&request, &context(1)).unwrap_err().to_string();
        assert!(message.contains("must be 1 to 4096"), "{message}");
    }
}

#[test]
fn a_picture_nobody_waits_for_is_left() {
    for style in &STYLES {
        let request = ImageRequest { width: 4096, height: 4096, ..request(Some(style.name), "") };
        let context = Context { deadline: Instant::now(), ..context(1) };
        let error = Procedural.generate(&request, &context).unwrap_err();
        assert!(matches!(error, GenerateError::Deadline { .. }), "{}: {error}", style.name);
    }
}
