//! Labelled images, from the four IDX files.

pub mod deformation;
pub mod gzip;
pub mod idx;

use std::hint::black_box;
use std::path::Path;

use crate::error::{Error, Result};
use idx::Idx;

/// Grey images of one size. The pixels stay bytes until they are needed: a quarter of the memory of floats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Pixel rows of an image.
    pub rows: usize,
    /// Pixel columns of an image.
    pub columns: usize,
    /// Image after image, each row after row; 0 is background.
    pub pixels: Vec<u8>,
}

impl Images {
    /// The images of an IDX file of three dimensions.
    ///
    /// # Errors
    /// No image, or images without pixels.
    pub fn new(path: &Path, idx: Idx) -> Result<Images> {
        match idx.dims[..] {
            [count, rows, columns] if count * rows * columns > 0 => Ok(Images { rows, columns, pixels: idx.data }),
            _ => Err(Error::new(
                path.display(),
                format!("{:?} images, rows and columns", idx.dims),
                "at least one of each",
                "use a file with images in it",
            )),
        }
    }

    /// How many pixels an image has, which is the `fan_in` of the first layer.
    pub fn size(&self) -> usize {
        self.rows * self.columns
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.size()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// The pixels of image `i`.
    pub fn image(&self, i: usize) -> &[u8] {
        &self.pixels[i * self.size()..][..self.size()]
    }

    /// Reads a byte in every 64, a cache line, of the images of those numbers, so that they are in the caches by the time
    /// they are gathered: shuffled, they lie anywhere in tens of megabytes, which no processor guesses by itself.
    pub fn prefetch(&self, numbers: impl Iterator<Item = usize>) {
        black_box(numbers.flat_map(|i| self.image(i).iter().step_by(64)).fold(0, |sum, byte| sum ^ byte));
    }
}

/// Images with their labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The images.
    pub images: Images,
    /// The class of each image.
    pub labels: Vec<u8>,
}

/// What a network is trained on, and what it is tested on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Images that training sees.
    pub train: Dataset,
    /// Images that it does not.
    pub test: Dataset,
}

impl Data {
    /// Reads the four files of an MNIST-like set from `folder`: `train` and `t10k`, `-images-idx3-ubyte` and
    /// `-labels-idx1-ubyte`, each plain or gzipped.
    ///
    /// # Errors
    /// A file that is missing or not what its name says, a label of `classes` or above, images without labels or of
    /// different sizes.
    pub fn load(folder: &Path, classes: usize) -> Result<Data> {
        let (train, test) = (Dataset::load(folder, "train", classes)?, Dataset::load(folder, "t10k", classes)?);
        let size = |set: &Dataset| format!("{} × {} pixels", set.images.rows, set.images.columns);
        if size(&train) != size(&test) {
            return Err(Error::new(
                idx::find(folder, "t10k-images-idx3-ubyte")?.display(),
                format!("images of {}", size(&test)),
                format!("{} as in train-images-idx3-ubyte", size(&train)),
                "take all four files from the same set",
            ));
        }
        Ok(Data { train, test })
    }
}

impl Dataset {
    fn load(folder: &Path, split: &str, classes: usize) -> Result<Dataset> {
        let images = idx::find(folder, &format!("{split}-images-idx3-ubyte"))?;
        let labels = idx::find(folder, &format!("{split}-labels-idx1-ubyte"))?;
        let images = (&*images, idx::read_file(&images, 3)?);
        Dataset::new(images, (&labels, idx::read_file(&labels, 1)?), classes)
    }

    /// Images and labels that belong together, each with the file it is from.
    ///
    /// # Errors
    /// What [`Images::new`] and [`check_labels`] find.
    pub fn new(images: (&Path, Idx), labels: (&Path, Idx), classes: usize) -> Result<Dataset> {
        let images = Images::new(images.0, images.1)?;
        let most = labels.1.data.iter().max().map_or(0, |&most| usize::from(most));
        let next =
            format!("set classes in get_config to {} if these are the right labels: they count from 0", most + 1);
        check_labels(labels.0, &labels.1.data, images.len(), classes, &next)?;
        Ok(Dataset { images, labels: labels.1.data })
    }
}

/// Checks the labels of `path`; `next` is what to do about one that is too large.
///
/// # Errors
/// Another number of labels than of images, a label of `classes` or above.
pub fn check_labels(path: &Path, labels: &[u8], images: usize, classes: usize, next: &str) -> Result<()> {
    if labels.len() != images {
        return Err(Error::new(
            path.display(),
            format!("{} labels", labels.len()),
            format!("{images}, one for each image"),
            "take images and labels from the same set",
        ));
    }
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        None => Ok(()),
        Some(i) => {
            let found = format!("label {} at image {i}", labels[i]);
            Err(Error::new(path.display(), found, format!("labels from 0 to {}", classes.saturating_sub(1)), next))
        }
    }
}
