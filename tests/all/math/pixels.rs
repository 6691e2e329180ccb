//! Batches of images and the first layer's products, which skip background, against plain loops.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::matmul::{assert_same, naive, naive_transpose};
use crate::common::{batch, noise, random_matrix};
use mnist_mlp::data::Images;
use mnist_mlp::data::batch::Batch;
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::kernels::pixels::{add_pixel_gradient, multiply_pixels};
use mnist_mlp::math::matrix::Matrix;
use proptest::prelude::*;

/// Noise with background: single pixels, whole images, and pixels that are so in every image.
fn pictures(count: usize, size: usize, seed: u64, share: f32) -> Images {
    let mut images = noise(count, size, share, seed);
    let of = |size, seed| noise(1, size, share / 2.0, seed);
    let [whole, everywhere] = [of(count, !seed), of(size, seed ^ 5)];
    for (i, pixel) in images.pixels.iter_mut().enumerate() {
        if whole.pixels[i / size] == 0 || everywhere.pixels[i % size] == 0 {
            *pixel = 0;
        }
    }
    images
}

/// Both products of these images with `columns`, by every instruction set and so many threads,
/// against the loops that skip nothing: bit for bit, since what is skipped adds 0.
fn check(images: &Images, columns: usize, beta: f32, threads: &[usize]) {
    let count = images.count();
    let size = images.size();
    let [w, d] = [(size, 1), (count, 2)].map(|(rows, seed)| random_matrix(rows, columns, seed));
    let row = random_matrix(1, columns, 3);
    let mut expected: [Option<[Matrix; 2]>; 2] = [None, None];
    for cpu in Cpu::supported() {
        let batch = batch(cpu, images);
        let [forward, backward] = expected[usize::from(cpu.is_fused())].get_or_insert_with(|| {
            let p = batch.pixels();
            let z = Matrix::zeros(count, columns);
            let forward = naive(cpu, p, &w, 0.0, Some(&row), &z);
            [forward, naive(cpu, &naive_transpose(p), &d, beta, Some(&row), &w)]
        });
        for &threads in threads {
            let what =
                format!("{cpu}, {threads} threads, {count} × {size} × {columns}, β = {beta}");
            let cpu = cpu.on_threads(threads);
            let mut z = d.clone();
            let mut after = w.clone();
            multiply_pixels(cpu, &batch, &w, &row, &mut z);
            assert_same(&format!("forward, {what}"), &z, forward);
            add_pixel_gradient(cpu, &batch, &d, beta, &row, &mut after);
            assert_same(&format!("backward, {what}"), &after, backward);
        }
    }
}

/// The plain loop: what `batch` must hold of the images of these numbers.
fn check_load(batch: &Batch, images: &Images, numbers: &[usize]) {
    let size = images.size();
    let mut pixels = Matrix::zeros(numbers.len(), size);
    let mut sums = Matrix::zeros(1, numbers.len());
    let words = size.div_ceil(64);
    let image_words = numbers.len().div_ceil(64);
    let [mut by_image, mut by_pixel] =
        [vec![0; numbers.len() * words], vec![0; size * image_words]];
    for (r, &i) in numbers.iter().enumerate() {
        let mut sum = 0;
        for (k, &p) in images.image(i).iter().enumerate() {
            pixels.row_mut(r)[k] = f32::from(p) * (1.0 / 255.0);
            sum += u32::from(p);
            let bit = u64::from(p != 0);
            by_image[r * words + k / 64] |= bit << (k % 64);
            by_pixel[k * image_words + r / 64] |= bit << (r % 64);
        }
        sums.row_mut(0)[r] = sum as f32 * (1.0 / 255.0) - 0.5 * size as f32;
    }
    let what = format!("{} images of {size}", numbers.len());
    assert_same(&format!("pixels, {what}"), batch.pixels(), &pixels);
    assert_same(&format!("sums, {what}"), batch.sums(), &sums);
    assert_eq!(batch.bits()[0], by_image, "by image, {what}");
    assert_eq!(batch.bits()[1], by_pixel, "by pixel, {what}");
}

