//! 100 MiB through the network while its driver is killed: nothing is lost, and no connection is reset.
//!
//! The stream is agentd's own connection: it goes through the driver and the TCP stack like any other. Kills are aimed at
//! byte offsets that a seed chooses, half of them at the two points where a driver can lose most.

use crate::Scenario;
use crate::support::{Call, Guest, expect_equal, number};
use crate::values::Random;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use xtask::deadline::Deadline;
use xtask::machine::Agent;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "transfers: 100 MiB to the host survive 20 kills of virtio-net",
        run: to_host,
    },
    Scenario {
        name: "transfers: 100 MiB to the guest survive 20 kills of virtio-net",
        run: to_guest,
    },
];

/// Bytes of the whole stream.
const TOTAL: usize = 100 << 20;
/// Bytes of one request.
const PIECE: usize = 256 << 10;
/// Requests under way, so that the stream never pauses.
const AHEAD: usize = 8;
/// Kills in one transfer.
const KILLS: usize = 20;
/// The least distance between two kills.
const APART: usize = 2 << 20;
/// What chooses the offsets.
const SEED: u64 = 0x5eed_0001;
/// The longest that the stream may stand still.
const STALL_SECONDS: u64 = 60;
/// The points between which a driver owes something to the device or to its client.
const POINTS: [&str; 2] = ["available_written", "used_read"];

fn to_host() -> Result<()> {
    Guest::boot("transfer-to-host")?.witness(|guest| send_to_host(guest))
}

fn send_to_host(guest: &Guest) -> Result<()> {
    let mut agent = guest.agent()?;
    let piece = pattern(0);
    agent.ask("fs.write", json!({ "path": "/piece", "data": piece }))?;
    let mut kills = Kills::new(guest)?;
    let mut stalls = Stalls::default();
    let mut hash = Sha256::new();
    let mut expected = Sha256::new();
    let mut asked = 0;
    let mut pending = BTreeMap::new();
    for received in 0..TOTAL / PIECE {
        while asked < TOTAL / PIECE && asked < received + AHEAD {
            let id = agent.start(
                "fs.read",
                json!({ "path": "/piece", "length": PIECE, "encoding": "utf8" }),
            )?;
            pending.insert(id, ());
            asked += 1;
        }
        let reply = stalls.time(|| agent.read(Deadline::after_seconds(STALL_SECONDS)))?;
        if pending.remove(&number(&reply, "/id")?).is_none() {
            bail!("nobody asked for {}", reply["id"]);
        }
        hash.update(
            reply
                .pointer("/result/data")
                .and_then(Value::as_str)
                .context("no data")?,
        );
        expected.update(&piece);
        kills.at((received + 1) * PIECE)?;
    }
    expect_equal("the stream's hash", hash.finalize(), expected.finalize())?;
    kills.report(&stalls)
}

fn to_guest() -> Result<()> {
    Guest::boot("transfer-to-guest")?.witness(|guest| send_to_guest(guest))
}

/// What a request on the stream to the guest was about.
enum Step {
    /// The piece was written.
    Written(usize),
    /// It was read back, so that every byte is compared.
    ReadBack(usize),
}

fn send_to_guest(guest: &Guest) -> Result<()> {
    let mut agent = guest.agent()?;
    let mut kills = Kills::new(guest)?;
    let mut stalls = Stalls::default();
    let mut pending = BTreeMap::new();
    for piece in 0..AHEAD {
        pending.insert(write(&mut agent, piece)?, Step::Written(piece));
    }
    let mut done = 0;
    while done < TOTAL / PIECE {
        let reply = stalls.time(|| agent.read(Deadline::after_seconds(STALL_SECONDS)))?;
        let step = pending
            .remove(&number(&reply, "/id")?)
            .context("nobody asked for that")?;
        match step {
            Step::Written(piece) => {
                let written = number(&reply, "/result/written")
                    .with_context(|| format!("piece {piece} is not written: {reply}"))?;
                expect_equal("bytes written", written, PIECE as u64)?;
                let params = json!({ "path": slot(piece), "length": PIECE, "encoding": "utf8" });
                pending.insert(agent.start("fs.read", params)?, Step::ReadBack(piece));
            }
            Step::ReadBack(piece) => {
                if reply.pointer("/result/data").and_then(Value::as_str) != Some(&pattern(piece)) {
                    bail!("piece {piece} is not what was sent");
                }
                done += 1;
                kills.at(done * PIECE)?;
                let next = piece + AHEAD;
                if next < TOTAL / PIECE {
                    pending.insert(write(&mut agent, next)?, Step::Written(next));
                }
            }
        }
    }
    kills.report(&stalls)
}

