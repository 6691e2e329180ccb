//! What the network is calculated with: matrices and their products, exp, and random numbers.

pub mod exp;
pub mod kernels;
pub mod matrix;
pub mod rng;
