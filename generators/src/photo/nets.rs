//! The networks that photos need: each loaded when it is first used, and then shared by all.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;

use crate::models::{Model, Models};
use crate::{graph, runtime};

/// Why a network cannot be used.
#[derive(Clone, Debug)]
pub(super) enum Lack {
    /// This model is not installed.
    Missing(&'static str),
    /// This model is there and does not work, and why.
    Broken(&'static str, String),
}

impl Lack {
    /// The end of a sentence: why, and what would help.
    pub(super) fn because(&self) -> String {
        match self {
            Lack::Missing(model) => {
                format!("as the model is not installed; install it with `vignette models install {model}`")
            }
            Lack::Broken(model, reason) => format!("as the model `{model}` failed: {reason}"),
        }
    }
}

/// A network of a model: the file of its graph and what the file is.
#[derive(Clone, Copy)]
pub(super) struct Net {
    pub(super) model: &'static str,
    pub(super) file: &'static str,
    pub(super) form: Form,
}

/// The format in which a graph comes.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Onnx,
    TfLite,
    /// ncnn's `.param`, and its `.bin` beside it.
    Ncnn,
}

/// A network that is ready to run.
pub(super) struct Network {
    model: &'static str,
    session: Mutex<Session>,
}

impl Net {
    /// The network, loaded once for all that use the same folder of models.
    pub(super) fn load(&self, models: &Models) -> Result<Arc<Network>, Lack> {
        static LOADED: Mutex<BTreeMap<PathBuf, Arc<Network>>> = Mutex::new(BTreeMap::new());
        let model = Model::find(self.model).ok_or(Lack::Missing(self.model))?;
        let path = models.folder(model).ok_or(Lack::Missing(self.model))?.join(self.file);
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(network) = loaded.get(&path) {
            return Ok(Arc::clone(network));
        }
        if !models.is_installed(model) {
            return Err(Lack::Missing(self.model));
        }
        let broken = |reason: String| Lack::Broken(self.model, reason);
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|error| {
                broken(format!("{}: {error}", path.file_name().unwrap_or_default().display()))
            })
        };
        let bytes = read(&path)?;
        let onnx = match self.form {
            Form::Onnx => bytes,
            Form::TfLite => graph::from_tflite(&bytes).map_err(broken)?,
            Form::Ncnn => {
                let weights = read(&path.with_extension("bin"))?;
                graph::from_ncnn(&String::from_utf8_lossy(&bytes), &weights, 3).map_err(broken)?
            }
        };
        let session = runtime::session(models, &onnx).map_err(broken)?;
        let network = Arc::new(Network { model: self.model, session: Mutex::new(session) });
        loaded.insert(path, Arc::clone(&network));
        Ok(network)
    }
}

impl Network {
    /// The outputs of these names for inputs with their shapes.
    pub(super) fn run<const N: usize>(
        &self,
        inputs: Vec<(&str, Vec<usize>, Vec<f32>)>,
        outputs: [&str; N],
    ) -> Result<[Vec<f32>; N], Lack> {
        let failed = |error: ort::Error| Lack::Broken(self.model, error.to_string());
        let mut values: Vec<(&str, SessionInputValue<'_>)> = Vec::new();
        for (name, shape, numbers) in inputs {
            values.push((name, Tensor::from_array((shape, numbers)).map_err(failed)?.into()));
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let made = session.run(values).map_err(failed)?;
        let mut found = [const { Vec::new() }; N];
        for (name, place) in outputs.into_iter().zip(&mut found) {
            let value =
                made.get(name).ok_or_else(|| Lack::Broken(self.model, format!("it gave no {name}")))?;
            *place = value.try_extract_tensor::<f32>().map_err(failed)?.1.to_vec();
        }
        Ok(found)
    }

    /// Fails when the network did not give as many numbers as it should.
    pub(super) fn expect(&self, numbers: &[f32], count: usize) -> Result<(), Lack> {
        match numbers.len() == count {
            true => Ok(()),
            false => Err(Lack::Broken(self.model, format!("it gave {} numbers, not {count}", numbers.len()))),
        }
    }
}
