//! ncnn's text of layers (`.param`) and its file of weights (`.bin`).

use super::{Attribute, Graph, Side, half};

/// The first line of a text of layers.
const MAGIC: &str = "7767517";
/// What stands before weights that are numbers of 16 bits.
const HALVES: u32 = 0x0130_6b47;

/// The ONNX graph of a network of convolutions that ncnn has as these two files. Its input is `data` and its output `output`, both
/// `1 x channels x height x width`.
///
/// # Errors
/// A layer or a setting that is none of the few that super-resolution networks use, or weights that end too soon.
pub(crate) fn to_onnx(layers: &str, weights: &[u8], channels: usize) -> Result<Vec<u8>, String> {
    let mut lines = layers.lines();
    if lines.next().map(str::trim) != Some(MAGIC) {
        return Err("it is no ncnn model".to_owned());
    }
    let mut graph = Graph::default();
    let mut weights = Weights { rest: weights };
    // The number of channels of each value.
    let mut widths = std::collections::BTreeMap::from([("data".to_owned(), channels)]);
    for line in lines.skip(1).filter(|line| !line.trim().is_empty()) {
        let layer = Layer::read(line).ok_or_else(|| format!("it has a broken layer: {line}"))?;
        let unknown = || format!("it has a layer that is not known: {line}");
        let width = |name: &str| widths.get(name).copied().ok_or_else(unknown);
        let (first, output) = (*layer.inputs.first().unwrap_or(&""), layer.outputs[0]);
        let wide = match layer.kind {
            "Input" => {
                let shape = [Side::Is(1), Side::Is(channels), Side::Open("height"), Side::Open("width")];
                graph.input(output, &shape);
                channels
            }
            "MemoryData" => {
                let shape = [1, layer.whole(2, 1)?, layer.whole(1, 1)?, layer.whole(0, 1)?];
                graph.floats(output, &shape, &weights.floats(shape.iter().product())?);
                shape[1]
            }
            "Split" => {
                let wide = width(first)?;
                for output in &layer.outputs {
                    graph.node("Identity", &[first], output, &[]);
                    widths.insert((*output).to_owned(), wide);
                }
                wide
            }
            "Convolution" => {
                let (out, kernel, pad) = (layer.whole(0, 0)?, layer.whole(1, 0)?, layer.whole(4, 0)?);
                let (count, input) = (layer.whole(6, 0)?, width(first)?);
                let plain = [2, 3].iter().all(|key| layer.whole(*key, 1) == Ok(1));
                if !plain || layer.whole(5, 0)? != 1 || Some(count) != area(out, input, kernel) {
                    return Err(unknown());
                }
                let (weight, bias) = (format!("{output}.weight"), format!("{output}.bias"));
                graph.floats(&weight, &[out, input, kernel, kernel], &weights.halves(count)?);
                graph.floats(&bias, &[out], &weights.floats(out)?);
                let pads = [pad as i64; 4];
                graph.node("Conv", &[first, &weight, &bias], output, &[("pads", Attribute::Ints(&pads))]);
                out
            }
            "Swish" => {
                let gate = format!("{output}.gate");
                graph.node("Sigmoid", &[first], &gate, &[]);
                graph.node("Mul", &[first, &gate], output, &[]);
                width(first)?
            }
            "Sigmoid" => {
                graph.node("Sigmoid", &[first], output, &[]);
                width(first)?
            }
            "BinaryOp" => {
                let operator = match layer.whole(0, 0)? {
                    0 => "Add",
                    1 => "Sub",
                    2 => "Mul",
                    3 => "Div",
                    _ => return Err(unknown()),
                };
                let scalar = format!("{output}.scalar");
                let second = match (layer.whole(1, 0)?, layer.inputs.get(1)) {
                    (0, Some(second)) => *second,
                    (1, None) => {
                        graph.floats(&scalar, &[1], &[layer.number(2, 0.0)?]);
                        &scalar
                    }
                    _ => return Err(unknown()),
                };
                graph.node(operator, &[first, second], output, &[]);
                width(first)?
            }
            "Concat" => {
                if layer.whole(0, 0)? != 0 {
                    return Err(unknown());
                }
                graph.node("Concat", &layer.inputs, output, &[("axis", Attribute::Int(1))]);
                let all: Result<Vec<usize>, String> = layer.inputs.iter().map(|name| width(name)).collect();
                all?.iter().sum()
            }
            "PixelShuffle" => {
                let factor = layer.whole(0, 1)?;
                if factor == 0 || layer.whole(1, 0)? != 0 {
                    return Err(unknown());
                }
                let attributes =
                    [("blocksize", Attribute::Int(factor as i64)), ("mode", Attribute::Text("CRD"))];
                graph.node("DepthToSpace", &[first], output, &attributes);
                width(first)? / (factor * factor)
            }
            _ => return Err(unknown()),
        };
        widths.insert(output.to_owned(), wide);
    }
    if !weights.rest.is_empty() {
        return Err("it has weights left over".to_owned());
    }
    graph.output("output");
    Ok(graph.finish("ncnn"))
}

