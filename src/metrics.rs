//! How good the probabilities of labelled images are.

use crate::math::matrix::Matrix;

/// The class of the largest probability; the first of equals.
pub fn argmax(probabilities: &[f32]) -> u8 {
    let mut best = 0;
    for (class, p) in probabilities.iter().enumerate() {
        if *p > probabilities[best] {
            best = class;
        }
    }
    best as u8
}

/// How many images of each label (row) were taken for each class (column); `probabilities` is
/// `labels × classes`.
///
/// # Panics
/// If there is not a label for each row, or one is not below `classes`.
pub fn confusion(probabilities: &Matrix, labels: &[u8]) -> Vec<Vec<usize>> {
    let rows = probabilities.rows();
    let classes = probabilities.columns();
    assert!(rows == labels.len(), "probabilities of {rows} images, and {} labels", labels.len());
    let mut counts = vec![vec![0; classes]; classes];
    for (i, &label) in labels.iter().enumerate() {
        assert!(usize::from(label) < classes, "label {label} at image {i}, and {classes} classes");
        counts[usize::from(label)][usize::from(argmax(probabilities.row(i)))] += 1;
    }
    counts
}

/// The share of images whose most probable class is their label; `probabilities` is `labels ×
/// classes`.
///
/// # Panics
/// If there is not a label for each row.
pub fn accuracy(probabilities: &Matrix, labels: &[u8]) -> f64 {
    let rows = probabilities.rows();
    assert!(rows == labels.len(), "probabilities of {rows} images, and {} labels", labels.len());
    count_correct(probabilities, labels) as f64 / labels.len() as f64
}

/// How many images' most probable class is their label.
pub(crate) fn count_correct(probabilities: &Matrix, labels: &[u8]) -> usize {
    (0..labels.len()).filter(|&i| argmax(probabilities.row(i)) == labels[i]).count()
}
