//! Whether the secrets of `pass_secrets` are there. None is shown.

use super::finding::{Check, Finding};
use super::notify::parted;
use crate::base::usual;
use crate::model::spec::Spec;

/// Where each is found, as this user and in this environment; nothing at all
/// where steps get none.
pub fn look(spec: &Spec) -> Vec<Finding> {
    let (mut told, mut lacking, mut findings) = (Vec::new(), Vec::new(), Vec::new());
    for name in &spec.pass_secrets {
        let variable = |name: &str| std::env::var_os(name);
        match usual::find(&name.to_lowercase(), name, &spec.workdir, &variable) {
            Ok(Some(found)) => told.push(format!("{name} is there ({})", found.place)),
            Ok(None) => lacking.push(name.as_str()),
            Err(error) => {
                let (what, remedy) = parted(&error);
                let text = format!("{name}: {what}");
                findings.push(Finding::error(Check::Secrets, text, remedy));
            }
        }
    }
    if !lacking.is_empty() {
        // Which of them a study needs, its steps alone know.
        let lacking = lacking.join(", ");
        told.push(format!("nowhere, so that steps go without: {lacking}"));
    }
    if !told.is_empty() {
        findings.push(Finding::ok(Check::Secrets, told.join("; ")));
    }
    findings
}
