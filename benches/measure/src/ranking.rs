//! Which transports are ahead in one figure, and which are behind. Transports whose runs overlap are not ranked.

use crate::catalogue::{Better, FLOOR, column, title};
use crate::results::Figure;

/// The smallest number of samples for a ranking. With fewer, chance alone puts two intervals apart too often.
///
/// With two samples of each, this happens in one of three comparisons. With three it happens in one of ten, and with
/// five in one of 126.
pub(crate) const LEAST_SAMPLES: usize = 3;

/// A difference below this share of the smaller median gets no mark.
const NOTICED_SHARE: f64 = 0.1;

/// A difference below this time gets no mark: it is one frame of a screen, at 60 a second.
pub(crate) const NOTICED_MS: f64 = 17.0;

/// The mark beside a figure: a word, because colour is lost in Markdown and in a screen reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// All its runs beat all runs of every other transport.
    Ahead,
    /// All runs of every transport without this mark beat all its runs.
    Behind,
}

impl Mark {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Behind => "behind",
        }
    }
}

/// The transports in order, by one figure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranking<'a> {
    /// The best group first: all its runs beat all runs of the next. Empty if there is no ranking.
    groups: Vec<Vec<&'a str>>,
    ahead: Option<&'a str>,
    behind: Vec<&'a str>,
}

/// Ranks the transports by one figure, without the floor.
pub(crate) fn rank<'a>(better: Better, figures: &[(&'a str, &Figure)]) -> Ranking<'a> {
    let mut transports: Vec<_> = figures.iter().filter(|(subject, _)| *subject != FLOOR).copied().collect();
    let too_few = transports.iter().any(|(_, figure)| figure.samples.len() < LEAST_SAMPLES);
    if better == Better::Neither || too_few || transports.len() < 2 {
        return Ranking::default();
    }
    transports.sort_by(|one, other| {
        let order = one.1.median().total_cmp(&other.1.median());
        if better == Better::Higher { order.reverse() } else { order }
    });
    let is_cut = |at: &usize| {
        let (before, after) = transports.split_at(*at);
        before.iter().all(|one| after.iter().all(|other| one.1.apart_from(other.1)))
    };
    let cuts: Vec<usize> = (1..transports.len()).filter(is_cut).collect();
    let gap = |cut: usize| (transports[cut].1.median() - transports[cut - 1].1.median()).abs();
    let is_noticed = |cut: &usize| {
        let (one, other) = (transports[*cut - 1].1, transports[*cut].1);
        let smaller = one.median().abs().min(other.median().abs());
        gap(*cut) >= smaller * NOTICED_SHARE && (one.unit != "ms" || gap(*cut) >= NOTICED_MS)
    };
    let subjects: Vec<&str> = transports.iter().map(|(subject, _)| *subject).collect();
    let ends = cuts.iter().copied().chain([subjects.len()]);
    let begins = std::iter::once(0).chain(cuts.iter().copied());
    let ahead = (cuts.first() == Some(&1) && is_noticed(&1)).then(|| subjects[0]);
    // If there are several groups, the transports behind begin at the widest gap below the first group.
    let mut noticed: Vec<usize> = cuts.iter().copied().filter(is_noticed).collect();
    if ahead.is_some() && noticed.len() > 1 {
        noticed.remove(0);
    }
    let widest = noticed.into_iter().max_by(|one, other| gap(*one).total_cmp(&gap(*other)));
    Ranking {
        groups: begins.zip(ends).map(|(begin, end)| in_order(&subjects[begin..end])).collect(),
        ahead,
        behind: widest.map_or_else(Vec::new, |cut| in_order(&subjects[cut..])),
    }
}

/// Sorted by their columns, so that the order in a list does not suggest a ranking.
fn in_order<'a>(subjects: &[&'a str]) -> Vec<&'a str> {
    let mut subjects = subjects.to_vec();
    subjects.sort_by_key(|subject| column(subject));
    subjects
}

impl<'a> Ranking<'a> {
    /// The mark beside a transport's figure.
    pub(crate) fn mark(&self, subject: &str) -> Option<Mark> {
        if self.ahead == Some(subject) {
            Some(Mark::Ahead)
        } else if self.behind.contains(&subject) {
            Some(Mark::Behind)
        } else {
            None
        }
    }

    /// Whether at least two transports had enough samples.
    pub(crate) fn is_known(&self) -> bool {
        !self.groups.is_empty()
    }

    /// The first group, if there is another: the best transport, and those not clearly apart from it.
    pub(crate) fn first(&self) -> &[&'a str] {
        if self.groups.len() > 1 { &self.groups[0] } else { &[] }
    }

