//! Segment stores: one suite that all of them pass, damage, failures, and processes that share a folder.

mod conformance;
mod damage;
mod failures;
mod fakes;
mod processes;
mod s3;
mod sharing;

use std::sync::Arc;
use std::time::Duration;

use vignette_renderer::store::Patience;
use vignette_templates::blob::Digest;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);

/// Nothing is slow, however busy the machine, and what is left alone is left alone to the end.
const STERN: Patience = Patience { failures: 3, slow: LONG, rest: LONG, longest_rest: LONG };

/// The key numbered `number`. Keys of near numbers are far apart.
fn key(number: u64) -> Digest {
    Digest::of(&number.to_le_bytes())
}

/// `length` bytes that look like nothing, the same for the same `seed`.
fn noise(seed: u64, length: usize) -> Arc<[u8]> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    let mut bytes = vec![0; length];
    hasher.finalize_xof().fill(&mut bytes);
    Arc::from(bytes)
}
