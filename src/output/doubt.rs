//! What tells the page that a drawing looks unlike all that the network was trained on.
//!
//! Each class is a Gaussian over the image's means on a coarse grid. How far an image `x` is from a
//! class is its negative log density but for a constant, |L⁻¹(x − μ)|² + 2 Σ ln Lᵢᵢ, where the
//! covariance is L·Lᵀ. To this is added how unsure the network is, ln(1 − p) of its answer's
//! probability `p`. Both are measured in their own spread over images that had no part in the
//! Gaussians, and the limit of the sum is set on those.

use crate::data::{Dataset, Images};
use crate::metrics::argmax;
use crate::network::Network;

/// The most rows and columns of the grid.
const MOST_SIDE: usize = 10;
/// The most numbers of all factors L together; with many classes the grid is coarser.
const MOST_NUMBERS: usize = 51_000;
/// Every sixth image is held out: the limit is set on those.
const HELD_OUT: usize = 6;
/// The share of images held out that are not in doubt. The network may have been trained on them
/// and is surer of those than of others: of images that are new to it, then, some 99 % are not in
/// doubt (results/README.md).
const SURE: f64 = 0.996;
/// Added to 1 − p before its logarithm is taken; the least spread.
const LEAST: f64 = 1e-6;
/// What is added to the variances, as a share of their mean and beside it: a class may have few
/// images.
const RIDGE: [f64; 2] = [0.1, 1e-3];

/// The classes' Gaussians and the limit from which an image is unlike the class that it is taken
/// for.
#[derive(Clone, Debug, PartialEq)]
pub struct Likeness {
    /// The grid's rows and columns; it has `size` cells.
    pub grid: [usize; 2],
    /// Median and spread, of the distances and of ln(1 − p).
    pub scales: [[f64; 2]; 2],
    /// What both together may be.
    pub limit: f64,
    /// μ, `classes × size`.
    pub means: Vec<f32>,
    /// L, row after row of its lower triangle, `classes × size·(size + 1)/2`.
    pub factors: Vec<f32>,
}

impl Likeness {
    /// Of the training images and the network's answers to those held out; None where there are so
    /// many classes or so few images that it would say nothing.
    pub fn new(Dataset { images, labels }: &Dataset, network: &Network) -> Option<Likeness> {
        let classes = network.classes();
        let numbers = |side: usize| classes * side.pow(2) * (side.pow(2) + 1) / 2;
        let side = (3..=MOST_SIDE).rev().find(|&side| numbers(side) <= MOST_NUMBERS)?;
        let grid = [images.rows.min(side), images.columns.min(side)];
        let cells = Grid::new(images, grid);
        let mut gaussians = vec![Gaussian::new(grid[0] * grid[1]); classes];
        let mut held_out = Images { pixels: vec![], ..*images };
        let mut held_out_cells = vec![];
        for (i, &label) in labels.iter().enumerate() {
            let x = cells.means(images.image(i));
            if i % HELD_OUT == HELD_OUT - 1 {
                held_out.pixels.extend(images.image(i));
                held_out_cells.push(x);
            } else {
                gaussians[usize::from(label)].add(&x);
            }
        }
        let mut likeness =
            Likeness { grid, scales: [[0.0; 2]; 2], limit: 0.0, means: vec![], factors: vec![] };
        for (mean, factor) in gaussians.into_iter().map(Gaussian::mean_and_factor) {
            likeness.means.extend(mean.iter().map(|&x| x as f32));
            likeness.factors.extend(factor.iter().map(|&x| x as f32));
        }
        let probabilities = network.predict(&held_out);
        let measured = held_out_cells.iter().enumerate().map(|(i, x)| {
            let class = usize::from(argmax(probabilities.row(i)));
            let probability = f64::from(probabilities.row(i)[class]);
            [likeness.distance(class, x), (1.0 - probability + LEAST).ln()]
        });
        let measured: Vec<[f64; 2]> = measured.collect();
        for which in 0..2 {
            let values: Vec<f64> = measured.iter().map(|values| values[which]).collect();
            let median = quantile(&values, 0.5)?;
            likeness.scales[which] = [median, (quantile(&values, 0.99)? - median).max(LEAST)];
        }
        let doubts: Vec<f64> = measured.iter().map(|&values| likeness.doubt(values)).collect();
        likeness.limit = quantile(&doubts, SURE)?;
        Some(likeness)
    }

    /// The sum of both, each within limits, so that neither outweighs the other.
    fn doubt(&self, measured: [f64; 2]) -> f64 {
        let scaled = |(value, [median, spread]): (f64, [f64; 2])| {
            ((value - median) / spread).clamp(-1.0, 3.0)
        };
        measured.into_iter().zip(self.scales).map(scaled).sum()
    }

