//! A webhook: JSON by POST, in any form.

use std::path::Path;

use serde_json::{Value, json};

use super::http;
use super::message::Message;
use super::receiver::SendError;
use crate::base::secret::Secret;
use crate::model::template::Template;

pub(super) async fn send(
    url: &Secret,
    ca: Option<&Path>,
    body: Option<&Template>,
    message: &Message,
) -> Result<String, SendError> {
    let body = match body {
        Some(template) => template.render(&message.values()).map_err(|error| {
            SendError::never(format!("its `body` cannot be filled in: {error}"))
        })?,
        None => object(message).to_string(),
    };
    let answer = http::post(url, ca, body).await?;
    judge(&answer.body)?;
    Ok(format!("{} {}", answer.status, answer.body)
        .trim_end()
        .to_owned())
}

fn object(message: &Message) -> Value {
    json!({
        "id": message.id,
        "ids": message.ids,
        "kind": message.kind,
        "study": message.study,
        "host": message.host,
        "time": message.at.rfc3339(),
        "title": message.title,
        "text": message.text,
        "trial": message.trial,
    })
}

/// DingTalk and WeCom refuse with HTTP 200, and an `errcode` in the answer.
fn judge(body: &str) -> Result<(), SendError> {
    let answer: Option<Value> = serde_json::from_str(body).ok();
    let code = answer.and_then(|answer| answer.get("errcode")?.as_i64());
    match code {
        None | Some(0) => Ok(()),
        // Busy, and too many messages in a minute.
        Some(-1 | 45009 | 130_101) => Err(SendError::later(format!("it answers {body}"))),
        // Too long: that is of this message alone.
        Some(45002 | 460_101) => Err(SendError::never(format!("it answers {body}"))),
        Some(_) => Err(SendError::mended(format!("it answers {body}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::receiver::Hope;

    #[test]
    fn the_object() {
        insta::assert_json_snapshot!(object(&Message::example()), { ".time" => "[local]" });
    }

    #[test]
    fn an_errcode_is_a_refusal() {
        let hope = |body: &str| judge(body).map_err(|error| error.hope);
        assert_eq!(hope("ok"), Ok(()));
        assert_eq!(hope(r#"{"errcode":0,"errmsg":"ok"}"#), Ok(()));
        assert_eq!(
            hope(r#"{"errcode":310000,"errmsg":"keywords not in content"}"#),
            Err(Hope::Mended)
        );
        assert_eq!(hope(r#"{"errcode":45002}"#), Err(Hope::Never));
        assert_eq!(hope(r#"{"errcode":45009}"#), Err(Hope::Later(None)));
    }
}
