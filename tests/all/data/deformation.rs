//! Deformed images: that each strength does what its name says, to the amount it says, and nothing
//! else.

use std::thread;

use crate::common::{MNIST, SIGMAS, assert_mean, pictures};
use mnist_mlp::data::deformation::{Deformation, Deformer};
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::rng::{Rng, Stream};

const NONE: Deformation = Deformation {
    rotation: 0.0,
    scale: 0.0,
    shear: 0.0,
    shift: 0.0,
    elastic: 0.0,
    smoothness: 4.0,
};
const STRONG: Deformation = Deformation {
    rotation: 30.0,
    scale: 0.3,
    shear: 0.3,
    shift: 3.0,
    elastic: 2.0,
    smoothness: 3.0,
};

fn deformer(deformation: Deformation, rows: usize, columns: usize) -> Deformer {
    Deformer::new(deformation, 1, Cpu::best(), rows, columns).unwrap()
}

// ---- Images ------------------------------------------------------------------------------------

const SIZES: [(usize, usize); 6] = [(28, 28), (1, 1), (1, 50), (17, 5), (16, 32), (40, 33)];

#[test]
fn without_strength_an_image_stays_as_it_is() {
    for (rows, columns) in SIZES {
        let images = pictures(3, rows, columns, 1).images;
        let (mut deformer, mut deformed) = (deformer(NONE, rows, columns), vec![7; rows * columns]);
        for number in 0..3 {
            deformer.deform(5, number, images.image(number), &mut deformed);
            assert_eq!(deformed, images.image(number), "{rows} × {columns}");
        }
    }
}

/// The plain bilinear formula, with 0 outside the image.
fn bilinear(image: &[u8], rows: usize, columns: usize, [y, x]: [f64; 2]) -> f64 {
    let pixel = |y: f64, x: f64| {
        let inside = y >= 0.0 && x >= 0.0 && y < rows as f64 && x < columns as f64;
        if inside { f64::from(image[y as usize * columns + x as usize]) } else { 0.0 }
    };
    let top = y.floor();
    let left = x.floor();
    let along = |y| (left + 1.0 - x) * pixel(y, left) + (x - left) * pixel(y, left + 1.0);
    (top + 1.0 - y) * along(top) + (y - top) * along(top + 1.0)
}

#[test]
fn every_pixel_is_the_one_at_its_source() {
    for (rows, columns) in SIZES {
        for deformation in [STRONG, Deformation { shift: 100.0, ..STRONG }] {
            let images = pictures(50, rows, columns, 1).images;
            let (mut deformer, mut deformed) =
                (deformer(deformation, rows, columns), vec![0; rows * columns]);
            for number in 0..50 {
                let image = images.image(number);
                deformer.deform(0, number, image, &mut deformed);
                let sources: Vec<[f32; 2]> = deformer.sources(0, number).collect();
                assert_eq!(sources.len(), deformed.len());
                for (&pixel, source) in deformed.iter().zip(sources) {
                    let expected = bilinear(image, rows, columns, source.map(f64::from));
                    // Rounded to a byte, and by f32's sums before.
                    let off = (f64::from(pixel) - expected).abs();
                    assert!(off <= 0.501, "{rows} × {columns}, {source:?}: {pixel} for {expected}");
                }
            }
        }
    }
}

/// Ink runs over no edge, and what one digit gains by its size another loses.
#[test]
fn the_ink_of_digits_stays() {
    let usual = Deformation {
        rotation: 15.0,
        scale: 0.1,
        shear: 0.1,
        shift: 1.0,
        elastic: 1.0,
        smoothness: 4.0,
    };
    let (mut deformer, mut deformed) = (deformer(usual, 28, 28), [0; 784]);
    let ink = |image: &[u8]| image.iter().map(|&pixel| f64::from(pixel)).sum::<f64>();
    let mut before = 0.0;
    let mut after = 0.0;
    for number in 0..2000 {
        let image = MNIST.train.images.image(number);
        deformer.deform(1, number, image, &mut deformed);
        let ratio = ink(&deformed) / ink(image);
        assert!((0.4..2.5).contains(&ratio), "image {number}: {ratio}");
        before += ink(image);
        after += ink(&deformed);
    }
    assert!((after / before - 1.0).abs() < 0.02, "{}", after / before);
}

