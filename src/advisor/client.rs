//! One request to an endpoint, and what came back.

use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;

use super::access::Access;
use crate::base::http;
use crate::base::quantity::show_duration;
use crate::model::spec::Advisor;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes.
const LARGEST: usize = 1 << 20;
/// So many bytes of an answer are read that is an error.
const LARGEST_ERROR: usize = 16 << 10;
/// What helps where a key is missing or wrong.
const SETUP: &str = "`autotunectl advisor setup` tries and stores one";

/// What the model has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    /// Why it ended there.
    pub(super) finish: Option<String>,
    /// What the server calls the model.
    pub(super) model: Option<String>,
    /// Tokens of the question and of the answer, where the server counts them.
    pub(super) tokens: Option<(u64, u64)>,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// For people, without the key.
    pub(super) text: String,
    /// The answer's status, where one came.
    pub(super) status: Option<u16>,
    /// What the server says of it.
    pub(super) said: String,
    pub(super) hope: Hope,
}

/// Whether the same request may be answered after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hope {
    /// Not before somebody has mended something.
    Never,
    /// Perhaps if it is asked otherwise.
    Otherwise,
    /// After a while; the server may say after which.
    Later(Option<Duration>),
}

/// An endpoint that can be asked.
pub(super) struct Endpoint<'a> {
    advisor: &'a Advisor,
    access: &'a Access,
    client: Client,
    url: Url,
}

impl<'a> Endpoint<'a> {
    pub(super) async fn open(advisor: &'a Advisor, access: &'a Access) -> Result<Self, String> {
        let url = format!("{}/chat/completions", advisor.base_url);
        let url = Url::parse(&url).map_err(|error| format!("base_url is none: {error}"))?;
        let builder = http::client_for(&url, advisor.ca.as_deref()).await?;
        let client = builder
            .connect_timeout(CONNECT.min(advisor.timeout))
            .build();
        Ok(Self {
            advisor,
            access,
            client: client.map_err(|error| http::trouble(&error))?,
            url,
        })
    }

    /// Posts a question.
    pub(super) async fn post(&self, body: &Value) -> Result<Said, Fault> {
        let mut request = self.client.post(self.url.clone()).json(body);
        if let Some(bearer) = self.access.bearer() {
            request = request.header(AUTHORIZATION, bearer);
        }
        let exchange = async {
            let response = request.send().await.map_err(|error| self.lost(&error))?;
            self.judge(response).await
        };
        let timed = tokio::time::timeout(self.advisor.timeout, exchange).await;
        timed.unwrap_or_else(|_| {
            let limit = show_duration(self.advisor.timeout);
            let text = format!("no answer within {limit}: raise `timeout` in [advisor]");
            Err(fault(text, Hope::Never))
        })
    }

    fn lost(&self, error: &reqwest::Error) -> Fault {
        let text = self.access.excerpt(&http::trouble(error));
        let hope = match http::is_untrusted(&text) {
            true => Hope::Never,
            false => Hope::Later(None),
        };
        let host = self.url.host_str().unwrap_or_default();
        fault(format!("{host}: {text}"), hope)
    }

