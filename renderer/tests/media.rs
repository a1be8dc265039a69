//! Real media through the decoders, beside `ffmpeg` as an independent judge.

use std::path::{Path, PathBuf};
use std::process::Command;

use vignette_renderer::media::{ConformSpec, Picture, VideoClip};
use vignette_templates::blob::Blob;
use vignette_templates::time::{FrameRate, Time};
use vignette_templates::video::Fit;

const SAMPLES: &str = "/usr/share/forensics-samples/original-files";

/// A real file of the package forensics-samples-files.
fn sample(name: &str) -> Blob {
    let path = Path::new(SAMPLES).join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; install the Debian package forensics-samples-files", path.display())
    });
    Blob::from_file(bytes, path)
}

/// Runs ffmpeg; what it writes to its standard output comes back.
fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .output()
        .expect("ffmpeg runs; install the Debian package ffmpeg");
    assert!(output.status.success(), "ffmpeg {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A clip made by ffmpeg with `options`, in a temporary directory.
fn made(directory: &Path, name: &str, options: &[&str]) -> (Blob, PathBuf) {
    let path = directory.join(name);
    let mut arguments: Vec<&str> = options.to_vec();
    let file = path.to_str().expect("a temporary path is UTF-8");
    arguments.push(file);
    ffmpeg(&arguments);
    (Blob::from_file(std::fs::read(&path).expect("ffmpeg wrote it"), path.clone()), path)
}

fn spec(width: u32, height: u32, rate: (u32, u32)) -> ConformSpec {
    ConformSpec {
        width,
        height,
        fit: Fit::Fill,
        focus: [0.5, 0.5],
        rate: FrameRate::new(rate.0, rate.1).expect("a frame rate"),
        start: Time::ZERO,
        repeat: false,
    }
}

/// Peak signal-to-noise ratio of the luma planes, in dB.
fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let error: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / error.max(1e-9)).log10()
}

