//! Training as a whole: what it learns, and that its bits depend on the seed and on nothing else.

use std::collections::HashSet;

use crate::common::{
    MNIST, SIGMAS, assert_mean, bits, first, fused_cpus, network_bits, parameters, pictures,
    plain_config, small_config, train,
};
use mnist_mlp::config::Config;
use mnist_mlp::data::batch::Batch;
use mnist_mlp::data::deformation::{Deformation, Deformer};
use mnist_mlp::data::{Data, Dataset, Images};
use mnist_mlp::error::{Error, Result};
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::matrix::Matrix;
use mnist_mlp::math::rng::{Rng, Stream};
use mnist_mlp::metrics::{accuracy, argmax};
use mnist_mlp::network::Network;
use mnist_mlp::network::activation::Activation;
use mnist_mlp::network::dropout::{Dropout, apply_mask};
use mnist_mlp::network::layer::{Initialisation, Linear, Step, Velocity};
use mnist_mlp::network::loss::Loss;
use mnist_mlp::output::history;
use mnist_mlp::output::plot::{Figure, Line};
use mnist_mlp::session::accuracies;
use mnist_mlp::training::schedule::Schedule;
use mnist_mlp::training::{self, Epoch, Event, Trained, Trainer, evaluate};

fn run(config: &Config, data: &Data, cpu: Cpu) -> Trained {
    train(config, data, cpu).unwrap()
}

/// All that training computes, but for the seconds: the weights' bits, and those of every figure.
fn fingerprint(trained: &Trained) -> (Vec<u32>, Vec<u64>) {
    let row = |e: &Epoch| {
        [f64::from(e.learning_rate), e.loss, e.running_accuracy, e.test_accuracy].map(f64::to_bits)
    };
    let figures = trained.history.iter().flat_map(row).chain([trained.train_accuracy.to_bits()]);
    (network_bits(&trained.network), figures.collect())
}

/// Training and test set of sizes that no batch and no tile divides.
fn small_data() -> Data {
    Data { train: pictures(101, 5, 7, 10), test: pictures(67, 5, 7, 10) }
}

/// Real digits, the same for training and test.
fn digits(count: usize) -> Data {
    let set = first(count, &MNIST.train);
    Data { train: set.clone(), test: set }
}

// ---- What it learns ----------------------------------------------------------------------------

#[test]
fn one_epoch_of_the_real_network_reaches_nine_in_ten() {
    let config = Config { hidden_layers: vec![128, 64, 64], epochs: 1, ..plain_config() };
    let trained = run(&config, &MNIST, Cpu::best());
    assert!(trained.test_accuracy() > 0.9, "{}", trained.test_accuracy());
    assert_eq!(trained.test_accuracy(), evaluate(&trained.network, &MNIST.test));
    assert_eq!(trained.train_accuracy, evaluate(&trained.network, &MNIST.train));
}

#[test]
fn a_tiny_network_learns_a_handful_of_digits_by_heart() {
    for (loss, learning_rate) in [(Loss::CrossEntropy, 0.05), (Loss::MeanSquaredError, 0.5)] {
        let hidden_layers = vec![16];
        let config = Config {
            hidden_layers,
            loss,
            learning_rate,
            batch_size: 5,
            epochs: 200,
            ..plain_config()
        };
        let trained = run(&config, &digits(20), Cpu::best());
        assert_eq!((trained.train_accuracy, trained.test_accuracy()), (1.0, 1.0), "{loss:?}");
        assert!(trained.history[199].loss < trained.history[0].loss / 10.0, "{loss:?}");
    }
}

