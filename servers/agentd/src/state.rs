//! What outlives the daemon: who it is, the tokens it minted, the results of requests that may be repeated, and the socket it listens on.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use libipc::capsule::{Part, Slots};
use libipc::{Boot, Capsule, Connection, Handle, Protection, StartError, random};
use serde::{Deserialize, Serialize};

use crate::replay::{MAX_RECORDS, Outcome, RECORD_BYTES, Replays, Verdict};
use crate::token::{MAX_MINTED, TOKEN_BYTES, Token, Tokens};

/// Layout of the records.
const VERSION: u32 = 1;
/// The slot of the capsule that has the listening socket.
const LISTENER: u16 = 0;
const IDENTITY_BYTES: usize = 32;

#[derive(Serialize, Deserialize)]
struct Identity {
    boot_id: [u8; 16],
}

/// What is kept in the capsule.
pub struct State {
    capsule: Handle<Capsule>,
    /// One number for each boot of the machine.
    pub boot_id: String,
    /// Who may do what.
    pub tokens: Tokens,
    saved_tokens: Slots<Part>,
    replays: Replays,
    saved_replays: Slots<Part>,
    revoked: Vec<String>,
}

impl State {
    /// Opens what the last incarnation left.
    ///
    /// # Errors
    /// The capsule is missing or too small.
    pub fn open(boot: &mut Boot, root: Option<Token>) -> Result<Self, StartError> {
        let capsule = boot.capsule()?;
        let memory = capsule.memory()?;
        let mapping = memory.map(0, memory.figures()?.length as usize, Protection::ReadWrite)?;
        let too_small = || StartError::Other("the capsule is too small".into());
        let identity = Slots::<Part>::storage_bytes(1, IDENTITY_BYTES);
        let tokens = Slots::<Part>::storage_bytes(MAX_MINTED, TOKEN_BYTES);
        let (identity, rest) = Part::whole(mapping).split(identity).ok_or_else(too_small)?;
        let (tokens, replays) = rest.split(tokens).ok_or_else(too_small)?;
        let open = |part, slots, bytes| Slots::open(part, VERSION, slots, bytes);
        let (mut identity, _) = open(identity, 1, IDENTITY_BYTES).ok_or_else(too_small)?;
        let (saved_tokens, _) = open(tokens, MAX_MINTED, TOKEN_BYTES).ok_or_else(too_small)?;
        let (saved_replays, _) = open(replays, MAX_RECORDS, RECORD_BYTES).ok_or_else(too_small)?;
        Ok(Self {
            boot_id: boot_id(&mut identity),
            tokens: Tokens::new(root, load(&saved_tokens)),
            saved_tokens,
            replays: Replays::new(load(&saved_replays)),
            saved_replays,
            revoked: Vec::new(),
            capsule,
        })
    }

    /// Takes a minted token up; `false` if there is no room for it.
    pub fn add_token(&mut self, token: Token, now_ns: u64) -> bool {
        let Some(slot) = self.tokens.add(token, now_ns) else {
            return false;
        };
        let Some(token) = self.tokens.slot(slot) else {
            return false;
        };
        match self.saved_tokens.store(slot, token) {
            Ok(()) => true,
            Err(error) => {
                libipc::warn!("a token can't be kept: {error}");
                let id = token.id.clone();
                self.tokens.revoke(&id);
                false
            }
        }
    }

    /// Ends a minted token and all that were minted from it; says which.
    pub fn revoke(&mut self, id: &str) -> Vec<String> {
        let gone = self.tokens.revoke(id);
        for (slot, _) in &gone {
            if let Err(error) = self.saved_tokens.clear(*slot) {
                libipc::error!("a revoked token can't be forgotten: {error}");
            }
        }
        let ids: Vec<String> = gone.into_iter().map(|(_, id)| id).collect();
        self.revoked.extend(ids.iter().cloned());
        ids
    }

    /// The tokens that were revoked since this was asked last.
    pub fn take_revoked(&mut self) -> Vec<String> {
        core::mem::take(&mut self.revoked)
    }

    /// Looks a request with a key up; a new one is noted before it runs.
    pub fn begin_replay(
        &mut self,
        subject: &str,
        key: &str,
        request: [u8; 32],
        now: u64,
    ) -> Verdict {
        let verdict = self.replays.begin(subject, key, request, now);
        if let Verdict::New(slot) = verdict {
            self.store_replay(slot);
        }
        verdict
    }

    /// Notes the end of a request with a key, before anybody is told of it.
    pub fn end_replay(&mut self, slot: usize, outcome: Option<Outcome>) {
        self.replays.end(slot, outcome);
        self.store_replay(slot);
    }

    fn store_replay(&mut self, slot: usize) {
        let stored = match self.replays.record(slot) {
            Some(record) => self.saved_replays.store(slot, record),
            None => self.saved_replays.clear(slot),
        };
        if let Err(error) = stored {
            libipc::error!("the record of a request can't be kept: {error}");
        }
    }

    /// The socket that the last incarnation listened on.
    pub fn take_listener(&self) -> Option<Handle<Connection>> {
        self.capsule.take(LISTENER).ok()
    }

    /// Keeps the socket that we listen on, so that who connects while we are restarted only waits.
    pub fn keep_listener(&self, listener: &Handle<Connection>) {
        // An empty slot can be cleared as well.
        let _ = self.capsule.clear(LISTENER);
        if let Err(error) = self.capsule.keep(LISTENER, listener) {
            libipc::warn!("the listening socket can't be kept: {error}");
        }
    }

    /// Forgets the socket: it is of no use any more.
    pub fn drop_listener(&self) {
        let _ = self.capsule.clear(LISTENER);
    }
}

fn load<T: serde::de::DeserializeOwned + Clone>(slots: &Slots<Part>) -> Vec<Option<T>> {
    (0..slots.len())
        .map(|slot| slots.load(slot).ok().flatten())
        .collect()
}

fn boot_id(saved: &mut Slots<Part>) -> String {
    let known = saved.load::<Identity>(0).ok().flatten();
    let identity = known.unwrap_or_else(|| {
        let mut identity = Identity { boot_id: [0; 16] };
        random::fill(&mut identity.boot_id);
        if let Err(error) = saved.store(0, &identity) {
            libipc::warn!("the number of this boot can't be kept: {error}");
        }
        identity
    });
    identity
        .boot_id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
