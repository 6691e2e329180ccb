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
//! takes four cycles for each, so at least eight independent ones must be under way. The compiler keeps a tile in
//! registers only if its shape is a constant; the code that computes one, the *micro-kernel*, is therefore compiled once
//! for each shape.
//!
//! Around the tile are three loops: over blocks of `k`, so that the rows of `B` in use stay in a near cache; over
//! *panels* of `C`, the rows of a tile in all columns; over the tiles of a panel.
//!
//! # Where B is packed
//!
//! A tile reads two vectors of a row of `B`, then two of the next, thousands of bytes on: each from another page of memory,
//! and in a large matrix often all from the same few places of the cache. So where `C` has many rows, all of which need `B`,
//! a block of it is first copied, *packed*, to where each tile's part is one run of memory, its *strip*:
//!
//! ```text
//!  row after row:   1 1 2 2 3 3           strip after strip:   1 1
//!                   1 1 2 2 3 3                                1 1
//!                   1 1 2 2 3 3                                1 1
//!                                                              2 2  …
//! ```
//!
//! The copy is cut to half of the second cache by a fourth loop, over blocks of columns. For a few rows it would not pay. Where
//! `A` is transposed, the part of it that a panel needs is copied too, so that it does not lie in as many pages as it has
//! steps.
//!
//! # Where the columns end
//!
//! Each row of a [`Matrix`] is padded to whole vectors, and what pads `C` is computed like the rest. The last tile of a panel
//! may have fewer vectors than the others.
//!
//! # Zeros
//!
//! Some 80 % of an image's pixels are background, which is 0. If asked to, a panel takes only those steps `k` at which one of
//! its rows of `A` has another number: with the images as `A` and panels of 8 rows, 47 % of the steps; with the images
//! transposed, 40 %. With 4 rows it is 39 % and 28 %, so tiles have fewer rows there, and more vectors in each.
//!
//! # The bits
//!
//! Each element of `C` is `β·c` plus its number of a row, or that number alone if β is 0; then one fused multiply-add for
//! each `k`, in order. No loop above changes that order, and a lane is an element, so AVX2, AVX-512 and a naive loop of
//! [`f32::mul_add`] give the same bits. The portable kernel does so too where the target has a fused multiply-add in every
//! processor (aarch64); elsewhere it multiplies and adds with two roundings ([`Kernel::is_fused`](super::Kernel::is_fused)),
//! because `mul_add` would be a slow library call.
//!
//! A skipped step would have added `0·b`, which changes nothing but `-0.0` to `0.0`, unless `b` is infinite or NaN. In these
//! two cases the result depends on which rows share a tile, and so on the kernel. Training meets neither: it fails once a
//! weight is infinite, and a sum that does not begin with `-0.0` becomes `-0.0` only by underflow.

use std::array::from_fn;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::instruction_sets::Tile;
use super::{Kernel, Operation, Simd};
use crate::math::matrix::{LINE_NUMBERS, Matrix};

/// `C ← β·C + row + A·B`, or `Aᵀ·B`; see the head of this file.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// A: `m × k`, or `k × m` if it is to be transposed
    pub a: &'a Matrix,
    /// Whether it is.
    pub transpose_a: bool,
    /// Whether A has many zeros, which are skipped where that is possible: the same as long as B is finite, but for the sign
    /// of a zero.
    pub skip_zeros: bool,
    /// B: `k × n`
    pub b: &'a Matrix,
    /// β; if it is 0, C is not read.
    pub beta: f32,
    /// What is added to each row of C, by the multiply-add that scales it: `1 × n`, or nothing.
    pub row: Option<&'a Matrix>,
}

/// Steps of `k` in a block: many, so that `C` is seldom read and written.
const STEPS: usize = 256;
/// And in one where zeros are skipped: as many as a u64 has bits.
const SPARSE_STEPS: usize = u64::BITS as usize;
/// Columns of a packed block of `B`: with all its steps, half of the second cache.
const BLOCK_COLUMNS: usize = 512;
/// A block of `B` is packed for at least so many rows of `C`, a panel of which reads it once.
const PACKED_ROWS: usize = 192;
/// And only where `B` has more numbers than this: fewer stay in the nearest caches by themselves.
const PACKED_NUMBERS: usize = 1 << 15;
/// The least rows that a thread takes, each for itself packing `B`.
const PART_ROWS: usize = 128;
/// The most rows that a tile has.
const MOST_ROWS: usize = 8;

