//! A client of agentd: JSON-RPC 2.0 in lines over TCP.

use super::http;
use crate::deadline::Deadline;
use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;

/// An error that agentd answered with.
#[derive(Clone, PartialEq, Debug)]
pub struct RpcError {
    /// The number.
    pub code: i64,
    /// The text for people.
    pub message: String,
    /// What the number's documentation says is in it.
    pub data: Value,
}

impl fmt::Display for RpcError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({}) {}", self.message, self.code, self.data)
    }
}

impl std::error::Error for RpcError {}

impl RpcError {
    fn from_value(error: &Value) -> Result<Self> {
        Ok(Self {
            code: error["code"]
                .as_i64()
                .with_context(|| format!("an error without a code: {error}"))?,
            message: error["message"].as_str().unwrap_or_default().into(),
            data: error["data"].clone(),
        })
    }
}

/// A connection to agentd.
pub struct Agent {
    stream: BufReader<TcpStream>,
    next_id: u64,
}

impl Agent {
    /// Connects; nobody is logged in yet.
    pub fn connect(port: u16, deadline: Deadline) -> Result<Self> {
        Ok(Self {
            stream: BufReader::new(http::connect(port, deadline)?),
            next_id: 1,
        })
    }

    /// Connects and logs in with the token in a file.
    pub fn login(port: u16, token_file: &Path, deadline: Deadline) -> Result<Self> {
        let token =
            fs::read_to_string(token_file).with_context(|| token_file.display().to_string())?;
        let mut agent = Self::connect(port, deadline)?;
        agent.call("auth.login", json!({ "token": token.trim() }), deadline)?;
        Ok(agent)
    }

    /// Calls a method and waits for its result; an error of agentd's is an error here ([`RpcError`] inside).
    pub fn call(&mut self, method: &str, params: Value, deadline: Deadline) -> Result<Value> {
        let outcome = self
            .request(method, params, deadline)
            .with_context(|| method.to_string())?;
        outcome.map_err(|error| anyhow!(error).context(method.to_string()))
    }

    /// Calls a method that must fail, and returns how.
    pub fn refused(&mut self, method: &str, params: Value, deadline: Deadline) -> Result<RpcError> {
        match self.request(method, params, deadline)? {
            Err(error) => Ok(error),
            Ok(result) => bail!("{method} succeeds where it should fail: {result}"),
        }
    }

    /// Calls a method and waits for its end, whatever that is.
    pub fn request(
        &mut self,
        method: &str,
        params: Value,
        deadline: Deadline,
    ) -> Result<Result<Value, RpcError>> {
        let id = self.start(method, params)?;
        loop {
            let reply = self.read(deadline)?;
            if reply["id"] == id {
                return outcome(reply);
            }
            // Without an id of ours: a notification, or the fate of the whole connection.
            if reply["id"].is_null() && reply.get("error").is_some() {
                return outcome(reply);
            }
        }
    }

    /// Sends a request without waiting for the reply, and returns its id.
    pub fn start(&mut self, method: &str, params: Value) -> Result<u64> {
        let id = self.next_id;
        self.next_id += 1;
        let mut request = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        if !params.is_null() {
            request["params"] = params;
        }
        self.send(format!("{request}\n").as_bytes())?;
        Ok(id)
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream
            .get_mut()
            .write_all(bytes)
            .context("agentd does not take what is sent")
    }

    /// Says that nothing more will be sent.
    pub fn finish_sending(&mut self) -> Result<()> {
        self.stream
            .get_ref()
            .shutdown(Shutdown::Write)
            .context("the connection is closed already")
    }

    /// The next line that agentd sends.
    pub fn read(&mut self, deadline: Deadline) -> Result<Value> {
        match self.read_or_end(deadline)? {
            Some(value) => Ok(value),
            None => bail!("agentd closed the connection"),
        }
    }

    /// The next line that agentd sends, or nothing if it closed the connection.
    pub fn read_or_end(&mut self, deadline: Deadline) -> Result<Option<Value>> {
        let remaining = deadline
            .remaining()
            .context("agentd does not answer in time")?;
        self.stream.get_ref().set_read_timeout(Some(remaining))?;
        let mut line = String::new();
        if self
            .stream
            .read_line(&mut line)
            .context("agentd does not answer")?
            == 0
        {
            return Ok(None);
        }
        Ok(Some(
            serde_json::from_str(&line).with_context(|| format!("agentd sends {line:?}"))?,
        ))
    }
}

fn outcome(mut reply: Value) -> Result<Result<Value, RpcError>> {
    match (reply.get_mut("result").map(Value::take), reply.get("error")) {
        (Some(result), None) => Ok(Ok(result)),
        (None, Some(error)) => Ok(Err(RpcError::from_value(error)?)),
        _ => bail!("neither a result nor an error: {reply}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// An agentd that reads one line and answers with `lines`.
    fn with_agentd(lines: &'static str) -> Agent {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        thread::spawn(move || {
            let (stream, _) = listener.accept().expect("they connect");
            let mut stream = BufReader::new(stream);
            stream.read_line(&mut String::new()).expect("they ask");
            stream
                .get_mut()
                .write_all(lines.as_bytes())
                .expect("they listen");
        });
        Agent::connect(port, soon()).expect("it listens")
    }

    fn soon() -> Deadline {
        Deadline::after_seconds(20)
    }

    #[test]
    fn a_reply_is_told_from_events_by_its_id() {
        let mut agent = with_agentd(
            "{\"jsonrpc\":\"2.0\",\"method\":\"event\"}\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"n\":7}}\n",
        );
        assert_eq!(
            agent
                .call("system.time", Value::Null, soon())
                .expect("it answers"),
            json!({ "n": 7 })
        );
    }

    #[test]
    fn an_error_keeps_its_code_and_data() {
        let mut agent = with_agentd(
            "{\"id\":1,\"error\":{\"code\":-31003,\"message\":\"no\",\"data\":{\"what\":\"pid\"}}}\n",
        );
        let error = agent
            .refused("process.info", json!({}), soon())
            .expect("it answers");
        assert_eq!((error.code, &error.data["what"]), (-31003, &json!("pid")));
    }

    #[test]
    fn a_closed_connection_is_an_error_and_not_a_wait() {
        let mut agent = with_agentd("");
        assert!(
            agent
                .call("system.time", Value::Null, Deadline::after_seconds(600))
                .is_err()
        );
    }
}
