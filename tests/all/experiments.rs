//! The experiments from the command line to the committed tables: small sets of made-up images stand in for MNIST.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Folder, pictures};
use mnist_mlp::config::Config;
use mnist_mlp::data::Data;
use mnist_mlp::experiments::findings;
use mnist_mlp::experiments::runs::{self, Epoch, Run};
use mnist_mlp::experiments::statistics::Spread;
use mnist_mlp::experiments::sweep::{self, Job};
use mnist_mlp::experiments::tables;
use mnist_mlp::experiments::{self, Experiment, Reported};
use mnist_mlp::network::layer::Initialisation;
use mnist_mlp::network::loss::Loss;
use mnist_mlp::training::schedule::Schedule;

fn small_data() -> Data {
    Data { train: pictures(40, 4, 4, 10), test: pictures(20, 4, 4, 10) }
}

/// Every file below `folder` with its content; of a run's line without the seconds.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            let text = fs::read_to_string(&path).expect("text");
            let is_of_runs = text.starts_with("experiment,seed");
            let lines =
                text.lines().map(|line| if is_of_runs { line.rsplit_once(',').expect("fields").0 } else { line });
            files.insert(path.clone(), lines.collect::<Vec<_>>().join("\n"));
        }
    }
    files
}

/// [`files`], by name alone.
fn contents(folder: &Path) -> BTreeMap<String, String> {
    let name = |path: PathBuf| path.strip_prefix(folder).expect("a file of the folder").display().to_string();
    files(folder).into_iter().map(|(path, text)| (name(path), text)).collect()
}

/// A run with these test accuracies; the accuracies on the training set are the same.
fn run(experiment: &str, seed: u64, accuracies: &[f64]) -> Run {
    let epoch =
        |&test_accuracy: &f64| Epoch { learning_rate: 0.02, loss: 0.5, train_accuracy: test_accuracy, test_accuracy };
    let train_accuracy = *accuracies.last().expect("an epoch");
    let history = accuracies.iter().map(epoch).collect();
    Run { experiment: experiment.into(), seed, train_accuracy, seconds: 1.5, history }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_experiments"));
    command.current_dir(folder).args(arguments);
    command
}

