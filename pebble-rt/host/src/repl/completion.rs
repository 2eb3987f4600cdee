//! Names that a prompt can complete.

use crate::environment;
use std::collections::BTreeSet;

/// Words that begin statements or stand in expressions.
const WORDS: [&str; 36] = [
    "and", "as", "assert", "break", "case", "class", "continue", "def", "del", "elif", "else",
    "enum", "except", "False", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "match", "None", "nonlocal", "not", "or", "pass", "print", "raise", "record",
    "return", "True", "try", "while",
];

/// The names known so far.
pub struct Names {
    names: BTreeSet<String>,
}

impl Names {
    /// The names of every program.
    pub fn standard() -> Self {
        let environment = environment::standard();
        let mut names: BTreeSet<String> = environment.names().map(str::to_owned).collect();
        names.extend(WORDS.iter().map(|word| (*word).to_owned()));
        Self { names }
    }

    /// Adds names that a program has defined.
    pub fn extend(&mut self, names: impl Iterator<Item = String>) {
        self.names.extend(names);
    }

    /// Where the word that ends at `position` begins, and what it could become.
    pub fn complete(&self, line: &str, position: usize) -> (usize, Vec<String>) {
        let before = line.get(..position).unwrap_or(line);
        let word_length: usize = before
            .chars()
            .rev()
            .take_while(|character| *character == '_' || character.is_alphanumeric())
            .map(char::len_utf8)
            .sum();
        let start = before.len() - word_length;
        let word = &before[start..];
        if let Some(object) = before[..start].strip_suffix('.') {
            return (start, members(object, word));
        }
        if word.is_empty() {
            return (start, Vec::new());
        }
        let found = self
            .names
            .range(word.to_owned()..)
            .take_while(|name| name.starts_with(word));
        (start, found.cloned().collect())
    }
}

/// Members of a built-in module, or else the methods that strings, lists and dicts have.
fn members(object: &str, word: &str) -> Vec<String> {
    let module = object
        .rsplit(|character: char| !(character == '_' || character.is_alphanumeric()))
        .next()
        .unwrap_or("");
    let mut names: Vec<&str> = environment::module_members(module)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    if names.is_empty() {
        names = environment::methods();
    }
    names.sort_unstable();
    names
        .into_iter()
        .filter(|name| name.starts_with(word))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn words_complete_to_names() {
        let mut names = Names::standard();
        names.extend(["counter".to_owned()].into_iter());
        assert_eq!(
            names.complete("x = coun", 8),
            (4, vec!["count_lines".to_owned(), "counter".to_owned()])
        );
        assert!(names.complete("", 0).1.is_empty());
    }

    #[test]
    fn members_follow_a_point() {
        let names = Names::standard();
        assert_eq!(names.complete("math.sq", 7), (5, vec!["sqrt".to_owned()]));
        assert!(names.complete("x.upp", 5).1.contains(&"upper".to_owned()));
        assert_eq!(names.complete("é.", 2).0, 0, "inside a character");
    }
}
