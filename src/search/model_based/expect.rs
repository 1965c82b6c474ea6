//! What the model expects of params: for people, and to see when nothing is
//! left that is worth a trial.

use std::time::Duration;

use statrs::distribution::{ContinuousCDF, Normal};

use super::belief::Estimate;
use super::process::Places;
use super::promise::{Promise, log_expected_improvement};
use crate::model::choice::{Expected, Forecast};
use crate::model::noise::Noise;
use crate::model::params::Params;
use crate::model::study::Study;

impl Promise<'_> {
    /// What it expects of these params.
    pub(super) fn expects(&self, study: &Study, params: &Params) -> Expected {
        let point = self.geometry.point(params);
        let place = &Places::new(self.geometry, &[&point]);
        let noise = &Noise::of_objective(study);
        let normal = Normal::standard();
        let bounds: Vec<(String, f64)> = self
            .margins
            .iter()
            .filter_map(|(bound, belief)| {
                let margin = belief.at(place).into_iter().next()?;
                let chance = normal.cdf(margin.mean / margin.spread);
                chance.is_finite().then(|| (bound.to_string(), chance))
            })
            .collect();
        let starts = self
            .starts
            .as_ref()
            .map(|_| self.chances_to_start(place)[0]);
        let chance: f64 = bounds.iter().map(|(_, chance)| chance).product();
        let chance = chance * starts.unwrap_or(1.0);
        let (objective, improvement) = match &self.objective {
            None => (None, None),
            Some((belief, best)) => {
                let found = belief.at(place).into_iter().next();
                let share = found.zip(*best).and_then(|(found, best)| {
                    let gain = chance * log_expected_improvement(found, best).exp();
                    noise.share(gain, noise.unscaled(best))
                });
                (found.and_then(|found| forecast(noise, found)), share)
            }
        };
        let time = self.time.whole(place).and_then(|times| {
            let time = Duration::try_from_secs_f64(times[0]);
            time.ok()
        });
        Expected {
            objective,
            improvement,
            bounds,
            starts,
            time,
        }
    }
}

/// In the metric's unit.
fn forecast(noise: &Noise, found: Estimate) -> Option<Forecast> {
    let at = |quantile: f64| {
        let deviation = Normal::standard().inverse_cdf(quantile);
        noise.unscaled(found.mean + deviation * found.spread)
    };
    let (one, other) = (at(0.05), at(0.95));
    let forecast = Forecast {
        mean: at(0.5),
        low: one.min(other),
        high: one.max(other),
    };
    let numbers = [forecast.mean, forecast.low, forecast.high];
    numbers
        .iter()
        .all(|number| number.is_finite())
        .then_some(forecast)
}
