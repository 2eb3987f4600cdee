//! System calls on quotas.

use abi::{Outcome, Rights, records::DeathCause};

use super::{Next, Operands, Stop};
use crate::object::{Name, Quota, Resource};
use crate::sched::inbox::reason;
use crate::{Kernel, Machine};

/// Processes that are condemned in one stay in the kernel.
const SLICE: usize = 8;

impl<M: Machine> Kernel<M> {
    /// `quota_split(quota, frames, handles, threads)`.
    ///
    /// Checks, in order: the quota (`MANAGE`); it is not closed; each amount is there.
    pub(super) fn quota_split(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let amounts = [operands.word(0), operands.word(1), operands.word(2)];
        let name = self.split_quota(operands.a(), amounts)?;
        self.give(operands, name, Rights::all())
    }

    /// `quota_read(quota)`. Checks: the quota (`INSPECT`).
    pub(super) fn quota_read(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let quota = self.at(operands.a::<Quota>());
        let limits = Resource::ALL.map(|resource| quota.limit(resource));
        let used = Resource::ALL.map(|resource| quota.used(resource));
        operands.set_words(&[limits[0], limits[1], limits[2], used[0], used[1], used[2]]);
        Ok(Next::Done)
    }

    /// `quota_close(quota)`. Checks, in order: the quota (`OWN`); it is not the one that the caller lives under, or above that.
    pub(super) fn quota_close(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let name: Name<Quota> = operands.a();
        if self.at(name).parent_is_none() {
            return Err(Outcome::InvalidState.into());
        }
        for _ in 0..SLICE {
            let Some(process) = self.close_quota(name) else {
                self.settle_quota(name);
                return Ok(Next::Done);
            };
            let home = self.at(process).home();
            if home == self.cpu() {
                self.condemn(process, DeathCause::QuotaClosed, 0);
            } else {
                self.post(process.cast(), reason::KILL, home);
            }
            self.unpin(process);
            if self.current() != operands.name && operands.thread.is_away.get() == 0 {
                // It closed the quota that it lived under.
                return Ok(Next::Blocked);
            }
        }
        Ok(Next::Again)
    }
}
