//! Makes programs out of bytes: each byte decides something, so that fewer and smaller bytes give a smaller program.
//!
//! The programs are valid, end soon (loops are short, functions do not call themselves), and do what surprises most:
//! copies of nested containers, names in several tables, errors caught inside expressions.

use std::fmt::Write;

/// Which constructs may occur.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// Those of the language's first version.
    Original,
    /// All.
    Whole,
}

/// Blocks inside blocks, at most.
const MAX_BLOCKS: usize = 4;

/// Expressions inside expressions, at most.
const MAX_EXPRESSIONS: usize = 4;

const VARIABLES: [&str; 6] = ["a", "b", "items", "table", "len", "word"];
const FUNCTIONS: [&str; 3] = ["f", "g", "h"];
const FIELDS: [&str; 3] = ["x", "items", "m"];

/// Makes a program of `bytes`.
pub fn program(bytes: &[u8], dialect: Dialect) -> String {
    let mut writer = Writer {
        bytes,
        at: 0,
        dialect,
        text: String::new(),
        level: 0,
        loops: 0,
        in_function: false,
        counters: 0,
    };
    writer.prologue();
    let statements = 3 + writer.below(10);
    for _ in 0..statements {
        // An error must not hide what comes after it.
        writer.line("try:");
        writer.block();
        writer.line("except e:");
        writer.line("    print e");
    }
    writer.line("print [a, b, items, table, word]");
    writer.text
}

struct Writer<'bytes> {
    bytes: &'bytes [u8],
    at: usize,
    dialect: Dialect,
    text: String,
    level: usize,
    /// Loops of the current function around this place.
    loops: usize,
    in_function: bool,
    /// Variables that count rounds of `while`, so far.
    counters: usize,
}

