//! TensorFlow Lite's models: a FlatBuffer; field numbers are those of `schema.fbs`, version 3.

use super::{Attribute, Graph, Side, half};

/// The names of builtin operators that are known, by their number.
const ADD: i32 = 0;
const CONCATENATION: i32 = 2;
const CONV_2D: i32 = 3;
const DEPTHWISE_CONV_2D: i32 = 4;
const DEQUANTIZE: i32 = 6;
const MAX_POOL_2D: i32 = 17;
const RELU: i32 = 19;
const RESHAPE: i32 = 22;
const PAD: i32 = 34;

/// The ONNX graph of a convolutional network with one picture as its input. What has four sides is `1 x channels x height x width`
/// instead of `1 x height x width x channels`; names stay, outputs that have fewer sides are as they were.
///
/// # Errors
/// A file that is broken, or an operator or setting that is none of the few that face detectors use.
pub(crate) fn to_onnx(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let broken = || "it is no TensorFlow Lite model, or a broken one".to_owned();
    let file = File(bytes);
    let model = file.table(0).ok_or_else(broken)?;
    let codes: Vec<i32> = model
        .tables(1)
        .ok_or_else(broken)?
        .iter()
        // The number's first home had too few bits; the larger of the two counts.
        .map(|code| i32::from(code.byte(0).unwrap_or(0)).max(code.int(3).unwrap_or(0)))
        .collect();
    let graphs = model.tables(2).ok_or_else(broken)?;
    let main = graphs.first().ok_or_else(broken)?;
    let tensors = main.tables(0).ok_or_else(broken)?;
    let buffers = model.tables(4).ok_or_else(broken)?;
    let reader = Tensors { tensors, buffers };
    let mut graph = Graph::default();
    for index in main.ints(1).ok_or_else(broken)? {
        let shape = reader.shape(index).filter(|shape| shape.len() == 4).ok_or_else(broken)?;
        let order = [shape[0], shape[3], shape[1], shape[2]];
        graph.input(&reader.name(index).ok_or_else(broken)?, &order.map(Side::Is));
    }
    // What is constant, by the tensor that holds it once it is unpacked.
    let mut constants = std::collections::BTreeMap::new();
    for operator in main.tables(3).ok_or_else(broken)? {
        let code = *codes.get(operator.int(0).unwrap_or(0) as usize).ok_or_else(broken)?;
        let (inputs, outputs) = (operator.ints(1).ok_or_else(broken)?, operator.ints(2).ok_or_else(broken)?);
        let (input, output) = (*inputs.first().ok_or_else(broken)?, *outputs.first().ok_or_else(broken)?);
        if code == DEQUANTIZE {
            constants.insert(output, reader.halves(input).ok_or_else(broken)?);
            continue;
        }
        let (from, to) = (reader.name(input).ok_or_else(broken)?, reader.name(output).ok_or_else(broken)?);
        let options = operator.sub(4);
        let option = |field: usize, absent: i32| match &options {
            Some(options) => options.int(field).unwrap_or(absent),
            None => absent,
        };
        let small = |field: usize| options.as_ref().and_then(|options| options.byte(field)).unwrap_or(0);
        let padding = Attribute::Text(if small(0) == 0 { "SAME_UPPER" } else { "VALID" });
        let strides = [i64::from(option(2, 1)), i64::from(option(1, 1))];
        // A fused activation is a node of its own here.
        let fused = match code {
            CONV_2D => small(3),
            DEPTHWISE_CONV_2D => small(4),
            ADD => small(0),
            MAX_POOL_2D => small(5),
            _ => 0,
        };
        let before = format!("{to}.before");
        let place = match fused {
            0 => &to,
            1 => &before,
            _ => return Err("it has an activation that is not known".to_owned()),
        };
        match code {
            CONV_2D | DEPTHWISE_CONV_2D => {
                let (weight, bias) = (*inputs.get(1).ok_or_else(broken)?, *inputs.get(2).ok_or_else(broken)?);
                let shape = reader.shape(weight).filter(|shape| shape.len() == 4).ok_or_else(broken)?;
                let values = constants.get(&weight).ok_or_else(broken)?;
                let turned = turned(values, &shape, code == DEPTHWISE_CONV_2D).ok_or_else(broken)?;
                let (weights, biases) = (format!("{to}.weight"), format!("{to}.bias"));
                let (order, groups) = match code {
                    CONV_2D => ([shape[0], shape[3], shape[1], shape[2]], 1),
                    _ => ([shape[3], 1, shape[1], shape[2]], shape[3]),
                };
                graph.floats(&weights, &order, &turned);
                let bias = constants.get(&bias).ok_or_else(broken)?;
                graph.floats(&biases, &[bias.len()], bias);
                let attributes = [
                    ("auto_pad", padding),
                    ("strides", Attribute::Ints(&strides)),
                    ("group", Attribute::Int(groups as i64)),
                ];
                graph.node("Conv", &[&from, &weights, &biases], place, &attributes);
            }
            MAX_POOL_2D => {
                let window = [i64::from(option(4, 1)), i64::from(option(3, 1))];
                let attributes = [
                    ("auto_pad", padding),
                    ("strides", Attribute::Ints(&strides)),
                    ("kernel_shape", Attribute::Ints(&window)),
                ];
                graph.node("MaxPool", &[&from], place, &attributes);
            }
            ADD => {
                let second = reader.name(*inputs.get(1).ok_or_else(broken)?).ok_or_else(broken)?;
                graph.node("Add", &[&from, &second], place, &[]);
            }
            RELU => graph.node("Relu", &[&from], place, &[]),
            PAD => {
                let pairs = reader.integers(*inputs.get(1).ok_or_else(broken)?).ok_or_else(broken)?;
                if pairs.len() != 8 {
                    return Err(broken());
                }
                // Batch, channels, height, width: what is put before, then what is put behind.
                let order = [0, 3, 1, 2];
                let sides = |end: usize| order.map(|side| i64::from(pairs[side * 2 + end]));
                let pads = format!("{to}.pads");
                graph.integers(&pads, &[sides(0), sides(1)].concat());
                graph.node("Pad", &[&from, &pads], place, &[]);
            }
            RESHAPE => {
                let shape = reader.shape(output).ok_or_else(broken)?;
                let (source, sides) = (format!("{to}.source"), format!("{to}.shape"));
                graph.node("Transpose", &[&from], &source, &[("perm", Attribute::Ints(&[0, 2, 3, 1]))]);
                graph.integers(&sides, &shape.iter().map(|side| *side as i64).collect::<Vec<_>>());
                graph.node("Reshape", &[&source, &sides], place, &[]);
            }
            CONCATENATION if reader.shape(output).is_some_and(|shape| shape.len() == 3) => {
                let names: Option<Vec<String>> = inputs.iter().map(|input| reader.name(*input)).collect();
                let names = names.ok_or_else(broken)?;
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                graph.node("Concat", &names, place, &[("axis", Attribute::Int(i64::from(option(0, 0))))]);
            }
            _ => return Err(format!("it has an operator that is not known, number {code}")),
        }
        if fused == 1 {
            graph.node("Relu", &[&before], &to, &[]);
        }
    }
    for index in main.ints(2).ok_or_else(broken)? {
        graph.output(&reader.name(index).ok_or_else(broken)?);
    }
    Ok(graph.finish("tflite"))
}

