//! `make bench`: how fast this is on this machine, beside what one of its cores could do at most.
//!
//! A figure is the median of its repetitions, with their range. Operations are counted as if no
//! zero were skipped, so where many are skipped the share of the peak can pass 100.

use std::fs;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use mnist_mlp::data::{Data, Dataset, batch::Batch};
use mnist_mlp::math::kernels::product::{matmul, matmul_transposed_a, matmul_transposed_b};
use mnist_mlp::math::matrix::{Matrix, sum_rows};
use mnist_mlp::math::{kernels::Cpu, rng::Rng, rng::Stream};
use mnist_mlp::network::layer::{Initialisation, Input, Linear, Step};
use mnist_mlp::training::{Trainer, schedule::Schedule};
use mnist_mlp::{command, output::progress::Console, session};
use mnist_mlp::{config::Config, error::Error, error::Result, for_each_instruction_set};

fn main() -> ExitCode {
    command::with_arguments(|arguments| match *arguments {
        [] => bench(),
        [layers, batch_size, images] => train(layers, batch_size, images, true),
        [layers, batch_size, images, "--no-zeros"] => train(layers, batch_size, images, false),
        _ => Err(Error::new(
            "bench",
            format!("the arguments {arguments:?}"),
            USAGE,
            "call it again like that",
        )),
    })
}

const USAGE: &str =
    "nothing, or LAYERS BATCH IMAGES, such as 1000,500 128 15000, and perhaps --no-zeros";

/// For `make peers`: prints how many images a second such a network trains on, on all cores: the
/// best of three epochs.
fn train(layers: &str, batch_size: &str, images: &str, with_zeros: bool) -> Result<()> {
    let error = |text: &str| Error::new("bench", format!("{text:?}"), USAGE, "use whole numbers");
    let whole = |text: &str| text.parse().map_err(|_| error(text));
    let hidden_layers = layers.split(',').map(whole).collect::<Result<_>>()?;
    let batch_size = whole(batch_size)?;
    let schedule = Schedule::Constant;
    let learning_rate = 0.02 * 16.0 / (batch_size as f32).max(1.0); // as the others do
    let config = Config { hidden_layers, batch_size, learning_rate, schedule, ..Config::default() };
    let mut set = Data::load(&config.data, config.classes)?.train;
    set.labels.truncate(whole(images)?);
    set.images.pixels.truncate(set.labels.len() * set.images.size());
    if !with_zeros {
        set = without_zeros(set);
    }
    let mut trainer = Trainer::new(&config, &set, Cpu::best().on_threads(session::threads()))?;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        trainer.train_epoch(|_| Ok(()))?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Console::stdout().line(&(set.labels.len() as f64 / best).to_string())
}

/// The set with noise for images, in which no pixel is background.
fn without_zeros(mut set: Dataset) -> Dataset {
    let mut rng = Rng::new(1, Stream::Shuffle);
    set.images.pixels.fill_with(|| 1 + rng.below(255) as u8);
    set
}

/// What a core can do at most: multiply-adds, none of which waits for another.
const PEAK: (usize, usize) = (100_000, 12 * 16);

for_each_instruction_set! {
    fn peak(sums: &mut [f32; PEAK.1], a: f32, b: f32, is_fused: bool) {
        // Twelve vectors at a time, which stay in registers.
        const LANES: usize = size_of::<V>() / size_of::<f32>();
        for twelve in sums.as_chunks_mut::<{ 12 * LANES }>().0 {
            let mut sums = *twelve;
            for _ in 0..PEAK.0 {
                for x in &mut sums {
                    *x = if is_fused { a.mul_add(b, *x) } else { a * b + *x };
                }
            }
            *twelve = sums;
        }
    }
}

