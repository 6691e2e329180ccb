//! The dense matrix product `C ← β·C + (bias + A·B)`, with `A: m × k`, `B: k × n`, `C: m × n`. In
//! `tiny.rs` it is `product`.
//!
//! # The plain loop
//!
//! ```text
//! for i in 0..m { for j in 0..n {
//!     let mut sum = bias[j];                        // or 0
//!     for k in 0..k { sum = a[i][k]·b[k][j] + sum } // one fused multiply-add for each k, in order
//!     c[i][j] = β·c[i][j] + sum                     // one fused multiply-add, if β is not 0
//! } }
//! ```
//!
//! That is the definition, bit by bit; what follows changes only which element is computed when.
//! The sum is complete before it is added to C, so that a small step is not lost in the rounding of
//! a weight.
//!
//! # The tile
//!
//! The plain loop reads two elements for each multiply-add, and a processor can do far more
//! multiply-adds than reads. So a *tile* of C, some rows by some vectors of columns, stays in
//! registers while k goes by:
//!
//! ```text
//!                     b[k][j..]          two vectors of a row of B, each read once …
//!                 ┌───────┬───────┐
//!                 └───────┴───────┘
//!  a[i+0][k] ▪    │ acc00 │ acc01 │      … and used for every row of the tile;
//!  a[i+1][k] ▪    │ acc10 │ acc11 │      one element of A, copied to all lanes,
//!  a[i+2][k] ▪    │ acc20 │ acc21 │      is used for both vectors: acc += a · b
//!      ⋮                 ⋮
//! ```
//!
//! With 6 rows × 2 vectors of 8 lanes, 8 reads feed 96 multiply-adds. A processor starts two vector
//! multiply-adds a cycle and takes four cycles for each, so at least eight accumulators are needed;
//! the tile has as many as fit the registers. `Vector::tile` is compiled for each shape, since
//! only then can the accumulators be registers; where rows or columns end, a tile is smaller.
//!
//! Around the tile are three loops: blocks of columns; *panels*, the rows of a tile in all columns
//! of a block; tiles. A block of B stays in L2 while all panels go by, a panel of A in L1.
//!
//! # What was added, and what it gains
//!
//! Measured by taking it out: an epoch of the README's networks on an AMD EPYC (Zen 3, AVX2, L2 of
//! 512 KiB), one thread, pairs in one process, medians; two equal versions differed by up to 4 %.
//!
//! - B is packed where many rows use it: 5 to 7 % (1000-500 at batch 512, 2500-…-500).
//! - A transposed A is packed, panel by panel: 7 % (1000-500 at batch 128).
//! - Rows of B are prefetched while they are packed: 5 to 8 % (the same networks as the first).
//! - `black_box`, in the tile: 8 to 9 % (the same).
//! - Rows of an odd number of cache lines, in `Matrix`: 13 % (512-256 at batch 64).
//!
//! Out again, as nothing gained 5 % by them: blocks of k, tiles of equal sizes, transposing blocks
//! of 4 × 4 in registers, prefetching the weights of the pixels that come next.

use std::array::from_fn;
use std::cell::RefCell;
use std::hint::black_box;
use std::ptr;

use super::{Cpu, Shared, Vector, prefetch};
use crate::for_each_instruction_set;
use crate::math::matrix::{Matrix, transpose};

/// The most elements of a block of B: 256 KiB, half of the smallest L2 that we know (512 KiB, AMD
/// Zen).
const BLOCK_LEN: usize = 1 << 16;
/// The fewest rows for which a block of B is packed: found by trying 24 to 256 on AMD Zen 3.
const PACKED_ROWS: usize = 128;
/// A B of fewer elements stays in L2 by itself and is not packed.
const NEAR_LEN: usize = 1 << 15;
/// While row k of B is packed, row k + 8 is prefetched.
const PREFETCH_ROWS: usize = 8;
/// The most rows of a tile on any processor; so wide are packed panels of A.
const PANEL_ROWS: usize = 8;

/// `C ← β·C + A·B` with `A: m × k`, `B: k × n`, `C: m × n`.
///
/// # Panics
/// If the shapes do not fit; so do all below.
pub fn matmul(cpu: Cpu, a: &Matrix, b: &Matrix, beta: f32, c: &mut Matrix) {
    Product { beta, ..Product::new(a, b) }.write_to(cpu, c);
}

