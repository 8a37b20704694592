//! Places for requests that are worked on: taken at once while there are some, else in turn.
//!
//! ```text
//! begin(client) ─┬─ free, and its share ─► Place ── dropped ─► the client with the fewest places that waits the longest
//!                ├─ taken ─► queue ─► … ─┘
//!                └─ queue full, or waited too long ─► UNAVAILABLE
//! ```
//! A client that sends a thousand requests waits behind its own; one that sends its first is next. Nobody has more than
//! three quarters, so that there is a place for who comes next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::{ApiError, ErrorCode};
use crate::request::Client;

/// The places of a door.
#[derive(Debug)]
pub(crate) struct Places {
    count_max: usize,
    waiting_max: usize,
    wait_max: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    of_client: HashMap<Client, usize>,
    /// In the order in which they came.
    waiting: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    client: Client,
    granted: oneshot::Sender<Place>,
}

impl State {
    fn places_of(&self, client: Client) -> usize {
        self.of_client.get(&client).copied().unwrap_or(0)
    }
}

/// The right to be worked on, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    client: Client,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.give_back(self.client);
    }
}

impl Places {
    pub(crate) fn new(count_max: usize, waiting_max: usize, wait_max: Duration) -> Arc<Self> {
        Arc::new(Self { count_max, waiting_max, wait_max, state: Mutex::default() })
    }

    /// A place for `client`, when its turn comes.
    pub(crate) async fn begin(self: &Arc<Self>, client: Client) -> Result<Place, ApiError> {
        let granted = {
            let mut state = self.state();
            state.waiting.retain(|waiter| !waiter.granted.is_closed());
            // Where a place is free, those that wait have their share.
            if state.taken < self.count_max && state.places_of(client) < self.share() {
                return Ok(self.take(&mut state, client));
            }
            if state.waiting.len() >= self.waiting_max {
                return Err(unavailable("as many requests as allowed are in progress and waiting"));
            }
            let (granted, place) = oneshot::channel();
            state.waiting.push(Waiter { client, granted });
            place
        };
        match tokio::time::timeout(self.wait_max, granted).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(unavailable("as many requests as allowed are in progress, and none ended in time")),
        }
    }

    /// Places that one client may have.
    const fn share(&self) -> usize {
        self.count_max - self.count_max / 4
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>, state: &mut State, client: Client) -> Place {
        state.taken += 1;
        *state.of_client.entry(client).or_default() += 1;
        Place { places: Arc::clone(self), client }
    }

    fn give_back(self: &Arc<Self>, client: Client) {
        let mut state = self.state();
        state.taken -= 1;
        if let Some(count) = state.of_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                state.of_client.remove(&client);
            }
        }
        state.waiting.retain(|waiter| !waiter.granted.is_closed());
        let share = self.share();
        let next = state
            .waiting
            .iter()
            .enumerate()
            .map(|(index, waiter)| (state.places_of(waiter.client), index))
            .filter(|(places, _)| *places < share)
            .min();
        let Some((_, index)) = next else { return };
        let waiter = state.waiting.remove(index);
        let place = self.take(&mut state, waiter.client);
        drop(state);
        // One that went away in this moment gives its place back here.
        drop(waiter.granted.send(place));
    }
}

fn unavailable(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Unavailable, message).hint("try again in a second")
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn client(number: u8) -> Client {
        Client::at(IpAddr::V4(Ipv4Addr::new(10, 0, 0, number)))
    }

    /// One place, taken by client 1, and those who wait for it in the order of `clients`.
    async fn queue(clients: &[u8]) -> (Arc<Places>, Place, Vec<(u8, tokio::task::JoinHandle<Place>)>) {
        let places = Places::new(1, 100, Duration::from_secs(60));
        let first = places.begin(client(1)).await.unwrap();
        let mut waiting = Vec::new();
        for (index, number) in clients.iter().enumerate() {
            let (queue, number) = (Arc::clone(&places), *number);
            let task = tokio::spawn(async move { queue.begin(client(number)).await.unwrap() });
            waiting.push((number, task));
            while places.state().waiting.len() <= index {
                tokio::task::yield_now().await;
            }
        }
        (places, first, waiting)
    }

    #[tokio::test]
    async fn who_comes_first_is_next_and_nobody_overtakes() {
        let (places, first, waiting) = queue(&[2, 2, 3]).await;
        assert_eq!(places.state().taken, 1);
        drop(first);
        for (_, task) in waiting {
            let place = task.await.unwrap();
            assert_eq!(places.state().taken, 1);
            drop(place);
        }
        let state = places.state();
        assert_eq!((state.taken, state.of_client.len()), (0, 0));
    }

    #[tokio::test]
    async fn a_client_with_many_requests_waits_behind_its_own() {
        let places = Places::new(2, 100, Duration::from_secs(60));
        let greedy = [places.begin(client(1)).await.unwrap(), places.begin(client(1)).await.unwrap()];
        let (more, other) = (Arc::clone(&places), Arc::clone(&places));
        let more = tokio::spawn(async move { more.begin(client(1)).await.unwrap() });
        while places.state().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        let other = tokio::spawn(async move { other.begin(client(2)).await.unwrap() });
        while places.state().waiting.len() < 2 {
            tokio::task::yield_now().await;
        }
        let [one, two] = greedy;
        drop(one);
        let other = other.await.unwrap();
        assert!(!more.is_finished());
        drop((two, other));
        drop(more.await.unwrap());
    }

    #[tokio::test]
    async fn a_place_is_left_for_who_comes_next() {
        let places = Places::new(4, 100, Duration::from_secs(60));
        let mut greedy = Vec::new();
        for _ in 0..3 {
            greedy.push(places.begin(client(1)).await.unwrap());
        }
        let more = Arc::clone(&places);
        let more = tokio::spawn(async move { more.begin(client(1)).await.unwrap() });
        while places.state().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        let other = places.begin(client(2)).await.unwrap();
        assert!(!more.is_finished());
        // What others give back is no place for one who has the share.
        drop(other);
        tokio::task::yield_now().await;
        assert!(!more.is_finished());
        drop(greedy.pop());
        drop(more.await.unwrap());
        drop(greedy);
        let state = places.state();
        assert_eq!((state.taken, state.of_client.len()), (0, 0));
    }

    #[tokio::test]
    async fn who_went_away_is_passed_over() {
        let (places, first, mut waiting) = queue(&[2, 3]).await;
        let (_, gone) = waiting.remove(0);
        gone.abort();
        assert!(gone.await.is_err());
        drop(first);
        drop(waiting.remove(0).1.await.unwrap());
        assert_eq!(places.state().taken, 0);
    }

    #[tokio::test]
    async fn a_full_queue_and_a_long_wait_are_told() {
        let places = Places::new(1, 0, Duration::from_secs(60));
        let _first = places.begin(client(1)).await.unwrap();
        assert_eq!(places.begin(client(2)).await.unwrap_err().code, ErrorCode::Unavailable);
        let places = Places::new(0, 1, Duration::from_millis(1));
        assert_eq!(places.begin(client(2)).await.unwrap_err().code, ErrorCode::Unavailable);
    }
}
