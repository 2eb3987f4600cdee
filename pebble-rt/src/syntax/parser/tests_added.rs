//! What section 24 adds, and how the parser behaves on hostile input.

use crate::syntax::ast::{
    Argument, BinaryOperator, CompareOperator, ComprehensionElement, Conversion, ExceptFilter,
    Expr, ExprKind, FormatPart, Integer, PatternKind, Stmt, StmtKind, TargetKind,
};
use crate::syntax::{parse, parse_expression, parse_interactive};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

fn error(source: &str) -> String {
    match parse(source) {
        Ok(_) => String::from("no error"),
        Err(error) => error.to_string(),
    }
}

fn body(source: &str) -> Vec<Stmt> {
    match parse(source) {
        Ok(module) => module.body,
        Err(error) => panic!("{source:?}: {error}"),
    }
}

fn only(source: &str) -> StmtKind {
    let mut statements = body(source);
    assert_eq!(statements.len(), 1, "{source:?}");
    statements.pop().expect("one statement").kind
}

fn value(source: &str) -> ExprKind {
    match parse_expression(source) {
        Ok(expression) => expression.kind,
        Err(error) => panic!("{source:?}: {error}"),
    }
}

#[test]
fn every_added_statement_parses() {
    let sources = [
        "x += 1\nx -= 1\nx *= 2\nx /= 2\nx //= 2\nx %= 2\nx **= 2\nx &= 1\nx |= 1\nx ^= 1\nx <<= 1\nx >>= 1",
        "a, b = b, a\n(a, b), *c = d\n[a, [b, c]] = d\n*a, b = c\na = b = 1",
        "for k, v in items:\n    pass\nelse:\n    pass",
        "while x:\n    break\nelse:\n    pass",
        "del a, b[0], c.d, e[1:2]",
        "def f(a, b=1, *c, d, e=2, **g):\n    return",
        "def f(a, *, b):\n    yield\n    x = yield a\n    yield a, b",
        "def f():\n    \"doc\"\n    def g():\n        nonlocal x, y\n        global z\n    return g",
        "class B(A):\n    \"\"\"doc\"\"\"\n    x = 1\n    def f(self):\n        super().f()",
        "class B(m.A, C):\n    pass\nclass D():\n    pass",
        "try:\n    pass\nexcept A as e:\n    raise\nexcept (A, b.C):\n    pass\nexcept m.E as e:\n    pass\nelse:\n    pass\nfinally:\n    pass",
        "try:\n    pass\nfinally:\n    pass",
        "import a.b as c, d\nfrom a.b import c, d as e\nfrom a import (b,\n    c as d,\n)",
        "with f(x) as y, g() as (a, b), h():\n    pass",
        "assert x\nassert x, \"text\"\nassert(x)\nassert (x, 'text')\nassert not x",
        "@d\n@e.f(1)\ndef g():\n    pass\n@h\nclass A:\n    pass",
        "record Point(x, y=0)\nrecord Line(a, b):\n    def length(self):\n        return 0",
        "enum Color:\n    RED\n    GREEN = 5\n    def name(self):\n        return 1\nenum Dir(UP, DOWN = 3)",
        "match x, y:\n    case 1 | -2 | \"a\" | None:\n        pass\n    case [a, *_, b] if a > b:\n        pass\n    case {\"k\": v, **rest}:\n        pass\n    case Point(0, y=yy) as p:\n        pass\n    case m.C:\n        pass\n    case (a, b), *c:\n        pass\n    case _:\n        pass",
        "return 3\nreturn\nreturn 1, 2",
        "f()()\nfns[0](x)\n(lambda: 1)()\n\"a\".upper()",
        "f(a, *b, c=1, **d)",
    ];
    for source in sources {
        assert_eq!(error(source), "no error", "{source}");
    }
}

#[test]
fn every_added_expression_parses() {
    let sources = [
        "1 < 2 <= 3 != 4",
        "a in b",
        "a not in b",
        "a is None",
        "a is not None",
        "not a in b",
        "a if b else c if d else e",
        "lambda: 1",
        "lambda a, *b, c=1, **d: (a, b)",
        "f(lambda x: x, 1)",
        "a[1:2]",
        "a[:]",
        "a[::2]",
        "a[1:]",
        "a[:-1:2]",
        "a[1, 2]",
        "()",
        "(1,)",
        "1, 2",
        "{1, 2}",
        "{}",
        "{1: 2,}",
        "[x for x in y]",
        "[x for x, (a, b) in y if x if a for z in x]",
        "{x for x in y}",
        "{k: v for k, v in d.items()}",
        "(x for x in y)",
        "sum(x * x for x in y)",
        "-x ** -y ** 2",
        "+x",
        "~x & y | z ^ w << 1 >> 2",
        "a // b % c",
        "0x1F + 0o17 + 0b11 + 1_000 + 1e5 + 1.5E-3",
        "b'a\\xff'",
        "r'\\n'",
        "'''a\nb'''",
        "f\"{a} {b!r:>{w}} {{}} {c=} {d['k']} {e:%d} {x if y else z}\"",
        "rf'\\d{x}'",
        "f'{f\"{x}\"}'",
        "f'''{\nx\n}'''",
        "x.in + x.match",
        "[*a]",
    ];
    for source in sources {
        if source == "[*a]" {
            assert!(
                parse_expression(source).is_err(),
                "a star stands only in calls and targets"
            );
        } else {
            value(source);
        }
    }
}

