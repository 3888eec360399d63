//! Payloads of the journal: what decodes encodes to the same bytes.
#![no_main]

use journal::record::{
    BackupDrill, Ban, Emergency, FraudBundle, KekRotated, Lifecycle, ListImported, ListRemoved, Refusals, Screening,
    SubjectErased, Suspicion,
    decode_decision, decode_event, decode_fraud_alert, decode_judgement, encode_decision, encode_event, encode_fraud_alert,
    encode_judgement,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((kind, payload)) = data.split_first() else { return };
    let encoded = match kind % 16 {
        0 => decode_decision(payload).map(|decision| encode_decision(&decision)),
        1 => decode_event(payload).map(|event| encode_event(&event)),
        2 => BackupDrill::decode(payload).map(|drill| drill.encode()),
        3 => KekRotated::decode(payload).map(|rotated| rotated.encode()),
        4 => Lifecycle::decode(payload).map(|lifecycle| lifecycle.encode()),
        5 => ListImported::decode(payload).map(|imported| imported.encode()),
        7 => Ban::decode(payload).map(|ban| ban.encode()),
        9 => decode_fraud_alert(payload).map(|alert| encode_fraud_alert(&alert)),
        10 => FraudBundle::decode(payload).map(|bundle| bundle.encode()),
        11 => Emergency::decode(payload).map(|emergency| emergency.encode()),
        6 => Refusals::decode(payload).map(|refusals| refusals.encode()),
        8 => Screening::decode(payload).map(|screening| screening.encode()),
        13 => ListRemoved::decode(payload).map(|removed| removed.encode()),
        12 => Suspicion::decode(payload).map(|suspicion| suspicion.encode()),
        14 => decode_judgement(payload).map(|judgement| encode_judgement(&judgement)),
        _ => SubjectErased::decode(payload).map(|erased| erased.encode()),
    };
    if let Ok(encoded) = encoded {
        assert_eq!(encoded, payload);
    }
});
