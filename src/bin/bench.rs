//! `make bench`: how fast this is on this machine, beside what one of its cores could do at most.
//!
//! Every figure is a median over repetitions. A share of the peak is taken repetition by repetition, from the peak
//! measured just before and just after, because a processor's clock drifts. Operations are counted as if no zero were
//! skipped, so where many are skipped the share can pass 100.

use std::fs;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use mnist_mlp::config::Config;
use mnist_mlp::data::deformation::{Deformation, Deformer};
use mnist_mlp::data::{Data, Dataset, Images};
use mnist_mlp::error::{Error, Result};
use mnist_mlp::math::kernel::{Kernel, Peak};
use mnist_mlp::math::matrix::{Matrix, matmul, matmul_transposed_a, matmul_transposed_b};
use mnist_mlp::math::rng::{Purpose, Rng};
use mnist_mlp::network::layer::{Initialisation, Input, Linear, Step, gather};
use mnist_mlp::output::progress::Console;
use mnist_mlp::session;
use mnist_mlp::training::Trainer;
use mnist_mlp::training::schedule::Schedule;

/// Epochs that are timed, after one that is not.
const EPOCHS: usize = 6;
/// Sides of the square matrices.
const SQUARES: [usize; 5] = [128, 256, 512, 1024, 2048];

fn main() -> ExitCode {
    let arguments: Vec<String> = session::arguments().collect();
    session::exit_code(match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => bench(),
        [layers, batch_size, images] => train(layers, batch_size, images, true),
        [layers, batch_size, images, "--no-zeros"] => train(layers, batch_size, images, false),
        other => Err(Error::new("bench", format!("the arguments {other:?}"), USAGE, "call it again like that")),
    })
}

const USAGE: &str = "nothing, or LAYERS BATCH IMAGES, such as 1000,500 128 15000, and perhaps --no-zeros";

/// For `make peers`: prints how many images a second such a network trains on, on all cores: the best of three epochs.
fn train(layers: &str, batch_size: &str, images: &str, with_zeros: bool) -> Result<()> {
    let whole =
        |text: &str| text.parse().map_err(|_| Error::new("bench", format!("{text:?}"), USAGE, "use whole numbers"));
    let hidden_layers = layers.split(',').map(whole).collect::<Result<_>>()?;
    let (batch_size, schedule) = (whole(batch_size)?, Schedule::Constant);
    let learning_rate = 0.02 * 16.0 / (batch_size as f32).max(1.0); // as the others do
    let config = Config { hidden_layers, batch_size, learning_rate, schedule, ..Config::default() };
    let mut set = Data::load(&config.data, config.classes)?.train;
    set.labels.truncate(whole(images)?);
    set.images.pixels.truncate(set.labels.len() * set.images.size());
    if !with_zeros {
        without_zeros(&mut set.images);
    }
    let mut trainer = Trainer::new(&config, &set, Kernel::best().on_threads(session::threads()))?;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        trainer.epoch(|_| Ok(()))?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Console::stdout().line(&(set.labels.len() as f64 / best).to_string())
}

/// Gives no pixel the value of the background.
fn without_zeros(images: &mut Images) {
    let mut rng = Rng::new(1, Purpose::Shuffle);
    images.pixels.fill_with(|| 1 + rng.below(255) as u8);
}

fn bench() -> Result<()> {
    let kernel = Kernel::best();
    let mut bench = Bench { console: Console::stdout(), kernel };
    let cpu = about("/proc/cpuinfo", "model name").unwrap_or("unknown processor".into());
    let cores = match session::threads() {
        1 => "1 core".into(),
        cores => format!("{cores} cores"),
    };
    bench.console.line(&format!("machine: {cpu}, {cores}; {kernel} kernel; peak: of one core"))?;
    bench.console.line(&format!("{:31}{:>8} {:8} {:>9}  middle half", "what", "median", "", "% of peak"))?;
    bench.row("FMA peak", 100, |kernel| kernel.run(Peak(100_000)), "GFLOP/s", gigaflops)?;
    bench.products()?;
    bench.training()?;
    if let Some(memory) = about("/proc/self/status", "VmHWM").and_then(|kb| kb.split(' ').next()?.parse::<f64>().ok()) {
        bench.console.line(&format!("{:31}{:8.1} MB", "peak memory", memory * 1024.0 / 1e6))?;
    }
    Ok(())
}

struct Bench {
    console: Console,
    kernel: Kernel,
}

