//! One question answered in a worker process while the caller goes on with another.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sys::worker::{self, Worker};

/// No answer is longer: they are folded before they are sent.
const LONGEST: u64 = 16 << 20;

/// An answer on its way.
#[must_use = "a worker that nobody waits for stays behind"]
#[derive(Debug)]
pub(super) enum Aside<T> {
    /// In a worker.
    Coming(Worker, OwnedFd),
    /// No worker could be started: answered at once.
    Here(T),
}

/// Starts `question` in a worker, or answers it here where there is none to be had.
pub(super) fn ask<T: Serialize + DeserializeOwned>(question: impl Fn() -> T) -> Aside<T> {
    let Ok((answer, ours)) = worker::pipe() else {
        return Aside::Here(question());
    };
    let started = worker::start(|| {
        if let Ok(text) = serde_json::to_vec(&question()) {
            // Nobody listens any more when the parent is gone.
            File::from(ours).write_all(&text).ok();
        }
    });
    match started {
        Ok(worker) => Aside::Coming(worker, answer),
        Err(_) => Aside::Here(question()),
    }
}

impl<T: DeserializeOwned> Aside<T> {
    /// The answer; `None` when its worker died.
    pub(super) fn answer(self) -> Option<T> {
        let (worker, answer) = match self {
            Self::Here(answer) => return Some(answer),
            Self::Coming(worker, answer) => (worker, answer),
        };
        let mut text = Vec::new();
        let read = File::from(answer).take(LONGEST).read_to_end(&mut text);
        let ended = worker.wait();
        (read.is_ok() && ended.is_ok())
            .then(|| serde_json::from_slice(&text).ok())
            .flatten()
    }
}
