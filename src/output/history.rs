//! What training leaves behind for a report: a row for each epoch, as a table and as curves.

use crate::output::plot::{Figure, Line};
use crate::training::Epoch;

/// The epochs as CSV: a header, then a row for each.
pub fn csv(epochs: &[Epoch]) -> String {
    let mut csv = String::from("epoch,learning_rate,loss,running_accuracy,test_accuracy,seconds\n");
    for e in epochs {
        let accuracies = format!("{:.6},{:.6}", e.running_accuracy, e.test_accuracy);
        csv += &format!("{},{:.8},{:.6},{accuracies},{:.3}\n", e.epoch, e.learning_rate, e.loss, e.seconds);
    }
    csv
}

/// The two accuracies by epoch, as an SVG figure.
pub fn curves(epochs: &[Epoch], title: String) -> String {
    let line = |name: &str, accuracy: fn(&Epoch) -> f64| Line {
        name: name.into(),
        accuracies: epochs.iter().map(accuracy).collect(),
        ..Line::default()
    };
    let lines = vec![line("train (running)", |e| e.running_accuracy), line("test", |e| e.test_accuracy)];
    Figure { title, y_bounds: (0.0, 1.0), lines }.svg()
}
