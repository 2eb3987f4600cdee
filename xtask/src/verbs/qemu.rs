//! `qemu`: builds everything and boots it.

use crate::arguments::{Arguments, unexpected};
use crate::deadline::Deadline;
use crate::guest_image::BootFiles;
use crate::machine::attach::{Console, End};
use crate::machine::options::{Options, Taken};
use crate::machine::{Machine, Record};
use anyhow::Result;

/// The arguments, for the help.
pub const USAGE: &str = "\
[OPTION]... [-- QEMU-ARGUMENT...]
  --smp N                 processors (2)
  --memory SIZE           memory, as 512M or 1G (512M)
  --detach                return when it is ready, and print how to reach it as a line of JSON
  --nic virtio-net|none   network card (virtio-net)
  --accel NAME            kvm or tcg (kvm where the processor has it)
  --icount                one virtual nanosecond an instruction: runs repeat exactly
  --gdb                   wait for a debugger
  --name NAME             the guest's name, for console, stop and rpc
  --append TEXT           the kernel's command line
  --agentd-open SCOPES    agentd takes connections without a login and gives them SCOPES
  --no-build              boot what was built before";

/// How long a guest may take to be ready when nobody watches it.
const READY_SECONDS: u64 = 120;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Attached,
    Detached,
}

/// Runs the verb.
pub fn run(mut arguments: Arguments) -> Result<()> {
    let mut options = Options::default();
    let mut mode = Mode::Attached;
    let mut is_built = false;
    while let Some(argument) = arguments.take_next()? {
        if options.take(&argument, &mut arguments)? == Taken::Yes {
            continue;
        }
        match &argument {
            crate::arguments::Argument::Option(name) if name == "detach" => mode = Mode::Detached,
            crate::arguments::Argument::Option(name) if name == "no-build" => is_built = true,
            _ => return Err(unexpected(&argument)),
        }
    }
    options.extra = arguments.take_rest();
    let files = if is_built {
        BootFiles::built()
    } else {
        BootFiles::make()?
    };
    let machine = Machine::start(&options, &files)?;
    if options.wait_for_debugger {
        announce_debugger(machine.record(), &files);
    }
    match mode {
        Mode::Attached => attached(machine),
        Mode::Detached => detached(machine, &options),
    }
}

fn attached(mut machine: Machine) -> Result<()> {
    let record = machine.record();
    for (service, port) in &record.ports {
        eprintln!(
            "{service}: 127.0.0.1:{port}, token in {}",
            record.token_file.display()
        );
    }
    eprintln!("guest {:?}; Ctrl-] ends it", record.name);
    let console = Console::connect(record)?;
    machine.resume()?;
    match console.attach()? {
        End::Left => eprintln!("\nguest {:?} ended", machine.record().name),
        End::GuestEnded => {
            let status = machine.wait_for_exit(Deadline::after_seconds(5))?;
            eprintln!("\nthe guest ended by itself ({status})");
        }
    }
    Ok(())
}

fn detached(mut machine: Machine, options: &Options) -> Result<()> {
    machine.resume()?;
    if !options.wait_for_debugger {
        machine.wait_until_ready(Deadline::after_seconds(READY_SECONDS))?;
    }
    println!("{}", machine.release().to_json());
    Ok(())
}

fn announce_debugger(record: &Record, files: &BootFiles) {
    let socket = record.monitor.with_file_name("gdb.sock");
    eprintln!(
        "debugger: gdb {} -ex 'target remote {}'",
        files.kernel.display(),
        socket.display()
    );
}
