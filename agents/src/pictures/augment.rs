//! Pictures become numbers, as they are or changed at random: turned, moved, resized, mirrored, lighter or darker, a
//! square of them left out.

use agon_core::rng::Rng;

/// How much a picture may be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Augment {
    /// Moved by at most this share of its side.
    pub shift: f64,
    /// Turned by at most so many degrees.
    pub rotate: f64,
    /// Resized by at most this share.
    pub zoom: f64,
    /// Mirrored, left and right, in half of the cases.
    pub flip: bool,
    /// Contrast changed by at most this share, brightness by at most a third of it.
    pub light: f64,
    /// Each channel's contrast and brightness by itself, in the same way: its tint.
    pub colour: f64,
    /// The side of a square that is left out, as a share of the picture's.
    pub erase: f64,
}

impl Augment {
    /// The same, and not less than what pictures without a class need: without a change a network only repeats itself.
    pub fn weak(self) -> Self {
        Self { shift: self.shift.max(0.1), rotate: self.rotate.max(10.0), zoom: self.zoom.max(0.1), ..self }
    }

    /// The same much more strongly: for what a network must recognise although it hardly can (FixMatch).
    pub fn strong(self) -> Self {
        Self {
            shift: self.shift.max(0.125),
            rotate: self.rotate.max(20.0),
            zoom: self.zoom.max(0.15),
            light: self.light.max(0.5),
            erase: self.erase.max(0.35),
            ..self
        }
    }
}

/// How bytes become numbers: each channel with mean 0 and deviation 1 in the training part.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Standard {
    /// The mean of each channel, in bytes.
    pub mean: Vec<f32>,
    /// The deviation of each channel, in bytes.
    pub deviation: Vec<f32>,
}

