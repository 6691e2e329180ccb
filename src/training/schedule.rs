//! Learning-rate schedules: the rate of each iteration.

/// How the learning rate changes in the course of a training run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// The same rate throughout.
    Constant,
    /// A tenth of the rate after each third of the iterations.
    Step,
    /// Half a cosine, from the rate down to zero.
    Cosine,
    /// Triangles between a hundredth of the rate and the rate, two epochs each (Smith,
    /// arXiv:1506.01186).
    Cycle,
}

impl Schedule {
    /// The rate of iteration `i` of `total`, where an epoch has `epoch` iterations and the
    /// configured rate is `rate`.
    pub fn rate(self, rate: f32, i: usize, total: usize, epoch: usize) -> f32 {
        let top = f64::from(rate);
        let i = i as f64;
        let total = total as f64;
        let epoch = epoch as f64;
        let rate = match self {
            Schedule::Constant => top,
            // ⌊3i / T⌋ is ⌊i / (T/3)⌋ without a rounded third.
            Schedule::Step => top * 0.1_f64.powi((3.0 * i / total).floor() as i32),
            Schedule::Cosine => top * (1.0 + (std::f64::consts::PI * i / total).cos()) / 2.0,
            Schedule::Cycle => {
                let base = 0.01 * top;
                let cycle = (1.0 + i / (2.0 * epoch)).floor();
                let x = (i / epoch - 2.0 * cycle + 1.0).abs();
                base + (top - base) * (1.0 - x).max(0.0)
            }
        };
        rate as f32
    }
}
