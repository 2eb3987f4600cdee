//! What the checker finds, and what it leaves alone.

use super::{Arity, Known};
use super::{Environment, check};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

fn findings(source: &str) -> Vec<String> {
    let mut environment = Environment::new();
    environment.add(
        "len",
        Known {
            arity: Some(Arity {
                least: 1,
                most: Some(1),
            }),
            ..Known::default()
        },
    );
    environment.add(
        "append",
        Known {
            arity: Some(Arity {
                least: 2,
                most: Some(2),
            }),
            ..Known::default()
        },
    );
    check(source, &environment)
        .iter()
        .map(|one| {
            format!(
                "{} {} {}: {}",
                one.span.line,
                one.severity.name(),
                one.code,
                one.full_message()
            )
        })
        .collect()
}

fn assert_finds(source: &str, expected: &[&str]) {
    assert_eq!(findings(source), expected, "{source}");
}

#[test]
fn a_sound_program_has_no_findings() {
    assert_finds(
        "import math\nx = [1]\ndef f(a, b=1):\n    y = a + len(x)\n    def g():\n        return y\n    return g() + b\n\
         class C:\n    STEP = 2\n    def __init__(self, n):\n        self.n = n + STEP\n        helper()\n    def helper():\n        pass\n\
         c = C(1)\nprint f(1), f(1, b=2), c.n, ARGV, math.abs(1)\nfor k, v in [(1, 2)]:\n    print [k + z for z in x if z], v\n\
         try:\n    raise 1\nexcept err:\n    print err\nexcept ValueError as e:\n    print e.message\n",
        &[],
    );
}

#[test]
fn unknown_names_come_with_a_guess() {
    assert_finds(
        "count = 1\nprint cuont",
        &["2 error unknown-name: unknown name 'cuont'; did you mean 'count'?"],
    );
    assert_finds(
        "x = lenn(\"a\")",
        &["1 error unknown-name: unknown name 'lenn'; did you mean 'len'?"],
    );
    assert_finds(
        "print zebra",
        &["1 error unknown-name: unknown name 'zebra'"],
    );
    assert_finds(
        "def f(a):\n    return lambda b: a + b + c",
        &["2 error unknown-name: unknown name 'c'"],
    );
}

#[test]
fn locals_of_other_functions_are_unknown() {
    assert_finds(
        "def f():\n    secret = 1\ndef g():\n    return secret",
        &["4 error unknown-name: unknown name 'secret'"],
    );
    assert_finds(
        "def f():\n    global shared\n    shared = 1\ndef g():\n    return shared",
        &[],
    );
    assert_finds("def f():\n    def inner():\n        pass\ninner()", &[]);
}

#[test]
fn wrong_argument_counts_are_found() {
    assert_finds(
        "def f(a, b):\n    pass\nf(1)",
        &["3 error arguments: function 'f' expected 2 arguments but got 1"],
    );
    assert_finds(
        "def f(a, b=1):\n    pass\nf()",
        &["3 error arguments: function 'f' expected 1 to 2 arguments but got 0"],
    );
    assert_finds(
        "x = len()",
        &["1 error arguments: function 'len' expected 1 arguments but got 0"],
    );
    assert_finds(
        "def f(a):\n    pass\nf(b=1)",
        &["3 error arguments: function 'f' has no parameter 'b'"],
    );
    assert_finds(
        "class C:\n    pass\nx = C(1)",
        &["3 error arguments: class 'C' expected 0 arguments but got 1"],
    );
    assert_finds(
        "class C:\n    def __init__(self, a):\n        pass\nx = C()",
        &["4 error arguments: function '__init__' expected 2 arguments but got 1"],
    );
    assert_finds(
        "record P(x, y)\np = P(1)",
        &["2 error arguments: record 'P' expected 2 arguments but got 1"],
    );
}

#[test]
fn what_may_be_right_is_left_alone() {
    for source in [
        "def f(a):\n    pass\ndef f(a, b):\n    pass\nf(1, 2)",
        "def f(a):\n    pass\nf = len\nf(\"x\", 2)",
        "def f(*a):\n    pass\nf(1, 2, 3)",
        "def f(a):\n    pass\nx = [1]\nf(*x)",
        "def g(f):\n    return f(1, 2, 3)\ndef f(a):\n    pass",
        "def len(a, b):\n    return 1\nlen(1, 2)",
        "import other\nclass C(other.Base):\n    def f(self):\n        return inherited()",
    ] {
        assert_finds(source, &[]);
    }
}

#[test]
fn unreachable_code_is_found() {
    let unreachable = "warning unreachable: this code is never reached";
    assert_finds(
        "def f():\n    return 1\n    x = 2\n    y = 3",
        &[&format!("3 {unreachable}")],
    );
    assert_finds(
        "while True:\n    pass\nx = 1",
        &[&format!("3 {unreachable}")],
    );
    assert_finds("while True:\n    break\nx = 1", &[]);
    assert_finds(
        "while 1:\n    for a in [1]:\n        break\nx = 1",
        &[&format!("4 {unreachable}")],
    );
    assert_finds(
        "def f(a):\n    if a:\n        return 1\n    else:\n        raise 2\n    return 3",
        &[&format!("6 {unreachable}")],
    );
}

#[test]
fn a_syntax_error_is_the_only_finding() {
    assert_finds(
        "x = \nprint y",
        &["1 error syntax: invalid expression at column 1: unexpected end of expression"],
    );
}
