//! Reading fragments back: what a file or a run of media segments says of itself.
//!
//! This is the check of what was written. It follows every offset and every time, and says what does not fit.

use super::boxes::{Placed, children, descend, long, whole, word};

/// What was found wrong with fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Damage(&'static str);

/// What a track holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// What the fragments of one track add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackFacts {
    /// What it holds.
    pub kind: Kind,
    /// Ticks per second of the track's clock.
    pub timescale: u32,
    /// Ticks that its edit list skips at the start.
    pub skipped: u64,
    /// Samples: frames, or access units of sound.
    pub samples: u64,
    /// Sum of what the samples last, in ticks; fragments follow one another without gap from 0 on.
    pub ticks: u64,
    /// Bytes that the samples take.
    pub media_bytes: u64,
}

impl TrackFacts {
    /// Ticks that are played: what the samples last; of sound, less what the edit list skips. That of pictures skips nothing that is
    /// shown, only the time by which decoding runs ahead.
    pub fn played(&self) -> u64 {
        match self.kind {
            Kind::Video => self.ticks,
            Kind::Audio => self.ticks.saturating_sub(self.skipped),
        }
    }
}

/// Reads fragments one after the other, and checks that
///
/// * boxes fill their places exactly, and samples fill the media data exactly, in order,
/// * each fragment starts at the decode time at which the one before it ended, the first at 0,
/// * the frames of each fragment of pictures are shown at regular times, each time once, from the fragment's own decode time on.
#[derive(Debug)]
pub struct FragmentReader {
    tracks: Vec<(u32, TrackFacts)>,
    sequence: u32,
}

impl FragmentReader {
    /// Reads a header: `ftyp` and `moov`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(header: &[u8]) -> Result<Self, Damage> {
        let boxes = whole(header).ok_or(Damage("the header is cut short"))?;
        let moov =
            boxes.iter().find(|found| &found.name == b"moov").ok_or(Damage("the header has no index"))?;
        let mut tracks = Vec::new();
        for (_, trak) in children(moov.content).filter(|(name, _)| name == b"trak") {
            tracks.push(track_of(trak).ok_or(Damage("the header of a track cannot be read"))?);
        }
        if descend(moov.content, &[b"mvex", b"trex"]).is_none() {
            return Err(Damage("the header does not announce fragments"));
        }
        Ok(FragmentReader { tracks, sequence: 0 })
    }

    /// Reads what follows: any number of fragments. Boxes that carry no media are passed over.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn segment(&mut self, bytes: &[u8]) -> Result<(), Damage> {
        let boxes = whole(bytes).ok_or(Damage("a segment is cut short"))?;
        let mut fragments = 0;
        let mut rest = boxes.as_slice();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            match &first.name {
                b"moof" => {
                    let (mdat, after) = rest
                        .split_first()
                        .filter(|(mdat, _)| &mdat.name == b"mdat")
                        .ok_or(Damage("a fragment has no media data behind it"))?;
                    self.fragment(first, mdat)?;
                    fragments += 1;
                    rest = after;
                }
                b"mdat" => return Err(Damage("media data has no fragment before it")),
                b"ftyp" | b"moov" => return Err(Damage("a header stands among the fragments")),
                _ => {}
            }
        }
        if fragments == 0 { Err(Damage("a segment holds no fragment")) } else { Ok(()) }
    }

    /// What all fragments read so far add up to, for each track.
    pub fn finish(self) -> Vec<TrackFacts> {
        self.tracks.into_iter().map(|(_, facts)| facts).collect()
    }

    fn fragment(&mut self, moof: &Placed<'_>, mdat: &Placed<'_>) -> Result<(), Damage> {
        let broken = Damage("a fragment's index cannot be read");
        let inner = whole(moof.content).ok_or(broken)?;
        let mfhd = inner.iter().find(|found| &found.name == b"mfhd").ok_or(broken)?;
        let sequence = word(mfhd.content, 4).ok_or(broken)?;
        if sequence <= self.sequence {
            return Err(Damage("the sequence numbers of fragments do not grow"));
        }
        self.sequence = sequence;
        let media_start = mdat.start + 8;
        let mut at = 0usize;
        for traf in inner.iter().filter(|found| &found.name == b"traf") {
            let run = read_run(traf.content).ok_or(broken)?;
            let (_, facts) = self
                .tracks
                .iter_mut()
                .find(|(id, _)| *id == run.track)
                .ok_or(Damage("a fragment is of a track that the header does not have"))?;
            if run.decode_time != facts.ticks {
                return Err(Damage("a fragment does not start where the one before it ended"));
            }
            if i64::from(run.data_offset) != media_start as i64 - moof.start as i64 + at as i64 {
                return Err(Damage("a fragment's samples are not where its index says"));
            }
            if facts.kind == Kind::Video {
                check_times(&run, facts.skipped)?;
            }
            let (mut ticks, mut bytes) = (0u64, 0u64);
            for sample in &run.samples {
                ticks += u64::from(sample.duration);
                bytes += u64::from(sample.size);
            }
            facts.samples += run.samples.len() as u64;
            facts.ticks = facts.ticks.checked_add(ticks).ok_or(broken)?;
            facts.media_bytes += bytes;
            at = usize::try_from(bytes).ok().and_then(|bytes| at.checked_add(bytes)).ok_or(broken)?;
        }
        if at != mdat.content.len() {
            return Err(Damage("samples do not fill the media data"));
        }
        Ok(())
    }
}

