//! Where a result is written: found out before anything is rendered, so that no work is done in vain.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use vignette::Error;
use vignette::renderer::error::RenderError;

use vignette::output::Format;

use super::{Stop, ending};

/// What is written: as told, or as the file's name says.
///
/// # Errors
/// Wrong usage where neither says it, or the two disagree.
pub(super) fn format(out: &Path, told: Option<Format>) -> Result<Format, Stop> {
    let ending = ending(out).unwrap_or_default();
    let shown = out.display();
    match told {
        None => Format::of_ending(&ending).ok_or_else(|| {
            Stop::Usage(format!(
                "-o {shown}: name a .mp4, .webm, .gif, .webp, .jpg or .png file, a master.m3u8, or say --format"
            ))
        }),
        Some(told) if told.endings().contains(&ending.as_str()) => Ok(told),
        // A folder has any name but that of a file.
        Some(told) if told.is_folder() && Format::of_ending(&ending).is_none() => Ok(told),
        Some(told) => Err(Stop::Usage(format!(
            "-o {shown}: with --format {} the name ends in .{}; change one of them",
            told.as_str(),
            told.endings()[0]
        ))),
    }
}

/// The folder that takes an HLS presentation, made if it is not there: `path`, or that of the playlist `path`.
///
/// # Errors
/// Wrong usage where the playlist would have another name than it gets, or `path` is a file.
pub(super) fn folder(path: &Path) -> Result<PathBuf, Stop> {
    let playlist = ending(path).as_deref() == Some("m3u8");
    if playlist && path.file_name().is_none_or(|name| name != "master.m3u8") {
        return Err(Stop::Usage(format!("{}: the playlist of an HLS folder is master.m3u8", path.display())));
    }
    let folder = if playlist { path.parent().unwrap_or(Path::new("")) } else { path };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fs::create_dir_all(folder).map_err(|source| {
        Stop::Failed(Error::Render(RenderError::Io {
            operation: format!("cannot make {}", folder.display()),
            source,
        }))
    })?;
    Ok(folder.to_owned())
}

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
