//! Flat row-major matrices and their products.

use std::array::from_fn;

use crate::math::kernel::product::Product;
use crate::math::kernel::{Kernel, Operation, Simd, transpose_block};

/// The bytes of a cache line, which is also the widest vector.
pub(crate) const LINE: usize = 64;
pub(crate) const LINE_NUMBERS: usize = LINE / size_of::<f32>();

/// A matrix of `rows × columns`, row after row in one flat vector.
///
/// Each row begins at the start of a cache line and is padded to whole lines. So no vector straddles two lines, which would
/// both have to be loaded; a row is a whole number of vectors; and no two rows share a line, for which threads would fight.
/// A long row takes an odd number of lines: a power of two apart, the rows of a block would meet in a few places of the cache.
#[derive(Debug, Default)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    /// Unused numbers up to `start`, then row after row, and at least a line of unused numbers: a whole vector can be loaded
    /// from the place of any number.
    flat: Vec<f32>,
    start: usize,
}

impl Matrix {
    /// How many lines a row takes.
    fn lines(columns: usize) -> usize {
        let lines = columns.max(1).div_ceil(LINE_NUMBERS);
        if lines > 8 { lines | 1 } else { lines }
    }

    /// How long `flat` must be, if that fits into a usize.
    fn flat_length(rows: usize, columns: usize) -> Option<usize> {
        rows.checked_mul(Matrix::lines(columns))?.checked_add(2)?.checked_mul(LINE_NUMBERS)
    }

    /// `rows × columns` zeros.
    ///
    /// # Panics
    /// If they do not fit into memory.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        let flat = vec![0.0; Matrix::flat_length(rows, columns).expect("a matrix that fits into memory")];
        // If alignment fails, results are still correct, only slower.
        let start = flat.as_ptr().align_offset(LINE).min(LINE_NUMBERS);
        Matrix { rows, columns, flat, start }
    }

    /// A copy of the numbers in `data`, row after row.
    ///
    /// # Panics
    /// If `data` does not hold `rows · columns` numbers.
    pub fn from_rows(rows: usize, columns: usize, data: &[f32]) -> Self {
        assert_eq!(data.len(), rows * columns, "as many numbers as {rows} × {columns} has");
        let mut matrix = Matrix::zeros(rows, columns);
        matrix.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
        matrix
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How far apart two rows are in memory: never 0, so that a slice can always be cut into them.
    pub fn stride(&self) -> usize {
        Matrix::lines(self.columns) * LINE_NUMBERS
    }

    /// All numbers, row after row.
    pub fn iter(&self) -> impl Iterator<Item = &f32> {
        (0..self.rows).flat_map(|i| self.row(i))
    }

    /// A copy of all numbers, row after row.
    pub fn to_vec(&self) -> Vec<f32> {
        self.iter().copied().collect()
    }

    /// All numbers, row after row, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut f32> {
        let (columns, stride) = (self.columns, self.stride());
        self.padded_mut().chunks_exact_mut(stride).flat_map(move |row| &mut row[..columns])
    }

    /// All rows with their padding, a row every [`Matrix::stride`] numbers. What pads a row is finite, and nobody reads it: what
    /// is done with each number by itself may be done with it too.
    pub fn padded(&self) -> &[f32] {
        &self.flat[self.start..][..self.rows * self.stride()]
    }

    /// The same, to change.
    pub fn padded_mut(&mut self) -> &mut [f32] {
        let count = self.rows * self.stride();
        &mut self.flat[self.start..][..count]
    }

    /// All rows with their padding, and the unused numbers that follow.
    pub(crate) fn and_beyond(&self) -> &[f32] {
        &self.flat[self.start..]
    }

    /// Row `i`: `columns` numbers.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.padded()[i * self.stride()..][..self.columns]
    }

    /// Row `i`, to change.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        let (columns, stride) = (self.columns, self.stride());
        &mut self.padded_mut()[i * stride..][..columns]
    }

    /// Makes this a matrix of `rows × columns` whose numbers are unspecified: a buffer that is about to be filled. Allocates
    /// only if the memory it has is too little.
    pub fn reshape(&mut self, rows: usize, columns: usize) {
        if (rows, columns) == (self.rows, self.columns) {
            return;
        }
        if Matrix::flat_length(rows, columns).is_none_or(|length| length > self.flat.len()) {
            return *self = Matrix::zeros(rows, columns);
        }
        (self.rows, self.columns) = (rows, columns);
        let stride = self.stride();
        self.padded_mut().chunks_exact_mut(stride).for_each(|row| row[columns..].fill(0.0));
    }
}

impl Clone for Matrix {
    fn clone(&self) -> Self {
        let mut matrix = Matrix::zeros(self.rows, self.columns);
        matrix.padded_mut().copy_from_slice(self.padded());
        matrix
    }
}

impl PartialEq for Matrix {
    fn eq(&self, other: &Self) -> bool {
        (self.rows, self.columns) == (other.rows, other.columns) && self.iter().eq(other.iter())
    }
}

/// `C ← β·C + A·B` with `A: m × k`, `B: k × n`, `C: m × n`. Each element is `β·c`, or 0 if β is, then one multiply-add for each
/// `k` in order, so its bits do not depend on the shapes around it.
///
/// # Panics
/// If the shapes do not fit; so do all below.
pub fn matmul(kernel: Kernel, a: &Matrix, b: &Matrix, beta: f32, c: &mut Matrix) {
    Product { beta, ..Product::new(a, b) }.write_to(kernel, c);
}

