//! The products of the first layer, whose input is a batch of images: some 80 % of an image's
//! pixels are background, 0, and are skipped. In `tiny.rs` they are `product` too.
//!
//! [`Batch`] has a bit for each pixel that is not 0. Forward, for each image and each of its bits,
//! `z += p·W[pixel]`, with a strip of z in registers; 64 pixels at a time, so that their rows of W
//! stay in L1 for all images. Backward, for each pixel and each image in which it is not 0,
//! `W[pixel] += p·D[image]`, with a strip of two rows of W in registers, whose pixels are
//! neighbours and so mostly not 0 in the same images.
//!
//! A skipped step would have added `p·w = 0`, which changes nothing but −0.0 to 0.0, unless w is
//! infinite or NaN, and then training fails. So the bits are those of
//! [`Product`](super::product::Product).

use super::product::{add_to, vectors};
use super::{Cpu, Shared, Vector};
use crate::data::batch::Batch;
use crate::for_each_instruction_set;
use crate::math::matrix::Matrix;

/// The vectors of a strip, forward: as many accumulators as a processor needs to be busy.
const STRIP: usize = 8;

/// `Z ← bias + P·W`, pixels `P: batch × k`, `W: k × n`, `bias: 1 × n`; Z is `batch × n`.
///
/// # Panics
/// If the shapes do not fit.
pub fn multiply_pixels(cpu: Cpu, batch: &Batch, w: &Matrix, bias: &Matrix, z: &mut Matrix) {
    let p = batch.pixels();
    let [bits, _] = batch.bits();
    let m = p.rows();
    let n = w.columns();
    assert!(p.columns() == w.rows() && (z.rows(), z.columns()) == (m, n), "the shapes do not fit");
    assert!((bias.rows(), bias.columns()) == (1, n), "the bias does not fit");
    let cpu = cpu.for_work(m * n * w.rows() / 2); // a quarter of the steps
    let columns = cpu.chunk_len(n, 64);
    let z_row = z.stride();
    let z = Shared(z.padded_mut().as_mut_ptr());
    cpu.each((0..n).step_by(columns), |j| {
        let from = Forward {
            p: p.padded().as_ptr(),
            p_row: p.stride(),
            bits,
            words: w.rows().div_ceil(64),
            w: w.padded()[j..].as_ptr(),
            w_row: w.stride(),
            bias: bias.padded()[j..].as_ptr(),
        };
        multiply(cpu, &from, columns.min(n - j), z.at(j), z_row);
    });
}

/// Some columns of a product: what they are computed from. `bits` has `words` for each image.
struct Forward<'a> {
    p: *const f32,
    p_row: usize,
    bits: &'a [u64],
    words: usize,
    w: *const f32,
    w_row: usize,
    bias: *const f32,
}

for_each_instruction_set! {
    fn multiply(from: &Forward, columns: usize, z: *mut f32, z_row: usize) {
        let columns = columns.next_multiple_of(V::LANES);
        let mut j = 0;
        while j < columns {
            // SAFETY: `multiply_pixels` has compared the shapes; these columns are whole vectors of
            // the padded rows; and the processor has these instructions.
            unsafe {
                match (columns - j) / V::LANES {
                    STRIP.. => j += strip::<V, STRIP>(from, j, z, z_row),
                    4.. => j += strip::<V, 4>(from, j, z, z_row),
                    2.. => j += strip::<V, 2>(from, j, z, z_row),
                    _ => j += strip::<V, 1>(from, j, z, z_row),
                }
            }
        }
    }
}

/// The columns of `VECTORS` vectors from `j` on; returns how many columns they are.
#[inline(always)]
unsafe fn strip<V: Vector, const VECTORS: usize>(
    from: &Forward,
    j: usize,
    z: *mut f32,
    z_row: usize,
) -> usize {
    let &Forward { p, p_row, bits, words, w, w_row, bias } = from;
    for word in 0..words {
        for (r, bits) in bits.chunks_exact(words).enumerate() {
            let mut left = bits[word];
            if left == 0 && word > 0 {
                continue;
            }
            // SAFETY: the caller's word; a bit is set only where there is a pixel.
            unsafe {
                let z = z.add(r * z_row + j);
                let mut acc = vectors::<V, VECTORS>(if word == 0 { bias.add(j) } else { z });
                let p = p.add(r * p_row + 64 * word);
                let w = w.add(64 * word * w_row + j);
                while left != 0 {
                    let k = left.trailing_zeros() as usize;
                    left &= left - 1;
                    let p = *p.add(k);
                    let w = w.add(k * w_row);
                    for (v, acc) in acc.iter_mut().enumerate() {
                        *acc = V::mul_add(p, V::load(w.add(v * V::LANES)), *acc);
                    }
                }
                add_to([acc], 0.0, z, z_row);
            }
        }
    }
    VECTORS * V::LANES
}

