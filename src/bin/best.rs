//! `make best`: the coursework's network at its best, as the experiment `best` found it.

use std::process::ExitCode;

use mnist_mlp::config::Config;
use mnist_mlp::output::progress::Console;
use mnist_mlp::{command, experiments, session};

fn main() -> ExitCode {
    let config = Config { output: "runs/best".into(), ..experiments::best() };
    let run = || session::train_and_save(&config, &mut Console::stdout());
    command::without_arguments(run)
}
