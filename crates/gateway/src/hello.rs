//! The first bytes of a TLS connection, read once for the fingerprint of the client and once by TLS.
//!
//! [`Hello::read`] takes bytes until they hold a whole ClientHello or show that there will be none; [`Replayed`] hands
//! the same bytes to TLS, which alone decides about the connection. Bounds: [`ja4::BYTES_MAX`] bytes; the time is the
//! caller's, and is part of the handshake's.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use admission::{Ja4, ja4};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// Read at once: most hellos fit.
const READ_BYTES: usize = 2 << 10;

/// What a client sent first.
#[derive(Debug, Default)]
pub(crate) struct Hello {
    bytes: Vec<u8>,
    pub(crate) ja4: Option<Ja4>,
}

impl Hello {
    /// Reads up to the end of the ClientHello, or to where there is none.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(READ_BYTES);
        loop {
            let known = bytes.len();
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(Self { bytes, ja4: None });
            }
            match ja4::read(&bytes) {
                Ok(None) if bytes.len() < ja4::BYTES_MAX && bytes.len() > known => {
                    bytes.reserve(READ_BYTES);
                }
                Ok(ja4) => return Ok(Self { bytes, ja4 }),
                Err(_) => return Ok(Self { bytes, ja4: None }),
            }
        }
    }

    /// Whether anything was sent at all.
    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The stream as it was before.
    pub(crate) fn replayed<S>(self, inner: S) -> Replayed<S> {
        Replayed { bytes: self.bytes, taken: 0, inner }
    }
}

/// A byte stream that begins with bytes that were read from it before.
#[derive(Debug)]
pub(crate) struct Replayed<S> {
    bytes: Vec<u8>,
    taken: usize,
    inner: S,
}

impl<S> Replayed<S> {
    /// The stream itself.
    pub(crate) const fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Replayed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let left = this.bytes.get(this.taken..).unwrap_or_default();
        if left.is_empty() {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        let n = left.len().min(buf.remaining());
        buf.put_slice(left.get(..n).unwrap_or_default());
        this.taken += n;
        if this.taken == this.bytes.len() {
            this.bytes = Vec::new();
            this.taken = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replayed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    async fn both(sent: Vec<u8>, piece: usize) -> (Option<Ja4>, Vec<u8>) {
        let (mut here, mut there) = duplex(piece);
        let expected = sent.clone();
        let sender = tokio::spawn(async move {
            // The reader may leave early.
            drop(there.write_all(&sent).await);
        });
        let hello = Hello::read(&mut here).await.unwrap();
        assert!(expected.starts_with(&hello.bytes) && hello.bytes.len() <= ja4::BYTES_MAX + READ_BYTES);
        let ja4 = hello.ja4;
        let mut replayed = hello.replayed(here);
        let mut all = Vec::new();
        replayed.read_to_end(&mut all).await.unwrap();
        sender.await.unwrap();
        assert_eq!(all, expected);
        (ja4, all)
    }

    /// The hello of the TLS library at hand.
    fn client_hello() -> Vec<u8> {
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let name = "exchange.example".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    #[tokio::test]
    async fn tls_gets_every_byte_however_the_hello_is_cut() {
        let hello = client_hello();
        let expected = ja4::read(&hello).unwrap();
        assert!(expected.is_some());
        for piece in [1, 7, 512, 1 << 16] {
            let mut sent = hello.clone();
            sent.extend_from_slice(b"what follows");
            assert_eq!(both(sent, piece).await.0, expected);
        }
    }

    #[tokio::test]
    async fn what_is_no_hello_is_handed_on() {
        assert_eq!(both(b"GET / HTTP/1.1\r\n\r\n".to_vec(), 3).await.0, None);
        assert_eq!(both(Vec::new(), 3).await.0, None);
        assert_eq!(both(client_hello()[..50].to_vec(), 64).await.0, None);
        // Records of one byte each, without an end.
        let endless = [22, 3, 1, 0, 1, 1].repeat(20_000);
        assert_eq!(both(endless, 1 << 10).await.0, None);
    }
}
