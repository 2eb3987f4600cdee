//! What the server can say about a place in a file.

use super::document::Document;
use super::place;
use crate::environment;
use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionResponse, Diagnostic, DiagnosticSeverity,
    DocumentSymbol, DocumentSymbolResponse, GotoDefinitionResponse, Hover, HoverContents, Location,
    MarkupContent, MarkupKind, NumberOrString, Position, TextEdit,
};
use pebble::system::system_text;
use pebble_rt::syntax::{SourceMap, parse};
use pebble_rt::tools::check::{Environment, Known, Severity, check};
use pebble_rt::tools::format;
use pebble_rt::tools::symbols::{
    Symbol, SymbolKind, dotted_name_at, is_visible, symbols, visible_symbol,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The words of statements and expressions.
const KEYWORDS: [&str; 44] = [
    "and", "as", "assert", "break", "case", "class", "continue", "def", "del", "elif", "else",
    "enum", "except", "False", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "match", "None", "nonlocal", "not", "or", "pass", "print", "raise", "record",
    "return", "True", "try", "while", "with", "yield", "self", "super", "len", "range", "str",
    "int",
];

/// The checker's findings.
pub fn diagnostics(document: &Document, environment: &Environment) -> Vec<Diagnostic> {
    let source = document.text();
    let map = SourceMap::new(source);
    check(source, environment)
        .into_iter()
        .map(|found| Diagnostic {
            range: place::range_of(source, &map, found.span.start, found.span.end),
            severity: Some(match found.severity {
                Severity::Error => DiagnosticSeverity::ERROR,
                Severity::Warning => DiagnosticSeverity::WARNING,
            }),
            code: Some(NumberOrString::String(found.code.to_owned())),
            source: Some("pebble".to_owned()),
            message: found.full_message(),
            ..Diagnostic::default()
        })
        .collect()
}

/// The names that could stand at a position.
pub fn completion(
    document: &Document,
    position: Position,
    environment: &Environment,
    root: &Path,
) -> Option<CompletionResponse> {
    let offset = place::offset_of(document.text(), position);
    let mut items = BTreeMap::new();
    match object_before(document.text(), offset) {
        Some(object) => members(document, &object, offset as u32, root, &mut items),
        None => names(document, offset as u32, environment, &mut items),
    }
    Some(CompletionResponse::Array(items.into_values().collect()))
}

type Items = BTreeMap<String, CompletionItem>;

fn add(items: &mut Items, label: &str, kind: CompletionItemKind, detail: Option<String>) {
    let item = CompletionItem {
        label: label.to_owned(),
        kind: Some(kind),
        detail,
        ..CompletionItem::default()
    };
    items.entry(label.to_owned()).or_insert(item);
}

/// The dotted name before the point that the word at `offset` follows; `Some` of nothing behind any other expression.
fn object_before(source: &str, offset: usize) -> Option<Vec<String>> {
    let before = source.get(..offset)?;
    let word =
        before.trim_end_matches(|character: char| character == '_' || character.is_alphanumeric());
    let object = word.strip_suffix('.')?;
    Some(
        dotted_name_at(source, object.len() as u32)
            .into_iter()
            .map(str::to_owned)
            .collect(),
    )
}

fn names(document: &Document, offset: u32, environment: &Environment, items: &mut Items) {
    for symbol in document
        .symbols()
        .iter()
        .filter(|symbol| is_visible(symbol, offset))
    {
        add(
            items,
            &symbol.name,
            completion_kind(symbol.kind),
            Some(symbol.detail.clone()),
        );
    }
    for name in environment.names() {
        let known = environment.get(name);
        let is_function = known.is_some_and(|known| known.arity.is_some());
        let kind = if is_function {
            CompletionItemKind::FUNCTION
        } else {
            CompletionItemKind::VARIABLE
        };
        add(
            items,
            name,
            kind,
            known.and_then(|known| known.signature.clone()),
        );
    }
    for word in KEYWORDS {
        add(items, word, CompletionItemKind::KEYWORD, None);
    }
}

fn members(document: &Document, object: &[String], offset: u32, root: &Path, items: &mut Items) {
    if let Some(path) = module_path(document, object, offset) {
        if let [name] = path.as_slice() {
            for (member, known) in environment::module_members(name) {
                add(items, member, CompletionItemKind::FUNCTION, known.signature);
            }
        }
        if let Some(module) = find_module(document, root, &path) {
            for symbol in module
                .symbols
                .iter()
                .filter(|symbol| is_module_level(symbol))
            {
                add(
                    items,
                    &symbol.name,
                    completion_kind(symbol.kind),
                    Some(symbol.detail.clone()),
                );
            }
        }
        return;
    }
    for symbol in document
        .symbols()
        .iter()
        .filter(|symbol| symbol.container.is_some())
    {
        add(
            items,
            &symbol.name,
            completion_kind(symbol.kind),
            Some(symbol.detail.clone()),
        );
    }
    for method in environment::methods() {
        add(items, method, CompletionItemKind::METHOD, None);
    }
}

/// What is known about the name at a position.
pub fn hover(
    document: &Document,
    position: Position,
    environment: &Environment,
    root: &Path,
) -> Option<Hover> {
    let offset = place::offset_of(document.text(), position) as u32;
    let (detail, documentation) = describe(document, offset, environment, root)?;
    let mut value = format!("```pebble\n{detail}\n```");
    if let Some(documentation) = documentation {
        value += &format!("\n\n{}", documentation.trim());
    }
    let contents = HoverContents::Markup(MarkupContent {
        kind: MarkupKind::Markdown,
        value,
    });
    Some(Hover {
        contents,
        range: None,
    })
}

fn describe(
    document: &Document,
    offset: u32,
    environment: &Environment,
    root: &Path,
) -> Option<(String, Option<String>)> {
    let of_symbol = |symbol: &Symbol| (symbol.detail.clone(), symbol.documentation.clone());
    let of_known = |known: &Known| {
        known
            .signature
            .clone()
            .map(|signature| (signature, known.documentation.clone()))
    };
    let parts: Vec<String> = dotted_name_at(document.text(), offset)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let (name, object) = parts.split_last()?;
    if object.is_empty() {
        return match visible_symbol(document.symbols(), name, offset) {
            Some(symbol) => Some(of_symbol(symbol)),
            None => environment.get(name).and_then(of_known),
        };
    }
    if let Some(path) = module_path(document, object, offset) {
        if let [module] = path.as_slice()
            && let Some((_, known)) = environment::module_members(module)
                .into_iter()
                .find(|(member, _)| member == name)
        {
            return of_known(&known);
        }
        let module = find_module(document, root, &path)?;
        return module
            .symbols
            .iter()
            .find(|symbol| symbol.name == *name && is_module_level(symbol))
            .map(of_symbol);
    }
    member(document, name).map(of_symbol)
}

/// Where the name at a position is defined.
pub fn definition(
    document: &Document,
    position: Position,
    root: &Path,
) -> Option<GotoDefinitionResponse> {
    let offset = place::offset_of(document.text(), position) as u32;
    let parts: Vec<String> = dotted_name_at(document.text(), offset)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let (name, object) = parts.split_last()?;
    let here = |symbol: &Symbol| {
        let source = document.text();
        let range = place::range_of(
            source,
            &SourceMap::new(source),
            symbol.span.start,
            symbol.span.end,
        );
        GotoDefinitionResponse::Scalar(Location::new(document.uri().clone(), range))
    };
    if object.is_empty() {
        return visible_symbol(document.symbols(), name, offset).map(here);
    }
    let Some(path) = module_path(document, object, offset) else {
        return member(document, name).map(here);
    };
    let module = find_module(document, root, &path)?;
    let source = &module.source;
    let symbol = module
        .symbols
        .iter()
        .find(|symbol| symbol.name == *name && is_module_level(symbol))?;
    let range = place::range_of(
        source,
        &SourceMap::new(source),
        symbol.span.start,
        symbol.span.end,
    );
    Some(GotoDefinitionResponse::Scalar(Location::new(
        place::uri_of(&module.file?)?,
        range,
    )))
}

/// A method or field of that name, if only one class has one.
fn member<'document>(document: &'document Document, name: &str) -> Option<&'document Symbol> {
    let mut found = document
        .symbols()
        .iter()
        .filter(|symbol| symbol.name == name && symbol.container.is_some());
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// The module that a dotted name means, if it begins with an imported one.
fn module_path(document: &Document, object: &[String], offset: u32) -> Option<Vec<String>> {
    let (first, rest) = object.split_first()?;
    let symbol = visible_symbol(document.symbols(), first, offset)
        .filter(|symbol| symbol.kind == SymbolKind::Module)?;
    Some(symbol.module.iter().chain(rest).cloned().collect())
}