/// `C ← β·C + Aᵀ·B` with `A: k × m`, `B: k × n`, `C: m × n`.
pub fn matmul_transposed_a(kernel: Kernel, a: &Matrix, b: &Matrix, beta: f32, c: &mut Matrix) {
    Product { transpose_a: true, beta, ..Product::new(a, b) }.write_to(kernel, c);
}

/// `C ← A·Bᵀ` with `A: m × k`, `B: n × k`; C takes the shape `m × n`. As `Cᵀ = B·Aᵀ` where B is the larger, as the weights
/// of a layer are beside the numbers of a batch. `scratch` takes what is transposed.
pub fn matmul_transposed_b(kernel: Kernel, a: &Matrix, b: &Matrix, c: &mut Matrix, scratch: &mut [Matrix; 2]) {
    let [transposed, c_transposed] = scratch;
    if b.rows * b.columns < a.rows * (a.columns + b.rows) {
        transpose(kernel, b, transposed);
        c.reshape(a.rows, b.rows);
        matmul(kernel, a, transposed, 0.0, c);
    } else {
        transpose(kernel, a, transposed);
        c_transposed.reshape(b.rows, a.rows);
        matmul(kernel, b, transposed, 0.0, c_transposed);
        transpose(kernel, c_transposed, c);
    }
}

/// Moving a number, or computing an activation, takes as long as so many floating-point operations of a product.
pub(crate) const MOVE: usize = 64;

/// `to ← fromᵀ`; `to` takes that shape.
pub fn transpose(kernel: Kernel, from: &Matrix, to: &mut Matrix) {
    to.reshape(from.columns, from.rows);
    let kernel = kernel.for_work(MOVE * from.rows * from.columns);
    let stride = to.stride();
    kernel.each_part(to.padded_mut(), from.columns, 64, |to, first| transpose_strips(from, first, to, stride));
}

/// `to`, a row every `stride` numbers, `←` the transpose of the columns of `from` from `first` on, as many as `to` has rows.
#[inline(always)]
fn transpose_strips(from: &Matrix, first: usize, to: &mut [f32], stride: usize) {
    let (rows, from_stride, from) = (from.rows, from.stride(), from.padded());
    // Some rows at a time, which stay in the nearest cache until they are done.
    for (chunk, from) in from.chunks(64 * from_stride).enumerate() {
        for (strip, j) in to.chunks_exact_mut(4 * stride).zip((first..).step_by(4)) {
            // Four rows of the result side by side, each written from left to right.
            let mut strip = strip.chunks_exact_mut(stride);
            let mut strip: [&mut [f32]; 4] = from_fn(|_| strip.next().unwrap_or_default());
            let mut blocks = strip.each_mut().map(|row| row[64 * chunk..].as_chunks_mut().0);
            for (i, block) in from.chunks_exact(4 * from_stride).enumerate() {
                let block = transpose_block(from_fn(|r| from_fn(|c| block[r * from_stride + j..][..4][c])));
                for (row, values) in blocks.iter_mut().zip(block) {
                    row[i] = values;
                }
            }
        }
    }
    let (row_end, column_end) = (rows - rows % 4, to.len() / stride / 4 * 4);
    for i in 0..rows {
        for j in if i < row_end { column_end } else { 0 }..to.len() / stride {
            to[j * stride + i] = from[i * from_stride + first + j];
        }
    }
}

/// `sum ←` the sum of A's rows, `1 × columns`.
pub fn sum_rows(kernel: Kernel, a: &Matrix, sum: &mut Matrix) {
    sum.reshape(1, a.columns);
    let kernel = kernel.for_work(MOVE * a.rows * a.columns);
    // One part a thread: the longer the piece of each row, the sooner the processor sees what is read next.
    let part = a.stride().div_ceil(kernel.threads()).next_multiple_of(LINE_NUMBERS);
    kernel.each_part(sum.padded_mut(), a.stride(), part, |sum, first| kernel.run(SumRows { a, first, sum }));
}

/// The sums of the columns from `first` on, as many as there are in `sum`.
struct SumRows<'a> {
    a: &'a Matrix,
    first: usize,
    sum: &'a mut [f32],
}

impl<'a> Operation for SumRows<'a> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let SumRows { a, first, sum } = self;
        sum.fill(0.0);
        let (stride, sum) = (a.stride(), sum.as_chunks_mut::<LINE_NUMBERS>().0);
        let lines = |row: &'a [f32]| row[first..].as_chunks::<LINE_NUMBERS>().0;
        // Two rows at a time, so that the sum is read and written half as often.
        let mut pairs = a.padded().chunks_exact(2 * stride);
        for pair in &mut pairs {
            let (a, b) = pair.split_at(stride);
            for ((sum, a), b) in sum.iter_mut().zip(lines(a)).zip(lines(b)) {
                for line in [a, b] {
                    // Eight rows ahead: where a part of a row goes on, the processor cannot tell.
                    S::prefetch::<true>(line.as_ptr().wrapping_add(8 * stride));
                }
                *sum = from_fn(|i| sum[i] + (a[i] + b[i]));
            }
        }
        for row in pairs.remainder().chunks_exact(stride) {
            for (sum, a) in sum.iter_mut().zip(lines(row)) {
                *sum = from_fn(|i| sum[i] + a[i]);
            }
        }
    }
}
