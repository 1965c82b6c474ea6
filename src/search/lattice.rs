//! All combinations of some values of each parameter, in order and lazily: the
//! last parameter turns fastest, as the last wheel of a mileage counter.
//!
//! A parameter that is not active has one position only, so params that differ
//! in nothing else come once. Where a rule is broken, the wheel that turns is
//! the last one that the rule asks for: what is behind it cannot mend it. So
//! rules cost no more than the combinations that they leave.

use crate::model::domain::Domain;
use crate::model::params::Params;
use crate::model::space::{ParamsError, Space};
use crate::model::value::Value;

/// More combinations than this are neither counted nor gone through one by
/// one: a host that did one trial a minute would need two months.
pub(super) const ENUMERABLE: u64 = 100_000;

/// A space with a list of values for each parameter.
pub(super) struct Lattice<'a> {
    space: &'a Space,
    values: Vec<Vec<Value>>,
}

/// A position on each wheel; 0 where the parameter is not active.
type Position = Vec<usize>;

impl<'a> Lattice<'a> {
    /// Whole lists, and `levels` points of each range.
    pub(super) fn of_levels(space: &'a Space, levels: usize) -> Self {
        let values = space.parameters().iter();
        Self {
            space,
            values: values.map(|p| p.domain.levels(levels)).collect(),
        }
    }

    /// Every value of every domain; `None` when that makes more than
    /// [`ENUMERABLE`] combinations.
    pub(super) fn of_everything(space: &'a Space) -> Option<Self> {
        let mut sizes = space.parameters().iter().map(|p| p.domain.size());
        let product = sizes.try_fold(1u64, |product, size| product.checked_mul(size?))?;
        if product > ENUMERABLE {
            return None;
        }
        let values = space.parameters().iter().map(|p| everything(&p.domain));
        Some(Self {
            space,
            values: values.collect(),
        })
    }

    /// How many combinations there would be without conditions and rules.
    pub(super) fn product(&self) -> u64 {
        self.values.iter().fold(1u64, |product, values| {
            product.saturating_mul(values.len() as u64)
        })
    }

    /// Where these params stand; `None` when a value is not on the lattice.
    pub(super) fn position(&self, params: &Params) -> Option<Position> {
        let wheels = self.space.parameters().iter().zip(&self.values);
        wheels
            .map(|(parameter, values)| match params.get(&parameter.name) {
                None => Some(0),
                Some(value) => values.iter().position(|known| known == value),
            })
            .collect()
    }

    /// All params that keep the rules, in order from the first.
    pub(super) fn all(&self) -> Round<'_> {
        Round {
            lattice: self,
            next: Some(vec![0; self.values.len()]),
            end: None,
        }
    }

    /// The same, beginning behind `position` and going on from the first to
    /// `position` itself.
    pub(super) fn round_from(&self, position: Position) -> impl Iterator<Item = Params> {
        let behind = Round {
            lattice: self,
            next: self.look(&position).next,
            end: None,
        };
        let before = Round {
            lattice: self,
            next: Some(vec![0; self.values.len()]),
            end: Some(position),
        };
        behind.chain(before)
    }

    fn look(&self, position: &Position) -> Look {
        let parameters = self.space.parameters();
        let mut active: Vec<usize> = Vec::with_capacity(position.len());
        let mut wheel = 0;
        let chosen = self.space.choose(|parameter| {
            // Parameters are asked for in order, inactive ones left out.
            while parameters[wheel].name != parameter.name {
                wheel += 1;
            }
            active.push(wheel);
            self.values[wheel][position[wheel]].clone()
        });
        if let Err(
            ParamsError::Rule(text)
            | ParamsError::Expression {
                expression: text, ..
            },
        ) = &chosen
        {
            let rule = self.space.rules().iter().find(|r| r.to_string() == *text);
            if let Some(rule) = rule {
                let asked = |wheel: usize| rule.names().contains(&parameters[wheel].name);
                while active.last().is_some_and(|wheel| !asked(*wheel)) {
                    active.pop();
                }
            }
        }
        let turns = |wheel: &&usize| position[**wheel] + 1 < self.values[**wheel].len();
        let next = active.iter().rev().find(turns).map(|wheel| {
            let mut next = position.clone();
            next[*wheel] += 1;
            next[wheel + 1..].fill(0);
            next
        });
        Look {
            params: chosen.ok(),
            next,
        }
    }
}

