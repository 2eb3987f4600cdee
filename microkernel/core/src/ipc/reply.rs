//! Answering.

use abi::{Handle, MessageInfo, Outcome, Rights};

use super::transfer::Parcel;
use crate::handle::meta;
use crate::object::{Caller, Kind, Name, Process, Thread};
use crate::syscall::{Next, Stop};
use crate::{Kernel, Machine};

impl<M: Machine> Kernel<M> {
    /// `reply(Reply, message)`. Never blocks; consumes the Reply even when its caller has gone.
    ///
    /// Checks, in order: the Reply; the shape of the message, which lends nothing; each handle in it.
    pub fn reply(&self, thread: &Thread) -> Result<Next, Stop> {
        let process = self.at(thread.process.get());
        let handle = Handle((thread.context.handles.get() >> 32) as u32);
        self.look_up_held(process, handle, Some(Kind::Reply), Rights::empty())?;
        let info = MessageInfo(thread.context.info.get() as u32);
        if info.leases() != 0 {
            return Err(Outcome::BadArgument.into());
        }
        let parcel = self.check_message(process, info, thread.call.send_page.get())?;
        self.answer(thread, process, handle, info, &parcel)?;
        Ok(Next::Done)
    }

    fn answer(
        &self,
        thread: &Thread,
        process: &Process,
        handle: Handle,
        info: MessageInfo,
        parcel: &Parcel,
    ) -> Result<(), Outcome> {
        let slot = self.any_slot(process, handle)?;
        let caller = Name::<Caller>::from_bits(slot.object.get());
        if caller.is_none() {
            self.discard_parcel(process, parcel);
            if slot.meta.get() & meta::UNTOLD != 0 {
                slot.meta.set(slot.meta.get() | meta::CLOSED);
            } else {
                self.free_slot(process, handle.slot() as u32, slot);
            }
            return Ok(());
        }
        self.free_slot(process, handle.slot() as u32, slot);
        let record = &self.at(caller).call;
        self.take_parcel(process, parcel, &record.transfers);
        self.copy_bytes(info, thread.call.send_page.get(), record.receive_page.get());
        record.info.set(info.0);
        for (to, from) in self.words_of(caller).iter().zip(&thread.context.words) {
            to.set(from.get());
        }
        self.end_received(caller, Outcome::Ok, 0);
        Ok(())
    }

    /// Moved handles of a message that nobody will get are closed all the same: the sender gave them away.
    fn discard_parcel(&self, process: &Process, parcel: &Parcel) {
        let places = [const { crate::handle::Reference::empty() }; abi::message::MAX_HANDLES];
        self.take_parcel(process, parcel, &places);
        self.drop_handles(&places);
    }
}
