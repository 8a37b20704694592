//! Connections that are open, of all doors together, and who of them must go.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::request::Client;

/// Fewer bytes than this count as standing still.
const BYTES_PER_S_MIN: f64 = 1024.0;

/// The part of the descriptors that connections may have: one in this many.
const DESCRIPTOR_SHARE: u64 = 2;

/// How long a client may keep a connection waiting.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Without a request, or with the head of one that has not come whole.
    pub idle: Duration,
    /// For the body of a request.
    pub receive: Duration,
    /// Until it reads on.
    pub send: Duration,
}

/// The places of all doors.
#[derive(Debug)]
pub struct Connections {
    /// In all.
    count_max: usize,
    /// Of one client.
    of_client_max: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next_id: u64,
    connections: HashMap<u64, Arc<Connection>>,
}

impl Connections {
    /// As many places as said.
    pub fn new(count_max: usize, of_client_max: usize) -> Arc<Self> {
        Arc::new(Self { count_max, of_client_max, open: Mutex::default() })
    }

    /// So many places, and never so many that log and lake find no descriptors.
    pub fn within_descriptors(count: u32, of_client: u32) -> Arc<Self> {
        let places = match rlimit::increase_nofile_limit(u64::MAX) {
            Ok(descriptors) => u64::from(count).min(descriptors / DESCRIPTOR_SHARE),
            Err(error) => {
                tracing::info!(
                    %error,
                    "the number of descriptors cannot be read; http.connections is taken as it is"
                );
                u64::from(count)
            }
        };
        if places < u64::from(count) {
            let (count, asked) = (places, count);
            tracing::info!(
                count,
                asked,
                "http.connections is lowered to half of the descriptors of this process"
            );
        }
        let all = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        Self::new(all(places), all(of_client.into()))
    }

    /// Connections open now.
    pub fn count(&self) -> usize {
        self.open().connections.len()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a client, given back when the last owner of the connection is gone; `None` where all are taken by
    /// requests that are being worked on.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, patience: Patience) -> Option<Arc<Connection>> {
        let client = Client::at(address);
        let mut open = self.open();
        let of_client = open.connections.values().filter(|one| one.client == client).count();
        if of_client >= self.of_client_max {
            open.evict_of(client)?;
        } else if open.connections.len() >= self.count_max {
            open.evict()?;
        }
        let id = open.next_id;
        open.next_id += 1;
        let connection = Arc::new(Connection::new(id, client, patience, Arc::downgrade(self)));
        // The list keeps none alive: whoever serves the connection takes it off.
        open.connections.insert(id, Arc::clone(&connection));
        gauge(&open);
        Some(connection)
    }

    /// Shuts out who has kept still for too long.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        for connection in self.open().connections.values() {
            if connection.overdue(now) {
                connection.close.cancel();
            }
        }
    }

    /// Shuts out one that waits for its client, where there is one.
    pub(super) fn evict(&self) {
        let _ = self.open().evict();
    }

    pub(super) fn leave(&self, id: u64) {
        let mut open = self.open();
        open.connections.remove(&id);
        gauge(&open);
    }
}

fn gauge(open: &Open) {
    metrics::gauge!("seislake_connections").set(open.connections.len() as f64);
}

impl Open {
    /// Of the client with the most connections that can go.
    fn evict(&mut self) -> Option<()> {
        let mut counts: HashMap<Client, usize> = HashMap::new();
        for connection in self.connections.values() {
            *counts.entry(connection.client).or_default() += 1;
        }
        let mut clients: Vec<(usize, Client)> =
            counts.into_iter().map(|(client, count)| (count, client)).collect();
        clients.sort_unstable();
        clients.into_iter().rev().find_map(|(_, client)| self.evict_of(client))
    }

    /// The connection of a client that waits for it the longest: first those without a request.
    fn evict_of(&mut self, client: Client) -> Option<()> {
        let waiting = |(id, one): (&u64, &Arc<Connection>)| Some((one.waits_since()?, *id));
        let of_client = self.connections.iter().filter(|(_, one)| one.client == client);
        let (_, id) = of_client.filter_map(waiting).min()?;
        self.connections.remove(&id)?.close.cancel();
        Some(())
    }
}