fn bench() -> Result<()> {
    let cpu = Cpu::best();
    let mut bench = Bench { console: Console::stdout(), cpu, peak: None };
    let model = about("/proc/cpuinfo", "model name").unwrap_or("unknown processor".into());
    let cores = session::threads();
    let s = if session::threads() > 1 { "s" } else { "" };
    bench.console.line(&format!("machine: {model}, {cores} core{s}; {cpu}; peak: of one core"))?;
    bench.console.line("what                             median          % of peak  range")?;
    let (operations, mut sums) = (2.0 * (PEAK.0 * PEAK.1) as f64, [0.25; PEAK.1]);
    let work = || peak(cpu, black_box(&mut sums), black_box(0.25), 0.25, cpu.is_fused());
    bench.row("FMA peak", operations, 0, work)?;
    bench.products()?;
    bench.training()?;
    let kb = about("/proc/self/status", "VmHWM").unwrap_or_default();
    let megabytes =
        kb.trim_end_matches(" kB").parse().map_or(f64::NAN, |kb: f64| kb * 1024.0 / 1e6);
    bench.console.line(&format!("{:31}{megabytes:8.1} MB", "peak memory"))
}

struct Bench {
    console: Console,
    cpu: Cpu,
    /// Operations a second, of the first row.
    peak: Option<f64>,
}

