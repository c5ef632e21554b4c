//! A median with its interval, to calculate with: the bounds of a sum are the sums of the bounds.

use std::ops::{Add, Mul};

use serde::Serialize;

use crate::number::between;
use crate::ranking::LEAST_SAMPLES;

/// A median, with the least and the greatest value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Range {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// The number of samples. Of a sum it is the smallest number among the figures in it.
    pub(crate) samples: usize,
}

impl Range {
    /// Zero: what a sum begins with.
    pub(crate) const NOTHING: Self = Self { median: 0.0, least: 0.0, most: 0.0, samples: usize::MAX };

    /// The same, with zero in place of negative values: noise can make a small figure negative.
    pub(crate) fn not_negative(self) -> Self {
        let [median, least, most] = [self.median, self.least, self.most].map(|value| value.max(0.0));
        Self { median, least, most, ..self }
    }

    /// The same plus a constant.
    pub(crate) fn plus(self, more: f64) -> Self {
        let [median, least, most] = [self.median, self.least, self.most].map(|value| value + more);
        Self { median, least, most, ..self }
    }

    /// The greater of both, bound by bound.
    pub(crate) fn at_least(self, floor: Self) -> Self {
        Self {
            median: self.median.max(floor.median),
            least: self.least.max(floor.least),
            most: self.most.max(floor.most),
            samples: self.samples.min(floor.samples),
        }
    }

    /// Whether one of the two is clearly greater.
    pub(crate) fn apart_from(&self, other: &Self) -> bool {
        self.ranks() && other.ranks() && (self.most < other.least || other.most < self.least)
    }

    /// Whether it has enough samples to be ranked.
    pub(crate) fn ranks(&self) -> bool {
        self.samples >= LEAST_SAMPLES
    }

    /// In words, without a unit.
    pub(crate) fn words(&self) -> String {
        between(self.median, self.least, self.most)
    }
}

impl Add for Range {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            median: self.median + other.median,
            least: self.least + other.least,
            most: self.most + other.most,
            samples: self.samples.min(other.samples),
        }
    }
}

impl Mul<f64> for Range {
    type Output = Self;

    /// Multiplies by a factor that is not negative.
    fn mul(self, factor: f64) -> Self {
        let Self { median, least, most, samples } = self;
        Self { median: median * factor, least: least * factor, most: most * factor, samples }
    }
}