#[test]
fn chains_of_comparisons_are_one_node() {
    let ExprKind::Compare { rest, .. } = value("a < b not in c is not d") else {
        panic!()
    };
    let operators: Vec<_> = rest.iter().map(|step| step.operator).collect();
    assert_eq!(
        operators,
        [
            CompareOperator::Less,
            CompareOperator::NotIn,
            CompareOperator::IsNot
        ]
    );
}

#[test]
fn powers_bind_tighter_than_signs_and_group_to_the_right() {
    let ExprKind::Unary { operand, .. } = value("-a ** b ** c") else {
        panic!()
    };
    let ExprKind::Binary { rest, .. } = operand.kind else {
        panic!()
    };
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].operator, BinaryOperator::Power);
    assert!(matches!(rest[0].operand.kind, ExprKind::Binary { .. }));
}

#[test]
fn format_strings_have_parts() {
    let ExprKind::Format(parts) = value(r#"f"a{{b\n{c!r:>{w}}{d=}""#) else {
        panic!()
    };
    assert_eq!(parts[0], FormatPart::Literal("a{b\n".into()));
    let FormatPart::Value {
        conversion,
        specification,
        ..
    } = &parts[1]
    else {
        panic!()
    };
    assert_eq!(*conversion, Some(Conversion::Repr));
    assert_eq!(specification[0], FormatPart::Literal(">".into()));
    assert!(matches!(specification[1], FormatPart::Value { .. }));
    assert_eq!(parts[2], FormatPart::Literal("d=".into()));
    assert!(matches!(
        parts[3],
        FormatPart::Value {
            conversion: Some(Conversion::Repr),
            ..
        }
    ));
}

#[test]
fn format_string_errors_are_clear() {
    for (source, detail) in [
        ("f\"{}\"", "empty value in format string"),
        ("f\"}\"", "single '}' in format string"),
        (
            "f\"{a!z}\"",
            "expected 's' or 'r' after '!' in format string",
        ),
        ("f\"{a b}\"", "unexpected token 'b'"),
        ("f\"{a +}\"", "unexpected end of expression"),
        ("f\"{a\"", "unterminated string literal"),
    ] {
        let text = error(&format!("x = {source}"));
        assert!(text.contains(detail), "{source}: {text}");
    }
}

#[test]
fn literals_of_other_bases_have_their_values() {
    assert_eq!(value("0x1F"), ExprKind::Integer(Integer::Small(31)));
    assert_eq!(value("0o17"), ExprKind::Integer(Integer::Small(15)));
    assert_eq!(value("0b101"), ExprKind::Integer(Integer::Small(5)));
    assert_eq!(
        value("1_000_000"),
        ExprKind::Integer(Integer::Small(1_000_000))
    );
    assert_eq!(value("1.5E-3"), ExprKind::Float(0.0015));
}

#[test]
fn unpacking_targets_keep_their_shape() {
    let StmtKind::Assign { targets, .. } = only("a, *b, (c, d.e), f[0] = x") else {
        panic!()
    };
    let TargetKind::Unpack {
        before,
        rest,
        after,
    } = &targets[0].kind
    else {
        panic!()
    };
    assert_eq!((before.len(), rest.is_some(), after.len()), (1, true, 2));
    assert!(matches!(&after[0].kind, TargetKind::Unpack { before, .. } if before.len() == 2));
}

#[test]
fn a_generator_is_a_function_with_a_yield_of_its_own() {
    let flags = |source: &str| match only(source) {
        StmtKind::Function(function) => function.is_generator,
        other => panic!("{other:?}"),
    };
    assert!(flags("def f():\n    if x:\n        yield 1"));
    assert!(!flags("def f():\n    def g():\n        yield 1"));
    assert!(!flags("def f():\n    g = lambda: (yield)"));
    assert_eq!(error("yield 1"), "line 1: yield outside function");
    assert_eq!(
        error("def f():\n    x = [(yield a) for a in b]"),
        "line 2: yield inside a comprehension"
    );
}

#[test]
fn a_typed_except_binds_the_error() {
    let StmtKind::Try(statement) = only("try:\n    pass\nexcept (A, B) as e:\n    pass") else {
        panic!()
    };
    let ExceptFilter::Types { types, binding } = &statement.handlers[0].filter else {
        panic!()
    };
    assert!(matches!(types.kind, ExprKind::Tuple(_)));
    assert!(binding.as_ref().is_some_and(|name| *name == "e"));
}

