//! What a trained network makes of images: `predict MODEL [IMAGES [LABELS]]`.

use std::env;
use std::io;
use std::process::ExitCode;

use mnist_mlp::{command, predict};

fn main() -> ExitCode {
    command::exit_code(predict::predict(env::args_os().skip(1).collect(), &mut io::stdout().lock()))
}
