//! At which hop of a path a TCP or Multipath TCP option, or any other header field, is removed or
//! rewritten.

pub mod packet;
pub mod quote;

pub mod diff;
pub mod engine;
pub mod evidence;
pub mod plan;
pub mod probe;
pub mod record;
pub mod report;
pub mod run;
pub mod trace;
pub mod tui;
pub mod verdict;
