//! The life of one endpoint: reads on in the journal as far as the window goes, sends what is due, records what was given up
//! on. It ends with its endpoint, or when nothing can be recorded any more.

use std::{sync::Arc, time::Duration};

use domain::{Actor, UnixNanos};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::sleep,
};
use webhook::{After, DisabledWhy, Endpoint, Entry, MessageKey, Outbox, SettledHow, TEXT_BYTES_MAX};

use super::{Letter, Line, Outcome, Webhooks};
use crate::ground::RecordError;

/// An entry is told as two messages at most; with less room nothing is read.
const ROOM_MIN: usize = 2;
/// Wait after something that should not fail has failed.
const CALM: Duration = Duration::from_secs(1);
/// Longest sleep, so that a clock that was set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// What a try was of.
#[derive(Debug, Clone)]
enum Of {
    Message(MessageKey),
    Replay(MessageKey, Actor),
}

type Tries = JoinSet<(Of, Outcome)>;

struct Worker {
    webhooks: Arc<Webhooks>,
    endpoint: Arc<Endpoint>,
    line: Arc<Line>,
    outbox: Outbox,
    tries: Tries,
    /// Who asked for the replays that wait.
    asked: std::collections::BTreeMap<MessageKey, Actor>,
}

/// Nothing more can be done: the endpoint is out of service, or the journal has ended.
struct Over;

/// Runs until the endpoint is out of service or the journal ends.
pub(super) async fn run(webhooks: Arc<Webhooks>, endpoint: Endpoint, line: Arc<Line>) {
    let outbox = Outbox::new(webhooks.schedule, endpoint.acknowledged);
    let mut worker = Worker {
        webhooks,
        endpoint: Arc::new(endpoint),
        line,
        outbox,
        tries: JoinSet::new(),
        asked: std::collections::BTreeMap::new(),
    };
    while worker.turn().await.is_ok() {}
}

impl Worker {
    fn now(&self) -> UnixNanos {
        self.webhooks.clock.now()
    }

    async fn turn(&mut self) -> Result<(), Over> {
        self.read_on().await;
        let replays = std::mem::take(&mut *self.line.replays.lock());
        for (key, by) in replays {
            self.outbox.replay(key);
            self.asked.insert(key, by);
        }
        self.start().await?;
        self.report();

        let journal = self.webhooks.ground.journal().clone();
        let has_room = self.outbox.room() >= ROOM_MIN;
        let beyond = journal.wait_beyond(self.outbox.read());
        let pause = self.pause();
        tokio::select! {
            Some(done) = self.tries.join_next() => match done {
                Ok((of, outcome)) => self.ended(of, outcome).await?,
                // A try that panicked would stay under way for ever: begin anew from what is recorded.
                Err(_) => return Err(Over),
            },
            grown = beyond, if has_room => grown.map(drop).map_err(|_| Over)?,
            () = self.line.wake.notified() => {}
            () = pause => {}
        }
        Ok(())
    }

