//! Tables as plain text, Markdown or comma-separated values.
//!
//! In: measured rows. Out: text. Invariants: a ratio is never shown without its baseline, and a mean that does not
//! cover all rows says how many it covers.

use std::fmt::Write as _;
use std::time::Duration;

use crate::measure::{Cell, Column, Row, median};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns
    Text,
    /// A table for a README
    Markdown,
    /// One line per kernel and engine
    Csv,
}

/// Cells of text; the first column is aligned to the left, the others to the right.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    /// How many of the last rows are sums of the others and are set apart.
    pub(crate) summary_rows: usize,
}

impl Table {
    /// The table in one of the formats for reading; CSV takes the same cells.
    pub(crate) fn render(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Markdown => self.markdown(),
            Format::Csv => self.csv(),
        }
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = std::iter::once(&self.header).chain(&self.rows);
            cells.filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        (0..self.header.len()).map(width).collect()
    }

    fn text(&self) -> String {
        let widths = self.widths();
        let mut out = String::new();
        let rule: String = "-".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)) + "\n";
        line(&mut out, &self.header, &widths, "", "  ", "");
        out += &rule;
        for (i, row) in self.rows.iter().enumerate() {
            if self.summary_rows > 0 && i + self.summary_rows == self.rows.len() {
                out += &rule;
            }
            line(&mut out, row, &widths, "", "  ", "");
        }
        out
    }

    fn markdown(&self) -> String {
        let widths = self.widths();
        let mut out = String::new();
        line(&mut out, &self.header, &widths, "| ", " | ", " |");
        let marks: Vec<String> = widths
            .iter()
            .enumerate()
            .map(|(i, width)| if i == 0 { "-".repeat(*width) } else { "-".repeat(width.saturating_sub(1)) + ":" })
            .collect();
        line(&mut out, &marks, &widths, "| ", " | ", " |");
        for row in &self.rows {
            line(&mut out, row, &widths, "| ", " | ", " |");
        }
        out
    }

    fn csv(&self) -> String {
        let quote = |cell: &String| {
            let special = cell.contains([',', '"', '\n']);
            if special { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
        };
        let mut out = String::new();
        for row in std::iter::once(&self.header).chain(&self.rows) {
            out += &row.iter().map(quote).collect::<Vec<_>>().join(",");
            out.push('\n');
        }
        out
    }
}

fn line(out: &mut String, cells: &[String], widths: &[usize], before: &str, between: &str, after: &str) {
    let mut text = String::from(before);
    for (i, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
        if i > 0 {
            text += between;
        }
        text += &if i == 0 { format!("{cell}{padding}") } else { format!("{padding}{cell}") };
    }
    text += after;
    out.push_str(text.trim_end());
    out.push('\n');
}

/// The table of a comparison: a row per kernel, then the geometric means, memory and compile times.
pub(crate) fn comparison(columns: &[Column], names: &[String], rows: &[Row]) -> Table {
    let baseline = baseline(columns);
    let mut header = vec!["CPU ms (ratio)".to_owned()];
    header.extend(columns.iter().map(|column| column.name().to_owned()));
    let mut table = Table { header, rows: Vec::new(), summary_rows: 0 };
    for (name, row) in names.iter().zip(rows) {
        let cells =
            row.cells.iter().enumerate().map(|(i, cell)| time_and_ratio(cell, &row.cells[baseline], i != baseline));
        table.rows.push(std::iter::once(name.clone()).chain(cells).collect());
    }
    let mut summary = |name: String, cell: &dyn Fn(usize) -> String| {
        table.rows.push(std::iter::once(name).chain((0..columns.len()).map(cell)).collect());
        table.summary_rows += 1;
    };
    summary(format!("geomean, {} = 1", columns.get(baseline).map_or("", Column::name)), &|i| mean(rows, i, baseline));
    summary("peak memory, MB".to_owned(), &|i| {
        number(median(rows.iter().filter_map(|row| row.cells[i].memory_mb()).collect()), 1)
    });
    if rows.iter().any(|row| row.compile.iter().any(Option::is_some)) {
        summary("compiled before, CPU ms".to_owned(), &|i| {
            let times: Vec<Duration> = rows.iter().filter_map(|row| row.compile[i]).collect();
            number((!times.is_empty()).then(|| times.iter().sum::<Duration>().as_secs_f64() * 1e3), 0)
        });
    }
    table
}

