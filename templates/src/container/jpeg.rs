//! Whether all data of a JPEG picture are there where the marker of its end is not (ITU-T T.81).
//!
//! Nothing is drawn: the entropy-coded data are read as far as it takes to tell that the last block of the last scan has all its bits.

/// The most pixels and scans that are gone through: a short file can claim a great many of both.
const MAX_PIXELS: u64 = 64 << 20;
const MAX_SCANS: usize = 100;

/// Whether a picture is complete, be it sequential or progressive. What is written in other ways, or is wrong, is not.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    complete(bytes).unwrap_or(false)
}

fn complete(bytes: &[u8]) -> Option<bool> {
    let mut tables: [[Option<Table>; 4]; 2] = Default::default();
    let mut picture: Option<Picture> = None;
    let (mut interval, mut scans) = (0, 0);
    let mut rest = bytes.strip_prefix(b"\xff\xd8")?;
    while let Some((marker, after)) = next_marker(rest) {
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            rest = after;
            continue;
        }
        let (length, _) = after.split_first_chunk::<2>()?;
        let (segment, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let segment = segment.get(2..)?;
        rest = after;
        match marker {
            0xc4 => define(segment, &mut tables)?,
            0xc0..=0xc2 => picture = Some(Picture::of(segment, marker == 0xc2)?),
            // Lossless, hierarchical and arithmetically coded ones, and those whose height comes later.
            0xc3 | 0xc5..=0xcf | 0xdc | 0xde | 0xdf => return Some(false),
            0xdd => interval = usize::from(u16::from_be_bytes(*segment.first_chunk()?)),
            0xda => {
                scans += 1;
                if scans > MAX_SCANS {
                    return Some(false);
                }
                let picture = picture.as_mut()?;
                let mut bits = Bits { rest, held: 0, count: 0 };
                picture.scan(segment, &tables, interval, &mut bits)?;
                rest = bits.rest;
            }
            _ => {}
        }
    }
    Some(picture?.has_all())
}

/// The next marker, and what is behind it.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut rest = bytes;
    loop {
        let at = rest.iter().position(|byte| *byte == 0xff)?;
        rest = rest.get(at + 1..)?;
        match rest.split_first()? {
            (0x00 | 0xff, _) => {}
            (marker, after) => return Some((*marker, after)),
        }
    }
}

/// A Huffman table: how many codes have 1 to 16 bits, and what they mean, shortest first (B.2.4.2).
struct Table {
    counts: [u8; 16],
    values: Vec<u8>,
}

impl Table {
    fn read(&self, bits: &mut Bits<'_>) -> Option<u8> {
        // Codes of one length follow each other, and the first of a length follows the last that is shorter (annex C).
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in self.counts.map(usize::from) {
            code = code << 1 | bits.take(1)?;
            if code < first + count {
                return self.values.get(index + code.checked_sub(first)?).copied();
            }
            index += count;
            first = (first + count) << 1;
        }
        None
    }
}

/// Tables of a segment, by class (of DC, of AC) and destination.
fn define(segment: &[u8], tables: &mut [[Option<Table>; 4]; 2]) -> Option<()> {
    let mut rest = segment;
    while let Some((place, after)) = rest.split_first() {
        let (counts, after) = after.split_first_chunk::<16>()?;
        let (values, after) = after.split_at_checked(counts.iter().copied().map(usize::from).sum())?;
        let table = Table { counts: *counts, values: values.to_vec() };
        *tables.get_mut(usize::from(place >> 4))?.get_mut(usize::from(place & 15))? = Some(table);
        rest = after;
    }
    Some(())
}

/// The bits of entropy-coded data; there are no more at a marker.
struct Bits<'a> {
    rest: &'a [u8],
    /// The last `count` of its bits are still to be taken.
    held: usize,
    count: u8,
}

impl Bits<'_> {
    /// The next bits, at most 16.
    fn take(&mut self, bits: u8) -> Option<usize> {
        while self.count < bits {
            let (byte, after) = self.rest.split_first()?;
            self.rest = match byte {
                // After it comes a zero, or it begins a marker.
                0xff => after.strip_prefix(&[0])?,
                _ => after,
            };
            self.held = (self.held << 8 | usize::from(*byte)) & 0xff_ffff;
            self.count += 8;
        }
        self.count -= bits;
        Some(self.held >> self.count & ((1 << bits) - 1))
    }

    /// Goes behind the marker that stands between two intervals.
    fn restart(&mut self) -> Option<()> {
        self.count = 0;
        let (marker, after) = next_marker(self.rest)?;
        self.rest = after;
        matches!(marker, 0xd0..=0xd7).then_some(())
    }
}