thread_local! {
    /// The block of `B` that this thread has packed.
    static PACKED_BLOCK: RefCell<Matrix> = RefCell::default();
    /// The columns of `C` that this thread computes.
    static PART: RefCell<Matrix> = RefCell::default();
}

impl<'a> Product<'a> {
    /// `C ← A·B`, which fields may change.
    pub fn new(a: &'a Matrix, b: &'a Matrix) -> Self {
        Product { a, transpose_a: false, skip_zeros: false, b, beta: 0.0, row: None }
    }

    /// Computes `C`, `m × n`. Where threads share a large product, each takes its part of the rows of `C`; or, if `C` has
    /// few rows and all of them need a large `B`, some of the columns, and so reads only its part of `B`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn write_to(self, kernel: Kernel, c: &mut Matrix) {
        let Product { a, transpose_a, b, row, .. } = self;
        let (m, n, k) = (c.rows(), c.columns(), b.rows());
        let a_shape = if transpose_a { (k, m) } else { (m, k) };
        assert!((a.rows(), a.columns()) == a_shape && b.columns() == n, "the shapes do not fit");
        assert!(row.is_none_or(|row| (row.rows(), row.columns()) == (1, n)), "the row does not fit");
        if m == 0 || n == 0 {
            return;
        }
        let kernel = kernel.for_work(2 * m * n * k);
        if kernel.threads() > 1 && !self.skip_zeros && m < n.min(k).min(2 * PART_ROWS * kernel.threads()) {
            return self.columns_in_parts(kernel, c);
        }
        // A large part of packed products, since each packs B for itself. Where zeros are skipped, parts have unequal work.
        let least = m.div_ceil((m / PART_ROWS).clamp(1, kernel.threads())).next_multiple_of(MOST_ROWS);
        let (multiple, stride) = (if self.skip_zeros { MOST_ROWS } else { least }, c.stride());
        kernel.each_part(c.padded_mut(), m, multiple, |c, i| self.part(kernel, i..i + c.len() / stride, 0..n, c));
    }

    #[cold]
    fn columns_in_parts(&self, kernel: Kernel, c: &mut Matrix) {
        let (m, n, width) = (c.rows(), c.columns(), 2 * kernel.share(c.columns(), 16)); // each part reads all of A
        let c = Mutex::new(c);
        kernel.each((0..n).step_by(width), |start| {
            // A part's columns are not in one piece, so the thread works on a copy of them.
            let columns = start..n.min(start + width);
            let mut part = PART.take();
            part.reshape(m, columns.len());
            let lock = || c.lock().unwrap_or_else(PoisonError::into_inner);
            if self.beta != 0.0 {
                let whole = lock();
                (0..m).for_each(|i| part.row_mut(i).copy_from_slice(&whole.row(i)[columns.clone()]));
            }
            self.part(kernel, 0..m, columns.clone(), part.padded_mut());
            let mut whole = lock();
            (0..m).for_each(|i| whole.row_mut(i)[columns.clone()].copy_from_slice(part.row(i)));
            PART.set(part);
        });
    }

    /// Computes the part of `C` that is in `c`: some rows and columns.
    fn part(&self, kernel: Kernel, rows: Range<usize>, columns: Range<usize>, c: &mut [f32]) {
        let packs = !self.skip_zeros && rows.len() >= PACKED_ROWS && self.b.rows() * columns.len() > PACKED_NUMBERS;
        match (packs, self.skip_zeros) {
            (true, _) => kernel.run(Part::<true, false> { product: self, rows, columns, c }),
            (_, false) => kernel.run(Part::<false, false> { product: self, rows, columns, c }),
            (_, true) => kernel.run(Part::<false, true> { product: self, rows, columns, c }),
        }
    }
}

/// A part of `C`; with `B` packed or as it is, with zeros skipped or not, which are programs of their own: a small product has
/// no time to lose.
struct Part<'a, const PACKED: bool, const SPARSE: bool> {
    product: &'a Product<'a>,
    rows: Range<usize>,
    columns: Range<usize>,
    c: &'a mut [f32],
}

