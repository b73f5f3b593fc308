//! A measured figure beside the bare limit measured in the same run, and how figures are shown:
//! a table for people, or one JSON line a figure for machines. It measures nothing itself.

use serde::Serialize;

/// One measured value. The field names are the contract of `cargo figures --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Dotted, area first, stable between runs: `engine.signals_64_senders_1000_objects`.
    pub name: String,
    /// What was measured, in `unit`.
    pub value: f64,
    /// `1/s`, `s`, `ms`, `us`, `h/s`, `KiB`, `MiB`, `%`.
    pub unit: String,
    /// The bare limit, measured in the same run and unit; none where there is nothing to compare with.
    pub reference: Option<f64>,
    /// `value / reference`: near 1 is good for a rate, and for a time or a size alike.
    pub ratio: Option<f64>,
}

impl Figure {
    /// A figure with nothing to compare it with.
    pub fn new(name: impl Into<String>, value: f64, unit: impl Into<String>) -> Self {
        Figure { name: name.into(), value, unit: unit.into(), reference: None, ratio: None }
    }

    /// The same figure beside the bare limit, in the same unit.
    pub fn against(mut self, reference: f64) -> Self {
        self.reference = Some(reference);
        self.ratio = (reference != 0.0).then(|| self.value / reference);
        self
    }

    /// One line of JSON with exactly the five fields.
    pub fn to_json_line(&self) -> String {
        serde_json::to_string(self).expect("two strings and three numbers always serialise")
    }
}

/// What to measure, from the command line of `cargo figures`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// One JSON line a figure in place of the table.
    pub json: bool,
    /// Smaller numbers and shorter runs: proves that a bench works, not what the machine can do.
    pub quick: bool,
    /// Only figures whose name contains this.
    pub filter: Option<String>,
}

impl Options {
    /// Reads `--json`, `--quick`, `--filter TEXT`; `--bench` is what cargo itself adds.
    ///
    /// # Errors
    /// An argument that is not known, or a filter without its text.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Options, String> {
        let mut options = Options::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => {}
                "--json" => options.json = true,
                "--quick" => options.quick = true,
                "--filter" => {
                    options.filter = Some(arguments.next().ok_or("--filter needs a text")?);
                }
                other => return Err(format!("unknown argument {other}: --json, --quick, --filter TEXT")),
            }
        }
        Ok(options)
    }

    /// Whether a figure of this name was asked for; ask before a costly measurement.
    pub fn wants(&self, name: &str) -> bool {
        self.filter.as_deref().is_none_or(|filter| name.contains(filter))
    }

    /// `full`, or `quick` where quick was asked for.
    pub fn scale<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// The table that people read: name, value, unit, reference, ratio.
pub fn table(figures: &[Figure]) -> String {
    let width = figures.iter().map(|figure| figure.name.len()).max().unwrap_or(0).max("figure".len());
    let mut text =
        format!("{:width$}  {:>12}  {:4}  {:>12}  {:>6}\n", "figure", "value", "unit", "reference", "ratio");
    for figure in figures {
        let reference = figure.reference.map_or("-".to_owned(), round);
        let ratio = figure.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        text.push_str(&format!(
            "{:width$}  {:>12}  {:4}  {:>12}  {:>6}\n",
            figure.name,
            round(figure.value),
            figure.unit,
            reference,
            ratio
        ));
    }
    text
}

/// Three or more digits that mean something, no more.
fn round(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_json_line_has_exactly_the_five_fields() {
        let line = Figure::new("engine.signals", 1200.0, "1/s").against(2400.0).to_json_line();
        assert_eq!(
            line,
            r#"{"name":"engine.signals","value":1200.0,"unit":"1/s","reference":2400.0,"ratio":0.5}"#
        );
        let alone = Figure::new("runner.idle", 9.5, "MiB").to_json_line();
        assert!(alone.ends_with(r#""reference":null,"ratio":null}"#), "{alone}");
    }

    #[test]
    fn a_reference_of_zero_gives_no_ratio() {
        assert_eq!(Figure::new("a.b", 1.0, "ms").against(0.0).ratio, None);
    }

    #[test]
    fn the_arguments_of_the_command_line() {
        assert_eq!(parse("--bench"), Ok(Options::default()));
        assert!(parse("--json --bench").unwrap().json);
        let options = parse("--filter rpc --quick").unwrap();
        assert!(options.wants("rpc.lease_p50") && !options.wants("engine.signals"));
        assert_eq!(options.scale(1000, 10), 10);
        assert!(parse("--filter").is_err());
        assert!(parse("--fast").is_err());
    }

    #[test]
    fn the_table_lines_up() {
        let text = table(&[Figure::new("a.long_name", 1.0, "ms"), Figure::new("b", 2.0, "1/s").against(4.0)]);
        let widths: Vec<usize> = text.lines().map(str::len).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }
}