/// The units of a layer start equal, get equal gradients and stay equal, so no layer is wider than
/// one unit.
#[test]
fn with_zero_initialisation_a_layer_does_no_more_than_a_single_unit() {
    let config = Config {
        hidden_layers: vec![12, 9],
        initialisation: Initialisation::Zero,
        weight_decay: 1e-3,
        epochs: 5,
        ..plain_config()
    };
    for cpu in Cpu::supported() {
        let trained = run(&config, &digits(1000), cpu);
        for layer in &trained.network.layers[..2] {
            assert!(layer.weight.iter().any(|&w| w != 0.0), "{cpu}: the layer was trained");
            for row in
                (0..layer.weight.rows()).map(|i| layer.weight.row(i)).chain([&layer.bias[..]])
            {
                assert!(row.iter().all(|w| w.to_bits() == row[0].to_bits()), "{cpu}");
            }
        }
        let last = &trained.network.layers[2];
        assert!((1..9).all(|i| bits(last.weight.row(i)) == bits(last.weight.row(0))), "{cpu}");
    }
}

/// At the rates that are used: lr·λ is far below f32's step at 1, and yet must come off the
/// weights.
#[test]
fn a_small_weight_decay_is_not_rounded_away() {
    // Every image is of class 0 and the network certain of it, so that the gradient is zero but for
    // the decay.
    let set = Dataset { labels: vec![0; 100_000], ..pictures(100_000, 1, 1, 1) };
    for (learning_rate, weight_decay) in [(0.02, 1e-5), (0.002, 1e-5), (0.02, 1e-7)] {
        let config = Config {
            hidden_layers: vec![2],
            learning_rate,
            weight_decay,
            batch_size: 1,
            epochs: 1,
            ..plain_config()
        };
        let mut trainer = Trainer::new(&config, &set, Cpu::best()).unwrap();
        trainer.network.layers[1].bias[0] = 300.0;
        trainer.network.layers[0].weight = Matrix::from_rows(1, 2, &[1.0, -0.7]);
        let bias = trainer.network.layers[0].bias.clone();
        trainer.train_epoch(|_| Ok(())).unwrap();
        let expected = 1.0 - (-1e5 * f64::from(learning_rate) * f64::from(weight_decay)).exp();
        for (before, &after) in
            [1.0, -0.7_f32].into_iter().zip(trainer.network.layers[0].weight.iter())
        {
            let shrunk = 1.0 - f64::from(after) / f64::from(before);
            // A share of 2⁻¹⁶ may be still to come, and taking such a share off a number rounds by
            // up to 1/256 of it.
            let bound = expected / 256.0 + 1.0 / 65_536.0;
            assert!(
                (shrunk - expected).abs() <= bound,
                "λ {weight_decay}: {before} lost {shrunk:e}, not {expected:e}"
            );
        }
        assert_eq!(trainer.network.layers[0].bias, bias);
    }
}

// ---- Beside PyTorch ----------------------------------------------------------------------------

