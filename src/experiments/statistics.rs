//! What several seeds say together.

use std::fmt;

/// A difference is called seen if it is more than this many standard errors from zero. With ten seeds chance alone does
/// that once in 67 times, with five once in 25 (Student's t distribution).
pub const SEEN: f64 = 3.0;

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
    /// The spread of `values`.
    pub fn new(values: &[f64]) -> Spread {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Spread { count: values.len(), mean, deviation: (squares / (count - 1.0)).sqrt() }
    }

    /// The standard error of the mean, s/√n.
    pub fn standard_error(self) -> f64 {
        self.deviation / (self.count as f64).sqrt()
    }

    /// Whether the mean is above zero by more than chance gives.
    pub fn is_above_zero(self) -> bool {
        self.mean > SEEN * self.standard_error()
    }

    /// Whether the mean is below zero by more than chance gives.
    pub fn is_below_zero(self) -> bool {
        -self.mean > SEEN * self.standard_error()
    }
}

impl FromIterator<f64> for Spread {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Spread {
        Spread::new(&values.into_iter().collect::<Vec<_>>())
    }
}

/// Mean ± standard deviation; the mean alone where there is only one value, a dash where there is none.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            0 => f.write_str("–"),
            1 => write!(f, "{:.4}", self.mean),
            _ => write!(f, "{:.4} ± {:.4}", self.mean, self.deviation),
        }
    }
}
