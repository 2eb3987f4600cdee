//! What a program defines and where: for editors and prompts.

use super::bindings::{Binding, for_each_binding, for_each_block, parameter_text, signature};
use crate::syntax::ast::{
    ClassDef, EnumDef, FunctionDef, Module, Name, Parameters, RecordDef, Span, Stmt, StmtKind,
};
use crate::syntax::lexer;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// Anything assigned.
    Variable,
    /// A parameter of a function.
    Parameter,
    /// A function.
    Function,
    /// A function of a class.
    Method,
    /// A class.
    Class,
    /// A record.
    Record,
    /// An enumeration.
    Enum,
    /// A member of an enumeration or a field of a record.
    Member,
    /// An imported module.
    Module,
}

/// A definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The name.
    pub name: String,
    /// What it stands for.
    pub kind: SymbolKind,
    /// Where the name is bound.
    pub span: Span,
    /// All of the definition, its block included.
    pub extent: (u32, u32),
    /// The stretch of source in which the bare name means this; `None` for what is reached through an object only.
    pub visible: Option<(u32, u32)>,
    /// A line for people, as `def f(a, b=1)`.
    pub detail: String,
    /// The lone string that the definition begins with.
    pub documentation: Option<String>,
    /// The class that a method or member belongs to.
    pub container: Option<String>,
    /// The module's name in parts, for an imported module.
    pub module: Vec<String>,
}

/// All definitions of a module, in the order of the text.
pub fn symbols(module: &Module, source_length: u32) -> Vec<Symbol> {
    let mut collector = Collector { found: Vec::new() };
    collector.scope(&module.body, (0, source_length));
    collector.found.sort_by_key(|symbol| symbol.span.start);
    collector.found
}

/// The definition that the bare name `name` means at `offset`: the innermost that is visible there.
pub fn visible_symbol<'list>(
    symbols: &'list [Symbol],
    name: &str,
    offset: u32,
) -> Option<&'list Symbol> {
    symbols
        .iter()
        .filter(|symbol| symbol.name == name && is_visible(symbol, offset))
        .min_by_key(|symbol| symbol.visible.map_or(u32::MAX, |(start, end)| end - start))
}

/// True when the bare name means something at `offset`.
pub fn is_visible(symbol: &Symbol, offset: u32) -> bool {
    symbol
        .visible
        .is_some_and(|(start, end)| (start..=end).contains(&offset))
}

/// The names joined by points that end with the name at `offset`: `["a", "b"]` on the `b` of `a.b.c`. Empty when there is none.
pub fn dotted_name_at(source: &str, offset: u32) -> Vec<&str> {
    let offset = (offset as usize).min(source.len());
    let Some(before) = source.get(..offset) else {
        return Vec::new();
    };
    let after = &source[offset..];
    let mut end = offset
        + after
            .find(|character| !lexer::is_name_part(character))
            .unwrap_or(after.len());
    let mut start = offset - name_tail(before).len();
    let mut parts = Vec::new();
    loop {
        let word = &source[start..end];
        if !word.starts_with(lexer::is_name_start) {
            return parts;
        }
        parts.insert(0, word);
        let Some(object) = source[..start].strip_suffix('.') else {
            return parts;
        };
        end = object.len();
        start = end - name_tail(object).len();
    }
}

fn name_tail(text: &str) -> &str {
    let length: usize = text
        .chars()
        .rev()
        .take_while(|character| lexer::is_name_part(*character))
        .map(char::len_utf8)
        .sum();
    &text[text.len() - length..]
}

struct Collector {
    found: Vec<Symbol>,
}

impl Collector {
    /// What the statements of one scope define; their names are visible in `visible`.
    fn scope(&mut self, body: &[Stmt], visible: (u32, u32)) {
        for_each_binding(body, &mut |name, span, binding| match binding {
            Binding::Variable => {
                // A variable is defined where it is bound first.
                let is_known = self
                    .found
                    .iter()
                    .any(|symbol| symbol.name == name.as_str() && symbol.visible == Some(visible));
                if !is_known {
                    self.add(
                        name,
                        SymbolKind::Variable,
                        span,
                        Some(visible),
                        name.to_string(),
                    );
                }
            }
            Binding::Module => self.add(
                name,
                SymbolKind::Module,
                span,
                Some(visible),
                format!("import {name}"),
            ),
            Binding::Function(function) => {
                self.function(function, SymbolKind::Function, Some(visible), None)
            }
            Binding::Class(class) => self.class(class, visible),
            Binding::Record(record) => self.record(record, visible),
            Binding::Enum(definition) => self.enumeration(definition, visible),
        });
        self.module_paths(body);
    }