    /// How far the cells' means `x` are from `class`.
    fn distance(&self, class: usize, x: &[f64]) -> f64 {
        let size = x.len();
        let numbers = x.len() * (x.len() + 1) / 2;
        let mean = &self.means[class * size..][..size];
        let mut factor = &self.factors[class * numbers..][..numbers];
        let mut y = Vec::with_capacity(size);
        let mut sum = 0.0;
        for (i, x) in x.iter().enumerate() {
            let (row, rest) = factor.split_at(i + 1);
            let known: f64 = row.iter().zip(&y).map(|(&l, y)| f64::from(l) * y).sum();
            let diagonal = f64::from(row[i]);
            y.push((x - f64::from(mean[i]) - known) / diagonal);
            sum += y[i] * y[i] + 2.0 * diagonal.ln();
            factor = rest;
        }
        sum
    }
}

/// The value below which that part of the values lies; None of none.
fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((part * values.len() as f64) as usize).copied()
}

/// The cells of a coarse grid over an image: along each axis, where a cell begins and the pixels'
/// parts of it.
struct Grid {
    columns: usize,
    axes: [Vec<(usize, Vec<f64>)>; 2],
}

impl Grid {
    fn new(images: &Images, grid: [usize; 2]) -> Grid {
        let axis = |pixels: usize, cells: usize| {
            let step = pixels as f64 / cells as f64;
            let cell = |n: usize| {
                let start = n as f64 * step;
                let end = (n + 1) as f64 * step;
                let first = start as usize;
                let last = (end - 1e-9).ceil().min(pixels as f64) as usize;
                let part = |i: usize| (end.min((i + 1) as f64) - start.max(i as f64)) / step;
                (first, (first..last).map(part).collect())
            };
            (0..cells).map(cell).collect()
        };
        Grid {
            columns: images.columns,
            axes: [axis(images.rows, grid[0]), axis(images.columns, grid[1])],
        }
    }

    /// The means of an image's cells, from 0 to 1, row after row.
    fn means(&self, pixels: &[u8]) -> Vec<f64> {
        let [down, across] = &self.axes;
        let mut means = Vec::with_capacity(down.len() * across.len());
        for (top, heights) in down {
            for (left, widths) in across {
                let row = |(y, height): (usize, &f64)| {
                    let row = &pixels[(top + y) * self.columns + left..][..widths.len()];
                    height
                        * row
                            .iter()
                            .zip(widths)
                            .map(|(&p, width)| f64::from(p) * width)
                            .sum::<f64>()
                };
                means.push(heights.iter().enumerate().map(row).sum::<f64>() / 255.0);
            }
        }
        means
    }
}

/// The sums from which a Gaussian is made; those of the products are the lower triangle, row after
/// row.
#[derive(Clone)]
struct Gaussian {
    count: f64,
    sums: Vec<f64>,
    products: Vec<f64>,
}

impl Gaussian {
    fn new(size: usize) -> Gaussian {
        Gaussian { count: 0.0, sums: vec![0.0; size], products: vec![0.0; size * (size + 1) / 2] }
    }

    fn add(&mut self, x: &[f64]) {
        self.count += 1.0;
        let mut products = self.products.iter_mut();
        for (i, &a) in x.iter().enumerate() {
            self.sums[i] += a;
            products.by_ref().take(i + 1).zip(x).for_each(|(product, b)| *product += a * b);
        }
    }

    /// μ and L, by Cholesky's algorithm, in place.
    fn mean_and_factor(self) -> (Vec<f64>, Vec<f64>) {
        let Gaussian { count, sums, products: mut factor } = self;
        let size = sums.len();
        let count = count.max(1.0);
        let mean: Vec<f64> = sums.iter().map(|sum| sum / count).collect();
        let at = |i: usize, j: usize| i * (i + 1) / 2 + j;
        for i in 0..size {
            (0..=i).for_each(|j| factor[at(i, j)] = factor[at(i, j)] / count - mean[i] * mean[j]);
        }
        let variance = (0..size).map(|i| factor[at(i, i)]).sum::<f64>() / size as f64;
        (0..size).for_each(|i| factor[at(i, i)] += RIDGE[0] * variance + RIDGE[1]);
        for i in 0..size {
            for j in 0..=i {
                let known: f64 = (0..j).map(|k| factor[at(i, k)] * factor[at(j, k)]).sum();
                let rest = factor[at(i, j)] - known;
                factor[at(i, j)] = if i == j { rest.sqrt() } else { rest / factor[at(j, j)] };
            }
        }
        (mean, factor)
    }
}