fn program(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("the program")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn a_name_says_what_the_row_is() {
    let all = experiments::all();
    for Experiment { name, config, reported } in &all {
        let mut expected = Config {
            initialisation: Initialisation::Zero,
            loss: Loss::CrossEntropy,
            schedule: Schedule::Constant,
            learning_rate: 0.02,
            dropout: 0.0,
            weight_decay: 0.0,
            epochs: 10,
            ..config.clone()
        };
        let name = name.replace("1e-", "1e").replace("dropout-", "dropout").replace("l2-", "l2");
        for part in name.split('-') {
            match part {
                "zero" => {}
                "normal" => expected.initialisation = Initialisation::Normal,
                "xavier" => expected.initialisation = Initialisation::Xavier,
                "constant" => {}
                "step" => expected.schedule = Schedule::Step,
                "cosine" => expected.schedule = Schedule::Cosine,
                "cycle" => expected.schedule = Schedule::Cycle,
                "mse" => (expected.loss, expected.learning_rate) = (Loss::MeanSquaredError, config.learning_rate),
                "dropout0.2" => (expected.dropout, expected.epochs) = (0.2, 20),
                "dropout0.5" => (expected.dropout, expected.epochs) = (0.5, 20),
                "l21e5" => (expected.weight_decay, expected.epochs) = (1e-5, 20),
                "l21e7" => (expected.weight_decay, expected.epochs) = (1e-7, 20),
                "20" => expected.epochs = 20,
                _ => panic!("{part}"),
            }
        }
        assert_eq!(*config, expected);
        assert_eq!((&config.hidden_layers[..], config.classes, config.batch_size), (&[128, 64, 64][..], 10, 16));
        if let Reported::Accuracies([train, test, best]) = reported {
            assert!(train > best && best >= test && *test > 0.9, "{name}");
        }
    }
    let told = all.iter().filter(|row| row.reported != Reported::Nothing).count();
    assert_eq!(told, 11, "the rows of the coursework");
    let names: BTreeMap<_, _> = all.iter().map(|row| (row.name, ())).collect();
    assert_eq!(names.len(), all.len());
}

#[test]
fn runs_come_back_as_they_were_written() {
    let Folder(folder) = &Folder::new("round-trip");
    assert_eq!(runs::read_all(folder, &["a"]).expect("no runs"), []);
    let written = [run("b", 10, &[0.25, 0.75, 0.75]), run("a", 2, &[0.9]), run("a", 12, &[0.113, 0.0])];
    for run in &written {
        run.write(folder).expect("files");
    }
    fs::write(folder.join("runs/a-3.csv.77.partial"), "experiment,se").expect("a file");
    let read = runs::read_all(folder, &["b", "a"]).expect("runs");
    assert_eq!(read, written, "by experiment, then by seed");
    assert_eq!(read[0].best_test_accuracy(), (0.75, 2), "the first of equals");
    assert_eq!((read[0].left_the_plateau(), read[2].left_the_plateau()), (true, false));
    assert_eq!(fs::read_to_string(folder.join("runs/b-10.csv")).expect("text"), runs::csv([&written[0]]));
    assert_eq!(
        runs::csv(&written[..1]),
        "experiment,seed,epochs,train_accuracy,test_accuracy,best_test_accuracy,best_epoch,seconds\n\
         b,10,3,0.750000,0.750000,0.750000,2,1.500\n"
    );
}

#[test]
fn a_file_that_is_not_a_whole_run_is_named() {
    let Folder(folder) = &Folder::new("bad-files");
    let (line, history) = (folder.join("runs/a-1.csv"), folder.join("histories/a-1.csv"));
    let whole = run("a", 1, &[0.25, 0.75]);
    let change = |path: &Path, from: &str, to: &str| {
        let text = fs::read_to_string(path).expect("text");
        assert!(text.contains(from));
        fs::write(path, text.replacen(from, to, 1)).expect("a file");
    };
    let cases: [(&Path, &dyn Fn()); 11] = [
        (&history, &|| fs::remove_file(&history).expect("removed")),
        (&history, &|| change(&history, "1,0.02", "1;0.02")),
        (&history, &|| change(&history, "0.75", "0.seventy-five")),
        (&line, &|| change(&history, "0.750000\n", "0.760000\n")),
        (&history, &|| change(&history, "0.75", "1.75")),
        (&history, &|| change(&history, "0.75", "NaN")),
        (&history, &|| change(&history, "\n2,", "\n3,")),
        (&line, &|| change(&line, "a,1,", "a,2,")),
        (&line, &|| change(&line, "a,1,", "a,x,")),
        (&line, &|| fs::write(&line, "").expect("a file")),
        (&line, &|| fs::write(&line, b"\xff\xfe").expect("a file")),
    ];
    for (number, (place, spoil)) in cases.iter().enumerate() {
        whole.write(folder).expect("files");
        assert_eq!(runs::read_all(folder, &["a"]).expect("a run").len(), 1);
        spoil();
        let error = runs::read_all(folder, &["a"]).expect_err("an error").to_string();
        assert!(error.starts_with(&place.display().to_string()), "case {number}: {error}");
    }
    whole.write(folder).expect("files");
    let error = runs::read_all(folder, &["b"]).expect_err("no such experiment").to_string();
    assert!(error.contains("a-1.csv: found a run of a"), "{error}");
}

/// So that the workers end together.
fn assert_longest_first(printed: &str) {
    let all = experiments::all();
    let row = |line: &str| all.iter().find(|row| line.split_whitespace().next() == Some(row.name));
    let epochs: Vec<usize> = printed.lines().filter_map(row).map(|row| row.config.epochs).collect();
    assert!(epochs.len() == 2 * all.len() && epochs.is_sorted_by(|a, b| a >= b), "{printed}");
}

#[test]
fn one_worker_and_many_leave_the_same_files() {
    let [one, many] = ["1", "8"].map(|workers| {
        let Folder(folder) = &Folder::with_data(&format!("{workers}-workers"), &small_data());
        let output = program(folder, &["--seeds", "2", "--workers", workers]);
        assert!(output.status.success());
        if workers == "1" {
            assert_longest_first(&text(&output.stdout));
        }
        contents(&folder.join("results"))
    });
    assert_eq!(one.len(), 2 * 2 * experiments::all().len() + 14);
    assert_eq!(one, many);
    assert_ne!(one["histories/xavier-step-1.csv"], one["histories/xavier-step-2.csv"]);
}

#[test]
fn a_run_that_diverges_is_named_and_the_others_end() {
    let all = experiments::all();
    let Folder(folder) = &Folder::new("diverges");
    let good = experiments::find(&all, "normal-cosine").expect("a row");
    let config = Config { learning_rate: 3e38, epochs: 20, ..good.config.clone() };
    let bad = Experiment { name: "bad", config, reported: Reported::Nothing };
    let jobs = [Job { experiment: &bad, seed: 7 }, Job { experiment: good, seed: 8 }];
    let error = sweep::sweep(&jobs, &small_data(), folder, 1).expect_err("an error").to_string();
    assert!(error.starts_with("bad seed 7: training, epoch "), "{error}");
    assert_eq!(
        contents(folder).into_keys().collect::<Vec<_>>(),
        ["histories/normal-cosine-8.csv", "runs/normal-cosine-8.csv"]
    );
}

#[test]
fn the_program_runs_what_it_is_asked_for() {
    let Folder(folder) = &Folder::with_data("program", &small_data());
    let names: Vec<&str> = experiments::all().iter().map(|experiment| experiment.name).collect();
    assert_eq!(text(&program(folder, &["--list"]).stdout), names.join("\n") + "\n");
    assert!(text(&program(folder, &["--help"]).stdout).starts_with("Usage: experiments"));

    assert!(program(folder, &["xavier-step", "--seed", "3"]).status.success());
    assert!(program(folder, &["zero-constant", "--seeds", "2", "--workers", "3"]).status.success());
    let results = folder.join("results");
    let of_runs = |files: BTreeMap<String, String>| {
        files.into_keys().filter_map(|name| name.strip_prefix("runs/").map(str::to_string)).collect::<Vec<_>>()
    };
    let expected = ["xavier-step-3.csv", "zero-constant-1.csv", "zero-constant-2.csv"];
    assert_eq!(of_runs(contents(&results)), expected);
    assert!(!results.join("README.md").exists(), "one row alone makes no tables");

    fs::write(
        folder.join("README.md"),
        "above\n<!-- from results, by `experiments --report`: begin -->\nold\n<!-- from results: end -->\nbelow\n",
    )
    .expect("a file");
    assert!(program(folder, &["--report"]).status.success());
    assert_eq!(of_runs(contents(&results)), expected, "a report runs nothing");
    assert_eq!(fs::read_to_string(results.join("runs.csv")).expect("text").lines().count(), 1 + expected.len());
    let readme = fs::read_to_string(folder.join("README.md")).expect("text");
    assert!(readme.starts_with("above\n<!--") && readme.ends_with("end -->\nbelow\n") && !readme.contains("old"));
    assert!(readme.contains("| `zero-constant` |"));

    assert!(program(folder, &["--seeds", "1"]).status.success());
    assert_eq!(of_runs(contents(&results)).len(), names.len() + 2);
}

/// Once for each row, and as soon as one of a run's two files is there, to meet it between them.
#[test]
fn a_sweep_that_is_killed_leaves_the_runs_that_have_ended() {
    let all = experiments::all();
    let names: Vec<&str> = all.iter().map(|experiment| experiment.name).collect();
    let Folder(folder) = &Folder::with_data("killed", &small_data());
    let results = folder.join("results");
    for (Experiment { name, config, .. }, least) in all.iter().zip(1..) {
        let next = results.join(["histories", "runs"][least % 2]).join(format!("{name}-{}.csv", least + 1));
        // More runs than a minute has room for.
        let mut sweep = command(folder, &[name, "--seeds", "100000", "--workers", "1"]);
        let mut sweep = sweep.stdout(Stdio::null()).spawn().expect("the program");
        let deadline = Instant::now() + Duration::from_secs(60);
        while !next.exists() && Instant::now() < deadline && matches!(sweep.try_wait(), Ok(None)) {}
        sweep.kill().expect("killed");
        assert!(!sweep.wait().expect("an end").success() && next.exists(), "{name}");

        let mut runs = runs::read_all(&results, &names).unwrap_or_else(|error| panic!("{name}: {error}"));
        runs.retain(|run| run.experiment == *name);
        assert!(runs.len() >= least && runs.iter().all(|run| run.history.len() == config.epochs), "{name}");
        assert!((1..).zip(&runs).all(|(seed, run)| seed == run.seed), "{name}");
    }
    let lines_of_report = || fs::read_to_string(results.join("runs.csv")).expect("the table").lines().count();
    assert!(program(folder, &["--report"]).status.success());
    let reported = lines_of_report();
    assert_eq!(reported, 1 + runs::read_all(&results, &names).expect("the runs").len());
    assert!(program(folder, &["--seeds", "2"]).status.success());
    assert_eq!(lines_of_report(), reported, "each row had two seeds already");
}

#[test]
fn what_the_program_is_not_made_for_gets_one_message() {
    let Folder(folder) = &Folder::with_data("arguments", &small_data());
    let cases: [(&[&str], &str); 9] = [
        (&["xavier-constnat"], "found \"xavier-constnat\"; expected one of zero-constant, "),
        (&["xavier-step", "xavier-cycle"], "xavier-cycle"),
        (&["--fast"], "--fast"),
        (&["--seed"], "after --seed: found nothing"),
        (&["--seed", "-1"], "found -1"),
        (&["--seeds", "0"], "from 1 to"),
        (&["--seeds", "18446744073709551615"], "from 1 to"),
        (&["--workers", "many"], "found many"),
        (&["--seed", "1", "--seeds", "2"], "--seed and --seeds"),
    ];
    for (arguments, message) in cases {
        let output = program(folder, arguments);
        let error = text(&output.stderr);
        assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
        assert!(error.starts_with("error: ") && error.contains(message), "{error}");
    }
    #[cfg(unix)]
    {
        let not_unicode = std::os::unix::ffi::OsStrExt::from_bytes(b"xavier-\xff");
        let output = command(folder, &[]).arg::<&std::ffi::OsStr>(not_unicode).output().expect("the program");
        assert_eq!((output.status.code(), text(&output.stderr).lines().count()), (Some(1), 1));
    }
    let output = program(folder, &["--report"]);
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("results: found no run"));
    assert!(!folder.join("results").exists());
}

