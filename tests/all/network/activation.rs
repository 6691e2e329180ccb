//! The activations, by every kernel of this processor, against f64.

use crate::common::{U, bits, fused_kernels, random_matrix};
use mnist_mlp::math::exp;
use mnist_mlp::math::kernel::{Kernel, Operation, Simd};
use mnist_mlp::math::matrix::Matrix;
use mnist_mlp::network::activation::{Activation, Softmax};
use proptest::prelude::*;

/// What the doc comment of `exp` promises, relative to eˣ.
const EXP_ERROR: f64 = 1.2e-7;

struct Exp<'a>(&'a mut [f32]);

impl Operation for Exp<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        for x in self.0 {
            *x = exp::exp::<S>(*x);
        }
    }
}

fn exp(kernel: Kernel, mut x: Vec<f32>) -> Vec<f32> {
    kernel.run(Exp(&mut x));
    x
}

fn activate(activation: Activation, kernel: Kernel, z: Vec<f32>) -> Vec<f32> {
    let mut a = Matrix::default();
    activation.forward(kernel, &Matrix::from_rows(1, z.len(), &z), &mut a);
    a.to_vec()
}

/// The softmax of one row.
fn softmax(kernel: Kernel, z: &[f32]) -> Vec<f32> {
    let mut row = Matrix::from_rows(1, z.len(), z);
    kernel.run(Softmax(&mut row));
    row.to_vec()
}

/// Floats of both signs up to 87, every 997th of all there are, and the ends.
fn dense_sweep() -> Vec<f32> {
    let positive = (0..=87.0_f32.to_bits()).step_by(997).chain([87.0_f32.to_bits()]).map(f32::from_bits);
    positive.flat_map(|x| [x, -x]).collect()
}

/// From -100 to 100 by steps of 1/64.
fn coarse_sweep() -> Vec<f32> {
    (-6400..=6400).map(|i| i as f32 / 64.0).collect()
}

