//! The devices behind which the endpoint lives.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tun_rs::{DeviceBuilder, SyncDevice};

/// Larger than any packet that the kernel hands over: its devices take 1,500 bytes.
const MAX_PACKET: usize = 2_048;

/// TUN devices of this namespace. The kernel has address 1 of each network, the endpoint address 2.
pub(super) struct Links {
    devices: Vec<(SyncDevice, IpAddr)>,
}

impl Links {
    /// Makes `count` devices with networks `10.200.N.0/24` or `fd00:200:N::/64`.
    pub(super) fn create(count: u8, family: &str) -> anyhow::Result<Self> {
        let mut devices = Vec::new();
        for number in 0..count {
            let name = format!("mp{number}");
            let device = DeviceBuilder::new()
                .name(&name)
                .build_sync()
                .context("making a TUN device (root, /dev/net/tun)")?;
            device.set_nonblocking(true)?;
            let (network, address) = if family == "6" {
                (
                    format!("fd00:200:{number}::1/64"),
                    format!("fd00:200:{number}::2"),
                )
            } else {
                (
                    format!("10.200.{number}.1/24"),
                    format!("10.200.{number}.2"),
                )
            };
            ip(&["address", "add", &network, "dev", &name, "nodad"])
                .or_else(|_| ip(&["address", "add", &network, "dev", &name]))?;
            ip(&["link", "set", &name, "up"])?;
            devices.push((device, address.parse()?));
        }
        Ok(Self { devices })
    }

    /// The endpoint's address behind a device.
    pub(super) fn address(&self, number: usize) -> anyhow::Result<IpAddr> {
        let device = self.devices.get(number);
        device
            .map(|(_, address)| *address)
            .context("no such device")
    }

    /// The next packet from the kernel, if there is one.
    pub(super) fn receive(&self, packet: &mut Vec<u8>) -> anyhow::Result<bool> {
        packet.resize(MAX_PACKET, 0);
        for (device, _) in &self.devices {
            match device.recv(packet) {
                Ok(len) => {
                    packet.truncate(len);
                    return Ok(true);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("reading a packet"),
            }
        }
        Ok(false)
    }

    /// Hands a packet to the kernel through the device of its source address.
    pub(super) fn send(&self, packet: &[u8]) -> anyhow::Result<()> {
        let source = source_of(packet);
        let device = self
            .devices
            .iter()
            .find(|(_, address)| Some(*address) == source);
        let (device, _) = device.context("a packet from an address that is not ours")?;
        device.send(packet).context("writing a packet")?;
        Ok(())
    }

    /// Waits for a packet, for so long at most.
    pub(super) fn wait(&self, patience: Duration) -> anyhow::Result<()> {
        let mut fds: Vec<PollFd<'_>> = self
            .devices
            .iter()
            .map(|(device, _)| PollFd::from_borrowed_fd(device.as_fd(), PollFlags::IN))
            .collect();
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        poll(&mut fds, Some(&patience))?;
        Ok(())
    }
}

fn source_of(packet: &[u8]) -> Option<IpAddr> {
    if packet.first()? >> 4 == 6 {
        let address: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
        return Some(address.into());
    }
    let address: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    Some(address.into())
}

fn ip(words: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(words).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {said}", words.join(" "));
    Ok(())
}
