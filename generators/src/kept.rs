//! Generated values as bytes, for a store that outlives the process.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vignette_templates::blob::{Blob, Digest};
use vignette_templates::generate::{Generated, GeneratedValue, Provenance, SpokenPhoneme, SpokenWord, Voice};
use vignette_templates::time::Time;

/// Keeps generated values by name beyond the process. Trouble with it must not keep a value from being generated, so that neither
/// call fails.
pub trait Keep: Send + Sync {
    /// The bytes under `key`, if they are there.
    fn get(&self, key: &Digest) -> Option<Arc<[u8]>>;
    /// Keeps `bytes` under `key`.
    fn put(&self, key: &Digest, bytes: Vec<u8>);
}

/// What stands before the bytes of a sound or a picture.
#[derive(Serialize, Deserialize)]
struct Head {
    provenance: Provenance,
    value: Value,
}

#[derive(Serialize, Deserialize)]
enum Value {
    Text(String),
    Voice {
        duration: Time,
        words: Vec<SpokenWord>,
        #[serde(default)]
        phonemes: Vec<SpokenPhoneme>,
    },
    Image,
}

const MAGIC: &[u8; 4] = b"VGN1";

/// `generated` as bytes; see [`from_bytes`].
pub(crate) fn to_bytes(generated: &Generated) -> Option<Vec<u8>> {
    let (value, blob) = match &generated.value {
        GeneratedValue::Text(text) => (Value::Text(text.clone()), None),
        GeneratedValue::Voice(voice) => {
            let (words, phonemes) = (voice.words.clone(), voice.phonemes.clone());
            (Value::Voice { duration: voice.duration, words, phonemes }, Some(&voice.audio))
        }
        GeneratedValue::Image(blob) => (Value::Image, Some(blob)),
    };
    let head = serde_json::to_vec(&Head { provenance: generated.provenance.clone(), value }).ok()?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend(u32::try_from(head.len()).ok()?.to_le_bytes());
    bytes.extend(head);
    bytes.extend_from_slice(blob.map_or(&[], |blob| &blob.bytes()[..]));
    Some(bytes)
}

/// Reads what [`to_bytes`] wrote; `None` when it is anything else.
pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Generated> {
    let (length, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    let (head, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    let blob = || Blob::new(rest.to_vec());
    let value = match head.value {
        Value::Text(text) => GeneratedValue::Text(text),
        Value::Voice { duration, words, phonemes } => {
            GeneratedValue::Voice(Voice { audio: blob(), duration, words, phonemes })
        }
        Value::Image => GeneratedValue::Image(blob()),
    };
    Some(Generated { value, provenance: head.provenance })
}

#[cfg(test)]
mod tests {
    use vignette_templates::generate::Cost;

    use super::*;

    #[test]
    fn values_come_back() {
        let provenance = Provenance {
            provider: "p".into(),
            model: "m 1".into(),
            synthetic: true,
            seed: Some(7),
            made_at: Some(1_700_000_000),
            cost: Cost { requests: 2, tokens: 70, characters: 0, micros: 1_200 },
            ..Provenance::default()
        };
        let words = vec![SpokenWord { text: "Hello,".into(), start: Time::ZERO, end: Time::from_seconds(1) }];
        let phonemes =
            vec![SpokenPhoneme { phoneme: "h".into(), start: Time::ZERO, end: Time::from_seconds(1) }];
        let voice = Voice {
            audio: Blob::new(vec![1, 2, 3]),
            duration: Time::from_seconds(1),
            words: words.clone(),
            phonemes: phonemes.clone(),
        };
        for value in [
            GeneratedValue::Text("a line".into()),
            GeneratedValue::Voice(voice),
            GeneratedValue::Image(Blob::new(vec![9; 100])),
        ] {
            let bytes =
                to_bytes(&Generated { value: value.clone(), provenance: provenance.clone() }).unwrap();
            let back = from_bytes(&bytes).unwrap();
            assert_eq!(back.provenance, provenance);
            match (value, back.value) {
                (GeneratedValue::Text(a), GeneratedValue::Text(b)) => assert_eq!(a, b),
                (GeneratedValue::Voice(a), GeneratedValue::Voice(b)) => {
                    assert_eq!((a.audio.bytes(), a.duration), (b.audio.bytes(), b.duration));
                    assert_eq!((b.words, b.phonemes), (words.clone(), phonemes.clone()));
                }
                (GeneratedValue::Image(a), GeneratedValue::Image(b)) => assert_eq!(a.bytes(), b.bytes()),
                (a, b) => panic!("{a:?} became {b:?}"),
            }
            assert!(from_bytes(&bytes[..7]).is_none());
        }
        assert!(from_bytes(b"VGN1\xff\xff\xff\xff").is_none());
    }
}
