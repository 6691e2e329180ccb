//! What training leaves behind for a report: a row for each epoch, as a table and as curves.

use crate::output::plot::{Figure, Line};
use crate::training::Epoch;

/// The epochs as CSV: a header, then a row for each. Where the last is not the last of all
/// `epochs`, the run has not ended. `tested_on` is what the test set is called.
pub fn csv(history: &[Epoch], epochs: usize, tested_on: &str) -> String {
    let tested_on = tested_on.replace('-', "_");
    let mut csv =
        format!("epoch,epochs,learning_rate,loss,running_accuracy,{tested_on}_accuracy,seconds\n");
    for e in history {
        let accuracies = format!("{:.6},{:.6}", e.running_accuracy, e.test_accuracy);
        csv += &format!(
            "{},{epochs},{},{:.6},{accuracies},{:.3}\n",
            e.epoch, e.learning_rate, e.loss, e.seconds
        );
    }
    csv
}

/// The two accuracies by epoch, as an SVG figure: of one seed, or the mean of several with a band.
/// `runs` has the running accuracies and the test accuracies of each; `tested_on` is what the test
/// set is called.
pub fn curves(runs: &[[Vec<f64>; 2]], tested_on: &str, title: String) -> String {
    let line =
        |name, which: usize| Line::of_seeds(name, false, runs.iter().map(|run| &run[which][..]));
    let lines = vec![line("train (running)", 0), line(tested_on, 1)];
    Figure { title, y_bounds: (0.0, 1.0), lines }.svg()
}
