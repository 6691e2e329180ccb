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
//! Around the tile are four loops: over blocks of columns and of `k`, so that the part of `B` in use stays in the second cache,
//! of which it takes 256 KiB; over *panels*, the rows of a tile in all columns of the block; over the tiles of a panel.
//!
//! # What is fetched ahead
//!
//! What the first panel of a block reads of `B` comes from far away, and multiply-adds would have to wait for it. So the last
//! panels of a block have the next block fetched, some steps with each run of their own; and where `A` is large, the first tile
//! of a panel has fetched what the next panel needs of it. To stop after each run costs some 5 %: the other tiles do not.
//!
//! What a tile will add to, in `C`, is fetched by the tile before it; and where zeros are skipped, also what it needs of `B`: the
//! processor cannot guess at which steps.
//!
//! # Where B is packed
//!
//! A tile reads two vectors of a row of `B`, then two of the next, thousands of bytes on: each from another page of memory. So
//! where `C` has many rows, all of which need `B`, a block of it is first copied, *packed*, to where each tile's part is one run
//! of memory, its *strip*:
//!
//! ```text
//!  row after row:   1 1 2 2 3 3           strip after strip:   1 1
//!                   1 1 2 2 3 3                                1 1
//!                   1 1 2 2 3 3                                1 1
//!                                                              2 2  …
//! ```
//!
//! For a few rows it would not pay. Where `A` is transposed, the part of it that a panel needs is copied too, so that it does not
//! lie in as many pages as it has steps.
//!
//! # Where the columns end
//!
//! Each row of a [`Matrix`] is padded to whole vectors, and what pads `C` is computed like the rest. The tiles of a panel are as
//! few as can be, and as equal: the last of them may have a vector less than the others.
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
use std::hint::black_box;
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

/// The most steps of `k` in a block, and columns: many steps, so that `C` is seldom read and written.
const BLOCK: (usize, usize) = (256, 256);
/// The same where `A` is transposed: many columns, since its panels are copied for each block.
const TRANSPOSED_BLOCK: (usize, usize) = (128, 512);
/// Steps of a block where zeros are skipped: as many as a u64 has bits.
const SPARSE_STEPS: usize = u64::BITS as usize;
/// A matrix with more numbers than this does not stay in the near caches by itself: it is fetched ahead, or packed.
const NEAR_NUMBERS: usize = 1 << 15;
/// A block of `B` is packed for at least so many rows of `C`, a panel of which reads it once.
const PACKED_ROWS: usize = 128;
/// Steps from one fetching to the next: a cache line of each row of `A`.
const RUN: usize = LINE_NUMBERS;
/// Steps of the next block fetched with each run: many, so that few panels do it.
const FETCHES: usize = 4;
/// How many steps ahead of itself the first panel has `B` fetched.
const AHEAD: usize = 24;
/// The least rows of `C` that are worth reading a far `B` once more.
const PART_ROWS: usize = 16;
/// The most rows that a tile has.
const MOST_ROWS: usize = 8;

thread_local! {
    /// What this thread has packed: a panel of `A` and a block of `B`.
    static PACKED: RefCell<[Matrix; 2]> = RefCell::default();
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
        // By rows, each thread reads all of B; by columns, all of A, and it copies its part of C.
        if kernel.threads() > 1 && 2 * m < n.min(k) {
            return self.columns_in_parts(kernel, c);
        }
        // Every part reads all of B. So there is one a thread, unless B is near, or some rows have more work than others, as
        // pixels in the middle do.
        let one_a_thread = m.div_ceil((m / PART_ROWS).clamp(1, kernel.threads())).next_multiple_of(MOST_ROWS);
        let cuts_small = k * n <= NEAR_NUMBERS || self.skip_zeros && transpose_a;
        let (multiple, stride) = (if cuts_small { MOST_ROWS } else { one_a_thread }, c.stride());
        kernel.each_part(c.padded_mut(), m, multiple, |c, i| self.part(kernel, i..i + c.len() / stride, 0..n, c));
    }

    fn columns_in_parts(&self, kernel: Kernel, c: &mut Matrix) {
        let (m, n, width) = (c.rows(), c.columns(), 2 * kernel.share(c.columns(), 16));
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
        match self.skip_zeros {
            true => kernel.run(Part::<true> { product: self, rows, columns, c }),
            false => kernel.run(Part::<false> { product: self, rows, columns, c }),
        }
    }
}

