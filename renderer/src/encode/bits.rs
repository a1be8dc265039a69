//! Reading bit by bit what video streams say of themselves.

/// Reads a stream's headers, the most significant bit of each byte first.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// How many bits have been read.
    pub(super) at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Bits { bytes, at: 0 }
    }

    /// The next `count` bits as a number, at most 32; `None` at the end.
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0u64;
        for _ in 0..count.min(32) {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u64::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        u32::try_from(value).ok()
    }

    /// The next bit.
    pub(super) fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    /// Leaves out `count` bits.
    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count)?;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// An Exp-Golomb number (ITU-T H.265, section 9.2; AV1 calls it `uvlc`).
    pub(super) fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros == 32 {
                return None;
            }
        }
        let rest = self.take(zeros)?;
        ((1u64 << zeros) - 1 + u64::from(rest)).try_into().ok()
    }
}

/// Writes bit by bit, the most significant bit of each byte first.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    length: usize,
}

impl BitWriter {
    /// Writes the lowest `count` bits of `value`.
    pub(super) fn put(&mut self, value: u32, count: u32) {
        for shift in (0..count).rev() {
            if self.length.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> shift & 1) as u8) << (7 - self.length % 8);
            }
            self.length += 1;
        }
    }

    /// Takes over bits that are being read, up to bit `end`; `None` when there are not so many.
    pub(super) fn copy(&mut self, from: &mut Bits<'_>, end: usize) -> Option<()> {
        while from.at < end {
            let bit = from.take(1)?;
            self.put(bit, 1);
        }
        Some(())
    }

    /// What was written; missing bits of the last byte are zero.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_standards_write_them() {
        // ITU-T H.265, table 9-2.
        for (bits, count, number) in
            [(0b1, 1, 0), (0b010, 3, 1), (0b011, 3, 2), (0b00100, 5, 3), (0b0001000, 7, 7)]
        {
            let mut writer = BitWriter::default();
            writer.put(bits, count);
            writer.put(0b101, 3);
            let bytes = writer.finish();
            let mut bits = Bits::new(&bytes);
            assert_eq!(bits.exp_golomb(), Some(number));
            assert_eq!(bits.take(3), Some(0b101), "after {number}");
        }
        assert_eq!(Bits::new(&[0; 8]).exp_golomb(), None);
        assert_eq!(Bits::new(&[]).take(1), None);
        assert_eq!(Bits::new(&[0xff]).skip(9), None);
        assert_eq!(Bits::new(&[0xff; 4]).take(32), Some(u32::MAX));
    }
}