impl<const PACKED: bool, const SPARSE: bool> Operation for Part<'_, PACKED, SPARSE> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Part { product: &Product { a, transpose_a, b, beta, row, .. }, rows, columns, c } = self;
        // Whole vectors: the padding is computed too.
        let (m, n, k) = (rows.len(), columns.len().next_multiple_of(S::LANES), b.rows());
        let (first, c_row) = (rows.start, c.len() / m);
        let (a_row, a_column) = if transpose_a { (1, a.stride()) } else { (a.stride(), 1) };
        let tile = tile::<S, SPARSE>();
        let width = tile.vectors * S::LANES;
        let b_row = if PACKED { width } else { b.stride() };
        let (a, b_stride) = (a.and_beyond(), b.stride());
        let (b, row) = (&b.and_beyond()[columns.start..], row.map(|row| &row.padded()[columns.start..]));
        let mut packed = if PACKED { PACKED_BLOCK.take() } else { Matrix::default() };
        let panels = m.div_ceil(tile.rows);
        let mut packed_a = [[0.0; MOST_ROWS]; STEPS];
        for j0 in (0..n).step_by(if PACKED { BLOCK_COLUMNS } else { n }) {
            let columns = j0..if PACKED { n.min(j0 + BLOCK_COLUMNS) } else { n };
            let mut k0 = 0;
            // With k = 0 there is still β·C to compute: one empty block.
            while k0 < k.max(1) {
                let depth = (k - k0).min(if SPARSE { SPARSE_STEPS } else { STEPS });
                if PACKED {
                    packed.reshape(columns.len().div_ceil(width), depth * width);
                    let b = b[k0 * b_stride..].chunks(b_stride).take(depth);
                    pack(width, b, columns.clone(), &mut packed);
                }
                let mut i = 0;
                for panel in 0..panels {
                    let rows = (m - i).div_ceil(panels - panel); // 16 rows by 6: 6, 5, 5
                    let a = a.get((first + i) * a_row + k0 * a_column..).unwrap_or_default(); // nothing where k = 0
                    if PACKED && transpose_a {
                        for (to, from) in packed_a.iter_mut().zip(a.chunks(a_column).take(depth)) {
                            to[..rows].copy_from_slice(&from[..rows]);
                            S::prefetch(from.as_ptr().wrapping_add(LINE_NUMBERS)); // for a panel to come
                        }
                    }
                    let mut panel = Panel {
                        rows,
                        a: if PACKED && transpose_a { packed_a.as_flattened() } else { a },
                        a_row,
                        a_column: if PACKED && transpose_a { MOST_ROWS } else { a_column },
                        depth,
                        steps: 0,
                        b: if PACKED { packed.padded() } else { &b[k0 * b_stride..] },
                        b_row,
                        strip: if PACKED { packed.stride() } else { width },
                        beta: if k0 == 0 { beta } else { 1.0 },
                        row: row.filter(|_| k0 == 0),
                        c: &mut c[i * c_row..],
                        c_row,
                    };
                    if SPARSE && k > 0 {
                        panel.skip_zeros::<S>();
                    }
                    panel.multiply::<S, PACKED, SPARSE>(columns.clone());
                    i += rows;
                }
                k0 += depth.max(1);
            }
        }
        if PACKED {
            PACKED_BLOCK.set(packed);
        }
    }
}

/// The largest tile.
const fn tile<S: Simd, const SPARSE: bool>() -> Tile {
    if SPARSE { S::SPARSE_TILE } else { S::TILE }
}

/// Copies some `columns` of these rows of `B`, strip after strip of `width` columns, each to a row of `packed`. What is beyond
/// the last column is unspecified.
#[inline(always)]
fn pack<'a>(width: usize, b: impl Iterator<Item = &'a [f32]> + Clone, columns: Range<usize>, packed: &mut Matrix) {
    for (strip, j) in columns.clone().step_by(width).enumerate() {
        let count = width.min(columns.end - j);
        for (to, from) in packed.row_mut(strip).chunks_exact_mut(width).zip(b.clone()) {
            to[..count].copy_from_slice(&from[j..][..count]);
        }
    }
}

/// The rows of a tile in all columns, and what is added to them in a block of `k`. `a`, `b` and `c` begin with the first
/// number that is used.
struct Panel<'a> {
    rows: usize,
    a: &'a [f32],
    /// How far apart the rows of `A` are in memory.
    a_row: usize,
    a_column: usize,
    /// How many steps of `k` there are.
    depth: usize,
    /// Where zeros are skipped: a bit for each step to take.
    steps: u64,
    /// Row after row; or packed, strip after strip.
    b: &'a [f32],
    b_row: usize,
    /// How far apart the tiles' parts of `B` are in memory.
    strip: usize,
    beta: f32,
    row: Option<&'a [f32]>,
    c: &'a mut [f32],
    c_row: usize,
}

