//! What must hold after every step.

use std::collections::{HashMap, HashSet};

use kernel_core::audit::Visit;

use super::world::World;

impl World {
    /// Frames that are free or charged to somebody: never more or fewer than at boot.
    pub fn frames_in_all(&self) -> u64 {
        let stocks: u64 = self.kernels.iter().map(kernel_core::Kernel::audit_stock).sum();
        self.kernels[0].audit_free_frames() + stocks + self.kernels[0].audit_frames_charged()
    }

    /// Frames, run queues and timers.
    pub fn check_queues(&self) {
        assert_eq!(self.frames_in_all(), self.frames_at_boot, "frames were lost or came from nowhere");
        for kernel in &self.kernels {
            if let Err(violation) = kernel.audit_queues() {
                panic!("CPU {}: {violation}", kernel.cpu());
            }
        }
    }

    /// Everything. Panics with what is wrong.
    pub fn check(&self) {
        self.check_queues();
        let mut owners: HashMap<u64, u32> = HashMap::new();
        let mut holders = HashSet::new();
        let mut problem = None;
        let kernel = &self.kernels[0];
        let mut count = |visit| {
            if let Visit::Owner(name) = visit {
                *owners.entry(name).or_default() += 1;
            } else {
                holders.insert(visit);
            }
        };
        kernel.audit_objects(&mut count, &mut |violation| problem = Some(violation));
        for holder in holders.clone() {
            let mut count = |visit| {
                if let Visit::Owner(name) = visit {
                    *owners.entry(name).or_default() += 1;
                }
            };
            match holder {
                Visit::Caller(name) => kernel.audit_caller(name, &mut count),
                Visit::Capsule(name) => kernel.audit_capsule(name, &mut count),
                Visit::Owner(_) => {}
            }
        }
        if let Some(violation) = problem {
            panic!("{violation}");
        }
        for (name, counted) in owners {
            let recorded = self.kernels[0].audit_owners(name);
            assert_eq!(recorded, counted, "owners of {name:#x}");
        }
    }

    /// Objects that exist.
    pub fn objects(&self) -> u64 {
        self.kernels[0].audit_objects_alive()
    }
}
