//! Where a result is written: found out before anything is rendered, so that no work is done in vain.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use vignette::Error;
use vignette::renderer::error::RenderError;

use super::Stop;

/// The file to write for `path`: what it leads to where it is a symbolic link, so that the link survives.
///
/// # Errors
/// Wrong usage where `path` is something that must not be replaced by a file; a folder that is not there.
pub(super) fn target(path: &Path) -> Result<PathBuf, Stop> {
    let shown = path.display();
    let refused = |source: io::Error| {
        Stop::Failed(Error::Render(RenderError::Io { operation: format!("cannot create {shown}"), source }))
    };
    let slash = path.as_os_str().as_encoded_bytes().last().is_some_and(|byte| *byte == b'/');
    if path.file_name().is_none() || slash {
        return Err(Stop::Usage(format!("{shown}: this names no file; write FOLDER/NAME")));
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            Err(Stop::Usage(format!("{shown}: this is a folder; name a file inside it")))
        }
        Ok(found) if !found.is_file() => Err(Stop::Usage(format!(
            "{shown}: only an ordinary file can be replaced, and this is none; choose another name"
        ))),
        Ok(_) if path.is_symlink() => fs::canonicalize(path).map_err(refused),
        Ok(_) => Ok(path.to_owned()),
        Err(error) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            match fs::metadata(folder) {
                Ok(found) if !found.is_dir() => {
                    Err(refused(io::Error::other(format!("{} is not a folder", folder.display()))))
                }
                Err(reason) if reason.kind() == io::ErrorKind::NotFound => Err(refused(io::Error::other(
                    format!("the folder {} does not exist; make it first", folder.display()),
                ))),
                Ok(_) if path.is_symlink() => {
                    Err(refused(io::Error::other("the link leads nowhere; remove it or make its target")))
                }
                Ok(_) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
                _ => Err(refused(error)),
            }
        }
    }
}