/// `C ← β·C + Aᵀ·B` with `A: k × m`, `B: k × n`, `C: m × n`.
pub fn matmul_transposed_a(cpu: Cpu, a: &Matrix, b: &Matrix, beta: f32, c: &mut Matrix) {
    Product { transpose_a: true, beta, ..Product::new(a, b) }.write_to(cpu, c);
}

/// `C ← A·Bᵀ` with `A: m × k`, `B: n × k`; C takes the shape `m × n`. As `Cᵀ = B·Aᵀ` where B is the
/// larger, as weights are beside a batch. `scratch` takes what is transposed.
pub fn matmul_transposed_b(
    cpu: Cpu,
    a: &Matrix,
    b: &Matrix,
    c: &mut Matrix,
    scratch: &mut [Matrix; 2],
) {
    let [transposed, c_transposed] = scratch;
    if b.rows() * b.columns() < a.rows() * (a.columns() + b.rows()) {
        transpose(cpu, b, transposed);
        c.reshape(a.rows(), b.rows());
        matmul(cpu, a, transposed, 0.0, c);
    } else {
        transpose(cpu, a, transposed);
        c_transposed.reshape(b.rows(), a.rows());
        matmul(cpu, b, transposed, 0.0, c_transposed);
        transpose(cpu, c_transposed, c);
    }
}

/// `C ← β·C + (bias + A·B)`, or with `Aᵀ`; see the head of this file.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// A: `m × k`, or `k × m` if it is transposed.
    pub a: &'a Matrix,
    /// Whether it is.
    pub transpose_a: bool,
    /// B: `k × n`.
    pub b: &'a Matrix,
    /// β; if it is 0, C is not read.
    pub beta: f32,
    /// What the sums of each row of C begin with: `1 × n`, or none for 0.
    pub bias: Option<&'a Matrix>,
}

impl<'a> Product<'a> {
    /// `C ← A·B`, which fields may change.
    pub fn new(a: &'a Matrix, b: &'a Matrix) -> Self {
        Product { a, transpose_a: false, b, beta: 0.0, bias: None }
    }

    /// Computes `C`, `m × n`. Threads share a large product: they cut the longer side of C.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn write_to(self, cpu: Cpu, c: &mut Matrix) {
        let Product { a, transpose_a, b, beta, bias } = self;
        let m = c.rows();
        let n = c.columns();
        let k = b.rows();
        let a_shape = if transpose_a { (k, m) } else { (m, k) };
        assert!((a.rows(), a.columns()) == a_shape && b.columns() == n, "the shapes do not fit");
        assert!(
            bias.is_none_or(|bias| (bias.rows(), bias.columns()) == (1, n)),
            "the bias does not fit"
        );
        let cpu = cpu.for_work(2 * m * n * k);
        let (rows, columns) = match m > n {
            true => (cpu.chunk_len(m, 24), n.max(1)), // whole panels of 6 and of 8 rows
            false => (m.max(1), cpu.chunk_len(n, 64)),
        };
        let c_row = c.stride();
        let c = Shared(c.padded_mut().as_mut_ptr());
        let parts = (0..m).step_by(rows).flat_map(|i| (0..n).step_by(columns).map(move |j| (i, j)));
        cpu.each(parts, |(i, j)| {
            let (row_step, column) = if transpose_a { (1, a.stride()) } else { (a.stride(), 1) };
            let a = View { at: a.and_beyond().as_ptr(), row: row_step, column };
            let part = Part {
                k,
                a: a.from(i, 0),
                b: b.padded().as_ptr().wrapping_add(j),
                b_row: b.stride(),
                bias: bias.map_or(ptr::null(), |bias| bias.padded()[j..].as_ptr()),
                beta,
                c: c.at(i * c_row + j),
                c_row,
            };
            multiply(cpu, part, rows.min(m - i), columns.min(n - j));
        });
    }
}

/// Where the elements of A lie: the first of them, and how far apart its rows and columns are.
#[derive(Clone, Copy)]
struct View {
    at: *const f32,
    row: usize,
    column: usize,
}

impl View {
    /// The part that begins with this row and column.
    #[inline(always)]
    fn from(self, row: usize, column: usize) -> View {
        View { at: self.at.wrapping_add(row * self.row + column * self.column), ..self }
    }
}

