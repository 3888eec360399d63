//! Signed notes, keys and checkpoints: accepted text has one spelling, and no edit of a signed one is accepted.
#![no_main]

use std::sync::LazyLock;

use crypto::SigningKey;
use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use tlog::{Checkpoint, Hash, Note, NoteSigner, NoteVerifier};

static SIGNER: LazyLock<NoteSigner> =
    LazyLock::new(|| NoteSigner::new("log.example", SigningKey::from_seed([1; 32])).expect("a valid name"));
static SIGNED: LazyLock<String> = LazyLock::new(|| Checkpoint::sign(3, Hash([7; 32]), &SIGNER));
static KEY: LazyLock<String> = LazyLock::new(|| SIGNER.verifier().to_string());

fuzz_target!(|data: &[u8]| {
    let text =
        SIGNED.split_inclusive("\n\n").next().unwrap_or_default().trim_end_matches('\n').to_owned() + "\n";
    let bytes = edited(&[SIGNED.as_bytes(), KEY.as_bytes(), text.as_bytes()], data);
    if let Ok(note) = Note::parse(&bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes);
    }
    if let Ok(checkpoint) = Checkpoint::open(&bytes, SIGNER.verifier()) {
        assert_eq!((checkpoint.size, checkpoint.root), (3, Hash([7; 32])), "nothing else was signed");
        assert_eq!(checkpoint.origin, "log.example");
    }
    let Ok(text) = std::str::from_utf8(&bytes) else { return };
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.to_text(), text);
    }
    if let Ok(verifier) = NoteVerifier::parse(text) {
        assert_eq!(verifier.to_string(), text);
    }
});
