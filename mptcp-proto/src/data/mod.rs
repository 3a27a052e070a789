//! Stores for data sequence mappings (RFC 8684 §3.3.1).
//!
//! All of them work on 64-bit *places* that do not wrap: a subflow place is a subflow sequence
//! number that keeps counting after 4 GiB, a data place is a DSN relative to some fixed DSN.
//! Whoever fills a store expands the numbers of the wire first. Ranges with the same value that
//! touch become one run, so an in-order transfer of any size takes a handful of runs.

mod interval_map;
mod map_queue;
mod mapping;
mod payload;
mod sender_map;

pub use interval_map::{Held, IntervalMap, PLACE_LIMIT, Stretch};
pub use map_queue::{Conflict, Insertion, MapQueue};
pub use mapping::DataSequenceMapping;
pub use payload::Payload;
pub use sender_map::SenderMap;
