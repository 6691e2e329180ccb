//! What a user can get wrong in a run: each gives one message, and leaves nothing half-written.
//!
//! What is in a file of images or labels is tested in `files.rs`; here it is the run that meets it.

use std::fs;
use std::io::{self, Write};
use std::mem;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::common::{
    Folder, MNIST, NAMES, assert_error, assert_refused, first, idx_bytes, network_bits, pictures,
    plain_config, small_config, train,
};
use mnist_mlp::config::Config;
use mnist_mlp::data::deformation::Deformation;
use mnist_mlp::data::{Data, Dataset, Images};
use mnist_mlp::error::{Error, Result};
use mnist_mlp::experiments::statistics::Spread;
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::matrix::Matrix;
use mnist_mlp::metrics::{accuracy, confusion};
use mnist_mlp::network::activation::Activation;
use mnist_mlp::network::layer::Initialisation;
use mnist_mlp::output::progress::{self, Console, duration};
use mnist_mlp::output::report::base64;
use mnist_mlp::output::{self, weights};
use mnist_mlp::session;
use mnist_mlp::training::Trainer;

fn images_of(count: u32, rows: u32, columns: u32) -> Vec<u8> {
    idx_bytes(
        &[count, rows, columns],
        &pictures(count as usize, rows as usize, columns as usize, 1).images.pixels,
    )
}

fn labels_of(count: u32) -> Vec<u8> {
    idx_bytes(&[count], &(0..count).map(|i| (i % 10) as u8).collect::<Vec<_>>())
}

/// A folder with `raw_data`, 40 training and 20 test images of 3 × 5 pixels.
fn place(test: &str) -> Folder {
    Folder::with_data(test, &Data { train: pictures(40, 3, 5, 10), test: pictures(20, 3, 5, 10) })
}

fn config(folder: &Folder) -> Config {
    Config {
        data: folder.0.join("raw_data"),
        output: folder.0.join("runs/latest"),
        ..small_config()
    }
}

/// What a console prints; after `room` bytes there is an error of this kind.
#[derive(Clone)]
struct Paper {
    printed: Arc<Mutex<Vec<u8>>>,
    room: (usize, io::ErrorKind),
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut printed = self.printed.lock().unwrap();
        if printed.len() + bytes.len() > self.room.0 {
            return Err(self.room.1.into());
        }
        printed.extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A run as `make run` does it, and what it printed.
fn run(config: &Config, room: (usize, io::ErrorKind), is_terminal: bool) -> (Result<()>, String) {
    let paper = Paper { printed: Arc::default(), room };
    let result =
        session::train_and_save(config, &mut Console::new(Box::new(paper.clone()), is_terminal));
    let printed = String::from_utf8(mem::take(&mut *paper.printed.lock().unwrap())).unwrap();
    (result, printed)
}

const ENDLESS: (usize, io::ErrorKind) = (usize::MAX, io::ErrorKind::Other);

/// All files below a folder, by their paths.
fn files(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap()) {
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(self::files(&entry.path())),
            false => files.push(entry.path().display().to_string()),
        }
    }
    files.sort();
    files
}

/// The run fails with a message that says all of `parts`, and leaves no file that was not there,
/// nor a folder.
#[track_caller]
fn assert_fails(folder: &Folder, parts: &[&str]) {
    let before = files(&folder.0);
    assert_error(
        run(&config(folder), ENDLESS, false).0,
        &[parts, &[": found ", "; expected "]].concat(),
    );
    assert_eq!(files(&folder.0), before);
}

// ---- A run on sound data -----------------------------------------------------------------------

/// What all tests below change one thing of.
#[test]
fn sound_data_train_and_leave_their_files() {
    let folder = place("sound");
    let (result, text) = run(&config(&folder), ENDLESS, false);
    assert_eq!(result, Ok(()), "{text}");
    assert!(!text.contains(['\r', '\x1b']), "no live line in a pipe");
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines
            .iter()
            .all(|line| line.chars().count() <= 80 || line.contains(&*folder.0.to_string_lossy())),
        "{text}"
    );
    assert_eq!(lines[0], "15-9-7-10, 294 weights and biases, Sigmoid");
    assert!(lines[1].ends_with("raw_data: 40 training and 20 test images"), "{text}");
    // So small a network has not learnt, which the last lines say.
    let [.., train, test, best, files_left, open, why, remedy] = lines[..] else {
        panic!("{text}")
    };
    assert!(
        train.starts_with("final train accuracy 0.")
            || train.starts_with("final train accuracy 1."),
        "{text}"
    );
    assert!(test.starts_with("final test accuracy ") && test.contains(" ± "), "{text}");
    assert!(best.starts_with("best test accuracy ") && best.contains("(epoch "), "{text}");
    assert!(
        files_left.ends_with("runs/latest has history.csv, curves.svg and model.safetensors"),
        "{text}"
    );
    assert_eq!(
        open,
        format!("open {} to draw a digit", folder.0.join("runs/latest/report.html").display())
    );
    assert!(
        why.starts_with("this network has not learnt: it ") && remedy.starts_with("try "),
        "{text}"
    );

    let left = files(&folder.0.join("runs"));
    let names = ["curves.svg", "history.csv", "model.safetensors", "report.html"];
    assert_eq!(
        left,
        names.map(|name| folder.0.join("runs/latest").join(name).display().to_string())
    );
    let history = fs::read_to_string(folder.0.join("runs/latest/history.csv")).unwrap();
    assert_eq!(history.lines().count(), 1 + 2, "{history}");
}

