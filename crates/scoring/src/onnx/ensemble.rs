//! The attributes of an ensemble as trees.

use std::collections::BTreeMap;

use super::{
    OnnxError, TreeFault,
    graph::{Ensemble, Purpose},
    shown,
    wire::Attribute,
};
use crate::{
    model::{ModelError, NODES_MAX},
    tree::{DEPTH_MAX, Node, Tree},
};

/// The base logit and the trees.
pub(super) fn trees(ensemble: &Ensemble<'_>, n_features: usize) -> Result<(f64, Vec<Tree>), OnnxError> {
    let mut attributes = Attributes::new(ensemble)?;
    let base = attributes.floats("base_values")?.unwrap_or_default();
    attributes.require("base_values", base.len() <= 1, "there is more than one value")?;
    let base = base.first().copied().unwrap_or(0.0);
    let weights = match ensemble.purpose {
        Purpose::Classifier => attributes.classifier()?,
        Purpose::Regressor => attributes.regressor()?,
    };
    let nodes = attributes.nodes()?;
    attributes.finish()?;
    let trees = Grower::new(ensemble, &nodes, &weights, n_features)?.trees()?;
    Ok((f64::from(base), trees))
}

/// The attributes of a node, each taken once.
#[derive(Debug)]
struct Attributes<'a> {
    node: &'a str,
    left: BTreeMap<&'a str, &'a Attribute>,
}

/// The table of nodes, column by column.
#[derive(Debug)]
struct Nodes<'a> {
    trees: &'a [i64],
    ids: &'a [i64],
    features: &'a [i64],
    modes: &'a [Vec<u8>],
    values: &'a [f32],
    on_true: &'a [i64],
    on_false: &'a [i64],
    /// Empty if no node says so.
    missing_on_true: &'a [i64],
}

/// The table of weights, column by column.
#[derive(Debug)]
struct Weights<'a> {
    trees: &'a [i64],
    nodes: &'a [i64],
    weights: &'a [f32],
}

impl<'a> Attributes<'a> {
    fn new(ensemble: &'a Ensemble<'a>) -> Result<Self, OnnxError> {
        let mut attributes = Self { node: &ensemble.name, left: BTreeMap::new() };
        for attribute in &ensemble.node.attribute {
            if attributes.left.insert(&attribute.name, attribute).is_some() {
                return Err(attributes.fault(&attribute.name, "it occurs twice"));
            }
        }
        Ok(attributes)
    }

    fn fault(&self, attribute: &str, fault: &'static str) -> OnnxError {
        OnnxError::Attribute { node: self.node.to_owned(), attribute: shown(attribute), fault }
    }

    fn require(&self, attribute: &str, holds: bool, fault: &'static str) -> Result<(), OnnxError> {
        if holds { Ok(()) } else { Err(self.fault(attribute, fault)) }
    }

    /// Takes an attribute of the type with that number.
    fn take(&mut self, name: &str, r#type: i32) -> Result<Option<&'a Attribute>, OnnxError> {
        let Some(attribute) = self.left.remove(name) else { return Ok(None) };
        self.require(name, attribute.r#type == r#type, "it has another type")?;
        Ok(Some(attribute))
    }

    fn int(&mut self, name: &str) -> Result<Option<i64>, OnnxError> {
        Ok(self.take(name, 2)?.map(|attribute| attribute.i))
    }

    fn text(&mut self, name: &str) -> Result<Option<&'a [u8]>, OnnxError> {
        Ok(self.take(name, 3)?.map(|attribute| attribute.s.as_slice()))
    }

