//! The command `predict`: what a network from a weights file makes of the images of an IDX file.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::config::MOST_NUMBERS;
use crate::data::{Data, Dataset, Images, read_labels};
use crate::error::{Error, Result};
use crate::math::kernels::Cpu;
use crate::math::matrix::Matrix;
use crate::metrics::{argmax, confusion};
use crate::output::json::Reader;
use crate::output::weights::{self, Model};
use crate::session;

const USAGE: &str = "predict MODEL [IMAGES [LABELS]] [--activation NAME]";
const HELP: &str = "
Reads a network from MODEL and prints what it makes of each image: the image's
number (from 0), the most likely class, its name if it has one, and its
probability. With LABELS, or without IMAGES, it prints the accuracy (± one
standard error) and the confusion matrix instead.

  MODEL   a model.safetensors as training writes it, or as PyTorch's safetensors
          does of nn.Sequential(Linear, ReLU, Linear, …), which has been trained
          on pixels p from 0 to 255 as (p − 127.5) / 255
  IMAGES  an IDX file of images, plain or gzipped; if there is none, the test
          set, or the images held out, of the data that MODEL was trained on
  LABELS  an IDX file with their labels, plain or gzipped

  --activation NAME  Sigmoid, Tanh, ReLU or SiLU, if MODEL does not say which
";

/// Does what the `arguments` say, those after the command's name, and prints the answer to `out`.
///
/// # Errors
/// Wrong arguments, a file that is not what it is to be, images of another size than the network's,
/// labels that do not belong to them, and what `out` says.
pub fn predict(arguments: Vec<OsString>, out: &mut impl Write) -> Result<()> {
    let is = |argument: &OsString, option: &str| argument == option;
    let text = match arguments.iter().any(|argument| is(argument, "--help") || is(argument, "-h")) {
        true => format!("usage: {USAGE}\n{HELP}"),
        false => answer(arguments)?,
    };
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Error::printing(&error))
}

fn answer(mut arguments: Vec<OsString>) -> Result<String> {
    let mut activation = None;
    if let Some(i) = arguments.iter().position(|argument| argument == "--activation") {
        let name = arguments.drain(i..arguments.len().min(i + 2)).nth(1).unwrap_or_default();
        let name = name.to_string_lossy();
        let place = "the argument after --activation";
        activation = Some(weights::find_activation(&name, place, format!("\"{name}\""))?);
    }
    let paths: Vec<PathBuf> = arguments.into_iter().map(PathBuf::from).collect();
    let ([path], files) =
        paths.split_first_chunk().filter(|(_, files)| files.len() <= 2).ok_or_else(|| {
            let found = format!("{} files", paths.len());
            Error::new("the arguments", found, USAGE, "--help says what they are")
        })?;
    let model = weights::read(path, Cpu::best().on_threads(session::threads()), activation)?;
    let names = class_names(&model);
    match files {
        [] => {
            let (Dataset { images, labels }, which) = own_test_set(path, &model)?;
            let about = description(path, &model);
            let probabilities = probabilities(path, &model, path, &images)?;
            Ok(about + &assessment(&probabilities, &labels, which, &names))
        }
        [images, labels @ ..] => {
            let probabilities =
                probabilities(path, &model, images, &read_images(path, &model, images)?)?;
            let [labels] = labels else { return Ok(predictions(&probabilities, &names)) };
            let labels =
                read_labels(labels, probabilities.rows(), probabilities.columns(), |_| {
                    "use the labels of the set that the network was trained on".into()
                })?;
            Ok(description(path, &model) + &assessment(&probabilities, &labels, "", &names))
        }
    }
}

/// What the model's file says under `name`, or nothing.
fn said<'a>(model: &'a Model, name: &str) -> &'a str {
    model.metadata.get(name).map_or("", String::as_str)
}

/// The names of the classes, or none.
fn class_names(model: &Model) -> Vec<String> {
    let names =
        Reader::new(Path::new(""), said(model, "class_names")).strings().unwrap_or_default();
    if names.len() == model.network.classes() { names } else { vec![] }
}

/// Two lines about the network: where it comes from, and what it is.
fn description(path: &Path, model: &Model) -> String {
    let trained_on = match said(model, "data") {
        "" => String::new(),
        data => format!(", trained on {data}"),
    };
    let unfinished = match said(model, "unfinished") {
        "" => String::new(),
        epochs => format!("; stopped after {epochs}"),
    };
    format!("{}{trained_on}{unfinished}\n{}\n", path.display(), session::summary(&model.network))
}

