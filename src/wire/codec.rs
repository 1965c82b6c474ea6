//! Messages to bytes and back: the one place that knows the encoding.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::WireError;
use super::frame::{REPLY_MAX, REQUEST_MAX};
use super::reply::Reply;
use super::request::Request;

/// A message with the most bytes that it may take.
pub trait Message: Serialize + DeserializeOwned {
    /// The most bytes of the encoded message.
    const MOST: usize;
}

impl Message for Request {
    const MOST: usize = REQUEST_MAX;
}

impl Message for Reply {
    const MOST: usize = REPLY_MAX;
}

/// The bytes of a message.
///
/// # Errors
/// [`WireError::TooLong`].
pub fn encode<M: Message>(message: &M) -> Result<Vec<u8>, WireError> {
    let bytes = bincode::serde::encode_to_vec(message, bincode::config::standard())
        .map_err(|error| WireError::Unreadable(error.to_string()))?;
    // The codec's own limit does not hold for encoding.
    if bytes.len() > M::MOST {
        return Err(WireError::TooLong {
            length: bytes.len(),
            most: M::MOST,
        });
    }
    Ok(bytes)
}

/// The message that exactly these bytes are.
///
/// # Errors
/// [`WireError::Unreadable`].
pub fn decode<M: Message>(bytes: &[u8]) -> Result<M, WireError> {
    // No message is longer than a reply; how long this one may be was checked
    // with its frame.
    let config = bincode::config::standard().with_limit::<REPLY_MAX>();
    let (message, used) = bincode::serde::decode_from_slice(bytes, config)
        .map_err(|error| WireError::Unreadable(error.to_string()))?;
    if used != bytes.len() {
        let trailing = bytes.len() - used;
        return Err(WireError::Unreadable(format!(
            "{trailing} bytes after its end"
        )));
    }
    Ok(message)
}
