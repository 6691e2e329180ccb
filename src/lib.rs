//! A handwritten-digit classifier from nothing: a multi-layer perceptron on MNIST, on the standard library alone.

pub mod activation;
pub mod config;
pub mod dataset;
pub mod error;
pub mod experiments;
pub mod findings;
pub mod gzip;
pub mod history;
pub mod idx;
pub mod kernel;
pub mod layer;
pub mod loss;
pub mod matrix;
pub mod network;
pub mod output;
pub mod plot;
pub mod progress;
pub mod rng;
pub mod runs;
pub mod schedule;
pub mod session;
pub mod statistics;
pub mod sweep;
pub mod tables;
pub mod train;
