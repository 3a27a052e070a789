//! `extract`: all packets of one connection in a pcapng file, with findings as packet comments.

mod quote;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

use mptcp_cli::quantity::counted;
use mptcp_cli::{Output, OutputArgs, Verdict};
use mptcp_proto::pcapng::{EnhancedPacket, InterfaceDescription, PcapNgWriter, SectionHeader};

use self::quote::Paths;
use crate::args::ExtractArgs;
use crate::capture::Packet;
use crate::command::{checking, note_cuts};
use crate::destination::Destination;
use crate::model::{Connection, Interface};
use crate::pass::{Reading, Source, Visited};
use crate::plan;
use crate::rebuild::RebuildOptions;
use crate::report::{json, word};

/// Writes the packets of the connection to the file that the arguments name.
pub(crate) fn extract(
    args: &ExtractArgs,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let files = &args.input.files;
    let destination = Destination::choose(Some(&args.out), common.json, files, out)?;
    let source = Source::twice(plan::inputs(files)?, common.quiet)?.with_input(&args.input);
    let reading = source.analyze(checking())?;
    note_cuts(&reading.overview, common);
    let connection = plan::connection(&reading, args.conn)?;
    let Reading {
        overview,
        interfaces,
        ..
    } = reading;
    let mut file = destination.open(out)?;
    let names: Vec<String> = overview.captures.iter().map(|c| c.file.clone()).collect();
    let section = SectionHeader {
        application: Some(APPLICATION),
        comment: None,
    };
    let mut extraction = Extraction {
        writer: PcapNgWriter::begin(&mut file, &section)?,
        remarks: remarks(&connection),
        interfaces,
        names,
        numbers: BTreeMap::new(),
        packets: 0,
    };
    let owners = plan::owners([&connection]);
    let mut paths = Paths::of(&connection);
    source.revisit_all(RebuildOptions::default(), |visited| match visited {
        Visited::Tcp(visit) => {
            let is_ours = owners.contains_key(&visit.note.tcp_stream);
            paths.note(&visit.segment, is_ours);
            if is_ours {
                extraction.write(&visit.packet, visit.segment.ip.outbound)?;
            }
            Ok(())
        }
        Visited::IcmpError(packet, error) if paths.has(error.quoted) => {
            extraction.write(&packet, None)
        }
        Visited::IcmpError(..) => Ok(()),
    })?;
    let packets = extraction.packets;
    file.flush()?;
    drop(file);
    if let Some(name) = destination.file_name() {
        if common.json {
            json::write_extraction(out.bytes(), &overview, connection.id, &name, packets)?;
        } else {
            let packets = counted(packets, "packet", "packets");
            common.note(&format!("{name}: {packets}"));
        }
    }
    Ok(Verdict::Clean)
}

/// What the findings of `connection` say, by the frame that they name.
fn remarks(connection: &Connection) -> BTreeMap<u64, Vec<String>> {
    let mut remarks: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for finding in &connection.findings {
        for &frame in &finding.frames {
            let severity = word::severity(finding.severity);
            let remark = format!("{} ({severity}): {}", finding.id, finding.text);
            remarks.entry(frame).or_default().push(remark);
        }
    }
    remarks
}

struct Extraction<W: Write> {
    writer: PcapNgWriter<W>,
    remarks: BTreeMap<u64, Vec<String>>,
    /// Interfaces of the inputs, each with the input it is of.
    interfaces: Vec<(u16, Interface)>,
    /// Names of the inputs.
    names: Vec<String>,
    /// Numbers in the output by those in the inputs.
    numbers: BTreeMap<u32, u32>,
    packets: u64,
}

impl<W: Write> Extraction<W> {
    fn write(&mut self, packet: &Packet<'_>, outbound: Option<bool>) -> anyhow::Result<()> {
        let interface = match self.numbers.get(&packet.interface) {
            Some(&number) => number,
            None => self.describe(packet.interface, packet.link_type)?,
        };
        let mut comments: Vec<String> = packet.comments.iter().map(Cow::into_owned).collect();
        comments.extend(
            self.remarks
                .get(&packet.frame)
                .into_iter()
                .flatten()
                .cloned(),
        );
        self.writer.packet(&EnhancedPacket {
            interface,
            // Times before 1970 become 1970.
            at_ns: u64::try_from(packet.at.0).unwrap_or(0),
            original_len: packet.original_len,
            bytes: packet.bytes,
            outbound,
            comments: &comments,
        })?;
        self.packets += 1;
        Ok(())
    }

    fn describe(&mut self, interface: u32, link_type: u16) -> anyhow::Result<u32> {
        let known = usize::try_from(interface)
            .ok()
            .and_then(|index| self.interfaces.get(index));
        let file = known.and_then(|(file, _)| self.names.get(usize::from(*file)));
        let number = self.writer.interface(&InterfaceDescription {
            link_type,
            name: known.and_then(|(_, interface)| interface.name.as_deref()),
            description: file.filter(|_| self.names.len() > 1).map(String::as_str),
        })?;
        self.numbers.insert(interface, number);
        Ok(number)
    }
}

const APPLICATION: &str = concat!("mptcp-analyze ", env!("CARGO_PKG_VERSION"));
