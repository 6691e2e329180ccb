//! Files that are written whole or not at all.

pub mod history;
pub mod json;
pub mod plot;
pub mod progress;
pub mod report;
pub mod weights;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

use crate::error::{Error, Result};

/// [Writes](write_together) one file.
///
/// # Errors
/// As there.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    write_together(&[(path.to_owned(), content)])
}

/// Writes files that belong together, each with its content. Folders that are missing are made. Until all is on the disk
/// the files have other names, so nobody ever sees half of one, and a failure leaves what was there before.
///
/// # Errors
/// Whatever the disk says.
pub fn write_together(files: &[(PathBuf, &[u8])]) -> Result<()> {
    let partial = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.partial", process::id()));
        PathBuf::from(name)
    };
    let write = |path: &Path, content: &[u8]| {
        let mut file = File::create(partial(path))?;
        file.write_all(content)?;
        file.sync_all()
    };
    let written = files.iter().try_for_each(|(path, content)| {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|error| Error::writing(folder, &error))?;
        write(path, content).map_err(|error| Error::writing(path, &error))
    });
    let named = |path: &PathBuf| fs::rename(partial(path), path).map_err(|error| Error::writing(path, &error));
    let written = written.and_then(|()| files.iter().try_for_each(|(path, _)| named(path)));
    if written.is_err() {
        // They may not be there at all, and there is nothing to be done if they stay.
        files.iter().for_each(|(path, _)| drop(fs::remove_file(partial(path))));
    }
    written
}

/// Checks that files can be written into `folder`, before the work whose result they are.
///
/// # Errors
/// As [`write_whole`].
pub fn prepare(folder: &Path) -> Result<()> {
    let probe = folder.join(".probe");
    write_whole(&probe, b"This folder can be written to.\n")?;
    match fs::remove_file(&probe) {
        // Another process that checks the same folder was quicker.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|error| Error::writing(&probe, &error)),
    }
}