#[test]
fn photos_open() {
    for (name, size) in [
        ("pic1/IMG-20191006-WA0002.jpg", (1024, 768)),
        ("pic2/d-debian.jpg", (800, 600)),
        ("pic2/d-debian.png", (800, 600)),
    ] {
        let picture = Picture::open(&sample(name)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(picture.size(), size, "{name}");
        let cover = picture.render(300, 200, Fit::Cover, [0.5, 0.5]).expect("a small box");
        assert_eq!((cover.width(), cover.height()), (300, 200), "{name}");
    }
}

#[test]
fn real_videos_open() {
    for (name, size, frames) in [
        ("movie1/VID_20191220_170832.mp4", (1920, 1080), 41),
        ("movie2/movie-hello.mp4", (1280, 720), 249),
        ("movie2/movie-hello.avi", (1024, 576), 208),
        ("movie2/movie-hello.ogg", (720, 480), 249),
        ("movie2/movie-hello.mpeg", (640, 480), 249),
    ] {
        let clip = VideoClip::open(&sample(name)).unwrap_or_else(|error| panic!("{error}"));
        let info = clip.info();
        assert_eq!((info.width, info.height), size, "{name}");
        let found = info.frame_times.len();
        assert!(found.abs_diff(frames) <= 10, "{name}: {found} frames, {:?}", &info.frame_times[..8]);
        let mut reader = clip.reader(spec(320, 180, (30, 1))).expect("a small box");
        for n in (0..40).chain([200, 3, 100_000]) {
            let frame = reader.frame(n).unwrap_or_else(|error| panic!("{n}: {error}"));
            assert_eq!((frame.width(), frame.height()), (320, 180), "{name}");
        }
    }
}

/// The luma planes of `path` at `rate`, as ffmpeg picks and scales them: each output frame shows the last source frame that is
/// not later. `filter` comes before the scaling.
fn expected(path: &Path, filter: &str, (width, height): (u32, u32), rate: &str) -> Vec<Vec<u8>> {
    let filter = format!(
        "setpts=PTS-0.001/TB,{filter}fps={rate}:round=up:start_time=0,scale={width}:{height}:flags=bicubic:in_color_matrix=bt709:\
         out_color_matrix=bt709,format=yuv420p"
    );
    let file = path.to_str().expect("UTF-8");
    let raw = ffmpeg(&["-i", file, "-an", "-vf", &filter, "-f", "rawvideo", "-"]);
    let (luma, chroma) = (width * height, 2 * width.div_ceil(2) * height.div_ceil(2));
    raw.chunks_exact((luma + chroma) as usize).map(|frame| frame[..luma as usize].to_vec()).collect()
}

#[test]
fn frames_are_those_that_ffmpeg_shows() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let clip = |name: &str, source: &str, options: &[&str]| {
        let mut all = vec!["-f", "lavfi", "-i", source];
        all.extend(["-vf", "setparams=colorspace=bt709:range=tv"]);
        all.extend(options);
        made(directory.path(), name, &all)
    };
    let real = |name: &str| (sample(name), Path::new(SAMPLES).join(name));
    let x264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "20", "-bf", "3"];
    let ten_bits = ["-c:v", "libx264", "-pix_fmt", "yuv420p10le", "-profile:v", "high10"];
    for (label, (blob, path), size, rate) in [
        ("a phone's variable frame rate", real("movie1/VID_20191220_170832.mp4"), (320, 180), (30, 1)),
        ("a phone's, at 24", real("movie1/VID_20191220_170832.mp4"), (320, 180), (24, 1)),
        ("film at 30", clip("film.mp4", "testsrc2=s=320x240:r=24000/1001:d=3", &x264), (160, 120), (30, 1)),
        ("30 at 23.976", clip("tv.mp4", "testsrc2=s=320x240:r=30:d=3", &x264), (160, 120), (24000, 1001)),
        (
            "29.97 at 29.97",
            clip("ntsc.mp4", "testsrc2=s=320x240:r=30000/1001:d=3", &x264),
            (160, 120),
            (30000, 1001),
        ),
        ("ten bits", clip("ten.mp4", "testsrc2=s=320x240:r=25:d=2", &ten_bits), (160, 120), (25, 1)),
        (
            "odd size",
            clip("odd.mkv", "testsrc2=s=321x241:r=25:d=2", &["-c:v", "libx264", "-pix_fmt", "yuv444p"]),
            (160, 120),
            (25, 1),
        ),
        (
            "VP9",
            clip(
                "vp9.webm",
                "testsrc2=s=320x240:r=30:d=2",
                &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"],
            ),
            (160, 120),
            (30, 1),
        ),
    ] {
        let clip = VideoClip::open(&blob).unwrap_or_else(|error| panic!("{label}: {error}"));
        let expected = expected(&path, "", size, &format!("{}/{}", rate.0, rate.1));
        let mut reader = clip.reader(spec(size.0, size.1, rate)).expect("a small box");
        let most = expected.len() - 1;
        assert!(most > 30, "{label}: {most} frames");
        let ratios: Vec<f64> = (0..most)
            .map(|n| {
                psnr(
                    &reader.frame(n as u32).unwrap_or_else(|error| panic!("{label}: {error}")).y,
                    &expected[n],
                )
            })
            .collect();
        let worst = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        // Another frame of these moving pictures reads below 25 dB; scalers differ by what is left.
        assert!(worst > 32.0, "{label}: {worst:.1} dB, {ratios:.1?}");
    }
}

