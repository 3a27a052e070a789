//! The text form of boxes, as command lines and manifests have it.
//!
//! ```text
//! chain = box *( "+" box )              boxes in a row, the first one nearest to the client
//! box   = name [ ":" key "=" value *( "," key "=" value ) ]
//! ```
//!
//! ```
//! use mptcp_tests::middlebox::spec::Spec;
//!
//! let spec: Spec = "strip:option=mp_join,on=syn+impair:delay_ms=10".parse()?;
//! assert_eq!(spec.to_string(), "strip:option=mp_join,on=syn+impair:delay_ms=10");
//! let middlebox = spec.build();
//! # drop(middlebox);
//! # Ok::<(), mptcp_tests::middlebox::spec::SpecError>(())
//! ```

mod fields;
mod value;

use std::fmt;
use std::str::FromStr;

use super::Middlebox;
use super::chain::Chain;
use super::checksum::{Checksum, Stale};

pub use fields::Fields;
pub(crate) use value::words;
pub use value::{Bytes, Millis, Probability, Spans, Value};

/// One or more boxes in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec(Vec<One>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct One {
    plan: Plan,
    checksum: Checksum,
}

/// What `ALL` says about a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the text form.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// A text that makes one.
    pub example: &'static str,
}

/// Why a text is no box.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// No box has this name.
    #[error("no box is called `{name}`; there are {allowed}")]
    Name {
        /// What was given.
        name: String,
        /// The names there are.
        allowed: String,
    },
    /// The box has no such key.
    #[error("{name} has no key `{key}`; it has {allowed}")]
    Key {
        /// The box.
        name: &'static str,
        /// What was given.
        key: String,
        /// The keys there are.
        allowed: String,
    },
    /// The value does not fit its key.
    #[error("{name}: {key}=`{value}` should be {allowed}")]
    Value {
        /// The box.
        name: &'static str,
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is possible.
        allowed: String,
    },
    /// Not of the form `key=value`.
    #[error("{name}: `{item}` should be key=value")]
    NoValue {
        /// The box.
        name: &'static str,
        /// What was given.
        item: String,
    },
    /// A key stands there twice.
    #[error("{name}: `{key}` is given twice")]
    Twice {
        /// The box.
        name: &'static str,
        /// The key.
        key: String,
    },
}

impl Spec {
    /// Whether one of the boxes changes the ICMP errors that a router makes itself.
    pub fn acts_on_icmp(&self) -> bool {
        self.0.iter().any(|one| matches!(one.plan, Plan::Quote(_)))
    }

    /// Whether one of the boxes acts on TCP that is forwarded: all but `quote` do.
    pub fn acts_on_tcp(&self) -> bool {
        self.0.iter().any(|one| !matches!(one.plan, Plan::Quote(_)))
    }

    /// Whether one of the boxes acts on whatever is forwarded, as a link does.
    pub fn acts_on_all(&self) -> bool {
        self.0.iter().any(|one| matches!(one.plan, Plan::Impair(_)))
    }

    /// Makes the boxes.
    pub fn build(&self) -> Box<dyn Middlebox> {
        let mut boxes: Vec<Box<dyn Middlebox>> = self.0.iter().map(One::build).collect();
        match boxes.pop() {
            Some(only) if boxes.is_empty() => only,
            last => {
                boxes.extend(last);
                Box::new(Chain::new(boxes))
            }
        }
    }
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        text.split('+')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.0.iter().enumerate() {
            let plus = if index > 0 { "+" } else { "" };
            write!(f, "{plus}{one}")?;
        }
        Ok(())
    }
}

impl One {
    fn build(&self) -> Box<dyn Middlebox> {
        match self.checksum {
            Checksum::Fix => self.plan.build(),
            Checksum::Stale => Box::new(Stale::new(self.plan.build())),
        }
    }
}

