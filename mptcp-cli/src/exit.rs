//! Exit codes: 0 yes or clean, 1 no or findings, 2 usage, 3 failed, 4 unknown.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::escape::escape;
use crate::style;

/// Answer of a command that ran to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, or nothing is wrong: exit code 0.
    Clean,
    /// No, or something is wrong: exit code 1.
    Findings,
    /// It could not be found out: exit code 4.
    Unknown,
}

/// The command line asks for something that makes no sense: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Exit code for the end of a command. Prints the error, if there is one, on standard error.
///
/// A reader who closes the pipe has read enough, so that is a success.
pub fn exit(result: anyhow::Result<Verdict>) -> ExitCode {
    match result {
        Ok(verdict) => ExitCode::from(code_of(verdict)),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let error_style = style::ERROR;
            // Nobody is left to tell when standard error is closed too.
            let _ = writeln!(
                anstream::stderr(),
                "{error_style}error:{error_style:#} {}",
                escape(&format!("{error:#}"))
            );
            ExitCode::from(if error.is::<UsageError>() {
                USAGE
            } else {
                FAILED
            })
        }
    }
}

fn code_of(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Clean => 0,
        Verdict::Findings => 1,
        Verdict::Unknown => 4,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let direct = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let inside_json = cause
            .downcast_ref::<serde_json::Error>()
            .and_then(serde_json::Error::io_error_kind);
        direct.or(inside_json) == Some(io::ErrorKind::BrokenPipe)
    })
}

const USAGE: u8 = 2;
const FAILED: u8 = 3;

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[track_caller]
    fn check_exit(result: anyhow::Result<Verdict>, expected: u8) {
        assert_eq!(exit(result), ExitCode::from(expected));
    }

    #[test]
    fn each_end_has_its_code() {
        check_exit(Ok(Verdict::Clean), 0);
        check_exit(Ok(Verdict::Findings), 1);
        check_exit(Ok(Verdict::Unknown), 4);
        check_exit(Err(UsageError("bad term".to_owned()).into()), 2);
        check_exit(Err(anyhow::anyhow!("no such file")), 3);
    }

    #[test]
    fn a_closed_pipe_is_a_success_wherever_it_shows() {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        check_exit(Err(closed()).context("writing"), 0);
        check_exit(Err(serde_json::Error::io(closed()).into()), 0);
    }

    #[test]
    fn another_input_output_error_is_a_failure() {
        check_exit(Err(io::Error::from(io::ErrorKind::StorageFull).into()), 3);
    }
}
