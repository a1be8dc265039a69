//! Adding rows up, in any order, to the same sums.

use std::collections::HashMap;
use std::collections::btree_map::{BTreeMap, Entry};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::texts::Fitted;
use super::{Forecast, ForecastOptions, Segments, Voices};
use crate::Error;
use crate::audience::Row;
use crate::renderer::plan::{Segment, SegmentKey};

/// How many rows are named for one reason to fail.
const ROWS_NAMED: usize = 5;
/// How many reasons are told apart.
const MAX_REASONS: usize = 200;
/// How many rows are named for their texts.
const WORST: usize = 10;

/// What became of a row.
pub(super) enum Outcome {
    Planned(Planned),
    /// The patterns of all that is wrong with it.
    Failed(Vec<String>),
}

/// A row that can be rendered.
pub(super) struct Planned {
    pub seconds: f64,
    pub segments: Vec<Segment>,
    pub worst: Option<Fitted>,
}

/// Rows that fail for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultGroup {
    /// What is wrong, without the values of any row.
    pub pattern: String,
    /// How many rows it concerns; one row may have several faults.
    pub rows: u64,
    /// The first of them, at most five.
    pub first: Vec<u64>,
}

/// A row and its text that fits worst.
#[derive(Clone, Debug, PartialEq)]
pub struct WorstRow {
    /// The row's number.
    pub row: u64,
    /// The layer, e.g. `scenes[0].layers[2]`.
    pub path: String,
    /// Characters that no font has.
    pub missing: Vec<char>,
    /// Whether the text was cut, or stands out of its box.
    pub cut: bool,
    /// The size that the text got as a share of the size that it wanted, 0 to 1.
    pub share: f32,
    /// How many characters it has.
    pub characters: usize,
}

/// A segment that may be rendered to learn what it costs.
pub(super) struct Sample {
    pub row: Arc<Row>,
    /// Its place in the row's video.
    pub index: usize,
    /// Whether it is watched more than once.
    pub shared: bool,
}

/// Keys are digests already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }
    fn write_usize(&mut self, _: usize) {
        // The length of a digest is always the same.
    }
}

/// The sums.
pub(super) struct Tally {
    viewers: u64,
    failed: u64,
    pub cut_short: bool,
    seconds: f64,
    shared: Segments,
    single: Segments,
    /// How often each segment is watched.
    keys: HashMap<SegmentKey, u32, BuildHasherDefault<AsItIs>>,
    max_segments: u64,
    reasons: HashMap<String, FaultGroup>,
    worst: Vec<WorstRow>,
    /// The segments with the least keys, of all and of those that are watched more than once: as keys are digests, they are
    /// drawn at random, and the same ones whatever the order of the rows.
    drawn: [BTreeMap<SegmentKey, (Arc<Row>, usize)>; 2],
    wanted: usize,
}

