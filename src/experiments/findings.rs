//! The coursework's findings, each from one run, against what several seeds say.

use crate::experiments::runs::{self, Run, epochs_to};
use crate::experiments::statistics::Spread;

/// Fewer seeds than this decide nothing.
pub const LEAST_SEEDS: usize = 5;

/// A finding of the coursework.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What the coursework says.
    pub claim: &'static str,
    /// What we see, the most important first.
    pub seen: Vec<String>,
    /// Whether it holds.
    pub verdict: &'static str,
    /// What a reader may conclude.
    pub conclusion: String,
}

const HOLDS: &str = "**holds**";
const DOES_NOT_HOLD: &str = "**does not hold**";
const PLATEAU: &str = "**held only because of Normal's slow start**";
const EPOCHS: &str = "**held only because of 20 epochs against 10**";
const UNDECIDED: &str = "not decided: too few seeds";

/// The coursework's seven findings; the fourth is two claims.
pub fn all(runs: &[Run]) -> Vec<Finding> {
    let runs = Runs(runs);
    let mut all = vec![
        zero(runs),
        faster(runs),
        higher(runs),
        schedule(runs, "Step is the best schedule (§5)", "step", Spread::is_above_zero),
        schedule(runs, "Cycle is the worst schedule (§5)", "cycle", Spread::is_below_zero),
        l2(runs),
        dropout(runs),
        much_dropout(runs),
    ];
    for finding in all.iter_mut().filter(|finding| finding.verdict == UNDECIDED) {
        finding.conclusion = "Nothing yet.".into();
    }
    all
}

fn zero(runs: Runs) -> Finding {
    let zero = runs.of("zero-constant");
    let (verdict, stuck) = runs.fails("zero-constant");
    let ends = runs.spread("zero-constant", last);
    let best = zero.iter().map(|run| run.best_test_accuracy().0).fold(0.0, f64::max);
    Finding {
        claim: "Zero initialisation fails (§3)",
        seen: vec![stuck, format!("final test accuracy {ends}; the best of any epoch and seed {best:.4}")],
        verdict,
        conclusion: if_it_holds(
            verdict,
            "The units of a layer start equal and are updated equally, so they stay equal: the network can do no more \
             than one with a single unit in each hidden layer.",
        ),
    }
}

fn faster(runs: Runs) -> Finding {
    let [xavier, normal] = ["xavier-constant", "normal-constant"];
    let difference = runs.difference(xavier, normal, first);
    let spread = |name| runs.spread(name, first);
    let least = runs.of(xavier).into_iter().map(first).fold(1.0, f64::min);
    let reach = |name| epochs_to(0.8, &runs.of(name));
    let verdict = decide(&[difference], || match (difference.is_above_zero(), least > 0.8) {
        (true, true) => HOLDS,
        (true, false) => "**holds**, but for the 0.8",
        _ => DOES_NOT_HOLD,
    });
    Finding {
        claim: "Xavier converges faster: above 0.8 at the first test (§3)",
        seen: vec![
            format!("test accuracy after one epoch, Xavier − Normal: {}", error(difference)),
            format!("Xavier {}, never below {least:.4}; Normal {}", spread(xavier), spread(normal)),
            format!("0.8 is passed in epoch {} (Xavier), {} (Normal)", reach(xavier), reach(normal)),
        ],
        verdict,
        conclusion: if_it_holds(
            verdict,
            "N(0, 0.02²) is so narrow that next to nothing of an image gets through four layers, and training begins \
             with a plateau. Xavier has none with these layers.",
        ),
    }
}

fn higher(runs: Runs) -> Finding {
    let differences = SCHEDULES.map(|s| runs.difference(&format!("xavier-{s}"), &format!("normal-{s}"), last));
    let above = differences.iter().filter(|difference| difference.is_above_zero()).count();
    let twice = runs.difference("xavier-cosine", "normal-cosine-20", last);
    let mut seen: Vec<String> = SCHEDULES
        .iter()
        .zip(differences)
        .map(|(schedule, difference)| {
            format!("final test accuracy, {schedule}, Xavier − Normal: {}", error(difference))
        })
        .collect();
    seen.push(format!("cosine, Xavier with 10 epochs − Normal with 20: {}", error(twice)));
    Finding {
        claim: "Xavier ends higher (§3)",
        seen,
        verdict: decide(&differences, || match above {
            4 => HOLDS,
            0 => DOES_NOT_HOLD,
            _ => "**holds with some schedules only**",
        }),
        conclusion: format!(
            "With {above} of the 4 schedules. Normal with twice the epochs is {} Xavier with 10, so {}.",
            match () {
                () if twice.is_above_zero() => "still below",
                () if twice.is_below_zero() => "above",
                () => "not to be told from",
            },
            if twice.is_above_zero() {
                "the lead is more than the epochs that the plateau costs"
            } else {
                "the lead may be no more than the epochs that the plateau costs"
            }
        ),
    }
}

