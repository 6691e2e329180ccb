//! Files that are written whole or not at all.

pub mod history;
pub mod json;
pub mod plot;
pub mod progress;
pub mod report;
pub mod weights;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process;

use crate::error::{Error, Result};

/// Writes `content` to `path`, whose folder is made if it is missing. Until all is on the disk the file has another
/// name, so nobody ever sees half of it, and a failure leaves what was there before.
///
/// # Errors
/// Whatever the disk says.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| Error::writing(folder, &error))?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}.partial", process::id()));
    let partial = Path::new(&partial);
    let written = File::create(partial).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(partial, path)
    });
    written.map_err(|error| {
        // It may not be there at all, and there is nothing to be done if it stays.
        let _ = fs::remove_file(partial);
        Error::writing(path, &error)
    })
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