    /// Gives the imported modules their full names.
    fn module_paths(&mut self, body: &[Stmt]) {
        for statement in body {
            if let StmtKind::Import(items) = &statement.kind {
                for item in items {
                    let path = item.path.iter().map(Name::to_string).collect::<Vec<_>>();
                    for symbol in self
                        .found
                        .iter_mut()
                        .filter(|symbol| symbol.span == item.span)
                    {
                        symbol.detail = format!("import {}", path.join("."));
                        symbol.module = if item.alias.is_some() {
                            path.clone()
                        } else {
                            path[..1].to_vec()
                        };
                    }
                }
            }
            for_each_block(statement, &mut |block| self.module_paths(block));
        }
    }

    fn add(
        &mut self,
        name: &str,
        kind: SymbolKind,
        span: Span,
        visible: Option<(u32, u32)>,
        detail: String,
    ) {
        self.found.push(Symbol {
            name: name.to_string(),
            kind,
            span,
            extent: (span.start, span.end),
            visible,
            detail,
            documentation: None,
            container: None,
            module: Vec::new(),
        });
    }

    fn function(
        &mut self,
        function: &FunctionDef,
        kind: SymbolKind,
        visible: Option<(u32, u32)>,
        container: Option<&str>,
    ) {
        let extent = (
            function.name_span.start,
            end_of(&function.body, function.name_span.end),
        );
        self.found.push(Symbol {
            name: function.name.to_string(),
            kind,
            span: function.name_span,
            extent,
            visible,
            detail: format!("def {}", signature(function)),
            documentation: function.docstring().map(|text| text.to_string()),
            container: container.map(ToString::to_string),
            module: Vec::new(),
        });
        self.parameters(&function.parameters, extent);
        self.scope(&function.body, extent);
    }

    fn parameters(&mut self, parameters: &Parameters, visible: (u32, u32)) {
        for parameter in parameters.iter() {
            self.add(
                &parameter.name,
                SymbolKind::Parameter,
                parameter.span,
                Some(visible),
                parameter.name.to_string(),
            );
        }
    }

    fn class(&mut self, class: &ClassDef, visible: (u32, u32)) {
        let extent = (
            class.name_span.start,
            end_of(&class.body, class.name_span.end),
        );
        self.add(
            &class.name,
            SymbolKind::Class,
            class.name_span,
            Some(visible),
            format!("class {}", class.name),
        );
        if let Some(symbol) = self.found.last_mut() {
            symbol.extent = extent;
            symbol.documentation = class.docstring().map(|text| text.to_string());
        }
        self.class_body(&class.body, &class.name, extent);
    }

    /// Methods and attributes: reached through the class and, inside it, by their bare names (13.6).
    fn class_body(&mut self, body: &[Stmt], class: &str, extent: (u32, u32)) {
        for_each_binding(body, &mut |name, span, binding| match binding {
            Binding::Function(function) => {
                self.function(function, SymbolKind::Method, Some(extent), Some(class))
            }
            _ => {
                self.add(
                    name,
                    SymbolKind::Member,
                    span,
                    Some(extent),
                    format!("{class}.{name}"),
                );
                if let Some(symbol) = self.found.last_mut() {
                    symbol.container = Some(class.to_string());
                }
            }
        });
    }

    fn record(&mut self, record: &RecordDef, visible: (u32, u32)) {
        let extent = (
            record.name_span.start,
            end_of(&record.body, record.name_span.end),
        );
        let detail = format!("record {}({})", record.name, parameter_text(&record.fields));
        self.add(
            &record.name,
            SymbolKind::Record,
            record.name_span,
            Some(visible),
            detail,
        );
        if let Some(symbol) = self.found.last_mut() {
            symbol.extent = extent;
        }
        for field in record.fields.iter() {
            self.member(&field.name, field.span, &record.name);
        }
        self.class_body(&record.body, &record.name, extent);
    }

