//! Trials as runs of an experiment on an MLflow tracking server, by its REST
//! interface: what MLflow keeps is in a database of its own, and its folders of
//! files are refused by its present releases (3.17) unless they are allowed.
//!
//! | ours | MLflow's |
//! |---|---|
//! | study | experiment |
//! | trial | run `trial N`, with tags `autotune.…` |
//! | complete, infeasible | FINISHED |
//! | pruned | KILLED |
//! | failed | FAILED |
//! | planned | SCHEDULED |
//! | running, interrupted, held up | RUNNING |
//! | a metric's mean | metric `NAME`, its deviation `NAME.sd` |
//! | each run, where there are several | metric `NAME.runs`, by the run's number |
//! | a curve | metric `NAME.curve`, of a further run `NAME.curve.2` |
//!
//! A trial that is there already and has not changed since is left as it is, so
//! an export can be repeated while a study goes on, and after a failure.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Url};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::format::text;
use super::record::{Head, Trial, text_of};
use crate::base::http;
use crate::base::secret::Secret;
use crate::report::discretion;

/// How long the server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many metrics a request has at most: MLflow takes 1,000 things in all.
const METRICS: usize = 800;
/// So many parameters.
const PARAMS: usize = 100;
/// So many characters the value of a parameter or a tag may have.
const LENGTH: usize = 4000;
/// The tag that tells which study a run is of.
const STUDY: &str = "autotune.study";
/// The tag that tells which trial.
const TRIAL: &str = "autotune.trial";
/// The tag with the digest of what was sent; it comes last.
const DIGEST: &str = "autotune.digest";

/// A tracking server, and how it is spoken to.
#[derive(Debug)]
pub struct Server {
    address: Url,
    client: Client,
    access: Access,
}

/// What the server is to be told of who asks.
#[derive(Clone, Debug)]
pub enum Access {
    /// Nothing.
    Open,
    /// A token.
    Token(Secret),
    /// A user's name and password.
    User(String, Secret),
}

/// Why a study did not get to a server.
#[derive(Debug, thiserror::Error)]
pub enum MlflowError {
    /// An address that is none of a server.
    #[error(
        "`{0}` is no address of a tracking server: give one such as http://localhost:5000, which \
         `mlflow server` listens on"
    )]
    Address(String),
    /// No connection, or none that lasts.
    #[error("failed to reach the tracking server {address}: {problem}")]
    Unreachable {
        /// The server.
        address: String,
        /// Why.
        problem: String,
    },
    /// It does not want to.
    #[error("the tracking server refuses `{call}` with status {status}: {problem}")]
    Refused {
        /// What was asked of it.
        call: &'static str,
        /// Its answer's status.
        status: u16,
        /// Its words.
        problem: String,
    },
    /// It answers with something else than MLflow does.
    #[error("the tracking server's answer to `{call}` makes no sense: is it MLflow?")]
    Senseless {
        /// What was asked of it.
        call: &'static str,
    },
    /// Somebody has deleted the experiment.
    #[error(
        "the experiment `{0}` is deleted: restore it with `mlflow experiments restore`, or give \
         another name with --experiment"
    )]
    Deleted(String),
}

/// How many runs were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Runs that are new, or were written anew.
    pub written: u32,
    /// Runs that were there already, as they are to be.
    pub known: u32,
}

/// An experiment, being filled.
#[derive(Debug)]
pub struct Experiment<'a> {
    server: &'a Server,
    head: &'a Head,
    id: String,
    /// The runs that are there, by trial: id and digest.
    runs: HashMap<String, (String, String)>,
    sent: Sent,
}

impl Server {
    /// The server at `address`.
    ///
    /// # Errors
    /// When that is none.
    pub async fn at(address: &str, access: Access) -> Result<Self, MlflowError> {
        // That of a database has its password.
        let wrong = || MlflowError::Address(discretion::address(address));
        let mut url = Url::parse(address).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        let mut access = access;
        if let Some(password) = url.password() {
            // It would stand in messages.
            access = Access::User(url.username().to_owned(), password.to_owned().into());
            let _ = url.set_password(None);
            let _ = url.set_username("");
        }
        let unreachable = |problem: String| MlflowError::Unreachable {
            address: url.to_string(),
            problem,
        };
        let builder = http::client_for(&url, None).await.map_err(unreachable)?;
        let client = builder.timeout(PATIENCE).build();
        let client = client.map_err(|error| unreachable(error.to_string()))?;
        Ok(Self {
            address: url,
            client,
            access,
        })
    }

    /// Its address.
    pub fn address(&self) -> &str {
        self.address.as_str().trim_end_matches('/')
    }

