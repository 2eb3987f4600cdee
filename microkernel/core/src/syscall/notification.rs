//! System calls on notifications.

use core::sync::atomic::Ordering;

use abi::{Handle, Outcome, Rights};

use super::{Next, Operands, Stop};
use crate::object::{Endpoint, Name, Notification};
use crate::{Kernel, Machine};

impl<M: Machine> Kernel<M> {
    /// `notification_create()`. Checks: the quota.
    pub(super) fn notification_create(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let (name, _) = self.allocate::<Notification>(self.payer(operands)?)?;
        self.give(operands, name, Rights::all())
    }

    /// `notification_signal(notification, bits)`. Checks: the notification (`SIGNAL`).
    pub(super) fn notification_signal(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        self.signal(operands.a(), operands.word(0));
        Ok(Next::Done)
    }

    /// `notification_poll(notification, bits)`. Checks: the notification (`WAIT`).
    pub(super) fn notification_poll(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let taken = self.at(operands.a::<Notification>()).take(operands.word(0));
        operands.set_second_result(taken);
        Ok(Next::Done)
    }

    /// `notification_wait(notification, deadline, bits)`, at its home.
    ///
    /// Checks, in order: the notification (`WAIT`); a bit is asked for; unless one is set: it is not bound, and the deadline is to come.
    pub(super) fn notification_wait(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let name: Name<Notification> = operands.a();
        self.at_home(name)?;
        let mask = operands.word(0);
        if mask == 0 {
            return Err(Outcome::BadArgument.into());
        }
        match self.wait_for_bits(operands.name, name, mask, operands.argument())? {
            Some(bits) => {
                operands.set_second_result(bits);
                Ok(Next::Done)
            }
            None => {
                if operands.thread.is_away.get() == 0 {
                    self.stop_current();
                }
                Ok(Next::Blocked)
            }
        }
    }

    /// `notification_bind(notification, endpoint, cookie)`, at the notification's home.
    ///
    /// Checks, in order: the notification (`WAIT`); the endpoint (`RECEIVE`); no other process receives on it; the notification is not bound, and
    /// nobody waits for it.
    pub(super) fn notification_bind(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let name: Name<Notification> = operands.a();
        let endpoint_name: Name<Endpoint> = operands.b();
        if operands.thread.is_away.get() == 0 {
            self.bind_endpoint(operands.thread, Handle((operands.thread.context.handles.get() >> 32) as u32))?;
        } else if self.at(endpoint_name).header.home() != operands.thread.header.home() {
            return self.fetch(operands, endpoint_name);
        }
        let notification = self.at_home(name)?;
        if notification.bound().is_some() || !notification.waiters.is_empty() {
            return Err(Outcome::Busy.into());
        }
        self.pin(endpoint_name);
        notification.cookie.set(operands.word(0));
        notification.bound.store(endpoint_name.bits(), Ordering::Release);
        self.kick_notification(name);
        Ok(Next::Done)
    }
}