/// The last images of the training set, and nothing of the test set, which need not even be there.
#[test]
fn images_held_out_take_the_place_of_the_test_set() {
    let folder = place("held-out");
    let train = pictures(40, 3, 5, 10);
    NAMES[2..]
        .iter()
        .for_each(|name| fs::remove_file(folder.0.join("raw_data").join(name)).unwrap());
    let config = Config { held_out: 15, ..config(&folder) };
    let data = Data::load_or_hold_out(&config.data, 10, 15).unwrap();
    assert_eq!(data.train, first(25, &train));
    assert_eq!(
        (&data.test.labels[..], &data.test.images.pixels[..]),
        (&train.labels[25..], &train.images.pixels[375..])
    );
    let (result, text) = run(&config, ENDLESS, false);
    assert_eq!(result, Ok(()), "{text}");
    for part in [
        "25 training and 15 held-out images",
        "running  held-out  seconds\n",
        "final held-out accuracy 0.",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(
        !text.replace("latest", "").contains("test")
            && text
                .lines()
                .all(|line| line.chars().count() <= 80
                    || line.contains(&*folder.0.to_string_lossy()))
    );
    let read = |name| fs::read_to_string(config.output.join(name)).unwrap();
    assert!(
        read("history.csv").contains(",held_out_accuracy,")
            && read("curves.svg").contains(">held-out<")
    );
    for held_out in [40, 41, usize::MAX] {
        let load = Data::load_or_hold_out(&config.data, 10, held_out);
        assert_error(
            load,
            &[
                &format!("held_out in get_config: found {held_out};"),
                "fewer than the 40 training images",
            ],
        );
    }
}

/// A line for each seed, their means, and the first seed's network, the same as if it were trained
/// alone.
#[test]
fn several_seeds_are_trained_and_compared() {
    let folder = place("seeds");
    let one = Config { seed: 3, output: folder.0.join("one"), ..config(&folder) };
    let several = Config { seeds: 3, output: folder.0.join("several"), ..one.clone() };
    assert_eq!(run(&one, ENDLESS, false).0, Ok(()));
    let (result, text) = run(&several, ENDLESS, false);
    assert_eq!(result, Ok(()), "{text}");
    let tested = |line: &&str| line.split_whitespace().nth(3).unwrap().parse::<f64>().unwrap();
    let mut of_seeds: Vec<&str> =
        text.lines().filter(|line| line.starts_with("get_config ")).collect();
    of_seeds.sort();
    let seeds = of_seeds.iter().map(|line| line.split_whitespace().nth(1).unwrap());
    assert_eq!(seeds.collect::<Vec<_>>(), ["3", "4", "5"]);
    let spread: Spread = of_seeds.iter().map(tested).collect();
    assert!(
        text.contains(&format!("\nmean final test accuracy {spread} (3 seeds)\n")),
        "{spread}: {text}"
    );

    let model = |config: &Config| {
        weights::read(&config.output.join("model.safetensors"), Cpu::best(), None).unwrap()
    };
    assert_eq!(network_bits(&model(&one).network), network_bits(&model(&several).network));
    assert!(model(&several).metadata["mean_final_test_accuracy"].ends_with("(3 seeds)"));
    let curves = fs::read_to_string(several.output.join("curves.svg")).unwrap();
    assert!(curves.contains("of 3 seeds") && curves.matches("fill-opacity").count() == 2);
    let failing = Config { learning_rate: 3e38, ..several };
    let parts = ["get_config seed ", ": training, epoch 1", "lower learning_rate"];
    assert_error(run(&failing, ENDLESS, false).0, &parts);
}

#[test]
fn training_goes_on_from_initial_weights() {
    let folder = place("initial");
    let first = Config { dropout: 0.0, ..config(&folder) };
    assert_eq!(run(&first, ENDLESS, false).0, Ok(()));
    let path = folder.0.join("runs/latest/model.safetensors");
    let second = |config: &Config| Config { initial_weights: Some(path.clone()), ..config.clone() };
    let data = Data::load(&first.data, 10).unwrap();
    let network = Trainer::new(&second(&first), &data.train, Cpu::best()).unwrap().network;
    let read = weights::read(&path, Cpu::best(), None).unwrap().network;
    assert_eq!(network_bits(&network), network_bits(&read));
    assert_eq!(run(&second(&first), ENDLESS, false).0, Ok(()), "its own folder's");

    let new = |config: Config| Trainer::new(&config, &data.train, Cpu::best()).map(|_| ());
    let other = Config { hidden_layers: vec![9, 8], ..second(&first) };
    let parts = [
        "initial_weights in get_config: found a network 15-9-7-10 in ",
        "expected 15-9-8-10",
        "src/main.rs",
    ];
    assert_error(new(other), &parts);
    let other = Config { activation: Activation::ReLU, ..second(&first) };
    assert_error(
        new(other),
        &["initial_weights in get_config: ", "activation Sigmoid", "expected ReLU"],
    );
    let other = Config { initial_weights: Some("missing".into()), ..first };
    assert_error(
        new(other),
        &["initial_weights in get_config: cannot read ", "missing: no such file"],
    );
}

/// The live line takes the place of the last, is cut off where the terminal ends, and is gone at
/// the end.
#[test]
fn a_terminal_shows_a_live_line() {
    let folder = Folder::with_data(
        "live",
        &Data { train: pictures(60_000, 3, 5, 10), test: pictures(20, 3, 5, 10) },
    );
    let config =
        Config { hidden_layers: vec![32, 32], batch_size: 1, epochs: 3, ..config(&folder) };
    let (result, text) = run(&config, ENDLESS, true);
    assert_eq!(result, Ok(()), "{text}");
    let live: Vec<&str> = text
        .split("\r\x1b[K\x1b[?7l")
        .skip(1)
        .map(|rest| rest.split_once("\x1b[?7h").unwrap().0)
        .collect();
    assert!(!live.is_empty());
    assert_eq!([59.2, 125.0, 3780.0].map(duration), ["1 min 00 s", "2 min 05 s", "1 h 03 min"]);
    // Seconds that had passed at the line before; a line is shown 0.1 s after it.
    let mut least = 0.0;
    for line in live {
        let [_, epoch, .., images, _, _, _, rate, _] =
            line.split([' ', '/']).collect::<Vec<_>>()[..]
        else {
            panic!("{line:?}");
        };
        let [epoch, images, rate] =
            [epoch, images, rate].map(|n| n.replace(',', "").parse::<f64>().unwrap());
        let done = (epoch - 1.0) * 60_000.0 + images;
        // The rate is shown without its fraction.
        let etas = [rate, rate + 1.0].map(|rate| duration((180_000.0 - done) / rate));
        assert!(
            etas.iter().any(|eta| line.contains(&format!("ETA {eta}:"))) && done / rate > least,
            "{line:?}"
        );
        least = done / (rate + 1.0) + 0.1;
        let parts = ["epoch ", " of 3, ETA ", " of 60,000 images, ", "/s"];
        assert!(
            parts.iter().all(|part| line.contains(part)) && !line.contains(['\r', '\n', '\x1b']),
            "{line:?}"
        );
    }
    assert!(
        (1..=3).any(|epoch| text.contains(&format!("\x1b[?7h\r\x1b[K    {epoch}  "))),
        "{text}"
    );
}

// ---- How it ends -------------------------------------------------------------------------------

/// The last two lines of a run of real digits with this configuration; `None` if they are not about
/// learning.
fn remark(test: &str, config: Config) -> Option<(String, String)> {
    let data = Data { train: first(1000, &MNIST.train), test: first(1000, &MNIST.test) };
    let folder = Folder::with_data(test, &data);
    let config = Config { data: folder.0.join("raw_data"), output: folder.0.join("run"), ..config };
    let (result, text) = run(&config, ENDLESS, false);
    assert_eq!(result, Ok(()), "{text}");
    let lines: Vec<String> = text.lines().rev().take(2).map(Into::into).collect();
    lines[1]
        .starts_with("this network has not learnt")
        .then(|| (lines[1].clone(), lines[0].clone()))
}

#[test]
fn a_network_that_has_not_learnt_says_so_and_one_that_has_does_not() {
    let good = || Config { batch_size: 4, ..plain_config() };
    assert_eq!(remark("learnt", Config { epochs: 10, ..good() }), None);
    let cases = [
        ("zero", Config { initialisation: Initialisation::Zero, ..good() }, "initialisation"),
        (
            "relu",
            Config { activation: Activation::ReLU, learning_rate: 1.0, ..good() },
            "learning_rate",
        ),
        ("momentum", Config { momentum: 0.9, learning_rate: 1.0, ..good() }, "momentum"),
        ("decay", Config { weight_decay: 1.0, ..good() }, "weight_decay"),
        ("deep", Config { hidden_layers: vec![20; 10], epochs: 10, ..good() }, "hidden_layers"),
        (
            "few",
            Config { batch_size: 1000, epochs: 1, learning_rate: 1e-4, ..good() },
            "batch_size",
        ),
    ];
    for (name, config, field) in cases {
        let (what, remedy) = remark(name, config).unwrap_or_else(|| panic!("{name}: not a word"));
        assert!(remedy.contains(field), "{name}: {what}\n{remedy}");
        assert!(
            [&what, &remedy].iter().all(|line| line.chars().count() <= 80),
            "{name}: {what}\n{remedy}"
        );
    }
}

/// As it is written every ten seconds: whole files that say how far the run has come.
#[test]
fn a_run_that_has_not_ended_leaves_files_that_say_so() {
    let folder = Folder::new("unfinished");
    let data = Data { train: pictures(40, 3, 5, 10), test: pictures(20, 3, 5, 10) };
    let config = Config { output: folder.0.clone(), ..small_config() };
    let trained = train(&config, &data, Cpu::best()).unwrap();
    let of_many = Config { epochs: 67, ..config };
    session::save_unfinished(&of_many, &data, &trained.network, &trained.history).unwrap();
    let read = |name| fs::read_to_string(folder.0.join(name)).unwrap();
    assert!(read("history.csv").lines().last().unwrap().starts_with("2,67,"));
    assert!(read("curves.svg").contains("stopped after 2 of 67 epochs"));
    let model = weights::read(&folder.0.join("model.safetensors"), Cpu::best(), None).unwrap();
    assert_eq!(model.metadata["unfinished"], "2 of 67 epochs");
    assert_eq!(
        (network_bits(&model.network), files(&folder.0).len()),
        (network_bits(&trained.network), 3)
    );

    let of_seeds = Config { seeds: 5, epochs: 2, ..of_many };
    session::save_unfinished(&of_seeds, &data, &trained.network, &trained.history).unwrap();
    let model = weights::read(&folder.0.join("model.safetensors"), Cpu::best(), None).unwrap();
    assert_eq!(model.metadata["unfinished"], "one of 5 seeds");
}

/// Neither a run that fails nor one that is killed, whose half-written files lie there, leaves an
/// earlier network where its own would be.
#[test]
fn what_an_earlier_run_left_is_not_taken_for_this_one_s() {
    let folder = place("earlier");
    let good = config(&folder);
    let latest = |name: &str| folder.0.join("runs/latest").join(name);
    assert_eq!(run(&good, ENDLESS, false).0, Ok(()));
    let model = fs::read(latest("model.safetensors")).unwrap();
    folder.file("runs/latest/model.safetensors.1.partial", b"half");
    folder.file("runs/latest/notes.partial", b"not ours");
    let (result, text) = run(&Config { learning_rate: 3e38, ..good.clone() }, ENDLESS, false);
    assert_error(result, &["lower learning_rate"]);
    assert!(text.ends_with("runs/latest/before has what the run before this one left\n"), "{text}");
    let names = ["curves.svg", "history.csv", "model.safetensors", "report.html"];
    let expected: Vec<_> = names
        .map(|name| latest("before").join(name))
        .into_iter()
        .chain([latest("notes.partial")])
        .collect();
    assert_eq!(
        files(&latest("")),
        expected.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
    );
    assert_eq!(fs::read(latest("before/model.safetensors")).unwrap(), model);
    assert_eq!(run(&good, ENDLESS, false).0, Ok(()));
    assert_eq!(fs::read(latest("model.safetensors")).unwrap(), model);
}

// ---- Data --------------------------------------------------------------------------------------

#[test]
fn a_missing_file_is_told_by_its_name() {
    for name in NAMES {
        let folder = place(name);
        fs::remove_file(folder.0.join("raw_data").join(name)).unwrap();
        assert_fails(&folder, &["data in get_config: /", &format!("raw_data/{name}"), ".gz"]);
    }
}

/// One file of four is replaced.
#[test]
fn a_bad_file_is_told_by_its_name_and_what_is_wrong() {
    let [train_images, train_labels, test_images, test_labels] = NAMES;
    let cases: [(&str, &[u8], &[&str]); 8] = [
        (train_images, b"", &["empty"]),
        (train_images, &labels_of(40), &["labels", "images"]),
        (train_labels, &images_of(40, 3, 5), &["labels", "images"]),
        (train_labels, &labels_of(39), &["39 labels", "40"]),
        (test_labels, &labels_of(21), &["21 labels", "20"]),
        (test_images, &images_of(20, 5, 3), &["5 × 3", "3 × 5"]),
        (test_images, &idx_bytes(&[0, 3, 5], &[]), &["0 images of 3 × 5 pixels"]),
        (train_images, &idx_bytes(&[40, 0, 5], &[]), &["40 images of 0 × 5 pixels"]),
    ];
    for (i, (name, content, parts)) in cases.into_iter().enumerate() {
        let folder = place(&format!("bad-file-{i}"));
        folder.file(&format!("raw_data/{name}"), content);
        assert_fails(&folder, &[&[&format!("raw_data/{name}")[..]], parts].concat());
    }
}

/// Files with each image by columns, said to be so, give the network, and the page, of upright
/// ones.
#[test]
fn transposed_files_train_as_upright_ones() {
    let [upright, transposed] = [false, true].map(|transposed| {
        let mut data = Data { train: pictures(40, 3, 5, 10), test: pictures(20, 3, 5, 10) };
        let pixels = base64(&data.test.images.pixels);
        if transposed {
            for Images { rows, columns, pixels } in [&mut data.train.images, &mut data.test.images]
            {
                let from: Vec<u8> = pixels.clone();
                let image = |i| i / 15 * 15;
                let at = |i| i % 15;
                *pixels =
                    (0..from.len()).map(|i| from[image(i) + at(i) % 3 * 5 + at(i) / 3]).collect();
                (*rows, *columns) = (5, 3);
            }
        }
        let folder = Folder::with_data(&format!("transposed-{transposed}"), &data);
        assert_eq!(run(&Config { transposed, ..config(&folder) }, ENDLESS, false).0, Ok(()));
        let left = |name: &str| fs::read(folder.0.join("runs/latest").join(name)).unwrap();
        assert!(String::from_utf8(left("report.html")).unwrap().contains(&pixels), "{transposed}");
        left("model.safetensors")
            .split_off(left("model.safetensors").len() - 4 * (15 * 9 + 9 * 7 + 7 * 10))
    });
    assert_eq!(upright, transposed);
}

/// Whatever the classes, and with the number that would fit.
#[test]
fn labels_beyond_the_classes_are_refused() {
    let folder = place("classes");
    let load = |classes| Data::load(&folder.0.join("raw_data"), classes);
    assert_eq!(load(10).unwrap().train.labels.len(), 40);
    assert_error(
        load(9),
        &["train-labels", "label 9", "image 9", "0 to 8", "set classes in get_config to 10"],
    );
    assert_error(load(2), &["label 2", "image 2", "to 10"]);
}

// ---- Output ------------------------------------------------------------------------------------

#[test]
fn an_output_folder_that_cannot_be_written_is_told_before_the_work() {
    for occupied in ["runs", "runs/latest"] {
        let folder = place(&format!("output-{}", occupied.len()));
        fs::create_dir_all(folder.0.join(occupied).parent().unwrap()).unwrap();
        fs::write(folder.0.join(occupied), "a file").unwrap();
        let (result, printed) = run(&config(&folder), ENDLESS, false);
        let path = folder.0.join("runs/latest");
        let why = format!("output in get_config: cannot write to {}: ", path.display());
        assert_error(result, &[&why, "name a folder, not a file"]);
        assert_eq!(printed, "", "told before the first line");
        assert_eq!(fs::read_to_string(folder.0.join(occupied)).unwrap(), "a file");
    }
}

/// A disk that is full when the work begins, when the history is written, or when the weights are.
/// What an earlier run left stays.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_what_was_there() {
    for name in ["probe", "history.csv", "model.safetensors"] {
        let folder = place(&format!("full-{name}"));
        let latest = folder.0.join("runs/latest");
        fs::create_dir_all(&latest).unwrap();
        let earlier = ["history.csv", "model.safetensors"]
            .map(|name| folder.file(&format!("runs/latest/{name}"), b"earlier"));
        let partial = latest.join(format!("{name}.{}.partial", std::process::id()));
        std::os::unix::fs::symlink("/dev/full", partial).unwrap();
        let (result, printed) = run(&config(&folder), ENDLESS, false);
        let place = if name == "probe" { latest.clone() } else { latest.join(name) };
        let why = format!(
            "cannot write to {}: no space left on device; make room on the disk",
            place.display()
        );
        assert_error(result, &[&why]);
        assert_eq!(printed.contains("final test accuracy"), name != "probe", "{printed}");
        // Where training has begun, out of the way.
        let earlier = earlier.map(|file| match name {
            "probe" => file,
            _ => latest.join("before").join(file.file_name().unwrap()),
        });
        assert!(earlier.iter().all(|file| fs::read(file).unwrap() == b"earlier"));
        assert_eq!(files(&folder.0.join("runs/latest")).len(), 2, "no partial file");
    }
}

