//! Random numbers: a tiny xorshift generator, and Box–Muller for Gaussian ones.

/// The streams of random numbers that one seed gives, one for each use: so dropout, say, does not
/// change the initial weights or the order of the images.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// Initial weights and biases.
    Initialisation = 1,
    /// The order of the images in each epoch.
    Shuffle = 2,
    /// The units that dropout removes.
    Dropout = 3,
    /// How each image is deformed in each epoch.
    Deformation = 4,
    /// Made-up images that are of no class.
    Fakes = 5,
}

/// xorshift64*: Marsaglia, "Xorshift RNGs" (2003), with the multiplier of Vigna, "An experimental
/// exploration of Marsaglia's xorshift generators, scrambled" (2016). The period is 2⁶⁴ − 1.
#[derive(Clone, Debug)]
pub struct Rng {
    /// Never zero.
    state: u64,
}

impl Rng {
    /// The `stream` of `seed`; any seed is good.
    pub fn new(seed: u64, stream: Stream) -> Self {
        // The finaliser of SplitMix64 (Steele and others, 2014): it separates seeds and streams
        // that lie close together. It maps one number in 2⁶⁴ to zero, which xorshift could not
        // leave.
        let mut z = seed.wrapping_add((stream as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        Rng { state: if z == 0 { 1 } else { z } }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Uniform in [0, 1), in steps of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number in 0..`bound`: the high half of a 128-bit product, whose bias is below
    /// `bound` / 2⁶⁴.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A number of N(0, 1): Box and Muller, "A note on the generation of random normal deviates"
    /// (1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt(); // 1 − u is never 0
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Puts `items` into random order: Fisher and Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
