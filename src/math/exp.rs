//! The exponential function, for activations and softmax.

/// eˣ by multiplications and additions that a compiler turns into vectors: the same bits from every
/// instruction set.
///
/// x is taken apart as n·ln 2 + r with n whole and |r| ≤ ln 2 / 2; then eˣ = 2ⁿ·eʳ, where 2ⁿ is put
/// together from its bits and eʳ is the Taylor polynomial of degree 7, whose remainder is below
/// 6·10⁻⁹. The relative error is at most 1.2·10⁻⁷ (tested), one unit in the last place; over all
/// floats it was 1.03·10⁻⁷. x is held within ±87, where 2ⁿ is a normal number; NaN stays NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Added to a small number, this leaves it rounded to a whole one in the low bits.
    const ROUND: f32 = (3 << 22) as f32;
    // ln 2 in two parts, the first with so few bits that n·LN_2_HIGH is exact (Cody and Waite,
    // 1980).
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut e_to_r = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        e_to_r = e_to_r * r + coefficient;
    }
    let two_to_n = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    e_to_r * two_to_n
}

/// σ(z) = 1 / (1 + e⁻ᶻ).
#[inline(always)]
pub fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + exp(-z))
}
