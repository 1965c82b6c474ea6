//! A message that tests the channels.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::message::{Message, Stamp};
use super::receiver::{Receiver, Sent};
use super::secrets::Secrets;
use super::words::test_words;
use crate::base::clock;
use crate::model::Name;
use crate::model::notify::{Channel, Language};

/// What a channel's receiver said to a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tested {
    /// The channel.
    pub channel: Name,
    /// What its receiver said, or why it was not reached.
    pub answer: Result<String, String>,
    /// How long that took.
    pub took: Duration,
}

/// Sends a test to these channels, all at the same time and each once. The
/// answers are in the channels' order.
pub async fn test(
    channels: Vec<Channel>,
    secrets: Arc<Secrets>,
    stamp: &Stamp,
    language: Language,
) -> Vec<Tested> {
    let message = message(stamp, language);
    let mut sending = JoinSet::new();
    for (place, channel) in channels.into_iter().enumerate() {
        let (secrets, message) = (Arc::clone(&secrets), message.clone());
        sending.spawn(async move {
            let begun = Instant::now();
            let sent = Receiver::new(&channel, &secrets).send(&message, &[]).await;
            let tested = Tested {
                channel: channel.name,
                answer: sent.map(answer).map_err(|error| error.text),
                took: begun.elapsed(),
            };
            (place, tested)
        });
    }
    let mut tested = sending.join_all().await;
    tested.sort_by_key(|(place, _)| *place);
    tested.into_iter().map(|(_, tested)| tested).collect()
}

fn answer(sent: Sent) -> String {
    let mut answer = sent.said;
    for one in sent.refused {
        answer += &format!("; not for {}: {}", one.address, one.why);
    }
    answer
}

fn message(stamp: &Stamp, language: Language) -> Message {
    let at = clock::now();
    let id = stamp.id(&format!("test-{:x}", at.as_millis()));
    let (title, text) = test_words(language);
    Message {
        ids: vec![id.clone()],
        id,
        kind: "test",
        study: stamp.study.clone(),
        host: stamp.host.clone(),
        at,
        title: format!("[{}] {title}", stamp.study),
        text: text.to_owned(),
        trial: None,
    }
}
