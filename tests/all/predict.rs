//! The command `predict` as a process: what it prints, what it refuses, how it ends.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::{Folder, assert_refused, idx_bytes, pictures, small_config};
use mnist_mlp::config::Config;
use mnist_mlp::data::Data;
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::matrix::Matrix;
use mnist_mlp::network::Network;
use mnist_mlp::network::activation::Activation;
use mnist_mlp::network::layer::Linear;
use mnist_mlp::output::progress::Console;
use mnist_mlp::output::weights::encode;
use mnist_mlp::session;

// ---- Tools -------------------------------------------------------------------------------------

/// A folder with a network for images of 1 × 3 pixels that finds the one that is white: the logits
/// are ± 5, so the largest probability is 1 / (1 + 2·e⁻¹⁰) = 0.9999.
fn place(test: &str) -> Folder {
    let folder = Folder::new(test);
    folder.file("model", &encode(&network(10.0), (1, 3), &[]));
    folder.file("images", &idx_bytes(&[4, 1, 3], &[0, 0, 255, 255, 0, 0, 0, 255, 0, 0, 255, 0]));
    folder.file("labels", &idx_bytes(&[4], &[2, 0, 1, 2]));
    folder
}

impl Folder {
    fn predict(&self, arguments: &[&str]) -> Output {
        command(&self.0, arguments).output().unwrap()
    }

    #[track_caller]
    fn refuses(&self, arguments: &[&str], words: &[&str]) {
        assert_refused(self.predict(arguments), words);
    }
}

