//! The matrix product.
//!
//! # For someone who has never seen a GEMM
//!
//! `C ← β·C + A·B`, with `A: m × k`, `B: k × n`, `C: m × n`. The textbook's three loops read two numbers from memory
//! for each multiply-add, and a processor can do far more multiply-adds than reads. So we compute a small *tile* of
//! `C`, some rows by some columns, that stays in registers while `k` goes by:
//!
//! ```text
//!                     b[k][j..]          two vectors of a row of B, each read once …
//!                 ┌───────┬───────┐
//!                 └───────┴───────┘
//!  a[i+0][k] ▪    │ acc00 │ acc01 │      … and used for every row of the tile;
//!  a[i+1][k] ▪    │ acc10 │ acc11 │      one number of A, copied to all lanes ("splat"),
//!  a[i+2][k] ▪    │ acc20 │ acc21 │      is used for both vectors: acc += splat(a) · b
//!      ⋮                 ⋮
//! ```
//!
//! With 6 rows × 2 vectors of 8 lanes, 8 reads feed 96 multiply-adds. The tile has as many accumulators as the
//! registers hold beside the vectors of `B` and the splat: a processor starts two vector multiply-adds a cycle but
//! takes four cycles for each, so at least eight independent ones must be under way. A tile that does not fit goes
//! through memory at each step and is twenty times slower; that is why its shape is a compile-time constant.
//!
//! Around the tile are three loops: over blocks of `k`, so that the rows of `B` in use stay in the nearest cache; over
//! the rows of `C`, a strip of tiles at a time; over the tiles of the strip. Nothing is packed: a batch has few rows,
//! so a copy of `B` would be read too few times to pay for itself.
//!
//! # Zeros
//!
//! Four of five pixels of a digit are background. Where `A` is said to be mostly zeros, a strip takes only the steps `k` at
//! which one of its rows has another number: with batches of 16 digits, two of five forward and one of three in the update.
//!
//! # The bits
//!
//! Each element of `C` is `β·c`, then one fused multiply-add for each `k`, in order. No loop above changes that
//! order, and a lane is an element, so AVX2, AVX-512 and a naive loop of [`f32::mul_add`] give the same bits. The
//! portable kernel does so too where the target has a fused multiply-add in every processor (aarch64); elsewhere it
//! multiplies and adds with two roundings ([`Kernel::is_fused`](super::Kernel::is_fused)), because `mul_add` would be a
//! slow library call.
//!
//! A step left out would have added `0·b`, which changes nothing but `-0.0` to `0.0`, unless `b` is infinite or no number.
//! In these two cases it matters which rows share a tile, and so which kernel it is. No weight is infinite in a training
//! that goes on, and no sum that begins with another number than `-0.0` becomes `-0.0`, short of underflow.

use std::array::from_fn;

use super::{Operation, Simd};

/// `C ← β·C + A·B` on flat row-major slices, and `row` added to each row of `C`; see the head of this file.
pub(crate) struct Product<'a> {
    /// Rows of `A` and `C`.
    pub m: usize,
    /// Columns of `B` and `C`.
    pub n: usize,
    /// Columns of `A`, rows of `B`.
    pub k: usize,
    /// `m × k`, or `k × m` if it is to be transposed
    pub a: &'a [f32],
    pub transpose_a: bool,
    /// Whether to look for steps to leave out.
    pub mostly_zeros: bool,
    /// `k × n`
    pub b: &'a [f32],
    pub beta: f32,
    /// `n`; added by the multiply-add that scales `C` by β
    pub row: Option<&'a [f32]>,
    /// `m × n`
    pub c: &'a mut [f32],
}

/// Steps of `k` in a block: as many as a u64 has bits.
const DEPTH: usize = u64::BITS as usize;

impl Operation for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Product { m, n, k, a, transpose_a, mostly_zeros, b, beta, row, c } = self;
        assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n && row.is_none_or(|row| row.len() == n));
        if m == 0 || n == 0 {
            return;
        }
        let tiles = m.div_ceil(S::TILE_ROWS);
        // With k = 0 there is still β·C to compute: one empty block.
        for k0 in (0..k.max(1)).step_by(DEPTH) {
            let mut i = 0;
            for tile in 0..tiles {
                let rows = (m - i).div_ceil(tiles - tile); // 16 rows by 6: 6, 5, 5
                let (a_row, a_column) = if transpose_a { (1, m) } else { (k, 1) };
                let mut strip = Strip {
                    rows,
                    a: a.as_ptr().wrapping_add(i * a_row + k0 * a_column), // beyond an empty A where k = 0
                    a_row,
                    a_column,
                    steps: u64::MAX.unbounded_shr(DEPTH.saturating_sub(k - k0) as u32),
                    b: b[k0 * n..].as_ptr(),
                    beta: if k0 == 0 { beta } else { 1.0 },
                    row: row.filter(|_| k0 == 0).map(<[f32]>::as_ptr),
                    c: c[i * n..].as_mut_ptr(),
                    stride: n,
                };
                // SAFETY: the strip is rows i.. of A and C, all columns of B and C, and steps k0.. of k. All end within m,
                // n and k, and the slices are as long (asserted).
                unsafe {
                    if mostly_zeros {
                        strip.steps = strip.nonzero::<S>();
                    }
                    strip.run::<S>();
                }
                i += rows;
            }
        }
    }
}

/// Tiles of `C` side by side: all columns of the same few rows, made in some steps of `k`.
struct Strip {
    rows: usize,
    a: *const f32,
    a_row: usize,
    a_column: usize,
    /// A bit for each step to take.
    steps: u64,
    b: *const f32,
    beta: f32,
    row: Option<*const f32>,
    c: *mut f32,
    /// How far apart the rows of `B` and of `C` are: as many columns as they have.
    stride: usize,
}