struct Look {
    params: Option<Params>,
    next: Option<Position>,
}

/// See [`Lattice::all`].
pub(super) struct Round<'a> {
    lattice: &'a Lattice<'a>,
    next: Option<Position>,
    /// The last position to look at; all of them when `None`.
    end: Option<Position>,
}

impl Iterator for Round<'_> {
    type Item = Params;

    fn next(&mut self) -> Option<Params> {
        loop {
            let position = self.next.take()?;
            if self.end.as_ref().is_some_and(|end| position > *end) {
                return None;
            }
            let look = self.lattice.look(&position);
            self.next = look.next;
            if look.params.is_some() {
                return look.params;
            }
        }
    }
}

/// Every value of a domain whose size is known.
fn everything(domain: &Domain) -> Vec<Value> {
    match (domain, domain.at(0.0), domain.at(1.0)) {
        // The levels of a log range leave numbers out however many there are.
        (Domain::Int(_), Value::Int(low), Value::Int(high)) => {
            (low..=high).map(Value::Int).collect()
        }
        (Domain::Float(_), low, _) => vec![low],
        _ => domain.levels(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::domain::Scale;
    use crate::model::params::Params;
    use crate::search::simulation::{int, list, space};

    fn keys(params: impl Iterator<Item = Params>) -> Vec<String> {
        params.map(|params| params.key()).collect()
    }

    #[test]
    fn the_last_parameter_turns_fastest() {
        let space = space(vec![list("A", "1 2", ""), list("B", "x y", "")], &[]);
        let lattice = Lattice::of_levels(&space, 3);
        assert_eq!(
            keys(lattice.all()),
            ["A=1|B=x", "A=1|B=y", "A=2|B=x", "A=2|B=y"]
        );
        let middle = lattice.round_from(vec![1, 0]);
        assert_eq!(keys(middle), ["A=2|B=y", "A=1|B=x", "A=1|B=y", "A=2|B=x"]);
    }

    #[test]
    fn conditions_collapse_and_rules_leave_out() {
        let kind = list("kind", "full lora", "");
        let rank = int("rank", 1, 3, Scale::Linear, "kind == 'lora'");
        let soft = list("soft", "1 2", "");
        let space = space(vec![kind, rank, soft], &["soft <= rank"]);
        let lattice = Lattice::of_everything(&space).expect("a small space");
        assert_eq!(
            keys(lattice.all()),
            [
                "kind=full|soft=1",
                "kind=full|soft=2",
                "kind=lora|rank=1|soft=1",
                "kind=lora|rank=2|soft=1",
                "kind=lora|rank=2|soft=2",
                "kind=lora|rank=3|soft=1",
                "kind=lora|rank=3|soft=2",
            ]
        );
    }

    #[test]
    fn a_broken_rule_skips_what_cannot_mend_it() {
        // 10^14 combinations, of which the rules leave two.
        let wide: Vec<_> = (0..12)
            .map(|i| int(&format!("W{i}"), 1, 10, Scale::Linear, ""))
            .collect();
        let mut parameters = vec![
            list("A", "1 2 3 4 5 6 7 8 9 10", ""),
            list("B", "1 2 3", ""),
        ];
        parameters.extend(wide);
        let mut rules = vec!["A + B > 12".to_owned()];
        rules.extend((0..12).map(|i| format!("W{i} == 1")));
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let space = space(parameters, &rules);
        let lattice = Lattice::of_levels(&space, 10);
        assert_eq!(lattice.all().count(), 1);
        assert_eq!(lattice.product(), 30_000_000_000_000);
        assert!(Lattice::of_everything(&space).is_none());
    }

    #[test]
    fn a_rule_that_never_holds_ends_at_once() {
        let wide: Vec<_> = (0..9)
            .map(|i| int(&format!("W{i}"), 1, 9, Scale::Linear, ""))
            .collect();
        let space = space(wide, &["1 > 2"]);
        assert_eq!(Lattice::of_levels(&space, 9).all().count(), 0);
    }

    #[test]
    fn log_ranges_are_whole_where_everything_is_wanted() {
        let space = space(vec![int("N", 4, 64, Scale::Log, "")], &[]);
        let lattice = Lattice::of_everything(&space).expect("a small space");
        assert_eq!(lattice.all().count(), 61);
    }
}
