//! Logarithm, exponential and the normal distribution out of the four basic operations and the square root, which
//! IEEE 754 defines to the last bit: the mathematics library of a platform, and even of a processor, may round
//! otherwise, and then a seed would not mean the same everywhere.

use std::f64::consts::{LN_2, LOG2_E, SQRT_2};

const MANTISSA_BITS: u32 = 52;
const EXPONENT_BIAS: i64 = 1023;

/// The natural logarithm of a normal number above zero.
pub fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> MANTISSA_BITS) as i64 - EXPONENT_BIAS;
    let one = (EXPONENT_BIAS as u64) << MANTISSA_BITS;
    let mut mantissa = f64::from_bits(bits & ((1 << MANTISSA_BITS) - 1) | one);
    if mantissa > SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    exponent as f64 * LN_2 + 2.0 * atanh((mantissa - 1.0) / (mantissa + 1.0))
}

/// ln(1 - `x`) for `x` from 0 to below 1, exact for tiny `x` too.
pub fn ln_of_one_less(x: f64) -> f64 {
    if x < 0.25 { -2.0 * atanh(x / (2.0 - x)) } else { ln(1.0 - x) }
}

/// The inverse hyperbolic tangent by its power series, for arguments up to 0.172 either way.
fn atanh(x: f64) -> f64 {
    let square = x * x;
    x * (0..=11_u32).rev().fold(0.0, |sum, term| sum * square + 1.0 / f64::from(2 * term + 1))
}

/// e to the power `x`; zero below -700, and for `x` up to 700.
pub fn exp(x: f64) -> f64 {
    if x < -700.0 {
        return 0.0;
    }
    // ln 2 in two parts, of which the first has few enough bits that its multiples are exact.
    const HIGH: f64 = 0.693_147_180_369_123_8;
    const LOW: f64 = 1.908_214_929_270_587_7e-10;
    let power = (x * LOG2_E).round();
    let rest = x - power * HIGH - power * LOW;
    let series = (1..=14_u32).rev().fold(1.0, |sum, term| 1.0 + sum * rest / f64::from(term));
    series * f64::from_bits(((power as i64 + EXPONENT_BIAS) as u64) << MANTISSA_BITS)
}

/// The share of a standard normal distribution above `x`, to 1 part in 10^10 up to 7 and in 10^7 beyond: Hart's algorithm
/// 5666 and a continued fraction beyond, as given by West, "Better approximations to cumulative normal functions"
/// (2005).
pub fn normal_tail(x: f64) -> f64 {
    let distance = x.abs();
    let bell = exp(-distance * distance / 2.0);
    let tail = if distance < 7.071_067_811_865_47 {
        bell * polynomial(&TAIL_ABOVE, distance) / polynomial(&TAIL_BELOW, distance)
    } else {
        let fraction = (1..=4_u32).rev().fold(0.65, |sum, term| f64::from(term) / (distance + sum));
        bell / (distance + fraction) / 2.506_628_274_631
    };
    if x > 0.0 { tail } else { 1.0 - tail }
}

/// The value below which the share `share` of a standard normal distribution lies, for shares between 0 and 1:
/// algorithm AS 241, PPND16 (Wichura 1988), exact to about 1 part in 10^16.
pub fn normal_quantile(share: f64) -> f64 {
    let off = share - 0.5;
    if off.abs() <= 0.425 {
        let r = 0.180_625 - off * off;
        return off * polynomial(&CENTRE_ABOVE, r) / polynomial(&CENTRE_BELOW, r);
    }
    let r = (-ln(if off < 0.0 { share } else { 1.0 - share })).sqrt();
    let distance = if r <= 5.0 {
        polynomial(&MIDDLE_ABOVE, r - 1.6) / polynomial(&MIDDLE_BELOW, r - 1.6)
    } else {
        polynomial(&FAR_ABOVE, r - 5.0) / polynomial(&FAR_BELOW, r - 5.0)
    };
    if off < 0.0 { -distance } else { distance }
}

/// Coefficients in ascending order.
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