/// What PyTorch 2.15 makes of a network in twelve steps, in `f64`: each layer's weights as ours,
/// then its biases. Made by
///
/// ```python
/// x = (torch.tensor([[0, 255], [64, 128], [255, 32], [192, 224]]) - 127.5) / 255
/// net = Sequential(Linear(2, 2), f(), Linear(2, 2), f(), Linear(2, 2))  # weights: see the test
/// sgd = torch.optim.SGD([{"params": weights}, {"params": biases}], lr=1, momentum=0.9)
/// for i in range(12):
///     rate, p = 0.1 * 0.1 ** (3 * i // 12), softmax(net(x), 1)
///     loss = -log(p[range(4), y]).sum()                # CrossEntropy, with y = [0, 1, 1, 0]
///     loss = ((p - one_hot(y, 2)) ** 2).mean(1).sum()  # MeanSquaredError
///     sgd.param_groups[0]["weight_decay"] = 0.1 * rate  # λ, of the weights alone
///     sgd.zero_grad(); (rate * loss).backward(); sgd.step()
/// ```
///
/// where the rate multiplies the gradient, as ours does ([`Linear::backward`]), and not the
/// velocity.
const PYTORCH: [(Activation, Loss, [f32; 18]); 8] = [
    (
        Activation::Sigmoid,
        Loss::CrossEntropy,
        [
            -0.679966, -0.028678, 0.607900, -0.277124, 0.604859, -0.651940, -0.095905, -0.897596,
            -0.085632, 0.545305, -0.618126, 0.262005, 0.539651, -0.539651, 0.393235, -0.753918,
            0.749642, -1.749642,
        ],
    ),
    (
        Activation::Sigmoid,
        Loss::MeanSquaredError,
        [
            -0.678319, -0.037653, 0.596247, -0.248529, 0.579005, -0.601323, 0.082639, -0.722222,
            -0.014152, 0.619405, -0.378156, 0.504968, 0.173487, -0.173487, 0.061453, -0.422136,
            0.052365, -1.052365,
        ],
    ),
    (
        Activation::Tanh,
        Loss::CrossEntropy,
        [
            -0.711332, 0.104410, 1.088986, -1.041542, -0.018508, -0.051428, -0.667969, -1.243478,
            0.494286, 0.868204, -0.581153, 0.881181, -0.102633, 0.102633, -1.545457, 1.184774,
            -0.607758, -0.392242,
        ],
    ),
    (
        Activation::Tanh,
        Loss::MeanSquaredError,
        [
            -0.701258, 0.041361, 0.782194, -0.611833, 0.433442, -0.551836, -0.340520, -1.017779,
            0.382470, 0.884973, -0.603162, 0.513214, -0.252143, 0.252143, -1.071619, 0.710936,
            -0.495085, -0.504915,
        ],
    ),
    (
        Activation::ReLU,
        Loss::CrossEntropy,
        [
            -0.401530, -0.045085, 0.873182, -0.225427, 0.891437, -0.562500, -0.556086, -1.032128,
            0.045085, 0.676281, -0.949019, 0.612211, -0.189621, 0.189621, -0.826479, 0.465796,
            0.524062, -1.524062,
        ],
    ),
    (
        Activation::ReLU,
        Loss::MeanSquaredError,
        [
            -0.475419, -0.045085, 0.724844, -0.225427, 0.774073, -0.562500, -0.300649, -0.831136,
            0.045085, 0.676281, -0.644031, 0.449286, -0.239552, 0.239552, -0.549114, 0.188431,
            0.024014, -1.024014,
        ],
    ),
    (
        Activation::SiLU,
        Loss::CrossEntropy,
        [
            -0.663836, 0.013103, 0.928446, -0.382744, 0.577249, -0.458054, -0.568995, -1.093274,
            0.201741, 0.709790, -0.790383, 0.769715, -0.220378, 0.220378, -1.058249, 0.697565,
            0.228513, -1.228513,
        ],
    ),
    (
        Activation::SiLU,
        Loss::MeanSquaredError,
        [
            -0.665409, -0.026237, 0.720320, -0.291270, 0.647323, -0.560059, -0.218252, -0.874092,
            0.141695, 0.726781, -0.579004, 0.537493, -0.280176, 0.280176, -0.724951, 0.364268,
            -0.095847, -0.904153,
        ],
    ),
];

#[test]
fn momentum_decay_and_a_falling_rate_are_those_of_pytorch_s_sgd() {
    let pixels = vec![0, 255, 64, 128, 255, 32, 192, 224];
    let set = Dataset { images: Images { rows: 1, columns: 2, pixels }, labels: vec![0, 1, 1, 0] };
    for (activation, loss, expected) in PYTORCH {
        let config = Config {
            hidden_layers: vec![2, 2],
            classes: 2,
            activation,
            loss,
            schedule: Schedule::Step,
            learning_rate: 0.1,
            momentum: 0.9,
            weight_decay: 0.1,
            batch_size: 4,
            epochs: 12,
            ..plain_config()
        };
        let mut trainer = Trainer::new(&config, &set, Cpu::best()).unwrap();
        let mut initial = (0..18).map(|i| ((i * 7 % 16) as f32 - 7.5) / 8.0);
        for layer in &mut trainer.network.layers {
            layer
                .weight
                .iter_mut()
                .chain(&mut layer.bias)
                .for_each(|w| *w = initial.next().unwrap());
        }
        for _ in 0..12 {
            trainer.train_epoch(|_| Ok(())).unwrap();
        }
        for (found, expected) in parameters(&trainer.network).into_iter().zip(expected) {
            assert!(
                (found - expected).abs() < 3e-6,
                "{activation:?}, {loss:?}: {found}, not {expected}"
            );
        }
    }
}