/// What the header of the frame says, and what was read so far.
struct Picture {
    width: usize,
    height: usize,
    progressive: bool,
    components: Vec<Component>,
}

struct Component {
    name: u8,
    /// Blocks of it in a unit of all components, across and down.
    across: usize,
    down: usize,
    /// Of a progressive picture: which coefficients of each block are not zero so far, row by row of all units.
    known: Vec<u64>,
    /// How many of its last bits each coefficient still lacks; all of them before its first scan.
    lacks: [u8; 64],
}

/// Which coefficients a scan has, and of which of their bits (G.1.1.1).
struct Band {
    first: usize,
    last: usize,
    is_first: bool,
    /// Blocks without anything, which are counted rather than written.
    run: usize,
}

impl Picture {
    fn of(segment: &[u8], progressive: bool) -> Option<Self> {
        let [_, height @ .., count] = segment.first_chunk::<6>()?;
        let [high, low, wide, narrow] = *height;
        let side = |a, b| usize::from(u16::from_be_bytes([a, b]));
        let (width, height) = (side(wide, narrow), side(high, low));
        let listed = segment.get(6..6 + 3 * usize::from(*count))?;
        if width == 0 || height == 0 || (width * height) as u64 > MAX_PIXELS || !(1..=4).contains(count) {
            return None;
        }
        let components = listed.chunks_exact(3).map(|listed| {
            let (across, down) = (usize::from(listed[1] >> 4), usize::from(listed[1] & 15));
            let fits = (1..=4).contains(&across) && (1..=4).contains(&down);
            fits.then(|| Component { name: listed[0], across, down, known: Vec::new(), lacks: [u8::MAX; 64] })
        });
        let mut picture =
            Picture { width, height, progressive, components: components.collect::<Option<_>>()? };
        if progressive {
            let (wide, high) = picture.units();
            for component in &mut picture.components {
                component.known = vec![0; wide * component.across * high * component.down];
            }
        }
        Some(picture)
    }

    /// The largest factors, by which the others are less than the picture.
    fn most(&self) -> (usize, usize) {
        let most = |factor: fn(&Component) -> usize| self.components.iter().map(factor).max().unwrap_or(1);
        (most(|component| component.across), most(|component| component.down))
    }

    /// Units of all components, across and down.
    fn units(&self) -> (usize, usize) {
        let (across, down) = self.most();
        (self.width.div_ceil(8 * across), self.height.div_ceil(8 * down))
    }

    fn has_all(&self) -> bool {
        self.components.iter().all(|component| component.lacks.iter().all(|bits| *bits == 0))
    }

    /// Reads a scan to its last bit (A.2, E.2).
    fn scan(
        &mut self,
        segment: &[u8],
        tables: &[[Option<Table>; 4]; 2],
        interval: usize,
        bits: &mut Bits<'_>,
    ) -> Option<()> {
        let (count, listed) = segment.split_first()?;
        let (listed, [first, last, precision, ..]) = listed.split_at_checked(2 * usize::from(*count))? else {
            return None;
        };
        let mut band = Band {
            first: usize::from(*first),
            last: usize::from(*last),
            is_first: precision >> 4 == 0,
            run: 0,
        };
        let is_dc = band.first == 0;
        if band.last > 63 || band.first > band.last || (!is_dc && *count != 1) {
            return None;
        }
        if self.progressive && is_dc != (band.last == 0) {
            return None;
        }
        let mut read = Vec::new();
        for listed in listed.chunks_exact(2) {
            let index = self.components.iter().position(|component| component.name == listed[0])?;
            let table = |class: usize, place: u8| tables.get(class)?.get(usize::from(place))?.as_ref();
            read.push((index, table(0, listed[1] >> 4), table(1, listed[1] & 15)));
        }
        let (wide, high) = self.units();
        let most = self.most();
        let (columns, rows) = match read[..] {
            // One by itself has no more blocks than it takes to cover the picture.
            [(index, ..)] => {
                let component = &self.components[index];
                let blocks =
                    |side: usize, factor: usize, most: usize| (side * factor).div_ceil(most).div_ceil(8);
                (blocks(self.width, component.across, most.0), blocks(self.height, component.down, most.1))
            }
            _ => (wide, high),
        };
        for unit in 0..columns * rows {
            if interval > 0 && unit > 0 && unit % interval == 0 {
                bits.restart()?;
                band.run = 0;
            }
            let (x, y) = (unit % columns, unit / columns);
            for (index, dc, ac) in &read {
                let component = &mut self.components[*index];
                let (across, down) = match read.len() {
                    1 => (1, 1),
                    _ => (component.across, component.down),
                };
                for block in 0..across * down {
                    if !self.progressive {
                        sequential(bits, (*dc)?, (*ac)?)?;
                        continue;
                    }
                    let (x, y) = (x * across + block % across, y * down + block / across);
                    let known = component.known.get_mut(y * wide * component.across + x)?;
                    band.read(bits, *dc, *ac, known)?;
                }
            }
        }
        for (index, ..) in read {
            let coefficients = if self.progressive { band.first..=band.last } else { 0..=63 };
            let lacks = if self.progressive { precision & 15 } else { 0 };
            self.components[index].lacks[coefficients].fill(lacks);
        }
        Some(())
    }
}