    async fn judge(&self, mut response: Response) -> Result<Said, Fault> {
        let status = response.status();
        let asked = http::asked_pause(response.headers());
        if status.is_success() {
            let body = self.whole(&mut response).await?;
            let read = serde_json::from_slice(&body)
                .ok()
                .and_then(|body| said(&body));
            return read.ok_or_else(|| {
                let start = String::from_utf8_lossy(&body[..body.len().min(LARGEST_ERROR)]);
                let start = self.access.excerpt(&start);
                let text = format!("it answers {status}, and no chat completion: {start}");
                fault(text, Hope::Never)
            });
        }
        let mut body = Vec::new();
        // What follows, or breaks off, does not change what the status says.
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= LARGEST_ERROR {
                break;
            }
        }
        body.truncate(LARGEST_ERROR);
        Err(self.refusal(status, asked, &body))
    }

    /// The whole body of an answer, up to what is bearable.
    async fn whole(&self, response: &mut Response) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST => {
                    return Err(fault("it answers more than 1 MiB".to_owned(), Hope::Never));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) => {
                    let why = self.access.excerpt(&http::trouble(&error));
                    let text = format!("its answer breaks off: {why}");
                    return Err(fault(text, Hope::Later(None)));
                }
            }
        }
    }

    fn refusal(&self, status: StatusCode, asked: Option<Duration>, body: &[u8]) -> Fault {
        let parsed: Option<Value> = serde_json::from_slice(body).ok();
        let part = |pointer: &str| parsed.as_ref()?.pointer(pointer)?.as_str();
        // Some give the error as text, some as an object.
        let message = part("/error/message").or_else(|| part("/error"));
        let message = message
            .or_else(|| part("/message"))
            .or_else(|| part("/detail"));
        let whole = String::from_utf8_lossy(body);
        let said = self.access.excerpt(message.unwrap_or(&whole));
        let code = part("/error/code").or_else(|| part("/error/type"));
        let code = code.unwrap_or_default().to_owned();
        let mut text = match said.is_empty() {
            true => format!("it answers {status}"),
            false => format!("it answers {status}: {said}"),
        };
        let no_quota = code == "insufficient_quota";
        // Its own name for the model, or that of this one, beside "not found".
        let no_model = code.contains("model_not_found")
            || said.contains(&self.advisor.model) && said.to_lowercase().contains("not ");
        let (hope, remedy) = match status.as_u16() {
            401 => (Hope::Never, Some(self.key_remedy())),
            402 => (Hope::Never, None),
            403 => {
                let remedy = "the key may not use this model, or not from here".to_owned();
                (Hope::Never, Some(remedy))
            }
            404 if no_model => {
                let remedy = "name another `model` in [advisor]".to_owned();
                (Hope::Never, Some(remedy))
            }
            404 => {
                let remedy = "is `base_url` what stands before /chat/completions?".to_owned();
                (Hope::Otherwise, Some(remedy))
            }
            429 if no_quota => (Hope::Never, None),
            408 | 425 | 429 => (Hope::Later(asked), None),
            400 | 422 | 500 => (Hope::Otherwise, None),
            300..400 => {
                let remedy = "a redirect, which is not followed with a key: give the `base_url` \
                              that it leads to";
                (Hope::Never, Some(remedy.to_owned()))
            }
            501.. => (Hope::Later(asked), None),
            _ => (Hope::Never, None),
        };
        if let Some(remedy) = remedy {
            text += &format!("; {remedy}");
        }
        Fault {
            text,
            status: Some(status.as_u16()),
            said,
            hope,
        }
    }

    fn key_remedy(&self) -> String {
        match self.access.place() {
            Some(place) => format!("the key is {place}; {SETUP}"),
            None => format!("no key was found; {SETUP}"),
        }
    }
}

fn fault(text: String, hope: Hope) -> Fault {
    Fault {
        text,
        status: None,
        said: String::new(),
        hope,
    }
}

/// What a chat completion says; `None` for what is none.
fn said(body: &Value) -> Option<Said> {
    let choice = body.pointer("/choices/0")?;
    let message = choice.get("message")?;
    let text = match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        // Some give it in parts.
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
            texts.collect()
        }
        _ => String::new(),
    };
    let refusal = message.get("refusal").and_then(Value::as_str);
    let word = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let count = |key: &str| body.get("usage")?.get(key)?.as_u64();
    Some(Said {
        text: match refusal {
            Some(refusal) if text.is_empty() => refusal.to_owned(),
            _ => text,
        },
        finish: word(choice.get("finish_reason")),
        model: word(body.get("model")),
        tokens: count("prompt_tokens").zip(count("completion_tokens")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_answers_are_understood() {
        let recorded = [
            include_str!("../../tests/fixtures/advisor/llama-cpp.json"),
            include_str!("../../tests/fixtures/advisor/llama-cpp-python.json"),
        ];
        let mut read = 0;
        for text in recorded {
            let all: Value = serde_json::from_str(text).expect("a fixture");
            for (name, one) in all.as_object().expect("an object") {
                let said = said(&one["response"]);
                assert_eq!(said.is_some(), one["status"] == 200, "{name}");
                let Some(said) = said else { continue };
                assert_eq!(said.model.as_deref(), Some("smollm2"));
                assert!(said.tokens.is_some_and(|(asked, _)| asked == 97), "{name}");
                assert!(matches!(said.finish.as_deref(), Some("stop" | "length")));
                read += 1;
            }
        }
        assert_eq!(read, 8);
    }

    #[test]
    fn what_is_no_completion_is_none() {
        for text in [
            "{}",
            r#"{"choices": []}"#,
            r#"{"choices": [{"text": "x"}]}"#,
            "[]",
            "1",
        ] {
            let body = serde_json::from_str(text).expect("JSON");
            assert_eq!(said(&body), None, "{text}");
        }
        let parts = serde_json::json!({"choices": [{"message": {"content": [
            {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}}]});
        assert_eq!(said(&parts).expect("a completion").text, "ab");
    }
}
