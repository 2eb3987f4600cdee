//! `system.*`

use alloc::format;
use alloc::rc::Rc;

use agentd::frame::{MAX_LINE, MAX_LINE_BEFORE_LOGIN};
use agentd::json::MAX_NESTING;
use agentd::params::Params;
use agentd::rpc::{Code, MAX_BATCH, MAX_TIMEOUT_MS, RpcError};
use libipc::{Failure, Instant, Pending};
use protocols::platform;
use serde_json::{Value, json};

use super::Context;
use super::declaration::{Access, By, Effect, Example, Method, Outcome, task};
use crate::output::MAX_CAPTURE;
use crate::replies::MAX_REPLY;
use crate::server::{MAX_IN_FLIGHT, MAX_IN_FLIGHT_IN_ALL, MAX_LINKS};
use crate::shape::{Shape, U32, U64, member};
use crate::system::{Answer, System};

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
            member("commit", Shape::Text).doc("empty if it is not known"),
            member("build", Shape::Text),
            member("boot_id", Shape::Text).doc("another one after each boot"),
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
            result: r#"{"name": "PebbleOS", "version": "0.2.0", "arch": "x86_64", "commit": "", "build": "release", "boot_id": "00112233445566778899aabbccddeeff", "protocol": 1, "limits": {"batch": 64}, "features": [], "mcp_versions": [], "generation": 1, "started_at": 1400000000}"#,
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
        by: task!(info),
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
        by: task!(time),
    },
    Method {
        name: "system.reboot",
        summary: "Starts the machine again, once everything written is safe",
        access: Access::Scope("svc.control"),
        effect: Effect::Acts,
        params: &[member("reason", Shape::Text).doc("for the log")],
        result: Shape::Object(&[member("accepted", Shape::Boolean)]),
        errors: &[Code::Forbidden, Code::Io],
        example: Example {
            params: r#"{"reason": "a new kernel"}"#,
            result: r#"{"accepted": true}"#,
        },
        since: "0.2",
        by: task!(reboot),
    },
    Method {
        name: "system.poweroff",
        summary: "Switches the machine off, once everything written is safe",
        access: Access::Scope("svc.control"),
        effect: Effect::Acts,
        params: &[member("reason", Shape::Text).doc("for the log")],
        result: Shape::Object(&[member("accepted", Shape::Boolean)]),
        errors: &[Code::Forbidden, Code::Io],
        example: Example {
            params: r#"{"reason": "done for today"}"#,
            result: r#"{"accepted": true}"#,
        },
        since: "0.2",
        by: task!(power_off),
    },
];

/// How long the machine goes on after the answer, so that the answer gets out.
const LAST_NS: u64 = 200_000_000;

/// The limits that hold.
pub fn limits() -> Value {
    json!({
        "line": MAX_LINE,
        "line_before_login": MAX_LINE_BEFORE_LOGIN,
        "reply": MAX_REPLY,
        "nesting": MAX_NESTING,
        "connections": MAX_LINKS,
        "in_flight": MAX_IN_FLIGHT,
        "in_flight_in_all": MAX_IN_FLIGHT_IN_ALL,
        "batch": MAX_BATCH,
        "captured_output": MAX_CAPTURE,
        "timeout_ms": MAX_TIMEOUT_MS,
    })
}

/// `system.describe`
pub fn describe(system: &mut System, _: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    params.finish()?;
    Ok(Answer::Now(Ok(json!({
        "name": "PebbleOS",
        "version": env!("CARGO_PKG_VERSION"),
        "arch": "x86_64",
        "commit": option_env!("PEBBLEOS_COMMIT").unwrap_or_default(),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "boot_id": system.state.borrow().boot_id,
        "protocol": 1,
        "limits": limits(),
        "features": [],
        "mcp_versions": [],
        "generation": system.generation,
        "started_at": system.started_ns,
    }))))
}

async fn info(system: System, context: Rc<Context>, params: Params) -> Outcome {
    params.finish()?;
    let started = system
        .services
        .start_machine(&system.calls, context.deadline());
    let machine = system.ask("init", started, super::of_services).await?;
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
    Ok(json!({
        "cpus": cpus,
        "mem": { "total": machine.memory_total, "free": machine.memory_free },
        "objects": machine.objects,
        "has_iommu": machine.has_iommu,
        "uptime_ns": Instant::now().as_ns(),
    }))
}

async fn time(system: System, context: Rc<Context>, params: Params) -> Outcome {
    params.finish()?;
    let unavailable = |_| RpcError::new(Code::Io, "the clock can't be read").with("errno", "EIO");
    let started = system
        .platform
        .start_wall_clock(&system.calls, context.deadline());
    let (seconds, at_ns) = system.ask("platform", started, unavailable).await?;
    let now = Instant::now().as_ns();
    let since = i128::from(now) - i128::from(at_ns);
    let epoch_ns = i64::try_from(i128::from(seconds) * 1_000_000_000 + since).unwrap_or(i64::MAX);
    Ok(json!({
        "epoch_ns": epoch_ns,
        "mono_ns": now,
        "tz": "UTC",
        "synced": false,
    }))
}

type Leave = fn(&System) -> Result<Pending<(), platform::Error>, Failure>;

/// Makes everything written safe, says so, and ends the machine a moment later.
async fn leave(system: System, context: Rc<Context>, mut params: Params, how: Leave) -> Outcome {
    let reason = params.string("reason")?;
    params.finish()?;
    let started = system
        .directory
        .start_sync(&system.calls, context.deadline());
    system.ask("vfs", started, super::files::of_files).await?;
    libipc::warn!("the machine is ended: {reason}");
    let leaving = system.clone();
    system.detach(async move {
        let end = Instant::now().as_ns().saturating_add(LAST_NS);
        leaving.timers.until(end).await;
        let refused = |error| RpcError::new(Code::Io, format!("platform: {error:?}"));
        if let Err(error) = leaving.ask("platform", how(&leaving), refused).await {
            libipc::error!("the machine can't be ended: {}", error.message);
        }
    });
    Ok(json!({ "accepted": true }))
}

async fn reboot(system: System, context: Rc<Context>, params: Params) -> Outcome {
    let how: Leave = |system| system.platform.start_reset(&system.calls, System::soon());
    leave(system, context, params, how).await
}

async fn power_off(system: System, context: Rc<Context>, params: Params) -> Outcome {
    let how: Leave = |system| {
        system
            .platform
            .start_power_off(&system.calls, System::soon())
    };
    leave(system, context, params, how).await
}