/// A part of `C`, with zeros skipped or not, which are programs of their own.
struct Part<'a, const SPARSE: bool> {
    product: &'a Product<'a>,
    rows: Range<usize>,
    columns: Range<usize>,
    c: &'a mut [f32],
}

impl<const SPARSE: bool> Operation for Part<'_, SPARSE> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Part { product: &Product { a, transpose_a, b, beta, row, .. }, rows, columns, c } = self;
        // Whole vectors: the padding is computed too.
        let (m, n, k) = (rows.len(), columns.len().next_multiple_of(S::LANES), b.rows());
        let (first, c_row) = (rows.start, c.len() / m);
        let tile = tile::<S, SPARSE>();
        let (panels, width) = (m.div_ceil(tile.rows), tile.vectors * S::LANES);
        let is_far = !SPARSE && k * n > NEAR_NUMBERS;
        let packs = is_far && m >= PACKED_ROWS;
        let (a_row, a_column) = if transpose_a { (1, a.stride()) } else { (a.stride(), 1) };
        let a_rows = from_fn(|r| r * a_row);
        // If the compiler saw that these are multiples, it would add up addresses row by row, at each of many steps.
        let a_rows = if SPARSE { a_rows } else { black_box(a_rows) };
        let (a, b_row) = (a.and_beyond(), b.stride());
        let (b, row) = (&b.and_beyond()[columns.start..], row.map(|row| &row.padded()[columns.start..]));
        let [mut packed_a, mut packed_b] = if packs { PACKED.take() } else { Default::default() };
        let (most_steps, most_columns) = match (SPARSE, transpose_a) {
            (true, _) => (SPARSE_STEPS, n),
            (false, true) => TRANSPOSED_BLOCK,
            (false, false) => BLOCK,
        };
        let block_columns = n.div_ceil(n.div_ceil(most_columns)).next_multiple_of(width); // blocks as equal as can be
        for j0 in (0..n).step_by(block_columns) {
            let mut k0 = 0;
            // With k = 0 there is still β·C to compute: one empty block.
            while k0 < k.max(1) {
                let depth = (k - k0).min(most_steps);
                let mut block = Block {
                    depth,
                    groups: groups(j0..n.min(j0 + block_columns), S::LANES, tile.vectors),
                    a_rows,
                    a_column,
                    fetches_a: !SPARSE && !transpose_a && m * k > NEAR_NUMBERS,
                    b: &b[k0 * b_row..],
                    b_row,
                    packed: None,
                    beta: if k0 == 0 { beta } else { 1.0 },
                    row: row.filter(|_| k0 == 0),
                    c_row,
                };
                if packs {
                    packed_b.reshape(block_columns / width, depth * width);
                    pack(&block.groups, S::LANES, block.b.chunks(b_row).take(depth), width, &mut packed_b);
                    block.packed = Some((packed_b.padded(), width, packed_b.stride()));
                    if transpose_a {
                        packed_a.reshape(1, most_steps * MOST_ROWS);
                        block.a_column = MOST_ROWS;
                    }
                }
                let fetches = RUN.div_ceil(panels).max(FETCHES);
                let mut i = 0;
                for panel in 0..panels {
                    let rows = (m - i).div_ceil(panels - panel); // 16 rows by 6: 6, 5, 5
                    let mut a = a.get((first + i) * a_row + k0 * a_column..).unwrap_or_default(); // nothing where k = 0
                    if packs && transpose_a {
                        let steps = packed_a.padded_mut().chunks_exact_mut(MOST_ROWS).take(depth);
                        for (k, to) in steps.enumerate() {
                            to.copy_from_slice(&a[k * a_column..][..MOST_ROWS]); // so many are one vector
                        }
                        a = packed_a.padded();
                    }
                    let left = (panels - 1 - panel) * fetches * depth.div_ceil(RUN); // steps for those after it
                    let (ahead, fetches) = if is_far && !packs && (k0 == 0 && panel == 0 || panels == 1) {
                        (AHEAD, RUN) // no panel before it has fetched anything
                    } else if is_far && k0 + depth < k && left < depth {
                        (depth + left, fetches)
                    } else {
                        (0, 0)
                    };
                    let c = &mut c[i * c_row..];
                    let mut panel = Panel { block: &block, rows, a, steps: 0, ahead, fetches, c };
                    if SPARSE && k > 0 {
                        panel.skip_zeros::<S>();
                    }
                    panel.multiply::<S, SPARSE>();
                    i += rows;
                }
                k0 += depth.max(1);
            }
        }
        if packs {
            PACKED.set([packed_a, packed_b]);
        }
    }
}

