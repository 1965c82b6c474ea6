//! The ports that the services of a study are to listen on.

use std::time::Duration;

use super::finding::{Check, Finding};
use crate::base::quantity::show_duration;
use crate::exec::order::{Order, Work};
use crate::exec::port::{self, Holder, Obstacle};
use crate::exec::process;
use crate::exec::ready::Readiness;

/// Whether each is free, as `orders` have them.
pub fn look(orders: &[Order]) -> Vec<Finding> {
    let mut looked: Vec<u16> = Vec::new();
    let mut findings = Vec::new();
    let steps = orders
        .iter()
        .flat_map(|order| order.steps.iter().map(move |step| (order, step)));
    for (order, step) in steps {
        let Work::Service { ready, .. } = &step.work else {
            continue;
        };
        let port = Readiness::new(ready).ok().and_then(|ready| ready.port());
        let Some(port) = port.filter(|port| !looked.contains(port)) else {
            continue;
        };
        looked.push(port);
        let held = port::obstacle(port);
        let by_trial = matches!(
            &held,
            Some(Obstacle::Held(Holder::Process { pid, .. })) if process::is_of_trial(*pid)
        );
        findings.push(judge(port, held.as_ref(), by_trial, order.port_wait));
    }
    findings
}

fn judge(port: u16, held: Option<&Obstacle>, by_trial: bool, wait: Duration) -> Finding {
    match held {
        None => Finding::ok(Check::Ports, format!("port {port} is free")),
        Some(Obstacle::Held(holder)) if by_trial => {
            let text = format!("port {port} is in use by a trial: {holder}");
            Finding::ok(Check::Ports, text)
        }
        Some(Obstacle::Held(holder)) => {
            let wait = show_duration(wait);
            let text = format!("port {port} is in use by {holder}");
            let remedy = format!(
                "end that, or give the service another port; a trial waits {wait} for it, and is \
                 then tried again later"
            );
            Finding::error(Check::Ports, text, remedy)
        }
        Some(Obstacle::Closing) => {
            let text = format!("port {port} is held by a socket that is closing");
            Finding::warning(
                Check::Ports,
                text,
                "it goes by itself, within a minute or so",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn a_port_of_a_stranger_is_in_the_way() {
        let holder = Holder::Process {
            pid: 7,
            user: "bob".to_owned(),
            command: "python x.py".to_owned(),
            unit: Some("jupyter.service".to_owned()),
        };
        let held = Obstacle::Held(holder);
        let judge = |held, by_trial| judge(8000, held, by_trial, Duration::from_secs(30));
        let found = judge(Some(&held), false);
        assert_eq!(found.state, State::Error);
        assert_eq!(
            found.text,
            "port 8000 is in use by process 7 (python x.py) of user bob in jupyter.service"
        );
        assert_eq!(judge(Some(&held), true).state, State::Ok);
        assert_eq!(judge(Some(&Obstacle::Closing), false).state, State::Warning);
        assert_eq!(judge(None, false).state, State::Ok);
    }
}
