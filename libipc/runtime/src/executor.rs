//! Tasks: handlers that need several calls one after the other, written as one function.
//!
//! A task is a future that waits for calls and nothing else. It must not hold `&mut` to the server's state across a wait; it works on what it was given
//! (arguments, a [`Reply`](crate::Reply), clients) and hands its result on. The server passes every [`Completed`] to
//! [`Executor::completed`], which runs the task that waited for it, or hands it back if none did.

use crate::calls::{CallId, Completed, Pending};
use crate::error::CallError;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::cell::RefCell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

/// Tasks at once, at most.
pub const MAX_TASKS: usize = 512;

type Task = Pin<Box<dyn Future<Output = ()>>>;
type Ends = Rc<RefCell<BTreeMap<CallId, End>>>;

/// What is known of a call that a task waits for.
enum End {
    Awaited(Waker),
    Here(Completed),
}

/// Runs tasks.
#[derive(Default)]
pub struct Executor {
    tasks: BTreeMap<u64, (Arc<Bell>, Task)>,
    next: u64,
    ends: Ends,
}

/// Names a task; never the same twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TaskId(u64);

/// There are [`MAX_TASKS`] tasks already. The task did not begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyTasks;

/// Where tasks wait for calls. Clones are the same place.
#[derive(Clone, Default)]
pub struct Waiting(Ends);

impl Executor {
    /// An executor without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the tasks of this executor wait: given to each of them.
    pub fn waiting(&self) -> Waiting {
        Waiting(self.ends.clone())
    }

    /// Begins a task: it runs up to its first wait.
    ///
    /// # Errors
    /// `TooManyTasks`.
    pub fn spawn(
        &mut self,
        task: impl Future<Output = ()> + 'static,
    ) -> Result<TaskId, TooManyTasks> {
        if self.tasks.len() >= MAX_TASKS {
            return Err(TooManyTasks);
        }
        let id = TaskId(self.next);
        self.tasks.insert(
            id.0,
            (Arc::new(Bell(AtomicBool::new(true))), Box::pin(task)),
        );
        self.next += 1;
        self.run();
        Ok(id)
    }

    /// Drops a task where it stands: what it held is given back, what it waited for comes to nobody. `false` if it has ended.
    pub fn cancel(&mut self, task: TaskId) -> bool {
        self.tasks.remove(&task.0).is_some()
    }

    /// Hands the end of a call to the task that waits for it, and runs that task on. What nobody waits for comes back.
    pub fn completed(&mut self, completed: Completed) -> Option<Completed> {
        let id = completed.id();
        let waker = match self.ends.borrow_mut().get_mut(&id) {
            Some(end @ End::Awaited(_)) => match core::mem::replace(end, End::Here(completed)) {
                End::Awaited(waker) => waker,
                End::Here(_) => return None,
            },
            Some(End::Here(_)) | None => return Some(completed),
        };
        waker.wake();
        self.run();
        None
    }

    /// Tasks that have not ended.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is no task.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Runs the tasks that were woken until nothing more is: after a waker that is not one of a call's (a timer's, say) was used.
    pub fn run(&mut self) {
        while let Some(key) = self
            .tasks
            .iter()
            .find(|(_, (bell, _))| bell.was_rung())
            .map(|(key, _)| *key)
        {
            let Some((bell, task)) = self.tasks.get_mut(&key) else {
                return;
            };
            let waker = Waker::from(bell.clone());
            if task
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
            {
                self.tasks.remove(&key);
            }
        }
    }
}

impl Waiting {
    /// Waits for a started call.
    pub fn on<T, E>(&self, pending: Pending<T, E>) -> Answer<T, E> {
        Answer {
            end: self.end_of(pending.id()),
            pending: Some(pending),
        }
    }

    /// Waits for the end of a started call, for whoever finishes its `Pending` otherwise.
    pub fn end_of(&self, id: CallId) -> EndOf {
        EndOf {
            id,
            ends: self.0.clone(),
        }
    }
}

/// The end of a call, once it is there.
pub struct EndOf {
    id: CallId,
    ends: Ends,
}

impl Future for EndOf {
    type Output = Completed;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Completed> {
        let end = self.ends.borrow_mut().remove(&self.id);
        match end {
            Some(End::Here(completed)) => Poll::Ready(completed),
            Some(End::Awaited(_)) | None => {
                self.ends
                    .borrow_mut()
                    .insert(self.id, End::Awaited(context.waker().clone()));
                Poll::Pending
            }
        }
    }
}

impl Drop for EndOf {
    fn drop(&mut self) {
        // What came is dropped after the borrow: it gives its place back to the calls.
        let end = self.ends.borrow_mut().remove(&self.id);
        drop(end);
    }
}

/// The answer of a call, once it is there.
pub struct Answer<T, E> {
    end: EndOf,
    pending: Option<Pending<T, E>>,
}

// The pending call is only moved, never pinned.
impl<T, E> Unpin for Answer<T, E> {}

impl<T, E> Future for Answer<T, E> {
    type Output = Result<T, CallError<E>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(completed) = Pin::new(&mut self.end).poll(context) else {
            return Poll::Pending;
        };
        let pending = self
            .pending
            .take()
            .expect("a future is not polled after its end");
        Poll::Ready(pending.finish(completed))
    }
}

/// Says that a task can go on.
struct Bell(AtomicBool);

impl Bell {
    fn was_rung(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Executor({} tasks)", self.tasks.len())
    }
}
