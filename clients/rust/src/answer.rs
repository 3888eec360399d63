//! Signed answers: noticing whoever changes an answer on the way.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto::VerifyingKey;

use crate::{ClientError, signer::content_digest};

/// What the parameters begin with, in the one accepted shape.
const COVERED: &str = r#"("@status" "content-digest" "signature";req);"#;

/// Verifies that an answer was signed by the server's key for the request whose `Signature` field is
/// `request_signature`, and that the body is the one that was signed. `fields` are the answer's header fields.
///
/// # Errors
/// [`ClientError::AnswerUntrusted`]: do not believe the answer. A refusal of a request that did not verify is not
/// signed, and so is untrusted too.
pub fn verify_answer<'a>(
    server: &VerifyingKey,
    status: u16,
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: &[u8],
    request_signature: &str,
) -> Result<(), ClientError> {
    let untrusted = |what| ClientError::AnswerUntrusted { what };
    let (mut digest, mut input, mut signature) = (None, None, None);
    for (name, value) in fields {
        let slot = match name.to_ascii_lowercase().as_str() {
            "content-digest" => &mut digest,
            "signature-input" => &mut input,
            "signature" => &mut signature,
            _ => continue,
        };
        if slot.replace(value).is_some() {
            return Err(untrusted("a signature field is repeated"));
        }
    }
    let (Some(digest), Some(input), Some(signature)) = (digest, input, signature) else {
        return Err(untrusted("it is not signed"));
    };
    if digest != content_digest(body) {
        return Err(untrusted("the body is not that of Content-Digest"));
    }
    let params = input.strip_prefix("caponier=").filter(|params| params.starts_with(COVERED));
    let params = params.ok_or_else(|| untrusted("the signature does not cover what it should"))?;
    if !params.ends_with(";tag=\"caponier-v2-answer\"") || params.contains(['\n', '\r', ',']) {
        return Err(untrusted("the signature is not one of an answer"));
    }
    let signature = signature.strip_prefix("caponier=:").and_then(|text| text.strip_suffix(':'));
    let signature = signature.and_then(|text| STANDARD.decode(text).ok());
    let signature = signature.ok_or_else(|| untrusted("the signature is not one"))?;
    let base = format!(
        "\"@status\": {status}\n\"content-digest\": {digest}\n\"signature\";req: {request_signature}\n\
         \"@signature-params\": {params}"
    );
    server.verify(base.as_bytes(), &signature).map_err(|_| untrusted("the signature does not verify"))
}
