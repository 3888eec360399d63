//! The model file: trees, calibration and card in one versioned, hashed piece.
//!
//! ```text
//! 8 bytes   magic "capmodel"
//! 2 bytes   version, big-endian: 1
//! n bytes   CBOR, deterministic: [features, base logit, trees, calibration, card]
//! 32 bytes  SHA-256 of everything before
//! ```
//!
//! A tree is a byte string of its nodes in pre-order: tag 0, value, cover for a leaf; tag 1 (unknown values right) or
//! 2 (left), feature, threshold, gain for a split; big-endian. The shape follows from the order, and covers of splits
//! are the sums of their leaves, so there is no index and no sum that could be wrong. `docs/internals/scoring.md` has
//! all fields.
//!
//! Decoding is strict: bounds before allocation, numbers finite, and only the one encoding that [`ModelFile::encode`]
//! would write. The digest guards against damage, not against an author: who may install a model decides that.
//!
//! # Bounds
//! [`FILE_BYTES_MAX`] and those of [`super`], [`super::card`], [`crate::matrix`] and [`crate::calibration`].

use std::convert::Infallible;

use crypto::sha256;
use domain::UnixNanos;
use minicbor::{Decoder, Encoder, data::Type, encode};
use thiserror::Error;

use crate::{
    calibration::{Calibration, CalibrationError, Isotonic, POINTS_MAX, Platt},
    matrix::{FEATURES_MAX, FeatureNames, MatrixError},
    tree::{DEPTH_MAX, Node, Tree, TreeError},
};

use super::{
    Model, ModelError, NODES_MAX, TREES_MAX,
    card::{CardError, LINES_MAX, ModelCard, TEXT_BYTES_MAX, Training},
};

/// Bytes of a model file: more than the largest model needs.
pub const FILE_BYTES_MAX: usize = 1 << 26;
/// The first bytes.
pub const MAGIC: [u8; 8] = *b"capmodel";
/// The version this code writes and reads.
pub const VERSION: u16 = 1;

const HEAD_BYTES: usize = MAGIC.len() + 2;
const DIGEST_BYTES: usize = 32;

const LEAF: u8 = 0;
const SPLIT_MISSING_RIGHT: u8 = 1;
const SPLIT_MISSING_LEFT: u8 = 2;
const ISOTONIC: u8 = 1;
const PLATT: u8 = 2;

/// Why bytes are no model file, or a model cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The calibration is none.
    #[error("the calibration")]
    Calibration(#[source] CalibrationError),
    /// The card is out of bounds.
    #[error("the model card")]
    Card(#[source] CardError),
    /// The digest is another: the file is damaged.
    #[error("the digest does not match: the file is damaged")]
    Digest,
    /// The features are none.
    #[error("the features")]
    Features(#[source] MatrixError),
    /// Bytes that are not what the format has there.
    #[error("byte {offset}: {expected} expected")]
    Malformed {
        /// Where, from the start of the file.
        offset: usize,
        /// What the format has there.
        expected: &'static str,
    },
    /// The trees are no model.
    #[error("the trees")]
    Model(#[source] ModelError),
    /// Another encoding of the same content.
    #[error("not the canonical encoding")]
    NotCanonical,
    /// No model file at all.
    #[error("this is not a model file")]
    NotAModel,
    /// More than [`FILE_BYTES_MAX`] bytes.
    #[error("larger than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    /// A version this code does not know.
    #[error("version {found} is not known; this program reads version {VERSION}")]
    UnknownVersion {
        /// The version the file states.
        found: u16,
    },
}

/// A model with all that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFile {
    /// What scores.
    pub model: Model,
    /// From its logits to probabilities, if fitted.
    pub calibration: Option<Calibration>,
    /// What is to be known about it.
    pub card: ModelCard,
}

impl ModelFile {
    /// The file. The same content gives the same bytes.
    ///
    /// # Errors
    /// [`FileError`] when the card or the whole is out of bounds.
    pub fn encode(&self) -> Result<Vec<u8>, FileError> {
        self.card.check().map_err(FileError::Card)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_be_bytes());
        let mut encoder = Encoder::new(bytes);
        write(&mut encoder, self).expect("writing to memory does not fail");
        let mut bytes = encoder.into_writer();
        bytes.extend(sha256(&[&bytes]));
        if bytes.len() > FILE_BYTES_MAX { Err(FileError::TooLarge) } else { Ok(bytes) }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`FileError`] naming what is wrong and where. Never panics.
    pub fn decode(bytes: &[u8]) -> Result<Self, FileError> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(FileError::TooLarge);
        }
        if bytes.len() < HEAD_BYTES + DIGEST_BYTES || !bytes.starts_with(&MAGIC) {
            return Err(FileError::NotAModel);
        }
        let found = u16::from_be_bytes([bytes[MAGIC.len()], bytes[MAGIC.len() + 1]]);
        if found != VERSION {
            return Err(FileError::UnknownVersion { found });
        }
        let (content, digest) = bytes.split_at(bytes.len() - DIGEST_BYTES);
        if sha256(&[content]) != digest {
            return Err(FileError::Digest);
        }
        let mut reader = Reader { decoder: Decoder::new(&content[HEAD_BYTES..]) };
        let file = reader.file()?;
        if reader.decoder.position() != content.len() - HEAD_BYTES {
            return Err(reader.malformed("the digest"));
        }
        if file.encode()? == bytes { Ok(file) } else { Err(FileError::NotCanonical) }
    }

    /// The probability of a logit of the model: calibrated if there is a calibration, else the plain sigmoid.
    #[must_use]
    pub fn probability(&self, logit: f64) -> f64 {
        self.calibration
            .as_ref()
            .map_or_else(|| super::sigmoid(logit), |calibration| calibration.probability(logit))
    }
}