/// Weights in ONNX's order. Those of a convolution come by output, row, column, input; those of one that keeps channels apart by
/// row, column, channel.
fn turned(values: &[f32], shape: &[usize], apart: bool) -> Option<Vec<f32>> {
    let [outputs, rows, columns, inputs] = *shape else { return None };
    if values.len() != outputs.checked_mul(rows)?.checked_mul(columns)?.checked_mul(inputs)? {
        return None;
    }
    if apart && outputs != 1 {
        return None;
    }
    let mut turned = Vec::with_capacity(values.len());
    for output in 0..outputs {
        for input in 0..inputs {
            for place in 0..rows * columns {
                turned.push(values[(output * rows * columns + place) * inputs + input]);
            }
        }
    }
    Some(turned)
}

struct Tensors<'a> {
    tensors: Vec<Table<'a>>,
    buffers: Vec<Table<'a>>,
}

impl<'a> Tensors<'a> {
    fn get(&self, index: i32) -> Option<&Table<'a>> {
        self.tensors.get(usize::try_from(index).ok()?)
    }

    /// Unlike its own name this one is unique.
    fn name(&self, index: i32) -> Option<String> {
        self.get(index).map(|tensor| match tensor.text(3) {
            Some(name) if matches!(name, "input" | "regressors" | "classificators") => name.to_owned(),
            _ => format!("t{index}"),
        })
    }

    fn shape(&self, index: i32) -> Option<Vec<usize>> {
        let sides = self.get(index)?.ints(0)?;
        sides.iter().map(|side| usize::try_from(*side).ok().filter(|side| *side <= 1 << 16)).collect()
    }

    fn data(&self, index: i32) -> Option<&'a [u8]> {
        let buffer = self.get(index)?.int(2)?;
        self.buffers.get(usize::try_from(buffer).ok()?)?.bytes(0)
    }

    fn halves(&self, index: i32) -> Option<Vec<f32>> {
        // `TensorType.FLOAT16`
        if self.get(index)?.byte(1) != Some(1) {
            return None;
        }
        let chunks = self.data(index)?.as_chunks::<2>().0;
        Some(chunks.iter().map(|bytes| half(u16::from_le_bytes(*bytes))).collect())
    }

    fn integers(&self, index: i32) -> Option<Vec<i32>> {
        let chunks = self.data(index)?.as_chunks::<4>().0;
        Some(chunks.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
    }
}