    /// In words, for the last column of a table.
    pub(crate) fn words(&self) -> String {
        let list = |subjects: &[&str]| subjects.iter().map(|one| title(one)).collect::<Vec<_>>().join(", ");
        match &self.groups[..] {
            [] => return "–".to_owned(),
            [_] => return "not clearly apart".to_owned(),
            _ => {}
        }
        let mut parts = Vec::new();
        parts.extend(self.ahead.map(|one| format!("ahead: {}", title(one))));
        parts.extend((!self.behind.is_empty()).then(|| format!("behind: {}", list(&self.behind))));
        if parts.is_empty() {
            parts.push("apart by too little to notice".to_owned());
        }
        let level = self.groups.iter().filter(|group| group.len() > 1 && !self.behind.contains(&group[0]));
        parts.extend(level.map(|group| format!("not clearly apart: {}", list(group))));
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(samples: &[f64]) -> Figure {
        Figure { unit: "KiB".to_owned(), samples: samples.to_vec() }
    }

    /// Three runs of each transport.
    type Runs<'a> = &'a [(&'a str, [f64; 3])];

    fn words(better: Better, unit: &str, figures: Runs<'_>) -> String {
        let of = |samples: &[f64]| Figure { unit: unit.to_owned(), samples: samples.to_vec() };
        let figures: Vec<_> = figures.iter().map(|(subject, samples)| (*subject, of(samples))).collect();
        let borrowed: Vec<_> = figures.iter().map(|(subject, figure)| (*subject, figure)).collect();
        rank(better, &borrowed).words()
    }

    #[test]
    fn transports_are_marked_ahead_or_behind_where_all_runs_are_apart() {
        let (ws, sse, poll, short) = ("websocket", "sse", "longpoll", "shortpoll");
        let cases: [(&str, Runs<'_>); 8] = [
            // One is behind two that are level.
            (
                "behind: long polling; not clearly apart: WebSocket, SSE",
                &[(ws, [52.0, 52.7, 52.8]), (sse, [51.8, 52.6, 52.8]), (poll, [106.0, 107.0, 107.0])],
            ),
            ("ahead: WebSocket; behind: SSE", &[(ws, [1.0, 2.0, 3.0]), (sse, [4.0, 5.0, 6.0])]),
            // The transports behind begin at the widest gap, so two that differ by little are both behind.
            (
                "ahead: WebSocket; behind: long polling, short polling",
                &[(ws, [211.0; 3]), (sse, [237.0; 3]), (poll, [589.0; 3]), (short, [596.0; 3])],
            ),
            (
                "ahead: short polling; behind: WebSocket, long polling",
                &[(ws, [4.9; 3]), (sse, [3.6; 3]), (poll, [4.5; 3]), (short, [2.6; 3])],
            ),
            (
                "ahead: WebSocket; behind: SSE, long polling",
                &[(ws, [1.0; 3]), (sse, [4.0, 5.0, 6.0]), (poll, [4.5, 5.5, 6.5])],
            ),
            ("not clearly apart", &[(ws, [1.0, 2.0, 4.5]), (sse, [4.0, 5.0, 6.0])]),
            ("not clearly apart", &[(ws, [2.0; 3]), (sse, [2.0; 3])]),
            // A transport that overlaps with both sides joins them.
            ("not clearly apart", &[(ws, [1.0, 2.0, 3.0]), (poll, [2.5, 3.5, 9.0]), (sse, [4.0, 5.0, 6.0])]),
        ];
        for (expected, figures) in cases {
            assert_eq!(words(Better::Lower, "KiB", figures), expected, "{figures:?}");
        }
        let higher = [(ws, [1.0, 2.0, 3.0]), (sse, [4.0, 5.0, 6.0])];
        assert_eq!(words(Better::Higher, "/s", &higher), "ahead: SSE; behind: WebSocket");
    }

    #[test]
    fn a_difference_too_small_to_notice_gets_no_mark() {
        let pair = |one: f64, other: f64| [("websocket", [one; 3]), ("sse", [other; 3])];
        assert_eq!(words(Better::Lower, "B", &pair(100.0, 109.0)), "apart by too little to notice");
        assert_eq!(words(Better::Lower, "B", &pair(100.0, 111.0)), "ahead: WebSocket; behind: SSE");
        assert_eq!(words(Better::Lower, "ms", &pair(1.0, 9.0)), "apart by too little to notice");
        assert_eq!(words(Better::Lower, "ms", &pair(52.0, 107.0)), "ahead: WebSocket; behind: SSE");
    }

    #[test]
    fn two_samples_rank_no_transport() {
        let (a, b) = (figure(&[1.0, 1.0]), figure(&[9.0, 9.0]));
        assert!(!rank(Better::Lower, &[("sse", &a), ("websocket", &b)]).is_known());
        assert!(!rank(Better::Neither, &[("sse", &a), ("websocket", &b)]).is_known());
    }

    #[test]
    fn the_floor_never_wins() {
        let (floor, a, b) = (figure(&[0.1; 3]), figure(&[1.0; 3]), figure(&[2.0; 3]));
        let ranking = rank(Better::Lower, &[(FLOOR, &floor), ("sse", &b), ("longpoll", &a)]);
        assert_eq!(
            [FLOOR, "sse", "longpoll"].map(|one| ranking.mark(one)),
            [None, Some(Mark::Behind), Some(Mark::Ahead)]
        );
    }
}
