//! Logging to standard error, chosen by `-v`, `-q` and the environment variable `MPTCP_LOG`.

use std::io;

use tracing_subscriber::EnvFilter;

/// Environment variable with a filter, for example `debug` or `mptcp_analyze=trace`. It wins over
/// `-v` and `-q`.
pub const VARIABLE: &str = "MPTCP_LOG";

/// Starts logging. A second call does nothing.
pub fn start(verbose: u8, quiet: bool) {
    let filter =
        EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(level(verbose, quiet)));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never)
        .without_time()
        .with_target(false)
        .try_init();
    // Only a test that runs two commands in one process gets here twice.
    drop(started);
}

fn level(verbose: u8, quiet: bool) -> &'static str {
    match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_v_tells_more_and_q_tells_less() {
        assert_eq!(level(0, true), "error");
        assert_eq!(level(0, false), "warn");
        assert_eq!(level(1, false), "info");
        assert_eq!(level(2, false), "debug");
        assert_eq!(level(9, false), "trace");
    }
}
