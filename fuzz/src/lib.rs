//! Fuzz bodies: functions from any bytes to no panic.
//!
//! A body takes what a stranger sent and checks more than survival: whatever parses must come out
//! as it went in, and clever sums must equal simple ones. libFuzzer runs the bodies through
//! `fuzz_targets/`; the ordinary tests run them over `corpus/` and over mutations of it.

pub mod capture;
mod codec;
mod endpoint;
mod mutate;
mod rebuild;

use std::path::Path;
use std::{fs, io};

pub use codec::{checksum, option, options_area};
pub use endpoint::{Report, endpoint_session, session_len};
pub use mutate::{run_generated, run_mutated};
pub use rebuild::rebuild;

/// The inputs in `corpus/<target>/`, in the order of their names.
pub fn corpus(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut paths = fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    paths.into_iter().map(fs::read).collect()
}
