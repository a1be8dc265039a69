//! `/s/{name}`: media by content. The names tell nothing of a viewer and need no token, but only what a playlist announced is made.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix_web::http::header::IF_NONE_MATCH;
use actix_web::web::{self, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use vignette_renderer::audio::AacTrack;
use vignette_renderer::encode::{EncoderId, SegmentEncoder, VideoProfile};
use vignette_renderer::frame::I420Frame;
use vignette_renderer::package::cmaf::{
    AudioTiming, audio_segment, init_audio, init_audio_name, init_video, init_video_name, video_segment,
};
use vignette_renderer::segment::EncodedSegment;
use vignette_renderer::store::{Lookup, Vault};
use vignette_templates::blob::Digest;
use vignette_templates::time::FrameRate;

use crate::app::App;
use crate::permits::Class;
use crate::problem::Problem;
use crate::sitting::{Piece, segment_from};
use crate::traces;
use crate::viewing::{Place, Viewing};
use crate::watch::in_time;
use crate::workshop::MakeError;

/// Segments that are made ahead of the one that a player just asked for.
const AHEAD: usize = 2;

/// The longest that a player is kept from beginning so that it does not stand still at once.
const OPENING: Duration = Duration::from_secs(1);

/// How long is waited at a time for a header that somebody else makes.
const PAUSE: Duration = Duration::from_millis(50);

/// A media file's name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    key: Digest,
    /// The first frame or access unit; a header has none.
    first: Option<u32>,
}

impl Name {
    fn parse(text: &str) -> Option<Name> {
        let (stem, ending) = text.split_once('.')?;
        let (key, first) = match (stem.split_once('-'), ending) {
            (Some((key, first)), "m4s") => {
                let plain = first.len() <= 9 && first.bytes().all(|sign| sign.is_ascii_digit());
                let number: u32 = first.parse().ok().filter(|_| plain)?;
                // One name for one thing: no leading noughts.
                (number.to_string() == first).then_some((key, Some(number)))?
            }
            (None, "mp4") => (stem, None),
            _ => return None,
        };
        let plain = key.bytes().all(|sign| matches!(sign, b'0'..=b'9' | b'a'..=b'f'));
        Some(Name { key: Digest::from_hex(key).filter(|_| plain && key.len() == 64)?, first })
    }
}

/// `GET /s/{name}`.
///
/// # Errors
/// `404` for a name that no playlist announced since the start and that the store does not have.
pub async fn get(
    app: Data<Arc<App>>,
    request: HttpRequest,
    name: Path<String>,
) -> Result<HttpResponse, Problem> {
    let (app, text) = (app.get_ref(), name.into_inner());
    let name = Name::parse(&text).ok_or_else(unknown)?;
    let tag = format!("\"{text}\"");
    if request.headers().get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok(HttpResponse::NotModified().insert_header(("etag", tag)).finish());
    }
    if name.first == Some(0)
        && let Some(viewing) = app.shelf.beginner(&text)
    {
        hold(app, &viewing).await?;
    }
    let bytes = match app.warm.get(&text) {
        Some(bytes) => {
            app.metrics.reused.fetch_add(1, Ordering::Relaxed);
            bytes
        }
        None => {
            let bytes = make(app, &text, name).await?;
            app.warm.put(&text, &bytes);
            bytes
        }
    };
    Ok(HttpResponse::Ok()
        .content_type("video/mp4")
        .insert_header(("cache-control", "public, max-age=31536000, immutable"))
        .insert_header(("etag", tag))
        .insert_header(("access-control-allow-origin", "*"))
        .insert_header(("cross-origin-resource-policy", "cross-origin"))
        .body(bytes))
}

/// Waits until a player that begins has something to go on with: where the first segment is short, and there because all viewers share it,
/// the player would stand still a moment later for what is made for its viewer.
async fn hold(app: &Arc<App>, viewing: &Arc<Viewing>) -> Result<(), Problem> {
    let mut opening = Vec::new();
    for number in viewing.opening() {
        opening.push(app.studio.want(viewing, Piece::Picture(0, number), Class::now())?);
    }
    look_ahead(app, viewing, 0, opening.len());
    let made = async {
        for ticket in opening {
            // Whoever asks for it is told why it cannot be made.
            let _ = ticket.picture().await;
        }
    };
    // Standing still is better than not beginning.
    let _ = tokio::time::timeout(OPENING, made).await;
    viewing.open();
    Ok(())
}

fn unknown() -> Problem {
    Problem::missing("segment-unknown", "no playlist announced this; load the link's playlist again")
}