/// The largest tile.
const fn tile<S: Simd, const SPARSE: bool>() -> Tile {
    if SPARSE { S::SPARSE_TILE } else { S::TILE }
}

/// Tiles side by side, all with so many vectors.
struct Group {
    /// The number of tiles before them.
    first: usize,
    vectors: usize,
    columns: Range<usize>,
}

/// Cuts columns, whole vectors, into as few tiles as can be with at most so many vectors: first the wide ones, then those with a
/// vector less.
#[inline(always)]
fn groups(columns: Range<usize>, lanes: usize, most: usize) -> [Group; 2] {
    let Range { start, end } = columns;
    let vectors = (end - start) / lanes;
    let tiles = vectors.div_ceil(most);
    let wide = vectors.div_ceil(tiles);
    let first = tiles - (wide * tiles - vectors);
    let middle = start + first * wide * lanes;
    [
        Group { first: 0, vectors: wide, columns: start..middle },
        Group { first, vectors: wide - 1, columns: middle..end },
    ]
}

/// Copies the columns of these tiles, of some rows of `B`, strip after strip, each to a row of `packed`, where a step has `width`
/// numbers. What is beyond a strip's columns is unspecified.
#[inline(always)]
fn pack<'a>(
    groups: &[Group],
    lanes: usize,
    b: impl Iterator<Item = &'a [f32]> + Clone,
    width: usize,
    packed: &mut Matrix,
) {
    for Group { first, vectors, columns } in groups {
        let count = vectors * lanes;
        for (strip, j) in (*first..).zip(columns.clone().step_by(count.max(1))) {
            for (to, from) in packed.row_mut(strip).chunks_exact_mut(width).zip(b.clone()) {
                // Vector by vector: their length is known to the compiler.
                for (to, from) in to.chunks_exact_mut(lanes).zip(from[j..][..count].chunks_exact(lanes)) {
                    to.copy_from_slice(from);
                }
            }
        }
    }
}

/// What the panels of a block have in common. `b` begins with the first number that is used.
struct Block<'a> {
    /// How many steps of `k` there are.
    depth: usize,
    groups: [Group; 2],
    /// How far each row of a panel of `A` is from the first.
    a_rows: [usize; MOST_ROWS],
    /// How far apart the columns of `A` are: 1, unless it is transposed.
    a_column: usize,
    fetches_a: bool,
    b: &'a [f32],
    b_row: usize,
    /// Strip after strip, if it is packed; how far apart its steps are, and the strips.
    packed: Option<(&'a [f32], usize, usize)>,
    beta: f32,
    row: Option<&'a [f32]>,
    c_row: usize,
}

/// The rows of a tile in all columns of a block. `a` and `c` begin with the first number that is used.
struct Panel<'a> {
    block: &'a Block<'a>,
    rows: usize,
    a: &'a [f32],
    /// Where zeros are skipped: a bit for each step to take.
    steps: u64,
    /// From which step on, counted from the block's first, it has `B` fetched.
    ahead: usize,
    /// How many steps of `B` it has fetched with each run.
    fetches: usize,
    c: &'a mut [f32],
}

