//! One POST of JSON, and what comes back.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url};

use super::receiver::{Hope, SendError};
use crate::base::http;
use crate::base::secret::Secret;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long it all may take.
const LIMIT: Duration = Duration::from_secs(30);
/// So many bytes of an answer are read.
const BODY: usize = 16 << 10;

/// What a receiver has answered, with a status of success.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
}

/// Posts JSON. A status other than success is an error.
pub(super) async fn post(
    url: &Secret,
    ca: Option<&Path>,
    body: String,
) -> Result<Answer, SendError> {
    let exchange = async {
        let client = client(url, ca).await?;
        let request = client
            .post(url.expose())
            .header("content-type", "application/json; charset=utf-8")
            .body(body);
        judge(request.send().await.map_err(|error| trouble(&error))?).await
    };
    let timed = tokio::time::timeout(LIMIT, exchange).await;
    let silent = || SendError::later(format!("no answer within {} s", LIMIT.as_secs()));
    timed.map_err(|_| silent())?
}

async fn client(url: &Secret, ca: Option<&Path>) -> Result<Client, SendError> {
    let parsed = Url::parse(url.expose());
    let parsed = parsed.map_err(|error| SendError::mended(format!("its URL is none: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(SendError::mended(
            "its URL begins with neither https:// nor http://",
        ));
    }
    let builder = http::client_for(&parsed, ca).await;
    let builder = builder.map_err(SendError::mended)?;
    let client = builder.connect_timeout(CONNECT).build();
    client.map_err(|error| trouble(&error))
}

async fn judge(mut response: Response) -> Result<Answer, SendError> {
    let status = response.status();
    let asked = http::asked_pause(response.headers());
    let mut body = Vec::new();
    // What follows, or breaks off, does not change what the status says.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= BODY {
            break;
        }
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() {
        return Ok(Answer { status, body });
    }
    if status.is_redirection() {
        return Err(SendError::mended(format!(
            "it answers {status}, a redirect, which is not followed with a secret: give the URL \
             that it leads to"
        )));
    }
    let hope = match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Hope::Later(asked)
        }
        status if status.is_server_error() => Hope::Later(asked),
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Hope::Never,
        // The URL or a key in it is wrong, or the hook is gone.
        _ => Hope::Mended,
    };
    let text = format!("it answers {status}: {body}");
    Err(SendError { text, hope })
}

fn trouble(error: &reqwest::Error) -> SendError {
    let text = http::trouble(error);
    if http::is_untrusted(&text) {
        SendError::mended(text)
    } else {
        SendError::later(text)
    }
}
