//! Files that are written whole or not at all.

pub mod doubt;
pub mod fakes;
pub mod history;
pub mod json;
pub mod plot;
pub mod progress;
pub mod report;
pub mod weights;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process;

use crate::error::{Error, Result};

/// Writes files that belong together, each with its content. Folders that are missing are made.
/// Until all is on the disk the files have other names, so nobody ever sees half of one, and what
/// was there before stays if the disk fills up.
///
/// # Errors
/// Whatever the disk says, and a folder in the place of a file.
pub fn write(files: &[(impl AsRef<Path>, &[u8])]) -> Result<()> {
    let partial = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.partial", process::id()));
        PathBuf::from(name)
    };
    let write = |path: &Path, content: &[u8]| {
        if path.is_dir() {
            return Err(Error::new(
                path.display(),
                "a folder",
                "a place for a file",
                "rename or remove that folder",
            ));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|error| Error::writing(folder, &error))?;
        let file = File::create(partial(path));
        let written =
            file.and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()));
        written.map_err(|error| Error::writing(path, &error))
    };
    let rename =
        |path: &Path| fs::rename(partial(path), path).map_err(|error| Error::writing(path, &error));
    let written = files.iter().try_for_each(|(path, content)| write(path.as_ref(), content));
    let written =
        written.and_then(|()| files.iter().try_for_each(|(path, _)| rename(path.as_ref())));
    if written.is_err() {
        // They may not be there at all, and there is nothing to be done if they stay.
        files.iter().for_each(|(path, _)| drop(fs::remove_file(partial(path.as_ref()))));
    }
    written
}

/// Checks that files can be written into `folder`, before the work whose result they are, and
/// leaves everything as it was.
///
/// # Errors
/// As [`write()`].
pub fn prepare(folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    let probe = folder.join(format!("probe.{}.partial", process::id()));
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&probe, "This folder can be written to.\n"));
    let _ = fs::remove_file(&probe);
    // Of two processes that check the same folder the other may have been quicker, and it may be in
    // use by now.
    missing.into_iter().for_each(|folder| drop(fs::remove_dir(folder)));
    written.map_err(|error| Error::writing(folder, &error))
}
