//! `vignette new`: a small template package to start from.

use std::fs;
use std::path::Path;

use vignette::Error;
use vignette::renderer::error::RenderError;

use super::{Stop, say};

/// The files of the package, as they stand under `templates/starter`.
const FILES: [(&str, &str); 5] = [
    ("template.yaml", include_str!("../../templates/starter/template.yaml")),
    ("assets/mark.svg", include_str!("../../templates/starter/assets/mark.svg")),
    ("viewers/maria.json", include_str!("../../templates/starter/viewers/maria.json")),
    ("viewers/lucia.json", include_str!("../../templates/starter/viewers/lucia.json")),
    ("viewers/mohammed.json", include_str!("../../templates/starter/viewers/mohammed.json")),
];

/// Writes the package into `dir`, which must not exist or must be empty.
pub(super) fn write(dir: &Path) -> Result<(), Stop> {
    let io = |operation: String, source| Stop::Failed(Error::Render(RenderError::Io { operation, source }));
    match fs::read_dir(dir).map(|entries| entries.count()) {
        Ok(1..) => {
            return Err(Stop::Failed(Error::Input(format!(
                "{}: not empty; name a folder that does not exist yet",
                dir.display()
            ))));
        }
        Ok(0) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(format!("cannot look into {}", dir.display()), error)),
    }
    for (name, content) in FILES {
        let path = dir.join(name);
        let folder = path.parent().unwrap_or(dir);
        fs::create_dir_all(folder).map_err(|error| io(format!("cannot make {}", folder.display()), error))?;
        fs::write(&path, content).map_err(|error| io(format!("cannot write {}", path.display()), error))?;
    }
    say(&format!(
        "{0}: a template for a greeting. Try\n  vignette render {0} --data {0}/viewers/maria.json -o maria.mp4",
        dir.display()
    ))
}