impl FromStr for One {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let (mut plan, name) = Plan::named(name)?;
        let mut fields = Fields::reader(name, rest)?;
        plan.fields(&mut fields);
        let mut checksum = Checksum::Fix;
        fields.field("checksum", &mut checksum, &Checksum::Fix);
        fields.finish()?;
        Ok(Self { plan, checksum })
    }
}

impl fmt::Display for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut copy = self.clone();
        let mut fields = Fields::writer(copy.plan.name());
        copy.plan.fields(&mut fields);
        fields.field("checksum", &mut copy.checksum, &Checksum::Fix);
        f.write_str(&fields.text())
    }
}

macro_rules! boxes {
    ($($variant:ident $module:ident $name:literal $about:literal $example:literal)+) => {
        #[derive(Debug, Clone, PartialEq, Eq)]
        enum Plan {
            $($variant(super::$module::Plan),)+
        }

        impl Plan {
            fn named(name: &str) -> Result<(Self, &'static str), SpecError> {
                match name {
                    $($name => Ok((Self::$variant(super::$module::Plan::default()), $name)),)+
                    _ => Err(SpecError::Name {
                        name: name.to_owned(),
                        allowed: [$($name),+].join(", "),
                    }),
                }
            }

            fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }

            fn fields(&mut self, fields: &mut Fields) {
                match self {
                    $(Self::$variant(plan) => plan.fields(fields),)+
                }
            }

            fn build(&self) -> Box<dyn Middlebox> {
                match self {
                    $(Self::$variant(plan) => Box::new(plan.build()),)+
                }
            }
        }

        /// Every box there is.
        pub const ALL: &[Entry] = &[
            $(Entry { name: $name, about: $about, example: $example },)+
        ];
    };
}

boxes! {
    Strip strip "strip"
        "Options are replaced by NOPs, removed with a shorter header, or cut off by zeros."
        "strip:option=mptcp,how=nop,on=syn,toward=server"
    Rewrite rewrite "rewrite"
        "A field of an option gets another value."
        "rewrite:field=key,on=synack"
    Header header_field "header"
        "A field of the IP or TCP header gets another value."
        "header:field=flow_label,set=0,toward=server"
    SynPayload syn_payload "syn-payload"
        "SYNs lose their data, so that TCP Fast Open gains nothing."
        "syn-payload:toward=server"
    Mirror mirror "mirror"
        "The SYN/ACK gets the options of the SYN."
        "mirror"
    Isn isn "isn"
        "Sequence numbers are shifted, acknowledgments back; SACK blocks are fixed or forgotten."
        "isn:delta=0x10203040,sack=leave"
    Payload payload "payload"
        "Bytes of the stream are replaced, of equal length or with numbers fixed as an ALG does."
        "payload:find=706f7274,put=504f525421,toward=server"
    Flip flip "flip"
        "Bits of one byte of the stream flip."
        "flip:at=100,xor=0x20,toward=server"
    Split split "split"
        "Segments are split; options go to all parts or to the first one."
        "split:at=700,options=first"
    Coalesce coalesce "coalesce"
        "A segment waits for the next one and both leave as one, with the options of the first."
        "coalesce:max=1400,hold_ms=20"
    Hole hole "hole"
        "Data after a hole in the sequence is dropped."
        "hole:toward=server"
    Ack ack "ack"
        "An ACK for data that the box has not seen is dropped or lowered."
        "ack:how=correct"
    Proactive proactive "proactive"
        "Data is acknowledged by the box itself, without any option, and passed on."
        "proactive:toward=server"
    Refuse refuse "refuse"
        "Selected segments are dropped, or answered with RST or ICMP admin-prohibited."
        "refuse:with=mp_capable,on=syn,how=icmp"
    Quote quote "quote"
        "Quotes in ICMP errors are cut, or get an extension with MPLS labels."
        "quote:tcp_bytes=8"
    Impair impair "impair"
        "Delay, jitter, loss, reordering, duplicates and outages, from a seed."
        "impair:delay_ms=10,loss=0.05,seed=7"
}

#[cfg(test)]
mod tests;
