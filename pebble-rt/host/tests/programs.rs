//! The system's own programs, run as a user runs them.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of its own for each test, removed at the end.
struct Root(PathBuf);

impl Root {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("pebble-programs-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a writable temporary folder");
        std::fs::write(path.join("f.txt"), "one two\nthree\n\nthree\n")
            .expect("a writable temporary folder");
        Self(path)
    }

    /// Output and status of a program.
    fn run(&self, program: &str, arguments: &[&str], input: &str) -> (String, i32) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pebble"))
            .args(["run", "--root"])
            .arg(&self.0)
            .arg(format!("system/{program}.peb"))
            .args(arguments)
            .env_remove("PEBBLE_ALLOW_SYSTEM_WRITES")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut stdin = child.stdin.take().expect("it was asked for");
        // A program that reads nothing has closed its end by now, which is no failure.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let ended = child.wait_with_output().expect("it ends");
        let mut text = String::from_utf8_lossy(&ended.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&ended.stderr));
        (text, ended.status.code().unwrap_or(-1))
    }

    /// What a line gives in the shell.
    fn shell(&self, line: &str) -> String {
        self.run("bin/sh", &["-c", line], "").0
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn text_programs_filter_their_input() {
    let root = Root::new();
    for (program, arguments, output) in [
        ("echo", &["a", "b"][..], "a b\n"),
        ("cat", &["f.txt"], "one two\nthree\n\nthree\n"),
        ("head", &["-n", "1", "f.txt"], "one two\n"),
        ("tail", &["-1", "f.txt"], "three\n"),
        ("wc", &["f.txt"], "4 4 21 f.txt\n"),
        ("grep", &["-n", "three", "f.txt"], "2:three\n4:three\n"),
        ("grep", &["-E", "^o.e", "f.txt"], "one two\n"),
        ("sort", &["-r", "f.txt"], "three\nthree\none two\n\n"),
        ("cut", &["-d", " ", "-f", "2", "-s", "f.txt"], "two\n"),
        ("tac", &["f.txt"], "three\n\nthree\none two\n"),
        ("basename", &["a/b.txt", ".txt"], "b\n"),
        ("dirname", &["a/b"], "a\n"),
        ("expr", &["2", "+", "3", "*", "4"], "14\n"),
        ("seq", &["3", "-1", "1"], "3\n2\n1\n"),
        ("printf", &["%03d|%-4s|\\n", "7", "ab"], "007|ab  |\n"),
        ("test", &["-p", "1", "-lt", "2"], "true\n"),
        ("which", &["ls"], "/system/bin/ls.peb\n"),
        (
            "uname",
            &["-a"],
            "PebbleOS pebble-os 0.2.0 Pebble OS 0.2.0 pebble-vm\n",
        ),
        ("version", &["--short"], "0.2.0\n"),
        (
            "find",
            &["system/etc", "-name", "pass"],
            "system/etc/passwd\n",
        ),
    ] {
        assert_eq!(
            root.run(&format!("bin/{program}"), arguments, ""),
            (output.to_string(), 0),
            "{program} {arguments:?}"
        );
    }
    assert_eq!(root.run("bin/tr", &["a-z", "A-Z"], "abc\n").0, "ABC\n");
    assert_eq!(
        root.run("bin/uniq", &["-c"], "a\na\nb\n").0,
        "      2 a\n      1 b\n"
    );
}

#[test]
fn failures_are_one_line_and_a_status() {
    let root = Root::new();
    assert_eq!(
        root.run("bin/cat", &["none"], ""),
        ("cat: none: no such file or directory\n".into(), 1)
    );
    assert_eq!(
        root.run("bin/ls", &["--nonsense"], ""),
        ("ls: unknown option --nonsense\n".into(), 2)
    );
    assert_eq!(
        root.run("bin/grep", &["absent", "f.txt"], ""),
        (String::new(), 1)
    );
    assert_eq!(root.run("bin/cmp", &["f.txt", "none"], "").1, 2);
}

#[test]
fn files_are_copied_moved_and_removed() {
    let root = Root::new();
    assert_eq!(
        root.run("bin/cp", &["f.txt", "g.txt"], "").0,
        "copied f.txt to g.txt\n"
    );
    assert_eq!(
        root.run("bin/cmp", &["f.txt", "g.txt"], ""),
        (String::new(), 0)
    );
    assert_eq!(
        root.run("bin/mv", &["g.txt", "h.txt"], "").0,
        "moved g.txt to h.txt\n"
    );
    assert_eq!(root.run("bin/rm", &["h.txt", "none", "f.txt"], "").1, 1);
    assert!(!root.0.join("h.txt").exists() && !root.0.join("f.txt").exists());
}

#[test]
fn the_shell_expands_connects_and_redirects() {
    let root = Root::new();
    for (line, output) in [
        ("echo one | cat", "one\n"),
        ("X=5; echo $X ${X}y \"$X z\" $((X*2+1))", "5 5y 5 z 11\n"),
        ("echo a > o.txt; echo b >> o.txt; cat < o.txt", "a\nb\n"),
        ("for i in {1..3} x; do echo n$i; done", "n1\nn2\nn3\nnx\n"),
        (
            "n=0; while (( n < 3 )); do n=$(( n + 1 )); done; [ $n -eq 3 ] && echo ok",
            "ok\n",
        ),
        (
            "v=path/to/file.txt; echo ${v%.txt} ${#v} ${v//t/T} ${none:-dflt}",
            "path/to/file 16 paTh/To/file.TxT dflt\n",
        ),
        ("f() { return 3; }; f; echo $?", "3\n"),
        ("echo $(echo inner; echo two) `echo bt`", "inner two bt\n"),
        ("cat <<EOF\nhi $((1+1))\nEOF", "hi 2\n"),
        ("case abc in a*) echo match;; *) echo no;; esac", "match\n"),
        ("cd system; (cd lib; pwd); pwd", "/system/lib\n/system\n"),
        ("echo a | grep b || echo none", "none\n"),
        ("echo 'q  q' \"*\" f.*", "q  q * f.txt\n"),
        ("nosuch; echo $?", "127\n*** unknown command: nosuch\n"),
    ] {
        assert_eq!(root.shell(line), output, "{line}");
    }
}

#[test]
fn a_killed_job_says_so_by_its_status() {
    let root = Root::new();
    assert_eq!(root.shell("sleep 100 & kill $!; wait; echo $?"), "143\n");
}

#[test]
fn the_interactive_shell_greets_and_remembers() {
    let root = Root::new();
    let (text, status) = root.run("shell", &[], "echo hi\nhistory\nexit 3\n");
    assert!(text.starts_with(
        "Pebble OS shell\nFilesystem mode: hostfs\nFilesystem: rooted paths with directories\n"
    ));
    assert!(text.contains("pebble-os:/> hi\n") && text.contains("1  echo hi\n2  history\n"));
    assert_eq!(status, 3);
    assert!(root.0.join("etc/passwd").exists());
}

#[test]
fn the_library_modules_compute() {
    let root = Root::new();
    let program = "\
import numpy
import torch
import re
print numpy.dot([[1, 2], [3, 4]], [[1, 2], [3, 4]]), numpy.mean([[1, 2], [3, 4]], 0)
a = torch.tensor([2.0], True)
b = a.mul(a)
b.backward()
print a.grad
print re.sub(\"[0-9]+\", \"<\\\\g<0>>\", \"a12\"), re.search(\"(?P<k>[a-z])=\", \"k=1\").group(\"k\")
";
    std::fs::write(root.0.join("program.peb"), program).expect("a writable folder");
    let shown = root.shell("run program.peb");
    assert_eq!(
        shown,
        "[[7, 10], [15, 22]] [2.0, 3.0]\ntensor([4.0])\na<12> k\n"
    );
}

#[test]
fn a_c_program_becomes_a_pebble_program() {
    let root = Root::new();
    let source = "#include <stdio.h>\nint square(int x) { return x * x; }\nint main() {\n    int total = 0;\n    for (int i = 0; i < 4; i++) { if (i == 2) continue; total += square(i); }\n    printf(\"%d %d\\n\", total, 7 / 2);\n    return 0;\n}\n";
    std::fs::write(root.0.join("a.c"), source).expect("a writable folder");
    assert_eq!(
        root.shell("gcc a.c -o a.peb && run a.peb"),
        "wrote a.peb\n10 3\n"
    );
}
