//! Expressions.

use super::{Name, Span, Target};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;

/// An expression and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands, without enclosing parentheses.
    pub span: Span,
    height: u16,
}

impl Expr {
    /// Makes a node and measures its height from its children.
    pub fn new(kind: ExprKind, span: Span) -> Self {
        let mut tallest = 0;
        kind.for_each_child(&mut |child| tallest = tallest.max(child.height));
        Self {
            kind,
            span,
            height: tallest.saturating_add(1),
        }
    }

    /// Levels of expressions in this one, itself included.
    pub fn height(&self) -> u16 {
        self.height
    }
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `None`
    None,
    /// `True`, `False`
    Boolean(bool),
    /// `42`
    Integer(Integer),
    /// `2.5`
    Float(f64),
    /// `"text"`, raw and triple-quoted strings too; escapes are resolved.
    String(Rc<str>),
    /// `b"bytes"`
    Bytes(Rc<[u8]>),
    /// `f"a {b!r:>5}"`
    Format(Vec<FormatPart>),
    /// A variable, function, class or module.
    Name(Name),
    /// `(a, b)`, `()`; also `a, b` where no parentheses are needed.
    Tuple(Vec<Expr>),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `{a, b}`; never empty.
    Set(Vec<Expr>),
    /// `{a: b}`, `{}`
    Dict(Vec<DictEntry>),
    /// `-a`, `not a`
    Unary {
        /// What is done.
        operator: UnaryOperator,
        /// To what.
        operand: Box<Expr>,
    },
    /// `first op operand op operand …`, operators of one precedence, grouped to the left. `**` has exactly one step.
    Binary {
        /// The leftmost operand.
        first: Box<Expr>,
        /// The rest, at least one.
        rest: Vec<BinaryStep>,
    },
    /// `a and b and c` or `a or b or c`; at least two operands.
    Logical {
        /// Which of the two.
        operator: LogicalOperator,
        /// From left to right.
        operands: Vec<Expr>,
    },
    /// `a < b`, `a < b <= c`, `a in b`. In a chain each operand is evaluated once and the first false comparison ends it.
    Compare {
        /// The leftmost operand.
        first: Box<Expr>,
        /// The rest, at least one.
        rest: Vec<CompareStep>,
    },
    /// `then if condition else otherwise`
    Conditional {
        /// Evaluated first.
        condition: Box<Expr>,
        /// The value when the condition is true.
        then: Box<Expr>,
        /// The value when it is not.
        otherwise: Box<Expr>,
    },
    /// `object.name`
    Attribute {
        /// Whose.
        object: Box<Expr>,
        /// Which.
        name: Name,
    },
    /// `object[index]`
    Index {
        /// What is indexed.
        object: Box<Expr>,
        /// By what.
        index: Box<Expr>,
    },
    /// `object[start:stop:step]`
    Slice {
        /// What is sliced.
        object: Box<Expr>,
        /// First position.
        start: Option<Box<Expr>>,
        /// Position past the last.
        stop: Option<Box<Expr>>,
        /// Distance.
        step: Option<Box<Expr>>,
    },
    /// `callee(arguments)`
    Call {
        /// What is called: a name, an attribute (a method or module call) or any expression.
        callee: Box<Expr>,
        /// In the order written.
        arguments: Vec<Argument>,
    },
    /// `lambda a, b=1: a + b`
    Lambda(Box<Lambda>),
    /// `[e for …]`, `{e for …}`, `{k: v for …}`, `(e for …)`
    Comprehension(Box<Comprehension>),
    /// `yield`, `yield e`
    Yield(Option<Box<Expr>>),
}

