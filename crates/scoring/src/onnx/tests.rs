use prost::Message as _;

use super::{
    wire::{
        Attribute, Dim, Graph, Model as File, Node, Opset, Shape, Tensor, TensorType, ValueInfo, ValueType,
    },
    *,
};
use crate::{matrix::Matrix, shap, tree::Node as TreeNode};

fn names() -> FeatureNames {
    FeatureNames::new(["a", "b"]).unwrap()
}

fn ints(name: &str, ints: &[i64]) -> Attribute {
    Attribute { name: name.to_owned(), ints: ints.to_vec(), r#type: 7, ..Attribute::default() }
}

fn floats(name: &str, floats: &[f32]) -> Attribute {
    Attribute { name: name.to_owned(), floats: floats.to_vec(), r#type: 6, ..Attribute::default() }
}

fn text(name: &str, text: &str) -> Attribute {
    Attribute { name: name.to_owned(), s: text.into(), r#type: 3, ..Attribute::default() }
}

fn texts(name: &str, texts: &[&str]) -> Attribute {
    let strings = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    Attribute { name: name.to_owned(), strings, r#type: 8, ..Attribute::default() }
}

/// Two trees: one split on `a` above one on `b` with each mode there is, and a single leaf.
fn classifier(upper: &str, lower: &str) -> File {
    let attributes = vec![
        floats("base_values", &[0.25]),
        ints("class_ids", &[0, 0, 0, 0]),
        ints("class_nodeids", &[2, 3, 4, 0]),
        ints("class_treeids", &[5, 5, 5, 9]),
        floats("class_weights", &[-1.0, 2.0, 4.0, 8.0]),
        ints("classlabels_int64s", &[0, 1]),
        ints("nodes_treeids", &[5, 5, 5, 5, 5, 9]),
        ints("nodes_nodeids", &[0, 1, 2, 3, 4, 0]),
        ints("nodes_featureids", &[0, 1, 0, 0, 0, 0]),
        texts("nodes_modes", &[upper, lower, "LEAF", "LEAF", "LEAF", "LEAF"]),
        floats("nodes_values", &[0.5, 1.5, 0.0, 0.0, 0.0, 0.0]),
        ints("nodes_truenodeids", &[1, 2, 0, 0, 0, 0]),
        ints("nodes_falsenodeids", &[4, 3, 0, 0, 0, 0]),
        ints("nodes_missing_value_tracks_true", &[1, 0, 0, 0, 0, 0]),
        text("post_transform", "LOGISTIC"),
    ];
    file(Node {
        input: vec!["X".to_owned()],
        output: vec!["label".to_owned(), "scores".to_owned()],
        name: "trees".to_owned(),
        op_type: "TreeEnsembleClassifier".to_owned(),
        attribute: attributes,
        domain: "ai.onnx.ml".to_owned(),
    })
}

fn file(ensemble: Node) -> File {
    let output = ensemble.output.last().unwrap().clone();
    let value = |name: &str, r#type| ValueInfo { name: name.to_owned(), r#type };
    let shape = Shape { dim: vec![Dim { dim_value: None }, Dim { dim_value: Some(2) }] };
    let tensor = ValueType { tensor_type: Some(TensorType { elem_type: 1, shape: Some(shape) }) };
    File {
        graph: Some(Graph {
            node: vec![ensemble],
            input: vec![value("X", Some(tensor))],
            output: vec![value(&output, None)],
            ..Graph::default()
        }),
        opset_import: vec![Opset { domain: "ai.onnx.ml".to_owned(), version: 1 }],
        ..File::default()
    }
}

fn read(file: &File) -> Result<Model, OnnxError> {
    import(&file.encode_to_vec(), names())
}

fn graph(file: &mut File) -> &mut Graph {
    file.graph.as_mut().unwrap()
}

fn attribute<'a>(file: &'a mut File, name: &str) -> &'a mut Attribute {
    graph(file).node[0].attribute.iter_mut().find(|attribute| attribute.name == name).unwrap()
}

#[test]
fn modes_and_missing_values_mean_what_the_format_says() {
    type Compare = fn(f32, f32) -> bool;
    let modes: [(&str, Compare); 4] = [
        ("BRANCH_LEQ", |x, t| x <= t),
        ("BRANCH_LT", |x, t| x < t),
        ("BRANCH_GT", |x, t| x > t),
        ("BRANCH_GTE", |x, t| x >= t),
    ];
    let around = |t: f32| [f32::NAN, -f32::MAX, t.next_down(), t, t.next_up(), f32::MAX];
    for (upper, compare_upper) in modes {
        for (lower, compare_lower) in modes {
            let model = read(&classifier(upper, lower)).unwrap();
            for a in around(0.5) {
                for b in around(1.5) {
                    // Unknown values follow the true branch of the upper split and the false branch of the lower one.
                    let leaf = match (a.is_nan() || compare_upper(a, 0.5), compare_lower(b, 1.5)) {
                        (true, true) => -1.0,
                        (true, false) => 2.0,
                        (false, _) => 4.0,
                    };
                    assert_eq!(model.logit(&[a, b]), 0.25 + leaf + 8.0, "{upper} {lower} {a} {b}");
                }
            }
        }
    }
}

#[test]
fn a_regressor_with_one_target_is_a_model() {
    let node = Node {
        input: vec!["X".to_owned()],
        output: vec!["score".to_owned()],
        op_type: "TreeEnsembleRegressor".to_owned(),
        domain: "ai.onnx.ml".to_owned(),
        attribute: vec![
            Attribute { name: "n_targets".to_owned(), i: 1, r#type: 2, ..Attribute::default() },
            ints("target_ids", &[0, 0]),
            ints("target_nodeids", &[1, 2]),
            ints("target_treeids", &[0, 0]),
            floats("target_weights", &[1.0, 2.0]),
            ints("nodes_treeids", &[0, 0, 0]),
            ints("nodes_nodeids", &[0, 1, 2]),
            ints("nodes_featureids", &[1, 0, 0]),
            texts("nodes_modes", &["BRANCH_LEQ", "LEAF", "LEAF"]),
            floats("nodes_values", &[0.0, 0.0, 0.0]),
            ints("nodes_truenodeids", &[1, 0, 0]),
            ints("nodes_falsenodeids", &[2, 0, 0]),
        ],
        ..Node::default()
    };
    let mut regressor = file(node);
    let model = read(&regressor).unwrap();
    // Without a word on missing values they compare false.
    assert_eq!([-1.0, 1.0, f32::NAN].map(|b| model.logit(&[0.0, b])), [1.0, 2.0, 2.0]);

    attribute(&mut regressor, "n_targets").i = 2;
    let expected = "node \"#0\", attribute \"n_targets\": there is not one target";
    assert_eq!(read(&regressor).unwrap_err().to_string(), expected);
}

#[test]
fn reasons_follow_the_rows_that_are_counted() {
    let model = read(&classifier("BRANCH_LEQ", "BRANCH_LEQ")).unwrap();
    let covers =
        |model: &Model| -> Vec<u64> { model.trees()[0].nodes().iter().map(TreeNode::cover).collect() };
    assert_eq!(covers(&model), [3, 2, 1, 1, 1]);
    let mut rows = Matrix::new(names());
    for (a, b) in [(0.0, 0.0), (0.0, 9.0), (0.0, 9.0), (1.0, 0.0), (f32::NAN, f32::NAN)] {
        rows.push(&[a, b]).unwrap();
    }
    let counted = model.recounted(&rows);
    assert_eq!(covers(&counted), [8, 6, 2, 4, 2]);
    for row in rows.rows() {
        assert_eq!(counted.logit(row), model.logit(row));
        assert!((shap::explain(&counted, row).logit() - model.logit(row)).abs() <= 1e-9);
    }
    let base = 0.25 + 8.0 + (4.0 * 2.0 + 2.0 * 4.0 - 2.0) / 8.0;
    assert!((shap::explain(&counted, rows.row(0)).base - base).abs() <= 1e-12);
}

#[test]
fn what_leaves_scores_as_they_are_may_follow() {
    let mut file = classifier("BRANCH_LEQ", "BRANCH_LEQ");
    let node = |domain: &str, op: &str, inputs: &[&str], output: &str| Node {
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        op_type: op.to_owned(),
        domain: domain.to_owned(),
        ..Node::default()
    };
    let one = Tensor {
        dims: vec![1],
        data_type: 1,
        name: "one".to_owned(),
        raw_data: 1.0_f32.to_le_bytes().to_vec(),
        ..Tensor::default()
    };
    graph(&mut file).initializer.push(one);
    graph(&mut file).node.extend([
        node("", "Identity", &["scores"], "same"),
        node("", "Cast", &["label"], "number"),
        node("", "Mul", &["same", "one"], "times one"),
        node("ai.onnx.ml", "ZipMap", &["times one"], "by class"),
    ]);
    graph(&mut file).output = vec![ValueInfo { name: "by class".to_owned(), r#type: None }];
    assert_eq!(read(&file).unwrap(), read(&classifier("BRANCH_LEQ", "BRANCH_LEQ")).unwrap());

    let mut doubled = file.clone();
    graph(&mut doubled).initializer[0].raw_data = 2.0_f32.to_le_bytes().to_vec();
    let expected = "node \"#3\", operation \"Mul\": it cannot be imported, or not where it stands";
    assert_eq!(read(&doubled).unwrap_err().to_string(), expected);
    let mut cast = file.clone();
    graph(&mut cast).node[2].input = vec!["scores".to_owned()];
    assert!(matches!(read(&cast), Err(OnnxError::Node { op, .. }) if op == "Cast"));
    let mut scaled = file.clone();
    graph(&mut scaled).node.insert(0, node("", "Identity", &["X"], "scaled"));
    assert!(matches!(read(&scaled), Err(OnnxError::Node { op, .. }) if op == "Identity"));
    let mut twice = file.clone();
    let second = graph(&mut twice).node[0].clone();
    graph(&mut twice).node.push(second);
    let expected = "node \"trees\", operation \"TreeEnsembleClassifier\": there is more than one ensemble";
    assert_eq!(read(&twice).unwrap_err().to_string(), expected);
    graph(&mut file).output[0].name = "number".to_owned();
    assert_eq!(read(&file).unwrap_err().to_string(), "graph: the score is not among its outputs");
}

#[test]
fn what_would_score_otherwise_is_refused_by_name() {
    type Change = fn(&mut File);
    let cases: &[(Change, &str)] = &[
        (|file| file.graph = None, "graph: there is none"),
        (|file| graph(file).node.clear(), "graph: there is no ensemble of trees in it"),
        (|file| file.opset_import.clear(), "operator sets: ai.onnx.ml is needed in a version from 1 to 5"),
        (
            |file| file.opset_import[0].version = 6,
            "operator sets: ai.onnx.ml is needed in a version from 1 to 5",
        ),
        (
            |file| file.functions.push(Vec::new()),
            "functions: a file with functions of its own cannot be imported",
        ),
        (|file| graph(file).input.clear(), "input: there is not exactly one"),
        (
            |file| graph(file).input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap().elem_type = 11,
            "input: it is no tensor of 32-bit floats",
        ),
        (
            |file| {
                let tensor = graph(file).input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
                tensor.shape.as_mut().unwrap().dim[1].dim_value = Some(3);
            },
            "input: it has another number of columns than there are features",
        ),
        (
            |file| graph(file).node[0].input.push("Y".to_owned()),
            "node \"trees\", operation \"TreeEnsembleClassifier\": it does not read the input of the graph as it is",
        ),
        (
            |file| attribute(file, "post_transform").s = b"SOFTMAX".to_vec(),
            "node \"trees\", attribute \"post_transform\": only LOGISTIC says that the sum is a logit",
        ),
        (
            |file| attribute(file, "class_ids").ints[1] = 1,
            "node \"trees\", attribute \"class_ids\": of two classes one sum is the second's, and is written as class 0",
        ),
        (
            |file| attribute(file, "classlabels_int64s").ints.push(2),
            "node \"trees\", attribute \"classlabels_int64s\": there are not two classes",
        ),
        (
            |file| attribute(file, "base_values").floats.push(0.0),
            "node \"trees\", attribute \"base_values\": there is more than one value",
        ),
        (
            |file| graph(file).node[0].attribute.push(floats("surprise", &[])),
            "node \"trees\", attribute \"surprise\": it cannot be imported",
        ),
        (
            |file| attribute(file, "nodes_values").r#type = 7,
            "node \"trees\", attribute \"nodes_values\": it has another type",
        ),
        (
            |file| attribute(file, "nodes_modes").strings.truncate(5),
            "node \"trees\", attribute \"nodes_modes\": it has another length than the others",
        ),
        (
            |file| graph(file).node[0].attribute.retain(|attribute| attribute.name != "nodes_featureids"),
            "node \"trees\", attribute \"nodes_featureids\": it is missing",
        ),
        (
            |file| {
                let again = attribute(file, "nodes_values").clone();
                graph(file).node[0].attribute.push(again);
            },
            "node \"trees\", attribute \"nodes_values\": it occurs twice",
        ),
        (
            |file| attribute(file, "nodes_missing_value_tracks_true").ints[0] = 2,
            "node \"trees\", attribute \"nodes_missing_value_tracks_true\": it is not one 0 or 1 for each node",
        ),
    ];
    for (change, expected) in cases {
        let mut file = classifier("BRANCH_LEQ", "BRANCH_LEQ");
        change(&mut file);
        assert_eq!(read(&file).unwrap_err().to_string(), *expected);
    }
}

#[test]
fn a_table_that_is_no_tree_is_refused_where_it_breaks() {
    type Change = fn(&mut File);
    let cases: &[(Change, i64, i64, TreeFault)] = &[
        (|file| attribute(file, "nodes_modes").strings[1] = b"BRANCH_EQ".to_vec(), 5, 1, TreeFault::Mode),
        (|file| attribute(file, "nodes_truenodeids").ints[1] = 7, 5, 1, TreeFault::ChildMissing(7)),
        (|file| attribute(file, "nodes_truenodeids").ints[1] = 0, 5, 0, TreeFault::VisitedTwice),
        (|file| attribute(file, "nodes_falsenodeids").ints[0] = 2, 5, 2, TreeFault::VisitedTwice),
        (|file| attribute(file, "nodes_featureids").ints[1] = 2, 5, 1, TreeFault::NoFeature(2)),
        (|file| attribute(file, "nodes_featureids").ints[1] = -1, 5, 1, TreeFault::NoFeature(-1)),
        (|file| attribute(file, "nodes_values").floats[0] = f32::INFINITY, 5, 0, TreeFault::Number),
        (|file| attribute(file, "class_weights").floats[3] = f32::NAN, 9, 0, TreeFault::Number),
        (|file| attribute(file, "class_nodeids").ints[0] = 3, 5, 3, TreeFault::WeightTwice),
        (|file| attribute(file, "class_nodeids").ints[0] = 1, 5, 1, TreeFault::NoLeaf),
        (|file| attribute(file, "class_nodeids").ints[0] = 8, 5, 8, TreeFault::NoLeaf),
        (|file| attribute(file, "nodes_nodeids").ints[2] = 3, 5, 3, TreeFault::NumberTwice),
        (|file| attribute(file, "nodes_modes").strings[0] = b"LEAF".to_vec(), 5, 0, TreeFault::NoWeight),
    ];
    for &(change, tree, id, fault) in cases {
        let mut file = classifier("BRANCH_LEQ", "BRANCH_LEQ");
        change(&mut file);
        assert_eq!(read(&file), Err(OnnxError::Tree { node: "trees".to_owned(), tree, id, fault }));
    }
    let mut lowest = classifier("BRANCH_LT", "BRANCH_LEQ");
    attribute(&mut lowest, "nodes_values").floats[0] = -f32::MAX;
    assert!(matches!(read(&lowest), Err(OnnxError::Tree { fault: TreeFault::Number, .. })));
    let mut torn = classifier("BRANCH_LEQ", "BRANCH_LEQ");
    attribute(&mut torn, "nodes_modes").strings[1] = b"LEAF".to_vec();
    attribute(&mut torn, "class_nodeids").ints[0] = 1;
    let expected =
        OnnxError::Tree { node: "trees".to_owned(), tree: 5, id: 2, fault: TreeFault::Unreachable };
    assert_eq!(read(&torn), Err(expected));
}

#[test]
fn a_chain_as_deep_as_a_tree_may_be_is_read_and_one_deeper_is_not() {
    for depth in [DEPTH_MAX, DEPTH_MAX + 1] {
        let splits = i64::from(depth);
        let count = 2 * splits + 1;
        let ids: Vec<i64> = (0..count).collect();
        let leaves: Vec<i64> = (splits..count).collect();
        let modes: Vec<&str> =
            ids.iter().map(|&id| if id < splits { "BRANCH_LEQ" } else { "LEAF" }).collect();
        let on_true: Vec<i64> = ids.iter().map(|&id| splits + id).collect();
        let on_false: Vec<i64> =
            ids.iter().map(|&id| if id + 1 < splits { id + 1 } else { count - 1 }).collect();
        let mut file = classifier("BRANCH_LEQ", "BRANCH_LEQ");
        for (name, values) in [
            ("class_ids", vec![0; leaves.len()]),
            ("class_nodeids", leaves.clone()),
            ("class_treeids", vec![0; leaves.len()]),
            ("nodes_treeids", vec![0; ids.len()]),
            ("nodes_nodeids", ids.clone()),
            ("nodes_featureids", vec![0; ids.len()]),
            ("nodes_truenodeids", on_true),
            ("nodes_falsenodeids", on_false),
            ("nodes_missing_value_tracks_true", Vec::new()),
        ] {
            *attribute(&mut file, name) = ints(name, &values);
        }
        *attribute(&mut file, "class_weights") = floats("class_weights", &vec![-1.0; leaves.len()]);
        *attribute(&mut file, "nodes_values") = floats("nodes_values", &vec![0.0; ids.len()]);
        *attribute(&mut file, "nodes_modes") = texts("nodes_modes", &modes);
        match read(&file) {
            Ok(model) => assert_eq!((depth, model.depth()), (DEPTH_MAX, DEPTH_MAX)),
            Err(OnnxError::Tree { fault, .. }) => {
                assert_eq!((depth, fault), (DEPTH_MAX + 1, TreeFault::TooDeep));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn bytes_that_are_no_file_are_refused() {
    assert_eq!(import(b"", names()).unwrap_err().to_string(), "graph: there is none");
    assert!(matches!(import(&[0xff; 40], names()), Err(OnnxError::Malformed(_))));
    let whole = classifier("BRANCH_LEQ", "BRANCH_LEQ").encode_to_vec();
    for end in 0..whole.len() {
        assert!(import(&whole[..end], names()).is_err(), "{end} bytes");
    }
    assert_eq!(import(&vec![0; BYTES_MAX + 1], names()), Err(OnnxError::TooLarge));
}