fn command(folder: &Path, arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_predict"));
    command.current_dir(folder).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn network(size: f32) -> Network {
    let weight: Vec<f32> = (0..9).map(|i| if i % 4 == 0 { size } else { 0.0 }).collect();
    let layer = Linear { weight: Matrix::from_rows(3, 3, &weight), bias: vec![0.0; 3] };
    Network { layers: vec![layer], activation: Activation::Sigmoid, cpu: Cpu::best() }
}

#[track_caller]
fn prints(output: Output, expected: &str) {
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!((output.status.code(), &stdout[..], &stderr[..]), (Some(0), expected, ""));
}

// ---- What it prints ----------------------------------------------------------------------------

#[test]
fn without_labels_it_prints_each_prediction_with_its_probability() {
    let folder = place("predictions");
    prints(
        folder.predict(&["model", "images"]),
        "0  2  0.9999\n1  0  0.9999\n2  1  0.9999\n3  1  0.9999\n",
    );
    // Two white pixels are as likely as one another: the first of equals.
    folder.file(
        "images",
        &idx_bytes(
            &[11, 1, 3],
            &[[255, 0, 0], [255, 255, 0], [0, 0, 255]].concat().repeat(4)[..33],
        ),
    );
    let stdout = String::from_utf8(folder.predict(&["model", "images"]).stdout).unwrap();
    assert!(stdout.ends_with("\n 9  0  0.9999\n10  0  0.5000\n"), "{stdout}");
}

#[test]
fn with_labels_it_prints_the_accuracy_and_the_confusion_matrix() {
    let folder = place("labels");
    let expected = [
        "model",
        "3-3, 12 weights and biases, Sigmoid",
        "accuracy 0.7500 ± 0.2165 (3 of 4 images)",
        "",
        "confusion matrix: a row is a label, a column a prediction",
        "     0  1  2",
        "  0  1  0  0",
        "  1  0  1  0",
        "  2  0  1  1",
        "",
    ];
    prints(folder.predict(&["model", "images", "labels"]), &expected.join("\n"));
}

#[test]
fn help_says_what_the_arguments_are() {
    let folder = place("help");
    for arguments in [&["--help"][..], &["-h"], &["model", "images", "labels", "--help"]] {
        let output = folder.predict(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(
            text.starts_with("usage: predict MODEL [IMAGES [LABELS]] [--activation NAME]\n"),
            "{text}"
        );
        assert!(text.contains("confusion") && text.contains("(p − 127.5) / 255"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}

#[test]
fn a_model_without_metadata_takes_any_images_with_as_many_pixels() {
    let folder = place("foreign");
    let layers = r#"{"0.weight":{"dtype":"F32","shape":[3,3],"data_offsets":[0,36]},
                     "0.bias":{"dtype":"F32","shape":[3],"data_offsets":[36,48]}}"#;
    let ours = encode(&network(10.0), (1, 3), &[]);
    let numbers = &ours[ours.len() - 48..];
    folder.file(
        "foreign",
        &[&(layers.len() as u64).to_le_bytes(), layers.as_bytes(), numbers].concat(),
    );
    folder.file("tall", &idx_bytes(&[1, 3, 1], &[0, 255, 0]));
    prints(folder.predict(&["foreign", "tall"]), "0  1  0.9999\n");
    let words = ["tall: found images of 3 × 1 pixels", "1 × 3 pixels, which the network in model"];
    folder.refuses(&["model", "tall"], &words);
    folder.file("turned", &encode(&network(10.0), (1, 3), &[("transposed".into(), "true".into())]));
    prints(folder.predict(&["turned", "tall"]), "0  1  0.9999\n");
    folder.file("large", &idx_bytes(&[1, 2, 2], &[0, 255, 0, 0]));
    folder.refuses(
        &["foreign", "large"],
        &["large: found images of 2 × 2 pixels", "expected 3 pixels", "foreign"],
    );
}

/// With the data's folder, the classes' names and the images held out as the model's file has them.
#[test]
fn a_model_alone_is_tested_on_the_images_of_its_own_run() {
    let data = Data { train: pictures(40, 3, 5, 10), test: pictures(20, 3, 5, 10) };
    let folder = Folder::with_data("own", &data);
    for (held_out, images) in [(0, "20 test images"), (7, "7 held-out images")] {
        let class_names = vec!["zero", "one", "\"2\"", "3", "4", "5", "6", "7", "8", "nine"];
        let data = folder.0.join("raw_data");
        let output = folder.0.join("run");
        let config = Config { held_out, class_names, data, output, ..small_config() };
        session::train_and_save(&config, &mut Console::new(Box::new(std::io::sink()), false))
            .unwrap();
        let history = fs::read_to_string(folder.0.join("run/history.csv")).unwrap();
        let accuracy: f64 =
            history.lines().last().unwrap().split(',').nth(5).unwrap().parse().unwrap();

        let output = folder.predict(&["run/model.safetensors"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            format!("run/model.safetensors, trained on {}", config.data.display())
        );
        assert_eq!(lines[1], "15-9-7-10, 294 weights and biases, Sigmoid");
        assert!(lines[2].starts_with(&format!("accuracy {accuracy:.4} ± ")), "{text}");
        assert!(lines[2].ends_with(&format!(" of {images})")), "{text}");
        assert!(lines[6].ends_with("  zero") && lines[8].ends_with("  \"2\""), "{text}");
        folder.file("one", &idx_bytes(&[1, 3, 5], &[0; 15]));
        let output = folder.predict(&["run/model.safetensors", "one"]).stdout;
        let words: Vec<String> =
            String::from_utf8(output).unwrap().split_whitespace().map(Into::into).collect();
        assert_eq!(words[2], config.class_names[words[1].parse::<usize>().unwrap()]);
    }
    fs::rename(folder.0.join("raw_data"), folder.0.join("elsewhere")).unwrap();
    folder.refuses(
        &["run/model.safetensors"],
        &["run/model.safetensors: found trained on ", "or name the images"],
    );
}

// ---- What it refuses ---------------------------------------------------------------------------

#[test]
fn wrong_arguments_and_files_are_refused() {
    let folder = place("wrong");
    folder.file("few", &idx_bytes(&[3], &[2, 0, 1]));
    folder.file("beyond", &idx_bytes(&[4], &[2, 0, 3, 1]));
    folder.file("none", &idx_bytes(&[0, 1, 3], &[]));
    folder.file("digit.PNG", b"\x89PNG");
    let usage = "expected predict MODEL [IMAGES [LABELS]] [--activation NAME]; --help";
    let cases: [(&[&str], &[&str]); 17] = [
        (&[], &["the arguments: found 0 files;", usage]),
        (&["model", "images", "labels", "more"], &["the arguments: found 4 files;", usage]),
        (&["model"], &["model: found no word of its data", "name the images"]),
        (
            &["model", "images", "--activation"],
            &["the argument after --activation: found \"\"", "Tanh, ReLU"],
        ),
        (
            &["--activation", "relu", "model"],
            &["the argument after --activation: found \"relu\"", "Tanh, ReLU"],
        ),
        (
            &["model", "images", "--activation", "ReLU"],
            &["model: found activation Sigmoid", "expected ReLU"],
        ),
        (
            &["model", "digit.PNG"],
            &["digit.PNG: found a picture", "drop it, on the page report.html"],
        ),
        (&["missing", "images"], &["missing: no such file or directory", "check the path"]),
        (&["model", "missing"], &["missing: no such file or directory", "check the path"]),
        (
            &["model", "images", "missing"],
            &["missing: no such file or directory", "check the path"],
        ),
        (&[".", "images"], &[".: found a folder"]),
        (&["images", "model"], &["images: found a header length of"]),
        (&["model", "labels"], &["labels: found an IDX file of labels", "swapped"]),
        (&["model", "images", "images"], &["images: found an IDX file of images", "swapped"]),
        (&["model", "images", "few"], &["few: found 3 labels", "expected 4"]),
        (
            &["model", "images", "beyond"],
            &["beyond: found label 3 at image 2", "from 0 to 2", "the network was trained"],
        ),
        (&["model", "none"], &["none: found 0 images of 1 × 3 pixels"]),
    ];
    for (arguments, words) in cases {
        folder.refuses(arguments, words);
    }
}

#[test]
fn weights_that_overflow_are_refused() {
    let folder = place("overflow");
    folder.file("model", &encode(&network(f32::MAX), (1, 3), &[]));
    prints(
        folder.predict(&["model", "images"]),
        "0  2  1.0000\n1  0  1.0000\n2  1  1.0000\n3  1  1.0000\n",
    );
    let mut network = network(0.0);
    network.layers[0].weight.iter_mut().for_each(|weight| *weight = f32::MAX);
    folder.file("model", &encode(&network, (1, 3), &[]));
    folder.file("images", &idx_bytes(&[1, 1, 3], &[255; 3]));
    folder.refuses(&["model", "images"], &["model: found weights so large", "learning_rate"]);
}

#[test]
fn more_probabilities_than_fit_into_memory_are_refused() {
    let folder = place("many");
    let classes = Network { layers: vec![Linear::zeros(1, 256)], ..network(1.0) };
    folder.file("model", &encode(&classes, (1, 1), &[]));
    folder.file("images", &idx_bytes(&[(1 << 19) + 1, 1, 1], &[0; (1 << 19) + 1]));
    folder.refuses(
        &["model", "images"],
        &["images: found images with 134217984 probabilities", "split the file"],
    );
}

#[cfg(unix)]
#[test]
fn arguments_that_are_not_utf_8_are_names_of_files() {
    use std::os::unix::ffi::OsStrExt;
    let folder = place("utf8");
    let name = OsStr::from_bytes(b"m\xff");
    assert_refused(
        command(&folder.0, &[name, OsStr::new("images")]).output().unwrap(),
        &["check the path"],
    );
    fs::rename(folder.0.join("model"), folder.0.join(name)).unwrap();
    assert!(command(&folder.0, &[name, OsStr::new("images")]).output().unwrap().status.success());
}

/// Within 100 MB of address space, where a huge allocation would end the process in another way.
#[cfg(target_os = "linux")]
#[test]
fn a_hostile_file_costs_no_memory() {
    let folder = place("memory");
    let header = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let layer = |out: usize, bytes: usize| {
        format!(
            r#"{{"0.weight":{{"dtype":"F32","shape":[{out},3],"data_offsets":[0,{bytes}]}},
                "0.bias":{{"dtype":"F32","shape":[{out}],"data_offsets":[{bytes},{}]}}}}"#,
            bytes + 4 * out
        )
    };
    let many_names: String = (0..20_000).map(|i| format!("\"{i}\":\"\",")).collect();
    let files = [
        (u64::to_le_bytes(1 << 63).to_vec(), "a header length of 9223372036854775808 bytes"),
        (u64::to_le_bytes(1 << 18).to_vec(), "only 0 bytes of the header"),
        (header(&format!("{{\"__metadata__\":{{{many_names}")), "found the end at byte"),
        (header(&"[".repeat(1 << 18)), "expected \"{\""),
        (header(&layer(1 << 25, 12 << 25)), "only 0 bytes of numbers"), // of half a GiB
    ];
    for (bytes, words) in files {
        folder.file("hostile", &bytes);
        let script = "ulimit -v 100000; exec \"$0\" hostile images";
        let mut command = Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_predict")]).current_dir(&folder.0);
        assert_refused(command.output().unwrap(), &[words]);
    }
}

// ---- How it ends where nobody listens ----------------------------------------------------------

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let folder = place("pipe");
    // More lines than a pipe holds, so that the command is still writing when its reader goes.
    folder.file("images", &idx_bytes(&[20_000, 1, 3], &[0; 60_000]));
    let mut child = command(&folder.0, &["model", "images"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let folder = place("full");
    let full = fs::File::create("/dev/full").unwrap();
    let output = command(&folder.0, &["model", "images"]).stdout(full).output().unwrap();
    assert_refused(output, &["error: cannot write to standard output: no space left on device"]);
}
