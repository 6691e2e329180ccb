//! The experiments from the command line to the tables: small sets of made-up images stand in for
//! MNIST.

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Folder, assert_error, assert_refused, pictures, small_config};
use mnist_mlp::config::Config;
use mnist_mlp::data::Data;
use mnist_mlp::data::deformation::Deformation;
use mnist_mlp::experiments::runs::{self, Run};
use mnist_mlp::experiments::statistics::Spread;
use mnist_mlp::experiments::{self, Experiment, SEEDS, sweep, tables};
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::output::progress::Console;
use mnist_mlp::training::Trainer;

fn small_data() -> Data {
    Data { train: pictures(40, 4, 4, 10), test: pictures(20, 4, 4, 10) }
}

/// A run with these test accuracies; the accuracies on the training set are the same.
fn run(experiment: &str, seed: u64, accuracies: &[f64]) -> Run {
    let all = experiments::all();
    Run {
        experiment: experiment.into(),
        configuration: experiments::find(&all, experiment).unwrap().configuration(),
        seed,
        train_accuracy: accuracies[accuracies.len() - 1],
        running_accuracies: accuracies.into(),
        test_accuracies: accuracies.into(),
    }
}

fn read(folder: &Path) -> Vec<Run> {
    runs::read(&folder.join("runs.csv")).unwrap_or_else(|error| panic!("{error}"))
}

fn add(folder: &Path, ended: &[Run]) {
    assert_eq!(runs::add(&folder.join("runs.csv"), &experiments::all(), ended), Ok(vec![]));
}

fn silent() -> Console {
    Console::new(Box::new(io::sink()), false)
}