    fn floats(&mut self, name: &str) -> Result<Option<&'a [f32]>, OnnxError> {
        Ok(self.take(name, 6)?.map(|attribute| attribute.floats.as_slice()))
    }

    fn ints(&mut self, name: &str) -> Result<Option<&'a [i64]>, OnnxError> {
        Ok(self.take(name, 7)?.map(|attribute| attribute.ints.as_slice()))
    }

    fn texts(&mut self, name: &str) -> Result<Option<&'a [Vec<u8>]>, OnnxError> {
        Ok(self.take(name, 8)?.map(|attribute| attribute.strings.as_slice()))
    }

    /// Takes an attribute that must be there, one value for each row of a table.
    fn column<T>(
        &mut self,
        name: &str,
        rows: usize,
        take: impl FnOnce(&mut Self, &str) -> Result<Option<&'a [T]>, OnnxError>,
    ) -> Result<&'a [T], OnnxError> {
        let Some(values) = take(self, name)? else { return Err(self.fault(name, "it is missing")) };
        self.require(name, values.len() == rows, "it has another length than the others")?;
        Ok(values)
    }

    fn nodes(&mut self) -> Result<Nodes<'a>, OnnxError> {
        let Some(trees) = self.ints("nodes_treeids")? else {
            return Err(self.fault("nodes_treeids", "it is missing"));
        };
        let rows = trees.len();
        if rows > NODES_MAX {
            return Err(ModelError::TooManyNodes.into());
        }
        let missing_on_true = match self.ints("nodes_missing_value_tracks_true")? {
            None | Some([]) => &[],
            Some(flags) => {
                let holds = flags.len() == rows && flags.iter().all(|flag| matches!(flag, 0 | 1));
                self.require("nodes_missing_value_tracks_true", holds, "it is not one 0 or 1 for each node")?;
                flags
            }
        };
        // How often nodes were reached, if the one who exported knew; nobody does.
        let _hit_rates = self.floats("nodes_hitrates")?;
        Ok(Nodes {
            trees,
            ids: self.column("nodes_nodeids", rows, Self::ints)?,
            features: self.column("nodes_featureids", rows, Self::ints)?,
            modes: self.column("nodes_modes", rows, Self::texts)?,
            values: self.column("nodes_values", rows, Self::floats)?,
            on_true: self.column("nodes_truenodeids", rows, Self::ints)?,
            on_false: self.column("nodes_falsenodeids", rows, Self::ints)?,
            missing_on_true,
        })
    }

    fn classifier(&mut self) -> Result<Weights<'a>, OnnxError> {
        let labels = match (self.ints("classlabels_int64s")?, self.texts("classlabels_strings")?) {
            (Some(labels), None) => labels.len(),
            (None, Some(labels)) => labels.len(),
            _ => return Err(self.fault("classlabels_int64s", "labels are neither numbers nor texts")),
        };
        self.require("classlabels_int64s", labels == 2, "there are not two classes")?;
        let is_logistic = self.text("post_transform")? == Some(b"LOGISTIC");
        self.require("post_transform", is_logistic, "only LOGISTIC says that the sum is a logit")?;
        let Some(classes) = self.ints("class_ids")? else {
            return Err(self.fault("class_ids", "it is missing"));
        };
        // Runtimes forget the base value where the one class that has weights is the second.
        let is_first = classes.iter().all(|class| *class == 0);
        self.require(
            "class_ids",
            is_first,
            "of two classes one sum is the second's, and is written as class 0",
        )?;
        let weights = self.column("class_weights", classes.len(), Self::floats)?;
        Ok(Weights {
            trees: self.column("class_treeids", classes.len(), Self::ints)?,
            nodes: self.column("class_nodeids", classes.len(), Self::ints)?,
            weights,
        })
    }

    fn regressor(&mut self) -> Result<Weights<'a>, OnnxError> {
        let transform = self.text("post_transform")?;
        let is_known = matches!(transform, None | Some(b"NONE" | b"LOGISTIC"));
        self.require("post_transform", is_known, "only NONE and LOGISTIC can be imported")?;
        let is_sum = matches!(self.text("aggregate_function")?, None | Some(b"SUM"));
        self.require("aggregate_function", is_sum, "only SUM can be imported")?;
        let n_targets = self.int("n_targets")?;
        self.require("n_targets", n_targets == Some(1), "there is not one target")?;
        let Some(targets) = self.ints("target_ids")? else {
            return Err(self.fault("target_ids", "it is missing"));
        };
        self.require("target_ids", targets.iter().all(|target| *target == 0), "there is not one target")?;
        Ok(Weights {
            trees: self.column("target_treeids", targets.len(), Self::ints)?,
            nodes: self.column("target_nodeids", targets.len(), Self::ints)?,
            weights: self.column("target_weights", targets.len(), Self::floats)?,
        })
    }

    /// Refuses what nobody took.
    fn finish(self) -> Result<(), OnnxError> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.fault(name, "it cannot be imported")),
        }
    }
}

/// Grows trees from the tables.
#[derive(Debug)]
struct Grower<'a> {
    ensemble: &'a Ensemble<'a>,
    nodes: &'a Nodes<'a>,
    n_features: usize,
    /// Rows of the table of nodes by number of tree and node.
    rows: BTreeMap<(i64, i64), usize>,
    /// By row.
    weights: Vec<Option<f32>>,
    /// By row: whether a way led there.
    visited: Vec<bool>,
}

