//! Faults between the daemon and a service, as `fault.ipc` orders them: what the daemon does when an answer is lost or makes no sense can't be seen otherwise.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libipc::Failure;

/// Faults that are to happen at once, at most.
pub const MAX_FAULTS: usize = 16;

/// What happens to an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It does not decode.
    BadReply,
    /// It does not come: the service is taken to have died.
    Interrupted,
}

/// Faults that are to happen.
#[derive(Debug, Default)]
pub struct Faults {
    armed: Vec<Armed>,
}

#[derive(Debug)]
struct Armed {
    service: String,
    kind: Kind,
    left: u32,
}

impl Faults {
    /// Has the next `count` answers of a service go wrong; `false` if there are too many faults already.
    pub fn arm(&mut self, service: &str, kind: Kind, count: u32) -> bool {
        if self.armed.len() >= MAX_FAULTS {
            return false;
        }
        self.armed.push(Armed {
            service: service.to_string(),
            kind,
            left: count,
        });
        true
    }

    /// What goes wrong with an answer of `service` that has just come.
    pub fn strike(&mut self, service: &str) -> Option<Failure> {
        let place = self
            .armed
            .iter()
            .position(|armed| armed.service == service)?;
        let armed = self.armed.get_mut(place)?;
        let kind = armed.kind;
        armed.left = armed.left.saturating_sub(1);
        if armed.left == 0 {
            self.armed.remove(place);
        }
        Some(match kind {
            Kind::BadReply => Failure::BadReply,
            Kind::Interrupted => Failure::Interrupted { incarnation: 0 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_answers_go_wrong_and_no_more() {
        let mut faults = Faults::default();
        assert!(faults.arm("logd", Kind::BadReply, 2));
        assert_eq!(faults.strike("vfs"), None);
        assert_eq!(faults.strike("logd"), Some(Failure::BadReply));
        assert_eq!(faults.strike("logd"), Some(Failure::BadReply));
        assert_eq!(faults.strike("logd"), None);
    }

    #[test]
    fn there_is_a_limit() {
        let mut faults = Faults::default();
        assert!((0..MAX_FAULTS).all(|_| faults.arm("logd", Kind::Interrupted, 1)));
        assert!(!faults.arm("logd", Kind::Interrupted, 1));
    }
}
