//! How loud a sound is to people: integrated loudness (ITU-R BS.1770-5).

use super::SAMPLE_RATE;

/// One section of the K-weighting filter, with the coefficients for 48 kHz (BS.1770-5, annex 1, tables 1 and 2).
struct Section {
    b: [f64; 3],
    a: [f64; 2],
    state: [f64; 2],
}

impl Section {
    fn filter(&mut self, input: f64) -> f64 {
        let output = self.b[0] * input + self.state[0];
        self.state[0] = self.b[1] * input - self.a[0] * output + self.state[1];
        self.state[1] = self.b[2] * input - self.a[1] * output;
        output
    }
}

fn k_weighting() -> [Section; 2] {
    [
        Section {
            b: [1.535_124_859_586_97, -2.691_696_189_406_38, 1.198_392_810_852_85],
            a: [-1.690_659_293_182_41, 0.732_480_774_215_85],
            state: [0.0; 2],
        },
        Section { b: [1.0, -2.0, 1.0], a: [-1.990_047_454_833_98, 0.990_072_250_366_21], state: [0.0; 2] },
    ]
}

/// The integrated loudness of interleaved stereo at 48 kHz in LUFS; `None` when it is silent or shorter than 400 ms.
pub fn integrated_loudness(samples: &[f32]) -> Option<f64> {
    // Blocks of 400 ms that begin every 100 ms, as sums of four hops.
    let hop = SAMPLE_RATE as usize / 10;
    let mut filters = [k_weighting(), k_weighting()];
    let mut hops = Vec::with_capacity(samples.len() / (2 * hop));
    for part in samples.chunks_exact(2 * hop) {
        let mut energy = 0.0;
        for frame in part.chunks_exact(2) {
            for (value, filter) in frame.iter().zip(&mut filters) {
                let weighted =
                    filter.iter_mut().fold(f64::from(*value), |value, section| section.filter(value));
                energy += weighted * weighted;
            }
        }
        hops.push(energy / hop as f64);
    }
    let blocks: Vec<f64> = hops.windows(4).map(|four| four.iter().sum::<f64>() / 4.0).collect();
    let loudness = |power: f64| -0.691 + 10.0 * power.log10();
    let mean_above = |gate: f64| -> Option<f64> {
        let loud: Vec<f64> = blocks.iter().copied().filter(|power| loudness(*power) > gate).collect();
        (!loud.is_empty()).then(|| loud.iter().sum::<f64>() / loud.len() as f64)
    };
    let relative_gate = loudness(mean_above(-70.0)?) - 10.0;
    mean_above(relative_gate.max(-70.0)).map(loudness)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(amplitude: f64, seconds: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU * 997.0 / f64::from(SAMPLE_RATE);
        (0..seconds * SAMPLE_RATE as usize)
            .flat_map(|n| [(amplitude * (step * n as f64).sin()) as f32; 2])
            .collect()
    }

    #[test]
    fn a_reference_tone_reads_as_the_standard_says() {
        // BS.1770-5: a 997 Hz sine at 0 dBFS in one channel reads -3.01 LKFS, so in both 0.0. Silence around it is gated out.
        let amplitude = 10f64.powf(-23.0 / 20.0);
        let mut with_silence = vec![0.0; 2 * 5 * SAMPLE_RATE as usize];
        with_silence.extend(sine(amplitude, 20));
        with_silence.extend(vec![0.0; 2 * 5 * SAMPLE_RATE as usize]);
        for (name, samples) in [("tone", sine(amplitude, 20)), ("tone in silence", with_silence)] {
            let loudness = integrated_loudness(&samples).unwrap_or(f64::NAN);
            assert!((loudness + 23.0).abs() < 0.1, "{name}: {loudness}");
        }
        assert_eq!(integrated_loudness(&[0.0; 96_000]), None);
        assert_eq!(integrated_loudness(&[]), None);
    }
}
