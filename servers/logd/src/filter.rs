//! Which records somebody wants.

use protocols::log::{Filter, Record};

/// Whether a record is wanted, apart from the limits in number.
pub fn wants(filter: &Filter, record: &Record) -> bool {
    filter
        .service
        .as_ref()
        .is_none_or(|service| *service == record.service)
        && filter.level.is_none_or(|level| record.level <= level)
        && filter.since_seq.is_none_or(|since| record.seq >= since)
        && filter.until_ns.is_none_or(|until| record.time_ns < until)
        && filter
            .grep
            .as_ref()
            .is_none_or(|text| record.message.contains(text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use protocols::log::Level;

    fn record() -> Record {
        Record {
            seq: 7,
            time_ns: 100,
            service: "netd".to_string(),
            pid: 9,
            level: Level::Warn,
            message: "link is down".to_string(),
            fields: Vec::new(),
        }
    }

    #[test]
    fn every_part_of_a_filter_counts() {
        let all = Filter::default();
        assert!(wants(&all, &record()));
        let refusals = [
            Filter {
                service: Some("uart".to_string()),
                ..all.clone()
            },
            Filter {
                level: Some(Level::Error),
                ..all.clone()
            },
            Filter {
                since_seq: Some(8),
                ..all.clone()
            },
            Filter {
                until_ns: Some(100),
                ..all.clone()
            },
            Filter {
                grep: Some("up".to_string()),
                ..all.clone()
            },
        ];
        for filter in refusals {
            assert!(!wants(&filter, &record()), "{filter:?}");
        }
        let exact = Filter {
            service: Some("netd".to_string()),
            level: Some(Level::Warn),
            since_seq: Some(7),
            until_ns: Some(101),
            grep: Some("link".to_string()),
            tail: None,
        };
        assert!(wants(&exact, &record()));
    }
}