async fn make(app: &Arc<App>, text: &str, name: Name) -> Result<Bytes, Problem> {
    let Some((viewing, place)) = app.shelf.find(text) else {
        let app = app.clone();
        let found = web::block(move || stored(app.studio.stores().vault.as_ref(), name)).await?;
        return found.ok_or_else(unknown);
    };
    let started = Instant::now();
    match place {
        Place::PictureHeader(size) => {
            let profile = profile(&viewing, size)?;
            let app = app.clone();
            Ok(web::block(move || picture_header(&app, &profile)).await??)
        }
        Place::Picture(size, number) => {
            let (state, own) = (app.clone(), viewing.clone());
            // What was made ahead waits for nobody who makes something else.
            let found = web::block(move || {
                let segment = own.sizes.get(size)?.plan.segments.get(number)?;
                let bytes = state.studio.stores().vault.find(segment.key.digest())?;
                segment_from(&bytes, segment).map(Arc::new)
            });
            let segment = match found.await? {
                Some(segment) => {
                    app.metrics.reused.fetch_add(1, Ordering::Relaxed);
                    look_ahead(app, &viewing, size, number);
                    segment
                }
                None => {
                    let ticket = match number {
                        0 => {
                            let (studio, viewing) = (app.studio.clone(), viewing.clone());
                            web::block(traces::carry(move || studio.admit(&viewing, size))).await??
                        }
                        _ => {
                            let class = Class::Wanted(viewing.due(size, number));
                            app.studio.want(&viewing, Piece::Picture(size, number), class)?
                        }
                    };
                    look_ahead(app, &viewing, size, number);
                    in_time(ticket.picture()).await?
                }
            };
            viewing.delivered(size, number);
            let profile = profile(&viewing, size)?;
            let first = name.first.unwrap_or(0);
            let bytes = packed(video_segment(&segment, &profile, first))?;
            remember(app, place_key(name), profile_bytes(&profile));
            if number == 0 {
                app.metrics.first_segment.observe(started.elapsed());
            }
            Ok(bytes)
        }
        Place::SoundHeader => {
            let ticket = app.studio.want(&viewing, Piece::Sound, Class::now())?;
            let track = in_time(ticket.sound()).await?;
            let header = Bytes::from(init_audio(&track));
            remember(app, header_key(text), header.to_vec());
            Ok(header)
        }
        Place::Sound(start, end) => {
            let ticket = app.studio.want(&viewing, Piece::Sound, Class::now())?;
            let track = in_time(ticket.sound()).await?;
            // The last part takes what the encoder gave beyond what was planned.
            packed(audio_segment(&track, start..end.min(track.samples.len())))
        }
    }
}

/// Has the pieces made that the player will ask for next: the sound along with the first segment, and what follows.
fn look_ahead(app: &Arc<App>, viewing: &Arc<Viewing>, size: usize, number: usize) {
    let count = viewing.sizes.get(size).map_or(0, |size| size.plan.segments.len());
    let mut pieces: Vec<Piece> =
        (number + 1..count.min(number + 1 + AHEAD)).map(|next| Piece::Picture(size, next)).collect();
    if number == 0 {
        pieces.insert(0, Piece::Sound);
    }
    app.studio.ahead(viewing, &pieces);
}

fn profile(viewing: &Viewing, size: usize) -> Result<VideoProfile, Problem> {
    viewing.sizes.get(size).map(|size| size.plan.profile).ok_or_else(unknown)
}

fn packed<E: std::fmt::Display>(bytes: Result<Vec<u8>, E>) -> Result<Bytes, Problem> {
    bytes.map(Bytes::from).map_err(|error| Problem::internal(&format!("packaging: {error}")))
}

/// Keeps a note in the store, beside segments, so that names can be answered after a restart.
fn remember(app: &Arc<App>, key: Digest, bytes: Vec<u8>) {
    let app = app.clone();
    // A note that is not kept costs a reload of the playlist after a restart.
    drop(web::block(move || {
        let vault = &app.studio.stores().vault;
        if !vault.contains(&key) {
            vault.keep(&key, bytes.into());
        }
    }));
}

fn header_key(name: &str) -> Digest {
    Digest(blake3::derive_key("vignette media header v1", name.as_bytes()))
}

/// The store's name for the note beside a segment that begins at this frame.
pub fn note_of_segment(key: Digest, first: u32) -> Digest {
    place_key(Name { key, first: Some(first) })
}

/// The store's name for the note beside a sound.
pub fn note_of_sound(key: Digest) -> Digest {
    header_key(&init_audio_name(key))
}

/// Where the store notes how the segment of that name was encoded.
fn place_key(name: Name) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("vignette media place v1");
    hasher.update(&name.key.0).update(&name.first.unwrap_or(u32::MAX).to_le_bytes());
    Digest(*hasher.finalize().as_bytes())
}

