//! Signed answers: a client that knows the server's public key notices whoever changes an answer on the way, or gives it
//! the answer to another request.
//!
//! An HTTP message signature (RFC 9421 section 2.4) with the fixed list `("@status" "content-digest" "signature";req)`:
//! the last is the `Signature` field of the request, which nobody else can have sent, so an answer fits one request.
//! Not for refusals of requests that did not verify: signing costs some 20 microseconds, which strangers must not cause.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use crypto::{SigningKey, VerifyingKey, sha256};
use domain::{ApiKeyId, UnixNanos};

use super::{
    base::Base,
    fault::Fault,
    fields::{LABEL, content_digest_text},
};

/// The value of `tag` in signed answers, so that no answer passes for a request or the reverse.
pub const ANSWER_TAG: &str = "caponier-v2-answer";

/// The header fields to add to an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerFields {
    /// `Content-Digest`.
    pub content_digest: String,
    /// `Signature-Input`.
    pub signature_input: String,
    /// `Signature`.
    pub signature: String,
}

/// Signs answers with the server's key.
#[derive(Debug)]
pub struct AnswerSigner {
    key: SigningKey,
    key_id: ApiKeyId,
}

impl AnswerSigner {
    /// `key_id` is how clients know the key.
    #[must_use]
    pub const fn new(key: SigningKey, key_id: ApiKeyId) -> Self {
        Self { key, key_id }
    }

    /// Under the thumbprint of its public half (RFC 7638), as [`AnswerSigner::key_set`] tells it.
    ///
    /// # Panics
    /// Never: 43 letters, digits, `-` and `_` are an id.
    #[must_use]
    pub fn by_thumbprint(key: SigningKey) -> Self {
        let x = URL_SAFE_NO_PAD.encode(key.verifying_key().0);
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let thumbprint = URL_SAFE_NO_PAD.encode(sha256(&[canonical.as_bytes()]));
        let key_id = ApiKeyId::parse(&thumbprint).expect("Base64 for URLs is an id");
        Self { key, key_id }
    }

    /// What clients verify with, as a JSON Web Key Set (RFC 7517, RFC 8037).
    #[must_use]
    pub fn key_set(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.key.verifying_key().0);
        let key_id = &self.key_id;
        format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","kid":"{key_id}","x":"{x}"}}]}}"#
        )
    }

    /// What clients verify with.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// Signs one answer to a request whose `Signature` field is `request_signature`. `status` has three digits.
    ///
    /// # Errors
    /// [`Fault::ComponentValue`] when `request_signature` cannot stand in a line, which a verified one always can.
    pub fn sign(
        &self,
        status: u16,
        body_sha256: &[u8; 32],
        request_signature: &[u8],
        now: UnixNanos,
    ) -> Result<AnswerFields, Fault> {
        let content_digest = content_digest_text(body_sha256);
        let params = format!(
            "(\"@status\" \"content-digest\" \"signature\";req);created={};keyid=\"{}\";alg=\"ed25519\";tag=\"{ANSWER_TAG}\"",
            now.as_secs(),
            self.key_id,
        );
        let status = status.to_string();
        let mut base = Base::with_capacity(400);
        base.component("\"@status\"", status.as_bytes())?;
        base.component("\"content-digest\"", content_digest.as_bytes())?;
        base.component("\"signature\";req", request_signature)?;
        let signature = self.key.sign(&base.finish(params.as_bytes()));
        Ok(AnswerFields {
            content_digest,
            signature_input: format!("{LABEL}={params}"),
            signature: format!("{LABEL}=:{}:", STANDARD.encode(signature)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        // RFC 8037 appendix A: key and thumbprint.
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let signer = AnswerSigner::by_thumbprint(SigningKey::from_seed(seed.try_into().unwrap()));
        assert_eq!(signer.key_id.as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert!(signer.key_set().contains(r#""x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#));
    }

    #[test]
    fn the_base_is_the_one_of_the_rfc() {
        let signer = AnswerSigner::new(SigningKey::from_seed([1; 32]), ApiKeyId::parse("server-1").unwrap());
        let digest = sha256(&[b"{}"]);
        let fields =
            signer.sign(200, &digest, b"caponier=:AAAA:", UnixNanos::from_secs(1_700_000_000)).unwrap();
        let params = "(\"@status\" \"content-digest\" \"signature\";req);created=1700000000;keyid=\"server-1\";\
                      alg=\"ed25519\";tag=\"caponier-v2-answer\"";
        assert_eq!(fields.signature_input, format!("caponier={params}"));
        assert_eq!(fields.content_digest, "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:");
        let expected = format!(
            "\"@status\": 200\n\"content-digest\": {}\n\"signature\";req: caponier=:AAAA:\n\"@signature-params\": {params}",
            fields.content_digest
        );
        let signature = fields.signature.strip_prefix("caponier=:").unwrap().strip_suffix(':').unwrap();
        let signature = STANDARD.decode(signature).unwrap();
        assert_eq!(signer.verifying_key().verify(expected.as_bytes(), &signature), Ok(()));
        assert_eq!(
            signer.sign(200, &digest, b"caponier=:AAAA:\r\nx: y", UnixNanos(0)),
            Err(Fault::ComponentValue)
        );
    }
}