proptest! {
    /// In a batch that was larger, smaller or of other images before.
    #[test]
    fn a_batch_is_the_plain_loop(
        (count, size) in (1..140usize, 1..140usize), seed in any::<u64>(), share in 0.0..1.0_f32
    ) {
        let images = pictures(count, size, seed, share);
        for cpu in Cpu::supported() {
            let mut batch = batch(cpu, &noise(count % 100 + 1, size % 90 + 1, 0.5, !seed));
            let numbers: Vec<usize> = (0..count).rev().chain([0, count - 1]).collect();
            batch.load(cpu, &images, numbers.iter().copied());
            check_load(&batch, &images, &numbers);
            batch.load(cpu, &images, 0..1);
            check_load(&batch, &images, &[0]);
        }
    }

    #[test]
    fn every_instruction_set_multiplies_pixels_as_the_loops_do(
        (count, size, columns) in (1..80usize, 1..200usize, 1..150usize),
        beta in prop_oneof![Just(0.0), Just(1.0), -2.0..2.0_f32],
        seed in any::<u64>(),
        share in 0.0..1.0_f32,
    ) {
        check(&pictures(count, size, seed, share), columns, beta, &[1]);
    }
}

/// Each byte at each place of a word, by itself.
#[test]
fn every_byte_but_zero_has_a_bit() {
    let size = 70;
    let mut images = Images { rows: 1, columns: size, pixels: vec![0; 256 * size] };
    for at in 0..size {
        images.pixels.fill(0);
        (0..256).for_each(|i| images.pixels[i * size + at] = i as u8);
        let numbers: Vec<usize> = (0..256).collect();
        check_load(&batch(Cpu::best(), &images), &images, &numbers);
    }
}

/// One and all around the sizes of words, strips and vectors. `make miri` follows the small ones.
#[test]
fn every_edge_of_a_word_and_of_a_strip() {
    let (step, most) = if cfg!(miri) { (6, 500) } else { (1, usize::MAX) };
    let shapes = [(1, 64), (2, 1), (63, 65), (64, 63), (65, 7), (127, 128), (128, 2), (129, 191)];
    for (count, size) in shapes.into_iter().filter(|(count, size)| count * size < most) {
        let columns = [1, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129];
        for columns in columns.into_iter().step_by(step) {
            check(&pictures(count, size, 1, 0.5), columns, 0.5, &[1]);
        }
    }
}

/// Enough to be shared among threads, in parts that are not equal.
#[test]
fn threads_multiply_the_same_pixels() {
    for (count, size, columns) in [(129, 783, 65), (64, 785, 129), (63, 301, 300), (16, 784, 1003)]
    {
        for beta in [0.0, 0.875] {
            check(&pictures(count, size, 1, 0.7), columns, beta, &[1, 2, 3, 7, 100]);
        }
    }
}

