//! Names that nothing binds, and the calls of those that one definition binds.

use super::calls::{Callee, check_call};
use super::{Arity, Diagnostic, Environment, Severity};
use crate::syntax::ast::{
    ClassDef, Comprehension, ComprehensionClause, ComprehensionElement, ExceptFilter, Expr,
    ExprKind, FunctionDef, Module, Name, Parameters, Pattern, PatternKind, Span, Stmt, StmtKind,
    Target,
};
use crate::tools::bindings::{Binding, GivenTo, for_each_binding, for_each_block, given_away};
use crate::tools::suggest;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

/// Reports unknown names and wrong calls.
pub(super) fn check_names(module: &Module, environment: &Environment, found: &mut Vec<Diagnostic>) {
    let mut globals = Globals::default();
    globals.collect(&module.body, Place::Module);
    let mut walker = Walker {
        globals: &globals,
        environment,
        scopes: Vec::new(),
        found,
    };
    walker.body(&module.body);
}

/// What the module's own two tables can hold.
#[derive(Default)]
struct Globals<'tree> {
    variables: BTreeSet<&'tree str>,
    functions: BTreeMap<&'tree str, Vec<&'tree FunctionDef>>,
    classes: BTreeMap<&'tree str, Vec<&'tree ClassDef>>,
    records: BTreeMap<&'tree str, &'tree Parameters>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Module,
    Function,
    Class,
}

impl<'tree> Globals<'tree> {
    /// Notes what the statements and the functions inside them can put into the tables. A `def` outside classes always writes
    /// the module's function table, wherever it stands.
    fn collect(&mut self, body: &'tree [Stmt], place: Place) {
        given_away(body, &mut |name, to| {
            if to == GivenTo::Module {
                self.variables.insert(name.as_str());
            }
        });
        for_each_binding(body, &mut |name, _, binding| match binding {
            Binding::Function(function) => {
                if place != Place::Class {
                    self.functions
                        .entry(name.as_str())
                        .or_default()
                        .push(function);
                }
                self.collect(&function.body, Place::Function);
            }
            Binding::Class(class) => {
                if place == Place::Module {
                    self.classes.entry(name.as_str()).or_default().push(class);
                }
                self.collect(&class.body, Place::Class);
            }
            Binding::Record(record) => {
                if place == Place::Module
                    && self.records.insert(name.as_str(), &record.fields).is_some()
                {
                    self.variables.insert(name.as_str());
                }
                self.collect(&record.body, Place::Class);
            }
            Binding::Enum(definition) => {
                if place == Place::Module {
                    self.variables.insert(name.as_str());
                }
                self.collect(&definition.body, Place::Class);
            }
            Binding::Variable | Binding::Module => {
                if place == Place::Module {
                    self.variables.insert(name.as_str());
                }
            }
        });
    }

    fn binds(&self, name: &str) -> bool {
        self.variables.contains(name)
            || self.functions.contains_key(name)
            || self.classes.contains_key(name)
            || self.records.contains_key(name)
    }

    fn names(&self) -> impl Iterator<Item = &'tree str> {
        let variables = self.variables.iter().copied();
        variables
            .chain(self.functions.keys().copied())
            .chain(self.classes.keys().copied())
            .chain(self.records.keys().copied())
    }
}

/// The names of a function, class or comprehension around the current place.
struct Scope<'tree> {
    names: BTreeSet<&'tree str>,
    /// The scope may hold names that cannot be seen here: a class with a base from elsewhere.
    is_open: bool,
}

struct Walker<'tree, 'run> {
    globals: &'run Globals<'tree>,
    environment: &'run Environment,
    scopes: Vec<Scope<'tree>>,
    found: &'run mut Vec<Diagnostic>,
}