/// A claim on one schedule: that all its differences to the three others are as `claimed`, with Normal and with Xavier.
fn schedule(runs: Runs, claim: &'static str, name: &str, claimed: fn(Spread) -> bool) -> Finding {
    let differences = ["normal", "xavier"].map(|init| runs.against_others(init, name));
    let [normal, xavier] = differences.map(|differences| differences.into_iter().all(claimed));
    let seen = ["Normal", "Xavier"].iter().zip(differences).map(|(init, differences)| {
        let against: Vec<String> =
            others(name).iter().zip(differences).map(|(other, d)| format!("{other} {}", error(d))).collect();
        format!("final test accuracy with {init}, {name} minus {}", against.join(", "))
    });
    Finding {
        claim,
        seen: seen.collect(),
        verdict: decide(differences.as_flattened(), || match (normal, xavier) {
            (true, true) => HOLDS,
            (true, false) => PLATEAU,
            (false, true) => "**holds with Xavier only**",
            (false, false) => DOES_NOT_HOLD,
        }),
        conclusion: format!(
            "The order, from the best mean to the worst: {} with Normal; {} with Xavier.",
            runs.order("normal"),
            runs.order("xavier")
        ),
    }
}

fn l2(runs: Runs) -> Finding {
    let rows = ["normal-cosine-l2-1e-5", "normal-cosine-l2-1e-7"];
    let [told, fair] =
        ["normal-cosine", "normal-cosine-20"].map(|base| rows.map(|row| runs.difference(row, base, last)));
    let longer = runs.difference("normal-cosine-20", "normal-cosine", last);
    let above = |differences: &[Spread; 2]| differences.iter().any(|difference| difference.is_above_zero());
    let both = |[more, less]: [Spread; 2]| format!("1e-5 {}, 1e-7 {}", error(more), error(less));
    Finding {
        claim: "L2 helps (§6)",
        seen: vec![
            format!("final test accuracy, L2 − none, both with 20 epochs: {}", both(fair)),
            format!("L2 with 20 epochs − none with 10, as the coursework has it: {}", both(told)),
            format!("none with 20 epochs − none with 10: {}", error(longer)),
        ],
        verdict: decide(&fair, || on_equal_terms(above(&fair), above(&told))),
        conclusion: format!(
            "Twice the epochs account for {:+.4}, L2 of 1e-5 for {:+.4} beyond that. So small a penalty takes away less \
             than a thousandth of a weight in an epoch; a larger one was not tried.",
            longer.mean, fair[0].mean
        ),
    }
}

fn dropout(runs: Runs) -> Finding {
    let (row, base) = ("normal-cosine-dropout-0.2", "normal-cosine-20");
    let [told, fair] = ["normal-cosine", base].map(|base| runs.difference(row, base, last));
    let passes = |name| epochs_to(0.5, &runs.of(name));
    let gap = |name| runs.spread(name, |run| run.train_accuracy - run.test_accuracy()).mean;
    let verdict = decide(&[fair], || on_equal_terms(fair.is_below_zero(), told.is_below_zero()));
    Finding {
        claim: "Dropout 0.2 hurts (§6)",
        seen: vec![
            format!("final test accuracy, dropout − none, both with 20 epochs: {}", error(fair)),
            format!("dropout with 20 epochs − none with 10, as the coursework has it: {}", error(told)),
            format!("0.5 is passed in epoch {} with dropout, {} without", passes(row), passes(base)),
            format!("train − test accuracy: {:.4} with dropout, {:.4} without", gap(row), gap(base)),
        ],
        verdict,
        conclusion: if_it_holds(
            verdict,
            "With Normal, this small network and 20 epochs. Nothing is said of wider networks or longer training.",
        ),
    }
}

fn much_dropout(runs: Runs) -> Finding {
    let xavier = "xavier-cosine-dropout-0.5";
    let (with_normal, stuck) = runs.fails("normal-cosine-dropout-0.5");
    let (with_xavier, stuck_too) = runs.fails(xavier);
    let ends = runs.spread(xavier, last).mean;
    let (verdict, conclusion) = match (with_normal, with_xavier) {
        (_, UNDECIDED) => (UNDECIDED, String::new()),
        (HOLDS, DOES_NOT_HOLD) => {
            let so =
                "With Normal, at this rate and for 20 epochs, the noise holds training on its plateau. With Xavier it";
            (PLATEAU, format!("{so} learns, to {ends:.4}: less than without dropout, but far from nothing."))
        }
        (HOLDS, _) => (HOLDS, "At this rate and for 20 epochs.".into()),
        (other, _) => (other, "That one run is not the rule.".into()),
    };
    let seen =
        vec![format!("with Normal, {stuck}"), format!("with Xavier, {stuck_too}; mean final test accuracy {ends:.4}")];
    Finding { claim: "Dropout 0.5 prevents learning (§6)", seen, verdict, conclusion }
}

