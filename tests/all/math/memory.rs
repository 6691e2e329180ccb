//! Small products of every kind, on every kernel: what [Miri](https://github.com/rust-lang/miri) can follow within a few
//! minutes (`make miri`), to see that the kernels touch nothing but their matrices.

use mnist_mlp::math::kernel::Kernel;
use mnist_mlp::math::kernel::product::Product;
use mnist_mlp::math::matrix::{Matrix, matmul, matmul_transposed_a, matmul_transposed_b, transpose};

/// Small whole numbers, every third zero, so that no product rounds and all kernels have the same sums.
fn numbers(rows: usize, columns: usize) -> Matrix {
    let number = |i| if i % 3 == 1 { 0.0 } else { (i % 13) as f32 - 6.0 };
    Matrix::from_rows(rows, columns, &(0..rows * columns).map(number).collect::<Vec<_>>())
}

#[test]
fn the_products_touch_nothing_but_their_matrices() {
    // Without one of the sizes; with one number; whole tiles and tiles that are cut off, of all kernels; two blocks of k.
    for (m, n, k) in [(0, 3, 2), (3, 0, 2), (7, 17, 0), (1, 1, 1), (9, 35, 3), (7, 16, 66), (12, 50, 2)] {
        let (a, b) = (numbers(m, k), numbers(k, n));
        let (mut a_transposed, mut b_transposed) = (Matrix::default(), Matrix::default());
        transpose(Kernel::best(), &a, &mut a_transposed);
        transpose(Kernel::best(), &b, &mut b_transposed);
        let term = |i: usize, j: usize| (0..k).map(|l| a.row(i)[l] * b.row(l)[j]).sum::<f32>();
        let expected: Vec<f32> = (0..m * n).map(|at| 0.5 + term(at / n, at % n)).collect();
        for kernel in Kernel::supported() {
            let mut products = [(); 5].map(|()| Matrix::from_rows(m, n, &vec![0.5; m * n]));
            let [plain, by_a, by_b, sparse, sparse_by_a] = &mut products;
            matmul(kernel, &a, &b, 1.0, plain);
            matmul_transposed_a(kernel, &a_transposed, &b, 1.0, by_a);
            matmul_transposed_b(kernel, &a, &b_transposed, by_b, &mut Default::default());
            by_b.iter_mut().for_each(|x| *x += 0.5);
            let (row, zeros) = (Matrix::from_rows(1, n, &vec![0.5; n]), Matrix::zeros(1, n));
            let product = |a, beta, row| Product { skip_zeros: true, beta, row: Some(row), ..Product::new(a, &b) };
            product(&a, 0.0, &row).write_to(kernel, sparse);
            Product { transpose_a: true, ..product(&a_transposed, 1.0, &zeros) }.write_to(kernel, sparse_by_a);
            for product in products {
                assert_eq!(product.to_vec(), expected, "{kernel}, {m} × {k} · {k} × {n}");
            }
        }
    }
}