/// Rows of W that no image has a pixel for, and images that have none, are not even looked at:
/// there is no number in them. All others are.
#[test]
fn background_is_skipped_and_nothing_else() {
    for (count, size) in [(1, 1), (2, 64), (65, 66), (130, 784)] {
        for one in [false, true] {
            // All but every third pixel, of all but every third image; or a single pixel of one
            // image.
            let is_ink = |i: usize, k: usize| match one {
                true => i == count - 1 && k == size - 1,
                false => i % 3 != 1 && k % 3 != 1,
            };
            let pixels =
                (0..count * size).map(|at| u8::from(is_ink(at / size, at % size))).collect();
            let images = Images { rows: 1, columns: size, pixels };
            let row = Matrix::zeros(1, 5);
            for cpu in Cpu::supported() {
                let batch = batch(cpu, &images);
                let nan_where = |rows: usize, is_nan: &dyn Fn(usize) -> bool| {
                    let mut matrix = Matrix::zeros(rows, 5);
                    (0..rows).filter(|&i| is_nan(i)).for_each(|i| matrix.row_mut(i).fill(f32::NAN));
                    matrix
                };
                let nans = |matrix: &Matrix| matrix.iter().filter(|x| x.is_nan()).count();
                let has_ink = |k| (0..count).any(|i| is_ink(i, k));
                let mut z = Matrix::zeros(count, 5);
                multiply_pixels(cpu, &batch, &nan_where(size, &|k| !has_ink(k)), &row, &mut z);
                assert_eq!(nans(&z), 0, "{cpu}, {count} × {size}");
                multiply_pixels(cpu, &batch, &nan_where(size, &has_ink), &row, &mut z);
                let inked = (0..count).filter(|&i| (0..size).any(|k| is_ink(i, k))).count();
                assert_eq!(nans(&z), 5 * inked, "{cpu}, {count} × {size}");

                let is_inked = |i| (0..size).any(|k| is_ink(i, k));
                let mut w = Matrix::zeros(size, 5);
                add_pixel_gradient(
                    cpu,
                    &batch,
                    &nan_where(count, &|i| !is_inked(i)),
                    1.0,
                    &row,
                    &mut w,
                );
                assert_eq!(nans(&w), 0, "{cpu}, {count} × {size}");
                add_pixel_gradient(cpu, &batch, &nan_where(count, &is_inked), 1.0, &row, &mut w);
                let all = (0..size).filter(|&k| has_ink(k));
                assert!(
                    all.clone().all(|k| w.row(k).iter().all(|x| x.is_nan())),
                    "{cpu}, {count} × {size}"
                );
                // Two pixels that are neighbours are taken together.
                assert!(nans(&w) <= 10 * all.count(), "{cpu}, {count} × {size}");
            }
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let batch = batch(Cpu::best(), &noise(4, 6, 0.5, 1));
    let zeros = Matrix::zeros;
    let forward = |w: (usize, usize), row: (usize, usize), z: (usize, usize)| {
        let w = zeros(w.0, w.1);
        let row = zeros(row.0, row.1);
        let mut z = zeros(z.0, z.1);
        catch_unwind(AssertUnwindSafe(|| multiply_pixels(Cpu::best(), &batch, &w, &row, &mut z)))
            .is_ok()
    };
    assert!(forward((6, 5), (1, 5), (4, 5)));
    for (w, row, z) in [
        ((7, 5), (1, 5), (4, 5)),
        ((5, 5), (1, 5), (4, 5)),
        ((6, 4), (1, 5), (4, 5)),
        ((6, 5), (1, 4), (4, 5)),
        ((6, 5), (0, 5), (4, 5)),
        ((6, 5), (1, 5), (3, 5)),
        ((6, 5), (1, 5), (4, 6)),
    ] {
        assert!(!forward(w, row, z), "{w:?} {row:?} {z:?}");
    }
    let backward = |d: (usize, usize), row: (usize, usize), w: (usize, usize)| {
        let d = zeros(d.0, d.1);
        let row = zeros(row.0, row.1);
        let mut w = zeros(w.0, w.1);
        catch_unwind(AssertUnwindSafe(|| {
            add_pixel_gradient(Cpu::best(), &batch, &d, 1.0, &row, &mut w)
        }))
        .is_ok()
    };
    assert!(backward((4, 5), (1, 5), (6, 5)));
    for (d, row, w) in [
        ((3, 5), (1, 5), (6, 5)),
        ((4, 4), (1, 5), (6, 5)),
        ((4, 5), (1, 6), (6, 5)),
        ((4, 5), (2, 5), (6, 5)),
        ((4, 5), (1, 5), (5, 5)),
        ((4, 5), (1, 5), (6, 6)),
    ] {
        assert!(!backward(d, row, w), "{d:?} {row:?} {w:?}");
    }
}