impl Panel<'_> {
    /// Finds the steps at which not all rows of `A` are zero.
    #[inline(always)]
    fn skip_zeros<S: Simd>(&mut self) {
        let Panel { block: &Block { a_rows: [_, a_row, ..], a_column, depth, .. }, rows, a, .. } = *self;
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

    /// Computes the panel.
    #[inline(always)]
    fn multiply<S: Simd, const SPARSE: bool>(&mut self) {
        let Block { beta, row, groups, .. } = self.block;
        if SPARSE && self.steps == 0 && *beta == 1.0 && row.is_none() {
            return; // C ← C
        }
        for group in groups.iter().filter(|group| !group.columns.is_empty()) {
            self.vectors::<S, SPARSE>(group);
        }
    }

    /// Finds the micro-kernel for the vectors of these tiles.
    #[inline(always)]
    fn vectors<S: Simd, const SPARSE: bool>(&mut self, group: &Group) {
        let most = tile::<S, SPARSE>().vectors;
        match group.vectors {
            1 => self.rows::<S, SPARSE, 1>(group),
            2 => self.rows::<S, SPARSE, 2>(group),
            3 if most >= 3 => self.rows::<S, SPARSE, 3>(group),
            4 if most >= 4 => self.rows::<S, SPARSE, 4>(group),
            vectors => unreachable!("a tile of {vectors} vectors"),
        }
    }

    /// Finds the micro-kernel for the rows of the panel.
    #[inline(always)]
    fn rows<S: Simd, const SPARSE: bool, const VECTORS: usize>(&mut self, group: &Group) {
        let most = tile::<S, SPARSE>().rows;
        match self.rows {
            1 => S::nested(MicroKernel::<SPARSE, 1, VECTORS>(self, group)),
            2 => S::nested(MicroKernel::<SPARSE, 2, VECTORS>(self, group)),
            3 => S::nested(MicroKernel::<SPARSE, 3, VECTORS>(self, group)),
            4 if most >= 4 => S::nested(MicroKernel::<SPARSE, 4, VECTORS>(self, group)),
            5 if most >= 5 => S::nested(MicroKernel::<SPARSE, 5, VECTORS>(self, group)),
            6 if most >= 6 => S::nested(MicroKernel::<SPARSE, 6, VECTORS>(self, group)),
            7 if most >= 7 => S::nested(MicroKernel::<SPARSE, 7, VECTORS>(self, group)),
            8 if most >= 8 => S::nested(MicroKernel::<SPARSE, 8, VECTORS>(self, group)),
            rows => unreachable!("a tile of {rows} rows"),
        }
    }
}

