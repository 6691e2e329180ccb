//! Flat row-major matrices and their products.

use std::array::from_fn;

use crate::math::kernel::product::Product;
use crate::math::kernel::{Kernel, Operation, Simd, transpose_block};

/// The bytes of a cache line, which is also the widest vector.
pub(crate) const LINE: usize = 64;
pub(crate) const LINE_NUMBERS: usize = LINE / size_of::<f32>();

/// A matrix of `rows × columns`, row after row in one flat vector.
///
/// The numbers begin at the start of a cache line, because a vector that straddles two lines has to be loaded from both. At
/// least a line of unused numbers follows, so that a whole vector can be loaded from the place of any number.
#[derive(Debug, Default)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    /// Unused numbers up to `start`, row after row, and unused numbers again.
    flat: Vec<f32>,
    start: usize,
}

impl Matrix {
    /// How long `flat` must be, if that fits into a usize.
    fn flat_length(rows: usize, columns: usize) -> Option<usize> {
        rows.checked_mul(columns)?.checked_add(2 * LINE_NUMBERS)
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
        let mut matrix = Matrix::zeros(rows, columns);
        matrix.data_mut().copy_from_slice(data);
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

    /// All numbers, row after row.
    pub fn data(&self) -> &[f32] {
        &self.padded()[..self.rows * self.columns]
    }

    /// All numbers, row after row, to change.
    pub fn data_mut(&mut self) -> &mut [f32] {
        let count = self.rows * self.columns;
        &mut self.flat[self.start..][..count]
    }

    /// All numbers, and the unused ones that follow.
    pub(crate) fn padded(&self) -> &[f32] {
        &self.flat[self.start..]
    }

    /// Row `i`: `columns` numbers.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data()[i * self.columns..][..self.columns]
    }

    /// Row `i`, to change.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        let columns = self.columns;
        &mut self.data_mut()[i * columns..][..columns]
    }

    /// Makes this a matrix of `rows × columns` whose numbers are unspecified: a buffer that is about to be filled. Allocates
    /// only if the memory it has is too little.
    pub fn reshape(&mut self, rows: usize, columns: usize) {
        if Matrix::flat_length(rows, columns).is_some_and(|length| length <= self.flat.len()) {
            (self.rows, self.columns) = (rows, columns);
        } else {
            *self = Matrix::zeros(rows, columns);
        }
    }
}

impl Clone for Matrix {
    fn clone(&self) -> Self {
        Matrix::from_rows(self.rows, self.columns, self.data())
    }
}

impl PartialEq for Matrix {
    fn eq(&self, other: &Self) -> bool {
        (self.rows, self.columns, self.data()) == (other.rows, other.columns, other.data())
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
    if b.data().len() < a.data().len() + a.rows * b.rows {
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
    let (rows, columns) = (from.rows, from.columns);
    to.reshape(columns, rows);
    let kernel = kernel.for_work(MOVE * rows * columns);
    kernel.each_part(to.data_mut(), columns, 64, |to, first| transpose_strips(from.data(), columns, first, to, rows));
}

/// `to ←` the transpose of the columns of `from` from `first` on, as many as `to` has rows.
#[inline(always)]
fn transpose_strips(from: &[f32], columns: usize, first: usize, to: &mut [f32], rows: usize) {
    // chunks_exact takes no zero; without a row or a column there is nothing to do.
    let mut strips = to.chunks_exact_mut(4 * rows.max(1));
    for (strip, j) in (&mut strips).zip((first..).step_by(4)) {
        // Four rows of the result side by side, each written from left to right.
        let mut strip = strip.chunks_exact_mut(rows);
        let mut strip: [&mut [f32]; 4] = from_fn(|_| strip.next().unwrap_or_default());
        let mut blocks = strip.each_mut().map(|row| row.as_chunks_mut().0);
        for (i, block) in from.chunks_exact(4 * columns).enumerate() {
            let block = transpose_block(from_fn(|r| from_fn(|c| block[r * columns + j..][..4][c])));
            for (row, values) in blocks.iter_mut().zip(block) {
                row[i] = values;
            }
        }
    }
    let (row_end, column_end) = (rows - rows % 4, to.len() / rows.max(1) / 4 * 4);
    for i in 0..rows {
        for j in if i < row_end { column_end } else { 0 }..to.len() / rows {
            to[j * rows + i] = from[i * columns + first + j];
        }
    }
}

/// `sum ←` the sum of A's rows.
///
/// # Panics
/// If `sum` does not have a number for each column.
pub fn sum_rows(kernel: Kernel, a: &Matrix, sum: &mut [f32]) {
    assert_eq!(sum.len(), a.columns);
    let kernel = kernel.for_work(MOVE * a.rows * a.columns);
    kernel.each_part(sum, a.columns, LINE_NUMBERS, |sum, first| kernel.run(SumRows { a, first, sum }));
}

/// The sums of the columns from `first` on, as many as there are in `sum`.
struct SumRows<'a> {
    a: &'a Matrix,
    first: usize,
    sum: &'a mut [f32],
}

impl Operation for SumRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let SumRows { a, first, sum } = self;
        sum.fill(0.0);
        // Two rows at a time, so that the sum is read and written half as often.
        let columns = a.columns.max(1); // chunks_exact takes no zero
        let mut pairs = a.data().chunks_exact(2 * columns);
        for pair in &mut pairs {
            let (a, b) = pair.split_at(columns);
            for ((sum, a), b) in sum.iter_mut().zip(&a[first..]).zip(&b[first..]) {
                *sum += a + b;
            }
        }
        for (sum, x) in sum.iter_mut().zip(pairs.remainder().get(first..).unwrap_or_default()) {
            *sum += x;
        }
    }
}