/// What a module defines and where it is.
struct FoundModule {
    /// Its file; modules of the embedded system tree have none that an editor could open.
    file: Option<PathBuf>,
    source: String,
    symbols: Vec<Symbol>,
}

/// The module, searched as `import` does: below the root, beside the document, in the system's library.
fn find_module(document: &Document, root: &Path, path: &[String]) -> Option<FoundModule> {
    let name = path.join("/");
    let relative = PathBuf::from(&name).with_extension("peb");
    let beside =
        place::path_of(document.uri()).and_then(|file| file.parent().map(Path::to_path_buf));
    let folders = std::iter::once(root.to_path_buf()).chain(beside);
    let on_disk = folders
        .map(|folder| folder.join(&relative))
        .find_map(|file| {
            let source = fs::read_to_string(&file).ok()?;
            Some((Some(file), source))
        });
    let (file, source) = on_disk.or_else(|| {
        let embedded = [format!("{name}.peb"), format!("system/lib/{name}.peb")];
        let source = embedded.iter().find_map(|name| system_text(name))?;
        Some((None, source.to_owned()))
    })?;
    let module = parse(&source).ok()?;
    let symbols = symbols(&module, u32::try_from(source.len()).unwrap_or(u32::MAX));
    Some(FoundModule {
        file,
        source,
        symbols,
    })
}

