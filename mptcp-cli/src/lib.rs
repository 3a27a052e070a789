//! What the commands of the toolkit share at the terminal: flags, exit codes, colour, escaping of
//! text from the network, tables, logging, the JSON envelope, man pages and completions.

pub mod escape;
pub mod exit;
pub mod generate;
pub mod json;
pub mod log;
pub mod named;
pub mod output;
pub mod paragraph;
pub mod quantity;
pub mod style;
pub mod table;

pub use exit::{UsageError, Verdict, exit};
pub use output::{Output, OutputArgs};