/// A FlatBuffer. Every place is looked at before it is read, so that a broken file is refused.
#[derive(Clone, Copy)]
struct File<'a>(&'a [u8]);

impl<'a> File<'a> {
    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk::<N>().copied()
    }

    fn int(self, at: usize) -> Option<i32> {
        self.array(at).map(i32::from_le_bytes)
    }

    /// Where the offset at `at` leads.
    fn follow(self, at: usize) -> Option<usize> {
        at.checked_add(self.array(at).map(u32::from_le_bytes)? as usize)
    }

    /// The table that the offset at `at` leads to.
    fn table(self, at: usize) -> Option<Table<'a>> {
        let at = self.follow(at)?;
        let fields = i64::try_from(at).ok()? - i64::from(self.int(at)?);
        let fields = usize::try_from(fields).ok()?;
        let length = usize::from(u16::from_le_bytes(self.array(fields)?));
        Some(Table { file: self, at, fields, length })
    }
}

struct Table<'a> {
    file: File<'a>,
    at: usize,
    /// Where the list of its fields is, and how long that list is in bytes.
    fields: usize,
    length: usize,
}

impl<'a> Table<'a> {
    /// Where the field is; `None` when it has its default.
    fn place(&self, field: usize) -> Option<usize> {
        let entry = 4 + 2 * field;
        if entry + 2 > self.length {
            return None;
        }
        let offset = u16::from_le_bytes(self.file.array(self.fields + entry)?);
        (offset != 0).then(|| self.at + usize::from(offset))
    }

    fn byte(&self, field: usize) -> Option<i8> {
        self.file.array::<1>(self.place(field)?).map(i8::from_le_bytes)
    }

    fn int(&self, field: usize) -> Option<i32> {
        self.file.int(self.place(field)?)
    }

    fn sub(&self, field: usize) -> Option<Table<'a>> {
        self.file.table(self.place(field)?)
    }

    /// Where the list's first entry is, and how many there are.
    fn list(&self, field: usize, size: usize) -> Option<(usize, usize)> {
        let at = self.file.follow(self.place(field)?)?;
        let count = u32::from_le_bytes(self.file.array(at)?) as usize;
        self.file.0.get(at + 4..at.checked_add(4)?.checked_add(count.checked_mul(size)?)?)?;
        Some((at + 4, count))
    }

    fn bytes(&self, field: usize) -> Option<&'a [u8]> {
        let (at, count) = self.list(field, 1)?;
        self.file.0.get(at..at + count)
    }

    fn text(&self, field: usize) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(field)?).ok()
    }

    fn ints(&self, field: usize) -> Option<Vec<i32>> {
        let (at, count) = self.list(field, 4)?;
        (0..count).map(|index| self.file.int(at + 4 * index)).collect()
    }

    fn tables(&self, field: usize) -> Option<Vec<Table<'a>>> {
        let (at, count) = self.list(field, 4)?;
        (0..count).map(|index| self.file.table(at + 4 * index)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_files_are_refused() {
        for bytes in [&b""[..], b"TFL3", &[0xff; 64], &[0; 64], b"\x08\0\0\0TFL3\x04\0\0\0\xff\xff\xff\x7f"] {
            assert!(to_onnx(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn weights_change_their_order() {
        // Two outputs, one row, two columns, three inputs.
        let values: Vec<f32> = (0..12u8).map(f32::from).collect();
        let expected = [0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 6.0, 9.0, 7.0, 10.0, 8.0, 11.0];
        assert_eq!(turned(&values, &[2, 1, 2, 3], false).unwrap(), expected);
        assert_eq!(turned(&values[..6], &[1, 1, 2, 3], true).unwrap(), expected[..6]);
        assert!(turned(&values, &[2, 1, 2, 4], false).is_none());
        assert!(turned(&values, &[2, 1, 2, 3], true).is_none());
    }
}
