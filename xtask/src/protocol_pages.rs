//! The pages in `docs/protocols`, made from the files in `libipc/protocols/src`.
//!
//! A protocol's file is written to be read: a header that says what the conversation is about, then the types and the
//! trait, each with its comment. A page is the same in the form of a document, so that there is one text and it is true.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// Where the protocols are.
const SOURCES: &str = "libipc/protocols/src";
/// Where the pages go.
const PAGES: &str = "docs/protocols";

/// A page and its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The file's name in `docs/protocols`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// All pages, for the sources under `root`.
pub fn pages(root: &Path) -> Result<Vec<Page>> {
    let folder = root.join(SOURCES);
    let mut pages = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let Some(name) = path
            .file_stem()
            .and_then(|name| name.to_str())
            .filter(|name| *name != "lib")
        else {
            continue;
        };
        let source = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        if source.contains("#[protocol(") {
            pages.push(Page {
                name: format!("{name}.md"),
                text: page(name, &source),
            });
        }
    }
    pages.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(pages)
}

/// Writes the pages.
pub fn write(root: &Path) -> Result<()> {
    let folder = root.join(PAGES);
    fs::create_dir_all(&folder)?;
    for page in pages(root)? {
        fs::write(folder.join(&page.name), page.text)?;
    }
    Ok(())
}

/// Fails if a page is not what its source says.
pub fn check(root: &Path) -> Result<()> {
    for page in pages(root)? {
        let path = root.join(PAGES).join(&page.name);
        if fs::read_to_string(&path).ok().as_ref() != Some(&page.text) {
            bail!(
                "{} is out of date; make it with: cargo xtask docs --pages",
                path.display()
            );
        }
    }
    Ok(())
}

/// The page for a protocol's source.
fn page(name: &str, source: &str) -> String {
    let header = source
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .map(|line| line[3..].strip_prefix(' ').unwrap_or(&line[3..]));
    let mut text = format!(
        "# Protocol `{name}`\n\nMade by `cargo xtask docs` from `{SOURCES}/{name}.rs`; change it there.\n\n"
    );
    for line in header {
        text += line;
        text.push('\n');
    }
    for item in items(source) {
        text += &format!("\n## `{}`\n\n", item.title());
        if !item.comment.is_empty() {
            text += &format!("{}\n\n", item.comment.join("\n"));
        }
        text += &format!("```rust\n{}\n```\n", item.code.join("\n"));
    }
    text
}

/// A type, constant or trait with its comment.
#[derive(Default)]
struct Item<'a> {
    comment: Vec<&'a str>,
    code: Vec<&'a str>,
}

impl Item<'_> {
    /// The item's name.
    fn title(&self) -> String {
        let declaration = self
            .code
            .iter()
            .find(|line| line.starts_with("pub "))
            .copied()
            .unwrap_or_default();
        let mut words =
            declaration.split(|character: char| !character.is_alphanumeric() && character != '_');
        let is_name =
            |word: &&str| !["", "pub", "enum", "struct", "trait", "type", "const"].contains(word);
        words.find(|word| is_name(word)).unwrap_or("items").into()
    }
}

/// The public items at the top of the file; what only the code needs (imports, implementations, tests) stays out.
fn items(source: &str) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    let mut item = Item::default();
    for line in source.lines().skip_while(|line| line.starts_with("//!")) {
        if item.code.is_empty() && line.starts_with("///") {
            item.comment
                .push(line[3..].strip_prefix(' ').unwrap_or(&line[3..]));
        } else if !(item.code.is_empty() && line.trim().is_empty()) {
            item.code.push(line);
        }
        let is_end = line == "}"
            || line.starts_with(|first: char| first.is_alphanumeric())
                && line.ends_with([';', '}']);
        if is_end {
            let whole = std::mem::take(&mut item);
            if whole
                .code
                .iter()
                .any(|line| line.starts_with("pub ") && !line.starts_with("pub use"))
            {
                items.push(whole);
            }
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "//! Echoes.\n//!\n//! Served by nobody.\n\nuse libipc::prelude::*;\n\n/// A word.\n#[message]\npub struct Word(pub String);\n\n\
        /// See the module.\n#[protocol(name = \"echo\", version = 1)]\npub trait Echo {\n    /// Says it again.\n    #[idempotent]\n    fn say(&mut self, word: Word) -> Word;\n}\n\n\
        impl Word {\n    fn private(&self) {}\n}\n";

    #[test]
    fn a_page_has_the_header_the_types_and_the_methods() {
        let page = page("echo", SOURCE);
        assert!(page.starts_with("# Protocol `echo`\n"));
        assert!(page.contains("\nEchoes.\n\nServed by nobody.\n"));
        assert!(page.contains(
            "## `Word`\n\nA word.\n\n```rust\n#[message]\npub struct Word(pub String);\n```\n"
        ));
        assert!(
            page.contains("## `Echo`\n")
                && page.contains("    /// Says it again.\n    #[idempotent]\n")
        );
    }

    #[test]
    fn imports_and_implementations_stay_out() {
        let page = page("echo", SOURCE);
        assert!(!page.contains("use libipc") && !page.contains("private"));
    }
}
