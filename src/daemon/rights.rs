//! Who may do what on the control socket.

use nix::unistd::{Gid, Uid};

use crate::model::spec::Control;

/// What a user may do; each includes those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Nothing.
    Nothing,
    /// Ask.
    Ask,
    /// Ask and steer.
    Steer,
}

/// The rights that a daemon grants.
#[derive(Clone, Debug)]
pub struct Rights {
    owner: Uid,
    all_read: bool,
    group: Option<Gid>,
}

impl Rights {
    /// Those of the daemon's own user, root, and whom `control` names.
    pub fn new(control: &Control, group: Option<Gid>) -> Self {
        Self {
            owner: Uid::effective(),
            all_read: control.all_read,
            group,
        }
    }

    /// What a process may do that runs as `uid` in these groups.
    pub fn of(&self, uid: Uid, groups: &[Gid]) -> Right {
        let member = |group: Gid| groups.contains(&group);
        if uid == self.owner || uid.is_root() || self.group.is_some_and(member) {
            return Right::Steer;
        }
        self.of_others()
    }

    const fn of_others(&self) -> Right {
        if self.all_read {
            Right::Ask
        } else {
            Right::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_follow_the_spec() {
        let (stranger, gid) = (Uid::from_raw(4_000_000), Gid::from_raw(4_000_000));
        let other = Gid::from_raw(1);
        let mut control = Control::default();
        let closed = Rights::new(&control, None);
        assert_eq!(closed.of(Uid::effective(), &[]), Right::Steer);
        assert_eq!(closed.of(Uid::from_raw(0), &[]), Right::Steer);
        assert_eq!(closed.of(stranger, &[gid]), Right::Nothing);
        control.all_read = true;
        let open = Rights::new(&control, None);
        assert_eq!(open.of(stranger, &[gid]), Right::Ask);
        let grouped = Rights::new(&control, Some(gid));
        assert_eq!(grouped.of(stranger, &[other, gid]), Right::Steer);
        assert_eq!(grouped.of(stranger, &[other]), Right::Ask);
    }
}