#[test]
fn what_the_system_refuses_is_said_in_its_words() {
    use io::ErrorKind::{NotADirectory, OutOfMemory, PermissionDenied, StorageFull};
    let [path, plain] = ["/a b\\c", "x"].map(Path::new);
    let here = std::env::current_dir().unwrap();
    for (error, message) in [
        (
            Error::writing(path, &PermissionDenied.into()),
            "cannot write to /a b\\c: permission denied; check who ",
        ),
        (
            Error::writing(path, &StorageFull.into()),
            "/a b\\c: no storage space; make room on the disk",
        ),
        (
            Error::writing(path, &NotADirectory.into()),
            "/a b\\c: not a directory; name a folder, not a file",
        ),
        (
            Error::reading(path, &OutOfMemory.into()),
            "cannot read /a b\\c: out of memory; close other programs",
        ),
        (
            Error::reading(plain, &PermissionDenied.into()),
            &format!("cannot read {}/x: perm", here.display()),
        ),
        (
            Error::reading(path, &io::Error::from_raw_os_error(13)),
            "/a b\\c: permission denied; check who may read it",
        ),
    ] {
        assert_error::<()>(Err(error), &[message]);
    }
}

#[test]
fn a_folder_in_the_place_of_a_file_leaves_what_was_there() {
    let folder = place("occupied");
    fs::create_dir_all(folder.0.join("runs/latest/report.html")).unwrap();
    let earlier = folder.file("runs/latest/history.csv", b"earlier");
    let (result, _) = run(&config(&folder), ENDLESS, false);
    assert_error(result, &["report.html", "a folder", "rename or remove"]);
    let earlier = earlier.with_file_name("before").join("history.csv");
    assert_eq!(fs::read(&earlier).unwrap(), b"earlier");
    assert_eq!(files(&folder.0.join("runs")), [earlier.display().to_string()]);
}