fn program(folder: &Path, arguments: &[&str]) -> Output {
    command(folder).args(arguments).output().unwrap()
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_experiments"));
    command.current_dir(folder);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn runs_come_back_as_they_were_written() {
    let Folder(folder) = &Folder::new("round-trip");
    assert_eq!(read(folder), vec![], "no file, no runs");
    let [xavier, normal, earlier, zero] = &[
        run("xavier-step", 10, &[0.25, 0.75, 0.75]),
        run("normal-step", 12, &[0.113, 0.0]),
        run("normal-step", 2, &[0.9]),
        run("zero-constant", 2, &[0.1]),
    ];
    add(folder, &[xavier, normal, earlier, zero].map(Run::clone));
    let expected = [zero, earlier, normal, xavier].map(Run::clone);
    assert_eq!(read(folder), expected, "in the order of the experiments, then by seed");
    assert_eq!(xavier.best_test_accuracy(), (0.75, 2), "the first of equals");
    assert_eq!((xavier.plateau_ends(), normal.plateau_ends()), (Some(2), None));
    let row = format!(
        "xavier-step,{:016x},10,3,0.750000,0.750000,0.750000,2,0.250000 0.750000 0.750000,\
         0.250000 0.750000 0.750000",
        xavier.configuration
    );
    assert_eq!(fs::read_to_string(folder.join("runs.csv")).unwrap().lines().last(), Some(&*row));
}

#[test]
fn a_run_replaces_its_like_and_what_its_experiment_was_before() {
    let Folder(folder) = &Folder::new("replace");
    let [normal, xavier] = [run("normal-step", 1, &[0.9]), run("xavier-step", 1, &[0.9])];
    let again = run("normal-step", 2, &[0.8]);
    add(folder, &[normal.clone(), run("normal-step", 2, &[0.9]), xavier.clone()]);
    add(folder, std::slice::from_ref(&again));
    assert_eq!(read(folder), [normal, again, xavier.clone()], "one run takes the place of one run");

    let mut all = experiments::all();
    let path = folder.join("runs.csv");
    let changed = all.iter_mut().find(|row| row.name == "normal-step").unwrap();
    changed.config.learning_rate = 0.03;
    let new = Run { configuration: changed.configuration(), ..run("normal-step", 3, &[0.7]) };
    let (counted, lines) = runs::read_current(&path, &all).unwrap();
    assert_eq!((counted, lines.len()), (vec![xavier.clone()], 1));
    assert!(
        lines[0].contains("not counting runs of normal-step: its configuration has changed"),
        "{lines:?}"
    );
    let other = run("zero-constant", 1, &[0.1]);
    assert_eq!(runs::add(&path, &all, std::slice::from_ref(&other)), Ok(vec![]));
    assert_eq!(
        read(folder).len(),
        4,
        "what has another configuration stays until its experiment runs"
    );
    let lines = runs::add(&path, &all, std::slice::from_ref(&new)).unwrap();
    assert!(
        lines[0].contains("removed 2 runs of normal-step: its configuration has changed"),
        "{lines:?}"
    );
    assert_eq!(read(folder), [other, new, xavier]);
    let Experiment { config, .. } = &all[0];
    let hash = |config| Experiment { config, ..all[0].clone() }.configuration();
    let elsewhere =
        Config { seed: 7, data: "fashion".into(), output: "elsewhere".into(), ..config.clone() };
    assert_eq!(hash(elsewhere), hash(config.clone()));
    assert_ne!(hash(Config { momentum: 0.9, ..config.clone() }), hash(config.clone()));
    let committed = runs::read_current(Path::new("results/runs.csv"), &experiments::all()).unwrap();
    assert_eq!(committed.1, [""; 0], "the committed runs count");
}

#[test]
fn a_row_that_is_not_a_whole_run_is_named() {
    let Folder(folder) = &Folder::new("bad-rows");
    let path = folder.join("runs.csv");
    add(folder, &[run("normal-step", 1, &[0.25, 0.75]), run("normal-step", 2, &[0.5])]);
    let whole = fs::read_to_string(&path).unwrap();
    let cases = [
        (1, "experiment,", "name,"),
        (2, "0.250000 ", "0.250000,"),
        (2, "0.250000 0.750000\n", "0.250000 0.760000\n"),
        (2, ",2,0.250000 ", ",2,1.250000 "),
        (2, ",2,0.250000 ", ",2,NaN "),
        (2, ",2,0.250000 ", ",2,"),
        (2, "0.250000 0.750000\n", "0.750000\n"),
        (2, "step,", "step,x"),
        (2, ",1,2,0.75", ",1,3,0.75"),
        (3, ",2,1,", ",-2,1,"),
        (3, ",2,1,", ",1,1,"),
        (3, "0.500000\n", "0.5"),
    ];
    for (number, from, to) in cases {
        let changed = whole.replacen(from, to, 1);
        assert_ne!(changed, whole, "{from}");
        fs::write(&path, &changed).unwrap();
        let place = format!("{}, line {number}: ", path.display());
        assert_error(runs::read(&path), &[&place]);
    }
    fs::write(&path, b"\xff\xfe").unwrap();
    assert_error(runs::read(&path), &[path.to_str().unwrap()]);
}

#[test]
fn one_worker_and_many_find_the_same() {
    let all = experiments::all();
    let data = small_data();
    let short = all.iter().filter(|row| row.config.epochs <= 20);
    let short: Vec<_> = short.map(|row| Experiment { seeds: 1..=2, ..row.clone() }).collect();
    let [one, many] = [1, 8].map(|workers| {
        let Folder(folder) = &Folder::new(&format!("{workers}-workers"));
        let mut epochs = Vec::new();
        let save = |ended: Run, _| {
            epochs.push(ended.test_accuracies.len());
            runs::add(&folder.join("runs.csv"), &all, &[ended])
        };
        sweep::sweep(&short, &data, workers, &mut silent(), save).unwrap();
        assert!(workers > 1 || epochs.is_sorted_by(|a, b| a >= b), "the longest first: {epochs:?}");
        read(folder)
    });
    assert_eq!(one.len(), 2 * short.len());
    assert_eq!(one, many);
    let [first, second] =
        [0, 1].map(|i| &runs::of(&one, "xavier-cosine-20").nth(i).unwrap().running_accuracies);
    assert_ne!(first, second, "another seed, another network");
}

/// Run by the test below, by itself, since other tests have threads, too.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "a part of `a_run_with_deformation_takes_one_thread`"]
fn one_thread() {
    let threads = || fs::read_dir("/proc/self/task").unwrap().count();
    let config = Config { deformation: Some(Deformation::default()), epochs: 3, ..small_config() };
    let set = pictures(2000, 28, 28, 10);
    let before = threads();
    let mut trainer = Trainer::new(&config, &set, Cpu::best()).unwrap();
    let mut most = 0;
    let progress = |_| {
        most = most.max(threads());
        Ok(())
    };
    trainer.train_epoch(progress).unwrap();
    assert_eq!(most, before);
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_with_deformation_takes_one_thread() {
    let arguments = ["--ignored", "--exact", "experiments::one_thread"];
    let output = Command::new(std::env::current_exe().unwrap()).args(arguments).output().unwrap();
    assert!(output.status.success() && text(&output.stdout).contains("1 passed"), "{output:?}");
}

#[test]
fn a_run_that_fails_is_named_and_the_others_end() {
    let all = experiments::all();
    let good = experiments::find(&all, "normal-cosine").unwrap();
    let config = || Config { epochs: 20, ..good.config.clone() };
    for (config, message) in [
        (Config { learning_rate: 3e38, ..config() }, "training, epoch "),
        (Config { dropout: 1.0, ..config() }, "dropout in src/experiments.rs: "),
        (Config { batch_size: 41, ..config() }, "batch_size in src/experiments.rs: "),
    ] {
        let bad = Experiment { name: "bad", config, seeds: 7..=8, reported: "–" };
        let good = Experiment { seeds: 7..=8, ..good.clone() };
        let mut ended = Vec::new();
        let save = |run: Run, _| {
            ended.push(run.seed);
            Ok(vec![])
        };
        let result = sweep::sweep(&[bad, good], &small_data(), 1, &mut silent(), save);
        let result = result.map_err(experiments::in_experiment);
        let error = assert_error(result, &[&format!("bad seed 7: {message}")]);
        assert!(!error.contains("get_config") && !error.contains("main.rs"), "{error}");
        assert_eq!(ended, [7, 8]);
    }
}

#[test]
fn the_program_runs_what_it_is_asked_for() {
    let Folder(folder) = &Folder::with_data("program", &small_data());
    let results = &folder.join("results");
    let names: Vec<&str> = experiments::all().iter().map(|experiment| experiment.name).collect();
    assert_eq!(text(&program(folder, &["--list"]).stdout), names.join("\n") + "\n");
    assert!(text(&program(folder, &["--help"]).stdout).starts_with("Usage: experiments"));
    assert_refused(program(folder, &["--report"]), &["results: found no run"]);
    assert!(!results.exists(), "nothing is written without a run");

    let ran = |arguments: &[&str], folder: &Path| -> Vec<(String, u64)> {
        let output = program(folder.parent().unwrap(), arguments);
        assert!(output.status.success(), "{output:?}");
        assert!(text(&output.stdout).contains("/runs.csv"), "it says where the runs are");
        read(folder).into_iter().map(|run| (run.experiment, run.seed)).collect()
    };
    let row = |name: &str, seed| (name.to_string(), seed);
    let zero = [1, 2, 3].map(|seed| row("zero-constant", seed));
    assert_eq!(ran(&["zero-constant", "--seeds", "3"], results), zero);
    assert_eq!(ran(&["--seeds", "1", "zero-constant"], results), zero, "no run is lost");
    let both = ran(&["xavier-step", "--seed", "7", "zero-constant"], results);
    assert_eq!(both, [&zero[..], &[row("zero-constant", 7), row("xavier-step", 7)]].concat());
    assert_eq!(fs::read_dir(results).unwrap().count(), 2, "the runs and their lock: no tables");
    let mine = &folder.join("mine");
    assert_eq!(
        ran(&["normal-step", "--output", "mine", "--seed", "2"], mine),
        [row("normal-step", 2)]
    );
    assert_eq!(read(results).len(), both.len());

    for name in ["README.md", "learning-rates.csv", "trials.csv"] {
        fs::copy(Path::new("results").join(name), results.join(name)).unwrap();
    }
    assert!(program(folder, &["--report", "mine", "--output", "ours"]).status.success());
    let page = fs::read_to_string(folder.join("ours/README.md")).unwrap();
    assert!(
        page.lines()
            .any(|line| line.starts_with("| `normal-step` | 10 |") && line.ends_with(" of 1 |"))
    );
    assert!(program(folder, &["--report", "mine", "ours"]).status.success());
    assert_eq!(read(results).len(), both.len() + 1, "the runs of both, which are one");
    assert_refused(program(folder, &["--report", "mine", "nowhere"]), &["nowhere: found no run"]);

    assert!(program(folder, &["--seeds", "1"]).status.success());
    assert_eq!(read(results).len(), names.len() + 5, "seeds 2, 3, 7 of zero-constant; 7; 2");
    let page = fs::read_to_string(results.join("README.md")).unwrap();
    let prose = |page: &str| page.lines().filter(|line| !line.starts_with('|')).collect::<String>();
    assert_eq!(prose(&page), prose(&fs::read_to_string("results/README.md").unwrap()));
    assert!(
        page.lines()
            .any(|line| line.starts_with("| `zero-constant` | 10 |") && line.ends_with(" of 4 |"))
    );
    assert!(fs::read_to_string(results.join("best-top.svg")).unwrap().starts_with("<svg"));
    assert!(program(folder, &["--report"]).status.success());
    assert_eq!(
        fs::read_to_string(results.join("README.md")).unwrap(),
        page,
        "nothing is left to fill in"
    );
}

#[test]
fn a_sweep_that_is_killed_leaves_the_runs_that_have_ended() {
    for least in 1..=20 {
        let Folder(folder) = &Folder::with_data(&format!("killed-{least}"), &small_data());
        let runs = || read(&folder.join("results"));
        let mut sweep = command(folder);
        let mut sweep =
            sweep.args(["normal-cosine", "--seeds", "1000"]).stdout(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while runs().len() < least
            && Instant::now() < deadline
            && matches!(sweep.try_wait(), Ok(None))
        {}
        sweep.kill().unwrap();
        assert!(!sweep.wait().unwrap().success() && runs().len() >= least);
        assert!(runs().iter().all(|run| run.test_accuracies.len() == 10));
    }
}

/// Two processes, each of them with several workers, that write into one folder.
#[test]
fn two_sweeps_at_once_lose_no_run() {
    let Folder(folder) = &Folder::with_data("two-sweeps", &small_data());
    let sweep =
        |name| command(folder).args([name, "--seeds", "60"]).stdout(Stdio::null()).spawn().unwrap();
    let both = ["normal-cosine", "normal-constant"].map(sweep);
    both.into_iter().for_each(|mut sweep| assert!(sweep.wait().unwrap().success()));
    assert_eq!(read(&folder.join("results")).len(), 120);
}

#[test]
fn what_the_program_is_not_made_for_gets_one_message() {
    let Folder(folder) = &Folder::with_data("arguments", &small_data());
    let cases: [(&[&str], &str); 19] = [
        (&["xavier-constnat"], "found \"xavier-constnat\"; expected one of zero-constant, "),
        (&["xavier-step", "xavier-cycel"], "found \"xavier-cycel\""),
        (&["--fast"], "the arguments: found --fast"),
        (&[""], "the experiment: found \"\""),
        (&["--seeds"], "the argument after --seeds: found nothing"),
        (&["--seeds", "0"], "found 0; expected a whole number from 1 to 1000"),
        (&["--seeds", "1001"], "found 1001; expected a whole number from 1 to 1000"),
        (&["--seeds", "--report"], "the argument after --seeds: found --report"),
        (&["--seed", "0"], "found 0; expected a whole number from 1 to"),
        (&["--seed", "18446744073709551616"], "from 1 to"),
        (&["--output"], "the argument after --output: found nothing; expected a folder"),
        (&["--output", ""], "the argument after --output: "),
        (&["--report", "extra"], "extra: found no run"),
        (&["--report", "--seed", "7"], "found seeds for --report"),
        (&["xavier-step", "--report"], "xavier-step: found no run"),
        (&["--list", "extra"], "found --list"),
        (&["--help", "--seeds", "2"], "found --help"),
        (&["xavier-step", "--seeds", "2", "--list"], "found --list"),
        (
            &["xavier-step", "--output", "raw_data/t10k-labels-idx1-ubyte"],
            "raw_data/t10k-labels-idx1-ubyte",
        ),
    ];
    for (arguments, message) in cases {
        assert_refused(program(folder, arguments), &[message]);
    }
    #[cfg(unix)]
    {
        let not_unicode: &std::ffi::OsStr =
            std::os::unix::ffi::OsStrExt::from_bytes(b"xavier-\xff");
        assert_refused(command(folder).arg(not_unicode).output().unwrap(), &["found \"xavier-"]);
    }
    assert!(!folder.join("results").exists());
}

#[test]
fn a_spread_is_that_of_a_sample() {
    let spread = |values: &[f64]| values.iter().copied().collect::<Spread>();
    let four = spread(&[1.0, 2.0, 3.0, 4.0]);
    assert_eq!((four.count, four.mean), (4, 2.5));
    assert!((four.deviation - (5.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    assert!((four.standard_error() - (5.0_f64 / 12.0).sqrt()).abs() < 1e-12);
    assert_eq!(four.to_string(), "2.5000 ± 1.2910");
    assert_eq!(
        (spread(&[0.5]).to_string(), spread(&[]).to_string()),
        ("0.5000".into(), "–".into())
    );
    assert_eq!(spread(&[0.9, 1.0, 1.1]).sign(), Ordering::Greater);
    assert_eq!(spread(&[-0.9, -1.0, -1.1]).sign(), Ordering::Less);
    for equal in [&[2.0, 4.0, 9.0][..], &[1.0], &[], &[0.0, 0.0]] {
        assert_eq!(spread(equal).sign(), Ordering::Equal, "{equal:?}: 5 ± 2.1, or nothing to tell");
    }
}

/// What `--report` makes of a page that has this line below the places of the tables, and what it
/// complains about.
fn report(runs: &[Run], line: &str) -> (Vec<String>, String) {
    let Folder(folder) = &Folder::new("report");
    let committed = fs::read_to_string("results/README.md").unwrap();
    let marks = committed.lines().filter(|line| line.starts_with("<!--"));
    let page = marks.chain([line]).map(|line| format!("{line}\n")).collect::<String>();
    fs::write(folder.join("README.md"), page).unwrap();
    for name in ["learning-rates.csv", "trials.csv"] {
        fs::write(folder.join(name), "a,b\n1,2\n").unwrap();
    }
    add(folder, runs);
    let complaint = tables::report(folder, &experiments::all(), &mut silent()).err();
    let page = fs::read_to_string(folder.join("README.md")).unwrap();
    (
        page.lines().map(str::to_string).collect(),
        complaint.map_or(String::new(), |error| error.to_string()),
    )
}

/// Seeds differ by far more than rows do, so only pairs tell.
#[test]
fn a_finding_gets_its_numbers_and_may_not_contradict_them() {
    let of_seed = |seed: u64| {
        let base = 0.9 + 0.005 * seed as f64;
        let jitter = (seed % 3) as f64 * 1e-3;
        [
            run("zero-constant", seed, &[0.1, 0.1]),
            // One more than SEEDS, so that there are SEEDS pairs without it.
            run("normal-constant", seed, &if seed == 11 { [0.1, 0.1] } else { [0.3, base] }),
            run("xavier-constant", seed, &[0.85, base + 0.01 + jitter]),
            run("xavier-step", seed, &[0.85, base + jitter - 1e-3]),
        ]
    };
    let runs = |seeds: u64| (1..=seeds).flat_map(of_seed).collect::<Vec<Run>>();
    let cases = [
        ("`xavier-constant` − `normal-constant`", "+0.0110 ± 0.0003 (10 seeds)", "above"),
        ("`normal-constant` − `xavier-constant`", "−0.0110 ± 0.0003 (10 seeds)", "below"),
        (
            "`xavier-constant` − `normal-constant`, after epoch 1",
            "+0.5500 ± 0.0000 (10 seeds)",
            "above",
        ),
        ("`xavier-step` − `normal-constant`", "+0.0000 ± 0.0003 (10 seeds)", "not told apart"),
        ("`zero-constant` ends below 0.5", "11 of 11", "all"),
        ("`normal-constant` ends below 0.5", "1 of 11", "some"),
        ("`xavier-constant` ends below 0.5", "0 of 11", "none"),
    ];
    for (what, seen, word) in cases {
        let filled = format!("| {what} | {seen} | {word} |");
        let (page, complaint) = report(&runs(SEEDS + 1), &format!("| {what} | | {word} |"));
        assert_eq!((page.last(), &*complaint), (Some(&filled), ""));
        for other in cases.iter().map(|case| case.2).filter(|&other| other != word) {
            let (page, complaint) =
                report(&runs(SEEDS + 1), &format!("| {what} | old | {other} |"));
            assert_eq!(
                page.last(),
                Some(&filled.replace(&format!("{word} |"), &format!("{other} |")))
            );
            assert!(complaint.contains(&format!(
                "line {}: found {what}: {other}; expected {word}, ",
                page.len()
            )));
        }
        assert_eq!(report(&runs(SEEDS - 1), &format!("| {what} | | of few seeds |")).1, "");
    }
    for no_finding in [
        "`xavier` − `zero-constant`",
        "`xavier-step` - `zero-constant`",
        "`xavier-step` − `xavier-step`, x",
    ] {
        let (page, complaint) = report(&runs(1), &format!("| {no_finding} | | above |"));
        assert!(
            complaint.contains(&format!("line {}: found {no_finding:?}; expected ", page.len())),
            "{complaint}"
        );
    }
}

/// Accuracies of training are 0.5, those of the test 0.9, each in its own column and stroke.
#[test]
fn train_and_test_keep_their_places_in_tables_and_figures() {
    let folder = Folder::new("places");
    fs::copy("results/README.md", folder.0.join("README.md")).unwrap();
    for name in ["learning-rates.csv", "trials.csv"] {
        fs::copy(format!("results/{name}"), folder.0.join(name)).unwrap();
    }
    let other = run("xavier-constant-mse", 1, &[0.9, 0.9]);
    let run = Run {
        train_accuracy: 0.5,
        running_accuracies: vec![0.5; 2],
        ..run("xavier-constant", 1, &[0.9; 2])
    };
    add(&folder.0, &[run, other]);
    // Fails: there are too few seeds for the findings.
    let _ = tables::report(&folder.0, &experiments::all(), &mut silent());
    let page = fs::read_to_string(folder.0.join("README.md")).unwrap();
    assert!(page.contains(" | 0.5000 | 0.9000 | 0.9000 | "), "{page}");
    let svg = fs::read_to_string(folder.0.join("initialisation.svg")).unwrap();
    let [solid, dashed] = [false, true].map(|is_dashed| {
        let is_line = |line: &&str| {
            line.contains("stroke-linejoin") && line.contains("dasharray") == is_dashed
        };
        let height = |line: &str| line.split(' ').nth(2)?.split('L').next()?.parse::<f64>().ok();
        svg.lines().rfind(is_line).and_then(height)
    });
    assert!(
        solid < dashed && solid.is_some(),
        "the test, solid, is higher up: {solid:?} {dashed:?}"
    );
}
