//! Batches: the images of a training step as the first layer takes them. In `tiny.rs`
//! the pixels are normalised in `read_set`.

use crate::data::Images;
use crate::for_each_instruction_set;
use crate::math::kernels::Cpu;
use crate::math::matrix::Matrix;

/// A batch of images, with where they have ink.
///
/// A pixel p, 0 to 255, is normalised to x = (p − 127.5) / 255, from −½ to ½. That is p/255 − ½,
/// and about 80 % of the pixels of a digit are background, p = 0. So a batch is kept as P = p/255,
/// whose zeros the first layer skips, and the −½ is applied to the result: see
/// [`layer`](crate::network::layer).
#[derive(Clone, Debug, Default)]
pub struct Batch {
    // Only `load` writes to them: the kernels read, unchecked, wherever there is a bit.
    pixels: Matrix,
    sums: Matrix,
    by_image: Vec<u64>,
    by_pixel: Vec<u64>,
}

impl Batch {
    /// P, one image a row: `batch × pixels`.
    pub fn pixels(&self) -> &Matrix {
        &self.pixels
    }

    /// The sum of each image's x: `1 × batch`.
    pub fn sums(&self) -> &Matrix {
        &self.sums
    }

    /// For each image, a bit for each pixel that is not 0: pixel k is bit k % 64 of word k / 64.
    /// And for each pixel, a bit for each image in which it is not 0, likewise.
    pub fn bits(&self) -> [&[u64]; 2] {
        [&self.by_image, &self.by_pixel]
    }

    /// Loads the images at these `indices`, one a row.
    pub fn load(
        &mut self,
        cpu: Cpu,
        images: &Images,
        indices: impl ExactSizeIterator<Item = usize>,
    ) {
        let count = indices.len();
        let size = images.size();
        let words = size.div_ceil(64);
        self.pixels.reshape(count, size);
        self.sums.reshape(1, count);
        // Cleared: a load that panics, or gets fewer indices, leaves no bit of an earlier batch.
        self.by_pixel.clear();
        self.by_image.clear();
        self.by_image.resize(count * words, 0);
        for (r, i) in indices.enumerate() {
            let bits = &mut self.by_image[r * words..][..words];
            convert(
                cpu,
                images.image(i),
                self.pixels.row_mut(r),
                &mut self.sums.row_mut(0)[r],
                bits,
            );
        }
        self.by_pixel.resize(size * count.div_ceil(64), 0);
        transpose_bits(cpu, &self.by_image, count, &mut self.by_pixel, size);
    }
}

for_each_instruction_set! {
    /// `pixels ←` p/255; `sum ←` Σ(p/255 − ½); `bits ←` a bit for each p that is not 0.
    fn convert(image: &[u8], pixels: &mut [f32], sum: &mut f32, bits: &mut [u64]) {
        for (x, &p) in pixels.iter_mut().zip(image) {
            *x = f32::from(p) * (1.0 / 255.0);
        }
        let total: u32 = image.iter().map(|&p| u32::from(p)).sum();
        *sum = total as f32 * (1.0 / 255.0) - 0.5 * image.len() as f32;
        let (whole, rest) = image.as_chunks();
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        for (bits, bytes) in bits.iter_mut().zip(whole.iter().chain([&last])) {
            *bits = nonzero(bytes);
        }
    }
}

/// A bit for each byte that is not 0.
#[inline(always)]
fn nonzero(bytes: &[u8; 64]) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let mut bits = 0;
    for (i, eight) in bytes.as_chunks().0.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        // The lowest bit of each byte that is not 0, …
        let mut ones = ((((word & LOW) + LOW) | word) & !LOW) >> 7;
        // … brought together in the lowest byte.
        for distance in [7, 14, 28] {
            ones |= ones >> distance;
        }
        bits |= (ones & 0xff) << (8 * i);
    }
    bits
}

for_each_instruction_set! {
    /// From rows of `columns` bits to `columns` rows of `rows` bits, each in whole words of 64.
    fn transpose_bits(from: &[u64], rows: usize, to: &mut [u64], columns: usize) {
        let words = [rows, columns].map(|bits| bits.div_ceil(64));
        for i in 0..words[0] {
            for j in 0..words[1] {
                let mut block = [0; 64];
                for (r, word) in block[..64.min(rows - 64 * i)].iter_mut().enumerate() {
                    *word = from[(64 * i + r) * words[1] + j];
                }
                transpose_block_of_bits(&mut block);
                for (c, word) in block[..64.min(columns - 64 * j)].iter().enumerate() {
                    to[(64 * j + c) * words[0] + i] = *word;
                }
            }
        }
    }
}

/// The transpose of 64 × 64 bits: of the four quarters, two change places; then of the quarters of
/// each quarter; and so on (Warren, "Hacker's Delight", 7-3).
#[inline(always)]
fn transpose_block_of_bits(block: &mut [u64; 64]) {
    let mut mask = u64::MAX;
    for half in [32, 16, 8, 4, 2, 1] {
        mask ^= mask << half;
        for pair in block.chunks_exact_mut(2 * half) {
            let (above, below) = pair.split_at_mut(half);
            for (a, b) in above.iter_mut().zip(below) {
                let change = ((*a >> half) ^ *b) & mask;
                *a ^= change << half;
                *b ^= change;
            }
        }
    }
}
