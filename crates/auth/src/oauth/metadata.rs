//! The document by which apps find the endpoints: `/.well-known/oauth-authorization-server` (RFC 8414).

/// Path of the authorization endpoint.
pub const AUTHORIZE_PATH: &str = "/oauth2/authorize";
/// Path of the token endpoint.
pub const TOKEN_PATH: &str = "/oauth2/token";
/// Path of the revocation endpoint (RFC 7009).
pub const REVOKE_PATH: &str = "/oauth2/revoke";
/// Path of the document.
pub const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

/// The document of an issuer, which is an origin such as `https://api.example.com`.
pub(super) fn document(issuer: &str) -> String {
    format!(
        concat!(
            r#"{{"issuer":"{issuer}","#,
            r#""authorization_endpoint":"{issuer}{authorize}","#,
            r#""token_endpoint":"{issuer}{token}","#,
            r#""revocation_endpoint":"{issuer}{revoke}","#,
            r#""scopes_supported":["read","trade"],"#,
            r#""response_types_supported":["code"],"#,
            r#""response_modes_supported":["query"],"#,
            r#""grant_types_supported":["authorization_code","refresh_token"],"#,
            r#""token_endpoint_auth_methods_supported":["none"],"#,
            r#""revocation_endpoint_auth_methods_supported":["none"],"#,
            r#""code_challenge_methods_supported":["S256"],"#,
            r#""dpop_signing_alg_values_supported":["ES256","EdDSA","Ed25519"],"#,
            r#""authorization_response_iss_parameter_supported":true}}"#,
        ),
        issuer = issuer,
        authorize = AUTHORIZE_PATH,
        token = TOKEN_PATH,
        revoke = REVOKE_PATH,
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_is_json_with_every_required_member() {
        let text = super::document("https://api.example.com");
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["issuer"], "https://api.example.com");
        assert_eq!(document["token_endpoint"], "https://api.example.com/oauth2/token");
        assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
        for required in ["authorization_endpoint", "response_types_supported", "revocation_endpoint"] {
            assert!(!document[required].is_null(), "{required}");
        }
    }
}
