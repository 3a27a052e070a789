//! The result as a table of Markdown, for `docs/benchmarks.md`.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

use super::commands::Contender;
use super::measure::Usage;

/// One capture: its size, a row for each contender.
pub(super) fn capture(
    name: &str,
    file: &Path,
    contenders: &[Contender],
    results: &[Vec<Usage>],
) -> anyhow::Result<String> {
    let (packets, connections) = counts(contenders)?;
    let bytes = std::fs::metadata(file)?.len();
    let mut text = format!(
        "\n## {name}\n\n{packets} packets, {} MB, {connections} MPTCP connections\n\n\
         | command | CPU s | ns a packet | wall s | peak MiB | CPU / ours | memory / ours |\n\
         |---|---|---|---|---|---|---|\n",
        bytes / 1_000_000,
    );
    let with_runs = results.iter().filter(|runs| !runs.is_empty());
    let medians: Vec<Usage> = with_runs.map(|runs| median(runs)).collect();
    let ours = medians.first().context("no result")?;
    let measured = |(contender, runs): (_, &Vec<Usage>)| (!runs.is_empty()).then_some(contender);
    let names = contenders.iter().zip(results).filter_map(measured);
    for (contender, usage) in names.zip(&medians) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            contender.name,
            tenths(usage.cpu_us, 1_000),
            usage.cpu_us * 1_000 / packets.max(1),
            tenths(usage.wall_us, 1_000),
            usage.peak_kib / 1024,
            ratio(usage.cpu_us, ours.cpu_us),
            ratio(usage.peak_kib, ours.peak_kib),
        );
    }
    Ok(text)
}

/// Median of each figure by itself.
fn median(runs: &[Usage]) -> Usage {
    let of = |figure: fn(&Usage) -> u64| {
        let mut values: Vec<u64> = runs.iter().map(figure).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or(0)
    };
    Usage {
        cpu_us: of(|run| run.cpu_us),
        wall_us: of(|run| run.wall_us),
        peak_kib: of(|run| run.peak_kib),
    }
}

/// Microseconds as seconds with three digits.
fn tenths(value_us: u64, unit: u64) -> String {
    let thousandths = value_us / unit;
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

/// With two digits behind the point.
fn ratio(value: u64, base: u64) -> String {
    let hundredths = value.saturating_mul(100) / base.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Packets and MPTCP connections, as the analyzer counts them.
fn counts(contenders: &[Contender]) -> anyhow::Result<(u64, usize)> {
    #[derive(serde::Deserialize)]
    struct Document {
        captures: Vec<Capture>,
        connections: Vec<serde::de::IgnoredAny>,
    }
    #[derive(serde::Deserialize)]
    struct Capture {
        packets: u64,
    }
    let command = &contenders.first().context("nobody to compare")?.command;
    let (program, arguments) = command.split_first().context("an empty command")?;
    let output = std::process::Command::new(program)
        .args(arguments)
        .output()?;
    let document: Document = serde_json::from_slice(&output.stdout).context("reading the list")?;
    let packets = document
        .captures
        .iter()
        .map(|capture| capture.packets)
        .sum();
    Ok((packets, document.connections.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_takes_each_figure_by_itself() {
        let run = |cpu_us, wall_us| Usage {
            cpu_us,
            wall_us,
            peak_kib: 7,
        };
        let middle = median(&[run(3, 10), run(1, 30), run(2, 20)]);
        assert_eq!((middle.cpu_us, middle.wall_us, middle.peak_kib), (2, 20, 7));
    }

    #[test]
    fn figures_keep_their_digits() {
        assert_eq!(tenths(1_234_567, 1_000), "1.234");
        assert_eq!(ratio(7, 2), "3.50");
        assert_eq!(ratio(7, 0), "7.00");
    }
}
