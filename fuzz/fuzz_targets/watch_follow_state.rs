//! Stored states of followers with a right digest: read or refused, and what is read is written again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watch::follow::state::FollowState;

fuzz_target!(|data: &[u8]| {
    let mut bytes = b"caponier follow 1\n".to_vec();
    bytes.extend_from_slice(data);
    let digest = crypto::sha256(&[&bytes]);
    bytes.extend_from_slice(&digest);
    if let Ok(state) = FollowState::from_bytes(&bytes, "eth", 12, 256) {
        let again = FollowState::from_bytes(&state.to_bytes(), "eth", 12, 256).expect("a state");
        assert_eq!(again, state);
    }
});