impl Strip {
    /// The steps at which a row of `A` has a number other than zero.
    #[inline(always)]
    unsafe fn nonzero<S: Simd>(&self) -> u64 {
        const { assert!(S::TILE_ROWS <= S::LANES) }; // for S::mask(rows)
        let Strip { rows, steps, a, a_row, a_column, .. } = *self;
        let depth = steps.count_ones() as usize;
        // SAFETY: rows and steps lie within A by the word of whoever made the strip. The processor has S: see `Operation`.
        let nonzero = |count, at| u64::from(unsafe { S::nonzero(S::load_masked(S::mask(count), a.add(at))) });
        match a_row {
            1 => (0..depth).fold(0, |steps, k| steps | u64::from(nonzero(rows, k * a_column) != 0) << k),
            _ => (0..depth).step_by(S::LANES).fold(0, |steps, k| {
                (0..rows).fold(steps, |steps, r| steps | nonzero(S::LANES.min(depth - k), r * a_row + k) << k)
            }),
        }
    }

    /// A tile that is cut off, if the columns are no multiple of its width, and whole ones.
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        if self.steps == 0 && self.beta == 1.0 && self.row.is_none() {
            return; // C ← C
        }
        let cut = self.stride % (2 * S::LANES);
        // SAFETY: the strip lies within its matrices, whatever the way it is computed.
        unsafe {
            match cut {
                0 => (),
                cut if cut > S::LANES => self.shaped::<S, 2, true>(),
                _ => self.shaped::<S, 1, true>(),
            }
            if cut < self.stride {
                self.shaped::<S, 2, false>();
            }
        }
    }

    #[inline(always)]
    unsafe fn shaped<S: Simd, const VECTORS: usize, const CUT: bool>(&self) {
        // SAFETY: as above.
        unsafe {
            match self.rows {
                1 => S::run(Shaped::<1, VECTORS, CUT>(self)),
                2 => S::run(Shaped::<2, VECTORS, CUT>(self)),
                3 => S::run(Shaped::<3, VECTORS, CUT>(self)),
                4 => S::run(Shaped::<4, VECTORS, CUT>(self)),
                5 if S::TILE_ROWS >= 5 => S::run(Shaped::<5, VECTORS, CUT>(self)),
                6 if S::TILE_ROWS >= 6 => S::run(Shaped::<6, VECTORS, CUT>(self)),
                7 if S::TILE_ROWS >= 7 => S::run(Shaped::<7, VECTORS, CUT>(self)),
                8 if S::TILE_ROWS >= 8 => S::run(Shaped::<8, VECTORS, CUT>(self)),
                rows => unreachable!("a tile of {rows} rows"),
            }
        }
    }
}

/// A strip with the shape of its tiles, which is a constant: rows, vectors in a row, and whether it is the last tile, of
/// fewer columns.
struct Shaped<'a, const ROWS: usize, const VECTORS: usize, const CUT: bool>(&'a Strip);

/// The inner loop: everything above only decides what it is given.
impl<const ROWS: usize, const VECTORS: usize, const CUT: bool> Operation for Shaped<'_, ROWS, VECTORS, CUT> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let &Strip { steps, a, a_row, a_column, b, beta, row, c, stride, .. } = self.0;
        let whole = stride - stride % (2 * S::LANES);
        let (columns, width) = if CUT { (whole..stride, stride - whole) } else { (0..whole, VECTORS * S::LANES) };
        for j in columns.step_by(width) {
            // SAFETY: rows 0..ROWS, columns j..j + width and the steps of each tile lie within the matrices by the
            // word of whoever made the strip; all vectors are whole but the last, which the mask ends at `width`. The
            // processor has S: see `Operation`.
            unsafe {
                let (b, c) = (b.wrapping_add(j), c.add(j)); // beyond an empty B where k = 0
                let mask = S::mask(width - (VECTORS - 1) * S::LANES);
                let load = |from: *const f32, v: usize| {
                    let from = from.add(v * S::LANES);
                    if CUT && v == VECTORS - 1 { S::load_masked(mask, from) } else { S::load(from) }
                };
                let mut acc: [[_; VECTORS]; ROWS] = from_fn(|r| from_fn(|v| load(c.add(r * stride), v)));
                if beta != 1.0 || row.is_some() {
                    let beta = S::splat(beta);
                    // x + -0.0 is x, whatever its sign.
                    let row: [_; VECTORS] = from_fn(|v| row.map_or(S::splat(-0.0), |row| load(row.add(j), v)));
                    acc = acc.map(|c| from_fn(|v| S::multiply_add(beta, c[v], row[v])));
                }
                let mut left = steps;
                while left != 0 {
                    let k = left.trailing_zeros() as usize;
                    left &= left - 1;
                    let b: [_; VECTORS] = from_fn(|v| load(b.add(k * stride), v));
                    for (r, acc) in acc.iter_mut().enumerate() {
                        let a = S::splat(*a.add(r * a_row + k * a_column));
                        for (acc, b) in acc.iter_mut().zip(b) {
                            *acc = S::multiply_add(a, b, *acc);
                        }
                    }
                }
                for (r, acc) in acc.into_iter().enumerate() {
                    for (v, acc) in acc.into_iter().enumerate() {
                        let to = c.add(r * stride + v * S::LANES);
                        if CUT && v == VECTORS - 1 { S::store_masked(mask, to, acc) } else { S::store(to, acc) }
                    }
                }
            }
        }
    }
}
