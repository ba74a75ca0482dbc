//! The figures, beside their targets: as tables and as JSON.

mod table;

use serde::Serialize;

use self::table::Table;
use crate::machine::Machine;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    is_quick: bool,
    figures: Vec<Figure>,
}

/// Where a figure stands: its table, and its column there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    group: &'static str,
    /// How many connections or calls in flight there were, where that is what the columns are.
    at: Option<usize>,
}

/// One figure.
#[derive(Debug, Serialize)]
struct Figure {
    #[serde(flatten)]
    place: Place,
    name: String,
    value: f64,
    unit: &'static str,
    target: Option<Target>,
    is_met: Option<bool>,
}

/// What a figure has to be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Place {
    /// A table with a single column.
    pub(crate) const fn group(group: &'static str) -> Self {
        Self { group, at: None }
    }

    /// The table's column for so many connections or calls in flight.
    pub(crate) const fn at(self, at: usize) -> Self {
        Self { at: Some(at), ..self }
    }
}

impl Report {
    pub(crate) fn new(machine: Machine, is_quick: bool) -> Self {
        Self { machine, is_quick, figures: Vec::new() }
    }

    /// Adds a figure that nothing is demanded of.
    pub(crate) fn add(&mut self, place: Place, name: impl Into<String>, value: f64, unit: &'static str) {
        self.add_against(place, name, value, unit, None);
    }

    /// Adds a figure with a target, if one is given.
    pub(crate) fn add_against(
        &mut self,
        place: Place,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        target: impl Into<Option<Target>>,
    ) {
        let target = target.into();
        let is_met = target.map(|target| target.is_met_by(value));
        self.figures.push(Figure { place, name: name.into(), value, unit, target, is_met });
    }

    pub(crate) fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// When and where, and a table for each group, in Markdown.
    pub(crate) fn to_markdown(&self) -> String {
        let mut text = format!("{}\n", self.machine);
        if self.is_quick {
            text.push_str("A short run: good for comparing two builds, not for quoting.\n");
        }
        let mut groups: Vec<&str> = Vec::new();
        for figure in &self.figures {
            if !groups.contains(&figure.place.group) {
                groups.push(figure.place.group);
            }
        }
        for group in groups {
            let figures = self.figures.iter().filter(|figure| figure.place.group == group);
            let table = Table::of(&figures.collect::<Vec<_>>()).to_string();
            text.extend(["\n### ", group, "\n\n", &table]);
        }
        text
    }
}

impl Target {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}
