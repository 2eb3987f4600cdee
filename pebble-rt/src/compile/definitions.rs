//! Functions, classes, records, enumerations.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::bytecode::{CodeKind, Constant, Op, ParameterList, Proto};
use crate::syntax::ast::{
    Block, ClassDef, Comprehension, ComprehensionClause, ComprehensionElement, EnumDef, Expr,
    ExprKind, FunctionDef, Lambda, Name, Parameters, RecordDef, Span,
};

use super::emit::{Function, Variable};
use super::scope::{Mentions, Names, has_loop};
use super::{Compiler, Result};

/// What is compiled as a function of its own.
enum Body<'a> {
    Block(&'a Block),
    Value(&'a Expr),
    Generator(&'a Comprehension),
}

impl Compiler<'_> {
    pub(super) fn function_statement(&mut self, def: &FunctionDef) -> Result<()> {
        let decorators = self.decorators(&def.decorators)?;
        let to = self.temporary()?;
        let in_class = self.function().is_class_body();
        let kind = match (in_class, def.is_generator) {
            (false, false) => CodeKind::Function,
            (false, true) => CodeKind::Generator,
            (true, false) => CodeKind::Method,
            (true, true) => CodeKind::GeneratorMethod,
        };
        self.make_function(kind, &def.name, &def.parameters, Body::Block(&def.body), to)?;
        self.apply_decorators(decorators, &def.decorators, to);
        let name = self.name(&def.name) as i32;
        if in_class {
            self.emit(Op::StoreMethod, to, 0, 0, name);
        } else if self.is_top_level() {
            self.emit(Op::StoreFunction, to, 0, 0, name);
        } else {
            self.emit(Op::StoreNested, to, 0, 0, name);
            self.bind_name(&def.name, to);
        }
        Ok(())
    }

    /// Evaluates decorators into consecutive temporaries, the first of which is returned.
    fn decorators(&mut self, decorators: &[Expr]) -> Result<u8> {
        let first = self.mark();
        for decorator in decorators {
            self.value_to_temporary(decorator)?;
            // A free register after each, for its argument.
            self.temporary()?;
        }
        Ok(first)
    }

    fn apply_decorators(&mut self, first: u8, decorators: &[Expr], to: u8) {
        for at in (0..decorators.len()).rev() {
            let decorator = first + 2 * at as u8;
            self.emit(Op::Take, decorator + 1, to, 0, 0);
            self.emit(Op::Call, decorator, 1, to, 0);
        }
    }

    pub(super) fn lambda(&mut self, lambda: &Lambda, to: u8) -> Result<()> {
        let kind = if lambda.is_generator {
            CodeKind::Generator
        } else {
            CodeKind::Function
        };
        self.make_function(
            kind,
            &Name::new("lambda"),
            &lambda.parameters,
            Body::Value(&lambda.body),
            to,
        )
    }

    /// `(e for x in y)`: a generator function that gets `y`, called at once.
    pub(super) fn generator_expression(
        &mut self,
        comprehension: &Comprehension,
        to: u8,
    ) -> Result<()> {
        let mark = self.mark();
        let base = self.temporary()?;
        let source = self.temporary()?;
        if let Some(ComprehensionClause::For { iterable, .. }) = comprehension.clauses.first() {
            self.value_to(iterable, source)?;
            self.release_to(source + 1);
        }
        let parameter = crate::syntax::ast::Parameter {
            name: Name::new("#source"),
            default: None,
            span: Span::default(),
        };
        let parameters = Parameters {
            positional: Vec::from([parameter]),
            ..Parameters::default()
        };
        self.make_function(
            CodeKind::Generator,
            &Name::new("genexpr"),
            &parameters,
            Body::Generator(comprehension),
            base,
        )?;
        self.emit(Op::Call, base, 1, to, 0);
        self.release_to(mark);
        Ok(())
    }

    fn make_function(
        &mut self,
        kind: CodeKind,
        name: &Name,
        parameters: &Parameters,
        body: Body,
        to: u8,
    ) -> Result<()> {
        let mark = self.mark();
        let first = mark;
        let mut defaults = 0u8;
        for parameter in parameters.positional.iter().chain(&parameters.keyword_only) {
            if let Some(default) = &parameter.default {
                self.value_to_temporary(default)?;
                defaults += 1;
            }
        }
        let index = self.compile_function(kind, name, parameters, body)?;
        self.emit(Op::MakeFunction, to, first, defaults, index as i32);
        self.release_to(mark);
        Ok(())
    }

    fn compile_function(
        &mut self,
        kind: CodeKind,
        name: &Name,
        parameters: &Parameters,
        body: Body,
    ) -> Result<usize> {
        let line = self.function().line;
        let index = self.unit.functions.len();
        self.unit.functions.push(Proto::default());
        let name_index = self.name(name);
        let mut function = Function::new(kind, name_index);
        function.line = line;
        function.proto.parameters = self.parameter_list(parameters);
        self.functions.push(function);
        let (names, shared) = match &body {
            Body::Block(block) => (Names::of(block), Mentions::in_block(block)),
            Body::Value(value) => (Names::default(), Mentions::in_expression(value)),
            Body::Generator(comprehension) => (Names::default(), generator_mentions(comprehension)),
        };
        self.function().global = names.global.clone();
        self.function().nonlocal = names.nonlocal.clone();
        self.declare_variables(parameters, &names, &shared)?;
        match body {
            Body::Block(block) => {
                self.reserve_constants(has_loop(block));
                self.block(block)?;
                self.emit_end();
            }
            Body::Value(value) => {
                self.reserve_constants(false);
                let result = self.value(value)?;
                self.emit(Op::Return, result, 0, 0, 0);
            }
            Body::Generator(comprehension) => self.generator_body(comprehension, &shared)?,
        }
        let proto = self.finish()?;
        self.unit.functions[index] = proto;
        Ok(index)
    }

    fn generator_body(
        &mut self,
        comprehension: &Comprehension,
        shared: &BTreeSet<Name>,
    ) -> Result<()> {
        self.reserve_constants(true);
        self.open_comprehension(comprehension, shared)?;
        let element = match &comprehension.element {
            ComprehensionElement::Generator(element) => element.clone(),
            ComprehensionElement::List(element) | ComprehensionElement::Set(element) => {
                element.clone()
            }
            ComprehensionElement::Dict { key, .. } => key.clone(),
        };
        self.clauses(&comprehension.clauses, Some(0), &mut |compiler| {
            let mark = compiler.mark();
            let value = compiler.value(&element)?;
            let result = compiler.temporary()?;
            compiler.emit(Op::Yield, result, value, 0, 0);
            compiler.release_to(mark);
            Ok(())
        })?;
        self.emit_end();
        Ok(())
    }

    fn parameter_list(&mut self, parameters: &Parameters) -> ParameterList {
        let mut list = ParameterList::default();
        for parameter in &parameters.positional {
            let name = self.name(&parameter.name);
            list.positional.push(name);
            list.defaults += u8::from(parameter.default.is_some());
        }
        for (at, parameter) in parameters.keyword_only.iter().enumerate() {
            let name = self.name(&parameter.name);
            list.keyword_only.push(name);
            if parameter.default.is_some() && at < 64 {
                list.keyword_defaults |= 1 << at;
            }
        }
        list.has_rest = parameters.rest.is_some();
        list.has_keywords = parameters.keywords.is_some();
        list
    }

    /// Gives parameters and variables their registers; those that inner functions share become cells.
    fn declare_variables(
        &mut self,
        parameters: &Parameters,
        names: &Names,
        shared: &BTreeSet<Name>,
    ) -> Result<()> {
        let positional = parameters.positional.iter();
        let all = positional
            .chain(&parameters.keyword_only)
            .chain(&parameters.rest)
            .chain(&parameters.keywords);
        let parameter_names: Vec<Name> = all.map(|parameter| parameter.name.clone()).collect();
        for name in &parameter_names {
            let register = self.declare(name, shared.contains(name))?;
            self.function().definite.add(register);
        }
        for name in &names.bound {
            if !self.function().blocks[0].contains_key(name) {
                self.declare(name, shared.contains(name))?;
            }
        }
        let variables: Vec<Variable> = self.function().blocks[0].values().copied().collect();
        for variable in variables {
            if variable.is_cell {
                self.emit(Op::MakeCell, variable.register, 0, 0, 0);
            }
        }
        if let Some(first) = parameter_names.first() {
            let receiver = self.function().blocks[0].get(first).copied();
            self.function().receiver = receiver;
        }
        Ok(())
    }

    fn declare(&mut self, name: &Name, is_cell: bool) -> Result<u8> {
        let register = self.variable_register()?;
        let index = self.name(name);
        let function = self.function();
        function.proto.variables.push((register, index));
        function.blocks[0].insert(name.clone(), Variable { register, is_cell });
        Ok(register)
    }

    pub(super) fn class_statement(&mut self, def: &ClassDef) -> Result<()> {
        let decorators = self.decorators(&def.decorators)?;
        let to = self.temporary()?;
        let first = self.mark();
        for base in &def.bases {
            self.value_to_temporary(base)?;
        }
        self.make_class(
            &def.name,
            &def.body,
            first,
            def.bases.len() as u8,
            to,
            &|_| Ok(()),
        )?;
        self.apply_decorators(decorators, &def.decorators, to);
        self.bind_name(&def.name, to);
        Ok(())
    }

    /// A class whose body is `body`, after what `prelude` emits.
    fn make_class(
        &mut self,
        name: &Name,
        body: &Block,
        first_base: u8,
        bases: u8,
        to: u8,
        prelude: &dyn Fn(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let line = self.function().line;
        let index = self.unit.functions.len();
        self.unit.functions.push(Proto::default());
        let name_index = self.name(name);
        let mut function = Function::new(CodeKind::ClassBody, name_index);
        function.line = line;
        self.functions.push(function);
        let names = Names::of(body);
        self.function().global = names.global;
        self.reserve_constants(has_loop(body));
        prelude(self)?;
        self.block(body)?;
        self.emit_end();
        let proto = self.finish()?;
        self.unit.functions[index] = proto;
        self.emit(Op::MakeClass, to, first_base, bases, index as i32);
        Ok(())
    }

    /// `record Name(a, b=1)`: a class that a hidden builtin gives its constructor.
    pub(super) fn record_statement(&mut self, def: &RecordDef) -> Result<()> {
        let decorators = self.decorators(&def.decorators)?;
        let to = self.temporary()?;
        let after = self.mark();
        self.make_class(&def.name, &def.body, after, 0, to, &|compiler| {
            let init = compiler.temporary()?;
            let fields = &def.fields;
            compiler.record_constructor(fields, init)?;
            let name = compiler.name("__init__");
            compiler.emit(Op::StoreMethod, init, 0, 0, name as i32);
            Ok(())
        })?;
        let first = self.temporary()?;
        let fields = self.temporary()?;
        self.emit(Op::Move, first, to, 0, 0);
        let names = def
            .fields
            .positional
            .iter()
            .map(|field| self.name(&field.name))
            .collect();
        self.load_constant(Constant::Names(names), Some(fields))?;
        self.call_hidden("#record", first, 2, to);
        self.release_to(after);
        self.apply_decorators(decorators, &def.decorators, to);
        self.bind_name(&def.name, to);
        Ok(())
    }

    /// `def __init__(self, FIELDS): self.FIELD = FIELD ...`
    fn record_constructor(&mut self, fields: &Parameters, to: u8) -> Result<()> {
        use crate::syntax::ast::{Parameter, Stmt, StmtKind, Target, TargetKind};
        let receiver = Name::new("#self");
        let span = Span {
            line: self.function().line,
            ..Span::default()
        };
        let value = |name: &Name| Expr::new(ExprKind::Name(name.clone()), span);
        let assignments = fields.positional.iter().map(|field| Stmt {
            kind: StmtKind::Assign {
                targets: Vec::from([Target {
                    kind: TargetKind::Attribute {
                        object: value(&receiver).into(),
                        name: field.name.clone(),
                    },
                    span,
                }]),
                value: value(&field.name),
            },
            span,
        });
        let block: Block = assignments.collect();
        let mut parameters = fields.clone();
        parameters.positional.insert(
            0,
            Parameter {
                name: receiver.clone(),
                default: None,
                span,
            },
        );
        self.make_function(
            CodeKind::Method,
            &Name::new("__init__"),
            &parameters,
            Body::Block(&block),
            to,
        )
    }

    /// `enum Name:`: a class whose members a hidden builtin makes.
    pub(super) fn enum_statement(&mut self, def: &EnumDef) -> Result<()> {
        let decorators = self.decorators(&def.decorators)?;
        let to = self.temporary()?;
        let after = self.mark();
        self.make_class(&def.name, &def.body, after, 0, to, &|compiler| {
            for (at, member) in def.members.iter().enumerate() {
                let mark = compiler.mark();
                let value = compiler.enum_value(def, at)?;
                let name = compiler.name(&member.name);
                compiler.emit(Op::StoreClass, value, 1, 0, name as i32);
                compiler.release_to(mark);
            }
            Ok(())
        })?;
        let first = self.temporary()?;
        let members = self.temporary()?;
        self.emit(Op::Move, first, to, 0, 0);
        let names = def
            .members
            .iter()
            .map(|member| self.name(&member.name))
            .collect();
        self.load_constant(Constant::Names(names), Some(members))?;
        self.call_hidden("#enum", first, 2, to);
        self.release_to(after);
        self.apply_decorators(decorators, &def.decorators, to);
        self.bind_name(&def.name, to);
        Ok(())
    }

    /// The value of a member: as written, else one more than the member before.
    fn enum_value(&mut self, def: &EnumDef, at: usize) -> Result<u8> {
        let to = self.temporary()?;
        match (&def.members[at].value, at) {
            (Some(value), _) => self.value_to(value, to)?,
            (None, 0) => {
                self.emit(Op::LoadInt, to, 0, 0, 0);
            }
            (None, _) => {
                self.read_name(&def.members[at - 1].name, Some(to))?;
                self.emit(Op::AddInt, to, to, 0, 1);
            }
        }
        Ok(to)
    }
}

fn generator_mentions(comprehension: &Comprehension) -> BTreeSet<Name> {
    let mut mentions = BTreeSet::new();
    let list = match &comprehension.element {
        ComprehensionElement::Generator(element) => ComprehensionElement::List(element.clone()),
        other => other.clone(),
    };
    let inner = Comprehension {
        element: list,
        clauses: comprehension.clauses.clone(),
    };
    let whole = Expr::new(ExprKind::Comprehension(inner.into()), Span::default());
    mentions.extend(Mentions::in_expression(&whole));
    mentions
}