#[test]
fn exp_keeps_its_stated_error_and_the_fused_kernels_agree() {
    let x = dense_sweep();
    for kernel in Kernel::supported() {
        let mut worst = (0.0, 0.0);
        for (&x, y) in x.iter().zip(exp(kernel, x.clone())) {
            let error = (f64::from(y) / f64::from(x).exp() - 1.0).abs();
            worst = if error <= worst.0 { worst } else { (error, x) };
        }
        assert!(worst.0 <= EXP_ERROR, "{kernel}: {:e} at {}", worst.0, worst.1);
        assert_eq!(exp(kernel, vec![0.0, -0.0]), [1.0, 1.0], "{kernel}");
    }
    let by_kernel: Vec<_> = fused_kernels().into_iter().map(|kernel| bits(&exp(kernel, x.clone()))).collect();
    assert!(by_kernel.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn exp_of_a_nan_is_nan_and_beyond_87_it_is_held() {
    for kernel in Kernel::supported() {
        assert!(exp(kernel, vec![f32::NAN, -f32::NAN]).iter().all(|y| y.is_nan()), "{kernel}");
        let [top, bottom] = exp(kernel, vec![87.0, -87.0])[..] else { unreachable!() };
        assert!(top.is_normal() && bottom.is_normal(), "{kernel}");
        assert_eq!(exp(kernel, vec![87.1, 1e30, f32::MAX, f32::INFINITY]), [top; 4], "{kernel}");
        assert_eq!(exp(kernel, vec![-87.1, -1e30, f32::MIN, f32::NEG_INFINITY]), [bottom; 4], "{kernel}");
    }
}

proptest! {
    /// Two errors of exp (the numerator's, and at most the same in the sum), n - 1 roundings of the sum, one of the
    /// quotient. The logits are multiples of 1/16, so that a shift of them is exact, and changes nothing.
    #[test]
    fn softmax_is_near_that_of_f64_and_does_not_change_with_a_shift(
        z in prop::collection::vec((-640..=640).prop_map(|i| i as f32 / 16.0), 1..40),
        shift in -16000..16000,
    ) {
        let largest = z.iter().copied().fold(f32::MIN, f32::max);
        let exps: Vec<f64> = z.iter().map(|z| f64::from(z - largest).exp()).collect();
        let bound = (2.0 * EXP_ERROR + z.len() as f64 * U) * 1.01;
        let shifted: Vec<f32> = z.iter().map(|z| z + shift as f32 / 16.0).collect();
        for kernel in Kernel::supported() {
            let p = softmax(kernel, &z);
            for (&p, e) in p.iter().zip(&exps) {
                let expected = e / exps.iter().sum::<f64>();
                prop_assert!((f64::from(p) / expected - 1.0).abs() <= bound, "{}: {}, not {}", kernel, p, expected);
            }
            prop_assert_eq!(bits(&p), bits(&softmax(kernel, &shifted)), "{}", kernel);
        }
    }

    #[test]
    fn softmax_of_any_finite_logits_is_a_distribution(z in prop::collection::vec(prop_oneof![
        prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO,
        prop::sample::select(vec![1e30, -1e30, f32::MAX, f32::MIN, f32::MIN_POSITIVE]),
    ], 1..20)) {
        for kernel in Kernel::supported() {
            let p = softmax(kernel, &z);
            let sum: f64 = p.iter().map(|&p| f64::from(p)).sum();
            prop_assert!(p.iter().all(|p| (0.0..=1.0).contains(p)), "{}: {:?}", kernel, p);
            prop_assert!((sum - 1.0).abs() <= z.len() as f64 * U * 1.01, "{}: {}", kernel, sum);
            for i in 0..z.len() {
                for j in 0..z.len() {
                    // Logits that are neighbouring floats may come out in the other order by the error of exp.
                    let slack = 1.0 + 2.0 * EXP_ERROR;
                    prop_assert!(z[i] > z[j] || f64::from(p[i]) <= f64::from(p[j]) * slack, "{}: {:?}", kernel, p);
                }
            }
        }
    }
}

#[test]
fn softmax_of_equal_logits_is_even() {
    for kernel in Kernel::supported() {
        for z in [0.0, -0.0, 1.0, 1e30, -1e30, f32::MAX, f32::MIN] {
            for classes in [1, 2, 3, 10, 256] {
                assert_eq!(softmax(kernel, &vec![z; classes]), vec![1.0 / classes as f32; classes], "{kernel}, {z}");
            }
        }
        let [p, q] = softmax(kernel, &[1e30, -1e30])[..] else { unreachable!() };
        assert!(p == 1.0 && (0.0..1e-37).contains(&q), "{kernel}: {p} {q}");
    }
}

/// A NaN must not be passed over: it is how training that has diverged shows.
#[test]
fn softmax_takes_each_row_by_itself_and_keeps_a_nan() {
    for kernel in Kernel::supported() {
        let rows = [[1.0, 2.0, 3.0], [4.0, f32::NAN, 0.0], [-1.0, 0.0, 70.0], [f32::NAN, 1.0, 2.0]];
        let mut matrix = Matrix::from_rows(4, 3, &rows.concat());
        kernel.run(Softmax(&mut matrix));
        for (i, row) in rows.iter().enumerate() {
            if i % 2 == 0 {
                assert_eq!(matrix.row(i), softmax(kernel, row), "{kernel}");
            } else {
                assert!(matrix.row(i).iter().all(|p| p.is_nan()), "{kernel}");
            }
        }
        for (rows, columns) in [(0, 0), (0, 3), (3, 0)] {
            kernel.run(Softmax(&mut Matrix::zeros(rows, columns)));
        }
    }
}

/// e⁻ᶻ comes with the error of exp, of which σ takes the share 1 - σ; the sum and the quotient are rounded once each.
const SIGMOID_ERROR: f64 = (EXP_ERROR + 2.0 * U) * 1.01;

#[test]
fn sigmoid_is_near_that_of_f64_and_rises_from_0_to_1() {
    let z: Vec<f32> = dense_sweep().into_iter().step_by(7).collect();
    for kernel in Kernel::supported() {
        let sigmoid = |z: Vec<f32>| activate(Activation::Sigmoid, kernel, z);
        for (&z, a) in z.iter().zip(sigmoid(z.clone())) {
            assert!(
                (f64::from(a) * (1.0 + f64::from(-z).exp()) - 1.0).abs() <= SIGMOID_ERROR,
                "{kernel}: σ({z}) = {a}"
            );
        }
        let a = sigmoid(coarse_sweep());
        assert!(a.iter().all(|a| (0.0..=1.0).contains(a)) && a.is_sorted(), "{kernel}");
        let ends = sigmoid(vec![0.0, -0.0, 40.0, 1e30, f32::INFINITY, -90.0, -1e30, f32::NEG_INFINITY, f32::NAN]);
        assert_eq!(ends[..5], [0.5, 0.5, 1.0, 1.0, 1.0], "{kernel}");
        assert!(ends[5..8].iter().all(|a| (0.0..1e-37).contains(a)) && ends[8].is_nan(), "{kernel}: {ends:?}");
    }
}

#[test]
fn the_fused_kernels_agree_bit_by_bit() {
    let of_kernel = |kernel: Kernel| {
        let mut p = random_matrix(50, 37, 1);
        kernel.run(Softmax(&mut p));
        (Activation::ALL.map(|activation| bits(&activate(activation, kernel, coarse_sweep()))), bits(&p.to_vec()))
    };
    let by_kernel: Vec<_> = fused_kernels().into_iter().map(of_kernel).collect();
    assert!(by_kernel.windows(2).all(|pair| pair[0] == pair[1]));
}

/// The absolute error of tanh is twice that of σ(2z) and one rounding; that of SiLU, z times that of σ and one of its own.
#[test]
fn the_other_activations_are_near_those_of_f64() {
    let z = coarse_sweep();
    for kernel in Kernel::supported() {
        let check = |activation, f: &dyn Fn(f64) -> f64, error: &dyn Fn(f64) -> f64| {
            for (&z, a) in z.iter().zip(activate(activation, kernel, z.clone())) {
                let z = f64::from(z);
                assert!((f64::from(a) - f(z)).abs() <= error(z), "{kernel}: {activation:?}({z}) = {a}, not {}", f(z));
            }
            assert!(activate(activation, kernel, vec![f32::NAN])[0].is_nan(), "{kernel}, {activation:?}: NaN shows");
        };
        check(Activation::Tanh, &f64::tanh, &|_| 2.0 * SIGMOID_ERROR + U);
        check(Activation::ReLU, &|z| z.max(0.0), &|_| 0.0);
        let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
        check(Activation::SiLU, &|z| z * sigmoid(z), &|z| z.abs() * sigmoid(z) * (SIGMOID_ERROR + U) + 1e-35);
    }
}