impl Panel<'_> {
    /// Finds the steps at which not all rows of `A` are zero.
    #[inline(always)]
    fn skip_zeros<S: Simd>(&mut self) {
        let Panel { rows, a, a_row, a_column, depth, .. } = *self;
        let transposed = a_row == 1;
        let (last, along) = if transposed { (depth - 1, S::SPARSE_TILE.rows) } else { (rows - 1, depth) };
        assert!(last * a_row.max(a_column) + along.next_multiple_of(S::LANES) <= a.len());
        // SAFETY: all vectors lie within A (asserted). The processor has S: see `Target`.
        let nonzero = |at| u64::from(unsafe { S::nonzero(a.as_ptr().add(at).cast::<S::Vector>().read_unaligned()) });
        self.steps = if transposed {
            let rows = u64::MAX >> (u64::BITS as usize - rows);
            let vectors = || (0..S::SPARSE_TILE.rows).step_by(S::LANES);
            let any = |k| vectors().fold(0, |any, r| any | nonzero(k * a_column + r) << r) & rows != 0;
            (0..depth).fold(0, |steps, k| steps | u64::from(any(k)) << k)
        } else {
            let (vectors, within) = ((0..depth).step_by(S::LANES), u64::MAX >> (SPARSE_STEPS - depth));
            within & vectors.fold(0, |steps, k| (0..rows).fold(steps, |steps, r| steps | nonzero(r * a_row + k) << k))
        };
    }

    /// Computes the panel in some columns, whole vectors: the last tile first, if it is narrower than the others.
    #[inline(always)]
    fn multiply<S: Simd, const PACKED: bool, const SPARSE: bool>(&mut self, columns: Range<usize>) {
        if SPARSE && self.steps == 0 && self.beta == 1.0 && self.row.is_none() {
            return; // C ← C
        }
        let Range { start, end } = columns;
        let vectors = tile::<S, SPARSE>().vectors;
        let (tiles, narrow) = ((end - start) / (vectors * S::LANES), (end - start) % (vectors * S::LANES));
        if narrow > 0 {
            self.vectors::<S, PACKED, SPARSE>(narrow / S::LANES, tiles, end - narrow..end);
        }
        if tiles > 0 {
            self.vectors::<S, PACKED, SPARSE>(vectors, 0, start..end - narrow);
        }
    }

    /// Finds the micro-kernel for so many vectors a row.
    #[inline(always)]
    fn vectors<S: Simd, const PACKED: bool, const SPARSE: bool>(
        &mut self,
        vectors: usize,
        first: usize,
        columns: Range<usize>,
    ) {
        let most = tile::<S, SPARSE>().vectors;
        match vectors {
            1 => self.rows::<S, PACKED, SPARSE, 1>(first, columns),
            2 => self.rows::<S, PACKED, SPARSE, 2>(first, columns),
            3 if most >= 3 => self.rows::<S, PACKED, SPARSE, 3>(first, columns),
            4 if most >= 4 => self.rows::<S, PACKED, SPARSE, 4>(first, columns),
            vectors => unreachable!("a tile of {vectors} vectors"),
        }
    }

    /// Finds the micro-kernel for the rows of the panel.
    #[inline(always)]
    fn rows<S: Simd, const PACKED: bool, const SPARSE: bool, const VECTORS: usize>(
        &mut self,
        first: usize,
        columns: Range<usize>,
    ) {
        let most = tile::<S, SPARSE>().rows;
        match self.rows {
            1 => S::nested(MicroKernel::<PACKED, SPARSE, 1, VECTORS>(self, first, columns)),
            2 => S::nested(MicroKernel::<PACKED, SPARSE, 2, VECTORS>(self, first, columns)),
            3 => S::nested(MicroKernel::<PACKED, SPARSE, 3, VECTORS>(self, first, columns)),
            4 if most >= 4 => S::nested(MicroKernel::<PACKED, SPARSE, 4, VECTORS>(self, first, columns)),
            5 if most >= 5 => S::nested(MicroKernel::<PACKED, SPARSE, 5, VECTORS>(self, first, columns)),
            6 if most >= 6 => S::nested(MicroKernel::<PACKED, SPARSE, 6, VECTORS>(self, first, columns)),
            7 if most >= 7 => S::nested(MicroKernel::<PACKED, SPARSE, 7, VECTORS>(self, first, columns)),
            8 if most >= 8 => S::nested(MicroKernel::<PACKED, SPARSE, 8, VECTORS>(self, first, columns)),
            rows => unreachable!("a tile of {rows} rows"),
        }
    }
}