fn write(agent: &mut Agent, piece: usize) -> Result<u64> {
    let params = json!({ "path": slot(piece), "data": pattern(piece) });
    agent.start("fs.write", params)
}

/// Where a piece is put: the memory holds a few at a time.
fn slot(piece: usize) -> String {
    format!("/slot{}", piece % AHEAD)
}

/// The text of a piece, different for each number.
fn pattern(piece: usize) -> String {
    let mut random = Random::new(piece as u64);
    let mut text = String::with_capacity(PIECE);
    while text.len() < PIECE {
        text += &format!("{:016x}", random.next());
    }
    text
}

/// The kills of one transfer.
struct Kills {
    killer: Agent,
    offsets: Vec<usize>,
    done: usize,
    before: u64,
}

impl Kills {
    fn new(guest: &Guest) -> Result<Self> {
        let mut killer = guest.agent()?;
        let before = restarts(&mut killer)?;
        Ok(Self {
            killer,
            offsets: offsets(),
            done: 0,
            before,
        })
    }

    /// Kills the driver if the stream has come to the next offset.
    fn at(&mut self, offset: usize) -> Result<()> {
        if self
            .offsets
            .get(self.done)
            .is_none_or(|next| *next > offset)
        {
            return Ok(());
        }
        let mut params = json!({ "service": "virtio-net" });
        if self.done % 2 == 1 {
            params["when"] = json!({ "point": POINTS[self.done / 2 % POINTS.len()], "n": 1 });
        }
        self.done += 1;
        self.killer
            .call("fault.kill", params, Deadline::after_seconds(STALL_SECONDS))
            .map(drop)
    }

    fn report(mut self, stalls: &Stalls) -> Result<()> {
        let restarts = restarts(&mut self.killer)? - self.before;
        println!(
            "{} kills, {restarts} restarts, longest stall {} ms",
            self.done,
            stalls.longest.as_millis()
        );
        let call = json!({ "service": "netd", "method": "stats", "args": {} });
        let stats = self.killer.ask("ipc.call", call)?;
        let of = |name: &str| number(&stats, &format!("/result/{name}"));
        println!(
            "frames: {} out, {} in, {} submitted again; segments: {} sent again, {} of the host's came twice; {} gaps where frames were lost",
            of("frames_sent")?,
            of("frames_received")?,
            of("frames_resubmitted")?,
            of("segments_resent")?,
            of("segments_repeated")?,
            of("gaps")?
        );
        expect_equal("kills", self.done, KILLS)?;
        expect_equal("restarts", restarts, KILLS as u64)
    }
}

fn restarts(agent: &mut Agent) -> Result<u64> {
    number(
        &agent.ask("service.status", json!({ "name": "virtio-net" }))?,
        "/restarts",
    )
}

/// Offsets in ascending order, at least [`APART`] from each other.
fn offsets() -> Vec<usize> {
    let mut random = Random::new(SEED);
    let room = TOTAL / KILLS - APART;
    (0..KILLS)
        .map(|kill| kill * (TOTAL / KILLS) + random.below(room as u64) as usize)
        .collect()
}

/// The longest wait for the next piece.
#[derive(Default)]
struct Stalls {
    longest: Duration,
}

impl Stalls {
    fn time<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let value = wait();
        self.longest = self.longest.max(start.elapsed());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_far_enough_apart() {
        let offsets = offsets();
        assert_eq!(offsets.len(), KILLS);
        assert!(
            offsets.windows(2).all(|pair| pair[1] - pair[0] >= APART),
            "{offsets:?}"
        );
        assert!(offsets.iter().all(|offset| *offset < TOTAL));
    }

    #[test]
    fn pieces_differ() {
        assert_eq!(pattern(3).len(), PIECE);
        assert_ne!(pattern(3), pattern(4));
    }
}
