//! The settings of a run, which every scenario receives.

use crate::subject::Subject;

/// How to measure a scenario.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) scope: Scope,
    pub(crate) quick: bool,
    /// The transports that are compared, in the order of every table.
    pub(crate) transports: Vec<Subject>,
}

impl Settings {
    /// One value for a full run, another for a quick one.
    pub(crate) fn full_or_quick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// Which subjects a run measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The transports, and the floor beside them.
    Comparison,
    /// The floor alone.
    Floor,
}
