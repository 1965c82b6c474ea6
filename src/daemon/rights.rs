//! Who may do what on the control socket.

use std::ffi::CString;

use nix::unistd::{Gid, Uid, User, getgrouplist};

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

    /// Whether it takes no look at the groups to tell what a user may do.
    pub fn of_user(&self, uid: Uid) -> Option<Right> {
        if uid == self.owner || uid.is_root() {
            return Some(Right::Steer);
        }
        self.group.is_none().then(|| self.of_others())
    }

    /// What a user may do. Asks the system for the user's groups, which may
    /// take its time.
    pub fn of_peer(&self, uid: Uid, gid: Gid) -> Right {
        if let Some(right) = self.of_user(uid) {
            return right;
        }
        let member = |group: Gid| group == gid || groups(uid, gid).contains(&group);
        match self.group {
            Some(group) if member(group) => Right::Steer,
            _ => self.of_others(),
        }
    }

    const fn of_others(&self) -> Right {
        if self.all_read {
            Right::Ask
        } else {
            Right::Nothing
        }
    }
}

fn groups(uid: Uid, gid: Gid) -> Vec<Gid> {
    let user = User::from_uid(uid).ok().flatten();
    let name = user.and_then(|user| CString::new(user.name).ok());
    name.and_then(|name| getgrouplist(&name, gid).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_follow_the_spec() {
        let (stranger, gid) = (Uid::from_raw(4_000_000), Gid::from_raw(4_000_000));
        let mut control = Control::default();
        let closed = Rights::new(&control, None);
        assert_eq!(closed.of_peer(Uid::effective(), gid), Right::Steer);
        assert_eq!(closed.of_peer(Uid::from_raw(0), gid), Right::Steer);
        assert_eq!(closed.of_peer(stranger, gid), Right::Nothing);
        control.all_read = true;
        let open = Rights::new(&control, None);
        assert_eq!(open.of_peer(stranger, gid), Right::Ask);
        let grouped = Rights::new(&control, Some(gid));
        assert_eq!(grouped.of_user(stranger), None);
        assert_eq!(grouped.of_peer(stranger, gid), Right::Steer);
        assert_eq!(grouped.of_peer(stranger, Gid::from_raw(1)), Right::Ask);
    }
}