#[test]
fn any_order_gives_the_same_pixels() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let x264 =
        ["-f", "lavfi", "-i", "testsrc2=s=320x240:r=30:d=5", "-c:v", "libx264", "-g", "48", "-bf", "3"];
    let open_gop = [&x264[..], &["-x264-params", "open-gop=1"]].concat();
    let vp8 = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=320x240:r=30:d=5",
        "-c:v",
        "libvpx",
        "-g",
        "48",
        "-auto-alt-ref",
        "1",
        "-lag-in-frames",
        "16",
    ];
    for (label, blob) in [
        ("closed GOPs", made(directory.path(), "closed.mp4", &x264).0),
        ("open GOPs", made(directory.path(), "open.mp4", &open_gop).0),
        ("hidden frames", made(directory.path(), "vp8.webm", &vp8).0),
        ("theora", sample("movie2/movie-hello.ogg")),
        ("no timestamps", sample("movie2/movie-hello.avi")),
    ] {
        let clip = VideoClip::open(&blob).unwrap_or_else(|error| panic!("{label}: {error}"));
        let mut looping = spec(96, 64, (30, 1));
        looping.repeat = true;
        let mut streaming = clip.reader(looping).expect("a small box");
        let all: Vec<_> =
            (0..150).map(|n| streaming.frame(n).unwrap_or_else(|error| panic!("{label}: {error}"))).collect();
        let mut jumping = clip.reader(looping).expect("a small box");
        for n in [100u32, 20, 149, 60, 61, 0, 97, 48] {
            let frame = jumping.frame(n).unwrap_or_else(|error| panic!("{label}: {error}"));
            assert!(
                frame == all[n as usize],
                "{label}: frame {n} by seeking differs from frame {n} by streaming"
            );
            let alone =
                clip.reader(looping).expect("a small box").frame(n).unwrap_or_else(|error| panic!("{error}"));
            assert!(alone == all[n as usize], "{label}: frame {n} of a new reader");
        }
        if label == "closed GOPs" {
            assert!(
                (0..10).all(|n| jumping.frame(150 + n).is_ok_and(|frame| frame == all[n as usize])),
                "repeats"
            );
            let mut once = clip.reader(ConformSpec { repeat: false, ..looping }).expect("a small box");
            assert!(once.frame(4000).is_ok_and(|frame| frame == all[149]), "the last frame stays");
        }
    }
}

#[test]
fn phones_held_sideways_stand_upright() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // Red above, blue below; then stored on its side with a flag that says so.
    let source = "color=red:s=160x120:d=1:r=10,drawbox=y=60:h=60:color=blue:t=fill";
    let x264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p"];
    let stored =
        made(directory.path(), "stored.mp4", &[&["-f", "lavfi", "-i", source], &x264[..]].concat()).1;
    let stored = stored.to_str().expect("UTF-8").to_owned();
    // ffmpeg's tag counts anticlockwise, as its own players show.
    for (turn, size, corners) in [
        ("0", (160, 120), ["red", "red", "blue", "blue"]),
        ("90", (120, 160), ["red", "blue", "red", "blue"]),
        ("180", (160, 120), ["blue", "blue", "red", "red"]),
        ("270", (120, 160), ["blue", "red", "blue", "red"]),
    ] {
        let tag = format!("rotate={turn}");
        let name = format!("turned{turn}.mp4");
        let (blob, _) =
            made(directory.path(), &name, &["-i", &stored, "-c", "copy", "-metadata:s:v:0", &tag]);
        let clip = VideoClip::open(&blob).unwrap_or_else(|error| panic!("{turn}: {error}"));
        assert_eq!((clip.info().width, clip.info().height), size, "{turn}");
        let mut spec = spec(80, 80, (10, 1));
        spec.fit = Fit::Contain;
        let mut reader = clip.reader(spec).expect("a small box");
        let picture = reader.frame(0).unwrap_or_else(|error| panic!("{turn}: {error}")).to_rgb();
        let (right, bottom) = (picture.width() - 4, picture.height() - 4);
        assert_eq!(picture.dimensions(), (reader.place().width, reader.place().height));
        let seen = [(3, 3), (right, 3), (3, bottom), (right, bottom)].map(|(x, y)| {
            let [red, _, blue] = picture.get_pixel(x, y).0;
            if red > blue { "red" } else { "blue" }
        });
        assert_eq!(seen, corners, "{turn}");
    }
}

