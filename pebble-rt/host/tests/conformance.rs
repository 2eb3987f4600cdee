//! Runs every program under `pebble-rt/conformance` with both launchers and compares what it wrote with what the
//! language definition asks for. Each program is a test of its own, so a word on the command line selects.

mod support;

use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use support::{Scratch, difference, pebble};

/// The two ways to start a program, which must not differ.
const LAUNCHERS: [&str; 2] = ["run", "exec"];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance");
    let programs = match find_programs(&folder) {
        Ok(programs) if !programs.is_empty() => programs,
        Ok(_) => return complain(&folder, "there are no programs"),
        Err(error) => return complain(&folder, &error.to_string()),
    };
    let trials = programs.into_iter().flat_map(|program| {
        LAUNCHERS.map(|launcher| {
            let program = program.clone();
            Trial::test(format!("{launcher}::{}", program.name), move || {
                program.check(launcher).map_err(Failed::from)
            })
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn complain(folder: &Path, reason: &str) -> ExitCode {
    eprintln!("{}: {reason}", folder.display());
    ExitCode::FAILURE
}

/// A program and everything that is expected of it.
#[derive(Clone)]
struct Program {
    /// `SECTION/NAME`.
    name: String,
    source: PathBuf,
}

fn find_programs(folder: &Path) -> std::io::Result<Vec<Program>> {
    let mut programs = Vec::new();
    for section in fs::read_dir(folder)? {
        let section = section?.path();
        if !section.is_dir() {
            continue;
        }
        for file in fs::read_dir(&section)? {
            let source = file?.path();
            if source
                .extension()
                .is_some_and(|extension| extension == "peb")
            {
                let stem = source.file_stem().unwrap_or_default().to_string_lossy();
                let section = section.file_name().unwrap_or_default().to_string_lossy();
                programs.push(Program {
                    name: format!("{section}/{stem}"),
                    source: source.clone(),
                });
            }
        }
    }
    programs.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(programs)
}

impl Program {
    fn check(&self, launcher: &str) -> Result<(), String> {
        let root = self
            .prepare(launcher)
            .map_err(|error| format!("cannot prepare the folder: {error}"))?;
        let file = self
            .source
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut arguments = vec![
            launcher.to_owned(),
            "--root".to_owned(),
            root.path().display().to_string(),
            file,
        ];
        arguments.extend(self.beside("args")?.lines().map(str::to_owned));
        let output = pebble(&arguments, self.beside("in")?.as_bytes())?;

        let expected_errors = self.beside("err")?;
        let expected_status = match self.beside("status")?.trim() {
            "" => i32::from(!expected_errors.is_empty()),
            text => text
                .parse()
                .map_err(|_| format!("{}.status is no number", self.name))?,
        };
        let mut report = difference(
            "output",
            &self.beside("out")?,
            &String::from_utf8_lossy(&output.stdout),
        );
        report += &difference(
            "error output",
            &expected_errors,
            &String::from_utf8_lossy(&output.stderr),
        );
        if output.status.code() != Some(expected_status) {
            report += &format!("expected status {expected_status}, got {}\n", output.status);
        }
        if report.is_empty() {
            Ok(())
        } else {
            Err(report)
        }
    }

    /// Lays out the folder that is the program's `/`: the program, and the files that belong to it.
    fn prepare(&self, launcher: &str) -> std::io::Result<Scratch> {
        let root = Scratch::new(&format!("{launcher}-{}", self.name))?;
        fs::copy(
            &self.source,
            root.path()
                .join(self.source.file_name().unwrap_or_default()),
        )?;
        let companions = self.source.with_extension("");
        if companions.is_dir() {
            copy_tree(&companions, root.path())?;
        }
        Ok(root)
    }

    /// The text of the file with this ending, empty if there is none.
    fn beside(&self, extension: &str) -> Result<String, String> {
        let path = self.source.with_extension(extension);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
