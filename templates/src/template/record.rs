//! One definition per record gives the type, its reader, its walk and its JSON Schema, so that they cannot part.

use schemars::{Schema, json_schema};
use serde_json::{Map, Value};

/// Defines a record: a map with known fields, each documented.
///
/// `exactly one of [a, b]` makes a record without any of these fields, or with two, a fault.
/// `repeated by field` tells a walk that everything in the record may be repeated by that field.
macro_rules! record {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident called $called:literal
        $(, exactly one of [$($one:ident),+ $(,)?])?
        $(, repeated by $repeat:ident)?
        {
            $( $(#[doc = $field_doc:literal])+ pub $field:ident : $type:ty ),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        pub struct $name {
            /// Where it stands.
            pub here: $crate::fault::At,
            $( $(#[doc = $field_doc])+ pub $field: $type, )+
        }

        impl $name {
            /// The names of its fields, in order.
            pub const FIELDS: &'static [&'static str] =
                &[$( $crate::template::record::field_name(stringify!($field)) ),+];
            const ONE_OF: &'static [&'static str] =
                &[$($( $crate::template::record::field_name(stringify!($one)) ),+)?];
        }

        impl $crate::template::read::Read for $name {
            fn fits(node: &$crate::source::Node) -> bool {
                matches!(node.kind, $crate::source::Kind::Map(_))
            }
            fn expected() -> String {
                $called.into()
            }
            fn read(
                node: &$crate::source::Node,
                reader: &mut $crate::template::read::Reader,
            ) -> Option<Self> {
                let fields = reader.fields(node, $called, Self::FIELDS, Self::ONE_OF)?;
                $(
                    let $field: Option<$type> =
                        reader.field(node, fields, $crate::template::record::field_name(stringify!($field)));
                )+
                Some($name { here: reader.at(node.place), $( $field: $field?, )+ })
            }
            fn visit(&self, visitor: &mut dyn $crate::template::read::Visit) {
                visitor.enter(None $( .or(self.$repeat.as_ref()) )?);
                $( $crate::template::read::Read::visit(&self.$field, visitor); )+
                visitor.leave();
            }
            fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<Self>()
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let properties = vec![$(
                    $crate::template::record::Property {
                        name: $crate::template::record::field_name(stringify!($field)),
                        doc: [$($field_doc),+].concat(),
                        schema: <$type as $crate::template::read::Read>::schema(generator),
                        required: <$type as $crate::template::read::Read>::REQUIRED,
                    }
                ),+];
                $crate::template::record::schema(&[$($doc),+].concat(), properties, Self::ONE_OF)
            }
        }
    };
}
pub(crate) use record;

/// A field as the language spells it: `r#for` is a Rust spelling of `for`.
pub(crate) const fn field_name(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// One field of a record's schema.
pub(crate) struct Property {
    pub name: &'static str,
    pub doc: String,
    pub schema: Schema,
    pub required: bool,
}

/// The schema of a record.
pub(crate) fn schema(doc: &str, properties: Vec<Property>, one_of: &[&str]) -> Schema {
    let required: Vec<&str> =
        properties.iter().filter(|property| property.required).map(|p| p.name).collect();
    let fields: Map<String, Value> = properties
        .into_iter()
        .map(|mut property| {
            property.schema.insert("description".into(), property.doc.trim().into());
            (property.name.to_owned(), property.schema.to_value())
        })
        .collect();
    let mut schema = json_schema!({
        "type": "object",
        "description": doc.trim(),
        "properties": fields,
        "additionalProperties": false
    });
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    if !one_of.is_empty() {
        let choices: Vec<Value> =
            one_of.iter().map(|name| serde_json::json!({ "required": [name] })).collect();
        schema.insert("oneOf".into(), choices.into());
    }
    schema
}
