//! What several seeds say together.

use std::cmp::Ordering;
use std::fmt;

/// A mean this many standard errors from zero is told apart from it. If nothing but chance is at
/// work, that happens once in 67 times with ten seeds, once in 25 with five (Student's t
/// distribution).
pub const STANDARD_ERRORS: f64 = 3.0;

/// Values of several seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// How many.
    pub count: usize,
    /// Their mean; not a number if there are none.
    pub mean: f64,
    /// Their standard deviation, as of a sample: over `count − 1`. Not a number for fewer than two.
    pub deviation: f64,
}

impl Spread {
    /// The standard error of the mean, s/√n.
    pub fn standard_error(self) -> f64 {
        self.deviation / (self.count as f64).sqrt()
    }

    /// Whether the mean is above or below zero by more than chance gives; equal if it is neither.
    pub fn sign(self) -> Ordering {
        let most = STANDARD_ERRORS * self.standard_error();
        match self.mean {
            mean if mean > most => Ordering::Greater,
            mean if -mean > most => Ordering::Less,
            _ => Ordering::Equal,
        }
    }
}

impl FromIterator<f64> for Spread {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Spread {
        let values: Vec<f64> = values.into_iter().collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Spread { count: values.len(), mean, deviation: (squares / (count - 1.0)).sqrt() }
    }
}

/// Mean ± standard deviation; the mean alone where there is only one value, a dash where there is
/// none.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            0 => f.write_str("–"),
            1 => write!(f, "{:.4}", self.mean),
            _ => write!(f, "{:.4} ± {:.4}", self.mean, self.deviation),
        }
    }
}
