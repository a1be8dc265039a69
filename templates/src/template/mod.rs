//! The template as written: every field of the language, with the place it stands at.

pub mod document;
pub mod generate;
pub mod layer;
pub mod read;
mod record;
pub mod scalar;
pub mod style;
pub mod written;

use schemars::generate::SchemaSettings;

use crate::fault::Faults;
use crate::source::Node;
use document::Document;
use read::{Read, Reader};

/// The JSON Schema (draft 2020-12) of the template language, generated from the types that read it.
pub fn language_schema() -> serde_json::Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Document>();
    schema.insert("title".into(), "Vignette template, version 1".into());
    schema.to_value()
}

/// Reads the whole template; what could be read is there even when something is at fault.
pub(crate) fn read_document(file: &str, root: &Node) -> (Option<Document>, Faults) {
    let mut reader = Reader::new(file);
    let document = Document::read(root, &mut reader);
    (document, reader.faults)
}