#[test]
fn a_spread_is_that_of_a_sample() {
    let spread = Spread::new(&[1.0, 2.0, 3.0, 4.0]);
    assert_eq!((spread.count, spread.mean), (4, 2.5));
    assert!((spread.deviation - (5.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    assert!((spread.standard_error() - (5.0_f64 / 12.0).sqrt()).abs() < 1e-12);
    assert_eq!(spread.to_string(), "2.5000 ± 1.2910");
    assert_eq!((Spread::new(&[0.5]).to_string(), Spread::new(&[]).to_string()), ("0.5000".into(), "–".into()));
    let seen = |values: &[f64]| (Spread::new(values).is_above_zero(), Spread::new(values).is_below_zero());
    assert_eq!(seen(&[0.9, 1.0, 1.1]), (true, false));
    assert_eq!(seen(&[-0.9, -1.0, -1.1]), (false, true));
    assert_eq!(seen(&[2.0, 4.0, 9.0]), (false, false), "5 ± 2.1");
    assert_eq!((seen(&[1.0]), seen(&[]), seen(&[0.0, 0.0])), ((false, false), (false, false), (false, false)));
}

/// Five seeds of every row, with the final test accuracies of a world in which all findings hold, but for `changed`. The
/// seeds differ by far more than the rows do, so that only pairs tell.
fn world(seeds: u64, changed: &[(&str, f64)]) -> Vec<Run> {
    let usual = [
        ("zero-constant", 0.1135),
        ("normal-constant", 0.950),
        ("xavier-constant", 0.960),
        ("normal-step", 0.953),
        ("normal-cosine", 0.951),
        ("normal-cycle", 0.948),
        ("xavier-step", 0.963),
        ("xavier-cosine", 0.961),
        ("xavier-cycle", 0.958),
        ("normal-cosine-20", 0.953),
        ("normal-cosine-dropout-0.2", 0.949),
        ("normal-cosine-dropout-0.5", 0.1),
        ("xavier-cosine-dropout-0.5", 0.1),
        ("normal-cosine-l2-1e-5", 0.956),
        ("normal-cosine-l2-1e-7", 0.953),
    ];
    let mut runs = Vec::new();
    for (name, accuracy) in usual {
        let accuracy = changed.iter().find(|change| change.0 == name).map_or(accuracy, |change| change.1);
        for seed in 1..=seeds {
            let jitter = ((seed + name.len() as u64) % 3) as f64 * 1e-4;
            let first = if name.starts_with("xavier") { 0.85 } else { 0.3 };
            runs.push(run(name, seed, &[first, accuracy + 0.005 * seed as f64 + jitter]));
        }
    }
    runs
}

fn verdicts(runs: &[Run]) -> Vec<&'static str> {
    findings::all(runs).into_iter().map(|finding| finding.verdict).collect()
}

#[test]
fn verdicts_follow_the_differences() {
    assert_eq!(verdicts(&world(5, &[])), ["**holds**"; 8]);
    assert_eq!(verdicts(&world(4, &[])), ["not decided: too few seeds"; 8]);
    assert_eq!(verdicts(&[]), ["not decided: too few seeds"; 8]);
    #[allow(clippy::type_complexity)] // a table
    let cases: [(usize, &[(&str, f64)], &str); 15] = [
        (0, &[("zero-constant", 0.6)], "**does not hold**"),
        (0, &[("zero-constant", 0.49)], "**holds for some seeds only**"),
        (2, &[("xavier-step", 0.953)], "**holds with some schedules only**"),
        (3, &[("xavier-step", 0.961)], "**held only because of Normal's slow start**"),
        (3, &[("normal-step", 0.951)], "**holds with Xavier only**"),
        (3, &[("normal-step", 0.94), ("xavier-step", 0.94)], "**does not hold**"),
        (4, &[("xavier-cycle", 0.962)], "**held only because of Normal's slow start**"),
        (4, &[("normal-cycle", 0.96)], "**holds with Xavier only**"),
        (5, &[("normal-cosine-l2-1e-5", 0.953)], "**held only because of 20 epochs against 10**"),
        (5, &[("normal-cosine-l2-1e-5", 0.9), ("normal-cosine-l2-1e-7", 0.9)], "**does not hold**"),
        (6, &[("normal-cosine-dropout-0.2", 0.953)], "**does not hold**"),
        (
            6,
            &[("normal-cosine-dropout-0.2", 0.949), ("normal-cosine-20", 0.949)],
            "**held only because of 20 epochs against 10**",
        ),
        (7, &[("xavier-cosine-dropout-0.5", 0.9)], "**held only because of Normal's slow start**"),
        (7, &[("normal-cosine-dropout-0.5", 0.9)], "**does not hold**"),
        (7, &[("normal-cosine-dropout-0.5", 0.49)], "**holds for some seeds only**"),
    ];
    for (finding, changed, verdict) in cases {
        assert_eq!(verdicts(&world(5, changed))[finding], verdict, "finding {finding} with {changed:?}");
    }
    let mut slow = world(5, &[]);
    slow.iter_mut()
        .filter(|run| run.experiment == "xavier-constant")
        .for_each(|run| run.history[0].test_accuracy = 0.75);
    assert_eq!(verdicts(&slow)[1], "**holds**, but for the 0.8");
}

#[test]
fn pairs_with_a_run_on_the_plateau_are_left_out_and_counted() {
    let mut runs = world(6, &[]);
    let stuck = runs.iter_mut().find(|run| run.experiment == "normal-cosine-20" && run.seed == 4).expect("a run");
    stuck.history[1].test_accuracy = 0.1;
    let findings = findings::all(&runs);
    assert!(findings[5].seen[0].contains("1e-5 +0.0030 ± 0.0001 (5 seeds)"), "{:?}", findings[5].seen);
    assert!(findings[0].seen[0].starts_with("6 of 6 runs"), "{:?}", findings[0].seen);
    let page = &tables::files(&experiments::all(), &runs, "")[1].1;
    let row = page.lines().find(|line| line.starts_with("| `normal-cosine-20` |")).expect("a row");
    assert!(row.ends_with("| 1 of 6 |") && row.contains("| 0.9701 ± "), "{row}");
}

/// The committed runs.
fn committed() -> (Vec<Experiment>, Vec<Run>) {
    let all = experiments::all();
    let names: Vec<&str> = all.iter().map(|experiment| experiment.name).collect();
    let runs = runs::read_all(Path::new("results"), &names).expect("the committed runs");
    (all, runs)
}

#[test]
fn what_is_committed_follows_from_the_runs() {
    let (all, runs) = committed();
    for experiment in &all {
        let of_row = runs.iter().filter(|run| run.experiment == experiment.name);
        let seeds: Vec<u64> = of_row.clone().map(|run| run.seed).collect();
        assert_eq!(seeds, Vec::from_iter(1..=10), "{}", experiment.name);
        assert!(of_row.clone().all(|run| run.history.len() == experiment.config.epochs), "{}", experiment.name);
    }
    let rates = fs::read_to_string("results/learning-rates.csv").expect("the scan");
    for (name, content) in tables::files(&all, &runs, &rates) {
        let path = Path::new("results").join(name);
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == content, "{} is not what `experiments --report` makes", path.display());
    }
    let readme = fs::read_to_string("README.md").expect("the README");
    let renewed = tables::with_summary(&readme, &tables::summary(&all, &runs));
    assert!(renewed == Some(readme), "README.md does not show what `experiments --report` makes");
}

#[test]
fn the_rows_reach_the_figures_of_the_coursework() {
    let (all, runs) = committed();
    for Experiment { name, reported, .. } in &all {
        let of_row: Vec<&Run> = runs.iter().filter(|run| run.experiment == *name).collect();
        let left: Vec<f64> =
            of_row.iter().filter(|run| run.left_the_plateau()).map(|run| run.test_accuracy()).collect();
        let mean = Spread::new(&left).mean;
        match reported {
            Reported::Accuracies([_, test, _]) => assert!(mean >= test - 0.01, "{name}: {mean}"),
            Reported::Fails(_) => assert!(left.is_empty() && !of_row.is_empty(), "{name}: {left:?}"),
            Reported::Nothing => {}
        }
        assert!(*name != "xavier-step-l2-1e-5" || mean > 0.976, "{name}: {mean}");
    }
}
