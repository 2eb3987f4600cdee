//! The name `system`: a program finds the system's kernel modules and base library bound under it (language 20.1).
//!
//! They are loaded only for a program that mentions the name and does not import from it itself, so that all others start
//! without them. Where there is no system tree the name stays unbound.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::syntax::ast::{
    ExceptClause, ExceptFilter, ImportItem, Module, Name, Span, Stmt, StmtKind, TryStmt,
};

/// What hangs off the name.
const MODULES: [[&str; 3]; 6] = [
    ["system", "lib", "base"],
    ["system", "kernel", "syscall"],
    ["system", "kernel", "proc"],
    ["system", "kernel", "thread"],
    ["system", "kernel", "mutex"],
    ["system", "kernel", "term"],
];

/// Lets `tree` begin with the imports if `source` asks for them.
pub(super) fn bind_system(source: &str, tree: &mut Module) {
    if mentions_system(source) {
        tree.body.insert(0, imports());
    }
}

fn mentions_system(source: &str) -> bool {
    let lines = || source.split(['\n', '\r']).map(str::trim_start);
    let imports = |line: &str| {
        ["import system", "from system"]
            .iter()
            .any(|head| line.starts_with(head))
    };
    !lines().any(imports) && lines().any(has_system_word)
}

/// Whether the word stands in the line as a name, not as part of a longer name or a path.
fn has_system_word(line: &str) -> bool {
    const WORD: &str = "system";
    let continues =
        |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '/' | '"' | '\'');
    line.match_indices(WORD).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + WORD.len()..].chars().next();
        !before.is_some_and(|letter| continues(letter) || letter == '.')
            && !after.is_some_and(continues)
    })
}

/// `try: import …` with a handler that does nothing.
fn imports() -> Stmt {
    let span = Span {
        line: 1,
        start: 0,
        end: 0,
    };
    let statement = |kind| Stmt { kind, span };
    let items: Vec<ImportItem> = MODULES
        .iter()
        .map(|path| ImportItem {
            path: path.iter().map(|part| Name::new(part)).collect(),
            alias: None,
            span,
        })
        .collect();
    let handler = ExceptClause {
        filter: ExceptFilter::All,
        body: vec![statement(StmtKind::Pass)],
        span,
    };
    statement(StmtKind::Try(Box::new(TryStmt {
        body: vec![statement(StmtKind::Import(items))],
        handlers: vec![handler],
        otherwise: None,
        finally: None,
    })))
}

#[cfg(test)]
mod tests {
    use super::mentions_system;

    #[test]
    fn only_a_use_of_the_name_counts() {
        assert!(mentions_system("x = 1\nprint system.lib.base.os_name()\n"));
        assert!(mentions_system("print system"));
        for other in [
            "systems = 1",
            "x.system = 2",
            "run(\"system\")",
            "read_file(\"/system/x\")",
            "import system.lib.cli\nprint system",
        ] {
            assert!(!mentions_system(other), "{other}");
        }
    }
}