impl Standard {
    /// Of these pictures `[height, width, channels]`.
    pub fn of<'a>(channels: usize, pictures: impl Iterator<Item = &'a [u8]>) -> Self {
        let (mut sums, mut squares, mut n) = (vec![0u64; channels], vec![0u64; channels], 0u64);
        for picture in pictures {
            n += (picture.len() / channels) as u64;
            for pixel in picture.chunks_exact(channels) {
                for (c, x) in pixel.iter().enumerate() {
                    sums[c] += u64::from(*x);
                    squares[c] += u64::from(*x).pow(2);
                }
            }
        }
        let n = n.max(1) as f64;
        let mean: Vec<f64> = sums.iter().map(|sum| *sum as f64 / n).collect();
        let deviation = squares.iter().zip(&mean).map(|(s, m)| (*s as f64 / n - m * m).max(0.0).sqrt().max(1.0) as f32);
        Self { deviation: deviation.collect(), mean: mean.into_iter().map(|m| m as f32).collect() }
    }

    /// A picture as it is; `out` has its length.
    pub fn plain(&self, picture: &[u8], out: &mut [f32]) {
        let channels = self.mean.len();
        for (out, pixel) in out.chunks_exact_mut(channels).zip(picture.chunks_exact(channels)) {
            for (c, x) in pixel.iter().enumerate() {
                out[c] = (f32::from(*x) - self.mean[c]) / self.deviation[c];
            }
        }
    }

    /// A picture `[height, width, channels]`, changed at random. What comes in from outside of it is like its edge.
    pub fn changed(&self, picture: &[u8], size: [usize; 3], how: &Augment, rng: &mut Rng, out: &mut [f32]) {
        let [height, width, channels] = size;
        let mut within = |most: f64| rng.range(-most, most);
        let (angle, zoom) = (within(how.rotate).to_radians(), 1.0 / (1.0 + within(how.zoom)));
        let (down, across) = (within(how.shift) * height as f64, within(how.shift) * width as f64);
        // Whole pixels where nothing else is needed: what lies between pixels is blurred, and the test part's is not.
        let whole = how.rotate == 0.0 && how.zoom == 0.0;
        let (down, across) = if whole { (down.round(), across.round()) } else { (down, across) };
        let (contrast, brightness) = (1.0 + within(how.light) as f32, within(how.light / 3.0) as f32);
        // Grey pictures have no colour; nothing is drawn where nothing is changed.
        let tinted = how.colour > 0.0 && channels > 1;
        let mut tint = |_| match tinted {
            true => [1.0 + rng.range(-how.colour, how.colour) as f32, rng.range(-how.colour, how.colour) as f32 / 3.0],
            false => [1.0, 0.0],
        };
        let tints: Vec<[f32; 2]> = (0..channels).map(&mut tint).collect();
        let mirror = if how.flip && rng.f64() < 0.5 { -1.0 } else { 1.0 };
        let centre = [(height as f32 - 1.0) / 2.0, (width as f32 - 1.0) / 2.0];
        let (sin, cos) = ((angle.sin() * zoom) as f32, (angle.cos() * zoom) as f32);
        let from = [centre[0] + down as f32, centre[1] + across as f32];
        let (bottom, right) = ((height - 1) as f32, (width - 1) as f32);
        for y in 0..height {
            for x in 0..width {
                let (dy, dx) = (y as f32 - centre[0], mirror * (x as f32 - centre[1]));
                let there = (cos * dy + sin * dx + from[0]).clamp(0.0, bottom);
                let aside = (cos * dx - sin * dy + from[1]).clamp(0.0, right);
                let (top, left) = (there as usize, aside as usize);
                let (v, u) = (there - top as f32, aside - left as f32);
                let (below, beside) = ((top + 1).min(height - 1), (left + 1).min(width - 1));
                let at = |y: usize, x: usize| (y * width + x) * channels;
                let corners = [at(top, left), at(top, beside), at(below, left), at(below, beside)];
                for c in 0..channels {
                    let [a, b, d, e] = corners.map(|corner| f32::from(picture[corner + c]));
                    let value = (1.0 - v) * ((1.0 - u) * a + u * b) + v * ((1.0 - u) * d + u * e);
                    let value = (value - self.mean[c]) / self.deviation[c];
                    let [stronger, lighter] = tints[c];
                    out[at(y, x) + c] = stronger * (contrast * value + brightness) + lighter;
                }
            }
        }
        if how.erase > 0.0 {
            let side = |n: usize| ((how.erase * n as f64).round() as usize).min(n);
            let (tall, wide) = (side(height), side(width));
            let top = rng.below((height - tall + 1) as u32) as usize;
            let left = rng.below((width - wide + 1) as u32) as usize;
            for y in top..top + tall {
                out[(y * width + left) * channels..][..wide * channels].fill(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::Stream;

    fn rng() -> Rng {
        Rng::new(3, Stream::Act, 0)
    }

    /// Two channels, 3 × 4.
    fn picture() -> Vec<u8> {
        (0..24).map(|i| i * 10).collect()
    }

    #[test]
    fn nothing_is_changed_where_nothing_may_be() {
        let (picture, size) = (picture(), [3, 4, 2]);
        let standard = Standard::of(2, std::iter::once(&picture[..]));
        let (mut plain, mut changed) = (vec![0.0; 24], vec![1.0; 24]);
        standard.plain(&picture, &mut plain);
        standard.changed(&picture, size, &Augment::default(), &mut rng(), &mut changed);
        assert!(plain.iter().zip(&changed).all(|(a, b)| (a - b).abs() < 1e-5), "{plain:?} {changed:?}");
        for c in 0..2 {
            let of: Vec<f32> = plain.iter().copied().skip(c).step_by(2).collect();
            assert!(of.iter().sum::<f32>().abs() < 1e-4);
            assert!((of.iter().map(|x| x * x).sum::<f32>() / 12.0 - 1.0).abs() < 1e-4);
        }
    }

    /// A quarter turn of a 2 × 2 picture moves each pixel to the next corner; a mirrored one swaps its columns.
    #[test]
    fn turns_and_mirrors_by_hand() {
        let standard = Standard { mean: vec![0.0], deviation: vec![1.0] };
        let (picture, mut out) = ([1, 2, 3, 4], [0.0; 4]);
        let turned = |out: &[f32; 4]| [[3.0, 1.0, 4.0, 2.0], [2.0, 4.0, 1.0, 3.0]].iter().any(|t| close(t, out));
        let mut seen = 0;
        let mut rng = rng();
        for _ in 0..4000 {
            standard.changed(&picture, [2, 2, 1], &Augment { rotate: 90.0, ..Augment::default() }, &mut rng, &mut out);
            seen += usize::from(turned(&out));
            assert!(out.iter().all(|x| (1.0..=4.0).contains(x)), "{out:?}");
        }
        assert!(seen > 0, "a turn near 90 degrees is among 4,000 of them");
        let mut sides = [0; 2];
        for _ in 0..200 {
            standard.changed(&picture, [2, 2, 1], &Augment { flip: true, ..Augment::default() }, &mut rng, &mut out);
            sides[usize::from(close(&[2.0, 1.0, 4.0, 3.0], &out))] += 1;
            assert!(close(&[1.0, 2.0, 3.0, 4.0], &out) || close(&[2.0, 1.0, 4.0, 3.0], &out), "{out:?}");
        }
        assert!(sides.iter().all(|n| (70..=130).contains(n)), "{sides:?}");
    }

    fn close(a: &[f32; 4], b: &[f32; 4]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.05)
    }

    /// Pictures that are only moved keep their values.
    #[test]
    fn moved_pictures_are_not_blurred() {
        let standard = Standard { mean: vec![0.0], deviation: vec![1.0] };
        let picture: Vec<u8> = (0..100u32).map(|i| (i * 37 % 101) as u8).collect();
        let (mut rng, mut out, mut moved) = (rng(), vec![0.0; 100], 0);
        for _ in 0..50 {
            standard.changed(&picture, [10, 10, 1], &Augment { shift: 0.2, ..Augment::default() }, &mut rng, &mut out);
            assert!(out.iter().all(|x| x.fract() == 0.0 && picture.contains(&(*x as u8))), "{out:?}");
            moved += usize::from(out[55] != f32::from(picture[55]));
        }
        assert!(moved > 30, "{moved} of 50");
    }

    /// Channels change apart from each other, and by no more than is allowed; a grey picture has no colour.
    #[test]
    fn colours_change_channel_by_channel() {
        let standard = Standard { mean: vec![0.0; 3], deviation: vec![1.0; 3] };
        let (how, mut rng) = (Augment { colour: 0.3, ..Augment::default() }, rng());
        let (picture, mut out, mut apart) = ([100u8; 3 * 4], [0.0; 12], 0);
        for _ in 0..100 {
            standard.changed(&picture, [2, 2, 3], &how, &mut rng, &mut out);
            assert!(out.iter().all(|x| (69.8..=130.2).contains(x)), "{out:?}");
            assert!(out.chunks_exact(3).all(|pixel| *pixel == out[..3]), "all pixels alike");
            apart += usize::from((out[0] - out[1]).abs() > 5.0);
        }
        assert!(apart > 60, "{apart}");
        let grey = Standard { mean: vec![0.0], deviation: vec![1.0] };
        let mut out = [0.0; 4];
        grey.changed(&[100; 4], [2, 2, 1], &how, &mut rng, &mut out);
        assert_eq!(out, [100.0; 4]);
    }

    #[test]
    fn a_square_is_left_out() {
        let standard = Standard { mean: vec![0.0], deviation: vec![1.0] };
        let mut out = [0.0; 100];
        standard.changed(&[9; 100], [10, 10, 1], &Augment { erase: 0.3, ..Augment::default() }, &mut rng(), &mut out);
        assert_eq!(out.iter().filter(|x| **x == 0.0).count(), 9);
    }
}
