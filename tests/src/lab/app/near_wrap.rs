//! A connection whose data sequence numbers cross a multiple of 2³² soon: the client's key, and so
//! its IDSN, is random, so we connect again until the kernel picks one that fits.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use socket2::SockRef;

use super::socket::{self, Protocol};
use super::{info, print};

/// How long to try. Between two namespaces the kernel makes some 19,000 tries per second; 8 KiB
/// before the wrap need 524,288 of them on average, 64 KiB an eighth of that: 3.5 s.
const LONGEST_SEARCH: Duration = Duration::from_secs(120);

/// Tries between two looks at the clock.
const TRIES_PER_LOOK: u64 = 64;

/// Connects until at most `bytes` bytes can be sent before the low half of the data sequence
/// number wraps. Prints `tries N in SECONDS`.
pub(super) fn connect(address: SocketAddr, bytes: u32) -> anyhow::Result<TcpStream> {
    ensure!(bytes > 0, "within 0 bytes of the wrap there is nothing");
    let started = Instant::now();
    for tries in 1.. {
        let stream = socket::connect(Protocol::Mptcp, address)?;
        let write_seq = info::write_seq(&stream).context("MPTCP_INFO")?;
        if bytes_before_wrap(write_seq) <= u64::from(bytes) {
            print(&format!(
                "tries {tries} in {:.3}",
                started.elapsed().as_secs_f64()
            ))?;
            return Ok(stream);
        }
        // A reset, with MP_FASTCLOSE: the others must not wait for anything, nor hold their ports.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        if tries % TRIES_PER_LOOK == 0 && started.elapsed() > LONGEST_SEARCH {
            bail!("{tries} connections in {LONGEST_SEARCH:?}, none near the wrap");
        }
    }
    unreachable!("the loop has no end")
}

/// Bytes from `dsn` up to the next multiple of 2³².
fn bytes_before_wrap(dsn: u64) -> u64 {
    (1 << 32) - (dsn & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_to_the_wrap_is_counted_in_the_low_half() {
        assert_eq!(bytes_before_wrap(0x1234_5678_ffff_fff0), 16);
        assert_eq!(bytes_before_wrap(0xffff_ffff_ffff_ffff), 1);
        assert_eq!(bytes_before_wrap(0x0000_0001_0000_0000), 1 << 32);
    }
}