/// The digest an encoded file ends in: the model's name in decision records. `None` if it is too short for one.
#[must_use]
pub fn digest(file: &[u8]) -> Option<[u8; 32]> {
    file.last_chunk().copied()
}

type Encoded = Result<(), encode::Error<Infallible>>;

fn write(e: &mut Encoder<Vec<u8>>, file: &ModelFile) -> Encoded {
    e.array(5)?;
    e.array(file.model.features().len() as u64)?;
    for name in file.model.features().iter() {
        e.str(name)?;
    }
    e.f64(file.model.base_logit())?;
    e.array(file.model.trees().len() as u64)?;
    for tree in file.model.trees() {
        e.bytes(&tree_bytes(tree))?;
    }
    match &file.calibration {
        None => {
            e.null()?;
        }
        Some(Calibration::Isotonic(isotonic)) => {
            e.array(2)?.u8(ISOTONIC)?.array(2 * isotonic.points().len() as u64)?;
            for (logit, probability) in isotonic.points() {
                e.f64(*logit)?.f64(*probability)?;
            }
        }
        Some(Calibration::Platt(platt)) => {
            let (slope, offset) = platt.numbers();
            e.array(3)?.u8(PLATT)?.f64(slope)?.f64(offset)?;
        }
    }
    write_card(e, &file.card)
}

fn write_card(e: &mut Encoder<Vec<u8>>, card: &ModelCard) -> Encoded {
    e.array(12)?.str(&card.name)?.str(&card.version)?.str(&card.created_by)?.u64(card.created_at.0)?;
    e.u64(card.training.rows)?.u64(card.training.positives)?;
    match card.training.period {
        None => e.null()?.null()?,
        Some((from, to)) => e.u64(from.0)?.u64(to.0)?,
    };
    e.bytes(&card.training.data_hash)?;
    e.array(2 * card.params.len() as u64)?;
    for (name, value) in &card.params {
        e.str(name)?.str(value)?;
    }
    e.array(2 * card.metrics.len() as u64)?;
    for (name, value) in &card.metrics {
        e.str(name)?.f64(*value)?;
    }
    e.str(&card.limits)?;
    Ok(())
}

fn tree_bytes(tree: &Tree) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(10 * tree.nodes().len());
    for node in tree.nodes() {
        match *node {
            Node::Leaf { value, cover } => {
                bytes.push(LEAF);
                bytes.extend(value.to_be_bytes());
                bytes.extend(cover.to_be_bytes());
            }
            Node::Split { feature, threshold, missing_left, gain, .. } => {
                bytes.extend([if missing_left { SPLIT_MISSING_LEFT } else { SPLIT_MISSING_RIGHT }, feature]);
                bytes.extend(threshold.to_be_bytes());
                bytes.extend(gain.to_be_bytes());
            }
        }
    }
    bytes
}

struct Reader<'b> {
    decoder: Decoder<'b>,
}

impl<'b> Reader<'b> {
    fn malformed(&self, expected: &'static str) -> FileError {
        FileError::Malformed { offset: HEAD_BYTES + self.decoder.position(), expected }
    }