/// Where a part of C lies, down to a tile, and what it is computed from. All pointers lead to its
/// first row and column. Rows are padded to whole vectors, so the last vector of the columns lies
/// within them.
pub(super) struct Part {
    k: usize,
    a: View,
    b: *const f32,
    b_row: usize,
    /// Null for none.
    bias: *const f32,
    beta: f32,
    c: *mut f32,
    c_row: usize,
}

thread_local! {
    /// What this thread has packed: a block of B and a panel of A.
    static PACKED: RefCell<[Vec<f32>; 2]> = RefCell::default();
}

for_each_instruction_set! {
    fn multiply(part: Part, rows: usize, columns: usize) {
        // SAFETY: `Product::write_to` has compared the shapes, and the processor has these
        // instructions.
        unsafe { blocks::<V>(&part, rows, columns) }
    }
}

/// Whether B is packed, `k × columns`, for this many rows of C.
#[doc(hidden)] // for tests
pub fn packs(rows: usize, k: usize, columns: usize) -> bool {
    rows >= PACKED_ROWS && k * columns > NEAR_LEN
}

/// The loops over blocks of columns, over panels and over tiles.
#[inline(always)]
unsafe fn blocks<V: Vector>(part: &Part, rows: usize, columns: usize) {
    let &Part { k, a, b, b_row, bias, beta, c, c_row } = part;
    let packs = packs(rows, k, columns);
    let [mut packed_b, mut packed_a] = if packs { PACKED.take() } else { Default::default() };
    let strip = V::TILE.1 * V::LANES;
    let block = (BLOCK_LEN / k.max(1)).max(strip) / strip * strip;
    let end = columns.next_multiple_of(V::LANES);
    for first in (0..end).step_by(block) {
        let end = end.min(first + block);
        let b = b.wrapping_add(first);
        if packs {
            packed_b.resize(packed_b.len().max(k * (end - first)), 0.0);
            // SAFETY: the block is part of B, and there is room for it.
            unsafe { pack_b::<V>(b, b_row, k, end - first, packed_b.as_mut_ptr()) };
        }
        for i in (0..rows).step_by(V::TILE.0) {
            let rows = V::TILE.0.min(rows - i);
            let mut a = a.from(i, 0);
            if packs && a.row == 1 {
                packed_a.resize(packed_a.len().max(k * PANEL_ROWS), 0.0);
                // SAFETY: a row of A has a whole line of elements from any place on; see `Matrix`.
                unsafe { pack_a(a, k, packed_a.as_mut_ptr()) };
                a = View { at: packed_a.as_ptr(), row: 1, column: PANEL_ROWS };
            }
            for j in (first..end).step_by(strip) {
                let width = strip.min(end - j);
                let (b, b_row) = match packs {
                    true => (packed_b.as_ptr().wrapping_add((j - first) * k), width),
                    false => (b.wrapping_add(j - first), b_row),
                };
                let bias = if bias.is_null() { bias } else { bias.wrapping_add(j) };
                let c = c.wrapping_add(i * c_row + j);
                let tile = Part { k, a, b, b_row, bias, beta, c, c_row };
                // SAFETY: the tile is part of the part, and the processor has these instructions.
                unsafe { micro_kernel::<V>(rows, width / V::LANES)(&tile) };
            }
        }
    }
    if packs {
        PACKED.set([packed_b, packed_a]);
    }
}

/// Packs `columns` columns of B: strip after strip, as wide as a tile, each row after row.
#[inline(always)]
unsafe fn pack_b<V: Vector>(
    b: *const f32,
    b_row: usize,
    k: usize,
    columns: usize,
    packed: *mut f32,
) {
    let strip = V::TILE.1 * V::LANES;
    for step in 0..k {
        for j in (0..columns).step_by(strip) {
            let width = strip.min(columns - j);
            let from = b.wrapping_add(step * b_row + j);
            prefetch(from.wrapping_add(PREFETCH_ROWS * b_row));
            for i in (0..width).step_by(V::LANES) {
                // SAFETY: `packed` has room for all steps of all columns, as the caller says.
                unsafe { V::load(from.add(i)).store(packed.add(j * k + step * width + i)) };
            }
        }
    }
}