impl Tally {
    pub(super) fn new(options: &ForecastOptions) -> Self {
        Tally {
            viewers: 0,
            failed: 0,
            cut_short: false,
            seconds: 0.0,
            shared: Segments::default(),
            single: Segments::default(),
            keys: HashMap::default(),
            max_segments: options.max_segments,
            reasons: HashMap::new(),
            worst: Vec::new(),
            drawn: Default::default(),
            wanted: options.samples,
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.viewers + self.failed
    }

    /// Whether no more segments are told apart.
    pub(super) fn is_full(&self) -> bool {
        self.keys.len() as u64 >= self.max_segments
    }

    pub(super) fn add(&mut self, row: Row, outcome: Outcome) {
        let number = row.number();
        match outcome {
            Outcome::Failed(patterns) => {
                self.failed += 1;
                patterns.into_iter().for_each(|pattern| self.add_reason(pattern, number));
            }
            Outcome::Planned(Planned { seconds, segments, worst }) => {
                self.viewers += 1;
                self.seconds += seconds;
                let row = Arc::new(row);
                for segment in segments {
                    self.add_segment(&row, &segment);
                }
                if let Some(worst) = worst {
                    self.add_worst(number, worst);
                }
            }
        }
    }

    fn add_segment(&mut self, row: &Arc<Row>, segment: &Segment) {
        let frames = u64::from(segment.range.len());
        let watched = self.keys.entry(segment.key).or_insert(0);
        *watched = watched.saturating_add(1);
        let watched = *watched;
        match watched {
            1 => self.single.add(1, frames, frames),
            2 => {
                self.single.take(1, frames, frames);
                self.shared.add(1, frames, 2 * frames);
            }
            _ => self.shared.add(0, 0, frames),
        }
        // Candidates enough that some of them are still watched only once in the end.
        let most = [self.wanted * 16, self.wanted];
        for (drawn, most) in self.drawn.iter_mut().zip(most).take(watched.min(2) as usize) {
            let full = drawn.len() >= most;
            if full && drawn.last_key_value().is_none_or(|(last, _)| *last < segment.key) {
                continue;
            }
            match drawn.entry(segment.key) {
                Entry::Vacant(free) => drop(free.insert((row.clone(), segment.index))),
                Entry::Occupied(mut known) if known.get().0.number() > row.number() => {
                    known.insert((row.clone(), segment.index));
                }
                Entry::Occupied(_) => {}
            }
            if drawn.len() > most {
                drawn.pop_last();
            }
        }
    }

    fn add_reason(&mut self, pattern: String, row: u64) {
        let pattern = match self.reasons.len() < MAX_REASONS || self.reasons.contains_key(&pattern) {
            true => pattern,
            false => "other reasons".to_owned(),
        };
        let group = self.reasons.entry(pattern).or_insert_with_key(|pattern| FaultGroup {
            pattern: pattern.clone(),
            rows: 0,
            first: Vec::new(),
        });
        group.rows += 1;
        // Chunks come in any order.
        let at = group.first.partition_point(|first| *first < row);
        group.first.insert(at, row);
        group.first.truncate(ROWS_NAMED);
    }

    fn add_worst(&mut self, row: u64, fitted: Fitted) {
        let Fitted { path, missing, cut, share, characters } = fitted;
        let worst = WorstRow { row, path, missing, cut, share, characters };
        let at = self.worst.partition_point(|known| known.comes_before(&worst));
        if at < WORST {
            self.worst.insert(at, worst);
            self.worst.truncate(WORST);
        }
    }

    pub(super) fn forecast(&self, voices: Voices, pictures_by_request: bool, took: Duration) -> Forecast {
        let mut faults: Vec<FaultGroup> = self.reasons.values().cloned().collect();
        faults.sort_by(|a, b| {
            b.rows.cmp(&a.rows).then_with(|| a.first.cmp(&b.first)).then_with(|| a.pattern.cmp(&b.pattern))
        });
        Forecast {
            rows: self.rows(),
            viewers: self.viewers,
            failed: self.failed,
            cut_short: self.cut_short,
            seconds_watched: self.seconds,
            shared: self.shared,
            single: self.single,
            voices,
            pictures_by_request,
            cost: None,
            uncalibrated: None,
            faults,
            worst: self.worst.clone(),
            took,
        }
    }

    /// What is to be rendered: as many as are wanted of those that are watched more than once, then of the others.
    pub(super) fn into_samples(self) -> Vec<Sample> {
        let [all, shared] = self.drawn;
        let single = all.into_iter().filter(|(key, _)| self.keys.get(key) == Some(&1)).take(self.wanted);
        let shared = shared.into_values().map(|(row, index)| Sample { row, index, shared: true });
        shared.chain(single.map(|(_, (row, index))| Sample { row, index, shared: false })).collect()
    }
}

impl Segments {
    fn add(&mut self, distinct: u64, frames: u64, watched: u64) {
        self.distinct += distinct;
        self.frames += frames;
        self.frames_watched += watched;
    }

