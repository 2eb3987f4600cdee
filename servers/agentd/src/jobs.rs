//! Programs that were started with their output kept, until somebody waits for their end.

use alloc::collections::BTreeMap;

use protocols::process::Pid;
use protocols::stream;

/// Programs whose output is kept at once, at most: each holds two of the pipes that the system has.
pub const MAX_JOBS: usize = 8;

/// Their output.
#[derive(Default)]
pub struct Jobs {
    jobs: BTreeMap<Pid, Job>,
}

/// One of them.
pub struct Job {
    /// Output and error output, to be read.
    pub outputs: [stream::Client; 2],
}

impl Jobs {
    /// Whether there is room for one more.
    pub fn has_room(&self) -> bool {
        self.jobs.len() < MAX_JOBS
    }

    /// Keeps the output of a program.
    pub fn add(&mut self, pid: Pid, outputs: [stream::Client; 2]) {
        self.jobs.insert(pid, Job { outputs });
    }

    /// Gives the output of a program up to whoever waited for its end.
    pub fn take(&mut self, pid: Pid) -> Option<Job> {
        self.jobs.remove(&pid)
    }
}
