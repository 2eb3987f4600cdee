//! `system.*`

use agentd::frame::{MAX_LINE, MAX_LINE_BEFORE_LOGIN};
use agentd::json::MAX_NESTING;
use agentd::params::Params;
use agentd::rpc::{Code, MAX_BATCH, RpcError};
use libipc::Instant;
use serde_json::{Value, json};

use super::Context;
use crate::server::{MAX_IN_FLIGHT, MAX_LINKS, MAX_REPLY};
use crate::system::{Answer, System, error};

/// The limits that hold.
pub fn limits() -> Value {
    json!({
        "line": MAX_LINE,
        "line_before_login": MAX_LINE_BEFORE_LOGIN,
        "reply": MAX_REPLY,
        "nesting": MAX_NESTING,
        "connections": MAX_LINKS,
        "in_flight": MAX_IN_FLIGHT,
        "batch": MAX_BATCH,
    })
}

/// `system.describe`
pub fn describe(system: &mut System, _: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    params.finish()?;
    Ok(Answer::Now(Ok(json!({
        "name": "PebbleOS",
        "version": env!("CARGO_PKG_VERSION"),
        "arch": "x86_64",
        "protocol": 1,
        "limits": limits(),
        "features": [],
        "mcp_versions": [],
        "generation": system.generation,
        "started_at": system.started_ns,
    }))))
}

/// `system.info`
pub fn info(system: &mut System, _: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    params.finish()?;
    let machine = system
        .services
        .machine(System::soon())
        .map_err(error("init", super::of_services))?;
    let cpus: alloc::vec::Vec<Value> = machine
        .cpus
        .iter()
        .enumerate()
        .map(|(id, cpu)| {
            json!({
                "id": id,
                "idle_ns": cpu.idle_ns,
                "switches": cpu.switches,
                "system_calls": cpu.system_calls,
                "interrupts": cpu.interrupts,
                "longest_stay_ns": cpu.longest_stay_ns,
            })
        })
        .collect();
    Ok(Answer::Now(Ok(json!({
        "cpus": cpus,
        "mem": { "total": machine.memory_total, "free": machine.memory_free },
        "objects": machine.objects,
        "has_iommu": machine.has_iommu,
        "uptime_ns": Instant::now().as_ns(),
    }))))
}

/// `system.time`
pub fn time(system: &mut System, _: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    params.finish()?;
    let unavailable = |_| RpcError::new(Code::Io, "the clock can't be read").with("errno", "EIO");
    let (seconds, at_ns) = system
        .platform
        .wall_clock(System::soon())
        .map_err(error("platform", unavailable))?;
    let now = Instant::now().as_ns();
    let since = i128::from(now) - i128::from(at_ns);
    let epoch_ns = i64::try_from(i128::from(seconds) * 1_000_000_000 + since).unwrap_or(i64::MAX);
    Ok(Answer::Now(Ok(json!({
        "epoch_ns": epoch_ns,
        "mono_ns": now,
        "tz": "UTC",
        "synced": false,
    }))))
}
