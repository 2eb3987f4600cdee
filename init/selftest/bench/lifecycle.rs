//! A process from its making to its end.

use abi::Operation;
use abi::layout::PAGE_SIZE;

use libipc::object::{Process, Quota, ThreadStart};
use libipc::{Badge, Endpoint, Handle, MemoryObject, Protection, StartError, SysError, Wake};

use crate::Bench;
use crate::measure::least;
use crate::peers::PRIORITY;

/// Where the process finds its only page of code, and its message pages.
const CODE: u64 = 0x40_0000;
const PAGES: u64 = 0x41_0000;
/// `mov eax, operation; xor edx, edx; syscall; ud2`: it ends at once.
const PROGRAM: [u8; 11] = [
    0xb8,
    Operation::ProcessExit as u8,
    0,
    0,
    0,
    0x31,
    0xd2,
    0x0f,
    0x05,
    0x0f,
    0x0b,
];

/// Measures it: making a process with a page of code and a thread, running it, and waiting until all of it is returned.
pub fn measure(bench: &mut Bench) -> Result<(), StartError> {
    let code = Handle::<MemoryObject>::create(PAGE_SIZE as u64)?;
    if !code
        .map(0, PAGE_SIZE, Protection::ReadWrite)?
        .write(0, &PROGRAM)
    {
        return Err(StartError::Other(
            "the program does not fit its page".into(),
        ));
    }
    let mut endpoint = Endpoint::create()?;
    let mut number = 0;
    let mut refusal = None;
    let cost = least(&[&bench.own], || {
        number += 1;
        if let Err(error) = live_and_die(&mut endpoint, bench.peers.quota(), &code, number) {
            refusal = Some(error);
        }
    });
    if let Some(error) = refusal {
        return Err(error.into());
    }
    bench.report("process_lifecycle", cost);
    Ok(())
}

fn live_and_die(
    endpoint: &mut Endpoint,
    quota: &Handle<Quota>,
    code: &Handle<MemoryObject>,
    number: u64,
) -> Result<(), SysError> {
    let badge = Badge::own(0, number);
    let faults = endpoint.mint(badge)?;
    let process = Handle::<Process>::create(quota, Some(&faults.client), PRIORITY)?;
    drop(faults);
    process.map(code, CODE, 0, PAGE_SIZE as u64, Protection::ReadExecute)?;
    let (thread, _) = process.create_thread(&ThreadStart {
        entry: CODE,
        stack: 0,
        arguments: [0, 0],
        pages: PAGES,
        priority: PRIORITY,
        fs_base: 0,
    })?;
    thread.start()?;
    loop {
        match endpoint.receive(None) {
            Wake::Closed(gone) if gone == badge => return Ok(()),
            Wake::Failed(error) => return Err(error),
            _ => {}
        }
    }
}
