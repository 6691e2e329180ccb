//! All tests, in one program: it is linked once. Folders and files are those of `src/`.

mod common;
mod experiments;
mod json;
mod predict;
mod session;

/// The plain program, with which tests compare the fast one.
#[allow(dead_code)]
#[path = "../../src/bin/tiny.rs"]
mod tiny;

mod data {
    mod deformation;
    mod files;
}
mod math {
    mod matmul;
    mod pixels;
    mod random;
    mod threads;
}
mod network {
    mod activation;
    mod gradients;
    mod step;
}
mod training {
    mod plain;
    mod schedule;
    mod trainer;
}
mod output {
    mod doubt;
    mod plot;
    mod report;
    mod weights;
}