    fn url(&self, call: &str) -> String {
        format!("{}/api/2.0/mlflow/{call}", self.address())
    }

    async fn post(&self, call: &'static str, body: &Json) -> Result<Json, MlflowError> {
        self.ask(call, self.client.post(self.url(call)).json(body))
            .await
    }

    async fn ask(&self, call: &'static str, request: RequestBuilder) -> Result<Json, MlflowError> {
        let request = match &self.access {
            Access::Open => request,
            Access::Token(token) => request.bearer_auth(token.expose()),
            Access::User(name, password) => request.basic_auth(name, Some(password.expose())),
        };
        let unreachable = |error: reqwest::Error| MlflowError::Unreachable {
            address: self.address().to_owned(),
            problem: innermost(&error.without_url()),
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        let answer: Option<Json> = serde_json::from_slice(&body).ok();
        if status.is_success() {
            return answer.ok_or(MlflowError::Senseless { call });
        }
        let said = answer
            .as_ref()
            .and_then(|answer| answer["message"].as_str());
        let code = answer
            .as_ref()
            .and_then(|answer| answer["error_code"].as_str());
        let problem = said.or(code).unwrap_or("it does not say why");
        Err(MlflowError::Refused {
            call,
            status: status.as_u16(),
            problem: problem.chars().take(500).collect(),
        })
    }

    /// The experiment of that name, made where there is none.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn experiment<'a>(
        &'a self,
        head: &'a Head,
        name: &str,
    ) -> Result<Experiment<'a>, MlflowError> {
        let call = "experiments/get-by-name";
        let mut url = Url::parse(&self.url(call)).map_err(|_| MlflowError::Senseless { call })?;
        url.query_pairs_mut().append_pair("experiment_name", name);
        let found = self.ask(call, self.client.get(url)).await;
        let id = match found {
            Ok(answer) => {
                let experiment = &answer["experiment"];
                if experiment["lifecycle_stage"] == "deleted" {
                    return Err(MlflowError::Deleted(name.to_owned()));
                }
                experiment["experiment_id"].as_str().map(str::to_owned)
            }
            Err(MlflowError::Refused { status: 404, .. }) => {
                let body = json!({ "name": name });
                let made = self.post("experiments/create", &body).await?;
                made["experiment_id"].as_str().map(str::to_owned)
            }
            Err(error) => return Err(error),
        };
        let mut experiment = Experiment {
            server: self,
            head,
            id: id.ok_or(MlflowError::Senseless { call })?,
            runs: HashMap::new(),
            sent: Sent::default(),
        };
        experiment.look().await?;
        Ok(experiment)
    }
}

