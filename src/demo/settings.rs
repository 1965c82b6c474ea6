//! Settings from environment variables, checked before anything else happens.
//!
//! Invariant: whoever holds settings holds values that fit each other; only
//! `from_env` makes them from text.

use std::time::Duration;

use super::data::DataSettings;
use super::error::Error;

/// An environment: a variable's name to its value, if it is set.
pub trait Environment: Fn(&str) -> Option<String> {}
impl<F: Fn(&str) -> Option<String>> Environment for F {}

/// The environment of this process.
pub fn process_environment(name: &str) -> Option<String> {
    // A value that is not UTF-8 is kept in a readable form, so that it is
    // refused with its name instead of being taken for unset.
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Bits that the index stores for each dimension of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantBits {
    /// Half a byte.
    Four,
    /// One byte.
    Eight,
    /// The float itself: nothing is rounded.
    ThirtyTwo,
}

impl QuantBits {
    /// The number.
    pub fn bits(self) -> u32 {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
            Self::ThirtyTwo => 32,
        }
    }
}

/// How the index is built and searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexSettings {
    /// `N_LISTS`: lists that the vectors are divided into, 1 to 4096.
    pub lists: usize,
    /// `N_PROBE`: lists that a search looks into, 1 to `lists`.
    pub probes: usize,
    /// `QUANT_BITS`.
    pub bits: QuantBits,
    /// `SPILL`: lists that each vector is stored in, 1 to 4 and at most
    /// `lists`. A vector near the border of a list is found from both sides.
    pub spill: usize,
    /// `RERANK`: candidates whose distance is computed again from the floats,
    /// 0 for none, or 10 to 1000. At 32 bits there is nothing to correct.
    pub rerank: usize,
    /// `N_THREADS`: threads that search, 1 to 64.
    pub threads: usize,
    /// `TRAIN_SAMPLE`: vectors that the centroids are computed from, at least
    /// `lists`; more than there are vectors means all.
    pub train_sample: usize,
    /// `KMEANS_ITERS`: the most iterations of k-means, 1 to 100.
    pub kmeans_iterations: usize,
}

/// What the server is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// The data set to search.
    pub data: DataSettings,
    /// The index.
    pub index: IndexSettings,
    /// `MEMORY_LIMIT_MB`: bytes that the index may take (the variable is in
    /// MiB, 1 to 65536).
    pub memory_limit: u64,
    /// `PORT` on 127.0.0.1; 0 takes any free one.
    pub port: u16,
}

/// What the evaluator is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluatorSettings {
    /// The data set, which must be the server's.
    pub data: DataSettings,
    /// `BATCH`: queries in a request, 1 to 1024.
    pub batch: usize,
    /// `CONCURRENCY`: connections that send requests at the same time, 1 to 64.
    pub concurrency: usize,
    /// `DEMO_EVAL_SECONDS`: how long to send queries, 0 to 60 s. Every query
    /// is sent at least once.
    pub duration: Duration,
    /// `SERVER_URL`, or 127.0.0.1 with `PORT`: the server's address.
    pub url: String,
}

impl ServerSettings {
    /// Reads the settings; a variable that is not set has its default.
    ///
    /// # Errors
    /// [`Error::BadValue`] or [`Error::TooMany`] for the first value that is
    /// refused.
    pub fn from_env(env: &impl Environment) -> Result<Self, Error> {
        let settings = Self {
            data: data(env)?,
            index: IndexSettings {
                lists: number(env, "N_LISTS", 64, 1, 4096)? as usize,
                probes: number(env, "N_PROBE", 16, 1, 4096)? as usize,
                bits: quant_bits(env)?,
                spill: number(env, "SPILL", 1, 1, 4)? as usize,
                rerank: rerank(env)?,
                threads: number(env, "N_THREADS", 1, 1, 64)? as usize,
                train_sample: number(env, "TRAIN_SAMPLE", 8192, 1, 10_000_000)? as usize,
                kmeans_iterations: number(env, "KMEANS_ITERS", 8, 1, 100)? as usize,
            },
            memory_limit: number(env, "MEMORY_LIMIT_MB", 12, 1, 65_536)? << 20,
            port: number(env, "PORT", 0, 0, 65_535)? as u16,
        };
        let index = &settings.index;
        at_most("N_PROBE", index.probes, "N_LISTS", index.lists)?;
        at_most("SPILL", index.spill, "N_LISTS", index.lists)?;
        at_most("N_LISTS", index.lists, "TRAIN_SAMPLE", index.train_sample)?;
        at_most(
            "N_LISTS",
            index.lists,
            "DEMO_VECTORS",
            settings.data.vectors,
        )?;
        Ok(settings)
    }
}

