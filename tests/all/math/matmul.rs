//! The matrix products, by every instruction set of this processor, against the textbook's three
//! loops.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::{U, numbers, random_matrix};
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::kernels::product::{
    Product, matmul, matmul_transposed_a, matmul_transposed_b,
};
use mnist_mlp::math::matrix::{Matrix, sum_rows, transpose};
use proptest::prelude::*;

/// The multiply-add of an instruction set, rounded once or twice.
pub fn mul_add(cpu: Cpu) -> fn(f32, f32, f32) -> f32 {
    if cpu.is_fused() { f32::mul_add } else { |a, b, c| a * b + c }
}

/// `β·C + (row + A·B)` as it is defined: a sum of one multiply-add for each `k` in order, then one
/// for β.
pub fn naive(
    cpu: Cpu,
    a: &Matrix,
    b: &Matrix,
    beta: f32,
    row: Option<&Matrix>,
    c: &Matrix,
) -> Matrix {
    let mul_add = mul_add(cpu);
    let mut product = Matrix::zeros(c.rows(), c.columns());
    for i in 0..c.rows() {
        let sums = product.row_mut(i);
        sums.copy_from_slice(row.map_or(&vec![0.0; c.columns()], |row| row.row(0)));
        for (k, &a) in a.row(i).iter().enumerate() {
            sums.iter_mut().zip(b.row(k)).for_each(|(sum, &b)| *sum = mul_add(a, b, *sum));
        }
        if beta != 0.0 {
            sums.iter_mut().zip(c.row(i)).for_each(|(sum, &c)| *sum = mul_add(beta, c, *sum));
        }
    }
    product
}

pub fn naive_transpose(from: &Matrix) -> Matrix {
    let mut to = Matrix::zeros(from.columns(), from.rows());
    for i in 0..from.rows() {
        for j in 0..from.columns() {
            to.row_mut(j)[i] = from.row(i)[j];
        }
    }
    to
}

/// Bit for bit; which bits a NaN has is nobody's promise.
#[track_caller]
pub fn assert_same(what: &str, found: &Matrix, expected: &Matrix) {
    assert_eq!((found.rows(), found.columns()), (expected.rows(), expected.columns()), "{what}");
    for (i, (f, e)) in found.iter().zip(expected.iter()).enumerate() {
        assert!(
            f.to_bits() == e.to_bits() || f.is_nan() && e.is_nan(),
            "{what}: {f:e}, not {e:e}, at {i}"
        );
    }
}

/// All forms by every instruction set, on the same numbers.
fn check(a: &Matrix, b: &Matrix, beta: f32, c: &Matrix) {
    let a_transposed = naive_transpose(a);
    let b_transposed = naive_transpose(b);
    let row = random_matrix(1, c.columns(), 4);
    for is_fused in [true, false] {
        let cpus = Cpu::supported().into_iter().filter(|cpu| cpu.is_fused() == is_fused);
        let mut expected = None;
        for cpu in cpus {
            let [sum, from_zero, with_row] = expected.get_or_insert_with(|| {
                [(beta, None), (0.0, None), (beta, Some(&row))]
                    .map(|(beta, row)| naive(cpu, a, b, beta, row, c))
            });
            let what = |form| {
                format!("{cpu}, {form}, {} × {} × {}, β = {beta}", c.rows(), b.rows(), c.columns())
            };
            let [mut plain, mut by_a, mut plus_row, mut by_a_plus_row] =
                [(); 4].map(|()| c.clone());
            matmul(cpu, a, b, beta, &mut plain);
            assert_same(&what("A·B"), &plain, sum);
            matmul_transposed_a(cpu, &a_transposed, b, beta, &mut by_a);
            assert_same(&what("Aᵀ·B"), &by_a, sum);
            let product = Product { beta, bias: Some(&row), ..Product::new(a, b) };
            product.write_to(cpu, &mut plus_row);
            assert_same(&what("row + A·B"), &plus_row, with_row);
            Product { a: &a_transposed, transpose_a: true, ..product }
                .write_to(cpu, &mut by_a_plus_row);
            assert_same(&what("row + Aᵀ·B"), &by_a_plus_row, with_row);
            // What C and the scratch held and how large they were must not matter.
            let [mut by_b, scratch1, scratch2] = [(); 3].map(|()| special_matrix(3, 5, 1, 3.0));
            matmul_transposed_b(cpu, a, &b_transposed, &mut by_b, &mut [scratch1, scratch2]);
            assert_same(&what("A·Bᵀ"), &by_b, from_zero);
        }
    }
}

