//! The library that runs ONNX models, loaded when the first model needs it.

use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::Session;

use crate::models::{Model, Models};

/// The library allows one environment in a process, whoever uses it.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// A session for the ONNX graph in `bytes`. It computes on the thread that runs it, so that equal input gives equal output
/// and the callers decide about parallel work.
///
/// # Errors
/// What the library says: that it cannot be loaded, or cannot run this graph.
pub(crate) fn session(models: &Models, bytes: &[u8]) -> Result<Session, String> {
    let environment = environment(models)?;
    let build = || -> Result<Session, ort::Error> {
        Session::builder(&environment)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_deterministic_compute(true)?
            .commit_from_memory(bytes)
    };
    build().map_err(|error| format!("onnxruntime cannot run the model: {error}"))
}

fn environment(models: &Models) -> Result<Environment, String> {
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*environment {
        return Ok(environment.clone());
    }
    let library = Model::find("onnxruntime")
        .and_then(|runtime| models.folder(runtime))
        .ok_or("there is no folder of models")?
        .join("libonnxruntime.so");
    let made = ort::init_from(&library)
        .map_err(|error| format!("onnxruntime cannot be loaded: {error}"))?
        .with_telemetry(false)
        .build()
        .map_err(|error| format!("onnxruntime cannot be started: {error}"))?;
    *environment = Some(made.clone());
    Ok(made)
}
