//! Which subject is ahead: said only where intervals are apart, and enough was measured.

use crate::catalogue::{Better, FLOOR, title};
use crate::results::Figure;

/// With fewer samples of each, chance alone puts two intervals apart too often: with two each, once in three times;
/// with three once in ten, with five once in 126.
pub(crate) const LEAST_SAMPLES: usize = 3;

/// How the subjects of one figure stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ranking<'a> {
    /// One subject's samples are all on the better side of all others'.
    Best(&'a str),
    /// These cannot be told from the best, and all others are behind it.
    Tie(Vec<&'a str>),
    /// Nothing can be told apart.
    NoDifference,
    /// A subject has too few samples, or there is no other, or nothing to be better in.
    Unranked,
}

/// Ranks the transports by one figure. The floor is no competitor.
pub(crate) fn rank<'a>(better: Better, figures: &[(&'a str, &Figure)]) -> Ranking<'a> {
    let transports: Vec<_> = figures.iter().filter(|(subject, _)| *subject != FLOOR).copied().collect();
    let ahead = |one: &&(&str, &Figure), other: &&(&str, &Figure)| {
        let order = one.1.median().total_cmp(&other.1.median());
        if better == Better::Higher { order.reverse() } else { order }
    };
    let too_few = transports.iter().any(|(_, figure)| figure.samples.len() < LEAST_SAMPLES);
    let Some(&(best, first)) = transports.iter().min_by(ahead) else { return Ranking::Unranked };
    if better == Better::Neither || too_few || transports.len() < 2 {
        return Ranking::Unranked;
    }
    let level = |figure: &Figure| !first.apart_from(figure);
    let tied: Vec<&str> = transports
        .iter()
        .filter(|(subject, figure)| *subject == best || level(figure))
        .map(|one| one.0)
        .collect();
    match tied.len() {
        1 => Ranking::Best(best),
        count if count == transports.len() => Ranking::NoDifference,
        _ => Ranking::Tie(tied),
    }
}

impl Ranking<'_> {
    /// In words, for the last column of a table.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Best(subject) => title(subject).to_owned(),
            Self::Tie(subjects) => {
                let titles: Vec<&str> = subjects.iter().map(|subject| title(subject)).collect();
                format!("no difference at this n: {}", titles.join(", "))
            }
            Self::NoDifference => "no difference at this n".to_owned(),
            Self::Unranked => "–".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(samples: &[f64]) -> Figure {
        Figure { unit: "ms".to_owned(), samples: samples.to_vec() }
    }

    #[test]
    fn only_who_is_apart_from_all_others_is_best() {
        let (a, b, c) = (figure(&[1.0, 2.0, 3.0]), figure(&[4.0, 5.0, 6.0]), figure(&[2.5, 4.0, 9.0]));
        assert_eq!(rank(Better::Lower, &[("sse", &b), ("websocket", &a)]), Ranking::Best("websocket"));
        assert_eq!(rank(Better::Higher, &[("sse", &b), ("websocket", &a)]), Ranking::Best("sse"));
        assert_eq!(rank(Better::Lower, &[("sse", &b), ("longpoll", &c)]), Ranking::NoDifference);
        let three = [("websocket", &a), ("sse", &b), ("longpoll", &c)];
        assert_eq!(rank(Better::Lower, &three), Ranking::Tie(vec!["websocket", "longpoll"]));
    }

    #[test]
    fn what_is_always_equal_is_no_difference() {
        let (a, b) = (figure(&[2.0; 5]), figure(&[2.0; 5]));
        assert_eq!(rank(Better::Lower, &[("sse", &a), ("websocket", &b)]), Ranking::NoDifference);
    }

    #[test]
    fn two_samples_rank_nobody() {
        let (a, b) = (figure(&[1.0, 1.0]), figure(&[9.0, 9.0]));
        assert_eq!(rank(Better::Lower, &[("sse", &a), ("websocket", &b)]), Ranking::Unranked);
    }

    #[test]
    fn the_floor_never_wins() {
        let (floor, a, b) = (figure(&[0.1; 3]), figure(&[1.0; 3]), figure(&[2.0; 3]));
        assert_eq!(
            rank(Better::Lower, &[(FLOOR, &floor), ("sse", &b), ("longpoll", &a)]),
            Ranking::Best("longpoll")
        );
    }
}
