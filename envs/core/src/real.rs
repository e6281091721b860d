//! A number, or a SIMD register of numbers: physics is written once over [`Real`] and runs as both.
//!
//! Both forms do the same IEEE operations in the same order, so they are bit-identical; where a product and a sum are
//! fused ([`Real::mul_add`]) they are fused in both, in software on a processor that cannot.

use pulp::Simd;
use std::ops::{Add, BitOr, Div, Mul, Neg, Sub};

/// 1.5 · 2^52: adding it drops the fraction, and leaves an integer in the lowest bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;

/// Real arithmetic in f64, on one number or on several in SIMD lanes.
pub trait Real:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// The result of a comparison.
    type Mask: Copy + BitOr<Output = Self::Mask>;
    /// The same constant in every place (`self` only names the register kind).
    fn of(self, x: f64) -> Self;
    /// |x|
    fn abs(self) -> Self;
    /// self · b + c, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// √x
    fn sqrt(self) -> Self;
    /// The smaller one.
    fn min(self, other: Self) -> Self;
    /// The larger one.
    fn max(self, other: Self) -> Self;
    /// x > y
    fn gt(self, other: Self) -> Self::Mask;
    /// `yes` where the mask holds, else `no`.
    fn pick(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// Rounds to the nearest integer, ties to even; |x| < 2^51.
    #[inline(always)]
    fn round(self) -> Self {
        let magic = self.of(MAGIC);
        (self + magic) - magic
    }
    /// Rounds to the 24 bits of an f32 (Veltkamp's splitting; for |x| below 2^990).
    #[inline(always)]
    fn single(self) -> Self {
        let shifted = self * self.of(536_870_913.0); // 2^29 + 1
        shifted - (shifted - self)
    }
    /// (sin x, cos x) from those of the rest after n quarter turns: odd n swap them, and n mod 4 in {2, 3} turns the
    /// sine's sign, in {1, 2} the cosine's. `shifted` is n + 1.5 · 2^52, whose lowest bits are those of n.
    fn turn(shifted: Self, sin: Self, cos: Self) -> (Self, Self);
    /// (sin x, cos x), to one unit in the last place for |x| < 10⁵: Cody-Waite reduction by π/2, then the
    /// polynomials of fdlibm (`k_sin.c`, `k_cos.c`).
    #[inline(always)]
    fn sin_cos(self) -> (Self, Self) {
        let c = |x: f64| self.of(x);
        let magic = c(MAGIC);
        let shifted = self.mul_add(c(std::f64::consts::FRAC_2_PI), magic);
        let n = shifted - magic;
        let r = n.mul_add(c(-1.570_796_326_734_125_6), self);
        let r = n.mul_add(c(-6.077_100_506_303_966e-11), r);
        let r = n.mul_add(c(-2.022_266_248_795_950_6e-21), r);
        let z = r * r;
        let s = c(1.589_690_995_211_55e-10).mul_add(z, c(-2.505_076_025_340_686e-8));
        let s = s.mul_add(z, c(2.755_731_370_707_006_8e-6));
        let s = s.mul_add(z, c(-1.984_126_982_985_795e-4));
        let s = s.mul_add(z, c(8.333_333_333_322_49e-3));
        let s = s.mul_add(z, c(-1.666_666_666_666_663_2e-1));
        let sin = (r * z).mul_add(s, r);
        let k = c(-1.135_964_755_778_819_5e-11).mul_add(z, c(2.087_572_321_298_175e-9));
        let k = k.mul_add(z, c(-2.755_731_435_139_066_3e-7));
        let k = k.mul_add(z, c(2.480_158_728_947_673e-5));
        let k = k.mul_add(z, c(-1.388_888_888_887_411e-3));
        let k = k.mul_add(z, c(4.166_666_666_666_66e-2));
        let cos = (z * z).mul_add(k, z.mul_add(c(-0.5), c(1.0)));
        Self::turn(shifted, sin, cos)
    }
}

