//! The command `predict`: what a network from a weights file makes of the images of an IDX file.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::data::{Images, read_labels};
use crate::error::{Error, Result};
use crate::math::kernel::Kernel;
use crate::math::matrix::Matrix;
use crate::network::{argmax, confusion};
use crate::output::weights::{self, Model};
use crate::session;
use crate::training::MOST_NUMBERS;

const HELP: &str = "\
usage: predict MODEL IMAGES [LABELS]

Reads a network from MODEL and prints what it makes of each image: the image's number (from 0), the most likely class and
its probability. With LABELS it prints the accuracy (± one standard error) and the confusion matrix instead.

  MODEL   a model.safetensors as training writes it
  IMAGES  an IDX file of images, plain or gzipped
  LABELS  an IDX file with their labels, plain or gzipped
";

/// Does what the `arguments` say, those after the command's name, and prints the answer to `out`.
///
/// # Errors
/// Wrong arguments, a file that is not what it is to be, images of another size than the network's, labels that do not
/// belong to them, and what `out` says.
pub fn run(arguments: Vec<OsString>, out: &mut impl Write) -> Result<()> {
    let paths: Vec<PathBuf> = arguments.into_iter().map(PathBuf::from).collect();
    let text = match &paths[..] {
        _ if paths.iter().any(|path| ["--help", "-h"].map(Path::new).contains(&&**path)) => HELP.to_owned(),
        [model, images] => predictions(&probabilities(model, images)?),
        [model, images, labels] => {
            let probabilities = probabilities(model, images)?;
            let labels = read_labels(labels, probabilities.rows(), probabilities.columns(), |_| {
                "use the labels of the set that the network was trained on".into()
            })?;
            assessment(&probabilities, &labels)
        }
        _ => {
            let (found, next) = (paths.len().to_string(), "run predict --help to read what they are");
            return Err(Error::new("the number of arguments", found, "MODEL IMAGES [LABELS]", next));
        }
    };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Error::printing(&error))
}

/// The probabilities of each class for each image, `images × classes`.
fn probabilities(model_path: &Path, images_path: &Path) -> Result<Matrix> {
    let Model { network, image_size } = weights::read(model_path, Kernel::best().on_threads(session::threads()))?;
    let images = Images::read(images_path)?;
    let (inputs, size) = (network.layers[0].weight.rows(), (images.rows, images.columns));
    if image_size.map_or(inputs != images.size(), |expected| expected != size) {
        let found = format!("images of {} × {} pixels", images.rows, images.columns);
        let expected = image_size.map_or(inputs.to_string(), |(rows, columns)| format!("{rows} × {columns}"));
        let expected = format!("{expected} pixels, which the network in {} takes", model_path.display());
        return Err(Error::new(images_path.display(), found, expected, "use images of the set that it was trained on"));
    }
    let numbers = images.count().saturating_mul(network.classes());
    if numbers > MOST_NUMBERS {
        let expected = format!("at most {MOST_NUMBERS}");
        let found = format!("images with {numbers} probabilities");
        return Err(Error::new(images_path.display(), found, expected, "split the file"));
    }
    let probabilities = network.predict(&images);
    if probabilities.iter().any(|p| !p.is_finite()) {
        let found = "weights so large that the probabilities overflow";
        let (expected, next) = ("weights of a network that has learnt", "train again, with a lower learning_rate");
        return Err(Error::new(model_path.display(), found, expected, next));
    }
    Ok(probabilities)
}

/// A line for each image: its number, the most likely class and its probability.
fn predictions(probabilities: &Matrix) -> String {
    let width = |count: usize| (count - 1).to_string().len();
    let (index_width, class_width) = (width(probabilities.rows()), width(probabilities.columns()));
    let lines = (0..probabilities.rows()).map(|i| {
        let row = probabilities.row(i);
        let class = argmax(row);
        format!("{i:index_width$}  {class:class_width$}  {:.4}\n", row[usize::from(class)])
    });
    lines.collect()
}

/// The accuracy and the confusion matrix.
fn assessment(probabilities: &Matrix, labels: &[u8]) -> String {
    let counts = confusion(probabilities, labels);
    let right: usize = counts.iter().enumerate().map(|(class, row)| row[class]).sum();
    let accuracy = session::with_standard_error(right as f64 / labels.len() as f64, labels.len());
    let widest = counts.iter().flatten().max().map_or(0, |most| most.to_string().len());
    let width = 2 + widest.max((counts.len() - 1).to_string().len());
    let line = |label: &str, cells: &[usize]| {
        let cells: String = cells.iter().map(|cell| format!("{cell:width$}")).collect();
        format!("{label:>width$}{cells}\n")
    };
    let mut text = format!("accuracy {accuracy} ({right} of {} images)\n\n", labels.len());
    text += "confusion matrix: a row is a label, a column a prediction\n";
    text += &line("", &(0..counts.len()).collect::<Vec<_>>());
    for (label, row) in counts.iter().enumerate() {
        text += &line(&label.to_string(), row);
    }
    text
}
