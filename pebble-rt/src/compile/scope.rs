//! Which names a function binds itself, and which of them its inner functions share.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::syntax::ast::{
    Argument, Block, Comprehension, ComprehensionClause, ComprehensionElement, ExceptFilter, Expr,
    ExprKind, MatchCase, Name, Parameters, Pattern, PatternKind, Stmt, StmtKind, Target,
};

/// What a function does with names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Bound here, in order of first binding.
    pub(super) bound: Vec<Name>,
    known: BTreeSet<Name>,
    /// Declared `global`.
    pub(super) global: BTreeSet<Name>,
    /// Declared `nonlocal`.
    pub(super) nonlocal: BTreeSet<Name>,
}

impl Names {
    /// What the statements of `block` bind, inner functions and classes left out.
    pub(super) fn of(block: &Block) -> Names {
        let mut names = Names::default();
        names.block(block);
        names
            .bound
            .retain(|name| !names.global.contains(name) && !names.nonlocal.contains(name));
        names
    }

    fn bind(&mut self, name: &Name) {
        if self.known.insert(name.clone()) {
            self.bound.push(name.clone());
        }
    }

    fn target(&mut self, target: &Target) {
        target.for_each_name(&mut |name, _| self.bind(name));
    }

    fn block(&mut self, block: &Block) {
        for statement in block {
            self.statement(statement);
        }
    }

    fn optional(&mut self, block: &Option<Block>) {
        if let Some(block) = block {
            self.block(block);
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match &statement.kind {
            StmtKind::Assign { targets, .. } => {
                targets.iter().for_each(|target| self.target(target))
            }
            StmtKind::AugmentedAssign { target, .. } => self.target(target),
            StmtKind::Delete(targets) => targets.iter().for_each(|target| self.target(target)),
            StmtKind::Import(items) => {
                for item in items {
                    if let Some(name) = item.alias.as_ref().or(item.path.first()) {
                        self.bind(name);
                    }
                }
            }
            StmtKind::FromImport { names, .. } => {
                for imported in names {
                    self.bind(imported.alias.as_ref().unwrap_or(&imported.name));
                }
            }
            StmtKind::Global(names) => self.global.extend(names.iter().cloned()),
            StmtKind::Nonlocal(names) => self.nonlocal.extend(names.iter().cloned()),
            StmtKind::If {
                branches,
                otherwise,
            } => {
                branches.iter().for_each(|(_, block)| self.block(block));
                self.optional(otherwise);
            }
            StmtKind::While {
                body, otherwise, ..
            } => {
                self.block(body);
                self.optional(otherwise);
            }
            StmtKind::For {
                target,
                body,
                otherwise,
                ..
            } => {
                self.target(target);
                self.block(body);
                self.optional(otherwise);
            }
            StmtKind::Function(def) => self.bind(&def.name),
            StmtKind::Class(def) => self.bind(&def.name),
            StmtKind::Record(def) => self.bind(&def.name),
            StmtKind::Enum(def) => self.bind(&def.name),
            StmtKind::Try(tried) => {
                self.block(&tried.body);
                for handler in &tried.handlers {
                    match &handler.filter {
                        ExceptFilter::All => {}
                        ExceptFilter::Name(name) => self.bind(name),
                        ExceptFilter::Types { binding, .. } => {
                            binding.iter().for_each(|name| self.bind(name))
                        }
                    }
                    self.block(&handler.body);
                }
                self.optional(&tried.otherwise);
                self.optional(&tried.finally);
            }
            StmtKind::With { items, body } => {
                items
                    .iter()
                    .filter_map(|item| item.target.as_ref())
                    .for_each(|target| self.target(target));
                self.block(body);
            }
            StmtKind::Match { cases, .. } => {
                for case in cases {
                    self.pattern(&case.pattern);
                    self.block(&case.body);
                }
            }
            StmtKind::Expression(_)
            | StmtKind::Print(_)
            | StmtKind::Return(_)
            | StmtKind::Raise(_)
            | StmtKind::Pass
            | StmtKind::Break
            | StmtKind::Continue
            | StmtKind::Assert { .. } => {}
        }
    }

    fn pattern(&mut self, pattern: &Pattern) {
        match &pattern.kind {
            PatternKind::Wildcard | PatternKind::Value(_) => {}
            PatternKind::Capture(name) => self.bind(name),
            PatternKind::Star(name) => name.iter().for_each(|name| self.bind(name)),
            PatternKind::Sequence(items) | PatternKind::Or(items) => {
                items.iter().for_each(|item| self.pattern(item))
            }
            PatternKind::Mapping { entries, rest } => {
                entries.iter().for_each(|(_, item)| self.pattern(item));
                rest.iter().for_each(|name| self.bind(name));
            }
            PatternKind::Class(class) => {
                class.positional.iter().for_each(|item| self.pattern(item));
                class
                    .keywords
                    .iter()
                    .for_each(|(_, item)| self.pattern(item));
            }
            PatternKind::As { pattern, name } => {
                self.pattern(pattern);
                self.bind(name);
            }
        }
    }
}

/// Whether names at some point of a walk belong to the function itself or to one inside it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Own,
    Inner,
}

