//! On which CPU a program begins.
//!
//! A call to a server on the same CPU costs a fraction of one across CPUs, so a program begins where procd is; unless it would have to share
//! that CPU with programs that compute, and another has fewer of those. Programs that wait, as a shell does, count for nothing.

/// The CPU for the next program. `home` is procd's; `computing` says how many programs compute on each CPU.
pub fn choose(home: u8, computing: &[usize]) -> u8 {
    let load = |cpu: usize| computing.get(cpu).copied().unwrap_or(0);
    let home_load = load(usize::from(home));
    (0..computing.len())
        .filter(|cpu| load(*cpu) < home_load)
        .min_by_key(|cpu| load(*cpu))
        .and_then(|cpu| u8::try_from(cpu).ok())
        .unwrap_or(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_begins_at_home_while_nothing_computes_there() {
        assert_eq!(choose(0, &[0, 0]), 0);
        assert_eq!(choose(1, &[0, 0]), 1);
        assert_eq!(choose(0, &[0, 3]), 0);
    }

    #[test]
    fn it_gives_way_to_programs_that_compute() {
        assert_eq!(choose(0, &[1, 0]), 1);
        assert_eq!(choose(0, &[1, 1]), 0);
        assert_eq!(choose(0, &[2, 1, 0, 0]), 2);
    }

    #[test]
    fn one_processor_takes_all() {
        assert_eq!(choose(0, &[7]), 0);
        assert_eq!(choose(0, &[]), 0);
    }

    #[test]
    fn programs_that_compute_are_spread_evenly() {
        let mut computing = [0; 4];
        for _ in 0..10 {
            computing[usize::from(choose(1, &computing))] += 1;
        }
        assert_eq!(computing, [2, 3, 3, 2]);
    }
}
