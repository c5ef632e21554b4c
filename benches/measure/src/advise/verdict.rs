//! The verdict: which transport is ahead in which criterion, whether people notice it, and which transport fits.

use serde::Serialize;

use super::model::{Estimate, Model};
use super::range::Range;

/// In milliseconds. People do not notice a shorter delay, because it feels instantaneous ([Nielsen], after Miller
/// 1968).
///
/// [Nielsen]: https://www.nngroup.com/articles/response-times-3-important-limits/
const NOTICED_MS: f64 = 100.0;

/// In bytes an hour for each client: less than one picture on a page.
const NOTICED_BYTES: f64 = 1e6;

/// One hundredth of a core.
const NOTICED_CORES: f64 = 0.01;

/// One hundredth of the measured machine's memory.
const NOTICED_MEMORY: f64 = 0.01;

/// One criterion of the verdict. They are listed in the order in which people care about them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Criterion {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// Differences below this do not matter.
    pub(crate) noticed: f64,
    /// The transports that were measured.
    pub(crate) standings: Vec<Standing>,
}

/// One transport in one criterion.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Standing {
    pub(crate) subject: &'static str,
    pub(crate) value: Range,
    pub(crate) rank: Rank,
}

/// How a transport compares with the best one in a criterion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rank {
    /// The best median.
    Best,
    /// Not clearly apart from the best.
    Level,
    /// Behind by too little to matter.
    Close,
    /// Behind by enough to matter.
    Behind,
}

/// Which transports fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Choice {
    /// These are behind in nothing that matters.
    Fit(Vec<&'static str>),
    /// Each transport is behind in something. These are ahead in what people care about most.
    Trade(Vec<&'static str>),
    /// Too little was measured, or too many figures are withdrawn.
    CannotTell,
}

/// All criteria, and the choice that follows from them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Verdict {
    pub(crate) criteria: Vec<Criterion>,
    pub(crate) choice: Choice,
}

impl Verdict {
    pub(crate) fn of(model: &Model, estimates: &[Estimate]) -> Self {
        let memory = model.memory_mib as f64 * NOTICED_MEMORY;
        let criteria = vec![
            Criterion::of("latency", "ms", NOTICED_MS, estimates, |one| one.p50_ms),
            Criterion::of("bytes", "B an hour", NOTICED_BYTES, estimates, |one| one.hourly_bytes),
            Criterion::of("processor", "cores", NOTICED_CORES, estimates, |one| one.cores),
            Criterion::of("memory", "MiB", memory, estimates, |one| one.memory_mib),
        ];
        let choice = choose(&criteria, estimates);
        Self { criteria, choice }
    }
}

impl Criterion {
    fn of(
        name: &'static str,
        unit: &'static str,
        noticed: f64,
        estimates: &[Estimate],
        value: fn(&Estimate) -> Option<Range>,
    ) -> Self {
        let known: Vec<(&str, Range)> =
            estimates.iter().filter_map(|one| Some((one.subject, value(one)?))).collect();
        let best = known.iter().min_by(|one, other| one.1.median.total_cmp(&other.1.median)).copied();
        let standing = |(subject, value): (&'static str, Range)| {
            let rank = match best {
                Some((first, _)) if first == subject => Rank::Best,
                Some((_, first)) if !value.apart_from(&first) => Rank::Level,
                Some((_, first)) if value.median - first.median < noticed => Rank::Close,
                Some(_) | None => Rank::Behind,
            };
            Standing { subject, value, rank }
        };
        Self { name, unit, noticed, standings: known.into_iter().map(standing).collect() }
    }

    /// The transport with the best median.
    pub(crate) fn best(&self) -> Option<&Standing> {
        self.standings.iter().find(|standing| standing.rank == Rank::Best)
    }

    /// The standing of a transport, if it was measured.
    pub(crate) fn standing(&self, subject: &str) -> Option<&Standing> {
        self.standings.iter().find(|standing| standing.subject == subject)
    }

    pub(crate) fn is_behind(&self, subject: &str) -> bool {
        self.standing(subject).is_some_and(|standing| standing.rank == Rank::Behind)
    }

    /// Whether at least one transport is behind in this criterion.
    pub(crate) fn matters(&self) -> bool {
        self.standings.iter().any(|standing| standing.rank == Rank::Behind)
    }

    /// Whether it compares at least two transports with enough samples.
    pub(crate) fn is_known(&self) -> bool {
        self.standings.len() >= 2 && self.standings.iter().all(|standing| standing.value.ranks())
    }
}

fn choose(criteria: &[Criterion], estimates: &[Estimate]) -> Choice {
    let known: Vec<&Criterion> = criteria.iter().filter(|criterion| criterion.is_known()).collect();
    // Low latency is the purpose of these transports, so without this figure there is no advice.
    if !known.iter().any(|criterion| criterion.name == "latency") {
        return Choice::CannotTell;
    }
    let all: Vec<&'static str> = estimates.iter().map(|estimate| estimate.subject).collect();
    let is_behind = |subject: &str| known.iter().any(|criterion| criterion.is_behind(subject));
    // A missing figure neither recommends a transport nor rules it out.
    let is_known = |subject: &str| known.iter().all(|criterion| criterion.standing(subject).is_some());
    let left = all.iter().copied().filter(|subject| !is_behind(subject));
    let (fitting, unsure): (Vec<&str>, Vec<&str>) = left.partition(|subject| is_known(subject));
    if !fitting.is_empty() {
        return Choice::Fit(fitting);
    }
    if !unsure.is_empty() {
        return Choice::CannotTell;
    }
    let mut subjects = all;
    for criterion in known {
        let is_ahead =
            |subject: &&str| criterion.standing(subject).is_some_and(|one| one.rank != Rank::Behind);
        let left: Vec<&str> = subjects.iter().copied().filter(is_ahead).collect();
        if !left.is_empty() {
            subjects = left;
        }
    }
    Choice::Trade(subjects)
}