impl Bench {
    /// Times `work`, which returns its floating-point operations, and prints its `figure` (from seconds and operations).
    fn row(
        &mut self,
        name: &str,
        repetitions: usize,
        mut work: impl FnMut(Kernel) -> f64,
        unit: &str,
        figure: impl Fn(f64, f64) -> f64,
    ) -> Result<[f64; 3]> {
        let kernel = self.kernel;
        let rate = |work: &mut dyn FnMut(Kernel) -> f64| {
            let start = Instant::now();
            let operations = work(kernel);
            (start.elapsed().as_secs_f64(), operations)
        };
        let peak = || {
            let (seconds, operations) = rate(&mut |kernel| kernel.run(Peak(20_000)));
            operations / seconds
        };
        rate(&mut work); // the first run finds cold caches
        let (mut figures, mut shares) = (Vec::new(), Vec::new());
        for repetition in 0..repetitions {
            self.console.live(|| format!("{name}: {repetition} of {repetitions} repetitions"))?;
            let before = peak();
            let (seconds, operations) = rate(&mut work);
            let after = peak();
            figures.push(figure(seconds, operations));
            shares.push(100.0 * operations / seconds / ((before + after) / 2.0));
        }
        let (figures, shares) = (quartiles(figures), quartiles(shares));
        self.line(name, figures, unit, Some(shares[1]).filter(|share| *share >= 0.1))?;
        Ok(figures)
    }

    /// Prints the median of `figures` and, in percent, its `share` of the peak.
    fn line(&mut self, name: &str, figures: [f64; 3], unit: &str, share: Option<f64>) -> Result<()> {
        let [low, median, high] = figures;
        let digits = if median >= 1000.0 { 0 } else { 3 };
        let share = share.map_or(String::new(), |share| format!("{share:.1}"));
        self.console.line(&format!("{name:31}{median:8.digits$} {unit:8} {share:>9}  {low:.digits$}–{high:.digits$}",))
    }

    fn products(&mut self) -> Result<()> {
        type Multiply = fn(Kernel, &Matrix, &Matrix, &mut Matrix, &mut [Matrix; 2]);
        let forward: Multiply = |kernel, a, b, c, _| matmul(kernel, a, b, 0.0, c);
        let weight: Multiply = |kernel, a, b, c, _| matmul_transposed_a(kernel, a, b, 0.0, c);
        let input: Multiply = |kernel, a, b, c, scratch| matmul_transposed_b(kernel, a, b, c, scratch);
        let mut products = Vec::new();
        for (fan_in, fan_out) in [(784, 128), (128, 64), (64, 64), (64, 10)] {
            products.push(("forward", forward, 16, fan_in, fan_out));
            products.push(("weight gradient", weight, fan_in, 16, fan_out));
            if fan_in < 784 {
                products.push(("input gradient", input, 16, fan_out, fan_in));
            }
        }
        products.extend(SQUARES.map(|n| ("square", forward, n, n, n)));
        let mut rng = Rng::new(1, Purpose::Initialisation);
        let mut random = |rows, columns| Linear::new(rows, columns, Initialisation::Normal, &mut rng).weight;
        for (name, multiply, m, k, n) in products {
            let (transposed_a, transposed_b) = (name == "weight gradient", name == "input gradient");
            let a = if transposed_a { random(k, m) } else { random(m, k) };
            let b = if transposed_b { random(n, k) } else { random(k, n) };
            let (mut c, mut scratch) = (Matrix::zeros(m, n), Default::default());
            let operations = 2.0 * (m * k * n) as f64;
            let times = (2e7 / operations).ceil() as usize;
            let work = |kernel| {
                (0..times).for_each(|_| multiply(kernel, black_box(&a), black_box(&b), &mut c, &mut scratch));
                operations * times as f64
            };
            let repetitions = (100e9 / (operations * times as f64) / 50.0).clamp(5.0, 100.0) as usize;
            self.row(&format!("{name} {m}×{k} · {k}×{n}"), repetitions, work, "GFLOP/s", gigaflops)?;
        }
        Ok(())
    }

    /// What the first layer does with batches of real images.
    fn first_layer(&mut self, mut layer: Linear, images: &Images, batch_size: usize) -> Result<()> {
        let mut batches = vec![Matrix::default(); 50];
        for (i, batch) in batches.iter_mut().enumerate() {
            gather(self.kernel, images, i * batch_size..(i + 1) * batch_size, batch);
        }
        let (mut output, mut none, mut scratch) = (Matrix::default(), Matrix::default(), <[Matrix; 2]>::default());
        let operations = (batches.len() * batch_size) as f64 * operations(&layer);
        let forward = |kernel| {
            batches.iter().for_each(|p| layer.forward(kernel, Input::Pixels(p), &mut output, &mut scratch[0]));
            operations
        };
        self.row("first layer forward, digits", 100, forward, "GFLOP/s", gigaflops)?;
        let step = Step { learning_rate: 0.0, decay: 0.0, momentum: 0.0 };
        let backward = |kernel| {
            for p in &batches {
                layer.backward(kernel, Input::Pixels(p), &mut output, &mut none, (step, None), &mut scratch);
            }
            operations
        };
        self.row("first layer backward, digits", 100, backward, "GFLOP/s", gigaflops).map(|_| ())
    }

