//! `AdvisorTest`: what the advisor's endpoint says to a small request.

use super::Context;
use crate::advisor::{self, Access};
use crate::wire::reply::{AdvisorTested, Refusal, Reply};

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
    let tested = AdvisorTested::new(&settings, key, came);
    Reply::AdvisorTested(Box::new(tested))
}
