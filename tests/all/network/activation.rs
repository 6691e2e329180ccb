//! The activations, by every instruction set of this processor, against f64.

use crate::common::{U, bits, fused_cpus, random_matrix};
use mnist_mlp::for_each_instruction_set;
use mnist_mlp::math::exp;
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::matrix::Matrix;
use mnist_mlp::network::activation::{self, Activation};
use proptest::prelude::*;

/// What the doc comment of `exp` promises, relative to eˣ.
const EXP_ERROR: f64 = 1.2e-7;

for_each_instruction_set! {
    fn exp_of_each(x: &mut [f32]) {
        for x in x {
            *x = exp::exp(*x);
        }
    }
}

fn exp(cpu: Cpu, mut x: Vec<f32>) -> Vec<f32> {
    exp_of_each(cpu, &mut x);
    x
}

fn activate(activation: Activation, cpu: Cpu, z: Vec<f32>) -> Vec<f32> {
    let mut a = Matrix::default();
    activation.forward(cpu, &Matrix::from_rows(1, z.len(), &z), &mut a);
    a.to_vec()
}

/// The softmax of one row.
fn softmax(cpu: Cpu, z: &[f32]) -> Vec<f32> {
    let mut row = Matrix::from_rows(1, z.len(), z);
    activation::softmax(cpu, &mut row);
    row.to_vec()
}

/// Floats of both signs up to 87, every 997th of all there are, and the ends.
fn dense_sweep() -> Vec<f32> {
    let positive =
        (0..=87.0_f32.to_bits()).step_by(997).chain([87.0_f32.to_bits()]).map(f32::from_bits);
    positive.flat_map(|x| [x, -x]).collect()
}

/// From -100 to 100 by steps of 1/64.
fn coarse_sweep() -> Vec<f32> {
    (-6400..=6400).map(|i| i as f32 / 64.0).collect()
}

