//! What a user can get wrong: each gives one message and exit code 1, and leaves nothing half-written.
//!
//! What is in a file of images or labels is tested in `files.rs`; here it is the program that meets it.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::{Folder, NAMES, idx_bytes, pictures, small_config};
use mnist_mlp::config::Config;
use mnist_mlp::data::{Data, Dataset};
use mnist_mlp::error::Error;
use mnist_mlp::math::kernel::Kernel;
use mnist_mlp::output;
use mnist_mlp::session;
use mnist_mlp::training::{Trainer, train};

fn images_of(count: u32, rows: u32, columns: u32) -> Vec<u8> {
    idx_bytes(&[count, rows, columns], &pictures(count as usize, rows as usize, columns as usize, 1).images.pixels)
}

fn labels_of(count: u32) -> Vec<u8> {
    idx_bytes(&[count], &(0..count).map(|i| (i % 10) as u8).collect::<Vec<_>>())
}

/// A folder in which the program finds `raw_data` with 40 training and 20 test images of 3 × 5 pixels.
fn place(test: &str) -> Folder {
    Folder::with_data(test, &Data { train: pictures(40, 3, 5, 10), test: pictures(20, 3, 5, 10) })
}

fn program(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-mlp"));
    command.current_dir(&folder.0);
    command
}

/// The program after `setting` in a shell, such as a limit.
fn program_after(folder: &Folder, setting: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{setting}; exec \"$0\""))
        .arg(env!("CARGO_BIN_EXE_mnist-mlp"))
        .current_dir(&folder.0);
    command
}

/// All files below a folder, by their paths.
fn files(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(self::files(&entry.path())),
            false => files.push(entry.path().display().to_string()),
        }
    }
    files.sort();
    files
}

