//! Load as people make it: a message is due at its time, even if earlier messages are late.
//!
//! Each message carries its number, which tells when it was due. Latency counts from that moment, so a stall of the
//! server shows in the latency of every message behind it. There is no [coordinated omission], which hides a stall
//! because a stalled server gets fewer messages.
//!
//! [coordinated omission]: https://www.scylladb.com/2021/04/22/on-coordinated-omission/

use std::time::{Duration, Instant};

use anyhow::Context;
use chat_client::Events;
use chat_core::protocol::Event;
use chat_core::text::Text;
use futures_util::future::{try_join, try_join_all};
use hdrhistogram::Histogram;
use tokio::time::timeout_at;

use crate::clock::wait_until;
use crate::crowd::{AT_ONCE, Crowd, Writer};
use crate::latencies::Latencies;
use crate::lateness::Lateness;
use crate::process::{Look, Process, Usage};
use crate::recorder::RowBuilder;
use crate::results::Deliveries;
use crate::subject::Subject;

/// The text of every message, in bytes.
pub(crate) const TEXT_BYTES: usize = 64;

/// The time from the start of a plan until its first message is due.
const AHEAD: Duration = Duration::from_millis(50);

/// How long readers wait for the last messages, in addition to the transport's own pause.
const LAST: Duration = Duration::from_secs(10);

/// How long a reader goes on after the last message: anything that comes now is a duplicate.
const AFTERMATH: Duration = Duration::from_millis(50);

/// What is sent: how many messages, at which rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rate_per_s: f64,
    /// Messages before the first that is counted.
    pub(crate) warm_up: usize,
    /// Messages that are counted.
    pub(crate) messages: usize,
    /// Messages that are due at the same moment.
    pub(crate) burst: usize,
}

impl Plan {
    /// Single messages at a constant rate, after a warm-up.
    pub(crate) fn steady(rate_per_s: f64, seconds: f64, warm_up_s: f64) -> Self {
        let count = |seconds: f64| (rate_per_s * seconds).round().max(1.0) as usize;
        Self { rate_per_s, warm_up: count(warm_up_s), messages: count(seconds), burst: 1 }
    }

    /// All messages, including the warm-up.
    pub(crate) fn total(&self) -> usize {
        self.warm_up + self.messages
    }

    /// When a message is due, from the start.
    fn due(&self, number: usize) -> Duration {
        Duration::from_secs_f64((number / self.burst * self.burst) as f64 / self.rate_per_s)
    }

    /// When the warm-up is over: half-way between its last message and the first that is counted.
    fn warm(&self) -> Duration {
        let last = self.warm_up.checked_sub(1).map_or(Duration::ZERO, |last| self.due(last));
        (last + self.due(self.warm_up)) / 2
    }

    fn length(&self) -> Duration {
        self.due(self.total())
    }
}

/// What one reader received.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// For each counted message, how long after its due time it arrived; `None` if it is lost.
    pub(crate) delays: Vec<Option<Duration>>,
    pub(crate) deliveries: Deliveries,
}

/// The outcome of a plan.
pub(crate) struct Delivery {
    /// What each reader received, in the order of the clients.
    pub(crate) arrivals: Vec<Arrivals>,
    /// What the server used for the counted messages, without connecting, first polls, warm-up and disconnecting.
    pub(crate) server: Usage,
    /// What this process used in the same time.
    pub(crate) client: Usage,
    /// The lateness of this process.
    late_p99_ms: f64,
}

/// Sends a plan's messages to all readers, and waits until they have arrived or the time is over.
pub(crate) async fn deliver<C: Events>(
    process: &Process,
    subject: Subject,
    crowd: &Crowd,
    clients: Vec<C>,
    plan: Plan,
) -> anyhow::Result<Delivery> {
    let writer = Writer::new(process, subject, crowd).await?;
    let lateness = Lateness::watch()?;
    let begin = Instant::now() + AHEAD;
    let until = begin + plan.length() + subject.pause() + LAST;
    let readers = clients.into_iter().map(|client| tokio::spawn(read_all(client, plan, begin, until)));
    let readers: Vec<_> = readers.collect();
    let looks = || anyhow::Ok((process.usage()?, Look::at("self")?));
    let warm = async {
        wait_until(begin + plan.warm()).await;
        looks()
    };
    let ((), (server, client)) = try_join(publish(&writer, plan, begin), warm).await?;
    let read = try_join_all(readers).await?.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let (arrivals, clients): (Vec<Arrivals>, Vec<C>) = read.into_iter().unzip();
    let (server_after, client_after) = looks()?;
    let (server, client) = (server_after.since(&server), client_after.since(&client));
    drop(clients);
    Ok(Delivery { arrivals, server, client, late_p99_ms: lateness.p99_ms().await? })
}

impl Delivery {
    /// Records the deliveries. A client that was late itself makes the row invalid.
    pub(crate) fn judge(&self, row: &mut RowBuilder) {
        let mut deliveries = Deliveries::default();
        self.arrivals.iter().for_each(|reader| deliveries.add(reader.deliveries));
        row.add_deliveries(deliveries);
        row.add("client_late_p99_ms", self.late_p99_ms);
        if self.late_p99_ms > Lateness::TOO_LATE_MS {
            row.invalidate("the client was late itself: it had too little processor time".to_owned());
        }
    }

    /// How many counted messages arrived, at all readers together.
    pub(crate) fn delivered(&self) -> f64 {
        self.arrivals.iter().flat_map(|reader| &reader.delays).flatten().count() as f64
    }

