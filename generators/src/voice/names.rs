//! How common given names are said that English lexicons lack or misread.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Goes up with every change to the list, since it changes what is heard.
pub(super) const VERSION: u32 = 1;

const LIST: &str = include_str!("names.txt");

/// The phonemes of a given name that is written with a capital; `None` for a name that is not in the list, and for other
/// words.
pub(crate) fn find(name: &str) -> Option<&'static str> {
    static NAMES: OnceLock<HashMap<String, &'static str>> = OnceLock::new();
    if !name.starts_with(char::is_uppercase) {
        return None;
    }
    NAMES
        .get_or_init(|| entries().map(|(name, sound)| (name.to_lowercase(), sound)).collect())
        .get(&name.to_lowercase())
        .copied()
}

/// Each spelling with its phonemes.
fn entries() -> impl Iterator<Item = (&'static str, &'static str)> {
    LIST.lines().filter(|line| !line.starts_with('#')).flat_map(|line| {
        let (spellings, sound) = line.rsplit_once(' ').unwrap_or_default();
        spellings.split_whitespace().map(move |name| (name, sound))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use vignette_templates::pronunciation;

    use super::*;

    #[test]
    fn the_list_is_sound() {
        let mut seen = HashSet::new();
        for (name, sound) in entries() {
            assert!(seen.insert(name.to_lowercase()), "{name} twice");
            assert!(name.starts_with(char::is_uppercase), "{name}");
            // What the notation reads unchanged is right in it.
            assert_eq!(pronunciation::phonemes(&format!("/{sound}/")).as_deref(), Ok(sound), "{name}");
            assert_eq!(sound.matches('ˈ').count(), 1, "{name}");
        }
        let sounds: HashSet<_> = entries().map(|(_, sound)| sound).collect();
        assert!(sounds.len() >= 150, "{}", sounds.len());
    }

    #[test]
    fn names_are_found_as_people_write_them() {
        for name in ["Siobhan", "Siobhán", "SIOBHÁN"] {
            assert_eq!(find(name), Some("ʃəvˈɔn"), "{name}");
        }
        for word in ["siobhan", "Table", "", "Li-Li"] {
            assert_eq!(find(word), None, "{word}");
        }
    }
}
