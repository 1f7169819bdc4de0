//! Writing a few small pieces as one.
//!
//! A head and a short body are cheaper to copy together and `send` than to hand to `writev`, whose
//! path through the kernel is longer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Up to this many bytes are copied together.
const SMALL: usize = 2048;

/// As `poll_write_vectored`, with one plain write where the pieces are small.
pub(crate) fn poll_write<S: AsyncWrite>(
    stream: Pin<&mut S>,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    if let [only] = bufs {
        return stream.poll_write(cx, only);
    }
    let total: usize = bufs.iter().map(|b| b.len()).sum();
    if total > SMALL {
        return stream.poll_write_vectored(cx, bufs);
    }
    let mut together = [0; SMALL];
    let mut filled = 0;
    for b in bufs {
        together[filled..filled + b.len()].copy_from_slice(b);
        filled += b.len();
    }
    stream.poll_write(cx, &together[..filled])
}

/// An upstream's stream that writes in this way.
#[derive(Debug)]
pub(crate) struct Gathering(pub(crate) TcpStream);

impl AsyncRead for Gathering {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Gathering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_write(Pin::new(&mut self.0), cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