    fn take<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&mut Decoder<'b>) -> Result<T, minicbor::decode::Error>,
    ) -> Result<T, FileError> {
        // Where it began, not where it broke off.
        let error = self.malformed(expected);
        read(&mut self.decoder).map_err(|_| error)
    }

    /// A definite array of at most `most` items.
    fn array(&mut self, expected: &'static str, most: usize) -> Result<usize, FileError> {
        let error = self.malformed(expected);
        match self.take(expected, Decoder::array)?.and_then(|length| usize::try_from(length).ok()) {
            Some(length) if length <= most => Ok(length),
            _ => Err(error),
        }
    }

    fn text(&mut self, expected: &'static str, bytes_max: usize) -> Result<String, FileError> {
        let error = self.malformed(expected);
        let text = self.take(expected, Decoder::str)?;
        if text.len() > bytes_max { Err(error) } else { Ok(text.to_owned()) }
    }

    fn exactly(&mut self, expected: &'static str, length: usize) -> Result<(), FileError> {
        let error = self.malformed(expected);
        if self.array(expected, length)? == length { Ok(()) } else { Err(error) }
    }

    fn file(&mut self) -> Result<ModelFile, FileError> {
        self.exactly("an array of five", 5)?;
        let n_features = self.array("an array of features", FEATURES_MAX)?;
        let mut names = Vec::with_capacity(n_features);
        for _ in 0..n_features {
            names.push(self.text("the name of a feature", crate::matrix::NAME_BYTES_MAX)?);
        }
        let features = FeatureNames::new(names).map_err(FileError::Features)?;
        let base_logit = self.take("the base logit", Decoder::f64)?;
        let n_trees = self.array("an array of trees", TREES_MAX)?;
        let mut trees = Vec::with_capacity(n_trees);
        let mut n_nodes = 0;
        for tree in 0..n_trees {
            let bytes = self.take("the bytes of a tree", Decoder::bytes)?;
            let end = HEAD_BYTES + self.decoder.position();
            let nodes = read_tree(bytes, NODES_MAX - n_nodes).map_err(|fault| match fault {
                TreeFault::Malformed { left } => {
                    FileError::Malformed { offset: end - left, expected: "a node" }
                }
                TreeFault::TooMany => FileError::Model(ModelError::TooManyNodes),
                TreeFault::Tree { node, error } => FileError::Model(ModelError::Tree { tree, node, error }),
            })?;
            n_nodes += nodes.len();
            trees.push(
                Tree::new(nodes, features.len())
                    .map_err(|(node, error)| FileError::Model(ModelError::Tree { tree, node, error }))?,
            );
        }
        let model = Model::new(features, base_logit, trees).map_err(FileError::Model)?;
        let calibration = self.calibration()?;
        let card = self.card()?;
        Ok(ModelFile { model, calibration, card })
    }

    fn calibration(&mut self) -> Result<Option<Calibration>, FileError> {
        if self.is_null("a calibration or null")? {
            return Ok(None);
        }
        let length = self.array("a calibration", 3)?;
        let error = self.malformed("the kind of calibration");
        match (self.take("the kind of calibration", Decoder::u8)?, length) {
            (ISOTONIC, 2) => {
                let n = self.array("an array of points", 2 * POINTS_MAX)?;
                let mut points = Vec::with_capacity(n / 2);
                for _ in 0..n / 2 {
                    points.push((
                        self.take("a logit", Decoder::f64)?,
                        self.take("a probability", Decoder::f64)?,
                    ));
                }
                if n % 2 == 1 {
                    return Err(self.malformed("points in pairs"));
                }
                let isotonic = Isotonic::new(points).map_err(FileError::Calibration)?;
                Ok(Some(Calibration::Isotonic(isotonic)))
            }
            (PLATT, 3) => {
                let slope = self.take("a slope", Decoder::f64)?;
                let offset = self.take("an offset", Decoder::f64)?;
                let platt = Platt::new(slope, offset).map_err(FileError::Calibration)?;
                Ok(Some(Calibration::Platt(platt)))
            }
            _ => Err(error),
        }
    }

    /// Takes a null if one comes next.
    fn is_null(&mut self, expected: &'static str) -> Result<bool, FileError> {
        let error = self.malformed(expected);
        let is_null = self.decoder.datatype().map_err(|_| error)? == Type::Null;
        if is_null {
            self.take(expected, Decoder::null)?;
        }
        Ok(is_null)
    }

    fn card(&mut self) -> Result<ModelCard, FileError> {
        self.exactly("a card", 12)?;
        let name = self.text("a name", TEXT_BYTES_MAX)?;
        let version = self.text("a version", TEXT_BYTES_MAX)?;
        let created_by = self.text("who created it", TEXT_BYTES_MAX)?;
        let created_at = UnixNanos(self.take("when it was created", Decoder::u64)?);
        let rows = self.take("the number of rows", Decoder::u64)?;
        let positives = self.take("the number of positive rows", Decoder::u64)?;
        let period = if self.is_null("the first time or null")? {
            self.take("null", Decoder::null)?;
            None
        } else {
            let from = self.take("the first time", Decoder::u64)?;
            Some((UnixNanos(from), UnixNanos(self.take("the last time", Decoder::u64)?)))
        };
        let error = self.malformed("a SHA-256 digest");
        let data_hash = self.take("a SHA-256 digest", Decoder::bytes)?.try_into().map_err(|_| error)?;
        let n = self.array("an array of parameters", 2 * LINES_MAX)?;
        let mut params = Vec::with_capacity(n / 2);
        for _ in 0..n / 2 {
            let name = self.text("the name of a parameter", TEXT_BYTES_MAX)?;
            params.push((name, self.text("a parameter", TEXT_BYTES_MAX)?));
        }
        let m = self.array("an array of metrics", 2 * LINES_MAX)?;
        let mut metrics = Vec::with_capacity(m / 2);
        for _ in 0..m / 2 {
            let name = self.text("the name of a metric", TEXT_BYTES_MAX)?;
            metrics.push((name, self.take("a metric", Decoder::f64)?));
        }
        if n % 2 == 1 || m % 2 == 1 {
            return Err(self.malformed("names and values in pairs"));
        }
        let limits = self.text("the limits", TEXT_BYTES_MAX)?;
        let training = Training { rows, positives, period, data_hash };
        Ok(ModelCard { name, version, created_by, created_at, training, params, metrics, limits })
    }
}

