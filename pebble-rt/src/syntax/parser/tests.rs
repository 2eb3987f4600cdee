//! The language's first version: sections 1 to 3, 15.8 and 23.

use crate::syntax::ast::{ExceptFilter, Expr, ExprKind, Stmt, StmtKind, TargetKind};
use crate::syntax::parse;
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

fn value(source: &str) -> Expr {
    match only(&format!("x = {source}")) {
        StmtKind::Assign { value, .. } => value,
        other => panic!("{other:?}"),
    }
}

const EXPECTED: &str = "expected assignment, print, if, while, for, def, class, return, raise, import, try, pass, break, \
                        continue, or a function call";

#[test]
fn tabs_are_refused_everywhere() {
    for source in [
        "x = 1\n\ty = 2",
        "x = 1\nprint \"a\tb\"",
        "x = 1\n# a\tb",
        "x = 1\n\t",
        "x = 1\ny = (1,\t2)",
    ] {
        assert_eq!(
            error(source),
            "line 2: tabs are not allowed; use four spaces",
            "{source:?}"
        );
    }
}

#[test]
fn indentation_is_in_fours() {
    assert_eq!(
        error("if x:\n   pass"),
        "line 2: indentation must use multiples of four spaces"
    );
    assert_eq!(
        error("  # a comment may stand anywhere\n     \nx = [1,\n  2]\n"),
        "no error"
    );
    assert_eq!(
        error("    x = 1"),
        "line 1: unexpected indentation; expected level 0, got level 1"
    );
    assert_eq!(
        error("x = 1\n        y = 1"),
        "line 2: unexpected indentation; expected level 0, got level 2"
    );
    assert_eq!(
        error("if x:\n        pass"),
        "line 2: indentation must increase by exactly four spaces; expected level 1, got level 2"
    );
    assert_eq!(
        error("x = 1\n\nif x:\ny = 1"),
        "line 3: expected an indented block"
    );
    assert_eq!(
        error("while x:\n# nothing\n"),
        "line 1: expected an indented block"
    );
}

#[test]
fn line_ends_count_however_they_are_spelled() {
    for line_end in ["\n", "\r\n", "\r"] {
        let source = ["x = 1", "", "# c", "y = = 2"].join(line_end);
        assert!(error(&source).starts_with("line 4: "), "{source:?}");
    }
}

