//! Frames: four bytes of length, the highest first, then so many bytes.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::WireError;

/// The longest body of a request, in bytes.
pub const REQUEST_MAX: usize = 64 << 10;

/// The longest body of a reply, in bytes.
pub const REPLY_MAX: usize = 1 << 20;

/// Receives one body. The length is checked before anything is allocated, and
/// memory is taken only as bytes arrive: a claim costs nothing.
///
/// # Errors
/// See [`WireError`]; the connection is of no use after any of them.
pub async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    most: usize,
) -> Result<Vec<u8>, WireError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > most {
        return Err(WireError::TooLong { length, most });
    }
    let mut body = Vec::new();
    stream.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(WireError::Closed);
    }
    Ok(body)
}

/// The bytes of a frame with this body.
///
/// # Errors
/// [`WireError::TooLong`].
pub fn frame(body: &[u8], most: usize) -> Result<Vec<u8>, WireError> {
    let length = body.len();
    if length > most {
        return Err(WireError::TooLong { length, most });
    }
    let mut frame = Vec::with_capacity(4 + length);
    frame.extend_from_slice(&(length as u32).to_be_bytes());
    frame.extend_from_slice(body);
    Ok(frame)
}

/// Sends one body.
///
/// # Errors
/// [`WireError::TooLong`], and then nothing was sent; those of the connection.
pub async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    body: &[u8],
    most: usize,
) -> Result<(), WireError> {
    stream.write_all(&frame(body, most)?).await?;
    Ok(stream.flush().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn received(bytes: &[u8], most: usize) -> Result<Vec<u8>, WireError> {
        let mut stream = bytes;
        receive(&mut stream, most).await
    }

    #[tokio::test]
    async fn a_frame_comes_back() {
        for body in [&b""[..], b"x", &[7; 5000]] {
            let mut bytes = Vec::new();
            send(&mut bytes, body, 5000).await.expect("sent");
            assert_eq!(bytes.len(), body.len() + 4);
            assert_eq!(received(&bytes, 5000).await.expect("received"), body);
            for cut in 0..bytes.len().min(20) {
                let result = received(&bytes[..cut], 5000).await;
                assert!(matches!(result, Err(WireError::Closed)), "{cut}");
            }
        }
    }

    #[tokio::test]
    async fn long_frames_are_refused_on_both_ends() {
        let mut bytes = Vec::new();
        let sent = send(&mut bytes, &[0; 11], 10).await;
        assert!(matches!(
            sent,
            Err(WireError::TooLong {
                length: 11,
                most: 10
            })
        ));
        assert!(bytes.is_empty());
        for claim in [11_u32, 1 << 20, u32::MAX] {
            let result = received(&claim.to_be_bytes(), 10).await;
            assert!(matches!(result, Err(WireError::TooLong { .. })), "{claim}");
        }
    }
}
