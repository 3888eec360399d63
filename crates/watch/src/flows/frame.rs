//! Entries of the log: a block in numbers, or blocks taken back. Fixed-width little-endian integers; what is read back
//! and written again has the same bytes.
//!
//! ```text
//! entry    = 1, block / 2, height u64                 blocks from the height on are taken back
//!            / 3, marks u32, mark*                   from here on addresses are known to be malicious, or no longer
//! mark     = tag u8, length u8, payload, known u8
//! block    = height u64, hash 32, time u64, followed u8, first u32,
//!            holders u32, holder*, movements u32, movement*, joined u32, group*, baits u32, bait*
//! holder   = tag u8 (0: without an address), length u8, payload
//! movement = asset u32 (2^32 - 1: the coin), from u32, to u32, value u128, transaction 32, flags u8,
//!            and of a transaction itself: gas u64, input u32, method u32
//! group    = members u32, u32*
//! bait     = holder u32, kind u8
//! ```

use domain::{Address, AddressKind};

use super::{
    block::{Bait, BlockFlows, Call, Party},
    holders::{Holders, NOBODY, NOWHERE},
};

/// The asset that is the coin of the chain.
pub(super) const COIN: u32 = u32::MAX;

const BLOCK: u8 = 1;
const UNDO: u8 = 2;
const MARKS: u8 = 3;
const IS_CALL: u8 = 1;
const FAILED: u8 = 2;
const CREATES: u8 = 4;
const HAS_METHOD: u8 = 8;

/// A movement in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) asset: u32,
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) value: u128,
    pub(super) transaction: [u8; 32],
    pub(super) call: Option<Call>,
    /// Where it begins, from the start of the entry.
    pub(super) offset: usize,
}

impl Moved {
    pub(super) fn moves(&self) -> bool {
        self.value > 0 && self.from != self.to && self.call.is_none_or(|call| !call.failed)
    }
}

/// A block in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Numbered {
    pub(super) height: u64,
    pub(super) hash: [u8; 32],
    pub(super) time_s: u64,
    pub(super) followed: bool,
    /// Number of the first new holder.
    pub(super) first: u32,
    pub(super) holders: Vec<Option<Address>>,
    pub(super) movements: Vec<Moved>,
    pub(super) joined: Vec<Vec<u32>>,
    pub(super) baits: Vec<(u32, Bait)>,
}

/// An entry read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Block(Numbered),
    /// From here on these addresses are known to be malicious, or no longer.
    Marks(Vec<(Address, bool)>),
    Undo(u64),
}

/// No more holders can be numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManyHolders;

/// Gives numbers to whom a block names.
pub(super) fn number(block: &BlockFlows, holders: &mut Holders) -> Result<Numbered, TooManyHolders> {
    let first = u32::try_from(holders.len()).map_err(|_| TooManyHolders)?;
    let mut pools: std::collections::BTreeMap<u32, u32> = std::collections::BTreeMap::new();
    let mut of = |party: Party| match party {
        Party::Nobody => Ok(NOBODY),
        Party::Address(address) => holders.number(address).ok_or(TooManyHolders),
        Party::Pool(pool) => match pools.get(&pool) {
            Some(number) => Ok(*number),
            None => {
                let number = holders.add(None).ok_or(TooManyHolders)?;
                pools.insert(pool, number);
                Ok(number)
            }
        },
    };
    let mut numbered = Numbered {
        height: block.height,
        hash: block.hash,
        time_s: block.time_s,
        followed: block.followed,
        first,
        ..Numbered::default()
    };
    for movement in &block.movements {
        numbered.movements.push(Moved {
            asset: movement.asset.map_or(Ok(COIN), |asset| of(Party::Address(asset)))?,
            from: of(movement.from)?,
            to: if movement.to == Party::Nobody { NOWHERE } else { of(movement.to)? },
            value: movement.value,
            transaction: movement.transaction,
            call: movement.call,
            offset: 0,
        });
    }
    for group in &block.joined {
        let members: Result<Vec<u32>, _> = group.iter().map(|member| of(Party::Address(*member))).collect();
        numbered.joined.push(members?);
    }
    for (address, bait) in &block.baits {
        numbered.baits.push((of(Party::Address(*address))?, *bait));
    }
    numbered.holders = holders.from(first as usize).to_vec();
    Ok(numbered)
}

