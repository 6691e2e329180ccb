//! A handwritten-digit classifier from nothing: a multi-layer perceptron on MNIST, on the standard library alone.

pub mod error;
pub mod plot;