impl Writer<'_> {
    /// A number less than `limit`; 0 when the bytes are used up.
    fn below(&mut self, limit: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(byte) % limit
    }

    fn pick<'list>(&mut self, list: &[&'list str]) -> &'list str {
        list[self.below(list.len())]
    }

    /// True once in `times`, and never when the bytes are used up.
    fn rarely(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    fn line(&mut self, text: &str) {
        for _ in 0..self.level {
            self.text.push_str("    ");
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Names that every program can count on.
    fn prologue(&mut self) {
        self.line("a = 1");
        self.line("b = 2.5");
        self.line("items = [1, [2, 3], \"x\"]");
        self.line("table = {\"k\": [1], \"n\": {\"m\": 2}, 3: \"three\"}");
        self.line("word = \"héllo\"");
        self.line("class C:");
        self.line("    x = 10");
        self.line("    items = [0]");
        self.line("    def __init__(self, v):");
        self.line("        self.v = v");
        self.line("    def m(self, n):");
        self.line("        return [x, self.v, n]");
        self.line("o = C([5])");
        for name in FUNCTIONS {
            self.function(name);
        }
    }

    fn function(&mut self, name: &str) {
        let parameters = if self.dialect == Dialect::Whole && self.rarely(3) {
            "p, q=[7]"
        } else {
            "p, q"
        };
        self.line(&format!("def {name}({parameters}):"));
        let outer = (self.loops, self.in_function);
        (self.loops, self.in_function) = (0, true);
        self.block();
        (self.loops, self.in_function) = outer;
    }

    fn block(&mut self) {
        self.level += 1;
        let statements = 1 + self.below(3);
        for _ in 0..statements {
            self.statement();
        }
        self.level -= 1;
    }

    fn statement(&mut self) {
        if self.level >= MAX_BLOCKS {
            return self.simple();
        }
        match self.below(12) {
            0..=6 => self.simple(),
            7 => self.branch(),
            8 => self.for_loop(),
            9 => self.while_loop(),
            10 => self.attempt(),
            _ if self.dialect == Dialect::Whole => self.added_compound(),
            _ => self.attempt(),
        }
    }

    fn simple(&mut self) {
        let value = self.expression(0);
        let text = match self.below(12) {
            0..=2 => format!("print {value}"),
            3..=5 => format!("{} = {value}", self.pick(&VARIABLES)),
            6 => {
                let (place, index) = (self.place(), self.index());
                format!("{place}[{index}] = {value}")
            }
            7 => format!("append({}, {value})", self.place()),
            8 => format!("o.{} = {value}", self.pick(&FIELDS)),
            9 => self.jump(&value),
            10 if self.dialect == Dialect::Whole => self.added_simple(&value),
            10 => format!("raise {value}"),
            _ => format!(
                "{}({value}, {})",
                self.pick(&FUNCTIONS[1..]),
                self.pick(&VARIABLES)
            ),
        };
        // Functions that call each other freely need not end; the last one may call nothing.
        let text = if self.in_function && ["f(", "g(", "h("].iter().any(|call| text.contains(call))
        {
            format!("print {}", self.pick(&VARIABLES))
        } else {
            text
        };
        self.line(&text);
    }

    fn jump(&mut self, value: &str) -> String {
        match (self.loops, self.in_function) {
            (1.., _) => self.pick(&["break", "continue"]).to_owned(),
            (0, true) => format!("return {value}"),
            (0, false) => "pass".to_owned(),
        }
    }

    fn branch(&mut self) {
        let condition = self.condition();
        self.line(&format!("if {condition}:"));
        self.block();
        if self.rarely(3) {
            let condition = self.condition();
            self.line(&format!("elif {condition}:"));
            self.block();
        }
        if self.rarely(2) {
            self.line("else:");
            self.block();
        }
    }

    fn for_loop(&mut self) {
        let variable = self.pick(&["i", "j", "a"]);
        let over = match self.below(4) {
            0 => "range(3)".to_owned(),
            1 => self.place(),
            2 => "\"ab\"".to_owned(),
            _ => "[[1], [2]]".to_owned(),
        };
        self.line(&format!("for {variable} in {over}:"));
        self.loops += 1;
        self.block();
        self.loops -= 1;
    }

    fn while_loop(&mut self) {
        self.counters += 1;
        let counter = format!("n{}", self.counters);
        self.line(&format!("{counter} = 0"));
        self.line(&format!("while {counter} < 3:"));
        self.level += 1;
        self.line(&format!("{counter} = {counter} + 1"));
        self.level -= 1;
        self.loops += 1;
        self.block();
        self.loops -= 1;
    }

    fn attempt(&mut self) {
        self.line("try:");
        self.block();
        if self.rarely(5) {
            self.line("except:");
        } else {
            self.line("except e:");
        }
        self.level += 1;
        let handler = self.pick(&["pass", "print \"caught\"", "print e"]);
        self.line(handler);
        self.level -= 1;
    }

    fn added_compound(&mut self) {
        match self.below(4) {
            0 => {
                self.line("try:");
                self.block();
                self.line("except ZeroDivisionError as z:");
                self.level += 1;
                self.line("print z.message");
                self.level -= 1;
                self.line("except e:");
                self.level += 1;
                self.line("pass");
                self.level -= 1;
                self.line("finally:");
                let loops = std::mem::take(&mut self.loops);
                self.level += 1;
                self.line("print \"finally\"");
                self.level -= 1;
                self.loops = loops;
            }
            1 => {
                let subject = self.expression(1);
                self.line(&format!("match {subject}:"));
                self.level += 1;
                let pattern =
                    self.pick(&["0 | 1", "[p, *r]", "{\"k\": v}", "str(s)", "c if c == 5"]);
                self.line(&format!("case {pattern}:"));
                self.block();
                self.line("case _:");
                self.block();
                self.level -= 1;
            }
            2 => {
                let place = self.place();
                self.line(&format!("for i, v in enumerate({place}):"));
                self.loops += 1;
                self.block();
                self.loops -= 1;
                self.line("else:");
                self.level += 1;
                self.line("print \"else\"");
                self.level -= 1;
            }
            _ => {
                let body = self.expression(1);
                self.line("def inner(v, *rest):");
                self.level += 1;
                self.line(&format!("return [{body}, v, rest]"));
                self.level -= 1;
                self.line("print inner(1), inner(1, 2)");
            }
        }
    }

    fn added_simple(&mut self, value: &str) -> String {
        let variable = self.pick(&VARIABLES);
        match self.below(10) {
            0 => format!("{variable} += {value}"),
            1 => format!("a, b = b, {value}"),
            2 => format!("print {value}, {variable}"),
            3 => format!("items.append({value})"),
            4 => "del table[\"k\"]".to_owned(),
            5 => format!("items[0:1] = [{value}]"),
            6 => format!("table.update({{\"u\": {value}}})"),
            7 => format!("print f\"{{{variable}}}|{{word!r:>8}}\""),
            8 => format!("assert {value}, \"asserted\""),
            _ => format!("word = str({value}).upper()[1:9]"),
        }
    }

    fn place(&mut self) -> String {
        let place = self.pick(&[
            "items",
            "table",
            "o.items",
            "o.v",
            "table[\"k\"]",
            "items[1]",
            "C.items",
            "word",
            "a",
        ]);
        place.to_owned()
    }

    fn index(&mut self) -> &'static str {
        self.pick(&["0", "1", "-1", "\"k\"", "3", "\"n\"", "True", "99", "None"])
    }

    fn condition(&mut self) -> String {
        let value = self.expression(1);
        match self.below(3) {
            0 => value,
            1 => format!("not {value}"),
            _ => format!("{value} and {}", self.pick(&VARIABLES)),
        }
    }

    fn expression(&mut self, depth: usize) -> String {
        if depth >= MAX_EXPRESSIONS {
            return self.leaf();
        }
        match self.below(16) {
            0..=4 => self.leaf(),
            5 | 6 => {
                let (left, right) = (self.expression(depth + 1), self.expression(depth + 1));
                let operator = self.pick(&["+", "-", "*", "/"]);
                format!("({left} {operator} {right})")
            }
            7 => {
                let (left, right) = (self.expression(depth + 1), self.expression(depth + 1));
                let operator = self.pick(&["==", "!=", "<", ">", "<=", ">="]);
                format!("({left} {operator} {right})")
            }
            8 => {
                let (left, right) = (self.expression(depth + 1), self.expression(depth + 1));
                let operator = self.pick(&["and", "or"]);
                format!("({left} {operator} {right})")
            }
            9 => format!(
                "[{}, {}]",
                self.expression(depth + 1),
                self.expression(depth + 1)
            ),
            10 => format!(
                "{{\"k\": {}, {}: {}}}",
                self.expression(depth + 1),
                self.index(),
                self.leaf()
            ),
            11 => format!("{}[{}]", self.place(), self.index()),
            12 => self.call(depth),
            13 => format!("-{}", self.leaf()),
            14 => format!("o.{}", self.pick(&FIELDS)),
            _ if self.dialect == Dialect::Whole => self.added_expression(depth),
            _ => format!("(not {})", self.leaf()),
        }
    }

    fn call(&mut self, depth: usize) -> String {
        let argument = self.expression(depth + 1);
        match self.below(9) {
            0 => format!("len({argument})"),
            1 => format!("str({argument})"),
            2 => format!("append({}, {argument})", self.place()),
            3 => format!("int({argument})"),
            4 => "keys(table)".to_owned(),
            5 => format!("o.m({argument})"),
            6 => format!("C({argument}).v"),
            7 if !self.in_function => format!("f({argument}, {})", self.leaf()),
            8 if !self.in_function => format!("g({argument}, items)"),
            _ => format!("C.m(o, {argument})"),
        }
    }

    fn added_expression(&mut self, depth: usize) -> String {
        let value = self.expression(depth + 1);
        match self.below(10) {
            0 => format!("({value} if a else b)"),
            1 => format!("[v for v in {} if v != {value}]", self.place()),
            2 => format!("(lambda v: [v, {value}])(a)"),
            3 => format!("{}[1:]", self.place()),
            4 => format!("({value}, a)"),
            5 => format!("({value} in {})", self.place()),
            6 => format!("({value} % 3)"),
            7 => format!("sorted(str({value}))"),
            8 => format!("{{k: {value} for k in \"ab\"}}"),
            _ => format!("(0 < {value} < 5)"),
        }
    }

    fn leaf(&mut self) -> String {
        match self.below(4) {
            0 => self.pick(&VARIABLES).to_owned(),
            1 => {
                let mut text = String::new();
                // Writing to a string cannot fail.
                let _ = write!(text, "{}", self.below(20));
                text
            }
            2 => self
                .pick(&[
                    "0.5",
                    "1.0",
                    "True",
                    "None",
                    "\"\"",
                    "\"s\"",
                    "'it\\'s'",
                    "[]",
                    "{}",
                    "123456789012345678901",
                ])
                .to_owned(),
            _ => self
                .pick(&["f", "o", "C", "items", "table", "unknown"])
                .to_owned(),
        }
    }
}
