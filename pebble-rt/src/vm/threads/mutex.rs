//! Mutexes and condition variables.

use alloc::format;

use crate::error::NativeError;
use crate::value::Value;

use super::{Condition, Mutex, Park, ThreadId, ThreadTable, WaitFor, WakeResult};

fn no_mutex(id: i64) -> NativeError {
    NativeError::value_error(format!("mutex {id} does not exist"))
}

fn no_condition(id: i64) -> NativeError {
    NativeError::value_error(format!("condition {id} does not exist"))
}

impl ThreadTable {
    pub(super) fn new_mutex(&mut self) -> i64 {
        let id = self.new_id();
        self.mutexes.insert(id, Mutex::default());
        id
    }

    /// Takes a mutex for the running thread: `Ok(None)` when it has it now, else how to wait for it.
    pub(super) fn lock(
        &mut self,
        id: i64,
        deadline_ms: Option<u64>,
    ) -> Result<Option<Park>, NativeError> {
        let current = self.current;
        let mutex = self.mutexes.get_mut(&id).ok_or_else(|| no_mutex(id))?;
        match mutex.owner {
            None => {
                mutex.owner = Some(current);
                Ok(None)
            }
            Some(owner) if owner == current => Ok(None),
            Some(_) => {
                mutex.waiters.push_back((current, Ok(Value::Int(0))));
                Ok(Some(Park {
                    wait: WaitFor::Mutex(id),
                    deadline_ms,
                }))
            }
        }
    }

    pub(super) fn try_lock(&mut self, id: i64) -> Result<bool, NativeError> {
        let current = self.current;
        let mutex = self.mutexes.get_mut(&id).ok_or_else(|| no_mutex(id))?;
        if mutex.owner.is_none() {
            mutex.owner = Some(current);
        }
        Ok(mutex.owner == Some(current))
    }

    pub(super) fn unlock(&mut self, id: i64) -> Result<(), NativeError> {
        let current = self.current;
        let mutex = self.mutexes.get_mut(&id).ok_or_else(|| no_mutex(id))?;
        if mutex.owner != Some(current) {
            return Err(NativeError::value_error(format!(
                "mutex {id} is not owned by thread {current}"
            )));
        }
        self.pass_on(id);
        Ok(())
    }

    /// Gives a mutex that has become free to the longest waiter.
    fn pass_on(&mut self, id: i64) {
        let Some(mutex) = self.mutexes.get_mut(&id) else {
            return;
        };
        match mutex.waiters.pop_front() {
            Some((next, result)) => {
                mutex.owner = Some(next);
                self.wake(next, result);
            }
            None => mutex.owner = None,
        }
    }

    /// Gives the mutex to a parked thread, or lets it wait for it; its call gives `result` then.
    pub(super) fn hand_over(&mut self, id: i64, thread: ThreadId, result: WakeResult) {
        let Some(mutex) = self.mutexes.get_mut(&id) else {
            return self.wake(thread, result);
        };
        if mutex.owner.is_none() {
            mutex.owner = Some(thread);
            return self.wake(thread, result);
        }
        mutex.waiters.push_back((thread, result));
        if let Some(entry) = self.entries.get_mut(&thread) {
            entry.parked = Some(Park {
                wait: WaitFor::Mutex(id),
                deadline_ms: None,
            });
        }
    }

    /// Frees what a thread that has ended still owns, so that nobody waits for it in vain.
    pub(super) fn release_all(&mut self, thread: ThreadId) {
        let owned: alloc::vec::Vec<i64> = self
            .mutexes
            .iter()
            .filter(|(_, mutex)| mutex.owner == Some(thread))
            .map(|(id, _)| *id)
            .collect();
        for id in owned {
            self.pass_on(id);
        }
    }

    /// Id, owner and number of waiters of each mutex.
    pub(super) fn mutex_rows(
        &self,
    ) -> impl Iterator<Item = (i64, Option<ThreadId>, &[(ThreadId, WakeResult)])> {
        self.mutexes
            .iter()
            .map(|(id, mutex)| (*id, mutex.owner, mutex.waiters.as_slices().0))
    }

    pub(super) fn mutex_waiters(&self, id: i64) -> alloc::vec::Vec<ThreadId> {
        let mutex = self.mutexes.get(&id);
        mutex
            .map(|mutex| mutex.waiters.iter().map(|(waiter, _)| *waiter).collect())
            .unwrap_or_default()
    }

    pub(super) fn new_condition(&mut self) -> i64 {
        let id = self.new_id();
        self.conditions.insert(id, Condition::default());
        id
    }

    /// Frees the mutex and waits for the condition.
    pub(super) fn wait(
        &mut self,
        id: i64,
        mutex: i64,
        deadline_ms: Option<u64>,
    ) -> Result<Park, NativeError> {
        let current = self.current;
        if !self.conditions.contains_key(&id) {
            return Err(no_condition(id));
        }
        self.unlock(mutex)?;
        if let Some(condition) = self.conditions.get_mut(&id) {
            condition.waiters.push_back((current, mutex));
        }
        Ok(Park {
            wait: WaitFor::Condition(id),
            deadline_ms,
        })
    }

    /// Ends the wait of the longest waiter, or of all.
    pub(super) fn signal(&mut self, id: i64, all: bool) -> Result<i64, NativeError> {
        let mut count = 0;
        loop {
            let condition = self
                .conditions
                .get_mut(&id)
                .ok_or_else(|| no_condition(id))?;
            let Some((waiter, mutex)) = condition.waiters.pop_front() else {
                return Ok(count);
            };
            self.hand_over(mutex, waiter, Ok(Value::Int(0)));
            count += 1;
            if !all {
                return Ok(count);
            }
        }
    }
}