impl ExprKind {
    /// Calls `visit` with each direct child expression, those inside targets, defaults and format parts included.
    pub fn for_each_child<'tree>(&'tree self, visit: &mut dyn FnMut(&'tree Expr)) {
        match self {
            Self::None
            | Self::Boolean(_)
            | Self::Integer(_)
            | Self::Float(_)
            | Self::String(_)
            | Self::Bytes(_)
            | Self::Name(_)
            | Self::Yield(None) => {}
            Self::Format(parts) => parts.iter().for_each(|part| part.for_each_child(visit)),
            Self::Tuple(items)
            | Self::List(items)
            | Self::Set(items)
            | Self::Logical {
                operands: items, ..
            } => {
                items.iter().for_each(visit);
            }
            Self::Dict(entries) => entries.iter().for_each(|entry| {
                visit(&entry.key);
                visit(&entry.value);
            }),
            Self::Unary { operand, .. } => visit(operand),
            Self::Binary { first, rest } => {
                visit(first);
                rest.iter().for_each(|step| visit(&step.operand));
            }
            Self::Compare { first, rest } => {
                visit(first);
                rest.iter().for_each(|step| visit(&step.operand));
            }
            Self::Conditional {
                condition,
                then,
                otherwise,
            } => {
                visit(condition);
                visit(then);
                visit(otherwise);
            }
            Self::Attribute { object, .. } => visit(object),
            Self::Index { object, index } => {
                visit(object);
                visit(index);
            }
            Self::Slice {
                object,
                start,
                stop,
                step,
            } => {
                visit(object);
                [start, stop, step]
                    .into_iter()
                    .flatten()
                    .for_each(|bound| visit(bound));
            }
            Self::Call { callee, arguments } => {
                visit(callee);
                arguments
                    .iter()
                    .for_each(|argument| visit(argument.value()));
            }
            Self::Lambda(lambda) => {
                lambda.parameters.for_each_default(visit);
                visit(&lambda.body);
            }
            Self::Comprehension(comprehension) => comprehension.for_each_child(visit),
            Self::Yield(Some(value)) => visit(value),
        }
    }
}

/// An integer literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Integer {
    /// One that fits.
    Small(i64),
    /// One that does not: its digits, without prefix and `_`, in base 2, 8, 10 or 16.
    Big {
        /// ASCII digits, at least one, lower or upper case.
        digits: Rc<str>,
        /// The base.
        radix: u32,
    },
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOperator {
    /// `not`
    Not,
    /// `-`
    Negate,
    /// `+`
    Plus,
    /// `~`
    Invert,
}

/// Arithmetic and bit operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOperator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `//`
    FloorDivide,
    /// `%`
    Remainder,
    /// `**`
    Power,
    /// `&`
    BitAnd,
    /// `|`
    BitOr,
    /// `^`
    BitXor,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
}

impl BinaryOperator {
    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::FloorDivide => "//",
            Self::Remainder => "%",
            Self::Power => "**",
            Self::BitAnd => "&",
            Self::BitOr => "|",
            Self::BitXor => "^",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
        }
    }
}

/// One step of a [`Binary`](ExprKind::Binary) chain.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryStep {
    /// What is done with the value so far.
    pub operator: BinaryOperator,
    /// And this.
    pub operand: Expr,
}

/// `and` or `or`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicalOperator {
    /// `and`
    And,
    /// `or`
    Or,
}

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOperator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `in`
    In,
    /// `not in`
    NotIn,
    /// `is`
    Is,
    /// `is not`
    IsNot,
}

impl CompareOperator {
    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::In => "in",
            Self::NotIn => "not in",
            Self::Is => "is",
            Self::IsNot => "is not",
        }
    }
}

/// One step of a [`Compare`](ExprKind::Compare) chain.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareStep {
    /// How the operand before is compared.
    pub operator: CompareOperator,
    /// With this.
    pub operand: Expr,
}

/// A key and its value in a dict literal; the key is evaluated first.
#[derive(Clone, Debug, PartialEq)]
pub struct DictEntry {
    /// The key.
    pub key: Expr,
    /// The value.
    pub value: Expr,
}

/// What follows `!` in a format string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// `!s`: the text form.
    Text,
    /// `!r`: the form with quotes.
    Repr,
}

/// A piece of a format string.
#[derive(Clone, Debug, PartialEq)]
pub enum FormatPart {
    /// Text between the braces, escapes resolved, doubled braces halved.
    Literal(Rc<str>),
    /// `{value!conversion:specification}`
    Value {
        /// What is formatted.
        value: Box<Expr>,
        /// The conversion, if one is written.
        conversion: Option<Conversion>,
        /// What follows the colon; may itself hold values (`{x:{width}}`). Empty when there is no colon.
        specification: Vec<FormatPart>,
    },
}