    fn enumeration(&mut self, definition: &EnumDef, visible: (u32, u32)) {
        let last = definition
            .members
            .last()
            .map_or(definition.name_span.end, |member| member.span.end);
        let extent = (definition.name_span.start, end_of(&definition.body, last));
        let detail = format!("enum {}", definition.name);
        self.add(
            &definition.name,
            SymbolKind::Enum,
            definition.name_span,
            Some(visible),
            detail,
        );
        if let Some(symbol) = self.found.last_mut() {
            symbol.extent = extent;
        }
        for member in &definition.members {
            self.member(&member.name, member.span, &definition.name);
        }
        self.class_body(&definition.body, &definition.name, extent);
    }

    fn member(&mut self, name: &str, span: Span, container: &str) {
        self.add(
            name,
            SymbolKind::Member,
            span,
            None,
            format!("{container}.{name}"),
        );
        if let Some(symbol) = self.found.last_mut() {
            symbol.container = Some(container.to_string());
        }
    }
}

/// Where the last statement of a block ends, the blocks inside it included.
fn end_of(body: &[Stmt], least: u32) -> u32 {
    let mut end = least;
    for statement in body {
        end = end.max(statement.span.end);
        for_each_block(statement, &mut |block| end = end.max(end_of(block, 0)));
        let inner: &[Stmt] = match &statement.kind {
            StmtKind::Function(function) => &function.body,
            StmtKind::Class(class) => &class.body,
            StmtKind::Record(record) => &record.body,
            StmtKind::Enum(definition) => &definition.body,
            _ => &[],
        };
        end = end.max(end_of(inner, 0));
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse;

    const SOURCE: &str = "import a.b as ab\nx = 1\ndef f(y):\n    \"\"\"Doubles.\"\"\"\n    x = y\n    return x * 2\n\
                          class C:\n    def m(self):\n        return f(1)\nrecord P(u, v=0)\nz = ab.c\n";

    fn all() -> Vec<Symbol> {
        symbols(
            &parse(SOURCE).expect("the example parses"),
            SOURCE.len() as u32,
        )
    }

    fn at(needle: &str) -> u32 {
        SOURCE.find(needle).expect("the example has it") as u32
    }

    #[test]
    fn definitions_say_what_they_are() {
        let symbols = all();
        let find = |name: &str| {
            symbols
                .iter()
                .find(|symbol| symbol.name == name)
                .expect("a symbol")
        };
        assert_eq!(find("f").detail, "def f(y)");
        assert_eq!(find("f").documentation.as_deref(), Some("Doubles."));
        assert_eq!(find("m").kind, SymbolKind::Method);
        assert_eq!(find("m").container.as_deref(), Some("C"));
        assert_eq!(find("P").detail, "record P(u, v=0)");
        assert_eq!(find("ab").module, ["a", "b"]);
    }

    #[test]
    fn the_innermost_definition_is_meant() {
        let symbols = all();
        let inner = visible_symbol(&symbols, "x", at("return x") + 7).expect("a local");
        assert_eq!(inner.span.start, at("x = y"));
        let outer = visible_symbol(&symbols, "x", at("z = ")).expect("a global");
        assert_eq!(outer.span.start, at("x = 1"));
        assert!(visible_symbol(&symbols, "y", at("z = ")).is_none());
    }

    #[test]
    fn dotted_names_are_read_backwards() {
        assert_eq!(dotted_name_at(SOURCE, at("ab.c") + 3), ["ab", "c"]);
        assert_eq!(dotted_name_at(SOURCE, at("ab.c") + 1), ["ab"]);
        assert!(dotted_name_at("1 + 2", 0).is_empty());
        assert!(dotted_name_at("é", 1).is_empty(), "inside a character");
        assert_eq!(dotted_name_at("x.", 2), [] as [&str; 0]);
    }
}