fn is_module_level(symbol: &Symbol) -> bool {
    symbol.container.is_none() && symbol.visible.is_some_and(|(start, _)| start == 0)
}

/// The definitions of the file, as a list for the editor's outline.
#[expect(
    deprecated,
    reason = "the protocol's type has a field that it wants nobody to use"
)]
pub fn outline(document: &Document) -> DocumentSymbolResponse {
    let source = document.text();
    let map = SourceMap::new(source);
    let symbols = document
        .symbols()
        .iter()
        .filter(|symbol| is_module_level(symbol) || symbol.container.is_some());
    let of_symbol = |symbol: &Symbol| {
        let selection_range = place::range_of(source, &map, symbol.span.start, symbol.span.end);
        DocumentSymbol {
            name: symbol.name.clone(),
            detail: Some(symbol.detail.clone()),
            kind: symbol_kind(symbol.kind),
            tags: None,
            deprecated: None,
            range: place::range_of(
                source,
                &map,
                symbol.span.start,
                symbol.extent.1.max(symbol.span.end),
            ),
            selection_range,
            children: None,
        }
    };
    DocumentSymbolResponse::Nested(symbols.map(of_symbol).collect())
}

/// The edit that lays the file out; nothing when it does not parse.
pub fn formatting(document: &Document) -> Option<Vec<TextEdit>> {
    let source = document.text();
    let formatted = format(source).ok()?;
    let map = SourceMap::new(source);
    let whole = place::range_of(source, &map, 0, u32::try_from(source.len()).ok()?);
    Some(if formatted == source {
        Vec::new()
    } else {
        vec![TextEdit::new(whole, formatted)]
    })
}

fn completion_kind(kind: SymbolKind) -> CompletionItemKind {
    match kind {
        SymbolKind::Variable | SymbolKind::Parameter => CompletionItemKind::VARIABLE,
        SymbolKind::Function => CompletionItemKind::FUNCTION,
        SymbolKind::Method => CompletionItemKind::METHOD,
        SymbolKind::Class => CompletionItemKind::CLASS,
        SymbolKind::Record => CompletionItemKind::STRUCT,
        SymbolKind::Enum => CompletionItemKind::ENUM,
        SymbolKind::Member => CompletionItemKind::FIELD,
        SymbolKind::Module => CompletionItemKind::MODULE,
    }
}

fn symbol_kind(kind: SymbolKind) -> lsp_types::SymbolKind {
    match kind {
        SymbolKind::Variable | SymbolKind::Parameter => lsp_types::SymbolKind::VARIABLE,
        SymbolKind::Function => lsp_types::SymbolKind::FUNCTION,
        SymbolKind::Method => lsp_types::SymbolKind::METHOD,
        SymbolKind::Class => lsp_types::SymbolKind::CLASS,
        SymbolKind::Record => lsp_types::SymbolKind::STRUCT,
        SymbolKind::Enum => lsp_types::SymbolKind::ENUM,
        SymbolKind::Member => lsp_types::SymbolKind::FIELD,
        SymbolKind::Module => lsp_types::SymbolKind::MODULE,
    }
}
