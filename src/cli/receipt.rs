//! Receipts on the command line: where the key is, and what is told about it.

use std::path::{Path, PathBuf};

use clap::Args;
use vignette::receipt::{Receipt, ReceiptError, ReceiptKey};
use vignette::renderer::error::RenderError;
use vignette::{Error, receipt};

use super::{Stop, Tell};

/// Under which key receipts tell personal things.
#[derive(Args)]
pub(super) struct KeyOptions {
    /// The secret under which receipts digest personal things; receipt.key in the user's data folder when left out, made there
    /// when it is first needed
    #[arg(long, value_name = "FILE", env = "VIGNETTE_RECEIPT_KEY")]
    pub receipt_key: Option<PathBuf>,
}

impl KeyOptions {
    /// The key, made where there is none, which is told.
    pub(super) fn make(&self, tell: Tell) -> Result<ReceiptKey, Stop> {
        let file = self.file()?;
        let (key, made) = ReceiptKey::read_or_make(&file).map_err(Error::from)?;
        if made {
            let shown = file.display();
            tell(
                "warning",
                &format!("{shown}: made a key for receipts; keep it, as none can be verified without it"),
            );
        }
        Ok(key)
    }

    /// The key that receipts were made under.
    pub(super) fn read(&self) -> Result<ReceiptKey, Stop> {
        Ok(ReceiptKey::read(&self.file()?).map_err(Error::from)?)
    }

    fn file(&self) -> Result<PathBuf, Stop> {
        if let Some(file) = self.receipt_key.as_ref().filter(|file| !file.as_os_str().is_empty()) {
            return Ok(file.clone());
        }
        // XDG Base Directory Specification 0.8, which has relative paths ignored.
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
        data.map(|data| data.join("vignette/receipt.key")).ok_or_else(|| {
            Stop::Usage("neither XDG_DATA_HOME nor HOME is set; name the key with --receipt-key".into())
        })
    }
}

/// Reads a receipt. One that was damaged, or made under another key, says nothing about a video: it is wrong usage.
pub(super) fn read(path: &Path, key: &ReceiptKey) -> Result<Receipt, Stop> {
    use std::io::Read;
    let refused = |source| {
        Stop::Failed(Error::Render(RenderError::Io {
            operation: format!("cannot read {}", path.display()),
            source,
        }))
    };
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Stop::Usage(format!("{}: there is no such file", path.display())),
        _ => refused(error),
    })?;
    opened.take(receipt::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(refused)?;
    Receipt::read(&bytes, key)
        .map_err(|error: ReceiptError| Stop::Usage(format!("{}: {error}", path.display())))
}
