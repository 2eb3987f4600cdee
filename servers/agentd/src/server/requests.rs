//! Requests: how each begins, and what becomes of its end.

use alloc::format;

use futures_util::future::{Either, select};
use libipc::executor::TooManyTasks;

use super::*;
use crate::methods::declaration::Method;
use crate::params::Params;
use crate::replay::{self, Verdict};

/// How long after its own calls a request is ended: they know better what happened.
const GRACE_NS: u64 = 200_000_000;

impl Server {
    pub(super) fn element(&mut self, link_number: u64, text: u64, element: Element) {
        let request = match element {
            Ok(request) => request,
            Err(response) => return self.settle(text, Some(response.id), response.outcome),
        };
        let id = request.id.clone();
        if let Err(error) = self.admit(link_number, &request) {
            return self.settle(text, id, Err(error));
        }
        match request.method.as_str() {
            "rpc.cancel" => {
                let outcome = self.cancel(link_number, request);
                self.settle(text, id, outcome);
            }
            "auth.login" => self.login(link_number, text, request),
            _ => self.begin(link_number, text, request),
        }
    }

    /// Whether one more request may be under way, and this one among the others.
    fn admit(&self, link: u64, request: &Request) -> Result<(), RpcError> {
        let own = || {
            self.requests
                .values()
                .filter(|running| running.link == link)
        };
        if request.id.is_some() && own().any(|running| running.id == request.id) {
            let error = RpcError::new(Code::InvalidRequest, "this id is in flight");
            return Err(error.with("kind", "duplicate_id"));
        }
        // To cancel one is always possible.
        let is_full = own().count() >= MAX_IN_FLIGHT || self.requests.len() >= MAX_IN_FLIGHT_IN_ALL;
        if is_full && request.method != "rpc.cancel" {
            let error = RpcError::new(Code::Busy, "too many requests in flight");
            return Err(error.with("retry_after_ms", 100));
        }
        Ok(())
    }

    fn begin(&mut self, link: u64, text: u64, request: Request) {
        let id = request.id.clone();
        let session = match self.links.get(&link) {
            Some(link) => link.session.clone(),
            None => return,
        };
        let subject = session.subject.as_ref().map(|token| token.id.as_str());
        let mut entry = audit::Entry::new(subject, &request.method, &request.params, false);
        let found = methods::find(&self.system, &request.method, session.subject.as_ref());
        let method = match found {
            Ok(method) => method,
            Err(error) => {
                entry.end(Err(&error));
                return self.settle(text, id, Err(error));
            }
        };
        let is_mutating = method.effect.is_mutating();
        entry.is_mutating(is_mutating);
        let slot = match self.prepare(method, &request, subject) {
            Ok(slot) => slot,
            Err(Repeated::Refused(error)) => {
                entry.end(Err(&error));
                return self.settle(text, id, Err(error));
            }
            Err(Repeated::Before(result)) => return self.settle(text, id, Ok(result)),
        };
        let running = Running {
            link,
            text,
            id,
            task: None,
            entry,
            is_mutating,
            slot,
        };
        let context = Rc::new(Context::new(session, link, request.meta));
        let until = context.until_ns().saturating_add(GRACE_NS);
        let task = methods::run(method, self.system.clone(), context, request.params);
        let timer = self.system.timers.until(until);
        self.spawn(running, async move {
            match select(task, timer).await {
                Either::Left((outcome, _)) => End::Outcome(outcome),
                Either::Right(_) => {
                    End::Outcome(Err(RpcError::new(Code::Timeout, "it was not done in time")
                        .with("may_have_happened", is_mutating)))
                }
            }
        });
    }

    /// What there is to do before a request runs: nothing, or to look whether it ran before.
    fn prepare(
        &mut self,
        method: &Method,
        request: &Request,
        subject: Option<&str>,
    ) -> Result<Option<usize>, Repeated> {
        if !method.effect.is_mutating() {
            return Ok(None);
        }
        if request.meta.dry_run {
            let error = RpcError::new(Code::Unsupported, "this method has no dry run");
            return Err(Repeated::Refused(error));
        }
        let Some(key) = &request.meta.idempotency_key else {
            return Ok(None);
        };
        let digest = replay::digest(&request.method, &request.params);
        let now = Instant::now().as_ns();
        let verdict = self.system.state.borrow_mut().begin_replay(
            subject.unwrap_or_default(),
            key,
            digest,
            now,
        );
        match verdict {
            Verdict::New(slot) => Ok(Some(slot)),
            other => Err(repeated(other)),
        }
    }

    /// Has a task do a request.
    pub(super) fn spawn(&mut self, running: Running, task: impl Future<Output = End> + 'static) {
        let (number, ended) = (self.number(), self.ended.clone());
        // It is there before it runs, since it may end at once.
        self.requests.insert(number, running);
        let started = self.executor.spawn(async move {
            let end = task.await;
            ended.borrow_mut().push((number, end));
        });
        match started {
            Ok(task) => {
                if let Some(running) = self.requests.get_mut(&number) {
                    running.task = Some(task);
                }
            }
            Err(TooManyTasks) => {
                let error = RpcError::new(Code::Busy, "too many requests in flight")
                    .with("retry_after_ms", 100);
                let end = End::Outcome(Err(error));
                self.ended.borrow_mut().push((number, end));
            }
        }
    }