impl Bench {
    /// Times `work` on `images`, or, if 0, of `operations` floating-point operations, for two
    /// seconds, but 5 to 100 times.
    fn row(
        &mut self,
        name: &str,
        operations: f64,
        images: usize,
        mut work: impl FnMut(),
    ) -> Result<()> {
        let mut time = |_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        };
        time(0); // finds cold caches
        let repetitions = (2.0 / time(0)).clamp(5.0, 100.0) as usize;
        self.console.live(|| format!("{name}: {repetitions} times"))?;
        let mut seconds: Vec<f64> = (0..repetitions).map(time).collect();
        seconds.sort_by(f64::total_cmp);
        let [fast, median, slow] = [0, repetitions / 2, repetitions - 1].map(|i| seconds[i]);
        let peak = *self.peak.get_or_insert(operations / median);
        let (unit, amount) = match images {
            0 => ("GFLOP/s", operations / 1e9),
            images => ("images/s", images as f64),
        };
        let [first, figure, last] = [slow, median, fast].map(|seconds| amount / seconds);
        let digits = if figure >= 1000.0 { 0 } else { 3 };
        let share = 100.0 * operations / median / peak;
        let share = if share < 0.1 { String::new() } else { format!("{share:.1}") };
        let range = format!("{first:.digits$}–{last:.digits$}");
        self.console.line(&format!("{name:31}{figure:8.digits$} {unit:8} {share:>9}  {range}"))
    }

    fn products(&mut self) -> Result<()> {
        let layers = [(784, 128), (128, 64), (64, 64), (64, 10)].into_iter().flat_map(
            |(fan_in, fan_out)| {
                let weight = ("weight gradient", fan_in, 16, fan_out);
                [("forward", 16, fan_in, fan_out), weight, ("input gradient", 16, fan_out, fan_in)]
            },
        );
        let needed = layers.filter(|product| product.3 < 784); // of pixels no gradient is
        let products = needed.chain([128, 256, 512, 1024, 2048].map(|n| ("square", n, n, n)));
        let cpu = self.cpu;
        let mut rng = Rng::new(1, Stream::Initialisation);
        let mut random = |m, n| Linear::new(m, n, Initialisation::Normal, &mut rng).weight;
        for (name, m, k, n) in products {
            let a = if name == "weight gradient" { random(k, m) } else { random(m, k) };
            let b = if name == "input gradient" { random(n, k) } else { random(k, n) };
            let mut c = Matrix::zeros(m, n);
            let mut scratch = Default::default();
            let mut multiply = |a: &Matrix, b: &Matrix| match name {
                "weight gradient" => matmul_transposed_a(cpu, a, b, 0.0, &mut c),
                "input gradient" => matmul_transposed_b(cpu, a, b, &mut c, &mut scratch),
                _ => matmul(cpu, a, b, 0.0, &mut c),
            };
            let once = 2 * m * k * n;
            let times = 20_000_000_usize.div_ceil(once);
            let work = || (0..times).for_each(|_| multiply(black_box(&a), black_box(&b)));
            let name = format!("{name} {m}×{k} · {k}×{n}");
            let operations = (once * times) as f64;
            self.row(&name, operations, 0, work)?;
        }
        Ok(())
    }

    /// What the first layer does with batches of real images.
    fn first_layer(&mut self, mut layer: Linear, set: &Dataset, batch_size: usize) -> Result<()> {
        let (cpu, mut batches) = (self.cpu, vec![Batch::default(); 50]);
        for (i, batch) in batches.iter_mut().enumerate() {
            batch.load(cpu, &set.images, i * batch_size..(i + 1) * batch_size);
        }
        let operations = (50 * batch_size) as f64 * operations(&[layer.clone()]);
        let [mut d, mut sums, mut scratch] = <[Matrix; 3]>::default();
        sum_rows(&layer.weight, &mut sums);
        let forward = || {
            let inputs = batches.iter().map(|batch| Input::Pixels(batch, &sums));
            inputs.for_each(|input| layer.forward(cpu, input, &mut d, &mut scratch));
        };
        self.row("first layer forward, digits", operations, 0, forward)?;
        // At this rate D becomes −D: never 0, and the weights go to and fro.
        let step = Step { learning_rate: 1.0, decay: 0.0, momentum: 0.0 };
        let backward = || {
            for batch in &batches {
                let input = Input::Pixels(batch, &sums);
                layer.update(cpu, input, &mut d, step, None, &mut scratch);
            }
        };
        self.row("first layer backward, digits", operations, 0, backward)
    }

    fn training(&mut self) -> Result<()> {
        let config =
            Config { schedule: Schedule::Constant, weight_decay: 0.0, ..Config::default() };
        let Data { train, test } = Data::load(&config.data, config.classes)?;
        let (cpu, all_cores) = (self.cpu, self.cpu.on_threads(session::threads()));
        let mut network = Trainer::new(&config, &train, cpu)?.network;
        self.first_layer(network.layers[0].clone(), &train, config.batch_size)?;
        let wide = Config { hidden_layers: vec![1000, 500], batch_size: 128, ..config.clone() };
        self.epoch("training epoch", &config, &train, cpu)?;
        let noise = without_zeros(test.clone());
        self.epoch("training, no pixel is 0", &config, &noise, cpu)?;
        self.epoch("training 1000-500, batch 128", &wide, &test, cpu)?;
        self.epoch("training 1000-500, all cores", &wide, &test, all_cores)?;

        let images = &test.images;
        let forward = operations(&network.layers);
        for (name, cpu) in [("evaluation", cpu), ("evaluation on all cores", all_cores)] {
            network.cpu = cpu;
            let evaluate = || drop(black_box(network.predict(images)));
            self.row(name, images.count() as f64 * forward, images.count(), evaluate)?;
        }
        Ok(())
    }

    /// Times epochs on `set`: forward, weight gradient and, but for the first layer, input
    /// gradient.
    fn epoch(&mut self, name: &str, config: &Config, set: &Dataset, cpu: Cpu) -> Result<()> {
        let mut trainer = Trainer::new(config, set, cpu)?;
        let layers = &trainer.network.layers;
        let images = set.labels.len();
        let operations = (3.0 * operations(layers) - operations(&layers[..1])) * images as f64;
        // The only errors are those of the closure.
        self.row(name, operations, images, || drop(trainer.train_epoch(|_| Ok(()))))
    }
}

/// Those of the layers' products with one image, forward.
fn operations(layers: &[Linear]) -> f64 {
    layers.iter().map(|layer| 2.0 * (layer.weight.rows() * layer.weight.columns()) as f64).sum()
}

/// What a file of Linux's /proc says of `key`.
fn about(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_string())
}
