//! Small random deformations of the training images, new ones in each epoch: a digit that is
//! turned, stretched or bent a little is still the same digit, and a network that never sees the
//! same image twice cannot learn it by heart.
//!
//! Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to
//! visual document analysis" (2003): affine and elastic deformations. As there, the elastic field
//! is uniform noise smoothed by a Gaussian.

use crate::data::Images;
use crate::error::{Error, Result};
use crate::for_each_instruction_set;
use crate::math::kernels::Cpu;
use crate::math::rng::{Rng, Stream};

/// How strongly images are deformed. "Up to" is drawn for each image anew, uniformly and in both
/// directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deformation {
    /// Rotation about the centre, up to this in degrees.
    pub rotation: f32,
    /// The height changes by up to this share, and independently the width: 0.1 is from 90 % to 110
    /// %.
    pub scale: f32,
    /// Slant: up to this in pixels sideways for each pixel above or below the centre.
    pub shear: f32,
    /// Shift up or down, and independently left or right, up to this in pixels.
    pub shift: f32,
    /// How far the elastic field moves a pixel: the standard deviation in pixels, vertically and
    /// horizontally alike.
    pub elastic: f32,
    /// How smooth the elastic field is: the standard deviation in pixels of the Gaussian that
    /// smooths it.
    pub smoothness: f32,
}

/// Strengths that suit digits of 28 × 28 pixels.
impl Default for Deformation {
    fn default() -> Self {
        Deformation {
            rotation: 10.0,
            scale: 0.1,
            shear: 0.08,
            shift: 1.0,
            elastic: 1.0,
            smoothness: 4.0,
        }
    }
}

impl Deformation {
    /// Checks every strength.
    ///
    /// # Errors
    /// The first that is not a number in its range.
    pub fn validate(&self) -> Result<()> {
        let fields = [
            ("rotation", self.rotation, 0.0, 180.0, "degrees"),
            ("scale", self.scale, 0.0, 0.5, "of the size, such as 0.1"),
            ("shear", self.shear, 0.0, 1.0, "pixels a row, such as 0.1"),
            ("shift", self.shift, 0.0, 100.0, "pixels"),
            ("elastic", self.elastic, 0.0, 100.0, "pixels"),
            ("smoothness", self.smoothness, 1.0, 100.0, "pixels"),
        ];
        match fields.into_iter().find(|(_, value, least, most, _)| !(least..=most).contains(&value))
        {
            None => Ok(()),
            Some((name, value, least, most, unit)) => Err(Error::new(
                "deformation in get_config",
                format!("{name}: {value:?}"),
                format!("from {least} to {most} {unit}"),
                "change that line in src/main.rs, or set deformation to None",
            )),
        }
    }
}

/// Columns that are computed together.
const LANES: usize = 16;

/// The numbers of [`LANES`] columns.
type Lanes = [f32; LANES];

/// The longest side of an image. At its end f32 has a place every 1/128 of a pixel; further out,
/// the interpolation would show how coarse that is.
pub const MOST_PIXELS: usize = 1 << 16;

/// Added to a small number, this leaves it rounded to a whole one in the low bits.
const ROUND: f32 = (3 << 22) as f32;

/// The noise is a grid with one number every σ pixels, which a Gaussian of that σ smooths as well
/// as one every pixel. Within 3σ of a pixel are 6 rows and 6 columns of the grid.
const TAPS: usize = 6;

/// The first of the grid's rows (or columns) near a row (or column) of pixels, and the weights from
/// there on: the Gaussian's, scaled so that their squares add up to 1, which gives the sum the
/// noise's standard deviation.
fn taps(pixel: usize, sigma: f64) -> (usize, [f64; TAPS]) {
    let position = pixel as f64 / sigma;
    let distance = |tap: usize| position.fract() + (TAPS / 2 - 1) as f64 - tap as f64;
    let weights: [f64; TAPS] = std::array::from_fn(|tap| (-0.5 * distance(tap).powi(2)).exp());
    let norm = weights.iter().map(|w| w * w).sum::<f64>().sqrt();
    (position as usize, weights.map(|w| w / norm))
}

/// Deforms images of one size. The result depends on the seed, the epoch and the image's number
/// alone; every cpu gives the same bits, since no multiply-add is fused.
#[derive(Clone)]
pub struct Deformer {
    deformation: Deformation,
    cpu: Cpu,
    rows: usize,
    columns: usize,
    key: u64,
    /// Uniform noise, `grid rows × 2 × grid_columns`, its length rounded up to a multiple of 4: in
    /// each row first what moves pixels vertically, then what moves them horizontally.
    noise: Vec<f32>,
    grid_columns: usize,
    /// The noise smoothed along its rows, `grid rows × 2 × columns`, the columns rounded up to
    /// whole [`Lanes`].
    smoothed: Vec<Lanes>,
    /// For each [`LANES`] columns of pixels, the first of the grid's columns and from there on the
    /// weights.
    across: Vec<(usize, Vec<Lanes>)>,
    /// For each row of pixels, the first of the grid's rows and from there on the weights.
    down: Vec<(usize, [f32; TAPS])>,
    /// The row and the column that each pixel is taken from; longer by the lanes that the last row
    /// does not need.
    sources: [Vec<f32>; 2],
    /// The image within a margin of background: 1 pixel above, left and right, 2 below.
    padded: Vec<u8>,
    /// For each pixel of `padded`, four bytes: it, the one right of it, and the two below these.
    squares: Vec<u32>,
}

