//! `policy.onnx`: the policy as a graph of standard operators, <https://github.com/onnx/onnx/blob/main/docs/IR.md>.
//!
//! The messages are those parts of `onnx.proto` that a perceptron needs, declared by hand with the numbers of that file.

use illume_core::Activation;
use prost::Message;

use super::PolicyFile;

/// Version of the file's structure, and of the operators: of 2020, so that old runtimes read them.
const IR_VERSION: i64 = 7;
const OPSET: i64 = 13;

/// `TensorProto.DataType.FLOAT`, `AttributeProto.AttributeType.INT`.
const FLOAT: i32 = 1;
const INT: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(string, tag = "3")]
    producer_version: String,
    #[prost(string, tag = "6")]
    doc_string: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSetIdProto>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSetIdProto {
    /// Empty: the standard operators.
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<AttributeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, optional, tag = "3")]
    i: Option<i64>,
    #[prost(int32, tag = "20")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfoProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<TypeProto>,
    #[prost(string, tag = "3")]
    doc_string: String,
}

#[derive(Clone, PartialEq, Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorTypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorTypeProto {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<DimensionProto>,
}

#[derive(Clone, PartialEq, Message)]
struct DimensionProto {
    #[prost(oneof = "Dimension", tags = "1, 2")]
    value: Option<Dimension>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Dimension {
    #[prost(int64, tag = "1")]
    Size(i64),
    #[prost(string, tag = "2")]
    Name(String),
}

fn tensor(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
    TensorProto {
        dims: shape.iter().map(|n| *n as i64).collect(),
        data_type: FLOAT,
        name: name.into(),
        raw_data: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

/// A matrix `[batch, columns]` that goes in or comes out.
fn matrix(name: &str, columns: usize, meaning: String) -> ValueInfoProto {
    let dim = [Dimension::Name("batch".into()), Dimension::Size(columns as i64)];
    let shape = TensorShapeProto {
        dim: dim.into_iter().map(|d| DimensionProto { value: Some(d) }).collect(),
    };
    ValueInfoProto {
        name: name.into(),
        kind: Some(TypeProto {
            tensor: Some(TensorTypeProto {
                elem_type: FLOAT,
                shape: Some(shape),
            }),
        }),
        doc_string: meaning,
    }
}

impl GraphProto {
    /// Adds a constant; gives its name.
    fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.initializer.push(tensor(name, shape, values));
        name.into()
    }

    /// Adds an operator with one output, which is named after it; gives that name.
    fn apply(&mut self, operator: &str, name: &str, inputs: &[&str], attribute: Option<(&str, i64)>) -> String {
        let attribute = attribute.map(|(name, i)| AttributeProto {
            name: name.into(),
            i: Some(i),
            kind: INT,
        });
        self.node.push(NodeProto {
            input: inputs.iter().map(|i| (*i).into()).collect(),
            output: vec![name.into()],
            name: name.into(),
            op_type: operator.into(),
            attribute: attribute.into_iter().collect(),
        });
        name.into()
    }
}

/// Inputs `observation` `[batch, m]` and, if there are axes, `descriptor` `[batch, k]`, as the task has them; output `action`.
pub(super) fn encode(policy: &PolicyFile) -> Vec<u8> {
    let mut g = GraphProto {
        name: "policy".into(),
        ..GraphProto::default()
    };
    let [m, k] = [policy.observation, policy.axes.len()];
    g.input.push(matrix("observation", m, "as the task gives it".into()));
    let mut x = String::from("observation");
    if let Some(n) = &policy.normalization {
        let mean = g.constant("observation_mean", &[m], &n.mean);
        let sd = g.constant("observation_sd", &[m], &n.sd);
        let low = g.constant("observation_low", &[], &[-n.clip]);
        let high = g.constant("observation_high", &[], &[n.clip]);
        x = g.apply("Sub", "centred", &[&x, &mean], None);
        x = g.apply("Div", "scaled", &[&x, &sd], None);
        x = g.apply("Clip", "normalized", &[&x, &low, &high], None);
    }
    if k > 0 {
        let axis = |a: &illume_core::Axis| format!("{} [{}] from {} to {}", a.name, a.unit, a.lower, a.upper);
        let axes: Vec<String> = policy.axes.iter().map(axis).collect();
        g.input.push(matrix("descriptor", k, axes.join(", ")));
        let (middle, half) = policy.middle_and_half();
        let middle = g.constant("descriptor_middle", &[k], &middle);
        let half = g.constant("descriptor_half", &[k], &half);
        let d = g.apply("Sub", "from_middle", &["descriptor", &middle], None);
        let d = g.apply("Div", "condition", &[&d, &half], None);
        x = g.apply("Concat", "input", &[&x, &d], Some(("axis", 1)));
    }
    let layers = policy.each_layer_transposed();
    let last = layers.len() - 1;
    for (l, (inputs, outputs, weights, bias)) in layers.iter().enumerate() {
        let w = g.constant(&format!("layers.{l}.weight"), &[*outputs, *inputs], weights);
        let b = g.constant(&format!("layers.{l}.bias"), &[*outputs], bias);
        x = g.apply("Gemm", &format!("layers.{l}"), &[&x, &w, &b], Some(("transB", 1)));
        let (operator, name) = match policy.activation {
            _ if l == last => ("Tanh", "action".into()),
            Activation::Tanh => ("Tanh", format!("hidden.{l}")),
            Activation::Relu => ("Relu", format!("hidden.{l}")),
        };
        x = g.apply(operator, &name, &[&x], None);
    }
    let action = policy.layers[policy.layers.len() - 1];
    g.output.push(matrix("action", action, "each number in [-1, 1]".into()));
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "illume".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: format!("a policy for the task {}", policy.task),
        graph: Some(g),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: OPSET,
        }],
    };
    model.encode_to_vec()
}