impl EvaluatorSettings {
    /// Reads the settings; a variable that is not set has its default, but one
    /// of `SERVER_URL` and `PORT` must be set.
    ///
    /// # Errors
    /// [`Error::BadValue`] for the first value that is refused.
    pub fn from_env(env: &impl Environment) -> Result<Self, Error> {
        let url = match env("SERVER_URL") {
            Some(url) if url.starts_with("http://") => url.trim_end_matches('/').to_owned(),
            Some(url) => {
                return Err(Error::BadValue {
                    name: "SERVER_URL",
                    value: url,
                    expected: "an address that begins with http://".to_owned(),
                });
            }
            // The server may take any port, but the evaluator must know which.
            None => format!("http://127.0.0.1:{}", number(env, "PORT", 0, 1, 65_535)?),
        };
        Ok(Self {
            data: data(env)?,
            batch: number(env, "BATCH", 1, 1, 1024)? as usize,
            concurrency: number(env, "CONCURRENCY", 4, 1, 64)? as usize,
            duration: seconds(env, "DEMO_EVAL_SECONDS", 0.5, 60.0)?,
            url,
        })
    }
}

fn data(env: &impl Environment) -> Result<DataSettings, Error> {
    Ok(DataSettings {
        seed: number(env, "DEMO_SEED", 42, 0, u64::MAX)?,
        vectors: number(env, "DEMO_VECTORS", 40_000, 100, 10_000_000)? as usize,
        queries: number(env, "DEMO_QUERIES", 500, 1, 100_000)? as usize,
    })
}

fn quant_bits(env: &impl Environment) -> Result<QuantBits, Error> {
    match env("QUANT_BITS").as_deref().map(str::trim) {
        None | Some("32") => Ok(QuantBits::ThirtyTwo),
        Some("8") => Ok(QuantBits::Eight),
        Some("4") => Ok(QuantBits::Four),
        Some(other) => Err(bad("QUANT_BITS", other, "4, 8 or 32".to_owned())),
    }
}

fn rerank(env: &impl Environment) -> Result<usize, Error> {
    match number(env, "RERANK", 0, 0, 1000)? {
        // Fewer than the evaluator's ten neighbours could not fill an answer.
        few @ 1..10 => Err(bad(
            "RERANK",
            few,
            "0 (none) or a whole number from 10 to 1000".to_owned(),
        )),
        candidates => Ok(candidates as usize),
    }
}

/// A whole number in `min..=max`.
fn number(
    env: &impl Environment,
    name: &'static str,
    default: u64,
    min: u64,
    max: u64,
) -> Result<u64, Error> {
    let Some(text) = env(name) else {
        // The evaluator's PORT has no default that is in its range.
        return if (min..=max).contains(&default) {
            Ok(default)
        } else {
            Err(bad(name, "", format!("a whole number from {min} to {max}")))
        };
    };
    match text.trim().parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(bad(
            name,
            text,
            format!("a whole number from {min} to {max}"),
        )),
    }
}

/// Seconds from 0 to `max`.
fn seconds(
    env: &impl Environment,
    name: &'static str,
    default: f64,
    max: f64,
) -> Result<Duration, Error> {
    let Some(text) = env(name) else {
        return Ok(Duration::from_secs_f64(default));
    };
    match text.trim().parse() {
        Ok(seconds) if (0.0..=max).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(bad(name, text, format!("seconds from 0 to {max}"))),
    }
}

fn at_most(
    name: &'static str,
    value: usize,
    limit_name: &'static str,
    limit: usize,
) -> Result<(), Error> {
    if value <= limit {
        return Ok(());
    }
    Err(Error::TooMany {
        name,
        value: value as u64,
        limit_name,
        limit: limit as u64,
    })
}

