//! Flat row-major matrices, and what is done with each element by itself.

use std::array::from_fn;

use crate::for_each_instruction_set;
use crate::math::kernels::Cpu;

/// The bytes of a cache line, which is also the widest vector.
const LINE: usize = 64;
/// The elements of a cache line.
const LINE_LEN: usize = LINE / size_of::<f32>();
/// Moving an element, or computing an activation, takes as long as this many floating-point
/// operations of a product.
const MOVE: usize = 64;

/// A matrix of `rows × columns`, row after row in one flat vector.
///
/// Each row begins at a cache line and is padded to whole lines: it is a whole number of vectors,
/// none of which straddles two lines, and threads never write to the same line. A long row takes an
/// odd number of lines: rows a power of two apart would compete for a few sets of the cache.
#[derive(Debug, Default)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    /// Unused elements up to `start`, then row after row, then a line of unused elements.
    flat: Vec<f32>,
    start: usize,
}

impl Matrix {
    /// How many lines a row takes.
    fn lines(columns: usize) -> usize {
        let lines = columns.max(1).div_ceil(LINE_LEN);
        if lines > 8 { lines | 1 } else { lines }
    }

    /// How long `flat` must be, if that fits into a usize.
    fn flat_length(rows: usize, columns: usize) -> Option<usize> {
        rows.checked_mul(Matrix::lines(columns))?.checked_add(2)?.checked_mul(LINE_LEN)
    }

    /// `rows × columns` zeros.
    ///
    /// # Panics
    /// If they do not fit into memory.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        let flat =
            vec![0.0; Matrix::flat_length(rows, columns).expect("a matrix that fits into memory")];
        // If alignment fails, results are still correct, only slower.
        let start = flat.as_ptr().align_offset(LINE).min(LINE_LEN);
        Matrix { rows, columns, flat, start }
    }

    /// A copy of the elements of `data`, row after row.
    ///
    /// # Panics
    /// If `data` does not hold `rows · columns` elements.
    pub fn from_rows(rows: usize, columns: usize, data: &[f32]) -> Self {
        assert_eq!(data.len(), rows * columns, "as many elements as {rows} × {columns} has");
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
        Matrix::lines(self.columns) * LINE_LEN
    }

    /// All elements, row after row.
    pub fn iter(&self) -> impl Iterator<Item = &f32> {
        (0..self.rows).flat_map(|i| self.row(i))
    }

    /// A copy of all elements, row after row.
    pub fn to_vec(&self) -> Vec<f32> {
        self.iter().copied().collect()
    }

    /// All elements, row after row, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut f32> {
        let columns = self.columns;
        let stride = self.stride();
        self.padded_mut().chunks_exact_mut(stride).flat_map(move |row| &mut row[..columns])
    }

    /// All rows with their padding, a row every [`Matrix::stride`] elements. Padding is finite and
    /// never data, so elementwise code may run over it.
    pub fn padded(&self) -> &[f32] {
        &self.flat[self.start..][..self.rows * self.stride()]
    }

    /// The same, to change.
    pub fn padded_mut(&mut self) -> &mut [f32] {
        let count = self.rows * self.stride();
        &mut self.flat[self.start..][..count]
    }

    /// The same, and the line of unused elements that follows.
    pub(crate) fn and_beyond(&self) -> &[f32] {
        &self.flat[self.start..]
    }

    /// Row `i`: `columns` elements.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.padded()[i * self.stride()..][..self.columns]
    }

    /// Row `i`, to change.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        let columns = self.columns;
        let stride = self.stride();
        &mut self.padded_mut()[i * stride..][..columns]
    }

    /// Makes this a matrix of `rows × columns` whose elements are unspecified: a buffer that is
    /// about to be filled. Allocates only if the memory it has is too little.
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

    /// Replaces each element x by f(x, y), with the elements y of `from` at its place.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn zip_map<const N: usize>(
        &mut self,
        cpu: Cpu,
        from: [&Matrix; N],
        f: impl Fn(f32, [f32; N]) -> f32 + Sync,
    ) {
        let shape = (self.rows, self.columns);
        assert!(from.iter().all(|from| (from.rows, from.columns) == shape), "the shapes differ");
        let len = self.padded().len();
        let cpu = cpu.for_work(MOVE * len);
        let chunk_len = cpu.chunk_len(len, LINE_LEN);
        cpu.each(self.padded_mut().chunks_mut(chunk_len).enumerate(), |(i, to)| {
            zip_map(cpu, to, from.map(|from| &from.padded()[i * chunk_len..][..to.len()]), &f);
        });
    }
}

for_each_instruction_set! {
    fn zip_map[const N: usize, F: Fn(f32, [f32; N]) -> f32](
        to: &mut [f32], from: [&[f32]; N], f: &F
    ) {
        for (i, x) in to.iter_mut().enumerate() {
            *x = f(*x, from_fn(|n| from[n][i]));
        }
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

/// `sum ←` the sum of A's rows, from the first on: `1 × columns`.
pub fn sum_rows(a: &Matrix, sum: &mut Matrix) {
    sum.reshape(1, a.columns);
    let sum = sum.padded_mut();
    sum.fill(0.0);
    for row in a.padded().chunks_exact(a.stride()) {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
}

/// `to ← fromᵀ`; `to` takes that shape.
pub fn transpose(cpu: Cpu, from: &Matrix, to: &mut Matrix) {
    to.reshape(from.columns, from.rows);
    let cpu = cpu.for_work(MOVE * from.rows * from.columns);
    let stride = to.stride();
    let rows = cpu.chunk_len(from.columns, 64);
    let chunks = to.padded_mut().chunks_mut(rows * stride).enumerate();
    cpu.each(chunks, |(i, to)| transpose_columns(from, i * rows, to, stride));
}

/// `to`, a row every `stride` elements, `←` the transpose of the columns of `from` from `first` on.
fn transpose_columns(from: &Matrix, first: usize, to: &mut [f32], stride: usize) {
    // 64 rows at a time, which stay in L1 until they are done.
    for (chunk, rows) in from.padded().chunks(64 * from.stride()).enumerate() {
        for (j, to) in (first..).zip(to.chunks_exact_mut(stride)) {
            for (to, row) in to[64 * chunk..].iter_mut().zip(rows.chunks_exact(from.stride())) {
                *to = row[j];
            }
        }
    }
}
