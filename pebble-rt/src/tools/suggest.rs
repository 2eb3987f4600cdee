//! "Did you mean …?"

use alloc::vec::Vec;

/// Longer names are not compared: the time grows with the product of the lengths.
const MAX_NAME_LENGTH: usize = 64;

/// The candidate that `name` is most likely a slip of, if one is close enough. The first of equals wins.
pub fn suggest<'names>(
    name: &str,
    candidates: impl IntoIterator<Item = &'names str>,
) -> Option<&'names str> {
    let name: Vec<char> = name.chars().collect();
    if name.len() > MAX_NAME_LENGTH {
        return None;
    }
    let allowed = allowed_distance(name.len());
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.chars().take(MAX_NAME_LENGTH + 1).collect();
        if letters == name || letters.len().abs_diff(name.len()) > allowed {
            continue;
        }
        let distance = if is_same_but_for_case(&name, &letters) {
            0
        } else {
            distance(&name, &letters)
        };
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// One slip in three letters; none in a name of one letter, where any other would do.
fn allowed_distance(length: usize) -> usize {
    match length {
        0 | 1 => 0,
        2..=5 => 1,
        6..=8 => 2,
        _ => 3,
    }
}

fn is_same_but_for_case(left: &[char], right: &[char]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|(a, b)| a.to_lowercase().eq(b.to_lowercase()))
}

/// Letters to insert, drop, change or swap with their neighbour (optimal string alignment).
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = Vec::with_capacity(last.len());
        current.push(row + 1);
        for (column, b) in right.iter().enumerate() {
            let changed = last[column] + usize::from(a != b);
            let mut least = changed.min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *a == right[column - 1] && left[row - 1] == *b {
                least = least.min(before_last[column - 1] + 1);
            }
            current.push(least);
        }
        before_last = core::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn slips_find_their_name() {
        let names = ["append", "length", "len", "print", "counter"];
        assert_eq!(suggest("apend", names), Some("append"));
        assert_eq!(suggest("lne", names), Some("len"));
        assert_eq!(suggest("lenght", names), Some("length"));
        assert_eq!(suggest("Counter", names), Some("counter"));
        assert_eq!(suggest("ocunter", names), Some("counter"));
    }

    #[test]
    fn what_is_far_away_is_not_suggested() {
        assert_eq!(suggest("zebra", ["append", "len"]), None);
        assert_eq!(suggest("x", ["y", "z"]), None);
        assert_eq!(suggest("len", ["len"]), None);
        assert_eq!(suggest(&"a".repeat(1000), ["a"]), None);
    }
}