/// Packs a panel of a transposed A, so that it does not lie in as many pages of memory as it has
/// steps.
#[inline(always)]
unsafe fn pack_a(a: View, k: usize, packed: *mut f32) {
    for step in 0..k {
        // SAFETY: the caller's word.
        unsafe {
            let from = a.from(0, step).at.cast::<[f32; PANEL_ROWS]>();
            let to = packed.add(step * PANEL_ROWS).cast::<[f32; PANEL_ROWS]>();
            to.write_unaligned(from.read_unaligned());
        }
    }
}

/// The function that computes a tile of these rows and vectors.
#[inline(always)]
fn micro_kernel<V: Vector>(rows: usize, vectors: usize) -> unsafe fn(&Part) {
    match vectors {
        1 => micro_kernel_of::<V, 1>(rows),
        2 => micro_kernel_of::<V, 2>(rows),
        3 if V::TILE.1 >= 3 => micro_kernel_of::<V, 3>(rows),
        _ => unreachable!("a tile of {vectors} vectors"),
    }
}

#[inline(always)]
fn micro_kernel_of<V: Vector, const VECTORS: usize>(rows: usize) -> unsafe fn(&Part) {
    match rows {
        1 => V::tile::<1, VECTORS>,
        2 => V::tile::<2, VECTORS>,
        3 => V::tile::<3, VECTORS>,
        4 => V::tile::<4, VECTORS>,
        5 if V::TILE.0 >= 5 => V::tile::<5, VECTORS>,
        6 if V::TILE.0 >= 6 => V::tile::<6, VECTORS>,
        7 if V::TILE.0 >= 7 => V::tile::<7, VECTORS>,
        8 if V::TILE.0 >= 8 => V::tile::<8, VECTORS>,
        _ => unreachable!("a tile of {rows} rows"),
    }
}

/// The micro-kernel: everything above only decides what it is given.
///
/// # Safety
/// The operands have `ROWS` rows, `VECTORS` vectors of columns and as many steps as the tile says,
/// and the processor has the vector's instructions.
#[inline(always)]
pub(super) unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize>(tile: &Part) {
    let &Part { k, a, b, b_row, bias, beta, c, c_row } = tile;
    // If the compiler saw that these are multiples, it would add them up one after another in each
    // step.
    let a_rows: [usize; ROWS] = black_box(from_fn(|r| r * a.row));
    // SAFETY: the caller's word; a `wrapping_add` leads beyond an operand only after its last step.
    unsafe {
        let mut acc = [[V::load([0.0; 16].as_ptr()); VECTORS]; ROWS];
        if !bias.is_null() {
            acc = [vectors::<V, VECTORS>(bias); ROWS];
        }
        let mut a_step = a.at;
        let mut b_step = b;
        for _ in 0..k {
            let b = vectors::<V, VECTORS>(b_step);
            for (row, acc) in a_rows.iter().zip(&mut acc) {
                let a = *a_step.add(*row);
                for (acc, b) in acc.iter_mut().zip(b) {
                    *acc = V::mul_add(a, b, *acc);
                }
            }
            a_step = a_step.wrapping_add(a.column);
            b_step = b_step.wrapping_add(b_row);
        }
        add_to(acc, beta, c, c_row);
    }
}

/// `C ← β·C + sums`, rows of vectors side by side.
#[inline(always)]
pub(super) unsafe fn add_to<V: Vector, const ROWS: usize, const VECTORS: usize>(
    sums: [[V; VECTORS]; ROWS],
    beta: f32,
    c: *mut f32,
    c_row: usize,
) {
    for (r, sums) in sums.into_iter().enumerate() {
        for (v, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller's word.
            unsafe {
                let c = c.add(r * c_row + v * V::LANES);
                let sum = if beta == 0.0 { sum } else { V::mul_add(beta, V::load(c), sum) };
                sum.store(c);
            }
        }
    }
}

/// Vectors side by side.
#[inline(always)]
pub(super) unsafe fn vectors<V: Vector, const VECTORS: usize>(from: *const f32) -> [V; VECTORS] {
    // SAFETY: the caller's word. A loop, since the compiler does not always inline a closure.
    unsafe {
        let mut vectors = [V::load(from); VECTORS];
        for (v, vector) in vectors.iter_mut().enumerate() {
            *vector = V::load(from.add(v * V::LANES));
        }
        vectors
    }
}