#[test]
fn harm_is_refused_and_the_next_file_opens() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mp4 = sample("movie1/VID_20191220_170832.mp4");
    let cut = |part: usize| mp4.bytes()[..mp4.bytes().len() * part / 10].to_vec();
    let playlist =
        format!("#EXTM3U\n#EXTINF:1,\nfile://{SAMPLES}/movie1/VID_20191220_170832.mp4\n").into_bytes();
    let (silent, _) = made(directory.path(), "sound.m4a", &["-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac"]);
    for (label, bytes, says) in [
        ("nothing", Vec::new(), "the file is empty"),
        ("a playlist", playlist, "it begins with \"#EXTM3U"),
        ("a text", b"hello, I am not a film at all".to_vec(), "not an MP4"),
        ("a cut MP4", cut(9), "ends early"),
        ("an MP4's head", mp4.bytes()[..40].to_vec(), "ends early"),
        ("noise that calls itself MP4", [&b"\0\0\0\x08ftyp\0\0\x10\0moov"[..], &[0xa5; 4088]].concat(), ""),
        ("noise that calls itself WebM", [&b"\x1a\x45\xdf\xa3\x80"[..], &[0xa5; 4088]].concat(), ""),
        ("noise that calls itself Ogg", [&b"OggS"[..], &[0; 4088]].concat(), ""),
        ("a picture", sample("pic2/d-debian.png").bytes().to_vec(), "not an MP4"),
        ("a sound", silent.bytes().to_vec(), "no video track"),
    ] {
        let error = VideoClip::open(&Blob::new(bytes)).expect_err(label).to_string();
        assert!(error.contains(says), "{label}: {error}");
    }
    assert!(VideoClip::open(&mp4).is_ok());
}

/// A PNG header that promises `width` x `height` pixels.
fn huge_png(width: u32, height: u32) -> Vec<u8> {
    let mut png = Vec::new();
    image::RgbImage::new(1, 1)
        .write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png)
        .expect("a pixel");
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    // The header's checksum (PNG, third edition, annex D).
    let crc = png[12..29].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    });
    png[29..33].copy_from_slice(&(!crc).to_be_bytes());
    png
}

#[test]
fn harmful_pictures_are_refused() {
    let svg = |body: &str| {
        format!("<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' width='10' height='10'>{body}</svg>").into_bytes()
    };
    let bomb: String = (1..=9)
        .map(|n| format!("<g id='g{n}'>{}</g>", format!("<use href='#g{}'/>", n - 1).repeat(10)))
        .collect();
    let patterns: String = (1..=9)
        .map(|n| {
            format!(
                "<pattern id='g{n}' width='1' height='1'>{}</pattern>",
                format!("<rect width='1' height='1' fill='url(#g{})'/>", n - 1).repeat(10)
            )
        })
        .collect();
    for (label, bytes, says) in [
        ("nothing", Vec::new(), "the file is empty"),
        ("a text", b"hello".to_vec(), "not a PNG"),
        ("a video", sample("movie1/VID_20191220_170832.mp4").bytes().to_vec(), "not a PNG"),
        ("40,000 x 40,000", huge_png(40_000, 40_000), "40000 x 40000"),
        ("a cut JPEG", sample("pic2/d-debian.jpg").bytes()[..300].to_vec(), "does not decode"),
        ("a cut PNG", sample("pic2/d-debian.png").bytes()[..5000].to_vec(), "does not decode"),
        ("nested 10,000 deep", svg(&("<g>".repeat(10_000) + &"</g>".repeat(10_000))), "nested deeper"),
        ("a local file", svg("<image width='5' height='5' href='/etc/passwd'/>"), "/etc/passwd"),
        (
            "a local picture",
            svg(&format!("<image width='5' height='5' xlink:href='{SAMPLES}/pic2/d-debian.png'/>")),
            "another file",
        ),
        (
            "an SVG in an SVG",
            svg("<image width='5' height='5' href='data:image/svg+xml;base64,PHN2Zy8+'/>"),
            "not a PNG",
        ),
        (
            "references that multiply",
            svg(&format!("<defs><rect id='g0' width='1' height='1'/>{bomb}</defs><use href='#g9'/>")),
            "more elements",
        ),
        (
            "patterns that multiply",
            svg(&format!(
                "<defs><pattern id='g0' width='1' height='1'/>{patterns}</defs><rect fill='url(#g9)' width='1' height='1'/>"
            )),
            "more elements",
        ),
        ("entities", [b"<!DOCTYPE svg [<!ENTITY a 'b'>]>".to_vec(), svg("&a;")].concat(), "document type"),
        ("text without fonts", svg("<text y='5'>hello</text>"), "holds text"),
        ("not closed", svg("<g>"), "cannot be used"),
        ("5 MB", svg(&" ".repeat(5 << 20)), "limit"),
    ] {
        let error = Picture::open(&Blob::new(bytes)).expect_err(label);
        let text = format!("{error}");
        assert!(text.contains(says), "{label}: {text}");
    }
    let wide = b"<svg xmlns='http://www.w3.org/2000/svg' width='100000000' height='100'><rect width='100%' height='100%' fill='red'/></svg>";
    let wide = Picture::open(&Blob::new(wide.to_vec())).expect("only wide");
    assert!(wide.size().0 <= 16384);
    let drawn = wide.render(64, 64, Fit::Fill, [0.5, 0.5]).expect("at the size asked for");
    assert!(drawn.pixels().iter().all(|pixel| (pixel.red(), pixel.alpha()) == (255, 255)));
    let slow = svg(
        "<filter id='f'><feTurbulence baseFrequency='0.1' numOctaves='100000000'/></filter><rect width='10' height='10' filter='url(#f)'/>",
    );
    let slow = Picture::open(&Blob::new(slow)).expect("only slow").render(1920, 1080, Fit::Fill, [0.5, 0.5]);
    assert!(slow.expect_err("it would take for ever").to_string().contains("more to draw"));
}

