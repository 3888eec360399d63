//! Typed messages to sign: hashed and read the same every time; what another JSON reader refuses is refused.
#![no_main]

use fuzz::edited;
use intent::{Context, typed};
use libfuzzer_sys::fuzz_target;

const EXAMPLE: &[u8] = br#"{"types":{"EIP712Domain":[{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],"PermitSingle":[{"name":"details","type":"PermitDetails"},{"name":"spender","type":"address"},{"name":"sigDeadline","type":"uint256"}],"PermitDetails":[{"name":"token","type":"address"},{"name":"amount","type":"uint160"},{"name":"expiration","type":"uint48"},{"name":"nonce","type":"uint48"}]},"primaryType":"PermitSingle","domain":{"chainId":1,"verifyingContract":"0x000000000022d473030f116ddee9f6b43ac78ba3"},"message":{"details":{"token":"0x2222222222222222222222222222222222222222","amount":"5","expiration":1,"nonce":0},"spender":"0x3333333333333333333333333333333333333333","sigDeadline":"0x1"}}"#;

fuzz_target!(|data: &[u8]| {
    let bytes = edited(&[EXAMPLE], data);
    let Ok(text) = std::str::from_utf8(&bytes) else { return };
    let Ok(message) = typed::decode(text) else { return };
    assert!(serde_json::from_str::<serde_json::Value>(text).is_ok());
    assert_eq!(typed::decode(text).as_ref(), Ok(&message));
    let reading = typed::read_message(&message, None, &Context::default());
    assert!(reading.effects.iter().all(|effect| !effect.act.to_string().is_empty()));
});