/// The inner loops, for the tiles of a panel from a certain one on, in some columns: everything above only decides what they
/// are given. A tile has `ROWS` rows of `VECTORS` vectors.
struct MicroKernel<'p, 'a, const PACKED: bool, const SPARSE: bool, const ROWS: usize, const VECTORS: usize>(
    &'p mut Panel<'a>,
    usize,
    Range<usize>,
);

impl<const PACKED: bool, const SPARSE: bool, const ROWS: usize, const VECTORS: usize> Operation
    for MicroKernel<'_, '_, PACKED, SPARSE, ROWS, VECTORS>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let MicroKernel(panel, first, columns) = self;
        let Panel { a, a_row, a_column, depth, steps, b, b_row, strip, beta, row, ref mut c, c_row, .. } = *panel;
        let width = VECTORS * S::LANES;
        let b_row = if PACKED { 2 * S::LANES } else { b_row }; // a constant for the compiler
        assert!(columns.len().is_multiple_of(width));
        assert!((ROWS - 1) * c_row + columns.end <= c.len() && row.is_none_or(|row| columns.end <= row.len()));
        let tiles = columns.len() / width;
        let last = if SPARSE { steps.checked_ilog2().map(|k| k as usize) } else { depth.checked_sub(1) };
        if let Some(k) = last {
            assert!((first + tiles - 1) * strip + k * b_row + width <= b.len());
            assert!((ROWS - 1) * a_row + k * a_column < a.len());
        }
        // SAFETY: what is asserted above is that the last number that is read or written, in the last row, at the last step
        // and in the last vector, is in its slice. The processor has S: see `Target`.
        unsafe {
            let load = |from: *const f32| from.cast::<S::Vector>().read_unaligned();
            for (j, tile) in columns.step_by(width).zip(first..) {
                let from = b.as_ptr().wrapping_add(tile * strip); // beyond B where k = 0
                let c = c.as_mut_ptr().add(j);
                let load_c = |r, v| load(c.add(r * c_row + v * S::LANES));
                let load_row = |v| match row {
                    Some(row) => load(row.as_ptr().add(j + v * S::LANES)),
                    // x + -0.0 is x, whatever its sign.
                    None => load([if beta == 0.0 { 0.0 } else { -0.0 }; 16].as_ptr()),
                };
                let mut acc: [[S::Vector; VECTORS]; ROWS] = if beta == 1.0 && row.is_none() {
                    from_fn(|r| from_fn(|v| load_c(r, v)))
                } else {
                    let row: [S::Vector; VECTORS] = from_fn(load_row);
                    let scaled = |r| from_fn(|v| S::multiply_add(beta, load_c(r, v), row[v]));
                    if beta == 0.0 { [row; ROWS] } else { from_fn(scaled) }
                };
                let fetch = |from: *const f32, r, row, j| S::prefetch(from.wrapping_add(r * row + j));
                // What is needed next is not near yet: the next tile of C, and with each tile some of A's next panel.
                if !SPARSE {
                    (0..ROWS).for_each(|r| (0..VECTORS).for_each(|v| fetch(c, r, c_row, width + v * S::LANES)));
                }
                if PACKED && a_column == 1 {
                    let line = |tile| tile * depth / LINE_NUMBERS / tiles;
                    for j in (line(tile)..line(tile + 1)).map(|line| line * LINE_NUMBERS) {
                        (ROWS..2 * ROWS).for_each(|r| fetch(a.as_ptr(), r, a_row, j));
                    }
                }
                let mut step = |k: usize| {
                    let b: [S::Vector; VECTORS] = from_fn(|v| load(from.add(k * b_row + v * S::LANES)));
                    if !SPARSE {
                        // Some steps ahead: B is in the second cache, or farther away.
                        let ahead = (k + 24).min(depth - 1);
                        (0..VECTORS).for_each(|v| fetch(from, ahead, b_row, v * S::LANES));
                    }
                    for (r, acc) in acc.iter_mut().enumerate() {
                        let a = *a.as_ptr().add(r * a_row + k * a_column);
                        for (acc, b) in acc.iter_mut().zip(b) {
                            *acc = S::multiply_add(a, b, *acc);
                        }
                    }
                };
                if SPARSE {
                    let mut left = steps;
                    while left != 0 {
                        step(left.trailing_zeros() as usize);
                        left &= left - 1;
                    }
                } else {
                    (0..depth).for_each(step);
                }
                for (r, acc) in acc.into_iter().enumerate() {
                    for (v, acc) in acc.into_iter().enumerate() {
                        c.add(r * c_row + v * S::LANES).cast::<S::Vector>().write_unaligned(acc);
                    }
                }
            }
        }
    }
}
