//! Feishu: a card for a custom bot of a group.
//!
//! An answer of HTTP 200 says nothing: the code in it does. A signature is the
//! HMAC-SHA256 of the empty message, keyed with the time and the bot's secret,
//! as <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot> has
//! it.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::http;
use super::message::Message;
use super::receiver::SendError;
use crate::base::clock;
use crate::base::secret::Secret;

pub(super) async fn send(
    url: &Secret,
    ca: Option<&Path>,
    secret: Option<&Secret>,
    message: &Message,
) -> Result<String, SendError> {
    let mut card = card(message);
    if let Some(secret) = secret {
        let now = clock::now().as_millis() / 1000;
        card["timestamp"] = now.to_string().into();
        card["sign"] = sign(now, secret).into();
    }
    let answer = http::post(url, ca, card.to_string()).await?;
    judge(&answer.body)
}

fn card(message: &Message) -> Value {
    json!({
        "msg_type": "interactive",
        "card": {
            "config": { "wide_screen_mode": true },
            "header": { "title": { "tag": "plain_text", "content": message.title } },
            "elements": [{
                "tag": "div",
                "text": { "tag": "lark_md", "content": escaped(&message.signed_text()) },
            }],
        },
    })
}

/// Letters that Feishu's Markdown would take for marks: a value such as
/// `<|im_end|>` must not become a tag, and no text may call all members.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' | '>' | '*' | '~' | '[' | ']' | '`' => {
                escaped += &format!("&#{};", u32::from(letter));
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}

fn sign(seconds: i64, secret: &Secret) -> String {
    let key = format!("{seconds}\n{}", secret.expose());
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key may have any length");
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

fn judge(body: &str) -> Result<String, SendError> {
    let answer: Option<Value> = serde_json::from_str(body).ok();
    let number = |name: &str| answer.as_ref()?.get(name)?.as_i64();
    let code = number("code").or_else(|| number("StatusCode"));
    let said = ["msg", "StatusMessage"]
        .iter()
        .find_map(|name| answer.as_ref()?.get(name)?.as_str());
    let said = said.unwrap_or_default();
    let Some(code) = code else {
        return Err(SendError::later(format!(
            "it answers without a code: {body}"
        )));
    };
    let hint = match code {
        0 => return Ok(format!("code 0 {said}").trim_end().to_owned()),
        // Too many messages in a minute, and their servers' own troubles.
        11232 | 11233 => return Err(SendError::later(format!("it answers code {code}: {said}"))),
        9499 => {
            let text = format!("it answers code 9499: {said} (it does not understand the message)");
            return Err(SendError::never(text));
        }
        19001 => "its URL is not that of a bot, or the bot is gone",
        19021 => {
            "the signature does not fit: compare `secret` with the bot's, and this machine's clock \
             with the time; leave `secret` out where the bot has no signature verification"
        }
        19022 => "the bot does not take messages from this machine's address",
        19024 => "no keyword of the bot is in the message: the study's name is in all of them",
        _ => "see Feishu's list of codes",
    };
    Err(SendError::mended(format!(
        "it answers code {code}: {said} ({hint})"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::receiver::Hope;

    /// Computed by Python: `base64.b64encode(hmac.new(b"1599360473\nhunter2",
    /// b"", hashlib.sha256).digest())`.
    #[test]
    fn the_signature_is_the_one_that_feishu_documents() {
        let secret = Secret::from("hunter2".to_owned());
        assert_eq!(
            sign(1_599_360_473, &secret),
            "sKbTnI5BvmT3JSI68B5gYyMNrwAFVg47Sczh12ZHNnk="
        );
    }

    #[test]
    fn the_card() {
        insta::assert_json_snapshot!(card(&Message::example()), {
            ".card.elements[0].text.content" => insta::dynamic_redaction(|value, _| {
                // The time is local.
                let text = value.as_str().unwrap_or_default().to_owned();
                let (head, tail) = text.split_once("2023-").unwrap_or((&text, ""));
                format!("{head}TIME{}", tail.split_once(" · ").map_or("", |(_, id)| id))
            }),
        });
    }

    #[test]
    fn only_code_0_is_success() {
        for good in [
            r#"{"code":0,"msg":"success"}"#,
            r#"{"StatusCode":0,"StatusMessage":"success"}"#,
        ] {
            assert_eq!(judge(good).as_deref(), Ok("code 0 success"));
        }
        let hope = |body: &str| judge(body).expect_err("refused").hope;
        assert_eq!(
            hope(r#"{"code":19021,"msg":"sign match fail"}"#),
            Hope::Mended
        );
        assert_eq!(hope(r#"{"code":9499,"msg":"Bad Request"}"#), Hope::Never);
        assert_eq!(
            hope(r#"{"code":11232,"msg":"too many"}"#),
            Hope::Later(None)
        );
        assert_eq!(hope(r#"{"ok":true}"#), Hope::Later(None));
        assert_eq!(hope("<html>log in</html>"), Hope::Later(None));
        assert_eq!(hope(r#"{"code":"0"}"#), Hope::Later(None));
    }
}