// ---- The same bits -----------------------------------------------------------------------------

#[test]
fn the_seed_decides_every_bit() {
    let data = small_data();
    let cpu = Cpu::best();
    let of_seed = |seed| fingerprint(&run(&Config { seed, ..small_config() }, &data, cpu));
    assert_eq!(of_seed(1), of_seed(1));
    let networks: HashSet<Vec<u32>> =
        [0, 1, 2, u64::MAX].into_iter().map(|seed| of_seed(seed).0).collect();
    assert_eq!(networks.len(), 4);
    // With equal initial weights it is the order that differs, and the dropout.
    let zero = |seed, dropout, batch_size, data| {
        let initialisation = Initialisation::Zero;
        let config =
            Config { seed, dropout, batch_size, epochs: 1, initialisation, ..small_config() };
        network_bits(&run(&config, data, cpu).network)
    };
    assert_ne!(zero(1, 0.0, 16, &data), zero(2, 0.0, 16, &data));
    assert_ne!(zero(1, 0.25, 16, &data), zero(1, 0.0, 16, &data));
    assert_eq!(zero(1, 0.0, 1, &digits(1)), zero(2, 0.0, 1, &digits(1)));
}

#[test]
fn threads_change_no_bit() {
    let data = small_data();
    let config = small_config();
    let of_threads = |threads| fingerprint(&run(&config, &data, Cpu::best().on_threads(threads)));
    let one = of_threads(1);
    for threads in [0, 2, 3, 5, 66, 67, 1000] {
        assert_eq!(of_threads(threads), one, "{threads}");
    }
    let network = run(&config, &digits(16), Cpu::best()).network;
    for count in [1, 2, 47, 48, 49, 96, 97] {
        let images = first(count, &MNIST.test).images;
        let one = network.predict(&images);
        assert_eq!((one.rows(), one.columns()), (count, 10));
        for threads in [2, 3, 7] {
            let network = Network { cpu: Cpu::best().on_threads(threads), ..network.clone() };
            assert_eq!(network.predict(&images), one, "{count} images, {threads} threads");
        }
    }
}

/// Layers so wide that the threads share their products, with odd widths and batches.
#[test]
fn threads_change_no_bit_of_wide_networks() {
    let data = Data { train: first(200, &MNIST.train), test: first(50, &MNIST.test) };
    let wide = Config {
        hidden_layers: vec![211, 331],
        batch_size: 131,
        epochs: 2,
        weight_decay: 0.1,
        ..small_config()
    };
    let deformation = Some(Deformation::default());
    let configs = [
        Config { momentum: 0.9, ..wide.clone() },
        Config { activation: Activation::SiLU, dropout: 0.2, deformation, ..wide.clone() },
        Config {
            loss: Loss::MeanSquaredError,
            dropout: 0.2,
            dropout_after_activation: true,
            ..wide
        },
    ];
    for (config, cpu) in
        configs.iter().flat_map(|config| Cpu::supported().into_iter().map(move |cpu| (config, cpu)))
    {
        let one = run(config, &data, cpu);
        for threads in [2, 3, 50] {
            assert_eq!(
                fingerprint(&run(config, &data, cpu.on_threads(threads))),
                fingerprint(&one),
                "{cpu}, {threads}"
            );
        }
    }
}

#[test]
fn fused_instruction_sets_train_the_same_network() {
    for loss in [Loss::CrossEntropy, Loss::MeanSquaredError] {
        let config = Config { loss, hidden_layers: vec![33, 17, 5], ..small_config() };
        let by_cpu: Vec<_> = fused_cpus()
            .into_iter()
            .map(|cpu| fingerprint(&run(&config, &small_data(), cpu)))
            .collect();
        assert!(by_cpu.windows(2).all(|pair| pair[0] == pair[1]), "{loss:?}");
    }
}

