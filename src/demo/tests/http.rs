//! A server and its evaluator over HTTP, in one process.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::index::{check_memory, planned_bytes};
use super::super::*;
use super::{DATA, INDEX, measure};

fn server_settings() -> ServerSettings {
    ServerSettings {
        data: DATA,
        index: INDEX,
        memory_limit: 1 << 20,
        port: 0,
    }
}

fn evaluator_settings(url: &str) -> EvaluatorSettings {
    EvaluatorSettings {
        data: DATA,
        batch: 7,
        concurrency: 3,
        duration: Duration::ZERO,
        url: url.to_owned(),
    }
}

#[tokio::test]
async fn an_index_over_the_memory_limit_is_refused() {
    let mut settings = server_settings();
    settings.index.spill = 3;
    let error = Server::bind(settings).await.expect_err("is refused");
    assert_eq!(
        error.to_string(),
        "index needs 1.1 MiB, over the limit of 1 MiB (MEMORY_LIMIT_MB): \
         use a smaller SPILL, fewer QUANT_BITS or RERANK=0"
    );
    assert_eq!(error.exit_code(), 3);
    let needed = planned_bytes(&INDEX, DATA.vectors);
    assert_eq!(
        check_memory(&INDEX, DATA.vectors, needed).ok(),
        Some(needed)
    );
    assert!(check_memory(&INDEX, DATA.vectors, needed - 1).is_err());
}

/// A server in this process.
struct Running {
    url: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<(Result<(), Error>, String)>,
}

impl Running {
    /// Starts a server and waits until it is ready.
    async fn start() -> Self {
        let server = Server::bind(server_settings()).await.expect("a free port");
        let url = format!("http://{}", server.address());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut log = Vec::new();
            let ended = server.run(&mut log, async { drop(stopped.await) }).await;
            (ended, String::from_utf8_lossy(&log).into_owned())
        });
        let running = Self { url, stop, task };
        running.wait_for(|health| health["status"] == "ready").await;
        running
    }

    /// Asks for the health until it is as wanted.
    async fn wait_for(&self, wanted: impl Fn(&serde_json::Value) -> bool) {
        let asked = async {
            loop {
                let (_, body) = self.send("GET", "/health", vec![]).await;
                if serde_json::from_slice(&body).is_ok_and(|health| wanted(&health)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), asked)
            .await
            .expect("the server gets there");
    }

    async fn send(&self, method: &str, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let client = crate::base::http::local().build().expect("a client");
        let method = method.parse().expect("a method");
        let request = client.request(method, format!("{}{path}", self.url));
        let response = request.body(body).send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.bytes().await.expect("a body").to_vec())
    }

    /// Stops the server; its log.
    async fn stop(self) -> String {
        let _ = self.stop.send(());
        let (ended, log) = self.task.await.expect("the server does not panic");
        ended.expect("a stop is no error");
        log
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_evaluator_measures_what_the_index_has() {
    let server = Running::start().await;
    let measured = Evaluation::measure(&evaluator_settings(&server.url))
        .await
        .expect("the server answers");
    let expected = measure(DATA, INDEX);
    assert_eq!(measured.recall, expected.recall);
    assert_eq!(measured.memory_bytes, expected.memory);
    assert_eq!(
        measured.scanned_per_query,
        expected.scanned as f64 / DATA.queries as f64
    );
    // 40 queries in batches of 7, each sent once.
    assert_eq!(measured.requests, 6);
    let one_by_one = EvaluatorSettings {
        batch: 1,
        ..evaluator_settings(&server.url)
    };
    let again = Evaluation::measure(&one_by_one).await.expect("answers");
    assert_eq!((again.requests, again.recall), (40, expected.recall));
    let log = server.stop().await;
    assert!(log.contains("ready after"), "{log}");
    assert!(log.ends_with("stopped after 46 searches\n"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_are_refused() {
    let server = Running::start().await;
    let query = vec![0; size_of::<Vector>()];
    assert_eq!(
        server
            .send("POST", "/search?k=3", query.clone())
            .await
            .1
            .len(),
        12
    );
    for (method, path, body, status) in [
        ("POST", "/search?k=0", query.clone(), 400),
        ("POST", "/search", query[1..].to_vec(), 400),
        ("POST", "/search", vec![0; 2 << 20], 413),
        ("GET", "/search", vec![], 404),
        ("GET", "/", vec![], 404),
    ] {
        let (answered, body) = server.send(method, path, body).await;
        assert_eq!(answered, status, "{method} {path}");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert!(body["error"].is_string());
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_data_in_the_server_is_an_error() {
    let server = Running::start().await;
    let mut settings = evaluator_settings(&server.url);
    settings.data.seed = 43;
    let error = Evaluation::measure(&settings).await.expect_err("no recall");
    assert_eq!(
        error.to_string(),
        "the server's data has DEMO_SEED=42, the evaluator's has DEMO_SEED=43"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_midway_is_an_error() {
    let server = Running::start().await;
    let settings = EvaluatorSettings {
        duration: Duration::from_secs(60),
        ..evaluator_settings(&server.url)
    };
    let evaluation = tokio::spawn(async move { Evaluation::measure(&settings).await });
    server
        .wait_for(|health| health["requests"].as_u64() > Some(100))
        .await;
    server.stop().await;
    let error = evaluation.await.expect("no panic").expect_err("no answers");
    assert!(
        matches!(error, Error::NoAnswer { requests: 1.., .. }),
        "{error}"
    );
    assert_eq!(error.exit_code(), 4);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error() {
    let server = Server::bind(server_settings()).await.expect("a free port");
    let url = format!("http://{}", server.address());
    drop(server);
    let error = Evaluation::measure(&evaluator_settings(&url))
        .await
        .expect_err("nobody answers");
    assert!(
        matches!(error, Error::NoAnswer { requests: 0, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_busy_port_is_refused_and_a_stop_does_not_wait_for_the_build() {
    let server = Server::bind(server_settings()).await.expect("a free port");
    let mut settings = server_settings();
    settings.port = server.address().port();
    let error = Server::bind(settings).await.expect_err("the port is taken");
    assert_eq!(
        error.to_string(),
        format!("cannot listen on {}", server.address())
    );
    let mut log = Vec::new();
    let ended = server.run(&mut log, std::future::ready(())).await;
    ended.expect("a stop is no error");
    assert!(String::from_utf8_lossy(&log).contains("stopped after 0 searches"));
}