#[test]
fn an_escaped_quote_does_not_end_a_string_before_a_comment() {
    assert_eq!(
        value(r##""a\"b # c" # d"##).kind,
        ExprKind::String("a\"b # c".into())
    );
}

#[test]
fn brackets_join_lines() {
    let statements = body("x = [1, # one\n\n  # two\n      2,\n3]\ny = 1");
    assert_eq!(statements[0].span.line, 1);
    assert_eq!(statements[1].span.line, 6);
    assert_eq!(
        error("x = (1 +\n   2 3)"),
        "line 1: invalid expression at column 8: expected ')' after expression\n(1 + 2 3)\n       ^"
    );
}

#[test]
fn bracket_errors_come_before_all_others() {
    assert_eq!(
        error("x = = 1\ny = 1)"),
        "line 2: unmatched closing bracket ')' at column 6"
    );
    assert_eq!(
        error("if x:\n    y = (1]"),
        "line 2: closing bracket ']' at column 7 does not match '(' opened at line 2 column 5"
    );
    assert_eq!(
        error("x = {1: [\n    2,\n  (3]"),
        "line 3: closing bracket ']' at column 3 does not match '(' opened at line 3 column 1"
    );
    assert_eq!(
        error("a = 1\nx = [1,\n    f(2,\n    3"),
        "line 2: unterminated bracketed expression; '(' opened at line 3 column 2"
    );
    assert_eq!(error("x = \"(\"\ny = ')' # ("), "no error");
}

#[test]
fn expression_errors_show_the_expression_and_a_caret() {
    let cases = [
        (
            "x = 1 +",
            "at column 4: unexpected end of expression\n1 +\n   ^",
        ),
        ("x =", "at column 1: unexpected end of expression\n\n^"),
        ("x = 1 2", "at column 3: unexpected token '2'\n1 2\n  ^"),
        (
            "x = a \"b\"",
            "at column 3: unexpected token '\"b\"'\na \"b\"\n  ^",
        ),
        (
            "print 1 $ 2",
            "at column 3: unexpected character '$'\n1 $ 2\n  ^",
        ),
        (
            "print \"abc",
            "at column 1: unterminated string literal\n\"abc\n^",
        ),
        (
            "return 'é' ü'x",
            "at column 6: unterminated string literal\n'é' ü'x\n     ^",
        ),
        (
            "x = (1 2)",
            "at column 4: expected ')' after expression\n(1 2)\n   ^",
        ),
        (
            "f(1 2)",
            "at column 5: expected ')' after function arguments\nf(1 2)\n    ^",
        ),
        (
            "x = [1 2]",
            "at column 4: expected ']' after list literal\n[1 2]\n   ^",
        ),
        (
            "x = a[1 2]",
            "at column 5: expected ']' after index expression\na[1 2]\n    ^",
        ),
        (
            "x = {1: 2 3}",
            "at column 7: expected '}' after dict literal\n{1: 2 3}\n      ^",
        ),
        (
            "x = {1 2}",
            "at column 4: expected ':' in dict literal\n{1 2}\n   ^",
        ),
        (
            "x = {1: 2, 3}",
            "at column 9: expected ':' in dict literal\n{1: 2, 3}\n        ^",
        ),
        (
            "x = a.",
            "at column 3: expected attribute name after '.'\na.\n  ^",
        ),
        (
            "x = a.1",
            "at column 3: expected attribute name after '.'\na.1\n  ^",
        ),
        ("x = f(,)", "at column 3: unexpected token ','\nf(,)\n  ^"),
        ("raise )", "unmatched"),
        (
            "print x = 1",
            "at column 3: unexpected token '='\nx = 1\n  ^",
        ),
        ("a b c", "at column 3: unexpected token 'b'\na b c\n  ^"),
        (
            "x = not",
            "at column 4: unexpected end of expression\nnot\n   ^",
        ),
        (
            "x = 1 == not 2",
            "at column 6: unexpected token 'not'\n1 == not 2\n     ^",
        ),
        (
            "if 1 +:\n    pass",
            "at column 4: unexpected end of expression\n1 +\n   ^",
        ),
        (
            "while  x y :\n    pass",
            "at column 3: unexpected token 'y'\nx y\n  ^",
        ),
    ];
    for (source, expected) in cases {
        let text = error(source);
        if expected == "unmatched" {
            assert_eq!(text, "line 1: unmatched closing bracket ')' at column 7");
        } else {
            assert_eq!(
                text,
                format!("line 1: invalid expression {expected}"),
                "{source:?}"
            );
        }
    }
}

#[test]
fn target_errors_have_their_own_prefix() {
    let target = |detail: &str| format!("line 1: invalid assignment target at column {detail}");
    assert_eq!(
        error("f(x) = 5"),
        target("1: expected a name, attribute, or index target\nf(x)\n^")
    );
    assert_eq!(
        error("1 = 5"),
        target("1: expected a name, attribute, or index target\n1\n^")
    );
    assert_eq!(
        error("x + 1 = 5"),
        target("3: unexpected token '+'\nx + 1\n  ^")
    );
    assert_eq!(error("= 5"), target("1: unexpected end of expression\n\n^"));
    assert_eq!(
        error("x. = 5"),
        target("3: expected attribute name after '.'\nx.\n  ^")
    );
    assert_eq!(
        error("None = 5"),
        target("1: expected a name, attribute, or index target\nNone\n^")
    );
}

#[test]
fn what_is_no_chain_of_targets_is_a_wrong_value() {
    assert_eq!(
        error("x = 1; y = 2"),
        "line 1: invalid expression at column 2: unexpected character ';'\n1; y = 2\n ^"
    );
    assert_eq!(
        error("x = f(y) = 2"),
        "line 1: invalid expression at column 6: unexpected token '='\nf(y) = 2\n     ^"
    );
}

#[test]
fn whole_line_errors() {
    let cases = [
        ("while x", "while statements must end with ':'"),
        ("if x", "if statements must end with ':'"),
        ("if x: y = 1", "if statements must end with ':'"),
        ("while :\n    pass", "missing while condition"),
        ("while:\n    pass", "missing while condition"),
        ("if :\n    pass", "missing if condition"),
        ("for x in y", "invalid for loop syntax"),
        ("for x y:\n    pass", "invalid for loop syntax"),
        ("for in y:\n    pass", "invalid for loop syntax"),
        ("for 1 in y:\n    pass", "invalid for loop syntax"),
        ("for x in :\n    pass", "invalid for loop syntax"),
        ("def f:\n    pass", "invalid function definition"),
        ("def f()\n    pass", "invalid function definition"),
        ("def 1():\n    pass", "invalid function definition"),
        ("def f() x:\n    pass", "invalid function definition"),
        ("def f(1):\n    pass", "invalid parameter list"),
        ("def f(a b):\n    pass", "invalid parameter list"),
        ("def f(a,,b):\n    pass", "invalid parameter list"),
        ("def f(a.b):\n    pass", "invalid parameter list"),
        (
            "def f(a, a):\n    pass",
            "duplicate parameter names are not allowed",
        ),
        ("class A\n    pass", "invalid class definition"),
        ("class 1:\n    pass", "invalid class definition"),
        ("class A B:\n    pass", "invalid class definition"),
        ("import 1", "invalid import target"),
        ("import a..b", "invalid import target"),
        ("import a b", "invalid import target"),
        ("import a.", "invalid import target"),
        ("try:\n    pass", "try requires an except block"),
        ("except:\n    pass", "except without matching try"),
        ("except e:\n    pass", "except without matching try"),
        ("elif x:\n    pass", "elif without matching if"),
        ("else:\n    pass", "else without matching if"),
        ("break", "break outside loop"),
        ("continue", "continue outside loop"),
        ("x", EXPECTED),
        ("1 + 2", EXPECTED),
        ("x == 1", EXPECTED),
        ("f(1) + 2", EXPECTED),
        ("if", EXPECTED),
    ];
    for (source, expected) in cases {
        assert_eq!(error(source), format!("line 1: {expected}"), "{source:?}");
    }
}

#[test]
fn errors_name_the_line_that_is_wrong() {
    assert_eq!(
        error("try:\n    pass\nx = 1"),
        "line 1: try requires a matching except block"
    );
    assert_eq!(
        error("try:\n    pass\nexcept 1:\n    pass"),
        "line 3: invalid except binding name"
    );
    assert_eq!(
        error("if x:\n    pass\nelif y\n    pass"),
        "line 3: if statements must end with ':'"
    );
    assert_eq!(
        error("if x:\n    pass\nelif :\n    pass"),
        "line 3: missing if condition"
    );
    assert_eq!(
        error("if x:\n    pass\nelse:\n    pass\nelse:\n    pass"),
        "line 5: else without matching if"
    );
    assert_eq!(
        error("for x in y:\n    def f():\n        break"),
        "line 3: break outside loop"
    );
    assert_eq!(
        error("x = 1\ny = 1\n\nz = \"a"),
        "line 4: invalid expression at column 1: unterminated string literal\n\"a\n^"
    );
}

#[test]
fn blanks_around_tokens_are_free() {
    for source in [
        "x=5",
        "x   =   6",
        "for  i  in  f(2) :\n    pass",
        "def f ():\n    pass",
        "class A :\n    pass",
    ] {
        assert_eq!(error(source), "no error", "{source:?}");
    }
    for source in [
        "if(x):\n    pass",
        "while(x):\n    pass",
        "try :\n    pass\nexcept  :\n    pass",
        "if x :\n    pass\nelse :\n    pass",
    ] {
        assert_eq!(error(source), "no error", "{source:?}");
    }
}

#[test]
fn words_that_only_begin_like_keywords_are_names() {
    for source in [
        "printer = 1",
        "iffy = 1",
        "return_value = 1",
        "import_x = 1",
        "passing()",
        "format = 1",
        "classes = 2",
    ] {
        assert_eq!(error(source), "no error", "{source:?}");
    }
}

#[test]
fn words_that_became_keywords_later_stay_names() {
    let names = "match bytes values items sum in abs pow record enum case with as is lambda yield del assert global nonlocal \
                 from finally async await super self type set";
    for name in names.split_whitespace() {
        for source in [
            format!("{name} = 1"),
            format!("{name}[0] = 1"),
            format!("{name}.x = 1"),
            format!("x = {name}"),
            format!("x = {name} + 1"),
            format!("print {name}"),
            format!("x = [{name}, {name}]"),
            format!("x = f({name})"),
            format!("def {name}({name}):\n    {name}({name})\n    return {name}"),
            format!("for {name} in {name}:\n    print {name}"),
            format!("append({name}, 1)"),
            format!("{name} = 1\n{name}(2)"),
            format!("{name} = 1\nx = {{{name}: {name}}}"),
        ] {
            assert_eq!(error(&source), "no error", "{source:?}");
        }
    }
}

#[test]
fn a_call_of_a_name_of_the_programs_stays_a_call() {
    for name in [
        "print", "assert", "del", "yield", "lambda", "match", "with", "record", "enum",
    ] {
        let statements = body(&format!("def {name}(a):\n    pass\n{name}(1)"));
        assert!(
            matches!(
                &statements[1].kind,
                StmtKind::Expression(Expr {
                    kind: ExprKind::Call { .. },
                    ..
                })
            ),
            "{name}: {statements:?}"
        );
    }
}

#[test]
fn print_takes_an_expression() {
    let count = |source: &str| match only(source) {
        StmtKind::Print(values) => values.len(),
        other => panic!("{source}: {other:?}"),
    };
    assert_eq!(count("print (1) + 2"), 1);
    assert_eq!(count("print(1) + 2"), 1);
    assert_eq!(count("print(a, b)"), 2);
    assert_eq!(count("print (a, b)"), 2);
    assert_eq!(count("print a, b, c"), 3);
    assert_eq!(count("print ((a, b))"), 1);
    assert_eq!(count("print (a), (b)"), 2);
    assert_eq!(count("print"), 0);
    assert_eq!(count("print()"), 0);
    assert_eq!(count("print(f(x)).y"), 1);
    assert_eq!(count("print [1, 2]"), 1);
    assert_eq!(count("print(1, 2), 3"), 2);
    assert_eq!(count("print\"tight\""), 1);
    assert_eq!(
        error("print(1 2)"),
        "line 1: invalid expression at column 9: expected ')' after function arguments\nprint(1 2)\n        ^"
    );
    assert_eq!(
        error("print(1) 2"),
        "line 1: invalid expression at column 10: unexpected token '2'\nprint(1) 2\n         ^"
    );
}

#[test]
fn assignment_signs_inside_strings_and_brackets_do_not_count() {
    assert!(matches!(
        only("append(lines, \"a=b\")"),
        StmtKind::Expression(_)
    ));
    assert!(matches!(only("f(a == b)"), StmtKind::Expression(_)));
    assert!(matches!(only("x = a <= b"), StmtKind::Assign { .. }));
    assert!(matches!(only("d[\"a=b\"] = 1"), StmtKind::Assign { .. }));
}

#[test]
fn targets_are_names_indices_and_attributes() {
    let target = |source: &str| match only(source) {
        StmtKind::Assign { mut targets, .. } => targets.pop().expect("a target").kind,
        other => panic!("{other:?}"),
    };
    assert!(matches!(target("x = 1"), TargetKind::Name(_)));
    assert!(matches!(target("(x) = 1"), TargetKind::Name(_)));
    assert!(matches!(
        target("f(x)[0].y = 1"),
        TargetKind::Attribute { .. }
    ));
    assert!(matches!(target("a.b[1] = 1"), TargetKind::Index { .. }));
    assert!(matches!(target("(x).y = 1"), TargetKind::Attribute { .. }));
}

#[test]
fn operators_of_one_level_group_to_the_left() {
    let text = format!("{:?}", value("1 - 2 + 3 * 4").kind);
    assert!(
        text.starts_with("Binary { first: Expr { kind: Integer(Small(1))"),
        "{text}"
    );
    let ExprKind::Binary { rest, .. } = value("1 - 2 + 3 * 4").kind else {
        panic!()
    };
    assert_eq!(rest.len(), 2);
    assert!(matches!(rest[1].operand.kind, ExprKind::Binary { .. }));
}

#[test]
fn literals_have_their_values() {
    use crate::syntax::ast::Integer;
    assert_eq!(value("007").kind, ExprKind::Integer(Integer::Small(7)));
    assert_eq!(value("1.").kind, ExprKind::Float(1.0));
    assert_eq!(
        value("123456789012345678901234567890").kind,
        ExprKind::Integer(Integer::Big {
            digits: "123456789012345678901234567890".into(),
            radix: 10
        })
    );
    assert_eq!(
        value("'a\\n\\t\\q\\\\'").kind,
        ExprKind::String("a\n\tq\\".into())
    );
}

#[test]
fn a_lone_name_behind_except_may_be_a_binding_or_a_class() {
    let StmtKind::Try(statement) = only("try:\n    pass\nexcept err:\n    pass") else {
        panic!()
    };
    assert!(matches!(&statement.handlers[0].filter, ExceptFilter::Name(name) if *name == "err"));
    let StmtKind::Try(statement) = only("try:\n    pass\nexcept:\n    pass") else {
        panic!()
    };
    assert_eq!(statement.handlers[0].filter, ExceptFilter::All);
}

#[test]
fn spans_point_into_the_source() {
    let source = "x = f(a,\n      bcd + 1)\n";
    let ExprKind::Call { arguments, .. } = value(&source[4..]).kind else {
        panic!()
    };
    assert_eq!(arguments.len(), 2);
    let StmtKind::Assign { value, .. } = only(source) else {
        panic!()
    };
    let ExprKind::Call { arguments, .. } = value.kind else {
        panic!()
    };
    let span = arguments[1].value().span;
    assert_eq!(&source[span.start as usize..span.end as usize], "bcd + 1");
    assert_eq!(span.line, 1);
}

#[test]
fn an_error_says_whether_more_text_could_mend_it() {
    for source in [
        "x = (1,",
        "if x:",
        "def f():\n    # c",
        "try:\n    pass",
        "x = \"\"\"a",
        "@d",
        "match x:",
    ] {
        assert!(
            parse(source).is_err_and(|error| error.is_incomplete),
            "{source:?}"
        );
    }
    for source in ["x = )", "x = 1 +", "if x", "x = \"a"] {
        assert!(
            parse(source).is_err_and(|error| !error.is_incomplete),
            "{source:?}"
        );
    }
}