/// What x86-64 found with AVX2, from where it also runs under an emulator of arm64.
#[test]
fn a_short_training_has_the_same_bits_everywhere() {
    let deformation = Some(Deformation::default());
    let config = Config { momentum: 0.5, deformation, ..small_config() };
    for cpu in fused_cpus() {
        let bits = network_bits(&run(&config, &digits(100), cpu).network);
        let hash = |hash: u64, bits: &u32| (hash ^ u64::from(*bits)).wrapping_mul(0x100_0000_01b3);
        let found = bits.iter().fold(0xcbf2_9ce4_8422_2325, hash); // FNV-1a, word by word
        assert_eq!(found, 0xf607_4b42_230e_cdef, "{cpu}: {found:#x}");
    }
}

/// Whichever images are predicted with it, and whichever were before.
#[test]
fn an_image_s_probabilities_are_its_own() {
    let data = small_data();
    for cpu in Cpu::supported() {
        // Trained with dropout, of which nothing may be left in evaluation.
        let network = run(&Config { dropout: 0.5, ..small_config() }, &data, cpu).network;
        let all = network.predict(&data.test.images);
        for i in 0..data.test.labels.len() {
            let alone = Images { pixels: data.test.images.image(i).to_vec(), ..data.test.images };
            assert_eq!(bits(all.row(i)), bits(network.predict(&alone).row(0)), "{cpu}, image {i}");
        }
    }
}

// ---- The loop ----------------------------------------------------------------------------------

/// Two epochs by hand, with a last batch that is smaller, against the trainer's, bit by bit.
#[test]
fn training_is_its_steps_one_after_another() {
    let set = pictures(101, 5, 7, 10);
    let cpu = Cpu::best();
    let widths = [35, 9, 7, 10];
    for (p, batch_size, momentum) in
        [(0.0, 16, 0.0), (0.25, 16, 0.5), (0.25, 101, 0.0), (0.25, 1, 0.0)]
    {
        let schedule = Schedule::Cycle;
        let config = Config {
            dropout: p,
            batch_size,
            momentum,
            schedule,
            weight_decay: 0.02,
            ..small_config()
        };
        let mut trainer = Trainer::new(&config, &set, cpu).unwrap();
        let [mut initialisation, mut shuffle, rng] =
            [Stream::Initialisation, Stream::Shuffle, Stream::Dropout]
                .map(|stream| Rng::new(1, stream));
        let mut network = Network::new(
            &widths,
            config.activation,
            config.initialisation,
            &mut initialisation,
            cpu,
        );
        let mut dropout = (p > 0.0).then_some(Dropout { p, after_activation: false, rng });
        let zeros = |pair: &[usize]| Velocity::zeros(pair[0], pair[1]);
        let mut velocities: Vec<Velocity> =
            widths.windows(2).filter(|_| momentum > 0.0).map(zeros).collect();
        let mut buffers = network.buffers();
        let mut order = (0..101).collect::<Vec<usize>>();
        let iterations = 101_usize.div_ceil(batch_size);
        for epoch in 0..2 {
            let mut losses = 0.0;
            let mut correct = 0;
            let mut learning_rate = 0.0;
            shuffle.shuffle(&mut order);
            for (i, batch) in (epoch * iterations..).zip(order.chunks(batch_size)) {
                let labels: Vec<u8> = batch.iter().map(|&image| set.labels[image]).collect();
                buffers.batch.load(Cpu::best(), &set.images, batch.iter().copied());
                learning_rate = schedule.rate(config.learning_rate, i, 2 * iterations, iterations);
                // Enough of it for every iteration to come off at once.
                let decay = (f64::from(learning_rate) * f64::from(config.weight_decay)) as f32;
                let step = Step { learning_rate, decay, momentum };
                let batch = network.train_step(
                    &mut buffers,
                    &labels,
                    config.loss,
                    dropout.as_mut(),
                    step,
                    &mut velocities,
                );
                (losses, correct) = (losses + batch.0, correct + batch.1);
            }
            assert_eq!(
                trainer.train_epoch(|_| Ok(())),
                Ok((learning_rate, losses / 101.0, correct as f64 / 101.0))
            );
            assert_eq!(
                network_bits(&trainer.network),
                network_bits(&network),
                "dropout {p}, batch {batch_size}"
            );
        }
    }
}

