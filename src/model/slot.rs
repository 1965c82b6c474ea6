//! Slots: places in which trials run side by side.

use super::Name;

/// The variable by which a program learns which GPUs it may use.
const GPUS: &str = "CUDA_VISIBLE_DEVICES";

/// A place for one trial at a time. A study whose spec names none has one place
/// without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its name: letters, digits, `-` and `_`; unique.
    pub name: Name,
    /// Environment variables of all steps of the trials in it.
    pub env: Vec<(String, String)>,
    /// A port that is its own; unique.
    pub port: Option<u16>,
}

impl Slot {
    /// The GPUs that it names, by number or UUID; `None` where it names none,
    /// so that its trials may use every one.
    pub fn gpus(&self) -> Option<Vec<&str>> {
        let (_, listed) = self.env.iter().find(|(name, _)| name == GPUS)?;
        let devices = listed.split(',').map(str::trim);
        Some(devices.filter(|device| !device.is_empty()).collect())
    }

    /// A GPU that trials in both may use, where GPUs are named at all.
    pub fn shares_gpu(&self, other: &Self) -> Option<String> {
        match (self.gpus(), other.gpus()) {
            (None, None) => None,
            (Some(own), Some(others)) => {
                let shared = own.into_iter().find(|device| others.contains(device));
                shared.map(str::to_owned)
            }
            (Some(named), None) | (None, Some(named)) => {
                named.first().map(|device| (*device).to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(gpus: Option<&str>) -> Slot {
        let env = gpus.map(|gpus| (GPUS.to_owned(), gpus.to_owned()));
        Slot {
            name: "s".into(),
            env: env.into_iter().collect(),
            port: None,
        }
    }

    #[test]
    fn gpus_are_shared_where_both_name_one() {
        let shared = |a, b| slot(a).shares_gpu(&slot(b));
        assert_eq!(shared(Some("0,1"), Some("2, 3")), None);
        assert_eq!(shared(Some("0,1"), Some("2, 1")), Some("1".to_owned()));
        // Who names none uses all.
        assert_eq!(shared(None, Some("2")), Some("2".to_owned()));
        assert_eq!(shared(None, None), None);
        // An empty list hides every GPU.
        assert_eq!(shared(None, Some("")), None);
    }
}
