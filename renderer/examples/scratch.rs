use vignette_renderer::audio::{encode_opus, Programme};
use vignette_renderer::encode::*;
use vignette_renderer::frame::I420Frame;
use vignette_renderer::package::{mp4, webm, preview};
use vignette_renderer::segment::EncodedSegment;
use vignette_templates::time::{FrameRate, Time};

fn main() {
    let rate = FrameRate::new(30000, 1001).unwrap();
    for (id, name) in [(EncoderId::X264,"h264"),(EncoderId::X265, "h265"), (EncoderId::Aom, "av1"), (EncoderId::Vpx, "vp9")] {
        let profile = VideoProfile { width: 320, height: 180, frame_rate: rate, quality: 23, encoder: id };
        let mut next = 0;
        let segs: Vec<EncodedSegment> = (0..21).map(|k| {
            let mut e = SegmentEncoder::start(profile).unwrap();
            for _ in 0..(10 + k % 7) {
                let mut f = I420Frame::new(320, 180);
                for (at, s) in f.y.iter_mut().enumerate() {
                    let (x, y) = (at % 320, at / 320);
                    *s = 40 + ((x + next) % 160) as u8 / 2 + y as u8 / 3;
                    // frame number in 10 big squares of bits at the top
                    if y < 20 { *s = if (next >> (x / 32)) & 1 == 1 { 220 } else { 30 }; }
                }
                next += 1;
                e.push(&f).unwrap();
            }
            e.finish().unwrap()
        }).collect();
        let len = rate.time_of(next as u64).to_samples(48000) as usize;
        let samples = (0..2 * len).map(|i| ((i / 2) as f32 * 0.05).sin() * 0.3).collect();
        let track = encode_opus(&Programme { samples }).unwrap();
        let segs: Vec<&EncodedSegment> = segs.iter().collect();
        if name.starts_with("av") || name.starts_with("vp") {
            let mut out = Vec::new();
            webm::write(&webm::Movie { profile, segments: &segs, audio: Some(&track), locale: "en-GB" }, &mut out).unwrap();
            println!("{name} {} frames {:?}", next, webm::read_facts(&out));
            std::fs::write(format!("/tmp/codec/s_{name}.webm"), out).unwrap();
        }
        let mut out = Vec::new();
        mp4::write(&mp4::Movie { profile, segments: &segs, audio: None, locale: "en" }, &mut out).unwrap();
        std::fs::write(format!("/tmp/codec/s_{name}.mp4"), out).unwrap();
        println!("{} {:?} {}", name, profile.codec().name_of(&segs[0].config), profile.planned_name());
    }
    let dir = std::env::args().nth(1);
    if let Some(dir) = dir {
        // frames dumped as PNGs at 30 fps
        let mut frame = |t: Time| -> Result<image::RgbImage, vignette_renderer::error::RenderError> {
            let i = FrameRate::new(30, 1).unwrap().frames_in(t) + 1;
            Ok(image::open(format!("{dir}/{i:04}.png")).unwrap().to_rgb8())
        };
        for (format, ext) in [(preview::PreviewFormat::Gif, "gif"), (preview::PreviewFormat::WebP, "webp")] {
            for budget in [None, Some(1_000_000), Some(400_000), Some(150_000)] {
                let start = std::time::Instant::now();
                let o = preview::PreviewOptions { format, budget, first: Some(Time::from_seconds(2)), ..Default::default() };
                let p = preview::preview(&o, &mut frame);
                match p {
                    Ok(p) => {
                        println!("{ext} {budget:?}: {} bytes {}x{} {} frames at {} {:?} in {:?}", p.bytes.len(), p.width, p.height, p.frames, p.frame_rate, p.notes, start.elapsed());
                        std::fs::write(format!("/tmp/codec/p_{}.{ext}", budget.unwrap_or(0)), p.bytes).unwrap();
                    }
                    Err(e) => println!("{ext} {budget:?}: {e}"),
                }
            }
        }
    }
}