#[test]
fn whoever_watches_sees_every_batch_and_epoch_and_can_stop_it() {
    let data = small_data();
    let config = small_config();
    let train = |watch: &mut dyn FnMut(Event) -> Result<()>| {
        training::fit(Trainer::new(&config, &data.train, Cpu::best())?, &data.test, watch)
    };
    let mut batches = Vec::new();
    let mut epochs = Vec::new();
    let trained = train(&mut |event| {
        match event {
            Event::Batch { epoch, images } => batches.push((epoch, images)),
            Event::Epoch(row, _) => epochs.push(*row),
        }
        Ok(())
    })
    .unwrap();
    let expected = |epoch| [16, 32, 48, 64, 80, 96, 101].map(|images| (epoch, images));
    assert_eq!((batches, &epochs), ([expected(1), expected(2)].concat(), &trained.history));
    assert!(epochs.iter().all(|e| e.seconds > 0.0));
    let rates = [6, 13].map(|i| Schedule::Cosine.rate(0.1, i, 14, 7));
    assert_eq!(
        epochs.iter().map(|e| (e.epoch, e.learning_rate)).collect::<Vec<_>>(),
        [(1, rates[0]), (2, rates[1])]
    );

    let mut told = 0;
    let stopped = train(&mut |_| {
        told += 1;
        Err(Error::ClosedPipe)
    });
    assert_eq!((stopped.err(), told), (Some(Error::ClosedPipe), 1));
}

/// Initial weights and the order of the images are the same with and without dropout: with a p so
/// small that nothing is left out, 1 / (1 − p) is 1 and all that differs is that dropout draws its
/// numbers.
#[test]
fn random_choices_do_not_disturb_each_other() {
    let data = small_data();
    let of_dropout = |dropout| {
        network_bits(&run(&Config { dropout, ..small_config() }, &data, Cpu::best()).network)
    };
    assert_eq!(of_dropout(0.0), of_dropout(f32::MIN_POSITIVE));
}

/// Each epoch has the images that the deformer makes of it, on any number of threads.
#[test]
fn each_epoch_trains_on_images_deformed_for_it() {
    let images = first(30, &MNIST.train).images;
    let cpu = Cpu::best();
    let strengths = Deformation::default();
    let mut deformer = Deformer::new(strengths, 1, cpu, 28, 28).unwrap();
    for threads in [1, 3] {
        let mut found = images.clone();
        let mut expected = images.clone();
        for epoch in [0, 1, 4] {
            deformer.deform_all(cpu.on_threads(threads), epoch, &images, &mut found);
            for (i, image) in expected.pixels.chunks_exact_mut(784).enumerate() {
                deformer.deform(epoch, i, images.image(i), image);
            }
            assert!(found == expected && found != images, "epoch {epoch}, {threads} threads");
        }
    }
    // The same network each time, another one than without, and from the second epoch on too.
    let data = digits(100);
    let deformation = |deformation| {
        network_bits(&run(&Config { deformation, epochs: 3, ..small_config() }, &data, cpu).network)
    };
    assert_eq!(deformation(Some(strengths)), deformation(Some(strengths)));
    let still = Deformation {
        rotation: 0.0,
        scale: 0.0,
        shear: 0.0,
        shift: 0.0,
        elastic: 0.0,
        ..strengths
    };
    assert_eq!(deformation(Some(still)), deformation(None));
    assert_ne!(deformation(Some(strengths)), deformation(None));
}

// ---- Dropout -----------------------------------------------------------------------------------