/// `W ← β·W + (start + Pᵀ·D)`, pixels `P: batch × k`, `D: batch × n`, `start: 1 × n`; W is `k
/// × n`.
///
/// # Panics
/// If the shapes do not fit.
pub fn add_pixel_gradient(
    cpu: Cpu,
    batch: &Batch,
    d: &Matrix,
    beta: f32,
    start: &Matrix,
    w: &mut Matrix,
) {
    let p = batch.pixels();
    let [_, bits] = batch.bits();
    let k = p.columns();
    let n = d.columns();
    assert!(p.rows() == d.rows() && (w.rows(), w.columns()) == (k, n), "the shapes do not fit");
    assert!((start.rows(), start.columns()) == (1, n), "the start does not fit");
    let cpu = cpu.for_work(p.rows() * n * k / 2);
    let rows = cpu.chunk_len(k, 16);
    let from = Backward { p, bits, words: p.rows().div_ceil(64), d, start, beta };
    let w_row = w.stride();
    cpu.each(w.padded_mut().chunks_mut(rows * w_row).enumerate(), |(i, w)| {
        add(cpu, &from, i * rows, w)
    });
}

/// What rows of a gradient are computed from. `bits` has `words` for each pixel.
struct Backward<'a> {
    p: &'a Matrix,
    bits: &'a [u64],
    words: usize,
    d: &'a Matrix,
    start: &'a Matrix,
    beta: f32,
}

for_each_instruction_set! {
    fn add(from: &Backward, first: usize, w: &mut [f32]) {
        let columns = from.d.columns().next_multiple_of(V::LANES);
        let mut j = 0;
        while j < columns {
            // SAFETY: `add_pixel_gradient` has compared the shapes, so that `w` has rows as long as
            // D's; these columns are whole vectors of them; and the processor has these
            // instructions.
            unsafe {
                match (columns - j) / V::LANES {
                    4.. => j += pairs::<V, 4>(from, first, j, w),
                    2.. => j += pairs::<V, 2>(from, first, j, w),
                    _ => j += pairs::<V, 1>(from, first, j, w),
                }
            }
        }
    }
}

/// The columns of `VECTORS` vectors from `j` on, two rows of W at a time; returns how many columns
/// they are.
#[inline(always)]
unsafe fn pairs<V: Vector, const VECTORS: usize>(
    from: &Backward,
    first: usize,
    j: usize,
    w: &mut [f32],
) -> usize {
    let w_row = from.d.stride();
    for (i, w) in w.chunks_mut(2 * w_row).enumerate() {
        let pixel = first + 2 * i;
        let is_pair = w.len() > w_row;
        // SAFETY: the caller's word.
        unsafe {
            match is_pair {
                true => rows::<V, 2, VECTORS>(from, pixel, j, &mut w[j..]),
                false => rows::<V, 1, VECTORS>(from, pixel, j, &mut w[j..]),
            }
        }
    }
    VECTORS * V::LANES
}

/// The rows of W of `ROWS` pixels, `VECTORS` vectors from column `j` on, where `w` begins.
#[inline(always)]
unsafe fn rows<V: Vector, const ROWS: usize, const VECTORS: usize>(
    from: &Backward,
    pixel: usize,
    j: usize,
    w: &mut [f32],
) {
    let &Backward { p, bits, words, d, start, beta } = from;
    let p_row = p.stride();
    let d_row = d.stride();
    let bits = &bits[pixel * words..][..ROWS * words];
    let w = w.as_mut_ptr();
    // SAFETY: the caller's word; a bit is set only where there is an image, so that nothing is read
    // of an empty batch.
    unsafe {
        let mut acc = [vectors::<V, VECTORS>(start.padded().as_ptr().add(j)); ROWS];
        let mut p = p.padded().as_ptr().wrapping_add(pixel);
        let mut d = d.padded().as_ptr().wrapping_add(j);
        for word in 0..words {
            let mut left = 0;
            for r in 0..ROWS {
                left |= *bits.get_unchecked(r * words + word);
            }
            while left != 0 {
                let image = left.trailing_zeros() as usize;
                left &= left - 1;
                let p = p.add(image * p_row);
                let d = d.add(image * d_row);
                for v in 0..VECTORS {
                    let d = V::load(d.add(v * V::LANES));
                    for (r, acc) in acc.iter_mut().enumerate() {
                        acc[v] = V::mul_add(*p.add(r), d, acc[v]);
                    }
                }
            }
            p = p.wrapping_add(64 * p_row);
            d = d.wrapping_add(64 * d_row);
        }
        add_to(acc, beta, w, d_row);
    }
}
