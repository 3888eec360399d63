//! A node of an EVM chain as a source of blocks.
//!
//! Per head: block with its transactions and receipts with their logs, both asked for *by the block's hash* and at the
//! same time; a missing answer means "again", never "empty". What comes back is verified by [`chain::evm::verify`]
//! before anything is derived. The node must serve `eth_getBlockReceipts` (all clients of the last years do).

mod wire;

use chain::{
    evm::{self, Facts, Pools, Proof},
    headers::{BlockHash, BlockId, Header},
};

use self::wire::{Quantity, WireBlock, WireHeader, WireReceipt, quoted};
use super::{
    rpc::Rpc,
    source::{Source, SourceError},
};

/// A node.
#[derive(Debug)]
pub struct EvmNode {
    rpc: Rpc,
    chain_id: u64,
    proof: Proof,
    pools: Pools,
}

impl EvmNode {
    /// A node that must follow the chain of this id (EIP-155).
    #[must_use]
    pub const fn new(rpc: Rpc, chain_id: u64, proof: Proof) -> Self {
        Self { rpc, chain_id, proof, pools: Pools::none() }
    }

    /// With mixing pools, of which what they pay out is told.
    #[must_use]
    pub fn with_pools(self, pools: Pools) -> Self {
        Self { pools, ..self }
    }

    async fn header_by(&self, method: &'static str, params: &str) -> Result<Option<Header>, SourceError> {
        let header: Option<WireHeader> = self.rpc.ask(method, params).await?;
        Ok(header.map(|header| header.link()))
    }
}

impl Source for EvmNode {
    type Facts = Facts;

    async fn identify(&self) -> Result<BlockHash, SourceError> {
        let Quantity(got) = self.rpc.ask("eth_chainId", "[]").await?;
        if got != self.chain_id {
            return Err(SourceError::WrongChain {
                what: "chain id",
                expected: self.chain_id.to_string(),
                got: got.to_string(),
            });
        }
        let genesis = self.header_by("eth_getBlockByNumber", r#"["0x0",false]"#).await?;
        let genesis = genesis.ok_or(SourceError::Malformed {
            method: "eth_getBlockByNumber",
            detail: "the node has no block 0".to_owned(),
        })?;
        Ok(genesis.id.hash)
    }

    async fn head(&self) -> Result<Header, SourceError> {
        let head = self.header_by("eth_getBlockByNumber", r#"["latest",false]"#).await?;
        head.ok_or(SourceError::Malformed {
            method: "eth_getBlockByNumber",
            detail: "the node has no newest block".to_owned(),
        })
    }

    async fn header_at(&self, height: u64) -> Result<Option<Header>, SourceError> {
        self.header_by("eth_getBlockByNumber", &format!(r#"["{height:#x}",false]"#)).await
    }

    async fn header(&self, id: BlockId) -> Result<Option<Header>, SourceError> {
        self.header_by("eth_getBlockByHash", &format!("[{},false]", quoted(&id.hash.0))).await
    }

    async fn facts(&self, header: &Header) -> Result<Option<Facts>, SourceError> {
        let hash = quoted(&header.id.hash.0);
        let (block_params, receipt_params) = (format!("[{hash},true]"), format!("[{hash}]"));
        let (block, receipts) = tokio::try_join!(
            self.rpc.ask::<Option<WireBlock>>("eth_getBlockByHash", &block_params),
            self.rpc.ask::<Option<Vec<WireReceipt>>>("eth_getBlockReceipts", &receipt_params),
        )?;
        let (Some(block), Some(receipts)) = (block, receipts) else { return Ok(None) };
        let facts = facts(header, block, receipts, self.chain_id, self.proof, &self.pools)?;
        Ok(Some(facts))
    }
}

/// Verifies and decodes the two answers about a block.
fn facts(
    header: &Header,
    block: WireBlock,
    receipts: Vec<WireReceipt>,
    chain_id: u64,
    proof: Proof,
    pools: &Pools,
) -> Result<Facts, SourceError> {
    let receipts: Vec<_> = receipts
        .into_iter()
        .map(|receipt| {
            receipt
                .receipt()
                .map_err(|detail| SourceError::Malformed { method: "eth_getBlockReceipts", detail })
        })
        .collect::<Result<_, _>>()?;
    let verified = evm::verify(header.id.hash, block.into(), receipts, proof)?;
    let facts = evm::decode(&verified, chain_id, pools);
    // The link was checked when the header was walked; the block must be the one it spoke of.
    if facts.header.id != header.id || facts.header.parent != header.parent {
        return Err(SourceError::Malformed {
            method: "eth_getBlockByHash",
            detail: format!("block {} says other things of itself than its header did", header.id),
        });
    }
    Ok(facts)
}

/// A header as it is announced; why it is none.
pub(super) fn wire_header(json: &str) -> Result<Header, String> {
    serde_json::from_str::<WireHeader>(json).map(|header| header.link()).map_err(|error| error.to_string())
}

/// Decodes the JSON of a block and of its receipts, as `eth_getBlockByHash` and `eth_getBlockReceipts` answer.
///
/// # Errors
/// [`SourceError`], the first thing that is wrong.
pub fn decode_block(
    header: &Header,
    block: &str,
    receipts: &str,
    chain_id: u64,
    proof: Proof,
    pools: &Pools,
) -> Result<Facts, SourceError> {
    let malformed = |method: &'static str| {
        move |error: serde_json::Error| SourceError::Malformed { method, detail: error.to_string() }
    };
    let block = serde_json::from_str(block).map_err(malformed("eth_getBlockByHash"))?;
    let receipts = serde_json::from_str(receipts).map_err(malformed("eth_getBlockReceipts"))?;
    facts(header, block, receipts, chain_id, proof, pools)
}