/// The images that the model's run was tested on, with labels, and what they are called.
fn own_test_set(path: &Path, model: &Model) -> Result<(Dataset, &'static str)> {
    let data = said(model, "data");
    if data.is_empty() {
        let next = "name the images, or the images and their labels, after it";
        return Err(Error::new(
            path.display(),
            "no word of its data",
            "the folder it was trained on",
            next,
        ));
    }
    if !Path::new(data).is_dir() {
        let found = format!("trained on {data}, which is no folder here");
        let next = "run it where that folder is, or name the images, or images and labels, after \
                    the model";
        return Err(Error::new(path.display(), found, "the folder of its data", next));
    }
    let held_out = said(model, "held_out").parse().unwrap_or(0);
    let which = if held_out == 0 { "test " } else { "held-out " };
    let data = Data::load_or_hold_out(Path::new(data), model.network.classes(), held_out)?;
    Ok((data.upright(said(model, "transposed") == "true").test, which))
}

/// The images of an IDX file, upright as those that the model's run was trained on.
fn read_images(path: &Path, model: &Model, images: &Path) -> Result<Images> {
    let extension = images.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    if ["png", "jpg", "jpeg", "gif", "bmp", "webp"].contains(&extension.as_deref().unwrap_or("")) {
        let page = path.with_file_name("report.html");
        let next = format!("draw it, or drop it, on the page {}", page.display());
        return Err(Error::new(images.display(), "a picture", "an IDX file of images", next));
    }
    let images = Images::read(images)?;
    Ok(if said(model, "transposed") == "true" { images.transpose() } else { images })
}

/// The probabilities of each class for each image, `images × classes`.
fn probabilities(
    model_path: &Path,
    model: &Model,
    images_path: &Path,
    images: &Images,
) -> Result<Matrix> {
    let Model { network, image_size, .. } = model;
    let inputs = network.layers[0].weight.rows();
    let size = (images.rows, images.columns);
    if image_size.map_or(inputs != images.size(), |expected| expected != size) {
        let found = format!("images of {} × {} pixels", images.rows, images.columns);
        let expected =
            image_size.map_or(inputs.to_string(), |(rows, columns)| format!("{rows} × {columns}"));
        let expected =
            format!("{expected} pixels, which the network in {} takes", model_path.display());
        return Err(Error::new(
            images_path.display(),
            found,
            expected,
            "use images of the set that it was trained on",
        ));
    }
    let numbers = images.count().saturating_mul(network.classes());
    if numbers > MOST_NUMBERS {
        let expected = format!("at most {MOST_NUMBERS}");
        let found = format!("images with {numbers} probabilities");
        return Err(Error::new(images_path.display(), found, expected, "split the file"));
    }
    let probabilities = network.predict(images);
    if probabilities.iter().any(|p| !p.is_finite()) {
        let found = "weights so large that the probabilities overflow";
        let expected = "weights of a network that has learnt";
        let next = "train again, with a lower learning_rate";
        return Err(Error::new(model_path.display(), found, expected, next));
    }
    Ok(probabilities)
}

/// A line for each image: its number, the most likely class, its name and its probability.
fn predictions(probabilities: &Matrix, names: &[String]) -> String {
    let longest = names.iter().map(|name| name.chars().count() + 2).max().unwrap_or(0);
    let width = |count: usize| (count - 1).to_string().len();
    let index_width = width(probabilities.rows());
    let class_width = width(probabilities.columns());
    let lines = (0..probabilities.rows()).map(|i| {
        let row = probabilities.row(i);
        let class = argmax(row);
        let name = names.get(usize::from(class)).map_or(String::new(), |name| format!("  {name}"));
        format!(
            "{i:index_width$}  {class:class_width$}{name:longest$}  {:.4}\n",
            row[usize::from(class)]
        )
    });
    lines.collect()
}

/// The accuracy on these images, called `which`, and the confusion matrix.
fn assessment(probabilities: &Matrix, labels: &[u8], which: &str, names: &[String]) -> String {
    let counts = confusion(probabilities, labels);
    let right: usize = counts.iter().enumerate().map(|(class, row)| row[class]).sum();
    let accuracy = session::with_standard_error(right as f64 / labels.len() as f64, labels.len());
    let widest = counts.iter().flatten().max().map_or(0, |most| most.to_string().len());
    let width = 2 + widest.max((counts.len() - 1).to_string().len());
    let line = |label: &str, cells: &[usize], name: &str| {
        let cells: String = cells.iter().map(|cell| format!("{cell:width$}")).collect();
        format!("{label:>width$}{cells}{name}\n")
    };
    let mut text = format!("accuracy {accuracy} ({right} of {} {which}images)\n\n", labels.len());
    text += "confusion matrix: a row is a label, a column a prediction\n";
    text += &line("", &(0..counts.len()).collect::<Vec<_>>(), "");
    for (label, row) in counts.iter().enumerate() {
        let name = names.get(label).map_or(String::new(), |name| format!("  {name}"));
        text += &line(&label.to_string(), row, &name);
    }
    text
}