#[test]
fn pictures_are_upright_cut_and_premultiplied() {
    // EXIF says: stored upside down. ffmpeg turns it as well.
    let name = "pic2/IMG_20200124_231153.jpg";
    let picture = Picture::open(&sample(name)).unwrap_or_else(|error| panic!("{error}"));
    let (width, height) = picture.size();
    let small = picture.render(160, 160 * height / width, Fit::Fill, [0.5, 0.5]).expect("a small box");
    let stored = image::load_from_memory(sample(name).bytes()).expect("a JPEG").rotate180();
    let stored = stored.resize_exact(small.width(), small.height(), image::imageops::Lanczos3).to_rgba8();
    let ratio = psnr(small.data(), stored.as_raw());
    assert!(ratio > 35.0, "{ratio}");

    // Left half clear red, right half opaque blue: no red may bleed into the edge.
    let mut pixels = image::RgbaImage::from_pixel(40, 20, image::Rgba([255, 0, 0, 0]));
    for (x, _, pixel) in pixels.enumerate_pixels_mut() {
        if x >= 20 {
            *pixel = image::Rgba([0, 0, 255, 255]);
        }
    }
    let mut png = Vec::new();
    pixels.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).expect("a PNG");
    let picture = Picture::open(&Blob::new(png)).expect("a PNG");
    let half = picture.render(13, 7, Fit::Fill, [0.5, 0.5]).expect("a small box");
    assert!(half.pixels().iter().all(|pixel| pixel.red() == 0 && pixel.blue() <= pixel.alpha()));
    let right = picture.render(10, 10, Fit::Cover, [1.0, 0.5]).expect("a small box");
    // The filter looks a little over the cut, as it should.
    assert!(
        right.pixels().iter().enumerate().all(|(n, pixel)| pixel.blue() > if n % 10 < 3 { 100 } else { 250 })
    );
    let bars = picture.render(40, 40, Fit::Contain, [0.5, 0.5]).expect("a small box");
    assert_eq!(
        [5, 20, 35].map(|y| bars.pixel(30, y).map(|pixel| pixel.alpha())),
        [Some(0), Some(255), Some(0)]
    );

    let svg = b"<?xml version='1.0'?><!-- a > b --><svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 2 1'><rect x='1' width='1' height='1' fill='#00f'/></svg>";
    let drawing = Picture::open(&Blob::new(svg.to_vec())).expect("an SVG");
    for (label, kind, alphas) in [
        ("fill", Fit::Fill, [0, 255, 255]),
        ("contain", Fit::Contain, [0, 255, 0]),
        ("cover", Fit::Cover, [0, 255, 255]),
    ] {
        let drawn = drawing.render(100, 100, kind, [0.5, 0.5]).expect("a small box");
        let seen =
            [(20, 50), (80, 50), (80, 95)].map(|(x, y)| drawn.pixel(x, y).map_or(1, |pixel| pixel.alpha()));
        assert_eq!(seen, alphas, "{label}");
    }
}