#[test]
fn dropout_keeps_its_share_and_scales_it() {
    for p in [0.0, 0.2, 0.5, 0.9_f32] {
        let rows = 300;
        let columns = 401;
        let ones = Matrix::from_rows(rows, columns, &vec![1.0; rows * columns]);
        let mut z = ones.clone();
        let mut gradient = ones.clone();
        let mut mask = Matrix::default();
        let mut dropout = Dropout { p, after_activation: false, rng: Rng::new(1, Stream::Dropout) };
        dropout.forward(Cpu::best(), &mut z, &mut mask);
        apply_mask(Cpu::best(), &mut gradient, &mask);
        assert_eq!(z, gradient, "one mask for both directions");
        assert!(z.iter().all(|&x| x == 0.0 || x == 1.0 / (1.0 - p)));
        let kept = z.iter().map(|&x| f64::from(u8::from(x != 0.0)));
        let share = f64::from(1.0 - p);
        assert_mean("kept", kept, share, share * (1.0 - share) + 1e-12);
        // No image and no unit is favoured, so each has a mask of its own.
        let is_kept = |i: usize, j: usize| f64::from(u8::from(z.row(i)[j] != 0.0));
        let by_image =
            (0..rows).map(|i| (0..columns).map(|j| is_kept(i, j)).sum::<f64>() / columns as f64);
        let by_unit =
            (0..columns).map(|j| (0..rows).map(|i| is_kept(i, j)).sum::<f64>() / rows as f64);
        for kept in by_image.chain(by_unit) {
            assert!(
                (kept - share).abs()
                    <= SIGMAS * (share * (1.0 - share) / rows as f64).sqrt() + 1e-5,
                "{p}: {kept}"
            );
        }
        let mut again = ones.clone();
        dropout.forward(Cpu::best(), &mut again, &mut mask);
        assert_eq!(again == z, p == 0.0, "a new mask each time");
    }
}

// ---- What it leaves ----------------------------------------------------------------------------

fn epochs(test_accuracies: &[f64]) -> Vec<Epoch> {
    let epoch = |(i, &test_accuracy)| Epoch {
        epoch: i + 1,
        learning_rate: 0.02 / 3.0,
        loss: 2.0 / 3.0,
        running_accuracy: 0.5,
        test_accuracy,
        seconds: 1.2345,
    };
    test_accuracies.iter().enumerate().map(epoch).collect()
}

#[test]
fn the_history_is_a_table() {
    let rows = "1,9,0.0066666664,0.666667,0.500000,0.250000,1.234\n\
                2,9,0.0066666664,0.666667,0.500000,0.978600,1.234\n";
    let header = "epoch,epochs,learning_rate,loss,running_accuracy,test_accuracy,seconds\n";
    assert_eq!(history::csv(&epochs(&[0.25, 0.9786]), 9, "test"), format!("{header}{rows}"));
    assert_eq!(history::csv(&[], 9, "test"), header);
    assert!(history::csv(&[], 9, "held-out").contains(",held_out_accuracy,"));
    let small = [Epoch { learning_rate: 3e-9, ..epochs(&[0.5])[0] }];
    assert!(history::csv(&small, 1, "test").contains("\n1,1,0.000000003,"));
    let [one, other] = [[vec![0.5, 0.6], vec![0.25, 0.9]], [vec![0.5, 0.6], vec![0.35, 0.9]]];
    let curves = history::curves(std::slice::from_ref(&one), "test", "Xavier".into());
    assert!(
        ["<svg", "Xavier", "train", "test", "epoch", "accuracy"]
            .iter()
            .all(|part| curves.contains(part))
    );
    let line =
        |name, accuracies: &Vec<f64>| Line::of_seeds(name, false, [&accuracies[..]].into_iter());
    let lines = vec![line("train (running)", &one[0]), line("test", &one[1])];
    assert_eq!(curves, Figure { title: "Xavier".into(), y_bounds: (0.0, 1.0), lines }.svg());
    // The band of several seeds, and none of one.
    let band = "fill-opacity='0.15'";
    let curves = [curves, history::curves(&[one, other], "held-out", "Xavier".into())];
    assert_eq!(curves.each_ref().map(|curves| curves.matches(band).count()), [0, 2]);
    assert!(curves[1].contains(">held-out<") && !curves[1].contains(">test<"));
}

