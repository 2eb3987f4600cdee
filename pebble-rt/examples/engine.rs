//! Runs a program that needs nothing from the system: `cargo run --example engine FILE`.
#![allow(clippy::result_large_err, reason = "an error ends the program, once")]
use pebble_rt::engine::Limits;
use pebble_rt::system::{
    Answer, Data, Grants, ModuleContent, ModuleText, Patience, Request, Started, Stream, System,
    SystemError, Token,
};
use pebble_rt::vm::Vm;
use std::io::Write;

struct Output(std::io::BufWriter<std::io::Stdout>, std::path::PathBuf);

impl System for Output {
    fn grants(&self) -> Grants {
        Grants::NONE
    }
    fn write(&mut self, _: Stream, text: &str) -> Result<(), SystemError> {
        self.0
            .write_all(text.as_bytes())
            .map_err(|error| SystemError::new(5, error.to_string()))
    }
    fn start_input(&mut self, _: &str) -> Started {
        Started::Ready(Ok(Data::None))
    }
    fn start(&mut self, request: Request) -> Started {
        Started::Ready(Err(SystemError::unknown(&request)))
    }
    fn cancel(&mut self, _: Token) {}
    fn wait(&mut self, _: Patience) -> Vec<(Token, Answer)> {
        Vec::new()
    }
    fn monotonic_ms(&mut self) -> u64 {
        0
    }
    fn load_module(&mut self, path: &[&str]) -> Result<Option<ModuleText>, SystemError> {
        let label = format!("{}.peb", path.join("/"));
        let text = std::fs::read_to_string(self.1.join(&label)).ok();
        Ok(text.map(|text| ModuleText {
            label,
            content: ModuleContent::Source(text),
        }))
    }
}

fn main() {
    let file = std::env::args().nth(1).expect("a file");
    let source = std::fs::read_to_string(&file).expect("the file is there");
    let folder = std::path::Path::new(&file)
        .parent()
        .unwrap_or(std::path::Path::new("."))
        .to_path_buf();
    let output = Output(std::io::BufWriter::new(std::io::stdout()), folder);
    let mut vm = Vm::new(
        Limits::default(),
        Vec::new(),
        Box::new(output),
        &[&pebble_rt::modules::LIBRARY],
    );
    let result = vm
        .load_source(&file, &source)
        .and_then(|()| vm.run_to_end());
    drop(vm);
    if let Err(error) = result {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