/// The names that functions, classes and generator expressions inside some code mention and do not bind as parameters.
pub(super) struct Mentions {
    names: BTreeSet<Name>,
}

impl Mentions {
    /// In a block.
    pub(super) fn in_block(block: &Block) -> BTreeSet<Name> {
        let mut mentions = Mentions {
            names: BTreeSet::new(),
        };
        mentions.block(block, Level::Own);
        mentions.names
    }

    /// In an expression.
    pub(super) fn in_expression(expression: &Expr) -> BTreeSet<Name> {
        let mut mentions = Mentions {
            names: BTreeSet::new(),
        };
        mentions.expression(expression, Level::Own);
        mentions.names
    }

    fn name(&mut self, name: &Name, level: Level) {
        if level == Level::Inner {
            self.names.insert(name.clone());
        }
    }

    /// Walks code of an inner function: everything it mentions counts, except its parameters.
    fn inner(&mut self, parameters: Option<&Parameters>, walk: impl FnOnce(&mut Mentions)) {
        let mut mentions = Mentions {
            names: BTreeSet::new(),
        };
        walk(&mut mentions);
        for parameter in parameters.iter().flat_map(|parameters| parameters.iter()) {
            mentions.names.remove(&parameter.name);
        }
        self.names.extend(mentions.names);
    }

    fn expression(&mut self, expression: &Expr, level: Level) {
        match &expression.kind {
            ExprKind::Name(name) => self.name(name, level),
            ExprKind::Lambda(lambda) => {
                lambda
                    .parameters
                    .for_each_default(&mut |default| self.expression(default, level));
                self.inner(Some(&lambda.parameters), |inner| {
                    inner.expression(&lambda.body, Level::Inner)
                });
            }
            ExprKind::Comprehension(comprehension) => self.comprehension(comprehension, level),
            kind => kind.for_each_child(&mut |child| self.expression(child, level)),
        }
    }

    fn comprehension(&mut self, comprehension: &Comprehension, level: Level) {
        let is_generator = matches!(comprehension.element, ComprehensionElement::Generator(_));
        let within = if is_generator { Level::Inner } else { level };
        let mut first = true;
        for clause in &comprehension.clauses {
            match clause {
                ComprehensionClause::For { target, iterable } => {
                    self.expression(iterable, if first { level } else { within });
                    self.target(target, within);
                }
                ComprehensionClause::If(condition) => self.expression(condition, within),
            }
            first = false;
        }
        match &comprehension.element {
            ComprehensionElement::List(element)
            | ComprehensionElement::Set(element)
            | ComprehensionElement::Generator(element) => self.expression(element, within),
            ComprehensionElement::Dict { key, value } => {
                self.expression(key, within);
                self.expression(value, within);
            }
        }
    }

    fn target(&mut self, target: &Target, level: Level) {
        target.for_each_name(&mut |name, _| self.name(name, level));
        target.for_each_expression(&mut |expression| self.expression(expression, level));
    }

    fn block(&mut self, block: &Block, level: Level) {
        for statement in block {
            self.statement(statement, level);
        }
    }

    fn optional(&mut self, block: &Option<Block>, level: Level) {
        if let Some(block) = block {
            self.block(block, level);
        }
    }

