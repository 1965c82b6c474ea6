//! `AdvisorTest`: what the advisor's endpoint says to a small request.

use super::Context;
use crate::advisor::{self, Access, Tested};
use crate::wire::convert::milliseconds;
use crate::wire::reply::{AdvisorAnswer, AdvisorTested, Refusal, Reply};

pub async fn test(context: &Context) -> Reply {
    let study = context.board.view().study;
    let Some(settings) = study.spec().advisor.clone() else {
        return Reply::Refused(Refusal::NoAdvisor);
    };
    let (asked, workdir) = (settings.clone(), study.spec().workdir.clone());
    // The key of this moment: it may have been stored since the daemon started.
    let find = move || Access::find(&asked, &workdir, &|name| std::env::var_os(name));
    let found = tokio::task::spawn_blocking(find).await;
    let found = match found {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(panic) => Err(panic.to_string()),
    };
    let (key, came) = match found {
        Ok(access) => {
            let came = advisor::test(&settings, &access).await;
            (access.place().map(str::to_owned), came)
        }
        Err(error) => (None, Err(error)),
    };
    let (answer, error) = match came {
        Ok(tested) => (Some(answer(tested)), None),
        Err(error) => (None, Some(error)),
    };
    Reply::AdvisorTested(Box::new(AdvisorTested {
        base_url: settings.base_url,
        model: settings.model,
        key,
        answer,
        error,
    }))
}

fn answer(tested: Tested) -> AdvisorAnswer {
    AdvisorAnswer {
        model: tested.model,
        format: tested.format.name().to_owned(),
        keeps_format: tested.keeps_format,
        took: milliseconds(tested.took),
        tokens: tested.usage.tokens(),
        estimated: tested.estimated,
    }
}