fn bad(name: &'static str, value: impl ToString, expected: String) -> Error {
    Error::BadValue {
        name,
        value: value.to_string(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| {
            let (_, value) = set.iter().find(|(set, _)| *set == name)?;
            Some((*value).to_owned())
        }
    }

    fn refusal(set: &[(&str, &str)]) -> String {
        let error = ServerSettings::from_env(&env(set)).expect_err("is refused");
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn unset_variables_have_their_defaults() {
        let settings = ServerSettings::from_env(&env(&[])).expect("the defaults are allowed");
        assert_eq!(settings.index.lists, 64);
        assert_eq!(settings.index.bits, QuantBits::ThirtyTwo);
        assert_eq!(settings.memory_limit, 12 << 20);
        assert_eq!(settings.port, 0);
    }

    #[test]
    fn each_variable_arrives_in_its_place() {
        let settings = ServerSettings::from_env(&env(&[
            ("DEMO_SEED", "7"),
            ("DEMO_VECTORS", "1000"),
            ("DEMO_QUERIES", "50"),
            ("N_LISTS", "32"),
            ("N_PROBE", "4"),
            ("QUANT_BITS", "8"),
            ("SPILL", "2"),
            ("RERANK", "20"),
            ("N_THREADS", "3"),
            ("TRAIN_SAMPLE", "500"),
            ("KMEANS_ITERS", "9"),
            ("MEMORY_LIMIT_MB", "5"),
            ("PORT", "8123"),
        ]))
        .expect("all are allowed");
        assert_eq!(
            settings,
            ServerSettings {
                data: DataSettings {
                    seed: 7,
                    vectors: 1000,
                    queries: 50
                },
                index: IndexSettings {
                    lists: 32,
                    probes: 4,
                    bits: QuantBits::Eight,
                    spill: 2,
                    rerank: 20,
                    threads: 3,
                    train_sample: 500,
                    kmeans_iterations: 9,
                },
                memory_limit: 5 << 20,
                port: 8123,
            }
        );
        let settings = EvaluatorSettings::from_env(&env(&[
            ("PORT", "8123"),
            ("BATCH", "32"),
            ("CONCURRENCY", "2"),
            ("DEMO_EVAL_SECONDS", "0.25"),
        ]))
        .expect("all are allowed");
        assert_eq!(settings.url, "http://127.0.0.1:8123");
        assert_eq!((settings.batch, settings.concurrency), (32, 2));
        assert_eq!(settings.duration, Duration::from_millis(250));
    }

    #[test]
    fn bad_values_are_refused_with_name_value_and_range() {
        for (name, value, text) in [
            (
                "N_LISTS",
                "0",
                "N_LISTS=0 is refused: expected a whole number from 1 to 4096",
            ),
            (
                "N_THREADS",
                "two",
                "N_THREADS=two is refused: expected a whole number from 1 to 64",
            ),
            (
                "QUANT_BITS",
                "7",
                "QUANT_BITS=7 is refused: expected 4, 8 or 32",
            ),
            (
                "RERANK",
                "5",
                "RERANK=5 is refused: expected 0 (none) or a whole number from 10 to 1000",
            ),
            (
                "SPILL",
                "-1",
                "SPILL=-1 is refused: expected a whole number from 1 to 4",
            ),
            (
                "PORT",
                "65536",
                "PORT=65536 is refused: expected a whole number from 0 to 65535",
            ),
        ] {
            assert_eq!(refusal(&[(name, value)]), text);
        }
    }

    #[test]
    fn values_that_do_not_fit_each_other_are_refused() {
        assert_eq!(
            refusal(&[("N_LISTS", "32"), ("N_PROBE", "64")]),
            "N_PROBE=64 is more than N_LISTS=32"
        );
        assert_eq!(
            refusal(&[("N_LISTS", "512"), ("TRAIN_SAMPLE", "256")]),
            "N_LISTS=512 is more than TRAIN_SAMPLE=256"
        );
        assert_eq!(
            refusal(&[("N_LISTS", "1"), ("N_PROBE", "1"), ("SPILL", "2")]),
            "SPILL=2 is more than N_LISTS=1"
        );
        assert_eq!(
            refusal(&[("N_LISTS", "200"), ("DEMO_VECTORS", "100")]),
            "N_LISTS=200 is more than DEMO_VECTORS=100"
        );
    }

    #[test]
    fn the_evaluator_must_know_the_port() {
        for set in [&[][..], &[("PORT", "0")], &[("SERVER_URL", "example")]] {
            let error = EvaluatorSettings::from_env(&env(set)).expect_err("is refused");
            assert_eq!(error.exit_code(), 2);
        }
        let error = EvaluatorSettings::from_env(&env(&[("PORT", "1"), ("BATCH", "0")]))
            .expect_err("is refused");
        assert_eq!(
            error.to_string(),
            "BATCH=0 is refused: expected a whole number from 1 to 1024"
        );
    }
}