fn area(out: usize, input: usize, kernel: usize) -> Option<usize> {
    out.checked_mul(input)?.checked_mul(kernel)?.checked_mul(kernel)
}

/// A line: kind, name, numbers of inputs and outputs, their names, `key=value` settings.
struct Layer<'a> {
    kind: &'a str,
    inputs: Vec<&'a str>,
    /// At least one.
    outputs: Vec<&'a str>,
    settings: Vec<(usize, &'a str)>,
}

impl<'a> Layer<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let kind = words.next()?;
        let _name = words.next()?;
        let (inputs, outputs): (usize, usize) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        if inputs > 64 || !(1..=64).contains(&outputs) {
            return None;
        }
        let mut take = |count: usize| (0..count).map(|_| words.next()).collect::<Option<Vec<_>>>();
        let (inputs, outputs) = (take(inputs)?, take(outputs)?);
        let settings = words
            .map(|word| word.split_once('=').and_then(|(key, value)| Some((key.parse().ok()?, value))))
            .collect::<Option<Vec<_>>>()?;
        Some(Layer { kind, inputs, outputs, settings })
    }

    fn setting<T: std::str::FromStr>(&self, key: usize, absent: T) -> Result<T, String> {
        match self.settings.iter().find(|(known, _)| *known == key) {
            Some((_, value)) => {
                value.parse().map_err(|_| format!("it has a {} with the setting {key}={value}", self.kind))
            }
            None => Ok(absent),
        }
    }

    fn whole(&self, key: usize, absent: usize) -> Result<usize, String> {
        self.setting(key, absent)
    }

    fn number(&self, key: usize, absent: f32) -> Result<f32, String> {
        self.setting(key, absent)
    }
}

struct Weights<'a> {
    rest: &'a [u8],
}

impl Weights<'_> {
    fn take(&mut self, bytes: Option<usize>) -> Result<&[u8], String> {
        let taken = bytes.and_then(|bytes| self.rest.split_at_checked(bytes));
        let (taken, rest) = taken.ok_or("its weights end too soon")?;
        self.rest = rest;
        Ok(taken)
    }

    fn floats(&mut self, count: usize) -> Result<Vec<f32>, String> {
        let bytes = self.take(count.checked_mul(4))?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn halves(&mut self, count: usize) -> Result<Vec<f32>, String> {
        let mark: [u8; 4] = self.take(Some(4))?.try_into().map_err(|_| "its weights end too soon")?;
        if u32::from_le_bytes(mark) != HALVES {
            return Err("its weights are not numbers of 16 bits".to_owned());
        }
        // Padded to a multiple of four bytes.
        let bytes = self.take(count.checked_mul(2).map(|bytes| bytes.next_multiple_of(4)))?;
        let halves = bytes.as_chunks::<2>().0.iter().take(count);
        Ok(halves.map(|bytes| half(u16::from_le_bytes(*bytes))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convolution() -> Vec<u8> {
        let mut weights = HALVES.to_le_bytes().to_vec();
        weights.extend([0x00, 0x3c, 0x00, 0xc0, 0x00, 0x00, 0, 0]);
        weights.extend(0.5f32.to_le_bytes());
        weights
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let text = "7767517\n2 2\nInput in 0 1 data\nConvolution c 1 1 data output 0=1 1=1 5=1 6=3\n";
        let weights = convolution();
        let onnx = to_onnx(text, &weights, 3).unwrap();
        assert!(onnx.windows(4).any(|four| four == b"Conv"));
        let more = [&weights[..], &[0; 4]].concat();
        for (case, text, weights, expected) in [
            ("another format", "hello", &weights[..], "no ncnn model"),
            (
                "another layer",
                &text.replace("Convolution", "LSTM"),
                &weights,
                "layer that is not known: LSTM",
            ),
            ("a stride", &text.replace("5=1", "5=1 3=2"), &weights, "not known"),
            ("another number of weights", &text.replace("6=3", "6=4"), &weights, "not known"),
            (
                "a number that overflows",
                &text.replace("0=1 ", "0=9223372036854775807 "),
                &weights,
                "not known",
            ),
            (
                "an input that is not there",
                &text.replace("1 1 data output", "1 1 x output"),
                &weights,
                "known",
            ),
            ("too few names", "7767517\n1 1\nConvolution c 9 1 data\n", &weights, "broken layer"),
            ("cut weights", text, &weights[..9], "end too soon"),
            ("more weights", text, &more, "left over"),
        ] {
            let error = to_onnx(text, weights, 3).expect_err(case);
            assert!(error.contains(expected), "{case}: {error}");
        }
    }
}
