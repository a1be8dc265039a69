//! Curves and noise made of additions, multiplications, divisions and square roots only: these are the operations that
//! IEEE 754 defines to the last bit, while libraries' `sin`, `exp` and `powf` differ between machines.

use crate::random::mix;

/// Sine of `turns` turns, within 0.001: a parabola through its zeros and peaks, corrected once.
pub(super) fn sin(turns: f64) -> f64 {
    let x = turns - turns.floor();
    let (x, sign) = if x < 0.5 { (x, 1.0) } else { (x - 0.5, -1.0) };
    let parabola = 16.0 * x * (0.5 - x);
    sign * (0.775 * parabola + 0.225 * parabola * parabola)
}

/// Cosine of `turns` turns.
pub(super) fn cos(turns: f64) -> f64 {
    sin(turns + 0.25)
}

/// 0 below `from`, 1 above `to`, with level ends between.
pub(super) fn smoothstep(from: f64, to: f64, x: f64) -> f64 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

pub(super) fn lerp(from: f64, to: f64, t: f64) -> f64 {
    from + (to - from) * t
}

/// Cube root, for 0 and above: Newton's steps from a guess in the exponent.
pub(super) fn cbrt(x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let mut root = f64::from_bits(x.to_bits() / 3 + 0x2A9F_7893_0000_0000);
    for _ in 0..4 {
        root = (2.0 * root + x / (root * root)) / 3.0;
    }
    root
}

/// Smooth noise in two dimensions.
#[derive(Clone, Copy)]
pub(super) struct Noise(pub(super) u64);

impl Noise {
    /// A value in 0..1 for each lattice point.
    fn at(self, x: i64, y: i64) -> f64 {
        let hash = mix(self.0 ^ mix((x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ mix(y as u64)));
        (hash >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Value noise in 0..1 with quintic steps between the lattice points, so that its second derivative is continuous too
    /// (Perlin, "Improving noise", 2002) and no grid shows.
    pub(super) fn value(self, x: f64, y: f64) -> f64 {
        let (left, top) = (x.floor(), y.floor());
        let quintic = |t: f64| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
        let (u, v) = (quintic(x - left), quintic(y - top));
        let (x, y) = (left as i64, top as i64);
        let above = lerp(self.at(x, y), self.at(x + 1, y), u);
        let below = lerp(self.at(x, y + 1), self.at(x + 1, y + 1), u);
        lerp(above, below, v)
    }

    /// Octaves of noise, each half as strong and twice as fine, turned so that their lattices do not coincide; in 0..1.
    pub(super) fn fractal(self, x: f64, y: f64, octaves: u32) -> f64 {
        let (mut x, mut y, mut strength, mut sum, mut total) = (x, y, 1.0, 0.0, 0.0);
        for octave in 0..octaves {
            sum += strength * Noise(self.0.wrapping_add(u64::from(octave))).value(x, y);
            total += strength;
            strength *= 0.5;
            // A turn by 36.87 degrees: the sides 3, 4, 5.
            (x, y) = (2.0 * (0.8 * x - 0.6 * y) + 17.3, 2.0 * (0.6 * x + 0.8 * y) - 4.7);
        }
        sum / total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_follow_the_true_ones() {
        for n in -300_i32..300 {
            let turns = f64::from(n) / 97.0;
            let angle = turns * std::f64::consts::TAU;
            assert!((sin(turns) - angle.sin()).abs() < 0.0012, "sin {turns}");
            assert!((cos(turns) - angle.cos()).abs() < 0.0012, "cos {turns}");
            let x = f64::from(n.abs()) / 100.0;
            assert!((cbrt(x) - x.cbrt()).abs() < 1e-9, "cbrt {x}");
        }
    }

    #[test]
    fn noise_is_smooth_and_in_range() {
        let noise = Noise(5);
        let mut before = noise.fractal(-4.0, 0.3, 4);
        for n in 1..4_000 {
            let value = noise.fractal(-4.0 + f64::from(n) * 0.002, 0.3, 4);
            assert!((0.0..=1.0).contains(&value));
            assert!((value - before).abs() < 0.03, "jumps at {n}");
            before = value;
        }
    }
}
