//! The command as a person uses it: statuses, what goes to which stream, and what the tools print.

mod support;

use std::fs;
use std::process::Output;
use support::{Scratch, pebble};

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> Scratch {
    let scratch = Scratch::new("tools").expect("a folder of our own");
    for (name, text) in files {
        let path = scratch.path().join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder"))
            .expect("we may make folders");
        fs::write(path, text).expect("we may write files");
    }
    scratch
}

fn run(root: &Scratch, words: &[&str], input: &str) -> Output {
    let root = root.path().display().to_string();
    let mut arguments = vec!["--root".to_owned(), root];
    arguments.extend(words.iter().map(|word| (*word).to_owned()));
    pebble(&arguments, input.as_bytes()).expect("the command ends")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_program_gets_its_arguments_and_gives_its_status() {
    let root = folder(&[("sub/a.peb", "print ARGV, ARGC\nreturn 7\n")]);
    for launcher in ["run", "exec"] {
        for file in ["sub/a.peb", "/sub/a.peb", "./sub/a.peb"] {
            let output = run(&root, &[launcher, file, "x", "--root", "-y"], "");
            assert_eq!(
                out(&output),
                "[x, --root, -y] 3\n",
                "{launcher} {file}: {}",
                err(&output)
            );
            assert_eq!(output.status.code(), Some(7));
            assert_eq!(err(&output), "");
        }
    }
}

#[test]
fn an_uncaught_error_is_one_line_unless_more_is_asked_for() {
    let program = "counter = 1\ndef f(a):\n    return a + cuonter\nprint f(1)\n";
    let root = folder(&[("a.peb", program)]);
    let output = run(&root, &["run", "a.peb"], "");
    assert_eq!(err(&output), "a.peb:3: unknown variable 'cuonter'\n");
    assert_eq!(output.status.code(), Some(1));
    let output = run(&root, &["run", "--trace", "a.peb"], "");
    let text = err(&output);
    assert!(
        text.starts_with("a.peb:3: unknown variable 'cuonter'\n"),
        "{text}"
    );
    assert!(
        text.contains("  |     return a + cuonter\n  |                ^^^^^^^\n"),
        "{text}"
    );
    assert!(text.contains("did you mean 'counter'?"), "{text}");
    assert!(
        text.contains("a.peb:4 in top level\n    a.peb:3 in f"),
        "{text}"
    );
}

#[test]
fn a_syntax_error_comes_before_any_output() {
    let root = folder(&[("a.peb", "print 1\nx = 1 +\n")]);
    let output = run(&root, &["run", "a.peb"], "");
    assert_eq!(out(&output), "");
    assert_eq!(
        err(&output),
        "a.peb:2: invalid expression at column 4: unexpected end of expression\n1 +\n   ^\n"
    );
}

#[test]
fn what_is_not_there_is_said() {
    let root = folder(&[]);
    let output = run(&root, &["run", "none.peb"], "");
    assert_eq!(err(&output), "file 'none.peb' does not exist\n");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(run(&root, &["nonsense"], "").status.code(), Some(2));
    assert_eq!(run(&root, &["run"], "").status.code(), Some(2));
    assert_eq!(run(&root, &["run", "../x.peb"], "").status.code(), Some(2));
}

#[test]
fn tests_are_found_and_counted() {
    let root = folder(&[
        (
            "good_test.peb",
            "def test_sum():\n    assert 1 + 1 == 2\ndef helper(x):\n    assert False\n",
        ),
        (
            "sub/bad_test.peb",
            "def test_bad():\n    print \"seen\"\n    assert 1 == 2, \"one is not two\"\n",
        ),
        ("whole_test.peb", "assert True\n"),
        ("no.peb", "assert False\n"),
    ]);
    let output = run(&root, &["test"], "");
    let text = out(&output);
    assert!(text.contains("ok      good_test.peb: test_sum\n"), "{text}");
    assert!(
        text.contains("FAILED  sub/bad_test.peb: test_bad\n        seen\n"),
        "{text}"
    );
    assert!(
        text.contains("sub/bad_test.peb:3: one is not two"),
        "{text}"
    );
    assert!(text.contains("ok      whole_test.peb\n"), "{text}");
    assert!(text.ends_with("2 passed, 1 failed, in 3 files\n"), "{text}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        run(&root, &["test", "good_test.peb"], "").status.code(),
        Some(0)
    );
}

#[test]
fn the_prompt_keeps_what_is_defined_and_shows_values() {
    let root = folder(&[("m.peb", "value = 42\n")]);
    let input = "x = [1, \"a\"]\nx\ndef double(a):\n    return a * 2\n\ndouble(21)\nprint \"hi\"\n\
                 import m\nm.value\nappend(x, None)\n1 / 0\nzzzzzz\nx[0]\nexit\nprint \"not reached\"\n";
    let output = run(&root, &["repl"], input);
    let text = out(&output).replace("pebble> ", "").replace("....... ", "");
    assert_eq!(text, "[1, \"a\"]\n42\nhi\n42\n[1, \"a\", None]\n1\n");
    assert_eq!(
        err(&output),
        "line 1: division by zero\nline 1: unknown variable 'zzzzzz'\n"
    );
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(run(&root, &["repl"], "exit(3)\n").status.code(), Some(3));
}

#[test]
fn the_listing_and_the_profile_name_functions() {
    let root = folder(&[(
        "a.peb",
        "def work(n):\n    t = 0\n    for i in range(n):\n        t += i\n    return t\nprint work(100000)\n",
    )]);
    let listing = out(&run(&root, &["dis", "a.peb"], ""));
    assert!(listing.contains("work(n): Function"), "{listing}");
    let output = run(&root, &["run", "--profile", "a.peb"], "");
    assert_eq!(out(&output), "4999950000\n");
    assert!(err(&output).contains("work (a.peb)"), "{}", err(&output));
}
