//! Places of statements that run, and who is next.
//!
//! Each asker has a line of its own, and the lines take turns; no asker has all places. So one that asks for much waits for
//! itself, and others find a place soon.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::asker::Asker;

/// As many statements as may wait do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug)]
pub(super) struct Places {
    lines: Mutex<Lines>,
    /// Places of one asker at most.
    share: usize,
    waiting_max: usize,
}

#[derive(Debug)]
struct Lines {
    free: usize,
    taken: HashMap<Asker, usize>,
    /// Askers whose statements wait, the next to be served first.
    order: VecDeque<Asker>,
    waiting: HashMap<Asker, VecDeque<oneshot::Sender<Place>>>,
    waiting_count: usize,
}

impl Places {
    pub(super) fn new(count: usize, waiting_max: usize) -> Arc<Self> {
        let lines = Lines {
            free: count.max(1),
            taken: HashMap::new(),
            order: VecDeque::new(),
            waiting: HashMap::new(),
            waiting_count: 0,
        };
        let share = (count - count / 4).max(1);
        Arc::new(Self { lines: Mutex::new(lines), share, waiting_max })
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, once it is this asker's turn.
    ///
    /// # Errors
    /// Too many wait already.
    pub(super) async fn take(self: &Arc<Self>, asker: &Asker) -> Result<Place, Full> {
        let turn = {
            let mut lines = self.lines();
            if lines.free > 0 && lines.taken.get(asker).is_none_or(|count| *count < self.share) {
                return Ok(lines.give(self, asker));
            }
            lines.waiting.retain(|_, line| {
                line.retain(|one| !one.is_closed());
                !line.is_empty()
            });
            lines.waiting_count = lines.waiting.values().map(VecDeque::len).sum();
            if lines.waiting_count >= self.waiting_max {
                return Err(Full);
            }
            let (sender, turn) = oneshot::channel();
            lines.waiting_count += 1;
            lines.waiting.entry(asker.clone()).or_default().push_back(sender);
            if !lines.order.contains(asker) {
                lines.order.push_back(asker.clone());
            }
            turn
        };
        turn.await.map_err(|_| Full)
    }

    /// Hands free places to who waits, line after line.
    fn hand_on(self: &Arc<Self>) {
        loop {
            let (sender, place) = {
                let mut lines = self.lines();
                let Some((sender, asker)) = lines.next(self.share) else { return };
                (sender, lines.give(self, &asker))
            };
            // Who gave up meanwhile drops the place: it comes back here.
            let _ = sender.send(place);
        }
    }
}

impl Lines {
    fn give(&mut self, places: &Arc<Places>, asker: &Asker) -> Place {
        self.free -= 1;
        *self.taken.entry(asker.clone()).or_default() += 1;
        Place { places: Arc::clone(places), asker: asker.clone() }
    }

    fn next(&mut self, share: usize) -> Option<(oneshot::Sender<Place>, Asker)> {
        if self.free == 0 {
            return None;
        }
        for _ in 0..self.order.len() {
            let asker = self.order.pop_front()?;
            let Some(line) = self.waiting.get_mut(&asker) else { continue };
            line.retain(|one| !one.is_closed());
            if line.is_empty() {
                self.waiting.remove(&asker);
                continue;
            }
            if self.taken.get(&asker).is_some_and(|count| *count >= share) {
                self.order.push_back(asker);
                continue;
            }
            let sender = line.pop_front()?;
            self.order.push_back(asker.clone());
            return Some((sender, asker));
        }
        None
    }
}

/// A statement may work while it has one.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    asker: Asker,
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut lines = self.places.lines();
            lines.free += 1;
            if let Some(count) = lines.taken.get_mut(&self.asker) {
                *count -= 1;
                if *count == 0 {
                    lines.taken.remove(&self.asker);
                }
            }
        }
        self.places.hand_on();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(name: &str) -> Asker {
        Asker::new("test", name)
    }

    #[tokio::test]
    async fn one_asker_leaves_places_to_others() {
        let places = Places::new(4, 10);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(places.take(&asker("much")).await.unwrap());
        }
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take(&asker("much")).await }
        });
        let other = places.take(&asker("other")).await.unwrap();
        assert!(!waiting.is_finished());
        held.pop();
        assert!(waiting.await.unwrap().is_ok());
        drop(other);
    }

    #[tokio::test]
    async fn lines_take_turns() {
        let places = Places::new(1, 10);
        let first = places.take(&asker("a")).await.unwrap();
        let (out, mut served) = tokio::sync::mpsc::unbounded_channel();
        let mut tasks = Vec::new();
        for name in ["a", "a", "a", "b", "b"] {
            let mut waiting = Box::pin({
                let (places, out) = (Arc::clone(&places), out.clone());
                async move {
                    let place = places.take(&asker(name)).await.unwrap();
                    out.send(name).unwrap();
                    drop(place);
                }
            });
            assert!(futures::poll!(&mut waiting).is_pending());
            tasks.push(tokio::spawn(waiting));
        }
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
        let mut order = Vec::new();
        while let Ok(name) = served.try_recv() {
            order.push(name);
        }
        order.truncate(4);
        order.sort_unstable();
        assert_eq!(order, ["a", "a", "b", "b"]);
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_line() {
        let places = Places::new(1, 1);
        let first = places.take(&asker("a")).await.unwrap();
        let mut given_up = Box::pin({
            let places = Arc::clone(&places);
            async move { places.take(&asker("b")).await.map(drop) }
        });
        assert!(futures::poll!(&mut given_up).is_pending());
        assert_eq!(places.take(&asker("c")).await.map(drop), Err(Full));
        drop(given_up);
        let mut waiting = Box::pin({
            let places = Arc::clone(&places);
            async move { places.take(&asker("c")).await.map(drop) }
        });
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(first);
        assert_eq!(waiting.await, Ok(()));
        assert!(places.take(&asker("d")).await.is_ok());
    }
}