fn count(out: &mut Vec<u8>, len: usize) {
    // A block's lists are bounded far below 2^32 by what a follower decodes.
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

/// Writes that blocks from a height on are taken back.
pub(super) fn encode_undo(out: &mut Vec<u8>, from: u64) {
    out.push(UNDO);
    out.extend_from_slice(&from.to_le_bytes());
}

/// Writes from where on addresses are known to be malicious, or no longer.
pub(super) fn encode_marks(out: &mut Vec<u8>, marks: &[(Address, bool)]) {
    out.push(MARKS);
    count(out, marks.len());
    for (address, known) in marks {
        out.push(address.kind().tag());
        out.push(u8::try_from(address.payload().len()).unwrap_or(u8::MAX));
        out.extend_from_slice(address.payload());
        out.push(u8::from(*known));
    }
}

/// Writes a block, and notes where its movements stand.
pub(super) fn encode_block(out: &mut Vec<u8>, block: &mut Numbered) {
    let start = out.len();
    out.push(BLOCK);
    out.extend_from_slice(&block.height.to_le_bytes());
    out.extend_from_slice(&block.hash);
    out.extend_from_slice(&block.time_s.to_le_bytes());
    out.push(u8::from(block.followed));
    out.extend_from_slice(&block.first.to_le_bytes());
    count(out, block.holders.len());
    for holder in &block.holders {
        let (tag, payload) =
            holder.as_ref().map_or((0, &[][..]), |holder| (holder.kind().tag(), holder.payload()));
        out.push(tag);
        out.push(u8::try_from(payload.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(payload);
    }
    count(out, block.movements.len());
    for moved in &mut block.movements {
        moved.offset = out.len() - start;
        for number in [moved.asset, moved.from, moved.to] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&moved.value.to_le_bytes());
        out.extend_from_slice(&moved.transaction);
        let Some(call) = moved.call else {
            out.push(0);
            continue;
        };
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(
            IS_CALL
                | flag(call.failed, FAILED)
                | flag(call.creates, CREATES)
                | flag(call.method.is_some(), HAS_METHOD),
        );
        out.extend_from_slice(&call.gas_used.to_le_bytes());
        out.extend_from_slice(&call.input_bytes.to_le_bytes());
        out.extend_from_slice(&call.method.unwrap_or(0).to_le_bytes());
    }
    count(out, block.joined.len());
    for group in &block.joined {
        count(out, group.len());
        group.iter().for_each(|member| out.extend_from_slice(&member.to_le_bytes()));
    }
    count(out, block.baits.len());
    for (holder, bait) in &block.baits {
        out.extend_from_slice(&holder.to_le_bytes());
        out.push(match bait {
            Bait::Dust => 1,
            Bait::ZeroValue => 2,
        });
    }
}

/// What a movement is, without where it stands: asset, from, to, value, transaction.
pub(super) const MOVED_HEAD_BYTES: usize = 4 + 4 + 4 + 16 + 32;

/// Reads value and transaction of a movement's first bytes.
pub(super) fn head(bytes: &[u8; MOVED_HEAD_BYTES]) -> (u128, [u8; 32]) {
    let mut read = Reader { bytes, position: 12 };
    (read.u128().unwrap_or(0), read.fixed().unwrap_or([0; 32]))
}

/// Reads bytes front to back.
#[derive(Debug)]
pub(super) struct Reader<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) position: usize,
}

impl Reader<'_> {
    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let end = self.position.checked_add(N)?;
        let found = self.bytes.get(self.position..end)?.try_into().ok()?;
        self.position = end;
        Some(found)
    }

    fn u8(&mut self) -> Option<u8> {
        self.fixed::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.fixed().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.fixed().map(u64::from_le_bytes)
    }

    fn u128(&mut self) -> Option<u128> {
        self.fixed().map(u128::from_le_bytes)
    }

    fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// A length; more than the bytes that are left can hold is none.
    fn count(&mut self, item_bytes_min: usize) -> Option<usize> {
        let count = usize::try_from(self.u32()?).ok()?;
        (count.checked_mul(item_bytes_min)? <= self.bytes.len() - self.position).then_some(count)
    }

    /// The next entry; `None` where the bytes are none. `holders` is how many have a number before it.
    pub(super) fn entry(&mut self, holders: usize) -> Option<Entry> {
        let start = self.position;
        match self.u8()? {
            UNDO => self.u64().map(Entry::Undo),
            BLOCK => self.block(start, holders).map(Entry::Block),
            MARKS => self.marks().map(Entry::Marks),
            _ => None,
        }
    }

    fn marks(&mut self) -> Option<Vec<(Address, bool)>> {
        (0..self.count(3)?)
            .map(|_| {
                let (tag, len) = (self.u8()?, usize::from(self.u8()?));
                let payload = self.bytes.get(self.position..self.position.checked_add(len)?)?;
                self.position += len;
                Some((Address::new(AddressKind::from_tag(tag)?, payload)?, self.bool()?))
            })
            .collect()
    }

    fn block(&mut self, start: usize, holders: usize) -> Option<Numbered> {
        let mut block = Numbered {
            height: self.u64()?,
            hash: self.fixed()?,
            time_s: self.u64()?,
            followed: self.bool()?,
            first: self.u32()?,
            ..Numbered::default()
        };
        if block.first as usize != holders {
            return None;
        }
        for _ in 0..self.count(2)? {
            let (tag, len) = (self.u8()?, usize::from(self.u8()?));
            let payload = self.bytes.get(self.position..self.position.checked_add(len)?)?;
            self.position += len;
            block.holders.push(match tag {
                0 if len == 0 => None,
                0 => return None,
                tag => Some(Address::new(AddressKind::from_tag(tag)?, payload)?),
            });
        }
        let known = u32::try_from(holders + block.holders.len()).ok()?;
        let holder = |number: u32| (number < known).then_some(number);
        for _ in 0..self.count(MOVED_HEAD_BYTES + 1)? {
            let offset = self.position - start;
            let asset = match self.u32()? {
                COIN => COIN,
                contract => holder(contract)?,
            };
            let (from, to) = (holder(self.u32()?)?, holder(self.u32()?)?);
            let (value, transaction, flags) = (self.u128()?, self.fixed()?, self.u8()?);
            let call = match flags {
                0 => None,
                flags if flags & IS_CALL != 0 && flags <= IS_CALL | FAILED | CREATES | HAS_METHOD => {
                    let (gas_used, input_bytes, method) = (self.u64()?, self.u32()?, self.u32()?);
                    let has_method = flags & HAS_METHOD != 0;
                    if !has_method && method != 0 {
                        return None;
                    }
                    Some(Call {
                        gas_used,
                        failed: flags & FAILED != 0,
                        creates: flags & CREATES != 0,
                        input_bytes,
                        method: has_method.then_some(method),
                    })
                }
                _ => return None,
            };
            block.movements.push(Moved { asset, from, to, value, transaction, call, offset });
        }
        for _ in 0..self.count(4)? {
            let members = self.count(4)?;
            let group: Option<Vec<u32>> = (0..members).map(|_| holder(self.u32()?)).collect();
            block.joined.push(group?);
        }
        for _ in 0..self.count(5)? {
            let number = holder(self.u32()?)?;
            let bait = match self.u8()? {
                1 => Bait::Dust,
                2 => Bait::ZeroValue,
                _ => return None,
            };
            block.baits.push((number, bait));
        }
        Some(block)
    }
}

