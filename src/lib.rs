//! A handwritten-digit classifier from nothing: a multi-layer perceptron on MNIST, on the standard library alone.
//!
//! The modules follow the data's way: [`data`] brings files to batches, [`network`] takes a batch to probabilities and
//! the loss's gradient back to the weights, [`training`] does so epoch by epoch, [`output`] writes what came of it.
//! [`math`] is what they calculate with. [`session`], [`experiments`] and [`predict`] are what the commands do.

pub mod config;
pub mod data;
pub mod error;
pub mod experiments;
pub mod math;
pub mod network;
pub mod output;
pub mod predict;
pub mod session;
pub mod training;
