//! Drives `pebble lsp` as an editor does: over its standard input and output, in the protocol's frames.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const URI: &str = "file:///nowhere/demo.peb";

/// An editor with one server.
struct Editor {
    server: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next_id: i64,
}

impl Editor {
    fn start() -> Self {
        let mut server = Command::new(env!("CARGO_BIN_EXE_pebble"))
            .args(["--root", env!("CARGO_MANIFEST_DIR"), "lsp"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let input = server.stdin.take().expect("it has an input");
        let output = BufReader::new(server.stdout.take().expect("it has an output"));
        let mut editor = Self {
            server,
            input,
            output,
            next_id: 0,
        };
        let answer = editor.ask(
            "initialize",
            json!({"processId": null, "rootUri": null, "capabilities": {}}),
        );
        assert_eq!(answer["capabilities"]["hoverProvider"], true);
        editor.tell("initialized", json!({}));
        editor
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len())
            .expect("the server reads");
        self.input.flush().expect("the server reads");
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.output.read_line(&mut line).expect("the server writes");
            match line.trim_end() {
                "" => break,
                header => {
                    if let Some(value) = header.strip_prefix("Content-Length: ") {
                        length = value.parse().expect("a length");
                    }
                }
            }
        }
        let mut body = vec![0; length];
        self.output
            .read_exact(&mut body)
            .expect("the server writes all");
        serde_json::from_slice(&body).expect("the server writes JSON")
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    fn answer(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let message = self.receive();
            if message["id"] == id {
                return message;
            }
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.answer(method, params)["result"].clone()
    }

    /// Opens the demo file and returns the findings.
    fn open(&mut self, text: &str) -> Vec<Value> {
        let document = json!({"uri": URI, "languageId": "pebble", "version": 1, "text": text});
        self.tell("textDocument/didOpen", json!({"textDocument": document}));
        self.findings()
    }

    fn findings(&mut self) -> Vec<Value> {
        loop {
            let message = self.receive();
            if message["method"] == "textDocument/publishDiagnostics" {
                return message["params"]["diagnostics"]
                    .as_array()
                    .expect("a list")
                    .clone();
            }
        }
    }

    fn at(&mut self, method: &str, line: u32, character: u32) -> Value {
        let params = json!({"textDocument": {"uri": URI}, "position": {"line": line, "character": character}});
        self.ask(method, params)
    }

    fn labels(&mut self, line: u32, character: u32) -> Vec<String> {
        let items = self.at("textDocument/completion", line, character);
        let items = items.as_array().expect("a list of items").clone();
        items
            .iter()
            .map(|item| item["label"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

const DEMO: &str = "import math\n\ndef area(radius, scale=1):\n    \"\"\"The area of a square.\"\"\"\n    \
                    return radius * radius * scale\n\nclass Box:\n    def size(self):\n        return area(2)\n\n\
                    box = Box()\nprint box.size(), math.abs(-1)\n";

#[test]
fn findings_follow_the_text() {
    let mut editor = Editor::start();
    assert!(editor.open(DEMO).is_empty());
    let change = json!({
        "textDocument": {"uri": URI, "version": 2},
        "contentChanges": [{"range": {"start": {"line": 10, "character": 6}, "end": {"line": 10, "character": 9}}, "text": "Bax"}],
    });
    editor.tell("textDocument/didChange", change);
    let found = editor.findings();
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0]["message"],
        "unknown name 'Bax'; did you mean 'Box'?"
    );
    assert_eq!(
        found[0]["range"]["start"],
        json!({"line": 10, "character": 6})
    );
    assert_eq!(found[0]["severity"], 1);
    let broken = json!({"textDocument": {"uri": URI, "version": 3}, "contentChanges": [{"text": "x = (1\n"}]});
    editor.tell("textDocument/didChange", broken);
    let found = editor.findings();
    assert_eq!(found[0]["code"], "syntax");
}

#[test]
fn completion_knows_names_and_members() {
    let mut editor = Editor::start();
    editor.open(DEMO);
    let names = editor.labels(10, 0);
    for expected in ["area", "Box", "len", "while"] {
        assert!(
            names.iter().any(|name| name == expected),
            "{expected} in {names:?}"
        );
    }
    assert!(
        !names.iter().any(|name| name == "radius"),
        "a parameter is not visible outside"
    );
    assert!(editor.labels(4, 11).iter().any(|name| name == "radius"));
    assert!(editor.labels(11, 10).iter().any(|name| name == "size"));
    let members = editor.labels(11, 23);
    assert!(members.iter().any(|name| name == "sqrt"), "{members:?}");
    assert!(!members.iter().any(|name| name == "area"));
}

#[test]
fn hover_shows_the_definition() {
    let mut editor = Editor::start();
    editor.open(DEMO);
    let hover = editor.at("textDocument/hover", 8, 17);
    let text = hover["contents"]["value"].as_str().expect("a text");
    assert!(
        text.contains("def area(radius, scale=1)") && text.contains("The area of a square."),
        "{text}"
    );
    let hover = editor.at("textDocument/hover", 11, 24);
    assert!(
        hover["contents"]["value"]
            .as_str()
            .expect("a text")
            .contains("math.abs(")
    );
    assert!(editor.at("textDocument/hover", 1, 0).is_null());
}

#[test]
fn definitions_are_found() {
    let mut editor = Editor::start();
    editor.open(DEMO);
    let place = editor.at("textDocument/definition", 8, 17);
    assert_eq!(place["uri"], URI);
    assert_eq!(place["range"]["start"], json!({"line": 2, "character": 4}));
    let method = editor.at("textDocument/definition", 11, 11);
    assert_eq!(method["range"]["start"], json!({"line": 7, "character": 8}));
}

#[test]
fn the_outline_and_the_layout_come_on_request() {
    let mut editor = Editor::start();
    editor.open("x=1\ndef f( ):\n    pass\n");
    let outline = editor.ask(
        "textDocument/documentSymbol",
        json!({"textDocument": {"uri": URI}}),
    );
    assert_eq!(outline.as_array().map(Vec::len), Some(2));
    let options =
        json!({"textDocument": {"uri": URI}, "options": {"tabSize": 4, "insertSpaces": true}});
    let edits = editor.ask("textDocument/formatting", options);
    assert_eq!(edits[0]["newText"], "x = 1\ndef f():\n    pass\n");
}

#[test]
fn what_makes_no_sense_is_refused_and_survived() {
    let mut editor = Editor::start();
    assert_eq!(
        editor.answer("textDocument/nonsense", json!({}))["error"]["code"],
        -32601
    );
    assert_eq!(
        editor.answer("textDocument/hover", json!({"position": 5}))["error"]["code"],
        -32602
    );
    editor.tell("textDocument/didChange", json!({"textDocument": 7}));
    assert!(
        editor.at("textDocument/hover", 99, 99).is_null(),
        "no such document"
    );
    assert!(editor.answer("shutdown", Value::Null)["error"].is_null());
    editor.tell("exit", Value::Null);
    assert!(editor.server.wait().expect("the server ends").success());
}