/// The inner loops, for a group of a panel's tiles: everything above only decides what they are given. A tile has `ROWS` rows
/// of `VECTORS` vectors.
struct MicroKernel<'p, 'a, const SPARSE: bool, const ROWS: usize, const VECTORS: usize>(&'p mut Panel<'a>, &'p Group);

impl<const SPARSE: bool, const ROWS: usize, const VECTORS: usize> Operation
    for MicroKernel<'_, '_, SPARSE, ROWS, VECTORS>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let MicroKernel(panel, &Group { first, ref columns, .. }) = self;
        let Panel { block, a, steps, ahead, fetches, ref mut c, .. } = *panel;
        let Block { depth, ref a_rows, a_column, fetches_a, b, b_row, packed, beta, row, c_row, .. } = *block;
        let width = VECTORS * S::LANES;
        let tiles = columns.len() / width;
        let (strips, b_step, strip, start) = match packed {
            Some((strips, step, strip)) => (strips, step, strip, first * strip),
            None => (b, b_row, width, columns.start),
        };
        assert!(columns.len().is_multiple_of(width));
        assert!((ROWS - 1) * c_row + columns.end <= c.len() && row.is_none_or(|row| columns.end <= row.len()));
        let last = if SPARSE { steps.checked_ilog2().map(|k| k as usize) } else { depth.checked_sub(1) };
        if let Some(k) = last {
            assert!(start + (tiles - 1) * strip + k * b_step + width <= strips.len());
            assert!(a_rows[..ROWS].iter().all(|row| row + k * a_column < a.len()));
        }
        // SAFETY: what is asserted above is that the last number that is read or written, in the last row, at the last step
        // and in the last vector, is in its slice. The processor has S: see `Target`.
        unsafe {
            for (tile, j) in columns.clone().step_by(width).enumerate() {
                let from = strips.as_ptr().wrapping_add(start + tile * strip); // beyond B where k = 0
                let c = c.as_mut_ptr().add(j);
                let mut acc = [[load::<S>([0.0; 16].as_ptr()); VECTORS]; ROWS];
                if beta == 1.0 && row.is_none() {
                    for (r, acc) in acc.iter_mut().enumerate() {
                        *acc = load_vectors::<S, VECTORS>(c.add(r * c_row));
                    }
                } else {
                    let row = match row {
                        Some(row) => load_vectors::<S, VECTORS>(row.as_ptr().add(j)),
                        // x + -0.0 is x, whatever its sign.
                        None => [load::<S>([if beta == 0.0 { 0.0 } else { -0.0 }; 16].as_ptr()); VECTORS],
                    };
                    acc = [row; ROWS];
                    if beta != 0.0 {
                        for (r, acc) in acc.iter_mut().enumerate() {
                            let old = load_vectors::<S, VECTORS>(c.add(r * c_row));
                            for (acc, old) in acc.iter_mut().zip(old) {
                                *acc = S::multiply_add(beta, old, *acc);
                            }
                        }
                    }
                }
                for r in 0..ROWS {
                    fetch::<S, VECTORS, true>(c.wrapping_add(r * c_row + width)); // the next tile of C
                }
                if SPARSE {
                    let mut left = steps;
                    while left != 0 {
                        let k = left.trailing_zeros() as usize;
                        let from = from.add(k * b_step);
                        fetch::<S, VECTORS, true>(from.wrapping_add(width)); // the next tile's
                        step::<S, ROWS, VECTORS>(a.as_ptr().add(k * a_column), a_rows, from, &mut acc);
                        left &= left - 1;
                    }
                } else {
                    let fetches_a = fetches_a && first + tile == 0;
                    let run = if fetches_a || fetches > 0 { RUN } else { depth };
                    let (mut k, mut to) = (0, b.as_ptr().wrapping_add(j + ahead * b_row));
                    while k < depth {
                        for _ in 0..fetches {
                            fetch::<S, VECTORS, false>(to);
                            to = to.wrapping_add(b_row);
                        }
                        if fetches_a {
                            for row in &a_rows[..ROWS] {
                                S::prefetch::<false>(a.as_ptr().wrapping_add(row + ROWS * a_rows[1] + k)); // the next panel's
                            }
                        }
                        let end = depth.min(k + run);
                        while k < end {
                            let a = a.as_ptr().add(k * a_column);
                            step::<S, ROWS, VECTORS>(a, a_rows, from.add(k * b_step), &mut acc);
                            k += 1;
                        }
                    }
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

// Functions and loops instead of closures: the compiler does not always inline a closure, and then compiles it for the oldest
// processor.

/// One vector.
#[inline(always)]
unsafe fn load<S: Simd>(from: *const f32) -> S::Vector {
    // SAFETY: what it points to is the caller's word.
    unsafe { from.cast::<S::Vector>().read_unaligned() }
}

/// Some vectors side by side.
#[inline(always)]
unsafe fn load_vectors<S: Simd, const VECTORS: usize>(from: *const f32) -> [S::Vector; VECTORS] {
    // SAFETY: the same.
    unsafe {
        let mut vectors = [load::<S>(from); VECTORS];
        for (v, vector) in vectors.iter_mut().enumerate() {
            *vector = load::<S>(from.add(v * S::LANES));
        }
        vectors
    }
}

/// Has the lines of so many vectors side by side fetched.
#[inline(always)]
fn fetch<S: Simd, const VECTORS: usize, const NEAREST: bool>(from: *const f32) {
    for line in 0..(VECTORS * S::LANES).div_ceil(LINE_NUMBERS) {
        S::prefetch::<NEAREST>(from.wrapping_add(line * LINE_NUMBERS));
    }
}

/// One step of `k` for the tile `acc`: from `a`, the number in the first row, and `b`, the first vector. Whichever are fewer, its
/// numbers or its vectors, stay in registers while the others come one by one: with 3 rows × 4 vectors that is all 16 of AVX2.
#[inline(always)]
unsafe fn step<S: Simd, const ROWS: usize, const VECTORS: usize>(
    a: *const f32,
    a_rows: &[usize; MOST_ROWS],
    b: *const f32,
    acc: &mut [[S::Vector; VECTORS]; ROWS],
) {
    // SAFETY: where the pointers lead is the caller's word. The processor has S: see `Target`.
    unsafe {
        if VECTORS > ROWS {
            let mut numbers = [0.0; ROWS];
            for (number, row) in numbers.iter_mut().zip(a_rows) {
                *number = *a.add(*row);
            }
            for v in 0..VECTORS {
                let b = load::<S>(b.add(v * S::LANES));
                for (acc, a) in acc.iter_mut().zip(numbers) {
                    acc[v] = S::multiply_add(a, b, acc[v]);
                }
            }
        } else {
            let b = load_vectors::<S, VECTORS>(b);
            for (row, acc) in a_rows.iter().zip(acc) {
                let a = *a.add(*row);
                for (acc, b) in acc.iter_mut().zip(b) {
                    *acc = S::multiply_add(a, b, *acc);
                }
            }
        }
    }
}