    /// Until the next message is due.
    fn pause(&self) -> impl Future<Output = ()> + use<> {
        let due = self.outbox.wake_at().map(|at| at.since(self.now()));
        async move {
            match due {
                Some(wait) => sleep(wait.min(SLEEP_MAX)).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Takes in what the journal holds, as far as the window goes.
    async fn read_on(&mut self) {
        while self.outbox.room() >= ROOM_MIN {
            let (from, room) = (self.outbox.read(), self.outbox.room());
            let (webhooks, endpoint) = (Arc::clone(&self.webhooks), Arc::clone(&self.endpoint));
            let gathered = spawn_blocking(move || {
                // Whoever recorded folds as well; this only makes sure that it is done.
                webhooks.ground.catch_up().map_err(|error| error.to_string())?;
                webhooks.teller().gather(&endpoint, from, room)
            });
            match gathered.await {
                Ok(Ok((messages, read))) => {
                    let now = self.now();
                    for (key, body) in messages {
                        self.outbox.offer(key, body.into(), now);
                    }
                    self.outbox.read_to(read);
                    if read == from || read >= self.webhooks.ground.journal().size() {
                        return;
                    }
                }
                Ok(Err(error)) => {
                    tracing::error!(error, endpoint = self.endpoint.name.as_str(), "webhooks wait");
                    return sleep(CALM).await;
                }
                Err(error) => {
                    tracing::error!(%error, endpoint = self.endpoint.name.as_str(), "webhooks wait");
                    return sleep(CALM).await;
                }
            }
        }
    }

    async fn start(&mut self) -> Result<(), Over> {
        while let Some((key, body)) = self.outbox.start(self.now()) {
            self.send(Of::Message(key), key, body);
        }
        while let Some(key) = self.outbox.start_replay() {
            let by = self.asked.remove(&key).unwrap_or_else(Actor::system);
            match self.webhooks.teller().again(&self.endpoint, key) {
                Ok(Some(body)) => self.send(Of::Replay(key, by), key, body.into()),
                Ok(None) => {
                    // What it was about has been erased since.
                    self.outbox.replayed(false, self.now());
                    self.settle(key, SettledHow::Discarded, by).await?;
                }
                Err(error) => {
                    tracing::error!(
                        error,
                        endpoint = self.endpoint.name.as_str(),
                        "a dead letter is not replayed"
                    );
                    self.outbox.replayed(false, self.now());
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, of: Of, key: MessageKey, body: Arc<[u8]>) {
        let (webhooks, endpoint) = (Arc::clone(&self.webhooks), Arc::clone(&self.endpoint));
        self.tries.spawn(async move {
            let (id, at) = (webhooks.message_id(key), webhooks.clock.now());
            let signatures = endpoint.signatures(&id, at, &body);
            let letter = Letter { id, at, signatures, body };
            (of, webhooks.sender.send(&endpoint.settings.target, &letter).await)
        });
    }

    async fn ended(&mut self, of: Of, outcome: Outcome) -> Result<(), Over> {
        let now = self.now();
        self.line.status.lock().tried(now, &outcome);
        match (of, outcome) {
            (_, Outcome::Gone) => self.disable(DisabledWhy::Gone).await,
            (Of::Message(key), Outcome::Delivered { .. }) => {
                self.outbox.delivered(key, now);
                self.line.status.lock().has_moved = true;
                Ok(())
            }
            (Of::Message(key), Outcome::Failed(refused)) => {
                let random = u32::from_be_bytes(crypto::random::array());
                match self.outbox.failed(key, now, refused.retry_after, random) {
                    After::Again { .. } => Ok(()),
                    After::Exhausted { tries, took_nothing } => {
                        self.give_up(key, tries, refused.why, took_nothing).await
                    }
                }
            }
            (Of::Replay(key, by), Outcome::Delivered { .. }) => {
                self.outbox.replayed(true, now);
                self.settle(key, SettledHow::Delivered, by).await
            }
            (Of::Replay(..), Outcome::Failed(_)) => {
                self.outbox.replayed(false, now);
                Ok(())
            }
        }
    }

    async fn give_up(
        &mut self,
        key: MessageKey,
        tries: u32,
        why: String,
        took_nothing: bool,
    ) -> Result<(), Over> {
        let name = self.endpoint.name.clone();
        let has_place = self
            .webhooks
            .endpoint(&name)
            .is_some_and(|endpoint| endpoint.id == self.line.id && endpoint.has_place());
        if !has_place {
            return self.disable(DisabledWhy::DeadLettersFull).await;
        }
        tracing::warn!(
            endpoint = name.as_str(),
            entry = key.position,
            tries,
            why,
            "a webhook was given up on"
        );
        let mut why = why;
        let mut end = why.len().min(TEXT_BYTES_MAX);
        while !why.is_char_boundary(end) {
            end -= 1;
        }
        why.truncate(end);
        let dead = || Entry::DeadLettered { name: name.clone(), message: key, tries, why: why.clone() };
        self.record(dead).await?;
        self.outbox.settle(key);
        self.line.status.lock().has_moved = true;
        if took_nothing {
            return self.disable(DisabledWhy::Unreachable).await;
        }
        Ok(())
    }

    async fn settle(&mut self, message: MessageKey, how: SettledHow, by: Actor) -> Result<(), Over> {
        let name = self.endpoint.name.clone();
        self.record(|| Entry::Settled { name: name.clone(), message, how, by: by.clone() }).await
    }

    /// Takes the endpoint out of service. What waits stays where it is, for when somebody enables it again.
    async fn disable(&mut self, why: DisabledWhy) -> Result<(), Over> {
        let name = self.endpoint.name.clone();
        tracing::error!(endpoint = name.as_str(), why = why.as_str(), "a webhook endpoint is out of service");
        self.report();
        self.record(|| Entry::Disabled { name: name.clone(), why }).await?;
        Err(Over)
    }

    /// Records, however busy the journal is.
    async fn record(&self, entry: impl Fn() -> Entry) -> Result<(), Over> {
        loop {
            match self.webhooks.record(vec![entry()]).await {
                Ok(()) => return Ok(()),
                Err(RecordError::Append(journal::AppendError::Overloaded)) => sleep(CALM).await,
                Err(error) => {
                    tracing::error!(%error, endpoint = self.endpoint.name.as_str(), "webhooks have ended");
                    return Err(Over);
                }
            }
        }
    }

    fn report(&self) {
        let mut status = self.line.status.lock();
        status.waiting = self.outbox.len();
        status.is_failing = self.outbox.is_failing();
        status.acknowledged = self.outbox.acknowledged();
    }
}