/// One line on standard error, which says all of `parts`; exit code 1.
#[track_caller]
fn assert_one_message(output: &Output, parts: &[&str]) {
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.starts_with("error: ") && message.ends_with('\n') && message.lines().count() == 1, "{message}");
    for part in parts.iter().chain(&[": found ", "; expected "]) {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

/// The program fails so, and leaves no file that was not there.
#[track_caller]
fn assert_fails(folder: &Folder, command: &mut Command, parts: &[&str]) {
    let before = files(&folder.0);
    assert_one_message(&command.output().unwrap(), parts);
    assert_eq!(files(&folder.0), before);
}

#[track_caller]
fn assert_problem<T>(result: Result<T, Error>, parts: &[&str]) {
    let message = result.err().expect("an error").to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

// ---- The program on sound data -----------------------------------------------------------------------------------

/// What all tests below change one thing of.
#[test]
fn sound_data_train_and_leave_their_files() {
    let folder = place("sound");
    let output = program(&folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert!(!text.contains(['\r', '\x1b']), "no live line in a pipe");
    let epochs = lines.iter().filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit())).count();
    let [train, test, best] = lines[lines.len() - 3..] else { panic!("{text}") };
    assert!(train.starts_with("final train accuracy 0.") || train.starts_with("final train accuracy 1."), "{text}");
    assert!(test.starts_with("final test accuracy ") && test.contains(" ± "), "{text}");
    assert!(best.starts_with("best test accuracy ") && best.contains("(epoch "), "{text}");

    let left = files(&folder.0.join("runs"));
    for name in ["curves.svg", "history.csv"] {
        assert!(left.iter().any(|file| file.ends_with(&format!("latest/{name}"))), "{left:?}");
    }
    assert!(!left.iter().any(|file| file.contains("partial") || file.contains("probe")), "{left:?}");
    let history = fs::read_to_string(folder.0.join("runs/latest/history.csv")).unwrap();
    // The first line names the sizes and begins with a digit too.
    assert_eq!(history.lines().count() - 1, epochs - 1, "{text}{history}");
}

// ---- Data --------------------------------------------------------------------------------------------------------

#[test]
fn a_missing_folder_is_told_with_what_to_put_there() {
    let folder = place("no-data");
    fs::remove_dir_all(folder.0.join("raw_data")).unwrap();
    assert_fails(&folder, &mut program(&folder), &[&["raw_data", ".gz"], &NAMES[..]].concat());
    fs::write(folder.0.join("raw_data"), "a file").unwrap();
    assert_fails(&folder, &mut program(&folder), &["raw_data", "a file", "folder"]);
}

#[test]
fn a_missing_file_is_told_by_its_name() {
    for name in NAMES {
        let folder = place(name);
        fs::remove_file(folder.0.join("raw_data").join(name)).unwrap();
        assert_fails(&folder, &mut program(&folder), &[&format!("raw_data/{name}"), ".gz"]);
    }
}

/// One file of four is replaced.
#[test]
fn a_bad_file_is_told_by_its_name_and_what_is_wrong() {
    let [train_images, train_labels, test_images, test_labels] = NAMES;
    let (cut, mut long, mut gzip) = (&images_of(40, 3, 5)[..300], images_of(40, 3, 5), vec![0x1f, 0x8b, 8, 0]);
    long.push(0);
    gzip.extend([0x55; 100]);
    let mut beyond = labels_of(20);
    beyond[8 + 7] = 10;
    let mut floats = images_of(40, 3, 5);
    floats[2] = 0x0d;
    let huge = idx_bytes(&[u32::MAX, u32::MAX, u32::MAX], &[0; 100]);
    let cases: [(&str, &[u8], &[&str]); 16] = [
        (train_images, b"", &["empty"]),
        (train_images, b"not an IDX file at all", &["not "]),
        (train_images, cut, &["300", "616"]),
        (train_images, &long, &["617", "616"]),
        (train_images, &floats, &["0x0d", "0x08"]),
        (train_images, &gzip, &["gzip"]),
        (train_images, &labels_of(40), &["labels", "images"]),
        (train_labels, &images_of(40, 3, 5), &["labels", "images"]),
        (train_images, &huge, &["4294967295"]),
        (train_labels, &idx_bytes(&[1000], &[0; 40]), &["48", "1008"]),
        (train_labels, &labels_of(39), &["39 labels", "40"]),
        (test_labels, &labels_of(21), &["21 labels", "20"]),
        (test_labels, &beyond, &["label 10", "image 7", "0 to 9", "classes"]),
        (test_images, &images_of(20, 5, 3), &["5 × 3", "3 × 5"]),
        (test_images, &idx_bytes(&[0, 3, 5], &[]), &["[0, 3, 5]"]),
        (train_images, &idx_bytes(&[40, 0, 5], &[]), &["[40, 0, 5]"]),
    ];
    for (i, (name, content, parts)) in cases.into_iter().enumerate() {
        let folder = place(&format!("bad-file-{i}"));
        fs::write(folder.0.join("raw_data").join(name), content).unwrap();
        assert_fails(&folder, &mut program(&folder), &[&[&format!("raw_data/{name}")[..]], parts].concat());
    }
}

#[test]
fn fewer_images_than_a_batch_are_refused() {
    let folder = place("small");
    fs::write(folder.0.join("raw_data").join(NAMES[0]), images_of(15, 3, 5)).unwrap();
    fs::write(folder.0.join("raw_data").join(NAMES[1]), labels_of(15)).unwrap();
    assert_fails(&folder, &mut program(&folder), &["batch_size in get_config", "16", "at most 15"]);
}

/// Other than the program's ten classes, through the library.
#[test]
fn labels_beyond_the_classes_are_refused() {
    let folder = place("classes");
    let load = |classes| Data::load(&folder.0.join("raw_data"), classes);
    assert_eq!(load(10).unwrap().train.labels.len(), 40);
    assert_problem(load(9), &["train-labels", "label 9", "image 9", "0 to 8", "classes"]);
    assert_problem(load(2), &["label 2", "image 2"]);
}

// ---- Output ------------------------------------------------------------------------------------------------------

#[test]
fn an_output_folder_that_cannot_be_written_is_told_before_the_work() {
    for occupied in ["runs", "runs/latest"] {
        let folder = place(&format!("output-{}", occupied.len()));
        fs::create_dir_all(folder.0.join(occupied).parent().unwrap()).unwrap();
        fs::write(folder.0.join(occupied), "a file").unwrap();
        let output = program(&folder).output().unwrap();
        assert_one_message(&output, &["runs/latest", "writing failed", "written"]);
        assert!(output.stdout.is_empty(), "told before the first line");
        assert_eq!(fs::read_to_string(folder.0.join(occupied)).unwrap(), "a file");
    }
}

/// The file-size limit stands for a full disk: no room at all, room for the probe but not for the history, and room for that
/// but not for the weights. What an earlier run left stays.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_what_was_there() {
    for (blocks, name) in [(0, ".probe"), (1, "history.csv"), (40, "model.safetensors")] {
        let folder = place(&format!("full-{blocks}"));
        let latest = folder.0.join("runs/latest");
        fs::create_dir_all(&latest).unwrap();
        fs::write(latest.join("history.csv"), "of an earlier run").unwrap();
        let mut limited = program_after(&folder, &format!("trap '' XFSZ; ulimit -f {blocks}"));
        assert_fails(&folder, &mut limited, &[&format!("runs/latest/{name}"), "writing failed"]);
        let printed = String::from_utf8(limited.output().unwrap().stdout).unwrap();
        assert_eq!(printed.contains("final test accuracy"), name != ".probe", "{printed}");
        assert_eq!(fs::read_to_string(latest.join("history.csv")).unwrap(), "of an earlier run");
    }
}

