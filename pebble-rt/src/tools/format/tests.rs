//! The formatter's rules, and what holds for every program.

use super::format;
use super::layout::comment_texts;
use crate::syntax::parse;
use alloc::string::String;

fn formatted(source: &str) -> String {
    match format(source) {
        Ok(text) => text,
        Err(error) => panic!("{source:?}: {error}"),
    }
}

/// Formats, and checks that the meaning and the comments are the same and that a second time changes nothing.
fn check(source: &str, expected: &str) {
    let text = formatted(source);
    assert_eq!(text, expected);
    assert_eq!(formatted(&text), text, "formatting twice");
    let before = parse(source).map(|module| alloc::format!("{module:?}"));
    let after = parse(&text).map(|module| alloc::format!("{module:?}"));
    assert_eq!(before, after);
    assert_eq!(comment_texts(source), comment_texts(&text));
}

#[test]
fn blanks_go_where_they_belong() {
    let cases = [
        ("x=1", "x = 1\n"),
        ("x   =f( a,b )[ 1 ]", "x = f(a, b)[1]\n"),
        ("x=-1+ -y**-z", "x = -1 + -y ** -z\n"),
        ("x = a[1 : 2]+a[ : : 2]", "x = a[1:2] + a[::2]\n"),
        ("x={1:2 , 'a':[ 3,4, ]}", "x = {1: 2, 'a': [3, 4,]}\n"),
        ("f( *b, a = 1 , ** c )", "f(*b, a=1, **c)\n"),
        (
            "def f ( a,b = 1 , * , c ) :\n    pass",
            "def f(a, b=1, *, c):\n    pass\n",
        ),
        ("x=lambda a,b=1:a+b", "x = lambda a, b=1: a + b\n"),
        (
            "x=[lambda:1,lambda *a:2]",
            "x = [lambda: 1, lambda *a: 2]\n",
        ),
        (
            "if(x):\n    pass\nelse :\n    pass",
            "if (x):\n    pass\nelse:\n    pass\n",
        ),
        ("print(a,b)", "print(a, b)\n"),
        ("print (a)+b", "print (a) + b\n"),
        ("print -1", "print -1\n"),
        ("x = not(a)and(b)", "x = not (a) and (b)\n"),
        ("x+=1", "x += 1\n"),
        ("a,*b=c", "a, *b = c\n"),
        ("x=1 .y", "x = 1 .y\n"),
        (
            "@ d . e(1)\ndef f():\n    pass",
            "@d.e(1)\ndef f():\n    pass\n",
        ),
        ("import a.b  as c", "import a.b as c\n"),
        ("for i in(1,2) :\n    pass", "for i in (1, 2):\n    pass\n"),
        (
            "match = f(1)\nmatch(2)\nx = match[0]",
            "match = f(1)\nmatch(2)\nx = match[0]\n",
        ),
        (
            "match(a):\n    case -1:\n        pass",
            "match (a):\n    case -1:\n        pass\n",
        ),
        ("x = a if b else-c", "x = a if b else -c\n"),
        ("x = [-1, +2, ~3, *f]", ""),
    ];
    for (source, expected) in cases {
        if expected.is_empty() {
            assert!(format(source).is_err());
        } else {
            check(source, expected);
        }
    }
}

#[test]
fn comments_stay_with_their_lines() {
    check(
        "#!shebang\n#note\nx = 1# behind\n\n\n\n\n  # before y\ny = [ # open\n  1,# one\n      # alone\n  2\n ] # close\n#end",
        "#!shebang\n# note\nx = 1  # behind\n\n\n# before y\ny = [  # open\n    1,  # one\n    # alone\n    2\n]  # close\n# end\n",
    );
    check(
        "if x:\n    # first\n    pass\n    # last of the block\n# of the file\ny = 1\n",
        "if x:\n    # first\n    pass\n    # last of the block\n# of the file\ny = 1\n",
    );
}

#[test]
fn line_breaks_inside_brackets_stay() {
    check(
        "x = f(a,\n  b, {\n 'k': 1,\n   'l': [2,\n3]},\n)\n",
        "x = f(a,\n    b, {\n        'k': 1,\n        'l': [2,\n            3]},\n)\n",
    );
}

#[test]
fn strings_are_left_alone() {
    check(
        "x = '''a\n  b  '''+\"c  d\"",
        "x = '''a\n  b  ''' + \"c  d\"\n",
    );
    check("x = f\"{a  +b}\"", "x = f\"{a  +b}\"\n");
}

#[test]
fn line_ends_become_line_feeds() {
    check("x = 1\r\n\r\n\r\n\r\n\r\ny = 2\r", "x = 1\n\n\ny = 2\n");
}

#[test]
fn an_empty_program_stays_empty() {
    check("", "");
    check("\n\n", "");
    check("# only a comment", "# only a comment\n");
}

#[test]
fn a_program_that_does_not_parse_is_refused() {
    assert!(format("x = = 1").is_err());
}

#[test]
fn a_keyword_that_is_assigned_to_stays_a_name() {
    for source in ["return=1\n", "print=2\n", "raise+=3\n"] {
        let formatted = format(source).expect("it parses");
        let meaning = |text| alloc::format!("{:?}", parse(text).expect("it parses"));
        assert_eq!(meaning(source), meaning(&formatted), "{formatted}");
    }
}