/// Numbers of which some are zero: single ones, whole rows and whole columns.
fn sparse_matrix(rows: usize, columns: usize, seed: u64, share: f32) -> Matrix {
    let mut matrix = random_matrix(rows, columns, seed);
    let mut number = numbers(!seed);
    let mut zero = || (number() + 1.0) / 2.0 < share;
    let zero_columns: Vec<bool> = (0..columns).map(|_| zero()).collect();
    for i in 0..rows {
        let zero_row = zero();
        for (x, zero_column) in matrix.row_mut(i).iter_mut().zip(&zero_columns) {
            if zero() || zero_row || *zero_column {
                *x = if *x > 0.0 { 0.0 } else { -0.0 };
            }
        }
    }
    matrix
}

/// Numbers in [-1, 1), every `one_in`-th on average one that arithmetic treats specially.
fn special_matrix(rows: usize, columns: usize, seed: u64, one_in: f32) -> Matrix {
    const SPECIAL: [f32; 10] = [
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        1e-45,
        -1e-40,
        -0.0,
        0.0,
    ];
    let mut matrix = random_matrix(rows, columns, seed);
    let mut number = numbers(!seed);
    for x in matrix.iter_mut() {
        if (number() + 1.0) / 2.0 * one_in < 1.0 {
            *x = SPECIAL[((number() + 1.0) / 2.0 * SPECIAL.len() as f32) as usize];
        }
    }
    matrix
}

fn beta() -> impl Strategy<Value = f32> {
    prop_oneof![Just(0.0), Just(1.0), -2.0..2.0_f32]
}

proptest! {
    #[test]
    fn every_instruction_set_is_the_three_loops(
        (m, n, k) in (0..40usize, 0..70usize, 0..300usize), beta in beta(), seed in any::<u64>()
    ) {
        let c = random_matrix(m, n, seed ^ 3);
        check(&random_matrix(m, k, seed ^ 1), &random_matrix(k, n, seed ^ 2), beta, &c);
    }

    #[test]
    fn the_sum_of_the_rows_is_what_it_says(
        (rows, columns) in (0..20usize, 0..70usize), seed in any::<u64>(),
    ) {
        let a = random_matrix(rows, columns, seed);
        let mut sums = random_matrix(3, 5, !seed);
        sum_rows(&a, &mut sums);
        prop_assert_eq!((sums.rows(), sums.columns()), (1, columns));
        for (j, &sum) in sums.iter().enumerate() {
            let in_order = (0..rows).fold(0.0, |sum, i| sum + a.row(i)[j]);
            prop_assert_eq!(sum.to_bits(), in_order.to_bits());
            let terms = || (0..rows).map(|i| f64::from(a.row(i)[j]));
            let bound = rows as f64 * U * terms().map(f64::abs).sum::<f64>();
            prop_assert!((f64::from(sum) - terms().sum::<f64>()).abs() <= bound, "at {}", j);
        }
    }

    #[test]
    fn infinities_nans_and_subnormals_are_the_three_loops_too(
        (m, n, k) in (0..20usize, 0..40usize, 0..70usize), beta in beta(), seed in any::<u64>(),
        one_in in 1.0..300.0_f32,
    ) {
        let c = special_matrix(m, n, seed ^ 3, one_in);
        let a = special_matrix(m, k, seed ^ 1, one_in);
        let b = special_matrix(k, n, seed ^ 2, one_in);
        check(&a, &b, beta, &c);
    }

    /// What pads the rows may hold what a larger shape had there, with which a processor may be
    /// slow.
    #[test]
    fn a_new_shape_has_zeros_for_padding(
        (rows, columns) in (0..9usize, 0..40usize), seed in any::<u64>(),
    ) {
        let mut matrix = random_matrix(20, 50, seed);
        matrix.reshape(rows, columns);
        let padding = matrix.padded().chunks(matrix.stride()).flat_map(|row| &row[columns..]);
        prop_assert!(padding.eq(vec![&0.0; rows * (matrix.stride() - columns)]));
    }

    #[test]
    fn transpose_moves_every_number(
        (rows, columns) in (0..150usize, 0..40usize), seed in any::<u64>(),
    ) {
        let from = special_matrix(rows, columns, seed, 10.0);
        let mut to = random_matrix(2, 3, 1);
        let mut back = Matrix::default();
        transpose(Cpu::best(), &from, &mut to);
        assert_same("transpose", &to, &naive_transpose(&from));
        transpose(Cpu::best(), &to, &mut back);
        assert_same("transposed back", &back, &from);
    }
}