#[test]
fn the_three_accuracies() {
    let activation = Activation::Sigmoid;
    let mut rng = Rng::new(1, Stream::Shuffle);
    let network = Network::new(&[35, 10], activation, Initialisation::Zero, &mut rng, Cpu::best());
    let trained = |tests: &[f64]| Trained {
        network: network.clone(),
        history: epochs(tests),
        train_accuracy: 0.99214,
        test_probabilities: Matrix::default(),
    };
    let of = |tests| (trained(tests).test_accuracy(), trained(tests).best_test_accuracy());
    assert_eq!(of(&[0.5, 0.9, 0.7, 0.9, 0.8]), (0.8, (0.9, 2)), "the first of equal bests");
    assert_eq!(of(&[0.5, 0.5]), (0.5, (0.5, 1)));
    assert_eq!(of(&[0.5, 0.6]), (0.6, (0.6, 2)));
    assert_eq!(of(&[]), (0.0, (0.0, 0)));
    // √(0.9786 · 0.0214 / 10000) = 0.00145, as for the real test set.
    let lines = accuracies(&Config::default(), &MNIST, &trained(&[0.9791, 0.9786]));
    let lines = lines.map(|(what, accuracy)| format!("{what} {accuracy}"));
    let best = "best test accuracy 0.9791 (epoch 1)";
    assert_eq!(lines, ["final train accuracy 0.9921", "final test accuracy 0.9786 ± 0.0014", best]);
}

#[test]
fn argmax_is_the_first_of_equals() {
    assert_eq!(
        [&[0.25; 4][..], &[0.1, 0.4, 0.1, 0.4], &[0.0, 0.1, 0.9], &[1.0]].map(argmax),
        [0, 1, 2, 0]
    );
    let probabilities = Matrix::from_rows(4, 2, &[0.5, 0.5, 0.2, 0.8, 0.9, 0.1, 0.4, 0.6]);
    assert_eq!(accuracy(&probabilities, &[0, 1, 1, 1]), 0.75);
}

// ---- The way in --------------------------------------------------------------------------------

/// (p - 127.5) / 255 for every pixel value p, within two roundings of p/255, of the images asked
/// for, in that order; P is ½ above it, so that the background alone is 0.
#[test]
fn pixels_become_numbers_from_minus_a_half_to_a_half() {
    let mut images = pictures(256, 3, 5, 1).images;
    (0..256).for_each(|i| images.pixels[i * 15 + 4] = i as u8);
    let mut batch = Batch::default();
    let numbers: Vec<usize> = (0..256).rev().chain([7, 7]).collect();
    batch.load(Cpu::best(), &images, numbers.iter().copied());
    let pixels = batch.pixels();
    assert_eq!((pixels.rows(), pixels.columns()), (258, 15));
    for (row, &i) in numbers.iter().enumerate() {
        for (x, &p) in pixels.row(row).iter().zip(&images.pixels[i * 15..][..15]) {
            let found = f64::from(*x) - 0.5;
            let expected = (f64::from(p) - 127.5) / 255.0;
            assert!((found - expected).abs() <= 2.0 * crate::common::U, "{p} is {found}");
            assert!((*x == 0.0) == (p == 0) && (-0.5..=0.5).contains(&found), "{p} is {found}");
        }
    }
}

/// The layers' widths come from the data and the configuration, for any image size and number of
/// classes.
#[test]
fn any_size_of_image_and_any_number_of_classes() {
    for (rows, columns, classes) in [(1, 1, 2), (3, 2, 3), (28, 28, 26), (5, 9, 256)] {
        let set = pictures(2 * classes, rows, columns, classes);
        let config = Config {
            classes,
            hidden_layers: vec![],
            batch_size: 3,
            dropout: 0.0,
            ..small_config()
        };
        let data = Data { train: set.clone(), test: set };
        let trained = run(&config, &data, Cpu::best());
        let shapes: Vec<_> = trained
            .network
            .layers
            .iter()
            .map(|l: &Linear| (l.weight.rows(), l.bias.len()))
            .collect();
        assert_eq!(shapes, [(rows * columns, classes)]);
    }
}
