//! System calls on notifications.

use core::sync::atomic::Ordering;

use abi::{Handle, Outcome, Rights};

use super::{Next, Operands, Stop};
use crate::handle::Held;
use crate::ipc::endpoint::Binding;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::object::endpoint::Endpoint;
use crate::object::header::Kind;
use crate::object::name::Name;
use crate::object::notification::Notification;

impl<M: Machine> Kernel<M> {
    /// `notification_create()`. Checks: the quota.
    pub(super) fn notification_create(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let quota = self.at(operands.thread.process.get()).header.quota.get();
        let (name, _) = self.allocate::<Notification>(quota)?;
        self.return_handle(operands, 0, Held::new(name, Kind::Notification, Rights::all()));
        Ok(Next::Done)
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
        let name = operands.a();
        self.notification_at_home(name)?;
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
        let endpoint_home = self.at(endpoint_name).header.home.load(Ordering::Acquire) as usize;
        let thread_home = operands.thread.header.home.load(Ordering::Acquire) as usize;
        if operands.thread.is_away.get() == 0 {
            let handle = Handle((operands.thread.context.handles.get() >> 32) as u32);
            let (_, binding) = self.bind_endpoint(operands.thread, handle)?;
            if let Binding::Elsewhere(cpu) = binding {
                return Err(Stop::Elsewhere(cpu));
            }
        } else if endpoint_home != thread_home {
            // It came to fetch the endpoint.
            if endpoint_home != self.cpu() {
                return Err(Stop::Elsewhere(endpoint_home));
            }
            self.hand_over_endpoint(endpoint_name, thread_home)?;
            operands.thread.must_continue.set(1);
            return Ok(Next::Written);
        }
        let notification = self.notification_at_home(name)?;
        if notification.bound().is_some() || !notification.waiters.is_empty() {
            return Err(Outcome::Busy.into());
        }
        self.pin(endpoint_name);
        notification.cookie.set(operands.word(0));
        notification.bound.store(endpoint_name.bits(), Ordering::Release);
        self.kick_notification(name);
        Ok(Next::Done)
    }

    fn notification_at_home(&self, name: Name<Notification>) -> Result<&Notification, Stop> {
        let notification = self.at(name);
        match notification.header.home.load(Ordering::Acquire) as usize {
            home if home == self.cpu() => Ok(notification),
            home => Err(Stop::Elsewhere(home)),
        }
    }
}