impl<'a> Grower<'a> {
    fn new(
        ensemble: &'a Ensemble<'a>,
        nodes: &'a Nodes<'a>,
        weights: &Weights<'_>,
        n_features: usize,
    ) -> Result<Self, OnnxError> {
        let count = nodes.trees.len();
        let mut grower = Self {
            ensemble,
            nodes,
            n_features,
            rows: BTreeMap::new(),
            weights: vec![None; count],
            visited: vec![false; count],
        };
        for (row, (&tree, &id)) in nodes.trees.iter().zip(nodes.ids).enumerate() {
            if grower.rows.insert((tree, id), row).is_some() {
                return Err(grower.fault(tree, id, TreeFault::NumberTwice));
            }
        }
        for ((&tree, &id), &weight) in weights.trees.iter().zip(weights.nodes).zip(weights.weights) {
            let row = grower.rows.get(&(tree, id)).copied().filter(|row| nodes.modes[*row] == b"LEAF");
            let Some(row) = row else { return Err(grower.fault(tree, id, TreeFault::NoLeaf)) };
            if grower.weights[row].replace(weight).is_some() {
                return Err(grower.fault(tree, id, TreeFault::WeightTwice));
            }
        }
        Ok(grower)
    }

    fn fault(&self, tree: i64, id: i64, fault: TreeFault) -> OnnxError {
        OnnxError::Tree { node: self.ensemble.name.clone(), tree, id, fault }
    }

    /// The trees in the order in which their first nodes stand in the table; that node is the root.
    fn trees(mut self) -> Result<Vec<Tree>, OnnxError> {
        let mut trees = Vec::new();
        let mut begun = std::collections::BTreeSet::new();
        for (row, &tree) in self.nodes.trees.iter().enumerate() {
            if begun.insert(tree) {
                let mut nodes = Vec::new();
                self.grow(row, 0, &mut nodes)?;
                let made = Tree::new(nodes, self.n_features).map_err(|(node, error)| ModelError::Tree {
                    tree: trees.len(),
                    node,
                    error,
                })?;
                trees.push(made);
            }
        }
        if let Some(row) = self.visited.iter().position(|visited| !visited) {
            return Err(self.fault(self.nodes.trees[row], self.nodes.ids[row], TreeFault::Unreachable));
        }
        Ok(trees)
    }

    /// Appends the subtree at a row of the table; how many leaves it has.
    fn grow(&mut self, row: usize, level: u8, grown: &mut Vec<Node>) -> Result<u64, OnnxError> {
        let (tree, id) = (self.nodes.trees[row], self.nodes.ids[row]);
        let refuse = |grower: &Self, fault| Err(grower.fault(tree, id, fault));
        if std::mem::replace(&mut self.visited[row], true) {
            return refuse(self, TreeFault::VisitedTwice);
        }
        let value = self.nodes.values[row];
        // Whether the row goes to the true child if it is at most the threshold, and whether that itself is left out.
        let (left_on_true, is_strict) = match self.nodes.modes[row].as_slice() {
            b"LEAF" => {
                let Some(value) = self.weights[row] else { return refuse(self, TreeFault::NoWeight) };
                if !value.is_finite() {
                    return refuse(self, TreeFault::Number);
                }
                grown.push(Node::Leaf { value, cover: 1 });
                return Ok(1);
            }
            b"BRANCH_LEQ" => (true, false),
            b"BRANCH_LT" => (true, true),
            b"BRANCH_GT" => (false, false),
            b"BRANCH_GTE" => (false, true),
            _ => return refuse(self, TreeFault::Mode),
        };
        if level == DEPTH_MAX {
            return refuse(self, TreeFault::TooDeep);
        }
        let threshold = if is_strict { value.next_down() } else { value };
        if !value.is_finite() || !threshold.is_finite() {
            return refuse(self, TreeFault::Number);
        }
        let column = self.nodes.features[row];
        let feature = u8::try_from(column).ok().filter(|feature| usize::from(*feature) < self.n_features);
        let Some(feature) = feature else { return refuse(self, TreeFault::NoFeature(column)) };
        let missing_on_true = self.nodes.missing_on_true.get(row) == Some(&1);
        let (on_true, on_false) = (self.nodes.on_true[row], self.nodes.on_false[row]);
        let (left, right) = if left_on_true { (on_true, on_false) } else { (on_false, on_true) };

        let at = grown.len();
        let mut split = Node::Leaf { value: 0.0, cover: 1 };
        grown.push(split);
        let mut leaves = 0;
        let mut second = 0;
        for child in [left, right] {
            let Some(&next) = self.rows.get(&(tree, child)) else {
                return refuse(self, TreeFault::ChildMissing(child));
            };
            second = grown.len();
            leaves += self.grow(next, level + 1, grown)?;
        }
        split = Node::Split {
            feature,
            threshold,
            missing_left: missing_on_true == left_on_true,
            gain: 0.0,
            right: u32::try_from(second).unwrap_or(u32::MAX), // nodes are within NODES_MAX
            cover: leaves,
        };
        grown[at] = split;
        Ok(leaves)
    }
}