impl Deformer {
    /// A deformer for images of `rows × columns` pixels, at least one.
    ///
    /// # Errors
    /// Those of [`Deformation::validate`], and a side above [`MOST_PIXELS`].
    pub fn new(
        deformation: Deformation,
        seed: u64,
        cpu: Cpu,
        rows: usize,
        columns: usize,
    ) -> Result<Deformer> {
        deformation.validate()?;
        if rows.max(columns) > MOST_PIXELS {
            let found = format!("images of {rows} × {columns} pixels");
            let expected = format!("at most {MOST_PIXELS} on a side");
            return Err(Error::new("deformation in get_config", found, expected, "set it to None"));
        }
        let sigma = f64::from(deformation.smoothness);
        let [grid_rows, grid_columns] = [rows, columns].map(|size| taps(size - 1, sigma).0 + TAPS);
        let across = (0..columns).step_by(LANES).map(|start| {
            let first = taps(start, sigma).0;
            let end = columns.min(start + LANES);
            let mut all_weights = vec![[0.0; LANES]; taps(end - 1, sigma).0 + TAPS - first];
            for column in start..end {
                let (near, weights) = taps(column, sigma);
                for (lanes, weight) in all_weights[near - first..].iter_mut().zip(weights) {
                    lanes[column - start] = weight as f32;
                }
            }
            (first, all_weights)
        });
        // Noise is a whole number of 16 bits plus ½, which has this standard deviation.
        let strength = f64::from(deformation.elastic) / ((2.0_f64.powi(32) - 1.0) / 12.0).sqrt();
        let down = (0..rows)
            .map(|row| taps(row, sigma))
            .map(|(first, w)| (first, w.map(|w| (strength * w) as f32)));
        Ok(Deformer {
            deformation,
            cpu,
            rows,
            columns,
            key: Rng::new(seed, Stream::Deformation).next_u64(),
            noise: vec![0.0; (grid_rows * 2 * grid_columns).next_multiple_of(4)],
            grid_columns,
            smoothed: vec![[0.0; LANES]; grid_rows * 2 * across.len()],
            across: across.collect(),
            down: down.collect(),
            sources: [0, 1].map(|_| vec![0.0; rows * columns + LANES]),
            padded: vec![0; (rows + 3) * (columns + 2)],
            squares: vec![0; (rows + 2) * (columns + 2)],
        })
    }

    /// `deformed ←` image `number` as it is in `epoch`, both of `rows × columns`.
    pub fn deform(&mut self, epoch: usize, number: usize, image: &[u8], deformed: &mut [u8]) {
        self.place(epoch, number);
        sample(self.cpu, self, image, deformed);
    }

    /// Where [`Deformer::deform`] takes each pixel from, row after row: the row and the column of a
    /// place in `image`.
    pub fn sources(&mut self, epoch: usize, number: usize) -> impl Iterator<Item = [f32; 2]> {
        self.place(epoch, number);
        let [rows, columns] = &self.sources;
        rows.iter().zip(columns).map(|(&row, &column)| [row, column]).take(self.rows * self.columns)
    }

    /// The first images of `images`, ten or fewer, each as it is and then as it is in the first
    /// five epochs.
    pub fn examples(&mut self, images: &Images) -> Vec<Vec<Vec<u8>>> {
        let row = |number| {
            let image = images.image(number);
            let mut row = vec![image.to_vec(); 6];
            row[1..]
                .iter_mut()
                .enumerate()
                .for_each(|(epoch, to)| self.deform(epoch, number, image, to));
            row
        };
        (0..images.count().min(10)).map(row).collect()
    }

    /// `deformed ←` all `images` as they are in `epoch`, on the threads of `cpu`.
    pub fn deform_all(&self, cpu: Cpu, epoch: usize, images: &Images, deformed: &mut Images) {
        let count = cpu.chunk_len(images.count(), 1);
        cpu.each(deformed.pixels.chunks_mut(count * images.size()).enumerate(), |(i, pixels)| {
            let mut deformer = self.clone();
            for (number, deformed) in (i * count..).zip(pixels.chunks_exact_mut(images.size())) {
                deformer.deform(epoch, number, images.image(number), deformed);
            }
        });
    }

    fn place(&mut self, epoch: usize, number: usize) {
        let rng = Rng::new(
            self.key.wrapping_add(((epoch as u64) << 32) + number as u64),
            Stream::Deformation,
        );
        place(self.cpu, self, rng);
    }
}