/// Reads a whole file of fragments.
///
/// # Errors
/// What is wrong with it.
pub fn read_facts(file: &[u8]) -> Result<Vec<TrackFacts>, Damage> {
    let boxes = whole(file).ok_or(Damage("the file is cut short"))?;
    let first =
        boxes.iter().find(|found| &found.name == b"moof").ok_or(Damage("the file has no fragment"))?;
    let (header, fragments) = file.split_at(first.start);
    let mut reader = FragmentReader::new(header)?;
    reader.segment(fragments)?;
    Ok(reader.finish())
}

fn track_of(trak: &[u8]) -> Option<(u32, TrackFacts)> {
    let id = word(descend(trak, &[b"tkhd"])?, 12)?;
    let mdhd = descend(trak, &[b"mdia", b"mdhd"])?;
    let timescale = word(mdhd, if mdhd.first()? == &1 { 20 } else { 12 })?;
    let kind = match descend(trak, &[b"mdia", b"hdlr"])?.get(8..12)? {
        b"vide" => Kind::Video,
        b"soun" => Kind::Audio,
        _ => return None,
    };
    let skipped = match descend(trak, &[b"edts", b"elst"]) {
        Some(elst) => u64::from(word(elst, 12)?),
        None => 0,
    };
    Some((id, TrackFacts { kind, timescale, skipped, samples: 0, ticks: 0, media_bytes: 0 }))
}

struct ReadRun {
    track: u32,
    decode_time: u64,
    data_offset: i32,
    samples: Vec<ReadSample>,
}

struct ReadSample {
    duration: u32,
    size: u32,
    offset: i32,
}

/// Reads a `traf` of one run (ISO/IEC 14496-12, sections 8.8.7, 8.8.8 and 8.8.12).
fn read_run(traf: &[u8]) -> Option<ReadRun> {
    let tfhd = descend(traf, &[b"tfhd"])?;
    // Only what is written here is read: base at the `moof`, defaults of duration and flags.
    (word(tfhd, 0)? == 0x02_0028).then_some(())?;
    let (track, default_duration) = (word(tfhd, 4)?, word(tfhd, 8)?);
    let tfdt = descend(traf, &[b"tfdt"])?;
    (word(tfdt, 0)? == 0x0100_0000).then_some(())?;
    let decode_time = long(tfdt, 4)?;
    let trun = descend(traf, &[b"trun"])?;
    (children(traf).filter(|(name, _)| name == b"trun").count() == 1).then_some(())?;
    let flags = word(trun, 0)? & 0xff_ffff;
    (flags & 0x201 == 0x201).then_some(())?;
    let count = word(trun, 4)?;
    let data_offset = word(trun, 8)? as i32;
    let mut at = if flags & 0x4 == 0 { 12 } else { 16 };
    let mut next = |present: bool| -> Option<Option<u32>> {
        if !present {
            return Some(None);
        }
        let value = word(trun, at)?;
        at += 4;
        Some(Some(value))
    };
    // A count without the sizes to it ends the loop, so it need not be bounded.
    let mut samples = Vec::new();
    for _ in 0..count {
        let duration = next(flags & 0x100 != 0)?.unwrap_or(default_duration);
        let size = next(true)??;
        next(flags & 0x400 != 0)?;
        let offset = next(flags & 0x800 != 0)?.unwrap_or(0) as i32;
        samples.push(ReadSample { duration, size, offset });
    }
    (at == trun.len()).then_some(())?;
    Some(ReadRun { track, decode_time, data_offset, samples })
}