impl Experiment<'_> {
    /// Finds the runs that an earlier export has made.
    async fn look(&mut self) -> Result<(), MlflowError> {
        let call = "runs/search";
        let mut page = Json::Null;
        loop {
            let query = json!({
                "experiment_ids": [self.id],
                "filter": format!("tags.`{STUDY}` = '{}'", self.study()),
                "max_results": 1000,
                "page_token": page,
            });
            let answer = self.server.post(call, &query).await?;
            for run in answer["runs"].as_array().into_iter().flatten() {
                let id = run["info"]["run_id"].as_str();
                let id = id.ok_or(MlflowError::Senseless { call })?.to_owned();
                let tag = |name: &str| {
                    let tags = run["data"]["tags"].as_array().into_iter().flatten();
                    let mut found = tags.filter(|tag| tag["key"] == name);
                    found.next().and_then(|tag| tag["value"].as_str())
                };
                let trial = tag(TRIAL).unwrap_or_default().to_owned();
                let digest = tag(DIGEST).unwrap_or_default().to_owned();
                self.runs.insert(trial, (id, digest));
            }
            page = answer["next_page_token"].clone();
            if page.as_str().is_none_or(str::is_empty) {
                return Ok(());
            }
        }
    }

    /// What tells this study from others of its name.
    fn study(&self) -> String {
        let name = self.head.study.replace('\'', "_");
        format!("{name} {}", self.head.begun)
    }

    /// Sends a trial, unless it is there already.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn send(&mut self, trial: &Trial) -> Result<(), MlflowError> {
        let digest = Sha256::digest(text(trial));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.runs.get(&trial.trial.to_string()) {
            Some((_, known)) if *known == digest => {
                self.sent.known += 1;
                return Ok(());
            }
            // It has changed, or was not sent whole: parameters cannot be
            // written over.
            Some((id, _)) => {
                let body = json!({ "run_id": id });
                self.server.post("runs/delete", &body).await?;
            }
            None => {}
        }
        let call = "runs/create";
        let begun = milliseconds(trial.started.as_deref());
        let begun = begun.or_else(|| milliseconds(Some(&self.head.begun)));
        let mut tags = tags(trial);
        tags.extend([
            pair(STUDY, &self.study()),
            pair(TRIAL, &trial.trial.to_string()),
        ]);
        let body = json!({
            "experiment_id": self.id,
            "run_name": format!("trial {}", trial.trial),
            "start_time": begun,
            "tags": tags,
        });
        let made = self.server.post(call, &body).await?;
        let id = made["run"]["info"]["run_id"].as_str();
        let id = id.ok_or(MlflowError::Senseless { call })?;
        let ended = milliseconds(trial.ended.as_deref()).or(begun);
        let (status, is_over) = status(trial);
        let body = json!({
            "run_id": id, "status": status, "end_time": ended.filter(|_| is_over),
        });
        self.server.post("runs/update", &body).await?;
        let metrics = metrics(trial, ended.unwrap_or_default());
        let params = trial
            .params
            .iter()
            .map(|(name, value)| pair(name, &text_of(value)));
        let params: Vec<Json> = params.collect();
        let (mut metrics, mut params) = (&metrics[..], &params[..]);
        loop {
            let (now, later) = metrics.split_at(metrics.len().min(METRICS));
            let (names, more) = params.split_at(params.len().min(PARAMS));
            (metrics, params) = (later, more);
            // It has all of it once it has the digest.
            let is_last = metrics.is_empty() && params.is_empty();
            let tags = if is_last {
                vec![pair(DIGEST, &digest)]
            } else {
                Vec::new()
            };
            let body = json!({ "run_id": id, "metrics": now, "params": names, "tags": tags });
            self.server.post("runs/log-batch", &body).await?;
            if is_last {
                break;
            }
        }
        self.sent.written += 1;
        Ok(())
    }

    /// How many runs were written so far.
    pub const fn sent(&self) -> Sent {
        self.sent
    }

    /// Where it can be looked at.
    pub fn address(&self) -> String {
        format!("{}/#/experiments/{}", self.server.address(), self.id)
    }
}

fn status(trial: &Trial) -> (&'static str, bool) {
    match trial.outcome.as_str() {
        "complete" | "infeasible" => ("FINISHED", true),
        "pruned" => ("KILLED", true),
        "failed" => ("FAILED", true),
        "planned" => ("SCHEDULED", false),
        _ => ("RUNNING", false),
    }
}

fn pair(key: &str, value: &str) -> Json {
    let value: String = value.chars().take(LENGTH).collect();
    json!({ "key": key, "value": value })
}

fn tags(trial: &Trial) -> Vec<Json> {
    let feasible = trial.feasible.map(|feasible| feasible.to_string());
    let best = trial.best.then(|| "true".to_owned());
    let all = [
        ("outcome", Some(trial.outcome.clone())),
        ("origin", Some(trial.origin.clone())),
        ("feasible", feasible),
        ("best", best),
        ("cause", trial.cause.clone()),
        ("failure", trial.failure.clone()),
    ];
    let known = all
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    known
        .map(|(name, value)| pair(&format!("autotune.{name}"), &value))
        .collect()
}

fn metrics(trial: &Trial, at: i64) -> Vec<Json> {
    let mut metrics = Vec::new();
    let mut log = |key: &str, value: f64, step: i64| {
        metrics.push(json!({ "key": key, "value": value, "step": step, "timestamp": at }));
    };
    for (name, measured) in &trial.metrics {
        log(name, measured.mean, 0);
        if let Some(deviation) = measured.sd {
            log(&format!("{name}.sd"), deviation, 0);
            for run in trial.runs.iter().filter(|run| run.fault.is_none()) {
                if let Some(value) = run.metrics.get(name) {
                    log(&format!("{name}.runs"), *value, i64::from(run.run));
                }
            }
        }
    }
    log("elapsed_s", trial.elapsed_s, 0);
    if let Some(startup) = trial.startup_s {
        log("startup_s", startup, 0);
    }
    for curve in &trial.curves {
        let key = match curve.run {
            1 => format!("{}.curve", curve.metric),
            run => format!("{}.curve.{run}", curve.metric),
        };
        curve
            .steps()
            .for_each(|(step, value)| log(&key, value, step));
    }
    metrics
}

fn milliseconds(time: Option<&str>) -> Option<i64> {
    let time: jiff::Timestamp = time?.parse().ok()?;
    Some(time.as_millisecond())
}

/// What lies at the bottom of an error, which says most.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