    /// Acts on the requests that have ended.
    pub(super) fn settle_ended(&mut self) {
        loop {
            for task in self.system.take_detached() {
                if self.executor.spawn(task).is_err() {
                    libipc::warn!("there are too many tasks for one that nobody waits for");
                }
            }
            let ended = self.ended.take();
            if ended.is_empty() {
                return;
            }
            for (number, end) in ended {
                let running = self.requests.remove(&number);
                let link = match (running, end) {
                    (_, End::Abandoned(link)) => {
                        self.abandoned(link);
                        continue;
                    }
                    // It was stopped just before it ended.
                    (None, _) => continue,
                    (Some(running), End::Outcome(outcome)) => {
                        let link = running.link;
                        self.end(running, outcome);
                        link
                    }
                    (Some(running), End::Login(login)) => {
                        let link = running.link;
                        self.log_in(running, login);
                        link
                    }
                };
                self.drop_revoked();
                // Over HTTP the next request may have come meanwhile.
                self.read_http(link);
                self.tend(link);
            }
        }
    }

    /// A request has this outcome.
    pub(super) fn end(&mut self, running: Running, mut outcome: Result<Value, RpcError>) {
        if let Err(error) = &mut outcome {
            number_incident(error);
        }
        self.remember(&running, outcome.as_ref());
        running.entry.end(outcome.as_ref());
        self.settle(running.text, running.id, outcome);
    }

    fn remember(&self, running: &Running, outcome: Result<&Value, &RpcError>) {
        let Some(slot) = running.slot else {
            return;
        };
        let outcome = match outcome {
            Ok(result) => Some(Outcome::of(result)),
            Err(error) => {
                let may_have = error.data.get("may_have_happened");
                (may_have == Some(&Value::Bool(true))).then_some(Outcome::Unknown)
            }
        };
        self.system.state.borrow_mut().end_replay(slot, outcome);
    }

    /// Stops a request where it stands. Nobody is told.
    pub(super) fn stop(&mut self, number: u64) -> Option<Running> {
        let running = self.requests.remove(&number)?;
        if let Some(task) = running.task {
            self.executor.cancel(task);
        }
        let error = cancelled(running.is_mutating);
        self.remember(&running, Err(&error));
        running.entry.end(Err(&error));
        Some(running)
    }

    fn cancel(&mut self, link: u64, request: Request) -> Result<Value, RpcError> {
        let subject = self
            .links
            .get(&link)
            .and_then(|link| link.session.subject.clone());
        methods::find(&self.system, "rpc.cancel", subject.as_ref())?;
        let mut params = Params::new(request.params);
        let wanted = params.id("id")?;
        params.finish()?;
        let found = self
            .requests
            .iter()
            .find(|(_, running)| running.link == link && running.id.as_ref() == Some(&wanted));
        let Some((&number, _)) = found else {
            let error = RpcError::new(Code::NotFound, "no request with this id is in flight");
            return Err(error.with("what", "request"));
        };
        if let Some(running) = self.stop(number) {
            let error = cancelled(running.is_mutating);
            self.settle(running.text, running.id, Err(error));
        }
        Ok(json!({ "cancelled": true }))
    }

    /// Ends the sessions of tokens that were revoked.
    fn drop_revoked(&mut self) {
        let revoked = self.system.state.borrow_mut().take_revoked();
        if revoked.is_empty() {
            return;
        }
        let numbers: Vec<u64> = self
            .links
            .iter()
            .filter(|(_, link)| {
                link.subject_id()
                    .is_some_and(|id| revoked.iter().any(|revoked| revoked == id))
            })
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            let under_way: Vec<u64> = self
                .requests
                .iter()
                .filter(|(_, running)| running.link == number)
                .map(|(number, _)| *number)
                .collect();
            for request in under_way {
                if let Some(running) = self.stop(request) {
                    let error = RpcError::new(Code::Unauthenticated, "the token was revoked");
                    self.settle(running.text, running.id, Err(error));
                }
            }
            if let Some(link) = self.links.get_mut(&number) {
                link.is_closing = true;
            }
            self.tend(number);
        }
    }
}

/// A request that does not run.
enum Repeated {
    /// It ran before, with this result.
    Before(Value),
    /// It may not run.
    Refused(RpcError),
}

fn repeated(verdict: Verdict) -> Repeated {
    let refuse = |code, text: &str| RpcError::new(code, text);
    Repeated::Refused(match verdict {
        Verdict::Replay(result) => match serde_json::from_str(&result) {
            Ok(Value::Object(mut result)) => {
                result.insert("_meta".to_string(), json!({ "replayed": true }));
                return Repeated::Before(Value::Object(result));
            }
            _ => refuse(Code::Internal, "a result that was kept is damaged"),
        },
        Verdict::TooLong(size) => refuse(
            Code::TooLarge,
            "it was done before, and its result is too long to be kept",
        )
        .with("limit", replay::RESULT_BYTES)
        .with("size", size),
        Verdict::Different => refuse(Code::Conflict, "this key was used for another request")
            .with("current", "another request"),
        Verdict::UnderWay => {
            refuse(Code::Busy, "the request with this key is under way").with("retry_after_ms", 100)
        }
        Verdict::Unknown => refuse(
            Code::PeerDied,
            "the request with this key was begun, and its end is not known",
        )
        .with("service", "agentd")
        .with("may_have_happened", true),
        Verdict::Full | Verdict::New(_) => {
            refuse(Code::LimitReached, "too many keys are remembered")
                .with("limit", replay::MAX_RECORDS)
        }
    })
}

fn cancelled(may_have_happened: bool) -> RpcError {
    RpcError::new(Code::Cancelled, "it was cancelled").with("may_have_happened", may_have_happened)
}

/// Gives a bug of ours a number, under which the log has it.
fn number_incident(error: &mut RpcError) {
    if error.code == Code::Internal && !error.data.contains_key("incident") {
        let incident = libipc::random::next_u64() & 0xffff_ffff;
        libipc::error!("incident {incident}: {}", error.message);
        error.data.insert("incident".to_string(), incident.into());
        error.message = format!("{} (incident {incident})", error.message);
    }
}
