//! Every way a signed request can fall short of the profile, in words for the developer of the client.

use std::fmt;

/// What is wrong with the signature fields of a request. One variant per cause, each with its own label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// `alg` is not the algorithm of the key.
    AlgorithmMismatch,
    /// The host name is not one this gateway serves.
    AuthorityForeign,
    /// A covered value has a byte outside printable ASCII, or is empty.
    ComponentValue,
    /// The body came without a digest that the signature covers.
    ContentDigestMissing,
    /// `Content-Digest` is not exactly one `sha-256`.
    ContentDigestShape,
    /// A covered header field is absent.
    CoveredFieldMissing,
    /// A header field that must appear once is repeated.
    FieldRepeated,
    /// `Signature-Input` is absent.
    InputMissing,
    /// `Signature-Input` is not of the shape of the profile.
    InputShape,
    /// The parameters are not exactly `created`, `expires`, `nonce`, `keyid`, `alg` and `tag`, each once.
    InputParameters,
    /// The life from `created` to `expires` is not between 1 and 30 seconds.
    Lifetime,
    /// The nonce is not 16 bytes in base64url without padding.
    Nonce,
    /// The key is of another scheme.
    SchemeMismatch,
    /// `Signature` is absent.
    SignatureMissing,
    /// `Signature` is not exactly one `caponier=:...:` of the length of the algorithm.
    SignatureShape,
    /// The target is not a path and query in origin form, or ends in a bare question mark.
    Target,
    /// The request also carries `OK-ACCESS-*` fields.
    TwoSchemes,
    /// A field the profile signs where it is present is present and not covered.
    Uncovered,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 18] = [
        Self::AlgorithmMismatch,
        Self::AuthorityForeign,
        Self::ComponentValue,
        Self::ContentDigestMissing,
        Self::ContentDigestShape,
        Self::CoveredFieldMissing,
        Self::FieldRepeated,
        Self::InputMissing,
        Self::InputShape,
        Self::InputParameters,
        Self::Lifetime,
        Self::Nonce,
        Self::SchemeMismatch,
        Self::SignatureMissing,
        Self::SignatureShape,
        Self::Target,
        Self::TwoSchemes,
        Self::Uncovered,
    ];

    /// Stable `snake_case` name for metrics; unique per variant.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::AlgorithmMismatch => "algorithm_mismatch",
            Self::AuthorityForeign => "authority_foreign",
            Self::ComponentValue => "component_value",
            Self::ContentDigestMissing => "content_digest_missing",
            Self::ContentDigestShape => "content_digest_shape",
            Self::CoveredFieldMissing => "covered_field_missing",
            Self::FieldRepeated => "field_repeated",
            Self::InputMissing => "input_missing",
            Self::InputShape => "input_shape",
            Self::InputParameters => "input_parameters",
            Self::Lifetime => "lifetime",
            Self::Nonce => "nonce",
            Self::SchemeMismatch => "scheme_mismatch",
            Self::SignatureMissing => "signature_missing",
            Self::SignatureShape => "signature_shape",
            Self::Target => "target",
            Self::TwoSchemes => "two_schemes",
            Self::Uncovered => "uncovered",
        }
    }

    /// The fault in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::AlgorithmMismatch => "alg is not the algorithm of the key",
            Self::AuthorityForeign => "the host is not served here",
            Self::ComponentValue => "a covered value is empty or not printable ASCII",
            Self::ContentDigestMissing => "a body needs a Content-Digest that is signed",
            Self::ContentDigestShape => "Content-Digest must be one sha-256",
            Self::CoveredFieldMissing => "a covered field is absent",
            Self::FieldRepeated => "a signature field is repeated",
            Self::InputMissing => "Signature-Input is absent",
            Self::InputShape => "Signature-Input does not cover the components of the profile in their order",
            Self::InputParameters => {
                "Signature-Input needs created, expires, nonce, keyid, alg and tag once each"
            }
            Self::Lifetime => "expires must lie 1 to 30 seconds after created",
            Self::Nonce => "nonce must be 16 bytes in base64url",
            Self::SchemeMismatch => "the key is not one of this scheme",
            Self::SignatureMissing => "Signature is absent",
            Self::SignatureShape => "Signature must be one caponier=:...: of the length of alg",
            Self::Target => "the target cannot be signed",
            Self::TwoSchemes => "OK-ACCESS fields and Signature exclude each other",
            Self::Uncovered => "a field that must be signed is not covered",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn labels_and_texts_are_unique() {
        let labels: BTreeSet<&str> = Fault::ALL.iter().map(|fault| fault.label()).collect();
        let texts: BTreeSet<&str> = Fault::ALL.iter().map(|fault| fault.text()).collect();
        assert_eq!((labels.len(), texts.len()), (Fault::ALL.len(), Fault::ALL.len()));
    }
}