/// A block of a sequential picture (F.1.2).
fn sequential(bits: &mut Bits<'_>, dc: &Table, ac: &Table) -> Option<()> {
    difference(bits, dc)?;
    let mut at = 1;
    while at < 64 {
        let code = ac.read(bits)?;
        match (code >> 4, code & 15) {
            (15, 0) => at += 16,
            (_, 0) => break,
            (zeros, length) => {
                at += usize::from(zeros) + 1;
                bits.take(length)?;
            }
        }
    }
    (at <= 64).then_some(())
}

/// The mean of a block, as its difference from the one before (F.1.2.1). No difference has more than 16 bits.
fn difference(bits: &mut Bits<'_>, dc: &Table) -> Option<()> {
    let length = dc.read(bits).filter(|length| *length <= 16)?;
    bits.take(length).map(drop)
}

impl Band {
    /// What a scan of a progressive picture has of a block (G.1.2).
    fn read(
        &mut self,
        bits: &mut Bits<'_>,
        dc: Option<&Table>,
        ac: Option<&Table>,
        known: &mut u64,
    ) -> Option<()> {
        match (self.first, self.is_first) {
            (0, true) => difference(bits, dc?),
            (0, false) => bits.take(1).map(drop),
            (_, true) => self.begin(bits, ac?, known),
            (_, false) => self.refine(bits, ac?, known),
        }
    }

    /// The first bits of its coefficients (G.1.2.2).
    fn begin(&mut self, bits: &mut Bits<'_>, ac: &Table, known: &mut u64) -> Option<()> {
        if self.run > 0 {
            self.run -= 1;
            return Some(());
        }
        let mut at = self.first;
        while at <= self.last {
            let code = ac.read(bits)?;
            match (code >> 4, code & 15) {
                (15, 0) => at += 16,
                (run, 0) => {
                    self.run = (1 << run) - 1 + bits.take(run)?;
                    break;
                }
                (zeros, length) => {
                    at += usize::from(zeros);
                    if at > self.last {
                        return None;
                    }
                    bits.take(length)?;
                    *known |= 1 << at;
                    at += 1;
                }
            }
        }
        Some(())
    }

    /// A further bit of its coefficients: one for each that is known, and those that are new (G.1.2.3).
    fn refine(&mut self, bits: &mut Bits<'_>, ac: &Table, known: &mut u64) -> Option<()> {
        let mut at = self.first;
        while self.run == 0 && at <= self.last {
            let code = ac.read(bits)?;
            let (mut zeros, is_new) = (code >> 4, code & 15 != 0);
            if !is_new && zeros < 15 {
                self.run = (1 << zeros) + bits.take(zeros)?;
                break;
            }
            if is_new {
                // Its sign.
                bits.take(1)?;
            }
            while at <= self.last {
                if *known >> at & 1 == 1 {
                    bits.take(1)?;
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                at += 1;
            }
            if is_new {
                if at > self.last {
                    return None;
                }
                *known |= 1 << at;
            }
            at += 1;
        }
        if self.run > 0 {
            // Counted, since blocks of which nothing is known take no bits: there may be many, in a short file.
            let behind = if at > self.last { 0 } else { *known >> at << at & u64::MAX >> (63 - self.last) };
            for _ in 0..behind.count_ones() {
                bits.take(1)?;
            }
            self.run -= 1;
        }
        Some(())
    }
}