fn profile_bytes(profile: &VideoProfile) -> Vec<u8> {
    let rate = profile.frame_rate;
    let words = [profile.width, profile.height, rate.num(), rate.den(), u32::from(profile.quality)];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn profile_from(bytes: &[u8]) -> Option<VideoProfile> {
    let words: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let [width, height, num, den, quality] = words.as_slice() else { return None };
    let frame_rate = FrameRate::new(*num, *den)?;
    let quality = u8::try_from(*quality).ok()?;
    // The service encodes with this one alone.
    let encoder = EncoderId::default();
    Some(VideoProfile { width: *width, height: *height, frame_rate, quality, encoder })
}

/// What the store has for a name that no playlist announced since the start.
fn stored(vault: &Vault, name: Name) -> Option<Bytes> {
    let Some(first) = name.first else {
        let text = format!("{}.mp4", name.key);
        return vault.find(&header_key(&text)).map(|bytes| Bytes::copy_from_slice(&bytes));
    };
    let bytes = vault.find(&name.key)?;
    if let Some(segment) = EncodedSegment::from_bytes(&bytes) {
        let profile = profile_from(&vault.find(&place_key(name))?)?;
        return video_segment(&segment, &profile, first).ok().map(Bytes::from);
    }
    let track = AacTrack::from_bytes(&bytes)?;
    let units = AudioTiming::of(&track).segments().into_iter().find(|units| units.start == first as usize)?;
    audio_segment(&track, units).ok().map(Bytes::from)
}

/// The header of pictures of this profile. The decoder configuration in it is the same for all pictures of a profile, so two grey frames
/// give it; it is kept, so a process does that once at most.
///
/// # Errors
/// When the encoder fails.
pub fn picture_header(app: &App, profile: &VideoProfile) -> Result<Bytes, MakeError> {
    let vault = &app.studio.stores().vault;
    let key = header_key(&init_video_name(profile));
    let mut lookup = vault.begin(&key);
    loop {
        match lookup {
            Lookup::Found(bytes) => return Ok(Bytes::copy_from_slice(&bytes)),
            Lookup::Mine(turn) => {
                let config = configuration(profile)?;
                let header = init_video(profile, &config);
                turn.keep(header.clone().into());
                return Ok(header.into());
            }
            Lookup::Busy(waiting) => lookup = waiting.wait(PAUSE),
        }
    }
}

/// Grey frames that a header is taken from.
const HEADER_FRAMES: u32 = 2;

fn configuration(profile: &VideoProfile) -> Result<Vec<u8>, MakeError> {
    let failed = |error: vignette_renderer::encode::EncodeError| MakeError::Machine(error.to_string());
    let mut encoder = SegmentEncoder::start(*profile, HEADER_FRAMES).map_err(failed)?;
    let frame = I420Frame::new(profile.width, profile.height);
    for _ in 0..HEADER_FRAMES {
        encoder.push(&frame).map_err(failed)?;
    }
    Ok(encoder.finish().map_err(failed)?.config)
}

/// Every header that a link of this viewing needs, made before anybody asks.
pub fn warm_headers(app: &App, viewing: &Viewing) -> Result<(), MakeError> {
    for size in &viewing.sizes {
        let header = picture_header(app, &size.plan.profile)?;
        app.warm.put(&init_video_name(&size.plan.profile), &header);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_strictly() {
        let key = "0123456789abcdef".repeat(4);
        let parsed = Name { key: Digest::from_hex(&key).unwrap(), first: Some(15) };
        assert_eq!(Name::parse(&format!("{key}-15.m4s")), Some(parsed));
        assert_eq!(Name::parse(&format!("{key}.mp4")).map(|name| name.first), Some(None));
        for wrong in [
            "",
            ".",
            "x.mp4",
            "-1.m4s",
            &key,
            &format!("{key}.m4s"),
            &format!("{key}-1.mp4"),
            &format!("{key}-.m4s"),
            &format!("{key}-01.m4s"),
            &format!("{key}--1.m4s"),
            &format!("{key}-+1.m4s"),
            &format!("{key}-4294967296.m4s"),
            &format!("{}-1.m4s", key.to_uppercase()),
            &format!("{key}0-1.m4s"),
            &format!("{key}-1.m4s.m4s"),
            &format!("../{key}-1.m4s"),
        ] {
            assert_eq!(Name::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn profiles_are_kept() {
        let frame_rate = FrameRate::new(30_000, 1001).unwrap();
        let profile =
            VideoProfile { width: 640, height: 360, frame_rate, quality: 23, encoder: EncoderId::X264 };
        let bytes = profile_bytes(&profile);
        assert_eq!(profile_from(&bytes), Some(profile));
        for cut in 0..bytes.len() {
            assert_eq!(profile_from(&bytes[..cut]), None);
        }
    }
}