/// Whom a connection waits for. Ordered by who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AwaitedSide {
    /// For a request.
    Idle,
    /// For more of a body.
    Receiving,
    /// For the client to read.
    Sending,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestPhase {
    /// We work on it.
    Working,
    /// It waits for its client.
    Receiving,
    /// The same.
    Sending,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    client: Client,
    patience: Patience,
    connections: Weak<Connections>,
    close: CancellationToken,
    /// Bytes read and written.
    moved: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    working: usize,
    receiving: usize,
    sending: usize,
    /// When a request began or ended.
    since: Instant,
    /// Since when bytes are counted, and how many there were then.
    window: (Instant, u64),
}

impl Connection {
    fn new(id: u64, client: Client, patience: Patience, connections: Weak<Connections>) -> Self {
        let now = Instant::now();
        let state = State { working: 0, receiving: 0, sending: 0, since: now, window: (now, 0) };
        Self {
            id,
            client,
            patience,
            connections,
            close: CancellationToken::new(),
            moved: AtomicU64::new(0),
            state: Mutex::new(state),
        }
    }

    pub(super) const fn client(&self) -> Client {
        self.client
    }

    pub(super) fn moved(&self, count: usize) {
        self.moved.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Resolves when it must go.
    pub(super) async fn closed(&self) {
        self.close.cancelled().await;
    }

    /// Takes it off the list.
    pub(super) fn leave(&self) {
        if let Some(connections) = self.connections.upgrade() {
            connections.leave(self.id);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request begins.
    pub(super) fn begin(&self) {
        self.restart(|state| state.working += 1);
    }

    /// A request that did `doing` ends.
    pub(super) fn end(&self, doing: RequestPhase) {
        self.restart(|state| *state.count(doing) -= 1);
    }

    fn restart(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let now = Instant::now();
        state.since = now;
        state.window = (now, self.moved.load(Ordering::Relaxed));
    }

    pub(super) fn change(&self, from: RequestPhase, to: RequestPhase) {
        let mut state = self.state();
        *state.count(from) -= 1;
        *state.count(to) += 1;
    }

    /// Since when it waits for its client, and for what; `None` while we work.
    fn waits_since(&self) -> Option<(AwaitedSide, Instant)> {
        let state = self.state();
        state.waiting().map(|waiting| (waiting, state.since))
    }

    /// Whether its client has kept it waiting too long, moving next to nothing.
    fn overdue(&self, now: Instant) -> bool {
        let mut state = self.state();
        let moved = self.moved.load(Ordering::Relaxed);
        let (began, moved_before) = state.window;
        let passed = now.saturating_duration_since(began);
        let allowed = match state.waiting() {
            None => {
                state.window = (now, moved);
                return false;
            }
            Some(AwaitedSide::Idle) => self.patience.idle,
            Some(AwaitedSide::Receiving) => self.patience.receive,
            Some(AwaitedSide::Sending) => self.patience.send,
        };
        if passed < allowed {
            return false;
        }
        let overdue = ((moved - moved_before) as f64) < BYTES_PER_S_MIN * passed.as_secs_f64();
        state.window = (now, moved);
        overdue
    }
}

impl State {
    const fn count(&mut self, doing: RequestPhase) -> &mut usize {
        match doing {
            RequestPhase::Working => &mut self.working,
            RequestPhase::Receiving => &mut self.receiving,
            RequestPhase::Sending => &mut self.sending,
        }
    }

    const fn waiting(&self) -> Option<AwaitedSide> {
        match (self.working, self.receiving, self.sending) {
            (0, 0, 0) => Some(AwaitedSide::Idle),
            (0, _, 0) => Some(AwaitedSide::Receiving),
            (0, _, _) => Some(AwaitedSide::Sending),
            _ => None,
        }
    }
}