    fn take(&mut self, distinct: u64, frames: u64, watched: u64) {
        self.distinct -= distinct;
        self.frames -= frames;
        self.frames_watched -= watched;
    }
}

impl WorstRow {
    /// Whether it fits worse, or as badly and comes first.
    fn comes_before(&self, other: &WorstRow) -> bool {
        let badness = |row: &WorstRow| {
            let WorstRow { row: _, path, missing, cut, share, characters } = row.clone();
            Fitted { path, missing, cut, share, characters }.badness()
        };
        badness(self).cmp(&badness(other)).then(other.row.cmp(&self.row)).is_gt()
    }
}

/// What is wrong, as patterns that hold no value of the row: so that thousands of rows with one fault are one line.
pub(super) fn patterns(error: &Error) -> Vec<String> {
    let Error::Faults(faults) = error else { return vec![error.with_causes()] };
    let mut patterns: Vec<String> = faults
        .iter()
        .map(|fault| {
            let place = match fault.line {
                // The row itself; its number stands beside the pattern.
                0 => without_indices(&fault.path),
                line => format!("{}:{line}:{}: {}", fault.file, fault.column, fault.path),
            };
            let place = if place.is_empty() { place } else { format!("{place}: ") };
            format!("{place}{}", fault.message)
        })
        .collect();
    patterns.sort();
    patterns.dedup();
    patterns
}

/// `a[0].b[17]` as `a[*].b[*]`.
fn without_indices(path: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => {
                inside = true;
                text.push_str("[*");
            }
            ']' => {
                inside = false;
                text.push(']');
            }
            _ if inside => {}
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates::fault::{At, Fault, Faults};

    #[test]
    fn faults_are_grouped_without_values() {
        let at = |path: &str| At { path: path.into(), ..At::file("the row") };
        let faults: Faults = [
            Fault::new(&at("items[3].name"), "expected a text").found("7"),
            Fault::new(&at("items[4].name"), "expected a text").found("8"),
            Fault::new(&at(""), "the field `x` is missing"),
        ]
        .into_iter()
        .collect();
        let found = patterns(&Error::Faults(faults));
        assert_eq!(found, ["items[*].name: expected a text", "the field `x` is missing"]);
    }

    #[test]
    fn the_first_rows_are_named_whatever_the_order() {
        let mut tally = Tally::new(&ForecastOptions::default());
        for row in [40, 3, 17, 9, 30, 1, 22] {
            tally.add_reason("a".into(), row);
        }
        for pattern in 0..300 {
            tally.add_reason(format!("p{pattern}"), pattern);
        }
        let forecast = tally.forecast(Voices::None, false, Duration::ZERO);
        assert_eq!(forecast.faults.len(), MAX_REASONS + 1);
        let group = forecast.faults.iter().find(|group| group.pattern == "a").unwrap();
        assert_eq!((group.rows, &group.first[..]), (7, &[1, 3, 9, 17, 22][..]));
        assert_eq!(forecast.faults[0].pattern, "other reasons");
    }

    #[test]
    fn the_worst_rows_come_first() {
        let fitted = |missing: &str, cut, share, characters| Fitted {
            path: "p".into(),
            missing: missing.chars().collect(),
            cut,
            share,
            characters,
        };
        let rows = [
            (1, fitted("", false, 1.0, 5)),
            (2, fitted("", false, 0.5, 9)),
            (3, fitted("x", false, 1.0, 3)),
            (4, fitted("", true, 0.9, 30)),
            (5, fitted("", false, 1.0, 50)),
            (6, fitted("", false, 0.5, 9)),
        ];
        for turn in 0..rows.len() {
            let mut tally = Tally::new(&ForecastOptions::default());
            for step in 0..rows.len() {
                let (row, fitted) = rows[(turn + step) % rows.len()].clone();
                tally.add_worst(row, fitted);
            }
            let order: Vec<u64> = tally.worst.iter().map(|worst| worst.row).collect();
            assert_eq!(order, [3, 4, 2, 6, 5, 1]);
        }
        let mut tally = Tally::new(&ForecastOptions::default());
        (1..100).for_each(|row| tally.add_worst(row, fitted("", false, 1.0, 5)));
        assert_eq!(tally.worst.iter().map(|worst| worst.row).collect::<Vec<_>>(), Vec::from_iter(1..=10));
    }
}