/// Whether bytes are entries, and if so whether they are written again the same.
#[cfg(any(fuzzing, test))]
pub(crate) fn rewritten(bytes: &[u8]) -> Option<bool> {
    let (mut reader, mut holders, mut again) =
        (Reader { bytes, position: 0 }, super::holders::FIRST, Vec::new());
    while reader.position < bytes.len() {
        match reader.entry(holders)? {
            Entry::Undo(from) => encode_undo(&mut again, from),
            Entry::Marks(marks) => encode_marks(&mut again, &marks),
            Entry::Block(mut block) => {
                holders += block.holders.len();
                let offsets: Vec<usize> = block.movements.iter().map(|moved| moved.offset).collect();
                encode_block(&mut again, &mut block);
                if offsets.iter().ne(block.movements.iter().map(|moved| &moved.offset)) {
                    return Some(false);
                }
            }
        }
    }
    Some(again == bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flows::block::Movement;

    fn party() -> impl Strategy<Value = Party> {
        prop_oneof![
            Just(Party::Nobody),
            (0_u32..4).prop_map(Party::Pool),
            (0_u8..6).prop_map(|n| Party::Address(address(n))),
        ]
    }

    fn address(number: u8) -> Address {
        Address::new(AddressKind::Evm, &[number; 20]).unwrap()
    }

    fn movement() -> impl Strategy<Value = Movement> {
        let call =
            (any::<u64>(), any::<u32>(), proptest::option::of(any::<u32>()), any::<bool>(), any::<bool>())
                .prop_map(|(gas_used, input_bytes, method, failed, creates)| Call {
                    gas_used,
                    failed,
                    creates,
                    input_bytes,
                    method,
                });
        (party(), party(), any::<u128>(), any::<[u8; 32]>(), proptest::option::of(call), any::<bool>())
            .prop_map(|(from, to, value, transaction, call, is_token)| Movement {
                transaction,
                asset: is_token.then(|| address(9)),
                from,
                to,
                value,
                call,
            })
    }

    proptest! {
        #[test]
        fn entries_round_trip(movements in proptest::collection::vec(movement(), 0..8), cut in any::<prop::sample::Index>(), bit: u8) {
            let block = BlockFlows {
                height: 7,
                movements,
                joined: vec![vec![address(1), address(2)], Vec::new()],
                baits: vec![(address(3), Bait::Dust), (address(4), Bait::ZeroValue)],
                ..BlockFlows::default()
            };
            let mut numbered = number(&block, &mut Holders::default()).unwrap();
            let mut bytes = Vec::new();
            encode_undo(&mut bytes, 3);
            encode_marks(&mut bytes, &[(address(5), true), (address(6), false)]);
            encode_block(&mut bytes, &mut numbered);
            prop_assert_eq!(rewritten(&bytes), Some(true));
            // Whatever else is an entry is written again the same too, and a part of one is none.
            prop_assert_ne!(rewritten(&bytes[..cut.index(bytes.len())]), Some(false));
            let at = cut.index(bytes.len());
            bytes[at] ^= 1 << (bit % 8);
            prop_assert_ne!(rewritten(&bytes), Some(false));
        }

        #[test]
        fn other_bytes_are_refused_or_entries(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_ne!(rewritten(&bytes), Some(false));
        }
    }
}