#[test]
fn a_file_is_written_whole_in_a_new_folder_or_in_the_place_of_an_old_one() {
    let folder = Folder::new("whole");
    let path = folder.0.join("a/b/file");
    for content in ["first", "", "third"] {
        output::write(&[(&path, content.as_bytes())]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    output::prepare(&folder.0.join("c/d")).unwrap();
    output::prepare(&folder.0.join("a")).unwrap();
    assert_eq!(files(&folder.0), [path.display().to_string()]);
    assert!(!folder.0.join("c").exists(), "no folder is left behind");
}

// ---- The command -------------------------------------------------------------------------------

/// The command itself, whatever `get_config` says: with an argument it does no work. One message on
/// standard error and exit code 1, also where standard error is closed and nobody is left to tell.
#[test]
fn an_argument_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_mnist-mlp")).arg("--epochs").output().unwrap();
    let parts = ["the arguments: found --epochs; expected none; ", "get_config in src/main.rs"];
    assert_refused(output, &parts);
    #[cfg(unix)]
    {
        let script = "exec 2>&-; exec \"$0\" --epochs";
        let output = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_mnist-mlp")])
            .output()
            .unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    }
}

/// As with `make run | true` and `make run | head -2`: it stops, quietly, and leaves nothing.
#[test]
fn a_closed_pipe_ends_quietly() {
    let folder = place("closed");
    for room in [0, 100] {
        let (result, printed) = run(&config(&folder), (room, io::ErrorKind::BrokenPipe), false);
        assert_eq!((result, !printed.is_empty()), (Err(Error::ClosedPipe), room > 0));
        assert!(!folder.0.join("runs").exists(), "it stopped");
    }
}

#[test]
fn a_full_standard_output_is_told() {
    let folder = place("full-stdout");
    let (result, _) = run(&config(&folder), (100, io::ErrorKind::StorageFull), false);
    assert_error(result, &["standard output: no storage space; check where the output goes"]);
}

/// On a terminal; a path or a word that is longer is not cut.
#[test]
fn messages_are_wrapped_at_80_columns_and_small_rates_are_no_zeros() {
    let text = format!("error: {}{} end", "word ".repeat(30), "x".repeat(90));
    let wrapped = progress::wrap(&text);
    assert_eq!(
        wrapped.split_whitespace().collect::<Vec<_>>(),
        text.split_whitespace().collect::<Vec<_>>()
    );
    let widths: Vec<usize> = wrapped.lines().map(|line| line.chars().count()).collect();
    assert!(
        widths.len() == 5
            && widths[0] > 75
            && widths.iter().all(|&width| width <= 80 || width == 92),
        "{wrapped}"
    );
    assert_eq!(progress::wrap("short"), "short");
    assert_eq!(
        [0.02, 1e-4, 9.99e-5, 3.2e-11].map(progress::rate),
        ["0.020000", "0.000100", "9.99e-5", "3.20e-11"]
    );
}

// ---- Configuration -----------------------------------------------------------------------------

#[test]
fn every_field_of_the_configuration_is_checked() {
    let good = small_config;
    let inf = f32::INFINITY;
    let nan = f32::NAN;
    let mut cases: Vec<(Config, &str, String)> = Vec::new();
    for learning_rate in [0.0, -0.0, -0.02, inf, -inf, nan] {
        cases.push((
            Config { learning_rate, ..good() },
            "learning_rate",
            format!("{learning_rate};"),
        ));
    }
    for share in [-0.1, -1e-30, 1.0, 1.5, inf, -inf, nan] {
        cases.push((Config { dropout: share, ..good() }, "dropout", format!("{share};")));
        cases.push((Config { momentum: share, ..good() }, "momentum", format!("{share};")));
    }
    for weight_decay in [-1e-5, -1e-45, inf, -inf, nan] {
        cases.push((Config { weight_decay, ..good() }, "weight_decay", format!("{weight_decay};")));
    }
    for (hidden_layers, found) in [
        (vec![0], "0 units in layer 1;"),
        (vec![3, 0, 3], "0 units in layer 2;"),
        (vec![3, 3, (1 << 20) + 1], "1048577 units in layer 3;"),
        (vec![1; 1001], "1001 layers;"),
    ] {
        cases.push((Config { hidden_layers, ..good() }, "hidden_layers", found.into()));
    }
    for classes in [0, 1, 257, usize::MAX] {
        cases.push((Config { classes, ..good() }, "classes", format!("{classes};")));
    }
    for epochs in [0, (1 << 20) + 1, usize::MAX] {
        cases.push((Config { epochs, ..good() }, "epochs", format!("{epochs};")));
    }
    cases.extend([
        (Config { batch_size: 0, ..good() }, "batch_size", "0;".into()),
        (Config { seeds: 0, ..good() }, "seeds", "0; expected from 1 to 1000".into()),
        (Config { seeds: 1001, ..good() }, "seeds", "1001;".into()),
        (Config { seeds: 2, seed: u64::MAX, ..good() }, "seeds", "2;".into()),
        (
            Config { class_names: vec!["a"; 9], ..good() },
            "class_names",
            "9 names; expected none, or 10 names".into(),
        ),
        (Config { output: "".into(), ..good() }, "output", "no name;".into()),
        (Config { data: "".into(), ..good() }, "data", "no name;".into()),
    ]);
    for (config, field, found) in cases {
        // Whoever is given it, before any work.
        let parts = [&format!("{field} in get_config: found {found}")[..], "src/main.rs"];
        assert_error(config.validate(), &parts);
        assert_error(Trainer::new(&config, &pictures(100, 3, 5, 2), Cpu::best()), &parts);
        assert_error(run(&config, ENDLESS, false).0, &parts);
    }
}

/// As they are written in `get_config`, but for quotes. The committed runs rest on these defaults:
/// with another of them, the experiments must be run again.
#[test]
fn the_fields_have_their_names_and_values() {
    let fields = Config { data: "some where".into(), ..Config::default() }.fields();
    let text: String = fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    for known in [
        "hidden_layers: [128, 64, 64]\nclasses: 10\nactivation: Sigmoid\ninitialisation: Xavier\n",
        "initial_weights: None\nloss: CrossEntropy\n",
        "schedule: Step\nlearning_rate: 0.02\nmomentum: 0.0\n",
        "dropout: 0.0\ndropout_after_activation: false\n",
        "weight_decay: 1e-5\ndeformation: None\nbatch_size: 16\nepochs: 20\nseed: 1\n",
        "seeds: 1\nheld_out: 0\n",
        "data: some where\n",
    ] {
        assert!(text.contains(known), "{known:?} is not in {text:?}");
    }
}

/// What the page shows of them.
#[test]
fn fields_are_shown_without_rust_s_punctuation() {
    let shown = |config: Config| -> String {
        config.shown().iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
    };
    let plain = shown(Config { data: r"C:\io".into(), output: "a b".into(), ..Config::default() });
    let full = shown(Config {
        hidden_layers: vec![],
        class_names: vec!["T-shirt", r#"a\"b"#],
        deformation: Some(Deformation::default()),
        initial_weights: Some("a b".into()),
        ..Config::default()
    });
    let strengths =
        "rotation: 10.0, scale: 0.1, shear: 0.08, shift: 1.0, elastic: 1.0, smoothness: 4.0";
    for (text, line) in [
        (&plain, "hidden_layers: 128, 64, 64"),
        (&plain, "deformation: none"),
        (&plain, "class_names: none"),
        (&plain, r"data: C:\io"),
        (&plain, "output: a b"),
        (&full, "hidden_layers: none"),
        (&full, "initial_weights: a b"),
        (&full, &format!("deformation: {strengths}")),
        (&full, r#"class_names: T-shirt, a\"b"#),
    ] {
        assert!(text.lines().any(|other| other == line), "{line:?} is not in {text}");
    }
}

/// The ends of each range.
#[test]
fn what_makes_sense_is_accepted() {
    let good = small_config;
    let accepted = [
        Config {
            learning_rate: f32::MIN_POSITIVE,
            dropout: 0.0,
            momentum: 0.0,
            weight_decay: 0.0,
            ..good()
        },
        Config { learning_rate: f32::MAX, weight_decay: f32::MAX, ..good() },
        Config { dropout: 1.0 - f32::EPSILON, momentum: 1.0 - f32::EPSILON, ..good() },
        Config { hidden_layers: vec![], classes: 2, batch_size: 1, epochs: 1, ..good() },
        Config { hidden_layers: vec![1; 1000], classes: 256, epochs: 1 << 20, ..good() },
        Config { hidden_layers: vec![1, 1 << 20], ..good() },
    ];
    for config in accepted {
        assert_eq!(config.validate(), Ok(()), "{config:?}");
    }
}

/// As a library: whoever makes sets and images by hand is told both numbers.
#[test]
fn sets_and_images_that_do_not_fit_are_told() {
    let set = pictures(20, 3, 5, 10);
    let config = small_config();
    let new = |set: &Dataset| {
        Trainer::new(&Config { batch_size: 5, ..config.clone() }, set, Cpu::best()).map(|_| ())
    };
    let with = |labels: &[u8], pixels: usize| Dataset {
        images: Images { pixels: vec![0; pixels], ..set.images },
        labels: labels.to_vec(),
    };
    assert_eq!(new(&set), Ok(()));
    let fits = "15 pixels, 3 × 5, for each label";
    assert_error(
        new(&with(&[1; 19], 300)),
        &["the training set: found 300 pixels and 19 labels", fits],
    );
    assert_error(new(&with(&[1; 20], 299)), &["found 299 pixels and 20 labels", fits]);
    assert_error(new(&with(&[], 0)), &["found 0 pixels and 0 labels", "at least one"]);
    assert_error(new(&with(&[1, 9, 10], 45)), &["found label 10 at image 2", "labels below 10"]);
    let train =
        |test: Dataset| train(&config, &Data { train: set.clone(), test }, Cpu::best()).map(|_| ());
    assert_error(train(with(&[1; 2], 31)), &["the test set: found 31 pixels and 2 labels"]);
    let parts = ["the test set: found images of 2 × 7 pixels; expected images of 3 × 5 pixels"];
    assert_error(train(pictures(20, 2, 7, 10)), &parts);
    let network = Trainer::new(&config, &set, Cpu::best()).unwrap().network;
    let panic =
        std::panic::catch_unwind(|| network.predict(&pictures(4, 14, 14, 2).images)).unwrap_err();
    assert_eq!(
        panic.downcast_ref::<String>().unwrap(),
        "images of 196 pixels, and a network that takes 15"
    );
    let panic = std::panic::catch_unwind(|| confusion(&Matrix::zeros(2, 2), &[0, 9])).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>().unwrap(), "label 9 at image 1, and 2 classes");
    let panic = std::panic::catch_unwind(|| accuracy(&Matrix::zeros(2, 2), &[0])).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>().unwrap(), "probabilities of 2 images, and 1 labels");
}

#[test]
fn what_only_the_data_show_is_checked_before_the_first_batch() {
    let set = pictures(100, 3, 5, 10);
    let new = |config: &Config| Trainer::new(config, &set, Cpu::best()).map(|_| ());
    assert_eq!(new(&Config { batch_size: 100, ..small_config() }), Ok(()));
    assert_error(
        new(&Config { batch_size: 101, ..small_config() }),
        &["batch_size", "found 101;", "at most 100"],
    );
    let wide =
        Config { hidden_layers: vec![1 << 20, 1, 1 << 20], batch_size: 100, ..small_config() };
    assert_error(
        new(&wide),
        &["batch_size in get_config", "100 images, which have", "activations", "src/main.rs"],
    );
    // Four tebibytes of weights.
    let enormous = Config { hidden_layers: vec![1 << 20, 1 << 20], ..small_config() };
    assert_error(new(&enormous), &["hidden_layers in get_config", "weights", "src/main.rs"]);
    let deformation = Some(Deformation { rotation: f32::NAN, ..Deformation::default() });
    let deformed = Config { deformation, ..small_config() };
    assert_error(
        new(&deformed),
        &["deformation in get_config: found rotation: NaN;", "src/main.rs"],
    );
}

// ---- Training that diverges --------------------------------------------------------------------

#[track_caller]
fn assert_diverges(config: Config, set: &Dataset, epoch: usize, field: &str) {
    let data = Data { train: set.clone(), test: set.clone() };
    let value = if field == "learning_rate" { config.learning_rate } else { config.weight_decay };
    let found = format!(
        "training, epoch {epoch}: found weights that have grown without bounds (mean loss "
    );
    assert_error(
        train(&config, &data, Cpu::best()),
        &[&found, &format!("lower {field}; {value:?} is")],
    );
}

#[test]
fn training_that_diverges_names_the_epoch_and_what_is_likely_too_high() {
    let set = pictures(100, 3, 5, 10);
    for learning_rate in [1e30, 1e38, f32::MAX] {
        assert_diverges(Config { learning_rate, ..small_config() }, &set, 1, "learning_rate");
    }
    // A batch's loss is that before its update: of a single batch, only the weights tell.
    let one_batch =
        Config { learning_rate: f32::MAX, batch_size: 100, epochs: 1, ..small_config() };
    assert_diverges(one_batch, &set, 1, "learning_rate");
    // Weights that double and change their sign with every iteration are beyond f32 after some 128
    // of them.
    let decay = Config {
        learning_rate: 1.0,
        weight_decay: 3.0,
        batch_size: 2,
        epochs: 9,
        ..plain_config()
    };
    assert_diverges(decay, &set, 3, "weight_decay");
}

/// The decay multiplies each weight by −3·10³⁸: too much for the one of the second hidden layer,
/// whose sigmoid then gives 0 or 1, and not for that before it, which becomes positive, nor for the
/// small ones of the many classes.
#[test]
fn infinite_weights_are_no_result_even_where_the_probabilities_are_finite() {
    let white = Dataset {
        images: Images { rows: 1, columns: 1, pixels: vec![255; 4] },
        labels: vec![0; 4],
    };
    let config = |seed| Config {
        hidden_layers: vec![1, 1],
        classes: 256,
        learning_rate: 1.0,
        weight_decay: 3e38,
        batch_size: 4,
        epochs: 1,
        seed,
        ..plain_config()
    };
    let suits = |&seed: &u64| {
        let network = Trainer::new(&config(seed), &white, Cpu::best()).unwrap().network;
        let [first, second] = [0, 1].map(|l| network.layers[l].weight.row(0)[0]);
        (-1.0..0.0).contains(&first) && second.abs() > 1.2
    };
    assert_diverges(config((0..).find(suits).unwrap()), &white, 1, "weight_decay");
}

/// From zero, four white images of class 0 give the weights lr and the bias 2·lr, and so the logit
/// 2·lr + 12·lr/2.
#[test]
fn finite_weights_whose_probabilities_overflow_are_no_result() {
    let white = Dataset {
        images: Images { rows: 3, columns: 4, pixels: vec![255; 48] },
        labels: vec![0; 4],
    };
    let initialisation = Initialisation::Zero;
    let of_rate = |learning_rate| Config {
        hidden_layers: vec![],
        classes: 2,
        epochs: 1,
        batch_size: 4,
        initialisation,
        learning_rate,
        ..plain_config()
    };
    assert_diverges(of_rate(1.6e38), &white, 1, "learning_rate");
    let data = Data { train: white.clone(), test: white };
    assert!(train(&of_rate(1e37), &data, Cpu::best()).unwrap().network.is_finite());
}
