//! A layer's step against f64: that small steps are not lost, and that the column sums keep up with
//! it.

use crate::common::{U, batch, bits, noise, random_matrix};
use mnist_mlp::data::batch::Batch;
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::matrix::{Matrix, sum_rows};
use mnist_mlp::network::layer::{ColumnSums, Input, Linear, Step, Velocity};

fn layer(fan_in: usize, fan_out: usize) -> Linear {
    Linear {
        weight: random_matrix(fan_in, fan_out, 1),
        bias: random_matrix(1, fan_out, 2).to_vec(),
    }
}

/// How often a multiply-add is rounded.
fn each(cpu: Cpu) -> f64 {
    if cpu.is_fused() { 1.0 } else { 2.0 }
}

/// What a sum over a batch is rounded by, relative to Σ|terms|: each of its multiply-adds, a few
/// factors, and the second order.
fn roundings(cpu: Cpu, batch: usize) -> f64 {
    (each(cpu) * batch as f64 + 5.0) * U * 1.01
}

/// Checks `W − lr·λ·W − lr·Xᵀ·D`, where X = P − `shift`. The result may be off by its own rounding,
/// half a unit in the last place (at most U of it); by that of 1 − lr·λ, half as much; without
/// fused instructions, by that of their product; and by those of the sum (Higham, "Accuracy and
/// Stability of Numerical Algorithms" (2002), §3.1), which are relative to the step: of one below
/// 1/batch of the weight, less than two units in all.
fn check(
    (what, cpu): (&str, Cpu),
    [before, after]: [&Linear; 2],
    (p, shift): (&Matrix, f64),
    d: &Matrix,
    step: Step,
) {
    let rate = f64::from(step.learning_rate);
    let decay = f64::from(step.decay);
    for k in 0..p.columns() {
        for j in 0..d.columns() {
            let mut sum = 0.0;
            let mut size = 0.0;
            for i in 0..d.rows() {
                let p = f64::from(p.row(i)[k]);
                let d = rate * f64::from(d.row(i)[j]);
                sum += (p - shift) * d;
                size += (p + shift) * d.abs();
            }
            let w = f64::from(before.weight.row(k)[j]);
            let expected = (1.0 - decay) * w - sum;
            let error = (f64::from(after.weight.row(k)[j]) - expected).abs();
            let own = 1.0001 * U * (expected.abs() + (each(cpu) - 0.5) * w.abs());
            let bound = own + roundings(cpu, d.rows()) * size;
            assert!(error <= bound, "{what}: {error:e} above {bound:e} at {k}, {j}, weight {w}");
        }
    }
}

#[test]
fn a_small_step_of_many_images_is_not_lost() {
    let fan_in = 19;
    let fan_out = 9;
    for count in [1, 2, 63, 64, 65, 1000, 10_000] {
        let mut x = random_matrix(count, fan_in, 3);
        x.iter_mut().for_each(|x| *x = x.abs()); // all one way: where small terms add up
        let images = noise(count, fan_in, 0.5, 4);
        let mut d = random_matrix(count, fan_out, 5);
        for i in 0..count {
            d.row_mut(i)[..5].iter_mut().for_each(|d| *d = d.abs());
        }
        let sizes = [1e-8, 1e-6, 1e-4, 1e-2, 1.0].into_iter();
        for (size, decay) in sizes.flat_map(|size| [(size, 0.0), (size, 0.01)]) {
            let step = Step { learning_rate: size / count as f32, decay, momentum: 0.0 };
            for cpu in Cpu::supported() {
                let pixels = batch(cpu, &images);
                let before = layer(fan_in, fan_out);
                let sums = Matrix::zeros(1, fan_out); // only used forward
                let inputs = [
                    (Input::Activations(&x), &x, 0.0, "activations"),
                    (Input::Pixels(&pixels, &sums), pixels.pixels(), 0.5, "pixels"),
                ];
                for (input, p, shift, what) in inputs {
                    let mut after = before.clone();
                    let mut gradient = d.clone();
                    after.update(cpu, input, &mut gradient, step, None, &mut Matrix::default());
                    let what = format!("{cpu}, {what}, batch {count}, step {size}, decay {decay}");
                    check((&what, cpu), [&before, &after], (p, shift), &d, step);
                }
            }
        }
    }
}

/// ΣW of each column in f64, and Σ|W|.
fn sums(weight: &Matrix) -> Vec<[f64; 2]> {
    let column = |j: usize| (0..weight.rows()).map(move |k| f64::from(weight.row(k)[j]));
    (0..weight.columns()).map(|j| [column(j).sum(), column(j).map(f64::abs).sum()]).collect()
}

