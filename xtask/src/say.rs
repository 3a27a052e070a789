//! Progress and complaints, all on standard error.

use std::io::Write;

/// Writes one message and a line end; a closed standard error is nobody's loss.
pub(crate) fn say(message: &str) {
    let _ = writeln!(std::io::stderr(), "{}", message.trim_end());
}

/// Writes the answer to what was asked on standard output.
pub(crate) fn answer(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}