/// The last step of writing, the file's name, fails too.
#[test]
fn a_folder_in_the_place_of_a_file_leaves_no_partial_file() {
    let folder = place("occupied");
    fs::create_dir_all(folder.0.join("runs/latest/history.csv")).unwrap();
    assert_fails(&folder, &mut program(&folder), &["history.csv", "writing failed"]);
}

#[test]
fn a_file_is_written_whole_in_a_new_folder_or_in_the_place_of_an_old_one() {
    let folder = Folder::new("whole");
    let path = folder.0.join("a/b/file");
    for content in ["first", "", "third"] {
        output::write_whole(&path, content.as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    output::prepare(&folder.0.join("c")).unwrap();
    assert_eq!(files(&folder.0), [path.display().to_string()]);
}

#[test]
fn an_argument_is_refused() {
    let folder = place("argument");
    assert_fails(&folder, program(&folder).arg("--epochs"), &["the arguments", "--epochs", "get_config"]);
}

// ---- Standard output ---------------------------------------------------------------------------------------------

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_told() {
    let folder = place("full-stdout");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    assert_fails(&folder, program(&folder).stdout(full), &["standard output", "writing failed"]);
}

/// As with `make run | true`: nobody reads from the start, so it stops at its first line.
#[test]
fn a_closed_pipe_ends_quietly() {
    let folder = place("closed");
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let output = program(&folder).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
    assert!(!folder.0.join("runs/latest/history.csv").exists(), "it stopped");
}

/// As with `make run | head -1`, with so much data that the first epoch is still to come when the reader goes.
#[test]
fn a_pipe_that_closes_after_the_first_line_ends_quietly() {
    let folder = place("head");
    fs::write(folder.0.join("raw_data").join(NAMES[0]), images_of(60_000, 3, 5)).unwrap();
    fs::write(folder.0.join("raw_data").join(NAMES[1]), labels_of(60_000)).unwrap();
    let mut child = program(&folder).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("60,000 training and 20 test images"), "{line}");
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert_eq!((child.wait().unwrap().code(), &message[..]), (Some(0), ""));
    assert!(!folder.0.join("runs/latest/history.csv").exists(), "it stopped");
}

/// Nobody is left to tell, which is no reason to panic.
#[cfg(unix)]
#[test]
fn a_closed_standard_error_changes_nothing() {
    let folder = place("no-stderr");
    fs::remove_dir_all(folder.0.join("raw_data")).unwrap();
    let output = program_after(&folder, "exec 2>&-").output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}

// ---- Configuration -----------------------------------------------------------------------------------------------

/// Whoever is given it, before any work.
#[track_caller]
fn assert_refused(config: &Config, parts: &[&str]) {
    let folder = Folder::new("refused");
    let config = Config { output: folder.0.join("runs"), ..config.clone() };
    let set = pictures(100, 3, 5, 2);
    let parts = [parts, &["in get_config", "src/main.rs"]].concat();
    assert_problem(config.validate(), &parts);
    assert_problem(session::check(&config), &parts);
    assert_problem(Trainer::new(&config, &set, Kernel::best()), &parts);
    let data = Data { train: set.clone(), test: set };
    assert_problem(train(&config, &data, Kernel::best(), 1, &mut |_| panic!("no work is done")), &parts);
    assert!(!config.output.exists());
}

#[test]
fn every_field_of_the_configuration_is_checked() {
    let good = small_config;
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    for learning_rate in [0.0, -0.0, -0.02, inf, -inf, nan] {
        assert_refused(&Config { learning_rate, ..good() }, &["learning_rate", &format!("found {learning_rate};")]);
    }
    for dropout in [-0.1, -1e-30, 1.0, 1.5, inf, -inf, nan] {
        assert_refused(&Config { dropout, ..good() }, &["dropout", &format!("found {dropout};")]);
    }
    for weight_decay in [-1e-5, -1e-45, inf, -inf, nan] {
        assert_refused(&Config { weight_decay, ..good() }, &["weight_decay", &format!("found {weight_decay};")]);
    }
    for (hidden_layers, layer) in [(vec![0], 1), (vec![3, 0, 3], 2), (vec![3, 3, 0], 3)] {
        assert_refused(&Config { hidden_layers, ..good() }, &["hidden_layers", &format!("0 units in layer {layer}")]);
    }
    for width in [(1 << 20) + 1, usize::MAX] {
        assert_refused(&Config { hidden_layers: vec![5, width], ..good() }, &["hidden_layers", &width.to_string()]);
    }
    assert_refused(&Config { hidden_layers: vec![1; 1001], ..good() }, &["hidden_layers", "found 1001 layers"]);
    for classes in [0, 1, 257, usize::MAX] {
        assert_refused(&Config { classes, ..good() }, &["classes in", &format!("found {classes};")]);
    }
    assert_refused(&Config { batch_size: 0, ..good() }, &["batch_size", "found 0;"]);
    for epochs in [0, (1 << 20) + 1, usize::MAX] {
        assert_refused(&Config { epochs, ..good() }, &["epochs", &format!("found {epochs};")]);
    }
}

/// The ends of each range.
#[test]
fn what_makes_sense_is_accepted() {
    let good = small_config;
    let accepted = [
        Config { learning_rate: f32::MIN_POSITIVE, ..good() },
        Config { learning_rate: f32::MAX, ..good() },
        Config { dropout: 0.0, ..good() },
        Config { dropout: 1.0 - f32::EPSILON, ..good() },
        Config { weight_decay: 0.0, ..good() },
        Config { weight_decay: 1.0, ..good() },
        Config { hidden_layers: vec![], ..good() },
        Config { hidden_layers: vec![1, 1], ..good() },
        Config { hidden_layers: vec![1; 1000], ..good() },
        Config { classes: 2, ..good() },
        Config { classes: 256, ..good() },
        Config { batch_size: 1, epochs: 1, ..good() },
        Config { epochs: 1 << 20, ..good() },
    ];
    for config in accepted {
        assert_eq!(config.validate(), Ok(()), "{config:?}");
    }
}

#[test]
fn what_only_the_data_show_is_checked_before_the_first_batch() {
    let set = pictures(100, 3, 5, 10);
    let new = |config: &Config| Trainer::new(config, &set, Kernel::best()).map(|_| ());
    assert_eq!(new(&Config { batch_size: 100, ..small_config() }), Ok(()));
    assert_problem(new(&Config { batch_size: 101, ..small_config() }), &["batch_size", "found 101;", "at most 100"]);
    let wide = Config { hidden_layers: vec![1 << 20, 1, 1 << 20], batch_size: 100, ..small_config() };
    assert_problem(new(&wide), &["batch_size in get_config", "100 images, which become", "numbers", "src/main.rs"]);
    // Four tebibytes of weights.
    let enormous = Config { hidden_layers: vec![1 << 20, 1 << 20], ..small_config() };
    assert_problem(new(&enormous), &["hidden_layers in get_config", "weights", "src/main.rs"]);
}

// ---- Training that diverges --------------------------------------------------------------------------------------

fn diverging(config: Config, set: &Dataset, epoch: usize, field: &str) {
    let data = Data { train: set.clone(), test: set.clone() };
    let result = train(&config, &data, Kernel::best(), 1, &mut |_| Ok(()));
    let value = if field == "learning_rate" { config.learning_rate } else { config.weight_decay };
    let field = format!("lower {field} in get_config; {value:?} is");
    assert_problem(result, &[&format!("training, epoch {epoch}:"), &field]);
}

#[test]
fn training_that_diverges_names_the_epoch_and_what_is_likely_too_high() {
    let set = pictures(100, 3, 5, 10);
    for learning_rate in [1e30, 1e38, f32::MAX] {
        diverging(Config { learning_rate, ..small_config() }, &set, 1, "learning_rate");
    }
    // A batch's loss is that before its update: of a single batch, only the weights tell.
    let one_batch = Config { learning_rate: f32::MAX, batch_size: 100, epochs: 1, ..small_config() };
    diverging(one_batch, &set, 1, "learning_rate");
    // Weights that double and change their sign with every iteration are beyond f32 after some 128 of them.
    let decay = Config { learning_rate: 1.0, weight_decay: 3.0, batch_size: 2, epochs: 9, ..small_config() };
    diverging(Config { schedule: mnist_mlp::training::schedule::Schedule::Constant, ..decay }, &set, 3, "weight_decay");
}
