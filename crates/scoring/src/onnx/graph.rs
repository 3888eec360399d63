//! The graph of a file: one ensemble on the input, and behind it only what changes no score.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    OnnxError, shown,
    wire::{Graph, Model, Node, Tensor},
};

/// The operator set of the ensembles.
const ML_DOMAIN: &str = "ai.onnx.ml";
/// Versions of it that have these ensembles.
const ML_VERSIONS: std::ops::RangeInclusive<i64> = 1..=5;
/// `f32`, in types and tensors.
const FLOAT: i32 = 1;

/// What an ensemble is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Classifier,
    Regressor,
}

/// The ensemble of a file.
#[derive(Debug)]
pub(super) struct Ensemble<'a> {
    pub(super) purpose: Purpose,
    /// As errors show it.
    pub(super) name: String,
    pub(super) node: &'a Node,
}

/// What a value in the graph is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Label,
    Score,
}

/// The one ensemble of the file.
pub(super) fn ensemble(file: &Model, n_features: usize) -> Result<Ensemble<'_>, OnnxError> {
    let fault = |part, fault| Err(OnnxError::File { part, fault });
    let Some(graph) = &file.graph else { return fault("graph", "there is none") };
    if !file.functions.is_empty() {
        return fault("functions", "a file with functions of its own cannot be imported");
    }
    if !file.training_info.is_empty() {
        return fault("training information", "a file that is to be trained on cannot be imported");
    }
    if !graph.sparse_initializer.is_empty() {
        return fault("sparse initializers", "they cannot be imported");
    }
    let mut versions = file.opset_import.iter().filter(|opset| opset.domain == ML_DOMAIN).peekable();
    if versions.peek().is_none() || !versions.all(|opset| ML_VERSIONS.contains(&opset.version)) {
        return fault("operator sets", "ai.onnx.ml is needed in a version from 1 to 5");
    }
    let input = input(graph, n_features)?;

    let mut found: Option<Ensemble<'_>> = None;
    let mut roles: BTreeMap<&str, Role> = BTreeMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        let name = if node.name.is_empty() { format!("#{index}") } else { shown(&node.name) };
        let refuse = |fault| OnnxError::Node { node: name.clone(), op: shown(&node.op_type), fault };
        let role = match (node.domain.as_str(), node.op_type.as_str()) {
            (ML_DOMAIN, op @ ("TreeEnsembleClassifier" | "TreeEnsembleRegressor")) => {
                if found.is_some() {
                    return Err(refuse("there is more than one ensemble"));
                }
                if node.input != [input] {
                    return Err(refuse("it does not read the input of the graph as it is"));
                }
                let purpose =
                    if op == "TreeEnsembleClassifier" { Purpose::Classifier } else { Purpose::Regressor };
                let own: &[Role] = match purpose {
                    Purpose::Classifier => &[Role::Label, Role::Score],
                    Purpose::Regressor => &[Role::Score],
                };
                if node.output.len() > own.len() {
                    return Err(refuse("it has too many outputs"));
                }
                for (output, role) in node.output.iter().zip(own) {
                    name_value(&mut roles, input, output, *role).map_err(&refuse)?;
                }
                found = Some(Ensemble { purpose, name, node });
                continue;
            }
            (domain, op) => passes(graph, &roles, node, domain, op)
                .ok_or_else(|| refuse("it cannot be imported, or not where it stands"))?,
        };
        let [output] = node.output.as_slice() else { return Err(refuse("it has not one output")) };
        name_value(&mut roles, input, output, role).map_err(&refuse)?;
    }
    let Some(found) = found else { return fault("graph", "there is no ensemble of trees in it") };
    if !graph.output.iter().any(|output| roles.get(output.name.as_str()) == Some(&Role::Score)) {
        return fault("graph", "the score is not among its outputs");
    }
    Ok(found)
}

/// The name of the one input that is no constant.
fn input(graph: &Graph, n_features: usize) -> Result<&str, OnnxError> {
    let fault = |fault| Err(OnnxError::File { part: "input", fault });
    let constants: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let mut inputs = graph.input.iter().filter(|input| !constants.contains(input.name.as_str()));
    let (Some(input), None) = (inputs.next(), inputs.next()) else {
        return fault("there is not exactly one");
    };
    let tensor = input.r#type.as_ref().and_then(|r#type| r#type.tensor_type.as_ref());
    let Some(tensor) = tensor.filter(|tensor| tensor.elem_type == FLOAT) else {
        return fault("it is no tensor of 32-bit floats");
    };
    if let Some(shape) = &tensor.shape {
        let [_, columns] = shape.dim.as_slice() else { return fault("it has not two dimensions") };
        if columns.dim_value.is_some_and(|columns| usize::try_from(columns) != Ok(n_features)) {
            return fault("it has another number of columns than there are features");
        }
    }
    Ok(&input.name)
}

/// What comes out of a node that leaves scores as they are.
fn passes(graph: &Graph, roles: &BTreeMap<&str, Role>, node: &Node, domain: &str, op: &str) -> Option<Role> {
    let role = |index: usize| node.input.get(index).and_then(|name| roles.get(name.as_str())).copied();
    let is_one = |index: usize| {
        let name = node.input.get(index);
        graph.initializer.iter().any(|tensor| Some(&tensor.name) == name && is_one(tensor))
    };
    match (domain, op, node.input.len()) {
        ("" | "ai.onnx", "Identity", 1) => role(0),
        ("" | "ai.onnx", "Cast", 1) => role(0).filter(|role| *role == Role::Label),
        ("" | "ai.onnx", "Mul", 2) => {
            let score = if is_one(1) { role(0) } else { role(1).filter(|_| is_one(0)) };
            score.filter(|role| *role == Role::Score)
        }
        (ML_DOMAIN, "ZipMap", 1) => role(0).filter(|role| *role == Role::Score),
        _ => None,
    }
}

/// Whether a constant is a single 1.
fn is_one(tensor: &Tensor) -> bool {
    let value = match (tensor.float_data.as_slice(), tensor.raw_data.as_slice()) {
        (&[value], []) => value,
        ([], raw) => match raw.try_into() {
            Ok(raw) => f32::from_le_bytes(raw),
            Err(_) => return false,
        },
        _ => return false,
    };
    tensor.data_type == FLOAT && tensor.dims.iter().all(|dim| *dim == 1) && value == 1.0
}

fn name_value<'a>(
    roles: &mut BTreeMap<&'a str, Role>,
    input: &str,
    output: &'a str,
    role: Role,
) -> Result<(), &'static str> {
    if output == input || roles.insert(output, role).is_some() {
        return Err("its output has the name of another value");
    }
    Ok(())
}
