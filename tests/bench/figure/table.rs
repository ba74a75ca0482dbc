//! The figures of one group as a Markdown table: a line for each name, a column for each number of connections.

use std::fmt;

use super::{Figure, Target};

/// Cells, the heading first; all lines are as long.
#[derive(Debug)]
pub(super) struct Table {
    lines: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn of(figures: &[&Figure]) -> Self {
        let (mut columns, mut names) = (Vec::new(), Vec::new());
        for figure in figures {
            if !columns.contains(&figure.place.at) {
                columns.push(figure.place.at);
            }
            if !names.contains(&figure.name.as_str()) {
                names.push(figure.name.as_str());
            }
        }
        let heading = |at: &Option<usize>| at.map_or_else(|| "value".to_owned(), |at| at.to_string());
        let headings = columns.iter().map(heading);
        let mut lines = vec![
            ["figure".to_owned()]
                .into_iter()
                .chain(headings)
                .chain(["target".to_owned(), String::new()])
                .collect(),
        ];
        for name in names {
            let of_name: Vec<&Figure> =
                figures.iter().filter(|figure| figure.name == name).copied().collect();
            let cell = |at: &Option<usize>| {
                let figure = of_name.iter().find(|figure| figure.place.at == *at);
                figure.map_or_else(String::new, |figure| with_unit("", figure.value, figure.unit))
            };
            let mut line = vec![name.to_owned()];
            line.extend(columns.iter().map(cell));
            line.push(of_name.iter().filter_map(|figure| demand(figure)).collect::<Vec<_>>().join("; "));
            let verdicts: Vec<bool> = of_name.iter().filter_map(|figure| figure.is_met).collect();
            line.push(verdict(&verdicts).to_owned());
            lines.push(line);
        }
        Self { lines }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.lines.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (number, line) in self.lines.iter().enumerate() {
            formatter.write_str("|")?;
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                // Figures stand to the right.
                if column > 0 && column + 2 < columns {
                    write!(formatter, " {cell:>width$} |")?;
                } else {
                    write!(formatter, " {cell:width$} |")?;
                }
            }
            formatter.write_str("\n")?;
            if number == 0 {
                let rule = |column| if column > 0 && column + 2 < columns { "---:|" } else { "---|" };
                writeln!(formatter, "|{}", (0..columns).map(rule).collect::<String>())?;
            }
        }
        Ok(())
    }
}

fn demand(figure: &Figure) -> Option<String> {
    let demand = match figure.target? {
        Target::AtMost(most) => with_unit("≤ ", most, figure.unit),
        Target::AtLeast(least) => with_unit("≥ ", least, figure.unit),
    };
    Some(figure.place.at.map_or_else(|| demand.clone(), |at| format!("{demand} at {at}")))
}

fn verdict(verdicts: &[bool]) -> &'static str {
    match verdicts {
        [] => "",
        all if all.iter().all(|is_met| *is_met) => "met",
        _ => "MISSED",
    }
}

fn with_unit(before: &str, value: f64, unit: &str) -> String {
    format!("{before}{} {unit}", number(value)).trim_end().to_owned()
}

/// Three or more significant digits; thousands apart.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if decimals > 0 || !value.is_finite() {
        return text;
    }
    let digits = text.trim_start_matches('-').len();
    let mut apart = String::new();
    for (index, character) in text.chars().enumerate() {
        let left = text.len() - index;
        if left % 3 == 0 && left < digits {
            apart.push(',');
        }
        apart.push(character);
    }
    apart
}