/// What a step may move a kept sum from the true one by: each weight's last multiply-add, and the
/// sum's, is rounded; and the step itself comes by two ways, Σ over pixels of Σ over images and the
/// other way round. `d` is −lr·D.
fn drift(cpu: Cpu, after: &Matrix, batch: &Batch, d: &Matrix) -> Vec<f64> {
    let half = batch.pixels().columns() as f64 / 2.0;
    let ink = |i| half + batch.pixels().row(i).iter().map(|&p| f64::from(p)).sum::<f64>();
    let ink: Vec<f64> = (0..d.rows()).map(ink).collect();
    let of = |(j, [sum, size]): (usize, [f64; 2])| {
        let step: f64 =
            ink.iter().enumerate().map(|(i, ink)| ink * f64::from(d.row(i)[j]).abs()).sum();
        1.01 * each(cpu) * U * (size + sum.abs()) + 2.0 * roundings(cpu, d.rows()) * step
    };
    sums(after).into_iter().enumerate().map(of).collect()
}

/// A layer in training beside one whose sums are taken anew at each step.
struct Pair {
    cpu: Cpu,
    layers: [Linear; 2],
    velocities: [Velocity; 2],
    kept: ColumnSums,
    /// What each step since they were taken anew may have moved each by.
    drifts: Vec<Vec<f64>>,
}

impl Pair {
    fn check(&mut self, what: &str, batch: &Batch) {
        let Pair { cpu, layers: [layer, other], kept, drifts, .. } = self;
        let [weights, others] = [&*layer, &*other].map(|layer| bits(&layer.weight.to_vec()));
        assert_eq!(weights, others, "{what}: what is kept is only a sum");
        let mut fresh = Matrix::default();
        let fan_in = layer.weight.rows() as f64;
        sum_rows(&layer.weight, &mut fresh);
        let kept = kept.of(&layer.weight);
        if drifts.is_empty() {
            assert_eq!(bits(&kept.to_vec()), bits(&fresh.to_vec()), "{what}: taken anew");
        }
        let [mut z, mut expected, mut scratch] = [(); 3].map(|()| Matrix::default());
        layer.forward(*cpu, Input::Pixels(batch, kept), &mut z, &mut scratch);
        layer.forward(*cpu, Input::Pixels(batch, &fresh), &mut expected, &mut scratch);
        for (j, [sum, size]) in sums(&layer.weight).into_iter().enumerate() {
            let bound = drifts.iter().map(|drift| drift[j]).sum::<f64>() + fan_in * U * size;
            let error = (f64::from(kept.row(0)[j]) - sum).abs();
            assert!(error <= bound, "{what}: {error:e} above {bound:e}");
            // Half of the sums' difference, and what both outputs are rounded by.
            let bound = bound + 2.0 * (fan_in + 4.0) * U * (2.0 * size + 1.0);
            for i in 0..z.rows() {
                let error = (f64::from(z.row(i)[j]) - f64::from(expected.row(i)[j])).abs();
                assert!(error <= bound, "{what}: output off by {error:e}, above {bound:e}");
            }
        }
    }

    fn step(&mut self, batch: &Batch, d: &Matrix, step: Step) {
        let cpu = self.cpu;
        let has_momentum = step.momentum > 0.0;
        let mut gradient = d.clone();
        let mut fresh = Matrix::default();
        for (i, (layer, velocity)) in self.layers.iter_mut().zip(&mut self.velocities).enumerate() {
            sum_rows(&layer.weight, &mut fresh);
            gradient = d.clone();
            let column_sums = if i == 0 { self.kept.of(&layer.weight) } else { &fresh };
            let input = Input::Pixels(batch, column_sums);
            let velocity = has_momentum.then_some(velocity);
            layer.update(cpu, input, &mut gradient, step, velocity, &mut Matrix::default());
        }
        self.kept.follow(cpu, batch, &gradient, step);
        self.drifts.push(drift(cpu, &self.layers[0].weight, batch, &gradient));
        if has_momentum || self.drifts.len() == 64 {
            self.drifts.clear();
        }
    }
}

#[test]
fn kept_column_sums_stay_near_the_true_ones() {
    let fan_in = 101;
    let fan_out = 13;
    let count = 37;
    for cpu in Cpu::supported() {
        let batches = [5, 6, 7].map(|seed| batch(cpu, &noise(count, fan_in, 0.7, seed)));
        for (momentum, decay) in [(0.0, 0.0), (0.0, 1e-5), (0.0, 0.03), (0.9, 0.0), (0.9, 0.03)] {
            let layers = [(); 2].map(|()| layer(fan_in, fan_out));
            let velocities = [(); 2].map(|()| Velocity::zeros(fan_in, fan_out));
            let kept = ColumnSums::default();
            let drifts = Vec::new();
            let mut pair = Pair { cpu, layers, velocities, kept, drifts };
            for i in 0..300 {
                let batch = &batches[i % 3];
                pair.check(&format!("{cpu}, momentum {momentum}, decay {decay}, step {i}"), batch);
                let step = Step { learning_rate: 0.003, decay, momentum };
                pair.step(batch, &random_matrix(count, fan_out, i as u64), step);
            }
        }
    }
}
