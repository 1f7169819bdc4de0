//! Request bodies: read and unpacked within limits.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};

/// How long a client may take to send a request.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest window that a zstd frame may ask for, as a power of two: 64 MiB.
const ZSTD_WINDOW_LOG: u32 = 26;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// Snappy's block format, as Prometheus remote-write uses it.
    Snappy,
}

impl Packing {
    /// By the name in `content-encoding` or `grpc-encoding`; no name means none.
    pub(super) fn of(name: Option<&str>) -> Option<Self> {
        match name.unwrap_or("identity") {
            "identity" | "" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            "snappy" => Some(Self::Snappy),
            _ => None,
        }
    }
}

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// Larger than it may be.
    #[error("the request has more than {0} bytes; send smaller batches, or raise `{1}`")]
    TooLarge(u64, &'static str),
    /// The client took too long.
    #[error("the request did not come within 30 s")]
    Slow,
    /// The connection ended.
    #[error("the request broke off")]
    Broken,
    /// Not packed as it says.
    #[error("the request is not {0}")]
    NotPacked(&'static str),
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn read(body: Incoming, limit: u64) -> Result<Bytes, BodyError> {
    let too_large = BodyError::TooLarge(limit, "intake.max_request");
    if body.size_hint().lower() > limit {
        return Err(too_large);
    }
    let limited = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX));
    match tokio::time::timeout(PATIENCE, limited.collect()).await {
        Err(_) => Err(BodyError::Slow),
        Ok(Ok(all)) => Ok(all.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large),
        Ok(Err(_)) => Err(BodyError::Broken),
    }
}

/// Unpacks a body to at most `limit` bytes.
pub(super) fn unpack(packing: Packing, body: &[u8], limit: u64) -> Result<Vec<u8>, BodyError> {
    match packing {
        Packing::Identity => Ok(body.to_vec()),
        Packing::Gzip => drain(flate2::read::MultiGzDecoder::new(body), limit, "gzip"),
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(body).map_err(|_| BodyError::NotPacked("zstd"))?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG)
                .map_err(|_| BodyError::NotPacked("zstd"))?;
            drain(decoder, limit, "zstd")
        }
        Packing::Snappy => {
            let length = snap::raw::decompress_len(body).map_err(|_| BodyError::NotPacked("snappy"))?;
            if length as u64 > limit {
                return Err(BodyError::TooLarge(limit, "intake.max_unpacked"));
            }
            let mut decoder = snap::raw::Decoder::new();
            decoder.decompress_vec(body).map_err(|_| BodyError::NotPacked("snappy"))
        }
    }
}

fn drain(reader: impl Read, limit: u64, name: &'static str) -> Result<Vec<u8>, BodyError> {
    let mut out = Vec::new();
    let read = reader.take(limit + 1).read_to_end(&mut out);
    read.map_err(|_| BodyError::NotPacked(name))?;
    if out.len() as u64 > limit {
        return Err(BodyError::TooLarge(limit, "intake.max_unpacked"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn what_was_packed_comes_back_and_a_bomb_does_not() {
        let text = vec![b'x'; 1 << 20];
        let packed = [
            (Packing::Gzip, gzip(&text)),
            (Packing::Zstd, zstd::stream::encode_all(&text[..], 3).unwrap()),
            (Packing::Snappy, snap::raw::Encoder::new().compress_vec(&text).unwrap()),
            (Packing::Identity, text.clone()),
        ];
        for (packing, body) in &packed {
            assert_eq!(unpack(*packing, body, 1 << 20).unwrap(), text, "{packing:?}");
            if *packing != Packing::Identity {
                let bomb = unpack(*packing, body, (1 << 20) - 1);
                assert_eq!(
                    bomb,
                    Err(BodyError::TooLarge((1 << 20) - 1, "intake.max_unpacked")),
                    "{packing:?}"
                );
                assert!(
                    matches!(unpack(*packing, b"nonsense!", 9_999), Err(BodyError::NotPacked(_))),
                    "{packing:?}"
                );
            }
        }
    }

    #[test]
    fn names() {
        assert_eq!(Packing::of(None), Some(Packing::Identity));
        assert_eq!(Packing::of(Some("zstd")), Some(Packing::Zstd));
        assert_eq!(Packing::of(Some("br")), None);
    }
}
