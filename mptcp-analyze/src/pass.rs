//! Passes over the input: the first finds out what is in it, a second one looks again at packets.

use std::fs::File;
use std::io::{self, Seek};
use std::num::NonZero;
use std::ops::Range;

use anyhow::Context as _;
use mptcp_cli::UsageError;

use crate::capture::{Captures, Content, IcmpError, Input, Packet};
use crate::check::{self, TokenReuse};
use crate::model::{Analysis, Connection, Interface, Overview, PacketNote, Segment};
use crate::progress::Progress;
use crate::rebuild::{Finished, RebuildOptions, Rebuilder};
use crate::threads;

/// Inputs that can be read as often as announced.
#[derive(Debug)]
pub(crate) struct Source {
    inputs: Vec<Input>,
    /// What came from standard input, when it has to be read twice.
    spool: Option<File>,
    quiet: bool,
    threads: usize,
}

/// What a pass learnt.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Everything but the connections.
    pub overview: Overview,
    /// Interfaces by the number that packets name, each with its input.
    pub interfaces: Vec<(u16, Interface)>,
    finished: Finished,
    reuse: TokenReuse,
    threads: usize,
}

impl Reading {
    /// The connection with this number, and what is to be said of it.
    pub(crate) fn connection(&self, id: u32) -> Option<Connection> {
        let mut connection = self.finished.connection(id)?;
        check::check_connection(&mut connection, &self.reuse);
        Some(connection)
    }

    /// These of the connections, each made when it is asked for.
    pub(crate) fn connections(&self, ids: Range<u32>) -> impl Iterator<Item = Connection> {
        ids.filter_map(|id| self.connection(id))
    }

    /// Makes something of these connections, some at a time, perhaps on two threads, and gives it to
    /// `take` in the order of the connections.
    pub(crate) fn in_parts<T: Send>(
        &self,
        ids: Range<u32>,
        make: impl Fn(&mut dyn Iterator<Item = Connection>) -> anyhow::Result<T> + Sync,
        take: impl FnMut(T) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let make = |part| make(&mut self.connections(part));
        threads::in_parts(ids, self.threads, make, take)
    }

    /// The model of everything.
    pub(crate) fn into_analysis(self) -> Analysis {
        let connections = self.connections(self.finished.ids()).collect();
        Analysis::new(self.overview, connections)
    }

    /// Leaves the memory to the end of the process, which frees it at once.
    pub(crate) fn abandon(self) {
        std::mem::forget(self);
    }
}

/// A TCP packet in a second pass.
pub(crate) struct Visit<'a> {
    /// The packet.
    pub packet: Packet<'a>,
    /// The segment in it.
    pub segment: Segment<'a>,
    /// What it turned out to be.
    pub note: PacketNote,
    /// The rebuilder, to take streams from.
    pub rebuilder: &'a mut Rebuilder,
}

/// A packet in a second pass.
#[expect(
    clippy::large_enum_variant,
    reason = "a value for each packet, looked at where it is made and never stored"
)]
pub(crate) enum Visited<'a> {
    /// With a TCP segment.
    Tcp(Visit<'a>),
    /// With an ICMP error.
    IcmpError(Packet<'a>, IcmpError<'a>),
}

impl Source {
    /// Inputs that are read once.
    pub(crate) fn once(inputs: Vec<Input>, quiet: bool) -> Self {
        Source {
            inputs,
            spool: None,
            quiet,
            threads: threads::available(),
        }
    }

    /// The same, with at most so many threads; `None` takes as many as the machine has.
    pub(crate) fn with_threads(self, threads: Option<NonZero<usize>>) -> Self {
        Source {
            threads: threads.map_or(self.threads, NonZero::get),
            ..self
        }
    }

    /// Inputs that are read twice; standard input is copied to a temporary file without name.
    pub(crate) fn twice(inputs: Vec<Input>, quiet: bool) -> anyhow::Result<Self> {
        let mut spool = None;
        if inputs.contains(&Input::Stdin) {
            if inputs.len() > 1 {
                let text = "this command reads its input twice, and cannot do so with standard \
                            input among other files; save it to a file first";
                return Err(UsageError(text.to_owned()).into());
            }
            let mut file = tempfile::tempfile().context("creating a temporary file")?;
            io::copy(&mut io::stdin().lock(), &mut file)
                .context("copying standard input to a temporary file")?;
            spool = Some(file);
        }
        Ok(Source {
            spool,
            ..Self::once(inputs, quiet)
        })
    }

    fn open(&self) -> anyhow::Result<Captures> {
        match &self.spool {
            Some(file) => {
                let mut file = file
                    .try_clone()
                    .context("reading the temporary file again")?;
                file.rewind().context("reading the temporary file again")?;
                Ok(Captures::from_reader("-", file)?)
            }
            None => Ok(Captures::open(&self.inputs)?),
        }
    }

    /// Reads everything and gives what it says.
    pub(crate) fn analyze(&self, options: RebuildOptions) -> anyhow::Result<Reading> {
        let captures = self.open()?;
        let progress = Progress::new(captures.bytes_total(), self.quiet);
        Ok(read(captures, options, progress, self.threads))
    }

    /// Reads everything again, shows every TCP packet to `visit`, and gives the rebuilder as it is
    /// after the last one.
    pub(crate) fn revisit(
        &self,
        options: RebuildOptions,
        mut visit: impl FnMut(Visit<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Rebuilder> {
        self.revisit_all(options, |visited| match visited {
            Visited::Tcp(visited) => visit(visited),
            Visited::IcmpError(..) => Ok(()),
        })
    }

    /// The same with the ICMP errors.
    pub(crate) fn revisit_all(
        &self,
        mut options: RebuildOptions,
        mut visit: impl FnMut(Visited<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Rebuilder> {
        options.note_packets = true;
        let mut captures = self.open()?;
        let mut progress = Progress::new(captures.bytes_total(), self.quiet);
        let mut rebuilder = Rebuilder::new(options);
        while let Some(packet) = captures.next_packet() {
            match packet.content {
                Content::Tcp(segment) => {
                    if let Some(note) = rebuilder.push(&segment) {
                        visit(Visited::Tcp(Visit {
                            packet,
                            segment,
                            note,
                            rebuilder: &mut rebuilder,
                        }))?;
                    }
                }
                Content::IcmpError(error) => visit(Visited::IcmpError(packet, error))?,
                _ => {}
            }
            if progress.is_due() {
                progress.show(captures.bytes_read());
            }
        }
        Ok(rebuilder)
    }
}

/// Reads `captures` to their end and gives what they say.
pub(crate) fn read(
    captures: Captures,
    options: RebuildOptions,
    mut progress: Progress,
    threads: usize,
) -> Reading {
    let mut rebuilder = Rebuilder::new(options);
    let captures = threads::rebuild(captures, &mut rebuilder, &mut progress, threads);
    let interfaces = captures
        .interfaces()
        .map(|(file, i)| (file, i.clone()))
        .collect();
    let finished = rebuilder.end();
    let mut overview = finished.overview();
    overview.captures = captures.finish();
    check::check_overview(&mut overview);
    Reading {
        overview,
        interfaces,
        reuse: TokenReuse::of(finished.tokens().collect()),
        finished,
        threads,
    }
}