    fn statement(&mut self, statement: &Stmt, level: Level) {
        match &statement.kind {
            StmtKind::Expression(value)
            | StmtKind::Return(Some(value))
            | StmtKind::Raise(Some(value)) => {
                self.expression(value, level);
            }
            StmtKind::Assign { targets, value } => {
                self.expression(value, level);
                targets.iter().for_each(|target| self.target(target, level));
            }
            StmtKind::AugmentedAssign { target, value, .. } => {
                self.expression(value, level);
                self.target(target, level);
            }
            StmtKind::Print(values) => values
                .iter()
                .for_each(|value| self.expression(value, level)),
            StmtKind::Delete(targets) => {
                targets.iter().for_each(|target| self.target(target, level))
            }
            StmtKind::Global(names) | StmtKind::Nonlocal(names) => {
                names.iter().for_each(|name| self.name(name, level));
            }
            StmtKind::Assert { condition, message } => {
                self.expression(condition, level);
                message
                    .iter()
                    .for_each(|message| self.expression(message, level));
            }
            StmtKind::If {
                branches,
                otherwise,
            } => {
                for (condition, block) in branches {
                    self.expression(condition, level);
                    self.block(block, level);
                }
                self.optional(otherwise, level);
            }
            StmtKind::While {
                condition,
                body,
                otherwise,
            } => {
                self.expression(condition, level);
                self.block(body, level);
                self.optional(otherwise, level);
            }
            StmtKind::For {
                target,
                iterable,
                body,
                otherwise,
            } => {
                self.expression(iterable, level);
                self.target(target, level);
                self.block(body, level);
                self.optional(otherwise, level);
            }
            StmtKind::Function(def) => {
                self.name(&def.name, level);
                def.decorators
                    .iter()
                    .for_each(|decorator| self.expression(decorator, level));
                def.parameters
                    .for_each_default(&mut |default| self.expression(default, level));
                self.inner(Some(&def.parameters), |inner| {
                    inner.block(&def.body, Level::Inner)
                });
            }
            StmtKind::Class(def) => {
                self.name(&def.name, level);
                def.decorators
                    .iter()
                    .for_each(|decorator| self.expression(decorator, level));
                def.bases
                    .iter()
                    .for_each(|base| self.expression(base, level));
                self.inner(None, |inner| inner.block(&def.body, Level::Inner));
            }
            StmtKind::Record(def) => {
                self.name(&def.name, level);
                def.decorators
                    .iter()
                    .for_each(|decorator| self.expression(decorator, level));
                def.fields
                    .for_each_default(&mut |default| self.expression(default, level));
                self.inner(None, |inner| inner.block(&def.body, Level::Inner));
            }
            StmtKind::Enum(def) => {
                self.name(&def.name, level);
                def.decorators
                    .iter()
                    .for_each(|decorator| self.expression(decorator, level));
                self.inner(None, |inner| {
                    def.members
                        .iter()
                        .filter_map(|member| member.value.as_ref())
                        .for_each(|value| {
                            inner.expression(value, Level::Inner);
                        });
                    inner.block(&def.body, Level::Inner);
                });
            }
            StmtKind::Try(tried) => {
                self.block(&tried.body, level);
                for handler in &tried.handlers {
                    match &handler.filter {
                        ExceptFilter::All => {}
                        ExceptFilter::Name(name) => self.name(name, level),
                        ExceptFilter::Types { types, binding } => {
                            self.expression(types, level);
                            binding.iter().for_each(|name| self.name(name, level));
                        }
                    }
                    self.block(&handler.body, level);
                }
                self.optional(&tried.otherwise, level);
                self.optional(&tried.finally, level);
            }
            StmtKind::With { items, body } => {
                for item in items {
                    self.expression(&item.context, level);
                    item.target
                        .iter()
                        .for_each(|target| self.target(target, level));
                }
                self.block(body, level);
            }
            StmtKind::Match { subject, cases } => {
                self.expression(subject, level);
                cases.iter().for_each(|case| self.case(case, level));
            }
            StmtKind::Import(_)
            | StmtKind::FromImport { .. }
            | StmtKind::Return(None)
            | StmtKind::Raise(None)
            | StmtKind::Pass
            | StmtKind::Break
            | StmtKind::Continue => {}
        }
    }

    fn case(&mut self, case: &MatchCase, level: Level) {
        self.pattern(&case.pattern, level);
        case.guard
            .iter()
            .for_each(|guard| self.expression(guard, level));
        self.block(&case.body, level);
    }

    fn pattern(&mut self, pattern: &Pattern, level: Level) {
        match &pattern.kind {
            PatternKind::Wildcard | PatternKind::Star(None) => {}
            PatternKind::Value(value) => self.expression(value, level),
            PatternKind::Capture(name) | PatternKind::Star(Some(name)) => self.name(name, level),
            PatternKind::Sequence(items) | PatternKind::Or(items) => {
                items.iter().for_each(|item| self.pattern(item, level));
            }
            PatternKind::Mapping { entries, rest } => {
                for (key, item) in entries {
                    self.expression(key, level);
                    self.pattern(item, level);
                }
                rest.iter().for_each(|name| self.name(name, level));
            }
            PatternKind::Class(class) => {
                self.expression(&class.class, level);
                class
                    .positional
                    .iter()
                    .for_each(|item| self.pattern(item, level));
                class
                    .keywords
                    .iter()
                    .for_each(|(_, item)| self.pattern(item, level));
            }
            PatternKind::As { pattern, name } => {
                self.pattern(pattern, level);
                self.name(name, level);
            }
        }
    }
}

/// Every name that a module binds anywhere, in any function: those that builtins must yield to.
pub(super) fn bound_anywhere(block: &Block) -> BTreeSet<Name> {
    let mut all = BTreeSet::new();
    collect_bound(block, &mut all);
    all
}

