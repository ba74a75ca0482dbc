//! The figures, beside their targets: as a table and as JSON.

use std::fmt;

use serde::Serialize;

use crate::machine::Machine;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    is_quick: bool,
    figures: Vec<Figure>,
}

/// One figure.
#[derive(Debug, Serialize)]
struct Figure {
    group: &'static str,
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

impl Report {
    pub(crate) fn new(machine: Machine, is_quick: bool) -> Self {
        Self { machine, is_quick, figures: Vec::new() }
    }

    /// Adds a figure that nothing is demanded of.
    pub(crate) fn add(
        &mut self,
        group: &'static str,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) {
        self.push(group, name.into(), value, unit, None);
    }

    /// Adds a figure with a target, if one is given.
    pub(crate) fn add_against(
        &mut self,
        group: &'static str,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        target: impl Into<Option<Target>>,
    ) {
        self.push(group, name.into(), value, unit, target.into());
    }

    fn push(
        &mut self,
        group: &'static str,
        name: String,
        value: f64,
        unit: &'static str,
        target: Option<Target>,
    ) {
        let is_met = target.map(|target| target.is_met_by(value));
        self.figures.push(Figure { group, name, value, unit, target, is_met });
    }

    pub(crate) fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
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

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_quick {
            writeln!(formatter, "A short run: good for comparing two builds, not for quoting.")?;
        }
        let width = self.figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or_default();
        let mut group = "";
        for Figure { group: of, name, value, unit, target, is_met } in &self.figures {
            if group != *of {
                group = of;
                let rule = "-".repeat(width);
                writeln!(
                    formatter,
                    "\n{group}\n\n| {:width$} | {:>12} | {:>12} | |",
                    "figure", "value", "target"
                )?;
                writeln!(formatter, "|-{rule}-|-------------:|-------------:|---|")?;
            }
            let value = with_unit("", *value, unit);
            let target = match target {
                Some(Target::AtMost(most)) => with_unit("≤ ", *most, unit),
                Some(Target::AtLeast(least)) => with_unit("≥ ", *least, unit),
                None => String::new(),
            };
            let verdict = is_met.map_or("", |is_met| if is_met { "met" } else { "MISSED" });
            writeln!(formatter, "| {name:width$} | {value:>12} | {target:>12} | {verdict} |")?;
        }
        Ok(())
    }
}

fn with_unit(before: &str, value: f64, unit: &str) -> String {
    format!("{before}{} {unit}", number(value)).trim_end().to_owned()
}

/// Three or more significant digits.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}