#[derive(Debug)]
enum TreeFault {
    /// No node where one begins; so many bytes before the end.
    Malformed {
        left: usize,
    },
    TooMany,
    Tree {
        node: usize,
        error: TreeError,
    },
}

/// The nodes of a tree, right children and covers filled in. Only the shape is checked; [`Tree::new`] does the rest.
fn read_tree(bytes: &[u8], nodes_max: usize) -> Result<Vec<Node>, TreeFault> {
    let mut nodes: Vec<Node> = Vec::new();
    // Splits whose right child has not begun.
    let mut open: Vec<usize> = Vec::new();
    let mut is_complete = false;
    let mut rest = bytes;
    while !rest.is_empty() {
        if nodes.len() >= nodes_max {
            return Err(TreeFault::TooMany);
        }
        if is_complete {
            return Err(TreeFault::Tree { node: nodes.len(), error: TreeError::Incomplete });
        }
        let (node, behind) = read_node(rest).ok_or(TreeFault::Malformed { left: rest.len() })?;
        rest = behind;
        nodes.push(node);
        match node {
            Node::Split { .. } if open.len() >= usize::from(DEPTH_MAX) => {
                return Err(TreeFault::Tree { node: nodes.len() - 1, error: TreeError::Deep });
            }
            Node::Split { .. } => open.push(nodes.len() - 1),
            Node::Leaf { .. } => match open.pop() {
                Some(parent) => {
                    let behind = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
                    if let Node::Split { right, .. } = &mut nodes[parent] {
                        *right = behind;
                    }
                }
                // No split waits for a right child: this leaf ends the tree.
                None => is_complete = true,
            },
        }
    }
    if !is_complete {
        return Err(TreeFault::Tree { node: nodes.len(), error: TreeError::Incomplete });
    }
    // Every split now has both children behind it.
    for index in (0..nodes.len()).rev() {
        let Node::Split { right, .. } = nodes[index] else { continue };
        let sum = nodes[index + 1].cover() + nodes[right as usize].cover();
        if let Node::Split { cover, .. } = &mut nodes[index] {
            *cover = sum;
        }
    }
    Ok(nodes)
}

fn read_node(bytes: &[u8]) -> Option<(Node, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    match tag {
        LEAF => {
            let (value, rest) = rest.split_first_chunk()?;
            let (cover, rest) = rest.split_first_chunk()?;
            let node = Node::Leaf { value: f32::from_be_bytes(*value), cover: u32::from_be_bytes(*cover) };
            Some((node, rest))
        }
        SPLIT_MISSING_LEFT | SPLIT_MISSING_RIGHT => {
            let (&feature, rest) = rest.split_first()?;
            let (threshold, rest) = rest.split_first_chunk()?;
            let (gain, rest) = rest.split_first_chunk()?;
            let node = Node::Split {
                feature,
                threshold: f32::from_be_bytes(*threshold),
                missing_left: tag == SPLIT_MISSING_LEFT,
                gain: f32::from_be_bytes(*gain),
                right: 0,
                cover: 0,
            };
            Some((node, rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