#[test]
fn examples_are_the_images_and_what_training_makes_of_them() {
    let images = pictures(12, 6, 7, 1).images;
    let (mut deformer, mut deformed) = (deformer(STRONG, 6, 7), vec![0; 42]);
    let examples = deformer.examples(&images);
    assert_eq!(examples.len(), 10);
    for (number, row) in examples.iter().enumerate() {
        assert_eq!((row.len(), &row[0][..]), (6, images.image(number)));
        for (epoch, example) in row[1..].iter().enumerate() {
            deformer.deform(epoch, number, images.image(number), &mut deformed);
            assert_eq!(*example, deformed);
        }
    }
    assert_eq!(deformer.examples(&pictures(2, 6, 7, 1).images).len(), 2);
}

/// The numbers of images and epochs that a threaded training may ask for in any order.
#[test]
fn bits_depend_on_seed_epoch_and_number_alone() {
    let images = &MNIST.train.images;
    let deform = |seed, cpu, epoch, numbers: &[usize]| {
        let mut deformer = Deformer::new(STRONG, seed, cpu, 28, 28).unwrap();
        let deform = |&number: &usize| {
            let mut deformed = vec![0; 784];
            deformer.deform(epoch, number, images.image(number % 10), &mut deformed);
            (deformed, deformer.sources(epoch, number).collect::<Vec<_>>())
        };
        numbers.iter().map(deform).collect::<Vec<_>>()
    };
    let numbers: Vec<usize> = (0..100).collect();
    let alone = deform(1, Cpu::best(), 2, &numbers);
    for cpu in Cpu::supported() {
        assert!(deform(1, cpu, 2, &numbers) == alone, "{cpu}");
    }
    let threads: Vec<_> = thread::scope(|scope| {
        let spawn = |part| scope.spawn(move || deform(1, Cpu::best(), 2, part));
        let threads: Vec<_> = numbers.chunks(30).rev().map(spawn).collect();
        threads.into_iter().rev().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(threads.concat() == alone);
    let others = [
        deform(2, Cpu::best(), 2, &numbers),
        deform(1, Cpu::best(), 3, &numbers),
        deform(1, Cpu::best(), 2, &(10..110).collect::<Vec<_>>()),
    ];
    for other in others {
        assert!(alone.iter().zip(other).all(|(a, b)| a.0 != b.0));
    }
}

// ---- Where the pixels come from ----------------------------------------------------------------

/// The matrix that takes a pixel's place relative to the centre to its source, and how far the
/// centre's source is from the centre. Checks that this holds for all sources.
fn affine(sources: &[[f64; 2]], rows: usize, columns: usize) -> [f64; 6] {
    let step = |axis: usize, to: usize, steps: usize| {
        (sources[to][axis] - sources[0][axis]) / steps as f64
    };
    let [yy, xy] = [0, 1].map(|axis| step(axis, (rows - 1) * columns, rows - 1));
    let [yx, xx] = [0, 1].map(|axis| step(axis, columns - 1, columns - 1));
    let at = |y: f64, x: f64| [sources[0][0] + yy * y + yx * x, sources[0][1] + xy * y + xx * x];
    for (i, source) in sources.iter().enumerate() {
        let expected = at((i / columns) as f64, (i % columns) as f64);
        assert!(
            (0..2).all(|axis| (source[axis] - expected[axis]).abs() < 1e-4),
            "{source:?}, expected {expected:?}"
        );
    }
    let centre = [rows, columns].map(|size| (size - 1) as f64 / 2.0);
    let [y, x] = at(centre[0], centre[1]);
    [yy, yx, xy, xx, y - centre[0], x - centre[1]]
}

/// For each part: what it drew, and the whole [`affine`] that this alone makes.
type Part = (&'static str, Deformation, f64, fn([f64; 6]) -> (Vec<f64>, [f64; 6]));

const PARTS: [Part; 4] = [
    ("rotation", Deformation { rotation: 90.0, ..NONE }, 90.0, |m| {
        let angle = m[1].atan2(m[0]);
        let (sin, cos) = angle.sin_cos();
        (vec![angle.to_degrees()], [cos, sin, -sin, cos, 0.0, 0.0])
    }),
    ("scale", Deformation { scale: 0.5, ..NONE }, 0.5, |m| {
        (vec![1.0 / m[0] - 1.0, 1.0 / m[3] - 1.0], [m[0], 0.0, 0.0, m[3], 0.0, 0.0])
    }),
    ("shear", Deformation { shear: 0.2, ..NONE }, 0.2, |m| {
        (vec![m[2]], [1.0, 0.0, m[2], 1.0, 0.0, 0.0])
    }),
    ("shift", Deformation { shift: 3.0, ..NONE }, 3.0, |m| {
        (vec![m[4], m[5]], [1.0, 0.0, 0.0, 1.0, m[4], m[5]])
    }),
];

#[test]
fn each_affine_part_does_what_its_name_says_and_no_more() {
    let rows = 12;
    let columns = 21;
    for (name, deformation, most, part) in PARTS {
        let mut deformer = deformer(deformation, rows, columns);
        let mut drawn = Vec::new();
        for number in 0..2000 {
            let sources: Vec<_> =
                deformer.sources(0, number).map(|source| source.map(f64::from)).collect();
            let found = affine(&sources, rows, columns);
            let (strengths, expected) = part(found);
            assert!(
                found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5),
                "{name}: {found:?}, {expected:?}"
            );
            assert!(strengths.iter().all(|x| x.abs() <= most * 1.0001), "{name}: {strengths:?}");
            drawn.push(strengths);
        }
        // Uniform in ±most: the moments of x², x⁴ and, of the two axes, x·y.
        let square = most.powi(2) / 3.0;
        let fourth = most.powi(4) / 5.0;
        for axis in 0..drawn[0].len() {
            assert_mean(name, drawn.iter().map(|x| x[axis]), 0.0, square);
            assert_mean(
                name,
                drawn.iter().map(|x| x[axis].powi(2)),
                square,
                fourth - square.powi(2),
            );
        }
        if drawn[0].len() == 2 {
            assert_mean(name, drawn.iter().map(|x| x[0] * x[1]), 0.0, square.powi(2));
        }
    }
}

/// All parts at once: rotated by R, slanted by H, then stretched by S and shifted, so that a
/// pixel's source is R⁻¹, then H⁻¹, then S⁻¹ of its place less the shift. The draws come in this
/// order.
#[test]
fn the_affine_parts_follow_one_another() {
    let rows = 12;
    let columns = 21;
    let mut deformer = deformer(Deformation { elastic: 0.0, ..STRONG }, rows, columns);
    let key = Rng::new(1, Stream::Deformation).next_u64();
    let product = |a: [[f64; 2]; 2], b: [[f64; 2]; 2]| {
        [0, 1].map(|i| [0, 1].map(|j| a[i][0] * b[0][j] + a[i][1] * b[1][j]))
    };
    for number in 0..100 {
        let sources: Vec<_> =
            deformer.sources(3, number).map(|source| source.map(f64::from)).collect();
        let mut rng = Rng::new(key.wrapping_add((3 << 32) + number as u64), Stream::Deformation);
        let mut draw = |most: f32| f64::from(most) * (2.0 * rng.uniform() - 1.0);
        let (sin, cos) = draw(STRONG.rotation).to_radians().sin_cos();
        let shear = draw(STRONG.shear);
        let [height, width] = [0, 1].map(|_| 1.0 + draw(STRONG.scale));
        let [down, right] = [0, 1].map(|_| draw(STRONG.shift));
        let straight = product([[1.0, 0.0], [-shear, 1.0]], [[cos, sin], [-sin, cos]]);
        let [[yy, yx], [xy, xx]] = product([[1.0 / height, 0.0], [0.0, 1.0 / width]], straight);
        let centre = [-yy * down - yx * right, -xy * down - xx * right];
        let expected = [yy, yx, xy, xx, centre[0], centre[1]];
        let found = affine(&sources, rows, columns);
        assert!(
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5),
            "{found:?}, {expected:?}"
        );
    }
}

/// White noise smoothed by a Gaussian of σ has a Gaussian's correlation: exp(−d²/4σ²) at a distance
/// of d pixels.
#[test]
fn the_elastic_field_has_its_spread_and_smoothness() {
    let rows = 20;
    let columns = 37;
    let draws = 10_000;
    for (elastic, smoothness) in [(1.0, 1.0), (0.5, 4.0), (3.0, 6.3)] {
        // Of all moves, y and x by turns: two, and their correlation.
        let mut pairs = Vec::new();
        for i in 0..rows * columns {
            pairs.push((2 * i, 2 * i + 1, 0.0));
            for (down, right) in [(0, 0), (0, 1), (3, 0), (2, 5), (0, 19)] {
                if i / columns + down < rows && i % columns + right < columns {
                    let squared = (down * down + right * right) as f64;
                    let other = i + down * columns + right;
                    let correlation = (-squared / (4.0 * f64::from(smoothness).powi(2))).exp();
                    pairs.extend([0, 1].map(|axis| (2 * i + axis, 2 * other + axis, correlation)));
                }
            }
        }
        let mut deformer = deformer(Deformation { elastic, smoothness, ..NONE }, rows, columns);
        let mut sums = vec![0.0; pairs.len()];
        for number in 0..draws {
            let sources = deformer.sources(0, number).enumerate();
            let moves: Vec<f64> = sources
                .flat_map(|(i, [y, x])| [y - (i / columns) as f32, x - (i % columns) as f32])
                .map(|pixels| f64::from(pixels / elastic))
                .collect();
            for (sum, (a, b, _)) in sums.iter_mut().zip(&pairs) {
                *sum += moves[*a] * moves[*b];
            }
        }
        for (sum, (a, b, expected)) in sums.iter().zip(&pairs) {
            let found = sum / draws as f64;
            let error = ((1.0 + expected * expected) / draws as f64).sqrt();
            let off = (found - expected).abs();
            assert!(
                off <= SIGMAS * error,
                "σ {smoothness}, {a} and {b}: {found}, expected {expected} ± {error}"
            );
        }
    }
}

// ---- Bad values --------------------------------------------------------------------------------

#[test]
fn bad_strengths_are_refused() {
    let cases = [
        (Deformation { rotation: -1.0, ..NONE }, "rotation: -1.0; expected from 0 to 180 degrees"),
        (Deformation { scale: 1.0, ..NONE }, "scale: 1.0; expected from 0 to 0.5 of the size"),
        (Deformation { shear: f32::NAN, ..NONE }, "shear: NaN; expected from 0 to 1 pixels a row"),
        (Deformation { shift: f32::INFINITY, ..NONE }, "shift: inf; expected from 0 to 100 pixels"),
        (Deformation { elastic: 101.0, ..NONE }, "elastic: 101.0; expected from 0 to 100 pixels"),
        (Deformation { smoothness: 0.0, ..NONE }, "smoothness: 0.0; expected from 1 to 100 pixels"),
    ];
    for (deformation, message) in cases {
        let error = Deformer::new(deformation, 1, Cpu::best(), 28, 28).err().unwrap().to_string();
        assert!(
            error.starts_with(&format!("deformation in get_config: found {message}")),
            "{error}"
        );
        assert!(
            error.ends_with("change that line in src/main.rs, or set deformation to None"),
            "{error}"
        );
    }
    STRONG.validate().unwrap();
    for (rows, columns) in [(1, 65_537), (65_537, 1)] {
        let error = Deformer::new(NONE, 1, Cpu::best(), rows, columns).err().unwrap().to_string();
        assert!(
            error.contains(&format!(
                "found images of {rows} × {columns} pixels; expected at most 65536"
            )),
            "{error}"
        );
    }
}
