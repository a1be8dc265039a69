//! The log: a JSON object a line, on standard error. Routes are told by their pattern, things by their number, so that nothing
//! personal gets there: no path, no token, no value, no message of a template.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::clock;

static QUIET: AtomicBool = AtomicBool::new(false);

/// Leaves out the line for each request.
pub fn quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// What happened, with figures.
pub fn event(name: &str, fields: Value) {
    write("info", name, fields);
}

/// What failed, in words that were chosen here.
pub fn error(name: &str, what: &str) {
    write("error", name, json!({ "what": what }));
}

/// A request that was answered.
pub fn request(fields: Value) {
    if !QUIET.load(Ordering::Relaxed) {
        write("info", "request", fields);
    }
}

fn write(level: &str, name: &str, fields: Value) {
    let mut line = json!({ "at": clock::stamp(clock::now_millis()), "level": level, "event": name });
    if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
        line.extend(fields);
    }
    // In one call: standard error keeps nothing back, and would write each word by itself.
    let line = format!("{line}\n");
    // Nothing can be done when even that fails.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