const TAIL_ABOVE: [f64; 7] = [
    220.206_867_912_376,
    221.213_596_169_931,
    112.079_291_497_871,
    33.912_866_078_383,
    6.373_962_203_531_65,
    0.700_383_064_443_688,
    3.526_249_659_989_11e-2,
];
const TAIL_BELOW: [f64; 8] = [
    440.413_735_824_752,
    793.826_512_519_948,
    637.333_633_378_831,
    296.564_248_779_674,
    86.780_732_202_946_1,
    16.064_177_579_207,
    1.755_667_163_182_64,
    8.838_834_764_831_84e-2,
];
const CENTRE_ABOVE: [f64; 8] = [
    3.387_132_872_796_366_6,
    133.141_667_891_784_38,
    1_971.590_950_306_551_4,
    13_731.693_765_509_46,
    45_921.953_931_549_87,
    67_265.770_927_008_7,
    33_430.575_583_588_13,
    2_509.080_928_730_122_7,
];
const CENTRE_BELOW: [f64; 8] = [
    1.0,
    42.313_330_701_600_91,
    687.187_007_492_057_9,
    5_394.196_021_424_751,
    21_213.794_301_586_597,
    39_307.895_800_092_71,
    28_729.085_735_721_943,
    5_226.495_278_852_854,
];
const MIDDLE_ABOVE: [f64; 8] = [
    1.423_437_110_749_683_6,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_6,
    1.270_458_252_452_368_4,
    0.241_780_725_177_450_6,
    2.272_384_498_926_918_5e-2,
    7.745_450_142_783_414e-4,
];
const MIDDLE_BELOW: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    0.689_767_334_985_1,
    0.148_103_976_427_480_07,
    1.519_866_656_361_645_7e-2,
    5.475_938_084_995_345e-4,
    1.050_750_071_644_416_8e-9,
];
const FAR_ABOVE: [f64; 8] = [
    6.657_904_643_501_104,
    5.463_784_911_164_114,
    1.784_826_539_917_291_3,
    0.296_560_571_828_504_9,
    2.653_218_952_657_612_3e-2,
    1.242_660_947_388_078_4e-3,
    2.711_555_568_743_487_6e-5,
    2.010_334_399_292_288_1e-7,
];
const FAR_BELOW: [f64; 8] = [
    1.0,
    0.599_832_206_555_887_9,
    0.136_929_880_922_735_8,
    1.487_536_129_085_061_5e-2,
    7.868_691_311_456_133e-4,
    1.846_318_317_510_054_7e-5,
    1.421_511_758_316_446e-7,
    2.044_263_103_389_939_8e-15,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn close(ours: f64, theirs: f64, relative: f64) {
        assert!((ours - theirs).abs() <= theirs.abs() * relative, "{ours} but {theirs} expected");
    }

    #[test]
    fn logarithm_and_exponential_agree_with_the_platform() {
        for step in 1..=20_000_u32 {
            let unit = f64::from(step) / 20_000.0;
            close(ln(unit), unit.ln(), 4e-16);
            close(ln(unit * 1e-12), (unit * 1e-12).ln(), 4e-16);
            close(ln(unit * 1e6), (unit * 1e6).ln(), 1e-15);
            let power = unit * 1400.0 - 700.0;
            close(exp(power), power.exp(), 1e-15);
        }
        for share in [0.0, 1e-9, 1e-4, 0.2, 0.25, 0.5, 0.999_999_999] {
            close(ln_of_one_less(share), (-share).ln_1p(), 1e-15);
        }
        assert_eq!((ln(1.0), exp(0.0), exp(-701.0)), (0.0, 1.0, 0.0));
    }

    #[test]
    fn the_normal_distribution_has_its_published_values() {
        close(normal_tail(0.0), 0.5, 1e-15);
        close(normal_tail(1.0), 0.158_655_253_931_457_05, 1e-14);
        close(normal_tail(1.959_963_984_540_054), 0.025, 1e-14);
        close(normal_tail(-1.959_963_984_540_054), 0.975, 1e-14);
        close(normal_tail(5.0), 2.866_515_718_791_939e-7, 1e-10);
        close(normal_tail(8.0), 6.220_960_574_271_785e-16, 1e-6);
        close(normal_quantile(0.975), 1.959_963_984_540_054, 1e-15);
        // Both given with the algorithm.
        close(normal_quantile(0.25), -0.674_489_750_196_081_7, 1e-15);
        close(normal_quantile(0.001), -3.090_232_306_167_813_5, 1e-15);
        close(normal_quantile(1e-20), -9.262_340_089_798_408, 1e-15);
    }

    #[test]
    fn tail_and_quantile_are_inverse() {
        for step in 1..2_000_u32 {
            let share = f64::from(step) / 2_000.0;
            close(normal_tail(-normal_quantile(share)), share, 1e-13);
            let tiny = share * 1e-10;
            close(normal_tail(-normal_quantile(tiny)), tiny, 1e-7);
        }
    }
}
