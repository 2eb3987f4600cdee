//! Where a prompt's input comes from: a terminal with history and completion, or plain lines.

use super::completion::Names;
use pebble_rt::syntax::parse_interactive;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Editor, Helper};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// The prompt for a new input.
pub const PROMPT: &str = "pebble> ";

/// The prompt for a line that goes on with one.
const CONTINUATION: &str = "....... ";

/// Inputs remembered from one session to the next.
const MAX_HISTORY: usize = 1000;

/// What came of asking for input.
pub enum Asked {
    /// A complete input, possibly of several lines, or one that cannot become right by going on.
    Input(String),
    /// Ctrl-C: what was typed is given up.
    Interrupted,
    /// Ctrl-D or the end of the input.
    Ended,
}

/// A terminal or plain lines.
pub enum Source {
    /// A person.
    Terminal(Box<Editor<Assistant, FileHistory>>, Option<PathBuf>),
    /// A file or a pipe.
    Lines,
}

impl Source {
    /// The command's standard input.
    pub fn standard(names: Names) -> Self {
        if !io::stdin().is_terminal() {
            return Self::Lines;
        }
        let Ok(config) = Config::builder()
            .max_history_size(MAX_HISTORY)
            .map(|builder| builder.build())
        else {
            return Self::Lines;
        };
        let Ok(mut editor) = Editor::with_config(config) else {
            return Self::Lines;
        };
        editor.set_helper(Some(Assistant { names }));
        let history = std::env::home_dir().map(|home| home.join(".pebble_history"));
        if let Some(path) = &history {
            // No history yet is no error.
            let _ = editor.load_history(path);
        }
        Self::Terminal(Box::new(editor), history)
    }

    /// Asks for the next input.
    pub fn ask(&mut self) -> Asked {
        match self {
            Self::Terminal(editor, history) => match editor.readline(PROMPT) {
                Ok(input) => {
                    let is_new = editor.add_history_entry(input.trim_end()).unwrap_or(false);
                    if let Some(path) = history.as_ref().filter(|_| is_new) {
                        // A history that cannot be saved is only a nuisance.
                        let _ = editor.save_history(path);
                    }
                    Asked::Input(input)
                }
                Err(ReadlineError::Interrupted) => Asked::Interrupted,
                Err(_) => Asked::Ended,
            },
            Self::Lines => ask_for_lines(),
        }
    }

    /// Makes new names known to completion.
    pub fn learn(&mut self, names: impl Iterator<Item = String>) {
        if let Self::Terminal(editor, _) = self
            && let Some(assistant) = editor.helper_mut()
        {
            assistant.names.extend(names);
        }
    }
}

fn ask_for_lines() -> Asked {
    let mut input = String::new();
    loop {
        let prompt = if input.is_empty() {
            PROMPT
        } else {
            CONTINUATION
        };
        print!("{prompt}");
        // Nobody may be looking.
        let _ = io::stdout().flush();
        match io::stdin().lock().read_line(&mut input) {
            Ok(0) if input.is_empty() => return Asked::Ended,
            Ok(0) | Err(_) => return Asked::Input(input),
            Ok(_) if is_complete(&input) => return Asked::Input(input),
            Ok(_) => {}
        }
    }
}

/// True when nothing more is to be typed: one line that stands alone, a block with the empty line that ends it, or an error that
/// more text cannot mend.
pub fn is_complete(input: &str) -> bool {
    let is_ended = input.ends_with("\n\n") || input == "\n" || input.ends_with("\n\r\n");
    match parse_interactive(input) {
        Ok(_) => is_ended || !has_block(input),
        Err(error) => !error.is_incomplete,
    }
}

/// True when the last line that is not empty belongs to a block, so that another may follow it.
fn has_block(input: &str) -> bool {
    let code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    input
        .lines()
        .rev()
        .find(code)
        .is_some_and(|line| line.starts_with(' '))
        && input.lines().any(|line| line.trim_end().ends_with(':'))
}

/// Completion and the end of an input, for the line editor.
pub struct Assistant {
    names: Names,
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.names.complete(line, position))
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let input = format!("{}\n", context.input());
        Ok(if is_complete(&input) {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

impl Hinter for Assistant {
    type Hint = String;
}

impl Highlighter for Assistant {}

impl Helper for Assistant {}

#[cfg(test)]
mod tests {
    use super::is_complete;

    #[test]
    fn an_input_ends_when_its_block_does() {
        for input in [
            "x = 1\n",
            "1 + 2\n",
            "x = )\n",
            "\n",
            "if x:\n    pass\n\n",
            "f(1,\n  2)\n",
            "x = \"\"\"a\nb\"\"\"\n",
        ] {
            assert!(is_complete(input), "{input:?}");
        }
        for input in [
            "if x:\n",
            "if x:\n    pass\n",
            "def f():\n    return 1\n",
            "x = (1,\n",
            "@d\n",
            "x = '''a\n",
        ] {
            assert!(!is_complete(input), "{input:?}");
        }
    }
}
