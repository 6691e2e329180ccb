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
//! # The bits
//!
//! Each element of `C` is `β·c`, then one fused multiply-add for each `k`, in order. No loop above changes that
//! order, and a lane is an element, so AVX2, AVX-512 and a naive loop of [`f32::mul_add`] give the same bits. The
//! portable kernel does so too where the target has a fused multiply-add in every processor (aarch64); elsewhere it
//! multiplies and adds with two roundings ([`Kernel::is_fused`](super::Kernel::is_fused)), because `mul_add` would be a slow library call.

use super::{Operation, Simd};

/// `C ← β·C + A·B` on flat row-major slices; see the head of this file.
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
    /// `k × n`
    pub b: &'a [f32],
    pub beta: f32,
    /// `m × n`
    pub c: &'a mut [f32],
}

/// Steps of `k` in a block.
const DEPTH: usize = 64;

impl Operation for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Product { m, n, k, a, transpose_a, b, beta, c } = self;
        assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n);
        if m == 0 || n == 0 {
            return;
        }
        let panels = n / (2 * S::LANES);
        let j = panels * 2 * S::LANES;
        let tiles = m.div_ceil(S::TILE_ROWS);
        // With k = 0 there is still β·C to compute: one empty block.
        for k0 in (0..k.max(1)).step_by(DEPTH) {
            let mut i = 0;
            for tile in 0..tiles {
                let rows = (m - i).div_ceil(tiles - tile); // 16 rows by 6: 6, 5, 5
                let (a_row, a_column) = if transpose_a { (1, m) } else { (k, 1) };
                let strip = Strip {
                    tiles: panels,
                    width: 2 * S::LANES,
                    depth: DEPTH.min(k - k0),
                    a: a.as_ptr().wrapping_add(i * a_row + k0 * a_column), // beyond an empty A where k = 0
                    a_row,
                    a_column,
                    b: b[k0 * n..].as_ptr(),
                    beta: if k0 == 0 { beta } else { 1.0 },
                    c: c[i * n..].as_mut_ptr(),
                    stride: n,
                };
                // SAFETY: the strip is rows i.. of A and C, all columns of B and C, and steps k0.. of k, first by whole
                // tiles, then by one that is cut off. All end within m, n and k, and the slices are as long (asserted).
                unsafe {
                    match n - j {
                        0 => (),
                        width if width > S::LANES => strip.cut(j, width).run::<S, 2, true>(rows),
                        width => strip.cut(j, width).run::<S, 1, true>(rows),
                    }
                    if panels > 0 {
                        strip.run::<S, 2, false>(rows);
                    }
                }
                i += rows;
            }
        }
    }
}

/// Tiles of `C` side by side: each `width` columns of the same few rows, made in `depth` steps of `k`.
#[derive(Clone, Copy)]
struct Strip {
    tiles: usize,
    width: usize,
    depth: usize,
    a: *const f32,
    a_row: usize,
    a_column: usize,
    b: *const f32,
    beta: f32,
    c: *mut f32,
    /// How far apart the rows of `B` and of `C` are.
    stride: usize,
}

/// A strip with the shape of its tiles, which is a constant: rows, vectors in a row, and whether the last vector is cut
/// off.
struct Shaped<const ROWS: usize, const VECTORS: usize, const CUT: bool>(Strip);

impl Strip {
    /// The strip's last tile, of fewer columns than the others.
    fn cut(self, j: usize, width: usize) -> Strip {
        Strip { tiles: 1, width, b: self.b.wrapping_add(j), c: self.c.wrapping_add(j), ..self }
    }

    #[inline(always)]
    unsafe fn run<S: Simd, const VECTORS: usize, const CUT: bool>(self, rows: usize) {
        // SAFETY: the caller's strip lies within its matrices, whatever the way it is computed.
        unsafe {
            match rows {
                1 => S::run(Shaped::<1, VECTORS, CUT>(self)),
                2 => S::run(Shaped::<2, VECTORS, CUT>(self)),
                3 => S::run(Shaped::<3, VECTORS, CUT>(self)),
                4 => S::run(Shaped::<4, VECTORS, CUT>(self)),
                5 if S::TILE_ROWS >= 5 => S::run(Shaped::<5, VECTORS, CUT>(self)),
                6 if S::TILE_ROWS >= 6 => S::run(Shaped::<6, VECTORS, CUT>(self)),
                7 if S::TILE_ROWS >= 7 => S::run(Shaped::<7, VECTORS, CUT>(self)),
                8 if S::TILE_ROWS >= 8 => S::run(Shaped::<8, VECTORS, CUT>(self)),
                _ => unreachable!("a tile of {rows} rows"),
            }
        }
    }
}

/// The inner loop: everything above only decides what it is given.
impl<const ROWS: usize, const VECTORS: usize, const CUT: bool> Operation for Shaped<ROWS, VECTORS, CUT> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // r, v and k are the formula's own
    fn run<S: Simd>(self) {
        let Strip { tiles, width, depth, a, a_row, a_column, mut b, beta, mut c, stride } = self.0;
        for _ in 0..tiles {
            // SAFETY: rows 0..ROWS, columns 0..width and steps 0..depth of each tile lie within the matrices by the
            // word of whoever made the strip; all vectors are whole but the last, which the mask ends at `width`. The
            // processor has S: see `Operation`.
            unsafe {
                let mask = S::mask(width - (VECTORS - 1) * S::LANES);
                let mut acc = [[S::splat(0.0); VECTORS]; ROWS];
                for r in 0..ROWS {
                    for v in 0..VECTORS {
                        let c = c.add(r * stride + v * S::LANES);
                        acc[r][v] = if CUT && v == VECTORS - 1 { S::load_masked(mask, c) } else { S::load(c) };
                    }
                }
                if beta != 1.0 {
                    for r in 0..ROWS {
                        for v in 0..VECTORS {
                            acc[r][v] = S::multiply(S::splat(beta), acc[r][v]);
                        }
                    }
                }
                for k in 0..depth {
                    let mut b_row = [S::splat(0.0); VECTORS];
                    for v in 0..VECTORS {
                        let b = b.add(k * stride + v * S::LANES);
                        b_row[v] = if CUT && v == VECTORS - 1 { S::load_masked(mask, b) } else { S::load(b) };
                    }
                    for r in 0..ROWS {
                        let a = S::splat(*a.add(r * a_row + k * a_column));
                        for v in 0..VECTORS {
                            acc[r][v] = S::multiply_add(a, b_row[v], acc[r][v]);
                        }
                    }
                }
                for r in 0..ROWS {
                    for v in 0..VECTORS {
                        let c = c.add(r * stride + v * S::LANES);
                        if CUT && v == VECTORS - 1 {
                            S::store_masked(mask, c, acc[r][v])
                        } else {
                            S::store(c, acc[r][v])
                        }
                    }
                }
            }
            b = b.wrapping_add(width);
            c = c.wrapping_add(width);
        }
    }
}
