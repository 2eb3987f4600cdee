//! Logging in: a right token at once, a wrong one after the same time for all, and later for who guesses.

use super::*;
use crate::link::Session;
use crate::params::Params;

/// Wrong tokens on one connection before it is closed.
const MAX_FAILURES: u32 = 5;
/// After how long a wrong token is refused, whatever is wrong with it.
const REFUSAL_NS: u64 = 20_000_000;
/// Bytes of a client's name for itself, at most.
const MAX_CLIENT: usize = 64;

/// A login that was asked for.
pub(super) struct Login {
    digest: token::TokenDigest,
    client: alloc::string::String,
    big_integers: BigIntegers,
    order: Order,
}

impl Login {
    fn read(request: Request) -> Result<Self, RpcError> {
        let mut params = Params::new(request.params);
        let text = params.string("token")?;
        let client = params.optional_string("client")?.unwrap_or_default();
        let big = [
            ("number", BigIntegers::Numbers),
            ("string", BigIntegers::Strings),
        ];
        let order = [
            ("completion", Order::Completion),
            ("strict", Order::Arrival),
        ];
        let login = Self {
            digest: token::digest(&text),
            client: client.chars().take(MAX_CLIENT).collect(),
            big_integers: params.optional_word("bigint", &big)?.unwrap_or_default(),
            order: params.optional_word("order", &order)?.unwrap_or_default(),
        };
        params.finish()?;
        Ok(login)
    }
}

impl Server {
    /// Begins a login. A right token of somebody who may try now is answered at once, so that requests sent right after it find it done.
    pub(super) fn login(&mut self, number: u64, text: u64, request: Request) {
        let id = request.id.clone();
        let login = match Login::read(request) {
            Ok(login) => login,
            Err(error) => return self.settle(text, id, Err(error)),
        };
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        if link.is_logging_in {
            let error = RpcError::new(Code::Busy, "a login is under way")
                .with("retry_after_ms", REFUSAL_NS / 1_000_000);
            return self.settle(text, id, Err(error));
        }
        let now = Instant::now().as_ns();
        let delay = self.attempts.delay_ns(link.address, now);
        let running = Running {
            link: number,
            text,
            id,
            task: None,
            entry: audit::Entry::new(None, "auth.login", &serde_json::Map::new(), true),
            is_mutating: false,
            slot: None,
        };
        let is_good = self
            .system
            .state
            .borrow()
            .tokens
            .find(&login.digest, now)
            .is_some();
        if delay == 0 && is_good {
            return self.log_in(running, login);
        }
        link.is_logging_in = true;
        let timer = self.system.timers.until(now + delay.max(REFUSAL_NS));
        self.spawn(running, async move {
            timer.await;
            End::Login(login)
        });
    }

    /// Looks at the token.
    pub(super) fn log_in(&mut self, running: Running, login: Login) {
        let now = Instant::now().as_ns();
        let found = self
            .system
            .state
            .borrow()
            .tokens
            .find(&login.digest, now)
            .cloned();
        let Some(link) = self.links.get_mut(&running.link) else {
            return;
        };
        link.is_logging_in = false;
        let outcome = match found {
            Some(token) => {
                let mut answer = methods::auth::whoami(&self.system, &token);
                answer["session"] = json!(alloc::format!("s{}", running.link));
                link.failures = 0;
                link.session = Session {
                    subject: Some(token),
                    client: login.client,
                    big_integers: login.big_integers,
                    order: login.order,
                };
                Ok(answer)
            }
            None => {
                link.failures += 1;
                link.is_closing |= link.failures >= MAX_FAILURES;
                self.attempts.failed(link.address, now);
                Err(RpcError::new(
                    Code::Unauthenticated,
                    "the token is not good",
                ))
            }
        };
        self.end(running, outcome);
    }
}
