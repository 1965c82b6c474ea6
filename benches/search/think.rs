//! How long the sampler `model` thinks about an ask, by how many trials there
//! are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use autotune::base::clock::Timestamp;
use autotune::base::random::generator;
use autotune::model::event::{Event, Fact};
use autotune::model::spec::SamplerKind;
use autotune::model::study::Study;
use autotune::model::trial::{Origin, SittingEnd};
use autotune::search::ask;
use rand::RngExt;

use crate::replay::{Contestant, measured, spec};
use crate::table::Table;

/// Asks after each of which the fastest counts: others use the machine, too.
const REPETITIONS: usize = 7;

/// The time for an ask after so many trials of this table's params, drawn at
/// random.
pub fn think(table: &Table, sampler: SamplerKind, trials: u32) -> Result<Duration> {
    // Without racing, which would rather measure what leads again.
    let contestant = Contestant {
        sampler,
        racing: false,
    };
    let mut study = Study::new(Arc::new(spec(table, contestant, 0, None)?));
    let mut random = generator(1, 1);
    let space = study.spec().space.clone();
    let happen = |study: &mut Study, event: Event| {
        let at = Timestamp::from_millis(i64::from(study.next_id().0) * 60_000);
        study.apply(&Fact { at, event })
    };
    while study.next_id().0 <= trials {
        let params = space.choose(|parameter| parameter.domain.at(random.random()))?;
        if study.trial_of(&params).is_some() {
            continue;
        }
        let (trial, origin) = (study.next_id(), Origin::Sampler);
        let row = table.row(&table.key(&params));
        happen(
            &mut study,
            Event::TrialPlanned {
                trial,
                params,
                origin,
                choice: None,
            },
        )?;
        let (token, boot_id) = (String::new(), "".into());
        happen(
            &mut study,
            Event::SittingStarted {
                trial,
                sitting: 1,
                token,
                boot_id,
            },
        )?;
        if let Some(row) = row {
            let run = measured(1, 1, row.objective, row.constraint)?;
            happen(&mut study, Event::RunEnded { trial, run })?;
            happen(&mut study, Event::TrialDeferred { trial })?;
        }
        let planned = &study.trials()[trial.0 as usize - 1];
        let outcome = match row {
            Some(_) => study.judge(planned),
            None => crate::replay::does_not_start(),
        };
        let end = SittingEnd::Finished(outcome);
        happen(
            &mut study,
            Event::SittingEnded {
                trial,
                sitting: 1,
                end,
                health: None,
            },
        )?;
    }
    let times = (0..REPETITIONS).map(|_| {
        let before = Instant::now();
        std::hint::black_box(ask(&study));
        before.elapsed()
    });
    Ok(times.min().unwrap_or_default())
}
