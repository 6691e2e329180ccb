//! Labelled images, from the four IDX files.

pub mod batch;
pub mod deformation;
pub mod gzip;
pub mod idx;

use std::path::Path;

use crate::error::{Error, Result};

/// Grey images of one size. The pixels stay bytes until they are needed: a quarter of the memory of
/// floats.
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
    /// Reads an IDX file of images.
    ///
    /// # Errors
    /// Those of [`idx::read_file`], no image, or images without pixels.
    pub fn read(path: &Path) -> Result<Images> {
        let ([count, rows, columns], pixels) = idx::read_file(path)?;
        if count * rows * columns > 0 {
            return Ok(Images { rows, columns, pixels });
        }
        let found = format!("{count} images of {rows} × {columns} pixels");
        Err(Error::new(
            path.display(),
            found,
            "at least one of each",
            "use a file with images in it",
        ))
    }

    /// The images with their rows and columns exchanged.
    pub fn transpose(&self) -> Images {
        let Images { rows, columns, .. } = *self;
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for image in self.pixels.chunks_exact(self.size()) {
            for column in 0..columns {
                pixels.extend(image[column..].iter().step_by(columns));
            }
        }
        Images { rows: columns, columns: rows, pixels }
    }

    /// How many pixels an image has, which is the `fan_in` of the first layer.
    pub fn size(&self) -> usize {
        self.rows * self.columns
    }

    /// How many images.
    pub fn count(&self) -> usize {
        self.pixels.len() / self.size()
    }

    /// The pixels of image `i`.
    pub fn image(&self, i: usize) -> &[u8] {
        &self.pixels[i * self.size()..][..self.size()]
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
    /// Reads the four files of an MNIST-like set from `folder`: `train` and `t10k`,
    /// `-images-idx3-ubyte` and `-labels-idx1-ubyte`, each plain or gzipped, under their names or
    /// those that [`idx::find`] knows.
    ///
    /// # Errors
    /// A file that is missing or not what its name says, a label of `classes` or above, images
    /// without labels or of different sizes.
    pub fn load(folder: &Path, classes: usize) -> Result<Data> {
        let train = Dataset::load(folder, "train", classes)?;
        let test = Dataset::load(folder, "t10k", classes)?;
        let size = |set: &Dataset| format!("{} × {} pixels", set.images.rows, set.images.columns);
        if size(&train) != size(&test) {
            let path = idx::find(folder, "t10k-images-idx3-ubyte")?;
            let found = format!("images of {}", size(&test));
            let expected = format!("{} as in train-images-idx3-ubyte", size(&train));
            return Err(Error::new(
                path.display(),
                found,
                expected,
                "take all four files from the same set",
            ));
        }
        Ok(Data { train, test })
    }

    /// The same data with upright images, where `transposed` says that their files have them by
    /// columns.
    pub fn upright(mut self, transposed: bool) -> Data {
        if transposed {
            self.train.images = self.train.images.transpose();
            self.test.images = self.test.images.transpose();
        }
        self
    }

    /// [`Data::load`]; or, if `held_out` is not 0, the training images alone, with the last
    /// `held_out` of them in the place of the test set, whose files are not read.
    ///
    /// # Errors
    /// As [`Data::load`], and `held_out` images or fewer.
    pub fn load_or_hold_out(folder: &Path, classes: usize, held_out: usize) -> Result<Data> {
        if held_out == 0 {
            return Data::load(folder, classes);
        }
        let Dataset { images: Images { rows, columns, mut pixels }, mut labels } =
            Dataset::load(folder, "train", classes)?;
        let count = labels.len();
        let Some(kept) = count.checked_sub(held_out).filter(|&kept| kept > 0) else {
            let expected =
                format!("fewer than the {count} training images in {}", folder.display());
            return Err(Error::in_config("held_out", held_out.to_string(), expected));
        };
        let test_pixels = pixels.split_off(kept * rows * columns);
        let test_labels = labels.split_off(kept);
        let set = |pixels, labels| Dataset { images: Images { rows, columns, pixels }, labels };
        Ok(Data { train: set(pixels, labels), test: set(test_pixels, test_labels) })
    }
}

impl Dataset {
    fn load(folder: &Path, split: &str, classes: usize) -> Result<Dataset> {
        let find = |file: &str| {
            let path = idx::find(folder, &format!("{split}-{file}-ubyte"));
            path.map_err(|error| error.within("data in get_config"))
        };
        let images = find("images-idx3")?;
        let labels = find("labels-idx1")?;
        let images = Images::read(&images)?;
        let labels = read_labels(&labels, images.count(), classes, |classes| {
            format!(
                "set classes in get_config to {classes} if these are the right labels: they count \
                 from 0"
            )
        })?;
        Ok(Dataset { images, labels })
    }
}

/// Reads an IDX file of labels. `next` is what to do about one that is too large, given how many
/// classes there would be.
///
/// # Errors
/// Those of [`idx::read_file`], another number of labels than of `images`, a label of `classes` or
/// above.
pub fn read_labels(
    path: &Path,
    images: usize,
    classes: usize,
    next: fn(usize) -> String,
) -> Result<Vec<u8>> {
    let ([count], labels) = idx::read_file(path)?;
    if count != images {
        let found = format!("{count} labels");
        let expected = format!("{images}, one for each image");
        return Err(Error::new(
            path.display(),
            found,
            expected,
            "take images and labels from the same set",
        ));
    }
    let Some(i) = labels.iter().position(|&label| usize::from(label) >= classes) else {
        return Ok(labels);
    };
    let most = labels.iter().max().map_or(0, |&most| usize::from(most));
    let expected = format!("labels from 0 to {}", classes.saturating_sub(1));
    Err(Error::new(
        path.display(),
        format!("label {} at image {i}", labels[i]),
        expected,
        next(most + 1),
    ))
}