/// The column that ratios refer to: the native program, or else the first.
fn baseline(columns: &[Column]) -> usize {
    columns.iter().position(|column| matches!(column, Column::Native)).unwrap_or(0)
}

fn time_and_ratio(cell: &Cell, baseline: &Cell, with_ratio: bool) -> String {
    match (cell, cell.cpu_ms(), baseline.cpu_ms()) {
        (Cell::Wrong(_), ..) => "WRONG".to_owned(),
        (_, None, _) => "failed".to_owned(),
        (_, Some(ms), Some(base)) if with_ratio && base > 0.0 => format!("{ms:.1} ({:.2})", ms / base),
        (_, Some(ms), _) => format!("{ms:.1}"),
    }
}

/// The geometric mean of a column's ratios; "n/m" follows when only n of m kernels have one.
fn mean(rows: &[Row], column: usize, baseline: usize) -> String {
    let ratio = |row: &Row| Some(row.cells[column].cpu_ms()? / row.cells[baseline].cpu_ms()?);
    let ratios: Vec<f64> = rows.iter().filter_map(ratio).filter(|r| r.is_finite() && *r > 0.0).collect();
    match geometric_mean(&ratios) {
        None => "-".to_owned(),
        Some(mean) if ratios.len() == rows.len() => format!("{mean:.2}"),
        Some(mean) => format!("{mean:.2} ({}/{})", ratios.len(), rows.len()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "the count of kernels is small")]
fn geometric_mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| (values.iter().map(|v| v.ln()).sum::<f64>() / values.len() as f64).exp())
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// The same measurements, one row per kernel and engine.
pub(crate) fn long(columns: &[Column], names: &[String], rows: &[Row]) -> Table {
    let header = ["kernel", "engine", "cpu_ms", "wall_ms", "peak_mb", "compile_cpu_ms", "problem"];
    let mut table = Table { header: header.map(str::to_owned).into(), rows: Vec::new(), summary_rows: 0 };
    for (name, row) in names.iter().zip(rows) {
        for (i, column) in columns.iter().enumerate() {
            let cell = &row.cells[i];
            let plain = |value: Option<f64>| value.map(|v| format!("{v:.3}")).unwrap_or_default();
            table.rows.push(vec![
                name.clone(),
                column.name().to_owned(),
                plain(cell.cpu_ms()),
                plain(cell.wall_ms()),
                plain(cell.memory_mb()),
                plain(row.compile[i].map(|time| time.as_secs_f64() * 1e3)),
                cell.problem().unwrap_or_default().to_owned(),
            ]);
        }
    }
    table
}

/// What a whole process costs: a row per engine.
pub(crate) fn startup(columns: &[Column], row: &Row) -> Table {
    let header = ["engine", "CPU ms", "wall ms", "peak MB"];
    let mut table = Table { header: header.map(str::to_owned).into(), rows: Vec::new(), summary_rows: 0 };
    for (column, cell) in columns.iter().zip(&row.cells) {
        let values = [number(cell.cpu_ms(), 1), number(cell.wall_ms(), 1), number(cell.memory_mb(), 1)];
        table.rows.push(std::iter::once(column.name().to_owned()).chain(values).collect());
    }
    table
}

