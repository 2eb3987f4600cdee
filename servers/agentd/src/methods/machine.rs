//! `system.*`

use agentd::frame::{MAX_LINE, MAX_LINE_BEFORE_LOGIN};
use agentd::json::MAX_NESTING;
use agentd::params::Params;
use agentd::rpc::{Code, MAX_BATCH, RpcError};
use libipc::Instant;
use serde_json::{Value, json};

use super::Context;
use super::declaration::{Access, By, Effect, Example, Method};
use crate::server::{MAX_IN_FLIGHT, MAX_LINKS, MAX_REPLY};
use crate::shape::{Shape, U32, U64, member};
use crate::system::{Answer, System, error};

/// One CPU.
const CPU: Shape = Shape::Object(&[
    member("id", U32),
    member("idle_ns", U64),
    member("switches", U64).doc("of address spaces"),
    member("system_calls", U64),
    member("interrupts", U64),
    member("longest_stay_ns", U64).doc("in the kernel"),
]);

/// The methods that are declared here.
pub const METHODS: &[Method] = &[
    Method {
        name: "system.describe",
        summary: "What this system is, and what limits hold",
        access: Access::Scope("system.read"),
        effect: Effect::Reads,
        params: &[],
        result: Shape::Object(&[
            member("name", Shape::Text),
            member("version", Shape::Text),
            member("arch", Shape::Text),
            member("protocol", U32),
            member("limits", Shape::Map(&U64)),
            member("features", Shape::Array(&Shape::Text)),
            member("mcp_versions", Shape::Array(&Shape::Text)),
            member("generation", U64).doc("incarnation of this daemon"),
            member("started_at", U64).doc("nanoseconds since boot"),
        ]),
        errors: &[],
        example: Example {
            params: r#"{}"#,
            result: r#"{"name": "PebbleOS", "version": "0.2.0", "arch": "x86_64", "protocol": 1, "limits": {"batch": 64}, "features": [], "mcp_versions": [], "generation": 1, "started_at": 1400000000}"#,
        },
        since: "0.2",
        by: By::Function(describe),
    },
    Method {
        name: "system.info",
        summary: "Figures of the machine",
        access: Access::Scope("system.read"),
        effect: Effect::Reads,
        params: &[],
        result: Shape::Object(&[
            member("cpus", Shape::Array(&CPU)),
            member(
                "mem",
                Shape::Object(&[member("total", U64), member("free", U64)]),
            )
            .doc("bytes"),
            member("objects", U64).doc("of the kernel, alive"),
            member("has_iommu", Shape::Boolean),
            member("uptime_ns", U64),
        ]),
        errors: &[],
        example: Example {
            params: r#"{}"#,
            result: r#"{"cpus": [{"id": 0, "idle_ns": 12000000, "switches": 5000, "system_calls": 20000, "interrupts": 800, "longest_stay_ns": 30000}], "mem": {"total": 268435456, "free": 240000000}, "objects": 900, "has_iommu": false, "uptime_ns": 2000000000}"#,
        },
        since: "0.2",
        by: By::Function(info),
    },
    Method {
        name: "system.time",
        summary: "Wall time and time since boot",
        access: Access::Scope("system.read"),
        effect: Effect::Reads,
        params: &[],
        result: Shape::Object(&[
            member("epoch_ns", Shape::Integer(i64::MIN, i64::MAX as u64))
                .doc("since 1970-01-01 UTC"),
            member("mono_ns", U64).doc("since boot"),
            member("tz", Shape::Text),
            member("synced", Shape::Boolean),
        ]),
        errors: &[Code::Io],
        example: Example {
            params: r#"{}"#,
            result: r#"{"epoch_ns": 1767225600000000000, "mono_ns": 2000000000, "tz": "UTC", "synced": false}"#,
        },
        since: "0.2",
        by: By::Function(time),
    },
];

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