impl Real for f64 {
    type Mask = bool;
    #[inline(always)]
    fn of(self, x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        f64::mul_add(self, b, c)
    }
    #[inline(always)]
    fn turn(shifted: Self, sin: Self, cos: Self) -> (Self, Self) {
        let q = shifted.to_bits();
        let (a, b) = if q & 1 == 0 { (sin, cos) } else { (cos, sin) };
        let sign = |x: f64, q: u64| f64::from_bits(x.to_bits() ^ (q & 2) << 62);
        (sign(a, q), sign(b, q.wrapping_add(1)))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if other > self { self } else { other }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
    #[inline(always)]
    fn gt(self, other: Self) -> bool {
        self > other
    }
    #[inline(always)]
    fn pick(mask: bool, yes: Self, no: Self) -> Self {
        if mask { yes } else { no }
    }
}

/// A register of f64s on the SIMD level `S` that the processor has.
pub struct Lane<S: Simd>(pub S, pub S::f64s);

/// A comparison of [`Lane`]s.
pub struct LaneMask<S: Simd>(pub S, pub S::m64s);

impl<S: Simd> Clone for Lane<S> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<S: Simd> Copy for Lane<S> {}
impl<S: Simd> Clone for LaneMask<S> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<S: Simd> Copy for LaneMask<S> {}

macro_rules! operator {
    ($trait:ident, $name:ident, $simd:ident) => {
        impl<S: Simd> $trait for Lane<S> {
            type Output = Self;
            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                Lane(self.0, self.0.$simd(self.1, other.1))
            }
        }
    };
}
operator!(Add, add, add_f64s);
operator!(Sub, sub, sub_f64s);
operator!(Mul, mul, mul_f64s);
operator!(Div, div, div_f64s);

impl<S: Simd> Neg for Lane<S> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Lane(self.0, self.0.neg_f64s(self.1))
    }
}

impl<S: Simd> BitOr for LaneMask<S> {
    type Output = Self;
    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        LaneMask(self.0, self.0.or_m64s(self.1, other.1))
    }
}

impl<S: Simd> Real for Lane<S> {
    type Mask = LaneMask<S>;
    #[inline(always)]
    fn of(self, x: f64) -> Self {
        Lane(self.0, self.0.splat_f64s(x))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Lane(self.0, self.0.abs_f64s(self.1))
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Lane(self.0, self.0.mul_add_f64s(self.1, b.1, c.1))
    }
    #[inline(always)]
    fn turn(shifted: Self, sin: Self, cos: Self) -> (Self, Self) {
        let s = sin.0;
        let (q, one, two) = (s.transmute_u64s_f64s(shifted.1), s.splat_u64s(1), s.splat_u64s(2));
        let even = LaneMask(s, s.equal_u64s(s.and_u64s(q, one), s.splat_u64s(0)));
        let (a, b) = (Self::pick(even, sin, cos), Self::pick(even, cos, sin));
        let minus = s.splat_f64s(-0.0);
        let plus = s.splat_f64s(0.0);
        let sign = |x: Self, q| {
            let turned = s.equal_u64s(s.and_u64s(q, two), two);
            Lane(s, s.xor_f64s(x.1, s.select_f64s(turned, minus, plus)))
        };
        (sign(a, q), sign(b, s.add_u64s(q, one)))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Lane(self.0, self.0.sqrt_f64s(self.1))
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self::pick(other.gt(self), self, other)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self::pick(self.gt(other), self, other)
    }
    #[inline(always)]
    fn gt(self, other: Self) -> LaneMask<S> {
        LaneMask(self.0, self.0.less_than_f64s(other.1, self.1))
    }
    #[inline(always)]
    fn pick(mask: LaneMask<S>, yes: Self, no: Self) -> Self {
        Lane(yes.0, yes.0.select_f64s(mask.1, yes.1, no.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_cosine_are_right_to_the_last_place() {
        for i in -400_000..400_000i32 {
            let x = f64::from(i) * 0.000_257_3;
            let (s, c) = Real::sin_cos(x);
            assert!((s - x.sin()).abs() <= 2.3e-16 && (c - x.cos()).abs() <= 2.3e-16, "{x}: {s} {c}");
        }
    }

    #[test]
    fn single_is_the_nearest_f32() {
        for i in -100_000..100_000i32 {
            let x = f64::from(i).powi(3) * 1.234_567_891_23e-7;
            assert_eq!(Real::single(x), f64::from(x as f32));
        }
    }

    #[test]
    fn rounding() {
        for (x, r) in [(0.4, 0.0), (-0.6, -1.0), (2.5, 2.0), (-7.2, -7.0)] {
            assert_eq!(Real::round(x), r);
        }
    }
}