    /// The delays of these readers.
    pub(crate) fn latencies(arrivals: &[Arrivals]) -> anyhow::Result<Latencies> {
        let mut histogram = Histogram::new(3)?;
        for delay in arrivals.iter().flat_map(|reader| reader.delays.iter().flatten()) {
            histogram.record(u64::try_from(delay.as_micros())?)?;
        }
        Ok(Latencies(histogram))
    }
}

/// Reads until all messages have arrived or the time is over. Returns the client, which is still connected.
async fn read_all<C: Events>(
    mut client: C,
    plan: Plan,
    begin: Instant,
    mut until: Instant,
) -> anyhow::Result<(Arrivals, C)> {
    let mut delays = vec![None; plan.total()];
    let (mut next, mut missing) = (0, plan.total());
    let mut deliveries = Deliveries::default();
    loop {
        let Ok(event) = timeout_at(until.into(), client.next()).await else { break };
        let Event::Message(message) = event? else { continue };
        let arrived = begin.elapsed();
        let Some(number) = number_in(message.text.as_str()) else { continue };
        let slot = delays.get_mut(number).context("a message that was never sent")?;
        match slot {
            Some(_) => deliveries.duplicated += 1,
            None => {
                *slot = Some(arrived.saturating_sub(plan.due(number)));
                missing -= 1;
                if number < next {
                    deliveries.reordered += 1;
                }
                next = number + 1;
                if missing == 0 {
                    until = Instant::now() + AFTERMATH;
                }
            }
        }
    }
    // Latency is counted after the warm-up, but no message may be lost in the warm-up either.
    deliveries.expected = plan.total() as u64;
    deliveries.lost = missing as u64;
    Ok((Arrivals { delays: delays.split_off(plan.warm_up), deliveries }, client))
}

/// Sends the messages in order. Those that fall due during a POST go into the next one.
async fn publish(writer: &Writer, plan: Plan, begin: Instant) -> anyhow::Result<()> {
    let mut number = 0;
    while number < plan.total() {
        wait_until(begin + plan.due(number)).await;
        let due = (number..plan.total()).take(AT_ONCE).take_while(|&next| plan.due(next) <= begin.elapsed());
        let count = due.count().max(1);
        writer.write((number..number + count).map(text)).await?;
        number += count;
    }
    Ok(())
}

/// The text of a message: its number, padded to [`TEXT_BYTES`].
pub(crate) fn text(number: usize) -> Text {
    Text::try_from(format!("{number:<TEXT_BYTES$}")).expect("it is short")
}

fn number_in(text: &str) -> Option<usize> {
    text.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use chat_client::ClientError;
    use chat_core::ids::Cursor;

    use super::*;

    /// A client that receives these messages in this order, and then none.
    struct FakeClient(VecDeque<usize>);

    impl Events for FakeClient {
        async fn next(&mut self) -> Result<Event, ClientError> {
            let Some(number) = self.0.pop_front() else { return std::future::pending().await };
            let event = serde_json::json!({
                "type": "message", "id": "00000000.1", "conversation": "c1", "seq": 1, "from": "u1",
                "cid": "a", "text": text(number), "at": "2026-01-01T00:00:00.000Z",
            });
            Ok(serde_json::from_value(event)?)
        }

        fn cursor(&self) -> Option<Cursor> {
            None
        }
    }

    /// The deliveries of a plan of four messages, the first of which is warm-up.
    async fn deliveries(arriving: &[usize]) -> Deliveries {
        let client = FakeClient(arriving.iter().copied().collect());
        let plan = Plan { rate_per_s: 1_000.0, warm_up: 1, messages: 3, burst: 1 };
        let begin = Instant::now();
        let (arrivals, _) = read_all(client, plan, begin, begin + Duration::from_millis(20)).await.unwrap();
        assert_eq!(arrivals.delays.len(), plan.messages);
        arrivals.deliveries
    }

    #[tokio::test]
    async fn lost_duplicated_and_reordered_messages_are_counted() {
        let expected = Deliveries { expected: 4, ..Deliveries::default() };
        assert_eq!(deliveries(&[0, 1, 2, 3]).await, expected);
        assert_eq!(deliveries(&[0, 1, 3]).await, Deliveries { lost: 1, ..expected });
        assert_eq!(deliveries(&[1, 2, 3]).await, Deliveries { lost: 1, ..expected });
        assert_eq!(deliveries(&[0, 1, 2]).await, Deliveries { lost: 1, ..expected });
        assert_eq!(deliveries(&[0, 1, 1, 2, 3]).await, Deliveries { duplicated: 1, ..expected });
        assert_eq!(deliveries(&[0, 1, 2, 3, 3]).await, Deliveries { duplicated: 1, ..expected });
        assert_eq!(deliveries(&[0, 2, 1, 3]).await, Deliveries { reordered: 1, ..expected });
    }

    #[test]
    fn counting_begins_between_the_last_warm_up_and_the_first_that_counts() {
        let plan = |warm_up, burst| Plan { rate_per_s: 20.0, warm_up, messages: 40, burst };
        assert_eq!(plan(2, 1).warm(), Duration::from_millis(75));
        assert_eq!(plan(20, 20).warm(), Duration::from_millis(500));
        assert_eq!(plan(0, 1).warm(), Duration::ZERO);
    }

    #[test]
    fn a_burst_is_due_at_once() {
        let plan = Plan { rate_per_s: 20.0, warm_up: 0, messages: 40, burst: 20 };
        assert_eq!(plan.due(0), plan.due(19));
        assert_eq!(plan.due(20), Duration::from_secs(1));
    }
}
