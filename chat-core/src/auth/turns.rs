//! A fair queue for expensive work: a few requests work at a time, and the networks that wait take turns.
//!
//! In a plain queue, a network that sends a hundred requests makes all others wait, or leaves no room for them. Here
//! each network has a queue of its own. When there is no more room, the longest queue loses its last request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::rate::Network;

/// The turns of one kind of work.
pub(super) struct Turns {
    /// How many requests may wait.
    room: usize,
    /// Guards the queues.
    queues: Mutex<Queues>,
}

/// Invariant: while a turn is free, nothing waits.
struct Queues {
    free: usize,
    /// The networks that wait, the one whose turn is next in front. Every queue holds at least one request.
    waiting: VecDeque<(Network, VecDeque<oneshot::Sender<Turn>>)>,
}

/// The right to work now. When it is dropped, it passes to the next request.
pub(super) struct Turn(Arc<Turns>);

impl Turns {
    /// `at_once` may work, and `room` may wait.
    pub(super) fn new(at_once: usize, room: usize) -> Arc<Self> {
        let queues = Queues { free: at_once, waiting: VecDeque::new() };
        Arc::new(Self { room, queues: Mutex::new(queues) })
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn. `None`: there is no room, or the place went to another network. Cancel safe: the place in the
    /// queue is given up.
    ///
    /// The wait is as long as the work of the requests in front takes, of which there are at most `room`.
    pub(super) async fn next(self: &Arc<Self>, network: Network) -> Option<Turn> {
        let turn = self.queues().enter(network, self.room)?;
        match turn {
            None => Some(Turn(Arc::clone(self))),
            Some(turn) => turn.await.ok(),
        }
    }
}

impl Queues {
    /// Takes a free turn (`Some(None)`) or a place in the queue. `None`: there is no room.
    fn enter(&mut self, network: Network, room: usize) -> Option<Option<oneshot::Receiver<Turn>>> {
        if let Some(left) = self.free.checked_sub(1) {
            self.free = left;
            return Some(None);
        }
        self.forget_gone();
        if self.waiting.iter().map(|(_, queue)| queue.len()).sum::<usize>() >= room {
            let own = self.waiting.iter().find(|(known, _)| *known == network);
            let own = own.map_or(0, |(_, queue)| queue.len());
            let (_, longest) = self.waiting.iter_mut().max_by_key(|(_, queue)| queue.len())?;
            if longest.len() <= own + 1 {
                return None;
            }
            // The last request of the longest queue is dropped, because it has waited least.
            longest.pop_back();
        }
        let (asker, turn) = oneshot::channel();
        match self.waiting.iter_mut().find(|(known, _)| *known == network) {
            Some((_, queue)) => queue.push_back(asker),
            None => self.waiting.push_back((network, VecDeque::from([asker]))),
        }
        Some(Some(turn))
    }

    /// Drops the places of clients that have left.
    fn forget_gone(&mut self) {
        self.waiting.retain_mut(|(_, queue)| {
            queue.retain(|asker| !asker.is_closed());
            !queue.is_empty()
        });
    }

    /// The next request; its network goes to the end. `None`: nothing waits, and the turn is free.
    fn pass(&mut self) -> Option<oneshot::Sender<Turn>> {
        self.forget_gone();
        let Some((network, mut queue)) = self.waiting.pop_front() else {
            self.free += 1;
            return None;
        };
        let asker = queue.pop_front();
        if !queue.is_empty() {
            self.waiting.push_back((network, queue));
        }
        asker
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.0.queues().pass();
        if let Some(asker) = next {
            // If the request was cancelled just now, `send` returns the turn, and dropping the turn passes it on.
            drop(asker.send(Self(Arc::clone(&self.0))));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::pin::Pin;

    use futures_util::FutureExt;

    use super::*;

    type Waiting = Pin<Box<dyn Future<Output = Option<Turn>>>>;

    fn network(number: u8) -> Network {
        IpAddr::from([192, 0, 2, number]).into()
    }

    /// A request that has already asked for a turn.
    fn ask(turns: &Arc<Turns>, number: u8) -> Waiting {
        let turns = Arc::clone(turns);
        let mut waiting: Waiting = Box::pin(async move { turns.next(network(number)).await });
        let asked = (&mut waiting).now_or_never();
        match asked {
            Some(turn) => Box::pin(std::future::ready(turn)),
            None => waiting,
        }
    }

    #[test]
    fn networks_take_turns_however_many_each_sends() {
        let turns = Turns::new(1, 64);
        let first = ask(&turns, 9).now_or_never().unwrap().unwrap();
        let mut crowd: VecDeque<_> = (0..50).map(|_| ask(&turns, 1)).collect();
        let mut honest = ask(&turns, 2);
        drop(first);
        let one = crowd.pop_front().unwrap().now_or_never().expect("the crowd came first").unwrap();
        assert!((&mut honest).now_or_never().is_none());
        drop(one);
        assert!(honest.now_or_never().expect("the next turn is another network's").is_some());
    }

    #[test]
    fn the_longest_queue_gives_way_when_there_is_no_more_room() {
        let turns = Turns::new(1, 4);
        let first = ask(&turns, 9).now_or_never().unwrap().unwrap();
        let mut crowd: Vec<_> = (0..4).map(|_| ask(&turns, 1)).collect();
        assert!(ask(&turns, 1).now_or_never().unwrap().is_none(), "it has no room left of its own");
        let honest = ask(&turns, 2);
        assert!(crowd.pop().unwrap().now_or_never().unwrap().is_none(), "its last one gave way");
        let _another = ask(&turns, 3);
        assert!(crowd.pop().unwrap().now_or_never().unwrap().is_none());
        assert!(ask(&turns, 2).now_or_never().unwrap().is_none(), "two of four are not less than its share");
        drop(first);
        drop(crowd);
        assert!(honest.now_or_never().unwrap().is_some());
    }

    #[test]
    fn a_place_that_is_given_up_is_free_for_others() {
        let turns = Turns::new(1, 1);
        let first = ask(&turns, 9).now_or_never().unwrap().unwrap();
        drop(ask(&turns, 1));
        let second = ask(&turns, 2);
        // The turn was passed to a request that is cancelled before it takes the turn.
        drop(first);
        drop(second);
        assert_eq!(turns.queues().free, 1);
        let third = ask(&turns, 3).now_or_never().unwrap();
        assert!(third.is_some() && turns.queues().free == 0);
    }
}
