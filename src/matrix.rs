//! Flat row-major matrices and their products.

use crate::kernel::{Kernel, Product, transpose_block};

/// A matrix of `rows × columns`, row after row in one flat vector.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    data: Vec<f32>,
}

impl Matrix {
    /// `rows × columns` zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Matrix { rows, columns, data: vec![0.0; rows * columns] }
    }

    /// A matrix of the numbers in `data`, row after row.
    ///
    /// # Panics
    /// If `data` does not hold `rows · columns` numbers.
    pub fn from_vec(rows: usize, columns: usize, data: Vec<f32>) -> Self {
        assert_eq!(data.len(), rows * columns, "{rows} × {columns}");
        Matrix { rows, columns, data }
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
        &self.data
    }

    /// All numbers, row after row, to change.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// Row `i`: `columns` numbers.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.columns..][..self.columns]
    }

    /// Row `i`, to change.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.data[i * self.columns..][..self.columns]
    }

    /// Makes this a matrix of `rows × columns` in the memory it has, which grows only if that is too little. What the
    /// numbers are afterwards is not said: a buffer that is about to be filled.
    pub fn reshape(&mut self, rows: usize, columns: usize) {
        (self.rows, self.columns) = (rows, columns);
        self.data.resize(rows * columns, 0.0);
    }

    /// Sets every row to `row`.
    pub fn fill_rows(&mut self, row: &[f32]) {
        assert_eq!(row.len(), self.columns);
        if self.columns > 0 {
            self.data.chunks_exact_mut(self.columns).for_each(|to| to.copy_from_slice(row));
        }
    }
}

/// `C ← β·C + A·B` with `A: m × k`, `B: k × n`, `C: m × n`. Each element is `β·c`, then one multiply-add for each `k` in
/// order, so its bits do not depend on the shapes around it.
///
/// # Panics
/// If the shapes do not fit; so do the two below.
pub fn matmul(kernel: Kernel, a: &Matrix, b: &Matrix, beta: f32, c: &mut Matrix) {
    assert!(a.columns == b.rows && a.rows == c.rows && b.columns == c.columns);
    let (m, n, k) = (c.rows, c.columns, b.rows);
    Product { m, n, k, a: &a.data, transpose_a: false, b: &b.data, beta, c: &mut c.data }.run(kernel);
}

/// `C ← β·C + Aᵀ·B` with `A: k × m`, `B: k × n`, `C: m × n`.
pub fn matmul_transposed_a(kernel: Kernel, a: &Matrix, b: &Matrix, beta: f32, c: &mut Matrix) {
    assert!(a.rows == b.rows && a.columns == c.rows && b.columns == c.columns);
    let (m, n, k) = (c.rows, c.columns, b.rows);
    Product { m, n, k, a: &a.data, transpose_a: true, b: &b.data, beta, c: &mut c.data }.run(kernel);
}

/// `C ← β·C + A·Bᵀ` with `A: m × k`, `B: n × k`, `C: m × n`; `scratch` takes `Bᵀ`.
pub fn matmul_transposed_b(kernel: Kernel, a: &Matrix, b: &Matrix, beta: f32, c: &mut Matrix, scratch: &mut Matrix) {
    transpose(b, scratch);
    matmul(kernel, a, scratch, beta, c);
}

/// `to ← fromᵀ`; `to` takes that shape.
pub fn transpose(from: &Matrix, to: &mut Matrix) {
    let (rows, columns) = (from.rows, from.columns);
    to.reshape(columns, rows);
    let (row_end, column_end) = (rows - rows % 4, columns - columns % 4);
    for i in (0..row_end).step_by(4) {
        let strip: [&[[f32; 4]]; 4] = std::array::from_fn(|r| from.row(i + r).as_chunks().0);
        for j in 0..column_end / 4 {
            for (c, column) in transpose_block(strip.map(|row| row[j])).into_iter().enumerate() {
                to.data[(4 * j + c) * rows + i..][..4].copy_from_slice(&column);
            }
        }
    }
    for i in 0..rows {
        for j in if i < row_end { column_end } else { 0 }..columns {
            to.data[j * rows + i] = from.data[i * columns + j];
        }
    }
}
