//! ONNX graphs made in memory, for models that come in another format.

mod ncnn;
mod tflite;

pub(crate) use ncnn::to_onnx as from_ncnn;
pub(crate) use tflite::to_onnx as from_tflite;

/// The version of the operators that are used (`ai.onnx` 13).
const OPSET: u64 = 13;
/// The version of the file format that goes with it.
const IR_VERSION: u64 = 7;

/// An ONNX graph as it grows, in the encoding of Protocol Buffers; field numbers are those of `onnx.proto3`.
#[derive(Default)]
pub(crate) struct Graph {
    bytes: Vec<u8>,
}

/// An attribute of a node.
pub(crate) enum Attribute<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Text(&'a str),
}

/// One side of a tensor: known, or known when it runs.
pub(crate) enum Side<'a> {
    Is(usize),
    Open(&'a str),
}

impl Graph {
    /// A computation (`GraphProto.node`).
    pub(crate) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, Attribute<'_>)],
    ) {
        let mut node = Vec::new();
        inputs.iter().for_each(|name| field(&mut node, 1, name.as_bytes()));
        field(&mut node, 2, output.as_bytes());
        field(&mut node, 4, operator.as_bytes());
        for (name, value) in attributes {
            let mut attribute = Vec::new();
            field(&mut attribute, 1, name.as_bytes());
            // `AttributeProto.type` is field 20.
            match value {
                Attribute::Int(number) => {
                    number_field(&mut attribute, 3, *number as u64);
                    number_field(&mut attribute, 20, 2);
                }
                Attribute::Text(text) => {
                    field(&mut attribute, 4, text.as_bytes());
                    number_field(&mut attribute, 20, 3);
                }
                Attribute::Ints(numbers) => {
                    numbers.iter().for_each(|number| number_field(&mut attribute, 8, *number as u64));
                    number_field(&mut attribute, 20, 7);
                }
            }
            field(&mut node, 5, &attribute);
        }
        field(&mut self.bytes, 1, &node);
    }

    /// Numbers that are part of the model (`GraphProto.initializer`).
    pub(crate) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, shape, 1, &raw);
    }

    /// Whole numbers that are part of the model.
    pub(crate) fn integers(&mut self, name: &str, values: &[i64]) {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, &[values.len()], 7, &raw);
    }

    fn tensor(&mut self, name: &str, shape: &[usize], data_type: u64, raw: &[u8]) {
        let mut tensor = Vec::new();
        shape.iter().for_each(|side| number_field(&mut tensor, 1, *side as u64));
        number_field(&mut tensor, 2, data_type);
        field(&mut tensor, 8, name.as_bytes());
        field(&mut tensor, 9, raw);
        field(&mut self.bytes, 5, &tensor);
    }

    /// What it is given.
    pub(crate) fn input(&mut self, name: &str, shape: &[Side<'_>]) {
        self.value(11, name, Some(shape));
    }

    /// What it gives.
    pub(crate) fn output(&mut self, name: &str) {
        self.value(12, name, None);
    }

    fn value(&mut self, number: u64, name: &str, shape: Option<&[Side<'_>]>) {
        let mut tensor = Vec::new();
        // `TypeProto.Tensor.elem_type`: 1 is a float of 32 bits.
        number_field(&mut tensor, 1, 1);
        if let Some(shape) = shape {
            let mut sides = Vec::new();
            for side in shape {
                let mut dimension = Vec::new();
                match side {
                    Side::Is(length) => number_field(&mut dimension, 1, *length as u64),
                    Side::Open(name) => field(&mut dimension, 2, name.as_bytes()),
                }
                field(&mut sides, 1, &dimension);
            }
            field(&mut tensor, 2, &sides);
        }
        let (mut kind, mut value) = (Vec::new(), Vec::new());
        field(&mut kind, 1, &tensor);
        field(&mut value, 1, name.as_bytes());
        field(&mut value, 2, &kind);
        field(&mut self.bytes, number, &value);
    }

    /// The whole file (`ModelProto`).
    pub(crate) fn finish(mut self, name: &str) -> Vec<u8> {
        field(&mut self.bytes, 2, name.as_bytes());
        let (mut model, mut operators) = (Vec::new(), Vec::new());
        number_field(&mut model, 1, IR_VERSION);
        field(&mut model, 7, &self.bytes);
        number_field(&mut operators, 2, OPSET);
        field(&mut model, 8, &operators);
        model
    }
}

/// A field that holds bytes: a text, or a message.
fn field(into: &mut Vec<u8>, number: u64, content: &[u8]) {
    varint(into, number << 3 | 2);
    varint(into, content.len() as u64);
    into.extend_from_slice(content);
}

fn number_field(into: &mut Vec<u8>, number: u64, value: u64) {
    varint(into, number << 3);
    varint(into, value);
}

fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// A number of 16 bits (IEEE 754 binary16) as one of 32.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1f), u32::from(bits & 0x3ff));
    match exponent {
        // A subnormal number is its fraction times 2^-24, which is exact.
        0 => f32::from_bits(sign | (fraction as f32 / 16_777_216.0).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:#x}");
        }
    }

    #[test]
    fn fields_are_protocol_buffers() {
        let mut bytes = Vec::new();
        field(&mut bytes, 2, b"testing");
        number_field(&mut bytes, 1, 150);
        // The examples of the encoding's documentation.
        assert_eq!(bytes, [0x12, 7, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67, 0x08, 0x96, 0x01]);
    }
}
