//! A handwritten-digit classifier from nothing: a multi-layer perceptron on MNIST, on the standard
//! library alone.
//!
//! The modules follow the data's way: [`data`] brings files to batches, [`network`] takes a batch
//! to probabilities and the loss's gradient back to the weights, [`training`] does so epoch by
//! epoch, [`output`] writes what came of it. [`math`] is what they calculate with. [`session`],
//! [`experiments`] and [`predict`] are what the commands do.
//!
//! A small network is trained on one's own images, written, read again, and classifies another one:
//!
//! ```
//! use mnist_mlp::config::Config;
//! use mnist_mlp::data::{Dataset, Images};
//! use mnist_mlp::math::kernels::Cpu;
//! use mnist_mlp::metrics::argmax;
//! use mnist_mlp::output::{self, weights};
//! use mnist_mlp::training::{self, Trainer};
//!
//! // Images of 2 × 2 pixels: in class 0 the upper row is light, in class 1 the lower.
//! let images = Images { rows: 2, columns: 2, pixels: vec![255, 200, 0, 0, 0, 9, 220, 255] };
//! let set = Dataset { images, labels: vec![0, 1] };
//! let config = Config {
//!     hidden_layers: vec![4],
//!     classes: 2,
//!     learning_rate: 0.1,
//!     batch_size: 2,
//!     epochs: 500,
//!     ..Config::default()
//! };
//! let trainer = Trainer::new(&config, &set, Cpu::best())?;
//! let trained = training::fit(trainer, &set, &mut |_| Ok(()))?;
//! assert_eq!(trained.train_accuracy, 1.0);
//!
//! let path = std::env::temp_dir().join(format!("{}.safetensors", std::process::id()));
//! output::write(&[(&path, &weights::encode(&trained.network, (2, 2), &[])[..])])?;
//! let model = weights::read(&path, Cpu::best(), None)?;
//! let image = Images { rows: 2, columns: 2, pixels: vec![90, 240, 10, 0] };
//! let probabilities = model.network.predict(&image);
//! assert_eq!(argmax(probabilities.row(0)), 0);
//! # std::fs::remove_file(&path).ok();
//! # Ok::<(), mnist_mlp::error::Error>(())
//! ```

pub mod command;
pub mod config;
pub mod data;
pub mod error;
pub mod experiments;
pub mod math;
pub mod metrics;
pub mod network;
pub mod output;
pub mod predict;
pub mod session;
pub mod training;