impl<'tree> Walker<'tree, '_> {
    // ---- Resolution ----

    fn is_local(&self, name: &str) -> bool {
        self.scopes
            .iter()
            .any(|scope| scope.is_open || scope.names.contains(name))
    }

    fn check_name(&mut self, name: &'tree Name, span: Span) {
        let is_known =
            self.is_local(name) || self.globals.binds(name) || self.environment.get(name).is_some();
        // `super` and `print` are words of the language as much as they are names.
        if is_known || *name == "super" || *name == "print" {
            return;
        }
        let locals = self
            .scopes
            .iter()
            .rev()
            .flat_map(|scope| scope.names.iter().copied());
        let candidates = locals
            .chain(self.globals.names())
            .chain(self.environment.names());
        self.found.push(Diagnostic {
            severity: Severity::Error,
            code: "unknown-name",
            message: format!("unknown name '{name}'"),
            span,
            suggestion: suggest(name, candidates).map(Into::into),
        });
    }

    /// The only thing that a call of this name can reach, if there is only one.
    fn callee(&self, name: &str) -> Option<Callee<'tree>> {
        if self.is_local(name) || self.globals.variables.contains(name) {
            return None;
        }
        let functions = self
            .globals
            .functions
            .get(name)
            .map_or(&[][..], Vec::as_slice);
        let classes = self
            .globals
            .classes
            .get(name)
            .map_or(&[][..], Vec::as_slice);
        let record = self.globals.records.get(name).copied();
        match (functions, classes, record) {
            ([function], [], None) if function.decorators.is_empty() => Some(Callee {
                title: format!("function '{name}'"),
                arity: Arity::of(&function.parameters),
                parameters: Some(&function.parameters),
                hidden: 0,
            }),
            ([], [class], None) => class_callee(class),
            ([], [], Some(fields)) => Some(Callee {
                title: format!("record '{name}'"),
                arity: Arity::of(fields),
                parameters: Some(fields),
                hidden: 0,
            }),
            ([], [], None) => Some(Callee {
                title: format!("function '{name}'"),
                arity: self.environment.get(name)?.arity?,
                parameters: None,
                hidden: 0,
            }),
            _ => None,
        }
    }

    // ---- Statements ----

    fn body(&mut self, body: &'tree [Stmt]) {
        for statement in body {
            self.statement(statement);
            for_each_block(statement, &mut |block| self.body(block));
        }
    }

    fn statement(&mut self, statement: &'tree Stmt) {
        match &statement.kind {
            StmtKind::Expression(value) => self.expression(value),
            StmtKind::Assign { targets, value } => {
                self.expression(value);
                targets.iter().for_each(|target| self.target(target));
            }
            StmtKind::AugmentedAssign { target, value, .. } => {
                self.expression(value);
                self.target(target);
            }
            StmtKind::Print(values) => values.iter().for_each(|value| self.expression(value)),
            StmtKind::Return(value) | StmtKind::Raise(value) => {
                value.iter().for_each(|value| self.expression(value))
            }
            StmtKind::Delete(targets) => targets.iter().for_each(|target| self.target(target)),
            StmtKind::Assert { condition, message } => {
                self.expression(condition);
                message.iter().for_each(|message| self.expression(message));
            }
            StmtKind::If { branches, .. } => branches
                .iter()
                .for_each(|(condition, _)| self.expression(condition)),
            StmtKind::While { condition, .. } => self.expression(condition),
            StmtKind::For {
                target, iterable, ..
            } => {
                self.expression(iterable);
                self.target(target);
            }
            StmtKind::Function(function) => self.function(function),
            StmtKind::Class(class) => {
                class
                    .decorators
                    .iter()
                    .chain(&class.bases)
                    .for_each(|part| self.expression(part));
                self.class_body(&class.body, BTreeSet::new(), self.has_foreign_base(class));
            }
            StmtKind::Record(record) => {
                record
                    .decorators
                    .iter()
                    .for_each(|decorator| self.expression(decorator));
                record
                    .fields
                    .for_each_default(&mut |default| self.expression(default));
                let fields = record
                    .fields
                    .iter()
                    .map(|field| field.name.as_str())
                    .collect();
                self.class_body(&record.body, fields, false);
            }
            StmtKind::Enum(definition) => {
                definition
                    .decorators
                    .iter()
                    .for_each(|decorator| self.expression(decorator));
                let names: BTreeSet<_> = definition
                    .members
                    .iter()
                    .map(|member| member.name.as_str())
                    .collect();
                self.scopes.push(Scope {
                    names: names.clone(),
                    is_open: false,
                });
                definition
                    .members
                    .iter()
                    .filter_map(|member| member.value.as_ref())
                    .for_each(|value| self.expression(value));
                self.scopes.pop();
                self.class_body(&definition.body, names, false);
            }
            StmtKind::Try(statement) => {
                for handler in &statement.handlers {
                    if let ExceptFilter::Types { types, .. } = &handler.filter {
                        self.expression(types);
                    }
                }
            }
            StmtKind::With { items, .. } => {
                for item in items {
                    self.expression(&item.context);
                    item.target.iter().for_each(|target| self.target(target));
                }
            }
            StmtKind::Match { subject, cases } => {
                self.expression(subject);
                for case in cases {
                    self.pattern(&case.pattern);
                    case.guard.iter().for_each(|guard| self.expression(guard));
                }
            }
            StmtKind::Import(_)
            | StmtKind::FromImport { .. }
            | StmtKind::Pass
            | StmtKind::Break
            | StmtKind::Continue
            | StmtKind::Global(_)
            | StmtKind::Nonlocal(_) => {}
        }
    }

    fn target(&mut self, target: &'tree Target) {
        target.for_each_expression(&mut |expression| self.expression(expression));
    }

    fn function(&mut self, function: &'tree FunctionDef) {
        function
            .decorators
            .iter()
            .for_each(|decorator| self.expression(decorator));
        function
            .parameters
            .for_each_default(&mut |default| self.expression(default));
        let mut names = parameter_names(&function.parameters);
        for_each_binding(&function.body, &mut |name, _, binding| {
            // A nested function is found by its name like any other; what it takes is known from its definition.
            if !matches!(binding, Binding::Function(_)) {
                names.insert(name.as_str());
            }
        });
        given_away(&function.body, &mut |name, _| {
            names.remove(name.as_str());
        });
        self.scopes.push(Scope {
            names,
            is_open: false,
        });
        self.body(&function.body);
        self.scopes.pop();
    }

    fn class_body(&mut self, body: &'tree [Stmt], mut names: BTreeSet<&'tree str>, is_open: bool) {
        for_each_binding(body, &mut |name, _, _| {
            names.insert(name.as_str());
        });
        self.scopes.push(Scope { names, is_open });
        self.body(body);
        self.scopes.pop();
    }

    /// True when the class may inherit names that this module does not show.
    fn has_foreign_base(&self, class: &ClassDef) -> bool {
        !class.bases.is_empty()
    }

    // ---- Expressions ----

    fn expression(&mut self, expression: &'tree Expr) {
        match &expression.kind {
            ExprKind::Name(name) => self.check_name(name, expression.span),
            ExprKind::Lambda(lambda) => {
                lambda
                    .parameters
                    .for_each_default(&mut |default| self.expression(default));
                self.scopes.push(Scope {
                    names: parameter_names(&lambda.parameters),
                    is_open: false,
                });
                self.expression(&lambda.body);
                self.scopes.pop();
            }
            ExprKind::Comprehension(comprehension) => self.comprehension(comprehension),
            ExprKind::Call { callee, arguments } => {
                if let ExprKind::Name(name) = &callee.kind
                    && let Some(known) = self.callee(name)
                {
                    check_call(&known, arguments, expression.span, self.found);
                }
                expression
                    .kind
                    .for_each_child(&mut |child| self.expression(child));
            }
            kind => kind.for_each_child(&mut |child| self.expression(child)),
        }
    }

    fn comprehension(&mut self, comprehension: &'tree Comprehension) {
        let mut names = BTreeSet::new();
        for clause in &comprehension.clauses {
            if let ComprehensionClause::For { target, .. } = clause {
                target.for_each_name(&mut |name, _| {
                    names.insert(name.as_str());
                });
            }
        }
        self.scopes.push(Scope {
            names,
            is_open: false,
        });
        for clause in &comprehension.clauses {
            match clause {
                ComprehensionClause::For { target, iterable } => {
                    self.expression(iterable);
                    self.target(target);
                }
                ComprehensionClause::If(condition) => self.expression(condition),
            }
        }
        match &comprehension.element {
            ComprehensionElement::List(element)
            | ComprehensionElement::Set(element)
            | ComprehensionElement::Generator(element) => self.expression(element),
            ComprehensionElement::Dict { key, value } => {
                self.expression(key);
                self.expression(value);
            }
        }
        self.scopes.pop();
    }

    fn pattern(&mut self, pattern: &'tree Pattern) {
        match &pattern.kind {
            PatternKind::Wildcard | PatternKind::Capture(_) | PatternKind::Star(_) => {}
            PatternKind::Value(value) => self.expression(value),
            PatternKind::Sequence(items) | PatternKind::Or(items) => {
                items.iter().for_each(|item| self.pattern(item))
            }
            PatternKind::Mapping { entries, .. } => {
                for (key, value) in entries {
                    self.expression(key);
                    self.pattern(value);
                }
            }
            PatternKind::Class(class) => {
                self.expression(&class.class);
                class.positional.iter().for_each(|item| self.pattern(item));
                class
                    .keywords
                    .iter()
                    .for_each(|(_, value)| self.pattern(value));
            }
            PatternKind::As { pattern, .. } => self.pattern(pattern),
        }
    }
}

fn parameter_names(parameters: &Parameters) -> BTreeSet<&str> {
    parameters
        .iter()
        .map(|parameter| parameter.name.as_str())
        .collect()
}

/// What calling a class takes: what its `__init__` takes, or nothing. Unknown with bases or decorators.
fn class_callee(class: &ClassDef) -> Option<Callee<'_>> {
    if !class.bases.is_empty() || !class.decorators.is_empty() {
        return None;
    }
    let mut constructors = Vec::new();
    for_each_binding(&class.body, &mut |name, _, binding| {
        if *name == "__init__" {
            constructors.push(binding);
        }
    });
    match constructors.as_slice() {
        [] => Some(Callee {
            title: format!("class '{}'", class.name),
            arity: Arity {
                least: 0,
                most: Some(0),
            },
            parameters: None,
            hidden: 0,
        }),
        [Binding::Function(function)] if function.decorators.is_empty() => Some(Callee {
            title: "function '__init__'".into(),
            arity: Arity::of(&function.parameters),
            parameters: Some(&function.parameters),
            hidden: 1,
        }),
        _ => None,
    }
}
