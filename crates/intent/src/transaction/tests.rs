use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// The example of EIP-155.
const UNSIGNED: &str =
    "ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080";
const SIGNED: &str = "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";

#[test]
fn the_example_of_eip_155() {
    let unsigned = decode(&hex(UNSIGNED)).unwrap();
    let signed = decode(&hex(SIGNED)).unwrap();
    let hash = hex("daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");
    assert_eq!(unsigned.signing_hash.to_vec(), hash);
    assert_eq!(signed.signing_hash.to_vec(), hash);
    assert_eq!((unsigned.is_signed(), unsigned.chain_id), (false, Some(U256::ONE)));
    let signer = "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f";
    assert_eq!(signed.signer.unwrap().to_string(), signer);
    assert_eq!(signed.transaction.from.to_string(), signer);
    assert_eq!(
        signed.transaction.hash.to_vec(),
        hex("33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788")
    );
    let tx = unsigned.transaction;
    assert_eq!((tx.nonce, tx.gas), (9, 21_000));
    assert_eq!(tx.gas_price, U256::from(20_000_000_000u64));
    assert_eq!(tx.to, Some(Account([0x35; 20])));
    assert_eq!(tx.value, U256::from(1_000_000_000_000_000_000u64));
    assert_eq!((tx.v, signed.chain_id), (U256::ZERO, Some(U256::ONE)));
}

#[test]
fn legacy_without_a_chain() {
    let unsigned =
        decode(&hex("e9098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080"))
            .unwrap();
    assert_eq!((unsigned.chain_id, unsigned.is_signed()), (None, false));
}

/// Writes a transaction again, to compare.
fn encode(kind: u8, fields: &[Field]) -> Vec<u8> {
    let mut items = Vec::new();
    fields.iter().for_each(|field| field.put(&mut items));
    let mut out = Vec::new();
    if kind > 0 {
        out.push(kind);
    }
    rlp::put_list(&mut out, &items);
    out
}

#[derive(Debug, Clone)]
enum Field {
    Number(u64),
    Text(Vec<u8>),
    List(Vec<Self>),
}

impl Field {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => rlp::put_integer(out, U256::from(*number)),
            Self::Text(text) => rlp::put_bytes(out, text),
            Self::List(fields) => {
                let mut items = Vec::new();
                fields.iter().for_each(|field| field.put(&mut items));
                rlp::put_list(out, &items);
            }
        }
    }
}

fn to() -> Field {
    Field::Text(vec![7; 20])
}

fn typed(kind: u8) -> Vec<Field> {
    use Field::{List, Number, Text};
    let mut fields = vec![Number(1), Number(5)];
    fields.extend(if kind == 1 { vec![Number(9)] } else { vec![Number(2), Number(9)] });
    fields.extend([Number(21_000), to(), Number(0), Text(vec![1, 2, 3])]);
    fields.push(List(vec![List(vec![to(), List(vec![Text(vec![3; 32])])])]));
    if kind == 3 {
        fields.extend([Number(8), List(vec![Text(vec![1; 32])])]);
    }
    if kind == 4 {
        let authorization = vec![Number(1), to(), Number(0), Number(1), Number(4), Number(5)];
        fields.push(List(vec![List(authorization)]));
    }
    fields
}

#[test]
fn every_type_is_read() {
    for kind in 1..=4 {
        let envelope = decode(&encode(kind, &typed(kind))).unwrap();
        let tx = &envelope.transaction;
        assert_eq!((tx.kind, tx.nonce, tx.gas), (u64::from(kind), 5, 21_000));
        assert_eq!((envelope.chain_id, envelope.signer), (Some(U256::ONE), None));
        assert_eq!(tx.input, [1, 2, 3]);
        assert_eq!(tx.access_list, vec![(Account([7; 20]), vec![[3; 32]])]);
        assert_eq!(tx.blob_versioned_hashes.len(), usize::from(kind == 3));
        assert_eq!(tx.authorizations.len(), usize::from(kind == 4));
        // One field more, one less.
        let mut fields = typed(kind);
        fields.push(Field::Number(1));
        let count = fields.len();
        assert_eq!(decode(&encode(kind, &fields)), Err(TransactionError::FieldCount { kind, count }));
        assert!(decode(&encode(kind, &fields[..count - 2])).is_err());
        // A signature that is none.
        fields.extend([Field::Number(1), Field::Number(0)]);
        assert_eq!(decode(&encode(kind, &fields)), Err(TransactionError::BadSignature));
    }
    // With its blobs, as it is sent.
    let inner = Field::List(typed(3));
    let with_blobs = encode(3, &[inner, Field::List(vec![]), Field::List(vec![]), Field::List(vec![])]);
    assert_eq!(decode(&with_blobs), decode(&encode(3, &typed(3))));
}

#[test]
fn faults_are_named() {
    let fault = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();
    assert_eq!(fault(&[]), "the transaction is empty");
    assert_eq!(fault(&[0x05, 0xc0]), "a transaction of type 0x05 is not known");
    assert_eq!(fault(&[0xc0]), "a transaction of type 0 does not have 0 fields");
    let mut longer = hex(UNSIGNED);
    longer.push(0);
    assert_eq!(fault(&longer), "field end: 1 bytes follow the end at byte 45");
    let mut fields = typed(2);
    fields[1] = Field::Text(vec![0, 5]);
    assert_eq!(fault(&encode(2, &fields)), "field nonce: the item at byte 4 is not in its shortest form");
    fields[1] = Field::Text(vec![1; 9]);
    assert!(fault(&encode(2, &fields)).starts_with("field nonce"));
    let mut fields = typed(4);
    fields[5] = Field::Text(Vec::new());
    assert!(fault(&encode(4, &fields)).starts_with("field to"), "type 4 creates nothing");
    let mut high = hex(SIGNED);
    let at = high.len() - 32;
    high[at..].copy_from_slice(&[0xff; 32]);
    assert_eq!(decode(&high), Err(TransactionError::BadSignature));
    assert!(matches!(decode(&vec![0xc0; BYTES_MAX + 1]), Err(TransactionError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(decode(&bytes));
    }

    #[test]
    fn edits_are_refused_or_read(at in 0usize..120, byte: u8, kind in 1u8..=4) {
        let mut bytes = encode(kind, &typed(kind));
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(envelope) = decode(&bytes) {
            prop_assert!(!envelope.is_signed());
        }
    }
}