#[test]
fn c_is_only_scaled_where_there_is_nothing_to_add() {
    let a = Matrix::zeros(1, 0);
    let b = Matrix::zeros(0, 4);
    let c = Matrix::from_rows(1, 4, &[0.0, -0.0, 1e-45, -1e-45]);
    for beta in [-2.0, 0.25, 1.0] {
        check(&a, &b, beta, &c);
    }
}

/// Zeros in A are steps like others: only the products of images skip any.
#[test]
fn a_zero_hides_no_nan() {
    for (m, k) in [(1, 2), (1, 64), (6, 65), (16, 130), (17, 784)] {
        let mut b = Matrix::zeros(k, 5);
        b.row_mut(1).fill(f32::NAN);
        for cpu in Cpu::supported() {
            let mut c = Matrix::zeros(m, 5);
            matmul(cpu, &Matrix::zeros(m, k), &b, 1.0, &mut c);
            assert!(c.iter().all(|x| x.is_nan()), "{cpu}, {m} × {k}");
        }
    }
}

/// Whatever tile the kernels choose, these shapes meet its last row, its last column and its last
/// step, and one beyond. `make miri` follows a few of them, to see that the kernels touch nothing
/// but their matrices.
#[test]
fn every_edge_of_every_tile() {
    let all_n = [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 112];
    let step = if cfg!(miri) { 6 } else { 1 };
    for m in (0..=17).step_by(step) {
        for &n in all_n.iter().step_by(step) {
            for k in [0, 1, 2, 63, 64, 65] {
                let a = random_matrix(m, k, 1);
                let b = random_matrix(k, n, 2);
                let c = random_matrix(m, n, 3);
                check(&a, &b, 0.5, &c);
            }
        }
    }
}

/// The network's own products: forward, by the weights, by the input; and a few with every
/// dimension larger.
#[test]
fn large_shapes() {
    let shapes =
        [(16, 784, 128), (784, 16, 128), (48, 128, 64), (16, 64, 10), (16, 10, 64), (64, 16, 10)];
    for (m, k, n) in shapes.into_iter().chain([
        (100, 100, 100),
        (9, 256, 33),
        (129, 257, 65),
        (1, 1000, 1),
        (1000, 1, 1),
    ]) {
        for beta in [0.0, 1.0, 0.875] {
            let c = random_matrix(m, n, 3);
            check(&random_matrix(m, k, 1), &random_matrix(k, n, 2), beta, &c);
        }
    }
}

/// Shapes of more than one block either way, with columns and steps left over; B is packed in all
/// but the first: see `packs`.
#[test]
fn packing_changes_no_bit() {
    for (m, k, n) in [(21, 300, 1030), (133, 300, 515), (128, 70, 961), (130, 600, 120)] {
        let a = random_matrix(m, k, 1);
        let b = random_matrix(k, n, 2);
        let c = random_matrix(m, n, 3);
        check(&a, &b, 0.5, &c);
    }
}