    fn training(&mut self) -> Result<()> {
        let config = Config { schedule: Schedule::Constant, weight_decay: 0.0, ..Config::default() };
        let load = || Data::load(&config.data, config.classes);
        let mut data = load()?;
        let mut seconds = Vec::new();
        for _ in 0..5 {
            drop(data); // two of them at once would spoil the peak memory
            let start = Instant::now();
            data = load()?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        self.line("loading the data", quartiles(seconds), "s", None)?;

        let (images, test) = (&data.train.images, &data.test);
        let mut deformer = Deformer::new(Deformation::default(), 1, self.kernel, images.rows, images.columns)?;
        let mut deformed = vec![0; images.size()];
        let deform = |_| {
            (0..1000).for_each(|i| deformer.deform(0, i, images.image(i), &mut deformed));
            1000.0
        };
        self.row("deforming images", 20, deform, "images/s", |seconds, images| images / seconds)?;

        let network = Trainer::new(&config, &data.train, self.kernel)?.network;
        self.first_layer(network.layers[0].clone(), images, config.batch_size)?;
        let mut random = test.clone();
        without_zeros(&mut random.images);
        let wide = Config { hidden_layers: vec![1000, 500], batch_size: 128, ..config.clone() };
        let (kernel, on_all_cores) = (self.kernel, self.kernel.on_threads(session::threads()));
        let [low, median, high] = self.epoch("training epoch", &config, &data.train, kernel, "s")?;
        self.line("training", [high, median, low].map(|seconds| images.count() as f64 / seconds), "images/s", None)?;
        self.epoch("training, no pixel is 0", &config, &random, kernel, "images/s")?;
        self.epoch("training 1000-500, batch 128", &wide, test, kernel, "images/s")?;
        self.epoch("training 1000-500, all cores", &wide, test, on_all_cores, "images/s")?;

        let (mut network, images) = (network, &test.images);
        let forward: f64 = network.layers.iter().map(operations).sum();
        let rate = |seconds, operations| operations / forward / seconds;
        for (name, threads) in [("evaluation", 1), ("evaluation on all cores", session::threads())] {
            network.kernel = self.kernel.on_threads(threads);
            let evaluate = |_| {
                black_box(network.predict(images));
                images.count() as f64 * forward
            };
            self.row(name, 20, evaluate, "images/s", rate)?;
        }
        let mut buffers = network.buffers();
        let singly = |_| {
            for i in 0..1000 {
                gather(network.kernel, images, [i].into_iter(), &mut buffers.pixels);
                network.forward(&mut buffers, None);
            }
            1000.0 * forward
        };
        self.row("evaluation one at a time", 20, singly, "images/s", rate).map(|_| ())
    }

    /// Times epochs of training on `set`: forward, weight gradient and, but for the first layer, input gradient.
    fn epoch(&mut self, name: &str, config: &Config, set: &Dataset, kernel: Kernel, unit: &str) -> Result<[f64; 3]> {
        let mut trainer = Trainer::new(config, set, kernel)?;
        let layers = &trainer.network.layers;
        let images = set.labels.len() as f64;
        let operations = (3.0 * layers.iter().map(operations).sum::<f64>() - operations(&layers[0])) * images;
        let epoch = |_| {
            trainer.epoch(|_| Ok(())).ok(); // the only errors are those of the closure
            operations
        };
        let figure = |seconds, _| if unit == "s" { seconds } else { images / seconds };
        self.row(name, EPOCHS, epoch, unit, figure)
    }
}

/// Those of the layer's product with one image, forward.
fn operations(layer: &Linear) -> f64 {
    2.0 * (layer.weight.rows() * layer.weight.columns()) as f64
}

/// Billions of operations a second.
fn gigaflops(seconds: f64, operations: f64) -> f64 {
    operations / seconds / 1e9
}

/// The first quarter, the median and the third quarter.
fn quartiles(mut numbers: Vec<f64>) -> [f64; 3] {
    numbers.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| numbers[(numbers.len() - 1) * quarter / 4])
}

/// What a file of Linux's /proc says of `key`.
fn about(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_string())
}
