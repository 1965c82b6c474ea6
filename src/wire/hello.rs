//! The beginning of a connection: both ends send twelve bytes.
//!
//! ```text
//!   offset  0        8        10
//!           autotune lowest   highest     two bytes each, the higher first
//! ```

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::WireError;

const MAGIC: [u8; 8] = *b"autotune";

/// The length of a hello.
pub const LENGTH: usize = 12;

/// The versions of the protocol that a program speaks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The lowest.
    pub lowest: u16,
    /// The highest.
    pub highest: u16,
}

/// The versions that this program speaks.
pub const OURS: Versions = Versions {
    lowest: 2,
    highest: 2,
};

impl Versions {
    /// The bytes of a hello.
    pub fn hello(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&self.lowest.to_be_bytes());
        bytes[10..].copy_from_slice(&self.highest.to_be_bytes());
        bytes
    }

    /// The versions in a hello.
    ///
    /// # Errors
    /// [`WireError::Foreign`] for other bytes.
    pub fn read(bytes: [u8; LENGTH]) -> Result<Self, WireError> {
        let [.., a, b, c, d] = bytes;
        let versions = Self {
            lowest: u16::from_be_bytes([a, b]),
            highest: u16::from_be_bytes([c, d]),
        };
        let sound = bytes.starts_with(&MAGIC) && versions.lowest <= versions.highest;
        sound.then_some(versions).ok_or(WireError::Foreign)
    }

    /// The highest version that both speak.
    ///
    /// # Errors
    /// [`WireError::Version`] when there is none.
    pub fn common(self, theirs: Self) -> Result<u16, WireError> {
        let highest = self.highest.min(theirs.highest);
        if highest < self.lowest.max(theirs.lowest) {
            return Err(WireError::Version { ours: self, theirs });
        }
        Ok(highest)
    }
}

/// Sends a hello.
///
/// # Errors
/// Those of the connection.
pub async fn send(stream: &mut (impl AsyncWrite + Unpin)) -> Result<(), WireError> {
    Ok(stream.write_all(&OURS.hello()).await?)
}

/// Receives the other end's hello, and gives the version to be spoken.
///
/// # Errors
/// See [`WireError`].
pub async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Result<u16, WireError> {
    let mut bytes = [0; LENGTH];
    stream.read_exact(&mut bytes).await?;
    OURS.common(Versions::read(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(lowest: u16, highest: u16) -> Versions {
        Versions { lowest, highest }
    }

    #[test]
    fn the_bytes_are_fixed() {
        assert_eq!(versions(1, 0x0203).hello(), *b"autotune\x00\x01\x02\x03");
    }

    #[test]
    fn the_highest_common_version_is_picked() {
        let picked = |a: Versions, b: Versions| a.common(b).ok();
        assert_eq!(picked(versions(1, 3), versions(2, 5)), Some(3));
        assert_eq!(picked(versions(2, 5), versions(1, 3)), Some(3));
        assert_eq!(picked(versions(1, 1), versions(1, 9)), Some(1));
        assert_eq!(picked(versions(1, 1), versions(2, 9)), None);
        let refusal = versions(1, 1).common(versions(2, 9)).expect_err("refused");
        assert_eq!(
            refusal.to_string(),
            "the other end speaks versions 2 to 9 of the control protocol, this program 1 to 1"
        );
    }

    #[test]
    fn other_bytes_are_refused() {
        for bytes in [*b"GET / HTTP/1", [0; LENGTH], *b"autotune\x00\x02\x00\x01"] {
            assert!(matches!(Versions::read(bytes), Err(WireError::Foreign)));
        }
    }
}