/// Whether the frames are shown one after the other from the run's decode time on, once the edit list has taken off `skipped`.
fn check_times(run: &ReadRun, skipped: u64) -> Result<(), Damage> {
    let irregular = Damage("the frames of a fragment are not shown at regular times");
    let Some(step) = run.samples.first().map(|sample| i64::from(sample.duration)) else { return Ok(()) };
    let mut shown: Vec<i64> = (0..)
        .zip(&run.samples)
        .map(|(index, sample)| index * step + i64::from(sample.offset) - skipped as i64)
        .collect();
    shown.sort_unstable();
    let regular = (0..).zip(&shown).all(|(index, time)| *time == index * step);
    let even = run.samples.iter().all(|sample| i64::from(sample.duration) == step);
    let starts = run.samples.first().is_some_and(|first| i64::from(first.offset) == skipped as i64);
    if regular && even && starts { Ok(()) } else { Err(irregular) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::cmaf::tests::{profile, segment, track};
    use crate::package::cmaf::{init_video, video_segment};
    use crate::package::fragmented::Fragmented;

    fn file() -> Vec<u8> {
        let track = track(20_000);
        let segments = [segment(&[0, 4, 2, 1, 3]), segment(&[0]), segment(&[0, 1, 3, 2, 5, 4])];
        let (mut writer, mut file) =
            Fragmented::begin(profile(), &segments[0].config, Some(&track), "en", 12);
        for segment in &segments {
            file.extend(writer.segment(segment).unwrap());
        }
        file.extend(writer.end().unwrap());
        file
    }

    #[test]
    fn a_file_tells_what_it_holds() {
        let tracks = read_facts(&file()).unwrap();
        assert_eq!(tracks.len(), 2);
        assert_eq!((tracks[0].samples, tracks[0].ticks), (12, 12 * 1001));
        assert_eq!((tracks[1].samples, tracks[1].played()), (21, 20_000));
        assert_eq!(tracks[0].media_bytes, 12 * 10 + 10 + 15);
    }

    #[test]
    fn damage_is_found_and_never_fatal() {
        let file = file();
        for cut in 0..file.len() {
            assert!(read_facts(&file[..cut]).is_err() || whole(&file[..cut]).is_some(), "cut at {cut}");
        }
        // A changed byte may be one of the media or of a field that is not looked at, but it must never end the program.
        for at in 0..file.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut changed = file.clone();
                changed[at] ^= flip;
                let _ = read_facts(&changed);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let config = segment(&[0]).config;
        let header = init_video(&profile(), &config);
        let part = |first| video_segment(&segment(&[0, 2, 1]), &profile(), first).unwrap();
        let cases: [(&[Vec<u8>], &str); 5] = [
            (&[part(1)], "a fragment does not start where the one before it ended"),
            (&[part(0), part(4)], "a fragment does not start where the one before it ended"),
            (&[part(0), part(0)], "the sequence numbers of fragments do not grow"),
            (std::slice::from_ref(&header), "a header stands among the fragments"),
            (&[Vec::new()], "a segment holds no fragment"),
        ];
        for (parts, expected) in cases {
            let mut reader = FragmentReader::new(&header).unwrap();
            let said = parts.iter().try_for_each(|part| reader.segment(part));
            assert_eq!(said.map_err(|damage| damage.to_string()), Err(expected.to_owned()));
        }
        // The last sample of three is shown at the time of the second; now at that of the third, which is taken.
        let mut wrong = part(0);
        let trun = wrong.windows(4).position(|name| name == b"trun").unwrap();
        // Behind the name, flags, count, data offset, first flags, two samples of size and offset, and a size.
        let offset = trun + 20 + 2 * 8 + 4;
        assert_eq!(word(&wrong, offset), Some(1001), "the offset is where this test takes it to be");
        wrong[offset..offset + 4].copy_from_slice(&2002u32.to_be_bytes());
        let said = FragmentReader::new(&header).unwrap().segment(&wrong);
        assert_eq!(said, Err(Damage("the frames of a fragment are not shown at regular times")));
    }
}
