//! What both targets do: bytes as a peer sends them, read as the daemon and
//! the client do.

use autotune::wire::codec::{Message, decode, encode};
use autotune::wire::frame::receive;

/// Reads frames until the bytes end or make no sense. What is understood must
/// come back as it was, and no message takes more than its bytes allow.
pub fn read<M: Message + PartialEq + std::fmt::Debug>(mut bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        while let Ok(body) = receive(&mut bytes, M::MOST).await {
            let Ok(message) = decode::<M>(&body) else {
                return;
            };
            let Ok(again) = encode(&message) else {
                panic!("{message:?} was received and cannot be sent");
            };
            assert!(again.len() <= body.len(), "{message:?}");
            // Not a number is never equal, so the bytes are compared.
            let back = decode::<M>(&again).expect("readable");
            assert_eq!(encode(&back).expect("sent"), again);
        }
    });
}