/// Shapes large enough to be shared among threads, some with fewer rows than these, none a multiple
/// of a tile.
#[test]
fn threads_change_no_bit() {
    let few_rows = [(9, 1001, 1003), (61, 1030, 517), (131, 901, 303)];
    let more = [(131, 901, 261), (301, 217, 131), (1027, 93, 101), (523, 401, 97), (601, 261, 300)];
    for (m, k, n) in few_rows.into_iter().chain(more) {
        let a = sparse_matrix(m, k, 1, 0.5);
        let b = random_matrix(k, n, 2);
        let c = random_matrix(m, n, 3);
        let a_transposed = naive_transpose(&a);
        let b_transposed = naive_transpose(&b);
        for cpu in Cpu::supported() {
            let all = |threads: usize| {
                let cpu = cpu.on_threads(threads);
                let mut products = [(); 3].map(|()| c.clone());
                let [plain, by_a, by_b] = &mut products;
                matmul(cpu, &a, &b, 0.5, plain);
                matmul_transposed_a(cpu, &a_transposed, &b, 0.5, by_a);
                matmul_transposed_b(cpu, &a, &b_transposed, by_b, &mut Default::default());
                let row = random_matrix(1, n, 4);
                let mut with_row = c.clone();
                Product { beta: 0.5, bias: Some(&row), ..Product::new(&a, &b) }
                    .write_to(cpu, &mut with_row);
                let mut transposed = Matrix::default();
                transpose(cpu, &b, &mut transposed);
                products.into_iter().chain([with_row, transposed]).collect::<Vec<_>>()
            };
            let one = all(1);
            for threads in [2, 3, 7, 100] {
                for (i, (found, expected)) in all(threads).iter().zip(&one).enumerate() {
                    assert_same(&format!("{cpu}, {threads} threads, product {i}"), found, expected);
                }
            }
        }
    }
}

/// The three loops above could share a mistake with the kernels. In f64, with the bound that any
/// order of summation keeps: Higham, "Accuracy and Stability of Numerical Algorithms" (2002), §3.1:
/// (k + 2)·u·Σ|terms|, for k + 1 terms.
#[test]
fn every_instruction_set_is_near_the_product_in_f64() {
    let m = 13;
    let k = 301;
    let n = 37;
    let beta = -0.7;
    let a = random_matrix(m, k, 1);
    let b = random_matrix(k, n, 2);
    let c = random_matrix(m, n, 3);
    for cpu in Cpu::supported() {
        let mut found = c.clone();
        matmul(cpu, &a, &b, beta, &mut found);
        for i in 0..m {
            for j in 0..n {
                let products = (0..k).map(|k| f64::from(a.row(i)[k]) * f64::from(b.row(k)[j]));
                let terms: Vec<f64> =
                    products.chain([f64::from(beta) * f64::from(c.row(i)[j])]).collect();
                let bound = (k + 2) as f64 * U * terms.iter().map(|term| term.abs()).sum::<f64>();
                let error = (f64::from(found.row(i)[j]) - terms.iter().sum::<f64>()).abs();
                assert!(error <= bound, "{cpu} at {i}, {j}: {error:e} above {bound:e}");
            }
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let zeros = Matrix::zeros;
    for cpu in Cpu::supported() {
        for (a, b, c) in
            [((2, 3), (4, 5), (2, 5)), ((2, 3), (3, 5), (1, 5)), ((2, 3), (3, 5), (2, 6))]
        {
            let [a, b] = [a, b].map(|(rows, columns)| zeros(rows, columns));
            let mut c = zeros(c.0, c.1);
            let [at, bt] = [&a, &b].map(naive_transpose);
            let mut refused = |product: &dyn Fn(&mut Matrix)| {
                assert!(catch_unwind(AssertUnwindSafe(|| product(&mut c))).is_err(), "{cpu}");
            };
            refused(&|c| matmul(cpu, &a, &b, 0.0, c));
            refused(&|c| matmul_transposed_a(cpu, &at, &b, 0.0, c));
            if a.columns() != b.rows() {
                refused(&|c| matmul_transposed_b(cpu, &a, &bt, c, &mut Default::default()));
            }
            refused(&|c| Product { beta: 1.0, ..Product::new(&a, &b) }.write_to(cpu, c));
        }
    }
    let product = |row| {
        Product { bias: Some(&row), ..Product::new(&zeros(2, 3), &zeros(3, 5)) }
            .write_to(Cpu::best(), &mut zeros(2, 5));
    };
    product(zeros(1, 5));
    for (rows, columns) in [(1, 4), (1, 6), (2, 5), (0, 5)] {
        assert!(catch_unwind(|| product(zeros(rows, columns))).is_err());
    }
    assert!(catch_unwind(|| Matrix::from_rows(2, 3, &[0.0; 5])).is_err());
}