/// All runs there are.
#[derive(Clone, Copy)]
struct Runs<'a>(&'a [Run]);

impl<'a> Runs<'a> {
    fn of(self, name: &str) -> Vec<&'a Run> {
        runs::of(self.0, name)
    }

    /// What `measure` gives for `row` minus what it gives for `base`, seed by seed: the same seed gives both the same
    /// order of the images and the same random numbers for their weights. Without the pairs in which either stayed on
    /// the plateau.
    fn difference(self, row: &str, base: &str, measure: fn(&Run) -> f64) -> Spread {
        let left = |name| self.of(name).into_iter().filter(|run| run.left_the_plateau());
        let base: Vec<&Run> = left(base).collect();
        let pair = |run: &Run| {
            let other = base.iter().find(|other| other.seed == run.seed)?;
            Some(measure(run) - measure(other))
        };
        left(row).filter_map(pair).collect()
    }

    /// The spread of what `measure` gives for the runs of a row.
    fn spread(self, name: &str, measure: fn(&Run) -> f64) -> Spread {
        self.of(name).into_iter().map(measure).collect()
    }

    /// The differences of one schedule to each of the others.
    fn against_others(self, initialisation: &str, schedule: &str) -> [Spread; 3] {
        let name = |schedule| format!("{initialisation}-{schedule}");
        others(schedule).map(|other| self.difference(&name(schedule), &name(other), last))
    }

    /// The schedules from the highest mean of the final test accuracy to the lowest.
    fn order(self, initialisation: &str) -> String {
        let mean = |schedule| self.spread(&format!("{initialisation}-{schedule}"), last).mean;
        let mut order = SCHEDULES.map(|schedule| (mean(schedule), schedule));
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        order.map(|(mean, schedule)| format!("{schedule} {mean:.4}")).join(", ")
    }

    /// Whether every run of a row stays on the plateau, and how many do.
    fn fails(self, name: &str) -> (&'static str, String) {
        let all = self.of(name);
        let stuck = all.iter().filter(|run| !run.left_the_plateau()).count();
        let verdict = match stuck {
            _ if all.len() < LEAST_SEEDS => UNDECIDED,
            0 => DOES_NOT_HOLD,
            _ if stuck == all.len() => HOLDS,
            _ => "**holds for some seeds only**",
        };
        (verdict, format!("{stuck} of {} runs end below 0.5", all.len()))
    }
}

const SCHEDULES: [&str; 4] = ["constant", "step", "cosine", "cycle"];

/// The schedules but for one.
fn others(schedule: &str) -> [&'static str; 3] {
    let mut others = SCHEDULES.into_iter().filter(|&other| other != schedule);
    std::array::from_fn(|_| others.next().unwrap_or_default())
}

/// The final test accuracy.
fn last(run: &Run) -> f64 {
    run.test_accuracy()
}

/// The test accuracy after the first epoch.
fn first(run: &Run) -> f64 {
    run.history.first().map_or(0.0, |epoch| epoch.test_accuracy)
}

/// What `verdict` says, if there are enough seeds behind each of the differences it rests on.
fn decide(differences: &[Spread], verdict: impl Fn() -> &'static str) -> &'static str {
    if differences.iter().all(|difference| difference.count >= LEAST_SEEDS) { verdict() } else { UNDECIDED }
}

/// The verdict on what is seen with the same epochs, `fair`, and with 20 against 10, as it is `told`.
fn on_equal_terms(fair: bool, told: bool) -> &'static str {
    match (fair, told) {
        (true, _) => HOLDS,
        (false, true) => EPOCHS,
        (false, false) => DOES_NOT_HOLD,
    }
}

/// A difference with its standard error.
fn error(difference: Spread) -> String {
    match difference.count {
        0 => "no seeds in common".to_string(),
        1 => format!("{:+.4} (1 seed)", difference.mean),
        count => format!("{:+.4} ± {:.4} ({count} seeds)", difference.mean, difference.standard_error()),
    }
    .replace('-', "−")
}

/// What follows from a claim that holds; the same words would be wrong of one that does not.
fn if_it_holds(verdict: &str, conclusion: &str) -> String {
    if verdict.starts_with(HOLDS) { conclusion.into() } else { "That one run is not the rule.".into() }
}