#[test]
fn patterns_have_their_kinds() {
    let StmtKind::Match { cases, .. } =
        only("match x:\n    case [a, _, *r]:\n        pass\n    case A.B | C():\n        pass")
    else {
        panic!()
    };
    let PatternKind::Sequence(items) = &cases[0].pattern.kind else {
        panic!()
    };
    assert!(matches!(items[0].kind, PatternKind::Capture(_)));
    assert!(matches!(items[1].kind, PatternKind::Wildcard));
    assert!(matches!(items[2].kind, PatternKind::Star(Some(_))));
    let PatternKind::Or(choices) = &cases[1].pattern.kind else {
        panic!()
    };
    assert!(matches!(choices[0].kind, PatternKind::Value(_)));
    assert!(matches!(choices[1].kind, PatternKind::Class(_)));
}

#[test]
fn a_generator_argument_needs_no_parentheses() {
    let ExprKind::Call { arguments, .. } = value("f(x for x in y)") else {
        panic!()
    };
    let Argument::Positional(Expr {
        kind: ExprKind::Comprehension(comprehension),
        ..
    }) = &arguments[0]
    else {
        panic!()
    };
    assert!(matches!(
        comprehension.element,
        ComprehensionElement::Generator(_)
    ));
}

#[test]
fn misplaced_additions_are_errors() {
    for (source, message) in [
        ("f(a=1, b)", "positional argument after keyword argument"),
        ("f(a=1, a=2)", "keyword argument 'a' is repeated"),
        (
            "def f(a=1, b):\n    pass",
            "a parameter without a default follows one with a default",
        ),
        ("def f(**a, b):\n    pass", "invalid parameter list"),
        ("def f(*):\n    pass", "invalid parameter list"),
        ("*a, *b = c", "only one target can have a star"),
        ("a, b += 1", "unexpected token ','"),
        ("(a, b) += 1", "expected a name, attribute, or index target"),
        ("enum A(B, B)", "enum member 'B' is repeated"),
        ("match x:\n    pass", "expected 'case'"),
        ("@d\nx = 1", "expected a definition after the decorator"),
        ("x = a if b", "expected 'else' after the condition"),
        ("from a import", "invalid import target"),
        (
            "x = b'é'",
            "a bytes literal holds ASCII characters and escapes",
        ),
    ] {
        let text = error(source);
        assert!(text.contains(message), "{source}: {text}");
    }
}

#[test]
fn the_prompt_accepts_bare_expressions() {
    assert!(parse_interactive("1 + 2").is_ok());
    assert!(parse_interactive("x").is_ok());
    assert!(parse("1 + 2").is_err());
}

#[test]
fn a_docstring_stands_first() {
    let module = parse("\"\"\"About.\"\"\"\nx = 1").expect("a docstring may begin a file");
    assert_eq!(module.docstring().map(|text| &**text), Some("About."));
    assert!(parse("x = 1\n\"text\"").is_err());
}

#[test]
fn triple_quoted_strings_span_lines() {
    let source = "x = \"\"\"a\n  # no comment (\n'b'\"\"\" + [\n  1]\ny = 2";
    let statements = body(source);
    assert_eq!(statements[1].span.line, 5);
    assert_eq!(
        error("x = \"\"\"a\nb"),
        "line 1: unterminated triple-quoted string opened at column 5"
    );
}

#[test]
fn deep_nesting_is_an_error_and_long_chains_are_not() {
    let deep = [
        format!("x = {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("x = {}1{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("x = {}1", "-".repeat(100_000)),
        format!("x = {}1", "not ".repeat(100_000)),
        format!("x = a{}", ".b".repeat(100_000)),
        format!("x = a{}", "()".repeat(100_000)),
        format!("x = {}1", "2 ** ".repeat(100_000)),
        format!("x = {}1", "lambda: ".repeat(100_000)),
        format!("x = {}1", "1 if 2 else ".repeat(100_000)),
        format!("{}x{} = 1", "(".repeat(100_000), ",)".repeat(100_000)),
        format!(
            "match x:\n    case {}1{}:\n        pass",
            "[".repeat(100_000),
            "]".repeat(100_000)
        ),
    ];
    for source in deep {
        let text = error(&source);
        assert!(
            text.contains("nested too deeply"),
            "{}",
            &text[..80.min(text.len())]
        );
    }
    let long = [
        format!("x = 1{}", " + 1".repeat(100_000)),
        format!("x = 1{}", " and 1".repeat(100_000)),
        format!("x = 1{}", " < 1".repeat(100_000)),
        format!("x = [{}]", "1, ".repeat(100_000)),
        format!("if x:\n    pass\n{}", "elif x:\n    pass\n".repeat(100_000)),
        format!("x = {}1", "y = ".repeat(100_000)),
    ];
    for source in long {
        assert_eq!(error(&source), "no error");
    }
}

#[test]
fn deep_blocks_are_an_error() {
    let mut source = String::new();
    for level in 0..1000 {
        source.push_str(&"    ".repeat(level));
        source.push_str("if x:\n");
    }
    assert!(error(&source).contains("blocks are nested too deeply"));
}
