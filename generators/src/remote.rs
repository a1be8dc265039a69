//! Providers that are reached over HTTP, hosted or on this machine.
//!
//! They speak the three calls that OpenAI's API made common (chat completions, `/audio/speech`, `/images/generations` and `/images/edits`), and one
//! that streams speech with the time of each character. What
//! comes back is bounded in size and time and checked for its type before anything looks into it; what a provider says about
//! itself in an error is not repeated, since it may quote what it was asked.

mod chat;
mod client;
mod edit;
mod image;
mod prompt;
mod speech;
mod stream;

use std::collections::BTreeMap;

use vignette_templates::generate::VoiceRequest;

pub(crate) use chat::{Chat, ChatOptions, TokenPrice};
pub(crate) use client::{Client, ClientOptions, check_url, is_loopback, tls};
pub(crate) use image::{Pictures, PicturesOptions};
pub(crate) use prompt::{injection, plain, preview};
pub(crate) use speech::{Speech, SpeechOptions};
pub(crate) use stream::{RATES as STREAM_RATES, SpeechStream, SpeechStreamOptions};

/// What a service calls the voice that is asked for: `voices` has its names by those that templates use, others are sent as they are,
/// and `otherwise` speaks when the template names none.
fn own_voice<'a>(
    voices: &'a BTreeMap<String, String>,
    otherwise: &'a str,
    request: &'a VoiceRequest,
) -> &'a str {
    match request.voice.as_deref() {
        Some(wanted) => voices.get(wanted).map_or(wanted, String::as_str),
        None => otherwise,
    }
}