fn collect_bound(block: &Block, all: &mut BTreeSet<Name>) {
    let names = Names::of(block);
    all.extend(names.bound);
    all.extend(names.global);
    all.extend(names.nonlocal);
    for statement in block {
        collect_inner(statement, all);
    }
}

fn collect_inner(statement: &Stmt, all: &mut BTreeSet<Name>) {
    let mut expressions = |expression: &Expr| collect_in_expression(expression, all);
    match &statement.kind {
        StmtKind::Expression(value)
        | StmtKind::Return(Some(value))
        | StmtKind::Assign { value, .. } => {
            expressions(value);
        }
        StmtKind::Print(values) => values.iter().for_each(expressions),
        StmtKind::If {
            branches,
            otherwise,
        } => {
            branches
                .iter()
                .for_each(|(_, block)| block.iter().for_each(|inner| collect_inner(inner, all)));
            otherwise
                .iter()
                .flatten()
                .for_each(|inner| collect_inner(inner, all));
        }
        StmtKind::While {
            body, otherwise, ..
        }
        | StmtKind::For {
            body, otherwise, ..
        } => {
            body.iter()
                .chain(otherwise.iter().flatten())
                .for_each(|inner| collect_inner(inner, all));
        }
        StmtKind::Function(def) => {
            all.extend(
                def.parameters
                    .iter()
                    .map(|parameter| parameter.name.clone()),
            );
            collect_bound(&def.body, all);
        }
        StmtKind::Class(def) => collect_bound(&def.body, all),
        StmtKind::Record(def) => collect_bound(&def.body, all),
        StmtKind::Enum(def) => {
            all.extend(def.members.iter().map(|member| member.name.clone()));
            collect_bound(&def.body, all);
        }
        StmtKind::Try(tried) => {
            let handlers = tried
                .handlers
                .iter()
                .flat_map(|handler| handler.body.iter());
            let rest = tried.otherwise.iter().chain(&tried.finally).flatten();
            tried
                .body
                .iter()
                .chain(handlers)
                .chain(rest)
                .for_each(|inner| collect_inner(inner, all));
        }
        StmtKind::With { body, .. } => body.iter().for_each(|inner| collect_inner(inner, all)),
        StmtKind::Match { cases, .. } => {
            cases
                .iter()
                .flat_map(|case| case.body.iter())
                .for_each(|inner| collect_inner(inner, all));
        }
        _ => {}
    }
}

fn collect_in_expression(expression: &Expr, all: &mut BTreeSet<Name>) {
    match &expression.kind {
        ExprKind::Lambda(lambda) => {
            all.extend(
                lambda
                    .parameters
                    .iter()
                    .map(|parameter| parameter.name.clone()),
            );
        }
        ExprKind::Comprehension(comprehension) => {
            for clause in &comprehension.clauses {
                if let ComprehensionClause::For { target, .. } = clause {
                    target.for_each_name(&mut |name, _| {
                        all.insert(name.clone());
                    });
                }
            }
        }
        _ => {}
    }
    expression
        .kind
        .for_each_child(&mut |child| collect_in_expression(child, all));
}

/// Whether evaluating `expression` may run code that changes things: a call or a `yield`.
pub(super) fn may_change_things(expression: &Expr) -> bool {
    match &expression.kind {
        ExprKind::Call { callee, arguments } => {
            let harmless = matches!(&callee.kind, ExprKind::Name(name)
                if matches!(name.as_str(), "len" | "str" | "int" | "float" | "chr" | "ord" | "abs"));
            !harmless || arguments.iter().map(Argument::value).any(may_change_things)
        }
        ExprKind::Yield(_) => true,
        ExprKind::Lambda(_) => false,
        kind => {
            let mut found = false;
            kind.for_each_child(&mut |child| found |= may_change_things(child));
            found
        }
    }
}

/// Whether a block has a loop of its own.
pub(super) fn has_loop(block: &Block) -> bool {
    block.iter().any(|statement| match &statement.kind {
        StmtKind::While { .. } | StmtKind::For { .. } => true,
        StmtKind::If {
            branches,
            otherwise,
        } => {
            branches.iter().any(|(_, block)| has_loop(block))
                || otherwise.as_ref().is_some_and(has_loop)
        }
        StmtKind::Try(tried) => {
            has_loop(&tried.body)
                || tried.handlers.iter().any(|handler| has_loop(&handler.body))
                || tried.otherwise.as_ref().is_some_and(has_loop)
                || tried.finally.as_ref().is_some_and(has_loop)
        }
        StmtKind::With { body, .. } => has_loop(body),
        StmtKind::Match { cases, .. } => cases.iter().any(|case| has_loop(&case.body)),
        _ => false,
    })
}