/// Versions, the processor, and every problem met: the lines below a table.
pub(crate) fn notes(columns: &[Column], names: &[String], rows: &[Row], absent: &[(&str, String)]) -> Vec<String> {
    let mut notes = vec![format!("Processor: {}.", processor())];
    for column in columns {
        match column {
            Column::Native => notes
                .push("native: the same C sources and compiler, -O3 for the baseline of the architecture.".to_owned()),
            Column::Engine(engine) if engine.compiles() => {
                notes.push(format!("{}: {}, compiled before the measurement.", engine.spec.name, engine.version));
            }
            Column::Engine(engine) => notes.push(format!("{}: {}.", engine.spec.name, engine.version)),
        }
    }
    for (name, row) in names.iter().zip(rows) {
        for (column, cell) in columns.iter().zip(&row.cells) {
            if let Some(problem) = cell.problem() {
                notes.push(format!("{name} in {}: {problem}.", column.name()));
            }
        }
    }
    notes.extend(absent.iter().map(|(engine, reason)| format!("without {engine}: {reason}.")));
    notes
}

/// The notes as lines of text, comments in CSV, or a list.
pub(crate) fn render_notes(notes: &[String], format: Format) -> String {
    let mut out = String::new();
    for note in notes {
        let mark = match format {
            Format::Text => "",
            Format::Markdown => "- ",
            Format::Csv => "# ",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{mark}{note}");
    }
    out
}

/// The processor's name and count, as the system tells it.
fn processor() -> String {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let name = field("model name").or_else(|| field("CPU part")).unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{name}, {count} {}", if count == 1 { "core" } else { "cores" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Cost;

    fn measured(ms: u64) -> Cell {
        let time = Duration::from_millis(ms);
        Cell::Measured(vec![Cost { cpu: time, wall: time, peak_memory: 2_000_000 }])
    }

    fn row(cells: Vec<Cell>) -> Row {
        let compile = vec![None; cells.len()];
        Row { cells, compile }
    }

    #[test]
    fn ratios_and_their_mean() {
        let rows = [row(vec![measured(10), measured(20)]), row(vec![measured(10), measured(80)])];
        assert_eq!(mean(&rows, 1, 0), "4.00");
        assert_eq!(time_and_ratio(&rows[0].cells[1], &rows[0].cells[0], true), "20.0 (2.00)");
    }

    #[test]
    fn a_mean_over_a_part_says_so() {
        let rows = [row(vec![measured(10), measured(20)]), row(vec![measured(10), Cell::Failed("trap".to_owned())])];
        assert_eq!(mean(&rows, 1, 0), "2.00 (1/2)");
        assert_eq!(mean(&[row(vec![measured(1), Cell::Wrong(String::new())])], 1, 0), "-");
    }

    #[test]
    fn tables_are_aligned() {
        let table = Table {
            header: vec!["name".to_owned(), "ms".to_owned()],
            rows: vec![vec!["a".to_owned(), "10.5".to_owned()], vec!["mean".to_owned(), "1×".to_owned()]],
            summary_rows: 1,
        };
        assert_eq!(table.render(Format::Text), "name    ms\n----------\na     10.5\n----------\nmean    1×\n");
        assert_eq!(
            table.render(Format::Markdown),
            "| name |   ms |\n| ---- | ---: |\n| a    | 10.5 |\n| mean |   1× |\n"
        );
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let table = Table { header: vec!["a".to_owned()], rows: vec![vec!["x,\"y\"".to_owned()]], summary_rows: 0 };
        assert_eq!(table.render(Format::Csv), "a\n\"x,\"\"y\"\"\"\n");
    }

    #[test]
    fn a_comparison_has_a_row_per_kernel_and_the_summaries() {
        let rows = [row(vec![measured(10)]), row(vec![measured(30)])];
        let table = comparison(&[Column::Native], &["a".to_owned(), "b".to_owned()], &rows);
        assert_eq!((table.rows.len(), table.summary_rows), (4, 2));
        assert_eq!(table.rows[0], ["a", "10.0"]);
        assert_eq!(table.rows[2], ["geomean, native = 1", "1.00"]);
        assert_eq!(table.rows[3], ["peak memory, MB", "2.0"]);
    }
}