impl FormatPart {
    fn for_each_child<'tree>(&'tree self, visit: &mut dyn FnMut(&'tree Expr)) {
        if let Self::Value {
            value,
            specification,
            ..
        } = self
        {
            visit(value);
            specification
                .iter()
                .for_each(|part| part.for_each_child(visit));
        }
    }
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// `value`
    Positional(Expr),
    /// `name=value`
    Keyword {
        /// The parameter.
        name: Name,
        /// Its value.
        value: Expr,
        /// Where the name stands.
        span: Span,
    },
    /// `*values`
    Spread(Expr),
    /// `**values`
    SpreadKeywords(Expr),
}

impl Argument {
    /// The expression that is passed.
    pub fn value(&self) -> &Expr {
        match self {
            Self::Positional(value)
            | Self::Keyword { value, .. }
            | Self::Spread(value)
            | Self::SpreadKeywords(value) => value,
        }
    }
}

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: Name,
    /// Its default: evaluated once, when the definition is.
    pub default: Option<Expr>,
    /// Where the name stands.
    pub span: Span,
}

/// A parameter list. After a positional parameter with a default all positional ones have one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// Those that an argument without a name can reach.
    pub positional: Vec<Parameter>,
    /// `*rest`; has no default.
    pub rest: Option<Parameter>,
    /// Those after `*rest` or a lone `*`.
    pub keyword_only: Vec<Parameter>,
    /// `**keywords`; has no default.
    pub keywords: Option<Parameter>,
}

impl Parameters {
    /// All parameters in the order written.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.positional
            .iter()
            .chain(&self.rest)
            .chain(&self.keyword_only)
            .chain(&self.keywords)
    }

    /// True when there are only plain names, as in the language's first version.
    pub fn is_plain(&self) -> bool {
        self.rest.is_none()
            && self.keyword_only.is_empty()
            && self.keywords.is_none()
            && self
                .positional
                .iter()
                .all(|parameter| parameter.default.is_none())
    }

    /// Calls `visit` with each default, in the order of evaluation.
    pub fn for_each_default<'tree>(&'tree self, visit: &mut dyn FnMut(&'tree Expr)) {
        self.positional
            .iter()
            .chain(&self.keyword_only)
            .filter_map(|parameter| parameter.default.as_ref())
            .for_each(visit);
    }
}

/// A function without a name whose body is one expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Lambda {
    /// Its parameters.
    pub parameters: Parameters,
    /// Its result.
    pub body: Expr,
    /// True when the body holds a `yield` of its own.
    pub is_generator: bool,
}

/// A comprehension or generator expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Comprehension {
    /// What it makes.
    pub element: ComprehensionElement,
    /// Its clauses, the outermost first; the first is a `For`.
    pub clauses: Vec<ComprehensionClause>,
}

impl Comprehension {
    fn for_each_child<'tree>(&'tree self, visit: &mut dyn FnMut(&'tree Expr)) {
        match &self.element {
            ComprehensionElement::List(element)
            | ComprehensionElement::Set(element)
            | ComprehensionElement::Generator(element) => visit(element),
            ComprehensionElement::Dict { key, value } => {
                visit(key);
                visit(value);
            }
        }
        for clause in &self.clauses {
            match clause {
                ComprehensionClause::For { target, iterable } => {
                    target.for_each_expression(visit);
                    visit(iterable);
                }
                ComprehensionClause::If(condition) => visit(condition),
            }
        }
    }
}

/// What a comprehension makes of each round.
#[derive(Clone, Debug, PartialEq)]
pub enum ComprehensionElement {
    /// `[element for …]`
    List(Expr),
    /// `{element for …}`
    Set(Expr),
    /// `{key: value for …}`
    Dict {
        /// Evaluated first.
        key: Expr,
        /// Evaluated second.
        value: Expr,
    },
    /// `(element for …)`
    Generator(Expr),
}

/// A clause of a comprehension.
#[derive(Clone, Debug, PartialEq)]
pub enum ComprehensionClause {
    /// `for target in iterable`
    For {
        /// Bound in a scope of the comprehension's own.
        target: Target,
        /// What is walked.
        iterable: Expr,
    },
    /// `if condition`
    If(Expr),
}