for_each_instruction_set! {
    /// Draws where each pixel comes from, into `sources`.
    fn place(d: &mut Deformer, rng: Rng) {
        let mut rng = rng;
        let mut up_to = |strength: f32| f64::from(strength) * (2.0 * rng.uniform() - 1.0);
        let (sin, cos) = up_to(d.deformation.rotation).to_radians().sin_cos();
        let shear = up_to(d.deformation.shear);
        let [height, width] = [0, 1].map(|_| 1.0 + up_to(d.deformation.scale));
        let shift = [0, 1].map(|_| up_to(d.deformation.shift));
        // From a pixel to its source, relative to the centre: shift back, turn back, straighten,
        // divide by the scale.
        let centre = [d.rows, d.columns].map(|size| (size - 1) as f64 / 2.0);
        let corner = [-centre[0] - shift[0], -centre[1] - shift[1]];
        let back_to_row = [cos / height, sin / height];
        let back_to_column = [(-sin - shear * cos) / width, (cos - shear * sin) / width];

        for four in d.noise.chunks_exact_mut(4) {
            let bits = rng.next_u64();
            for (i, number) in four.iter_mut().enumerate() {
                *number = f32::from((bits >> (16 * i)) as i16) + 0.5;
            }
        }
        let lanes = d.across.len();
        let smoothed_rows = d.smoothed.chunks_exact_mut(lanes);
        for (noise, smoothed) in d.noise.chunks_exact(d.grid_columns).zip(smoothed_rows) {
            for ((first, weights), smoothed) in d.across.iter().zip(smoothed) {
                let mut sum = [0.0; LANES];
                for (weights, number) in weights.iter().zip(&noise[*first..]) {
                    sum = std::array::from_fn(|lane| sum[lane] + weights[lane] * number);
                }
                *smoothed = sum;
            }
        }
        for (row, (first, weights)) in d.down.iter().enumerate() {
            for axis in 0..2 {
                let [by_row, by_column] = [back_to_row, back_to_column][axis];
                let from_row = centre[axis] + by_row * (corner[0] + row as f64);
                let start = (from_row + by_column * corner[1]) as f32;
                for i in 0..lanes {
                    let column = (i * LANES) as f32;
                    let mut source: Lanes = std::array::from_fn(|lane| {
                        start + by_column as f32 * (column + lane as f32)
                    });
                    for (tap, weight) in weights.iter().enumerate() {
                        let smoothed = &d.smoothed[((first + tap) * 2 + axis) * lanes + i];
                        source = std::array::from_fn(|lane| source[lane] + weight * smoothed[lane]);
                    }
                    // What this writes beyond the row, the next row overwrites.
                    let place = row * d.columns + i * LANES;
                    d.sources[axis][place..][..LANES].copy_from_slice(&source);
                }
            }
        }
    }
}

for_each_instruction_set! {
    /// `deformed ←` each pixel of the image at its source, bilinearly; around the image is
    /// background.
    fn sample(deformer: &mut Deformer, image: &[u8], deformed: &mut [u8]) {
        let Deformer { rows, columns, sources, padded, squares, .. } = deformer;
        let stride = *columns + 2;
        let inner_rows = padded[stride + 1..].chunks_exact_mut(stride);
        for (row, padded) in image.chunks_exact(*columns).zip(inner_rows) {
            padded[..*columns].copy_from_slice(row);
        }
        let above = padded.iter().zip(&padded[1..]);
        let below = padded[stride..].iter().zip(&padded[stride + 1..]);
        for (square, ((a, b), (c, d))) in squares.iter_mut().zip(above.zip(below)) {
            *square = u32::from_le_bytes([*a, *b, *c, *d]);
        }
        let [bottom, right] = [*rows, *columns].map(|size| (size + 1) as f32);
        let [source_rows, source_columns] = sources.each_ref().map(|s| s.as_chunks::<LANES>().0);
        let sources = source_rows.iter().zip(source_columns);
        for (pixels, (y, x)) in deformed.chunks_mut(LANES).zip(sources) {
            // Within the margin; then the pixel above and left. A source that is on a pixel may
            // take that or the one before it: one of the two has the whole weight.
            let y = y.map(|y| (y + 1.0).clamp(0.0, bottom));
            let x = x.map(|x| (x + 1.0).clamp(0.0, right));
            let top = y.map(|y| y - 0.5 + ROUND);
            let left = x.map(|x| x - 0.5 + ROUND);
            let whole = |rounded: f32| rounded.to_bits() - ROUND.to_bits();
            let number: [u32; LANES] =
                std::array::from_fn(|i| whole(top[i]) * stride as u32 + whole(left[i]));
            let square = number.map(|i| squares.get(i as usize).copied().unwrap_or(0));
            let values: [u8; LANES] = std::array::from_fn(|i| {
                let byte = |bits: u32| (square[i] >> bits & 255) as i32 as f32;
                let [a, b, c, d] = [0, 8, 16, 24].map(byte);
                let down = y[i] - (top[i] - ROUND);
                let across = x[i] - (left[i] - ROUND);
                let above = a + across * (b - a);
                let below = c + across * (d - c);
                (above + down * (below - above) + ROUND).to_bits() as u8
            });
            pixels.copy_from_slice(&values[..pixels.len()]);
        }
    }
}