#[test]
fn exp_keeps_its_stated_error_and_fused_instruction_sets_agree() {
    let x = dense_sweep();
    for cpu in Cpu::supported() {
        let mut worst = (0.0, 0.0);
        for (&x, y) in x.iter().zip(exp(cpu, x.clone())) {
            let error = (f64::from(y) / f64::from(x).exp() - 1.0).abs();
            worst = if error <= worst.0 { worst } else { (error, x) };
        }
        assert!(worst.0 <= EXP_ERROR, "{cpu}: {:e} at {}", worst.0, worst.1);
        assert_eq!(exp(cpu, vec![0.0, -0.0]), [1.0, 1.0], "{cpu}");
    }
    let by_cpu: Vec<_> = fused_cpus().into_iter().map(|cpu| bits(&exp(cpu, x.clone()))).collect();
    assert!(by_cpu.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn exp_of_a_nan_is_nan_and_beyond_87_it_is_held() {
    for cpu in Cpu::supported() {
        assert!(exp(cpu, vec![f32::NAN, -f32::NAN]).iter().all(|y| y.is_nan()), "{cpu}");
        let [top, bottom] = exp(cpu, vec![87.0, -87.0])[..] else { unreachable!() };
        assert!(top.is_normal() && bottom.is_normal(), "{cpu}");
        assert_eq!(exp(cpu, vec![87.1, 1e30, f32::MAX, f32::INFINITY]), [top; 4], "{cpu}");
        assert_eq!(exp(cpu, vec![-87.1, -1e30, f32::MIN, f32::NEG_INFINITY]), [bottom; 4], "{cpu}");
    }
}

proptest! {
    /// Two errors of exp (the numerator's, and at most the same in the sum), n - 1 roundings of the
    /// sum, one of the quotient. The logits are multiples of 1/16, so that a shift of them is
    /// exact, and changes nothing.
    #[test]
    fn softmax_is_near_that_of_f64_and_does_not_change_with_a_shift(
        z in prop::collection::vec((-640..=640).prop_map(|i| i as f32 / 16.0), 1..40),
        shift in -16000..16000,
    ) {
        let largest = z.iter().copied().fold(f32::MIN, f32::max);
        let exps: Vec<f64> = z.iter().map(|z| f64::from(z - largest).exp()).collect();
        let bound = (2.0 * EXP_ERROR + z.len() as f64 * U) * 1.01;
        let shifted: Vec<f32> = z.iter().map(|z| z + shift as f32 / 16.0).collect();
        for cpu in Cpu::supported() {
            let p = softmax(cpu, &z);
            for (&p, e) in p.iter().zip(&exps) {
                let expected = e / exps.iter().sum::<f64>();
                let error = (f64::from(p) / expected - 1.0).abs();
                prop_assert!(error <= bound, "{}: {}, not {}", cpu, p, expected);
            }
            prop_assert_eq!(bits(&p), bits(&softmax(cpu, &shifted)), "{}", cpu);
        }
    }

    #[test]
    fn softmax_of_any_finite_logits_is_a_distribution(z in prop::collection::vec(prop_oneof![
        prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO,
        prop::sample::select(vec![1e30, -1e30, f32::MAX, f32::MIN, f32::MIN_POSITIVE]),
    ], 1..20)) {
        for cpu in Cpu::supported() {
            let p = softmax(cpu, &z);
            let sum: f64 = p.iter().map(|&p| f64::from(p)).sum();
            prop_assert!(p.iter().all(|p| (0.0..=1.0).contains(p)), "{}: {:?}", cpu, p);
            prop_assert!((sum - 1.0).abs() <= z.len() as f64 * U * 1.01, "{}: {}", cpu, sum);
            for i in 0..z.len() {
                for j in 0..z.len() {
                    // Logits that are neighbouring floats may come out in the other order by the
                    // error of exp.
                    let slack = 1.0 + 2.0 * EXP_ERROR;
                    let is_in_order = f64::from(p[i]) <= f64::from(p[j]) * slack;
                    prop_assert!(z[i] > z[j] || is_in_order, "{}: {:?}", cpu, p);
                }
            }
        }
    }
}

#[test]
fn softmax_of_equal_logits_is_even() {
    for cpu in Cpu::supported() {
        for z in [0.0, -0.0, 1.0, 1e30, -1e30, f32::MAX, f32::MIN] {
            for classes in [1, 2, 3, 10, 256] {
                assert_eq!(
                    softmax(cpu, &vec![z; classes]),
                    vec![1.0 / classes as f32; classes],
                    "{cpu}, {z}"
                );
            }
        }
        let [p, q] = softmax(cpu, &[1e30, -1e30])[..] else { unreachable!() };
        assert!(p == 1.0 && (0.0..1e-37).contains(&q), "{cpu}: {p} {q}");
    }
}

/// A NaN must not be passed over: it is how training that has diverged shows.
#[test]
fn softmax_takes_each_row_by_itself_and_keeps_a_nan() {
    for cpu in Cpu::supported() {
        let rows = [[1.0, 2.0, 3.0], [4.0, f32::NAN, 0.0], [-1.0, 0.0, 70.0], [f32::NAN, 1.0, 2.0]];
        let mut matrix = Matrix::from_rows(4, 3, &rows.concat());
        activation::softmax(cpu, &mut matrix);
        for (i, row) in rows.iter().enumerate() {
            if i % 2 == 0 {
                assert_eq!(matrix.row(i), softmax(cpu, row), "{cpu}");
            } else {
                assert!(matrix.row(i).iter().all(|p| p.is_nan()), "{cpu}");
            }
        }
        for (rows, columns) in [(0, 0), (0, 3), (3, 0)] {
            activation::softmax(cpu, &mut Matrix::zeros(rows, columns));
        }
    }
}

/// e⁻ᶻ comes with the error of exp, of which σ takes the share 1 - σ; the sum and the quotient are
/// rounded once each.
const SIGMOID_ERROR: f64 = (EXP_ERROR + 2.0 * U) * 1.01;

#[test]
fn sigmoid_is_near_that_of_f64_and_rises_from_0_to_1() {
    let z: Vec<f32> = dense_sweep().into_iter().step_by(7).collect();
    for cpu in Cpu::supported() {
        let sigmoid = |z: Vec<f32>| activate(Activation::Sigmoid, cpu, z);
        for (&z, a) in z.iter().zip(sigmoid(z.clone())) {
            assert!(
                (f64::from(a) * (1.0 + f64::from(-z).exp()) - 1.0).abs() <= SIGMOID_ERROR,
                "{cpu}: σ({z}) = {a}"
            );
        }
        let a = sigmoid(coarse_sweep());
        assert!(a.iter().all(|a| (0.0..=1.0).contains(a)) && a.is_sorted(), "{cpu}");
        let ends = sigmoid(vec![
            0.0,
            -0.0,
            40.0,
            1e30,
            f32::INFINITY,
            -90.0,
            -1e30,
            f32::NEG_INFINITY,
            f32::NAN,
        ]);
        assert_eq!(ends[..5], [0.5, 0.5, 1.0, 1.0, 1.0], "{cpu}");
        assert!(
            ends[5..8].iter().all(|a| (0.0..1e-37).contains(a)) && ends[8].is_nan(),
            "{cpu}: {ends:?}"
        );
    }
}

#[test]
fn fused_instruction_sets_agree_bit_by_bit() {
    let of_cpu = |cpu: Cpu| {
        let mut p = random_matrix(50, 37, 1);
        activation::softmax(cpu, &mut p);
        (
            Activation::ALL.map(|activation| bits(&activate(activation, cpu, coarse_sweep()))),
            bits(&p.to_vec()),
        )
    };
    let by_cpu: Vec<_> = fused_cpus().into_iter().map(of_cpu).collect();
    assert!(by_cpu.windows(2).all(|pair| pair[0] == pair[1]));
}

/// The absolute error of tanh is twice that of σ(2z) and one rounding; that of SiLU, z times that
/// of σ and one of its own.
#[test]
fn the_other_activations_are_near_those_of_f64() {
    let z = coarse_sweep();
    for cpu in Cpu::supported() {
        let check = |activation, f: &dyn Fn(f64) -> f64, error: &dyn Fn(f64) -> f64| {
            for (&z, a) in z.iter().zip(activate(activation, cpu, z.clone())) {
                let z = f64::from(z);
                assert!(
                    (f64::from(a) - f(z)).abs() <= error(z),
                    "{cpu}: {activation:?}({z}) = {a}, not {}",
                    f(z)
                );
            }
            assert!(
                activate(activation, cpu, vec![f32::NAN])[0].is_nan(),
                "{cpu}, {activation:?}: NaN shows"
            );
        };
        check(Activation::Tanh, &f64::tanh, &|_| 2.0 * SIGMOID_ERROR + U);
        check(Activation::ReLU, &|z| z.max(0.0), &|_| 0.0);
        let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
        check(Activation::SiLU, &|z| z * sigmoid(z), &|z| {
            z.abs() * sigmoid(z) * (SIGMOID_ERROR + U) + 1e-35
        });
    }
}
