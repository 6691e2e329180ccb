//! A handwritten-digit classifier from nothing: a multi-layer perceptron on MNIST, on the standard library alone.

pub mod activation;
pub mod config;
pub mod dataset;
pub mod error;
pub mod gzip;
pub mod history;
pub mod idx;
pub mod json;
pub mod kernel;
pub mod layer;
pub mod loss;
pub mod matrix;
pub mod network;
pub mod output;
pub mod plot;
pub mod predict;
pub mod progress;
pub mod report;
pub mod rng;
pub mod schedule;
pub mod session;
pub mod train;
pub mod weights;
