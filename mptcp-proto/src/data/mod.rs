//! Stores for data sequence mappings (RFC 8684 §3.3.1), and the data that an endpoint keeps.
//!
//! The maps work on 64-bit *places* that do not wrap: a subflow place is a subflow sequence
//! number that keeps counting after 4 GiB, a data place is a DSN relative to some fixed DSN.
//! Whoever fills a store expands the numbers of the wire first. Ranges with the same value that
//! touch become one run, so an in-order transfer of any size takes a handful of runs.

mod interval_map;
mod map_queue;
mod mapping;
mod payload;
mod pieces;
mod ranges;
pub mod receive;
pub mod send;
mod sender_map;
pub mod subflow_receive;
pub mod subflow_send;

pub use interval_map::{Held, IntervalMap, PLACE_LIMIT, Stretch};
pub use map_queue::{Conflict, Insertion, MapQueue};
pub use mapping::DataSequenceMapping;
pub use payload::Payload;
pub use receive::ReceiveBuffer;
pub use send::SendBuffer;
pub use sender_map::SenderMap;
pub use subflow_receive::SubflowMappings;
pub use subflow_send::SentMappings;
