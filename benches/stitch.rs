//! Putting a ready 15 s video together, beside ffmpeg's concatenation without encoding (`-c copy`) of the same segments.
//!
//! `make bench` runs it. Both write the same disk in turns. What counts here is wall time, since a viewer waits for it: ours begins with
//! encoded segments in memory and ends with the finished file, read back and checked; ffmpeg begins with one MP4 file for each segment and
//! one for the sound, as a person who stitches by hand has them. Both write to memory where the system has a file system there (`/dev/shm`), as the
//! disk of a shared machine says nothing of either; what waiting for the disk adds to ours is told beside it. With `--test` (as `cargo test --benches` calls it) one turn
//! shows that it still runs.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vignette::Engine;
use vignette::renderer::encode::VideoProfile;
use vignette::renderer::package::mp4::{self, Movie};
use vignette::renderer::render::{RenderOptions, Stores};
use vignette::renderer::store::{Memory, Vault};

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    if let Err(error) = run(quick) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn run(quick: bool) -> Result<(), Box<dyn std::error::Error>> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/gallery/welcome");
    let stores = Stores { vault: Arc::new(Vault::new(Arc::new(Memory::new(1 << 30)))), ..Stores::none() };
    let engine = Engine::new()?.with_stores(stores);
    let template = engine.open(&package, &[])?.value;
    let data = template.parse_data("maria.json", &std::fs::read(package.join("viewers/maria.json"))?)?;
    let video = engine.personalise(&template, &data, None)?.value;
    let prepared = engine.prepare(&template, &video)?;
    // A rough picture is as many samples to put together.
    let quality = if quick { 50 } else { VideoProfile::DEFAULT_QUALITY };
    let options = RenderOptions { quality, ..RenderOptions::default() };
    let rendered = prepared.render(&options, engine.stores(), &())?;

    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
    let disk = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let mut list = String::new();
    for (index, segment) in rendered.segments.iter().enumerate() {
        let movie = Movie { profile: rendered.plan.profile, segments: &[segment], audio: None, locale: "en" };
        let mut bytes = Vec::new();
        mp4::write(&movie, &mut bytes)?;
        std::fs::write(path(&format!("{index}.mp4")), bytes)?;
        list.push_str(&format!("file '{index}.mp4'\n"));
    }
    std::fs::write(path("list.txt"), list)?;
    rendered.write_mp4(&path("sound.mp4"))?;

    let (mut stitched, mut synced, mut found, mut peer) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..if quick { 1 } else { 21 } {
        let start = Instant::now();
        rendered.write_mp4(&path("ours.mp4"))?;
        stitched.push(start.elapsed());

        let start = Instant::now();
        rendered.write_mp4(&disk.path().join("ours.mp4"))?;
        synced.push(start.elapsed());

        let start = Instant::now();
        prepared.render(&options, engine.stores(), &())?.write_mp4(&path("found.mp4"))?;
        found.push(start.elapsed());

        let start = Instant::now();
        let status = Command::new("ffmpeg")
            .current_dir(folder.path())
            .args(["-nostdin", "-v", "error", "-y", "-f", "concat", "-i", "list.txt", "-i", "sound.mp4"])
            .args(["-map", "0:v", "-map", "1:a", "-c", "copy", "-movflags", "+faststart", "peer.mp4"])
            .status()?;
        peer.push(start.elapsed());
        if !status.success() {
            return Err("ffmpeg failed".into());
        }
    }
    let [stitched, synced, found, peer] = [stitched, synced, found, peer].map(median);
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let ratio = peer.as_secs_f64() / stitched.as_secs_f64();
    println!(
        "{:.1} s in {} segments, {} bytes; median wall time of {} turns",
        video.duration().as_seconds(),
        rendered.segments.len(),
        std::fs::metadata(path("ours.mp4"))?.len(),
        if quick { 1 } else { 21 },
    );
    let goal = |met: bool| if met { "met" } else { "MISSED" };
    println!(
        "  stitched, written, read back and checked {:>8.2} ms   goal 5 ms: {}",
        milliseconds(stitched),
        goal(stitched < Duration::from_millis(5))
    );
    println!("  the same to a disk, and waiting for it    {:>8.2} ms", milliseconds(synced));
    println!("  the first with planning and the store     {:>8.2} ms", milliseconds(found));
    println!(
        "  ffmpeg -c copy                            {:>8.2} ms   {ratio:.1} x; goal 20 x: {}",
        milliseconds(peer),
        goal(ratio >= 20.0)
    );
    Ok(())
}
