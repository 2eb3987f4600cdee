//! Patterns of file names: `*` any text, `?` any character, `[a-z]` and `[!a-z]` one of some characters.

/// Whether a name fits a pattern. A bracket that is never closed stands for itself.
pub fn fits(pattern: &str, name: &str) -> bool {
    // The last star, and what it has taken so far: there is no need to go back to an earlier one.
    let (mut rest, mut text) = (pattern, name);
    let mut star: Option<(&str, &str)> = None;
    loop {
        if let Some(after) = rest.strip_prefix('*') {
            star = Some((after, text));
            rest = after;
            continue;
        }
        match (rest.is_empty(), text.chars().next()) {
            (true, None) => return true,
            (_, Some(character)) => {
                if let Some(after) = take_one(rest, character) {
                    rest = after;
                    text = &text[character.len_utf8()..];
                    continue;
                }
            }
            (false, None) => {}
        }
        let Some((after, taken)) = star else {
            return false;
        };
        let Some(next) = taken.chars().next() else {
            return false;
        };
        // The star takes one more.
        text = &taken[next.len_utf8()..];
        star = Some((after, text));
        rest = after;
    }
}

/// What follows the first part of a pattern that is no star, if it fits the character.
fn take_one(pattern: &str, character: char) -> Option<&str> {
    let first = pattern.chars().next()?;
    let after = &pattern[first.len_utf8()..];
    match first {
        '?' => Some(after),
        '[' => match set(after) {
            Some((members, is_negated, after)) => {
                (contains(members, character) != is_negated).then_some(after)
            }
            None => (character == '[').then_some(after),
        },
        other => (other == character).then_some(after),
    }
}

/// The members of a set, whether it is those that do not fit, and what follows.
fn set(pattern: &str) -> Option<(&str, bool, &str)> {
    let (is_negated, members) = match pattern.strip_prefix('!') {
        Some(members) => (true, members),
        None => (false, pattern),
    };
    // A bracket in the first place is a member.
    let first = members.chars().next()?;
    let end = first.len_utf8() + members[first.len_utf8()..].find(']')?;
    Some((&members[..end], is_negated, &members[end + 1..]))
}

fn contains(members: &str, character: char) -> bool {
    let mut rest = members.chars();
    while let Some(first) = rest.next() {
        let mut ahead = rest.clone();
        let is_in = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) => {
                rest = ahead;
                (first..=last).contains(&character)
            }
            _ => first == character,
        };
        if is_in {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_fit_what_they_say() {
        for (pattern, name, is_fit) in [
            ("", "", true),
            ("*", "", true),
            ("*", "anything", true),
            ("*.peb", "shell.peb", true),
            ("*.peb", "shell.pebx", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("?.txt", "ü.txt", true),
            ("?.txt", ".txt", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[!a-c]x", "dx", true),
            ("[]]", "]", true),
            ("[a-]", "-", true),
            ("[a", "[a", true),
            ("[a", "a", false),
            ("ab", "abc", false),
        ] {
            assert_eq!(fits(pattern, name), is_fit, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_the_text_is_long() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!fits(&pattern, &"a".repeat(2_000)));
    }

    proptest! {
        #[test]
        fn any_pattern_and_name_never_panic(pattern in "\\PC{0,20}", name in "\\PC{0,20}") {
            let _ = fits(&pattern, &name);
            prop_assert!(fits("*", &name));
        }

        #[test]
        fn a_star_stands_for_any_middle(start in "[a-z]{0,5}", middle in "\\PC{0,10}", end in "[a-z]{0,5}") {
            let (pattern, name) = (alloc::format!("{start}*{end}"), alloc::format!("{start}{middle}{end}"));
            prop_assert!(fits(&pattern, &name));
        }
    }
}
