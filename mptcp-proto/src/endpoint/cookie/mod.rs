//! SYN cookies: a server that keeps nothing of a SYN until the third ACK proves its sender (RFC 4987
//! §3.6), with the keys of Multipath TCP.

mod joins;
mod spent;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::hmac::{HASH_BLOCK, hmac_sha256, leftmost};
use crate::key::Key;
use crate::random::RandomSource;
use crate::seq::TcpSeq;
use crate::tcp::FastOpenCookie;
use crate::time::Instant;
use crate::wire::mptcp::Capable;

pub use joins::{PendingJoin, PendingJoins};
pub use spent::SpentCookies;

/// Makes SYN cookies and knows them again.
///
/// The cookie is the initial sequence number of the SYN/ACK: an authenticator over addresses, ports
/// and time, with the MSS and the kind of the SYN inside, laid out as in Linux. What the other options of the SYN said goes
/// into the low bits of the timestamp, which the third ACK echoes; without timestamps it is lost. The
/// server's key is derived from the same, so that the third ACK, which carries both keys (RFC 8684
/// §3.1), is all that a connection needs.
///
/// The secret is another one every hour ([`CookieJar::rotate`]), and what the one before has made is good
/// still.
#[derive(Clone)]
pub struct CookieJar {
    newest: Secret,
    older: Option<Secret>,
    /// Since when the newest secret is in use.
    since: Option<Instant>,
}

#[derive(Clone)]
struct Secret([u8; HASH_BLOCK]);

/// Which secret has made a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Newest,
    Older,
}

/// What the options of a SYN offered, as far as a cookie can remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SynOptions {
    /// Window scale.
    pub window_scale: Option<u8>,
    /// SACK permitted.
    pub sack: bool,
    /// ECN set up.
    pub ecn: bool,
}

/// A SYN that a cookie stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie {
    /// The client's MSS, or the next smaller one that a cookie can name.
    pub mss: u16,
    /// When the cookie was made, for [`CookieJar::keys`].
    pub period: Period,
    /// What the SYN asked for.
    pub kind: SynKind,
    age: Age,
}

/// What a SYN asks for. A cookie remembers it, as the option of the third ACK may be lost on the way, and a
/// join must not become a connection then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SynKind {
    /// A connection.
    Connection,
    /// A subflow of one (MP_JOIN).
    Join,
}

/// A minute, counted modulo 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(u8);

/// The two ends of the initial subflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ends {
    /// Ours.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
}

impl CookieJar {
    /// How long a cookie is good, as a number of periods after the one it was made in.
    pub const MAX_AGE: u8 = 2;
    /// How long a secret makes cookies; as long again they are good, if they are not too old by themselves.
    pub const LIFETIME: Duration = Duration::from_secs(3600);
    /// Length of a period.
    pub const PERIOD: Duration = Duration::from_secs(60);

    /// A jar with a secret of its own.
    pub fn new(random: &mut dyn RandomSource) -> Self {
        Self {
            newest: Secret::new(random),
            older: None,
            since: None,
        }
    }

    /// Takes another secret when the time of the newest one is over: to be called before the jar is used.
    pub fn rotate(&mut self, now: Instant, random: &mut dyn RandomSource) {
        let since = *self.since.get_or_insert(now);
        let age = now.since(since);
        if age < Self::LIFETIME {
            return;
        }
        let before = std::mem::replace(&mut self.newest, Secret::new(random));
        self.older = (age < Self::LIFETIME.saturating_mul(2)).then_some(before);
        self.since = Some(now);
    }

    /// The initial sequence number that answers a SYN with the sequence number `irs` and this MSS.
    pub fn bake(&self, now: Instant, ends: Ends, irs: TcpSeq, kind: SynKind, mss: u16) -> TcpSeq {
        let period = period(now);
        let index = MSS_TABLE
            .iter()
            .rposition(|known| *known <= mss)
            .unwrap_or(0);
        let index = match kind {
            SynKind::Connection => index,
            SynKind::Join => index.saturating_add(MSS_TABLE.len()),
        };
        let index = u32::try_from(index).unwrap_or(0);
        let secret = &self.newest;
        let low = secret.mask(ends, period, irs).wrapping_add(index) & LOW_BITS;
        let cookie = secret
            .hash(ends)
            .wrapping_add(irs.0)
            .wrapping_add(u32::from(period.0) << 24)
            .wrapping_add(low);
        TcpSeq(cookie)
    }

    /// The SYN that a third ACK belongs to: `iss` and `irs` are one less than its acknowledgement and
    /// sequence numbers. None when no cookie of the last minutes fits.
    pub fn check(&self, now: Instant, ends: Ends, irs: TcpSeq, iss: TcpSeq) -> Option<Cookie> {
        self.check_with(Age::Newest, now, ends, irs, iss)
            .or_else(|| self.check_with(Age::Older, now, ends, irs, iss))
    }

    fn check_with(
        &self,
        age: Age,
        now: Instant,
        ends: Ends,
        irs: TcpSeq,
        iss: TcpSeq,
    ) -> Option<Cookie> {
        let secret = self.secret(age)?;
        let rest = iss.0.wrapping_sub(secret.hash(ends)).wrapping_sub(irs.0);
        let [made, ..] = rest.to_be_bytes();
        if period(now).0.wrapping_sub(made) > Self::MAX_AGE {
            return None;
        }
        let period = Period(made);
        let index = rest.wrapping_sub(secret.mask(ends, period, irs)) & LOW_BITS;
        let index = usize::try_from(index).ok()?;
        let (kind, index) = match index.checked_sub(MSS_TABLE.len()) {
            Some(index) => (SynKind::Join, index),
            None => (SynKind::Connection, index),
        };
        let mss = *MSS_TABLE.get(index)?;
        Some(Cookie {
            mss,
            period,
            kind,
            age,
        })
    }

    fn secret(&self, age: Age) -> Option<&Secret> {
        match age {
            Age::Newest => Some(&self.newest),
            Age::Older => self.older.as_ref(),
        }
    }

    /// The server's key for a SYN that comes now; in version 0 the SYN has the client's key.
    pub fn fresh_server_key(
        &self,
        now: Instant,
        ends: Ends,
        irs: TcpSeq,
        client_key: Option<Key>,
    ) -> Key {
        self.newest.server_key(period(now), ends, irs, client_key)
    }

    /// The keys (ours, the peer's) of the connection whose third ACK, or first data, carries `capable`;
    /// none when it does not echo our key, in which case the connection is TCP.
    pub fn keys(
        &self,
        cookie: Cookie,
        ends: Ends,
        irs: TcpSeq,
        capable: &Capable,
    ) -> Option<(Key, Key)> {
        let peer = capable.sender_key?;
        let in_syn = (capable.version == 0).then_some(peer);
        let secret = self.secret(cookie.age)?;
        let own = secret.server_key(cookie.period, ends, irs, in_syn);
        (capable.receiver_key == Some(own)).then_some((own, peer))
    }

    /// The Fast Open cookie of a client (RFC 7413 §4.1.2). It is as long as the SYN/ACK has room for beside
    /// timestamps and MP_CAPABLE (RFC 8684 appendix B.1).
    pub fn fast_open(&self, client: IpAddr) -> Option<FastOpenCookie> {
        self.newest.fast_open(client)
    }

    /// Whether a client has been given this Fast Open cookie, within the lifetimes of two secrets.
    pub fn has_given(&self, client: IpAddr, shown: &[u8]) -> bool {
        let secrets = std::iter::once(&self.newest).chain(&self.older);
        let mut given = secrets.filter_map(|secret| secret.fast_open(client));
        given.any(|cookie| cookie.is(shown))
    }
}

impl Secret {
    fn new(random: &mut dyn RandomSource) -> Self {
        let mut secret = [0; HASH_BLOCK];
        random.fill(&mut secret[..32]);
        Self(secret)
    }

    fn server_key(&self, period: Period, ends: Ends, irs: TcpSeq, client_key: Option<Key>) -> Key {
        let irs = irs.0.to_be_bytes();
        let client_key = client_key.map_or([0; 8], |key| key.0);
        Key(leftmost(self.mac(
            b"key",
            ends,
            period,
            &[&irs, &client_key],
        )))
    }

    fn fast_open(&self, client: IpAddr) -> Option<FastOpenCookie> {
        let any = SocketAddr::from(([0; 4], 0));
        let ends = Ends {
            local: any,
            remote: SocketAddr::new(client, 0),
        };
        let cookie: [u8; 6] = leftmost(self.mac(b"fast open", ends, Period(0), &[]));
        FastOpenCookie::new(&cookie)
    }

    fn hash(&self, ends: Ends) -> u32 {
        u32::from_be_bytes(leftmost(self.mac(b"ends", ends, Period(0), &[])))
    }

    /// What hides the MSS. The sequence number counts, which Linux leaves out: data whose beginning was
    /// lost would pass for the first, with another MSS.
    fn mask(&self, ends: Ends, period: Period, irs: TcpSeq) -> u32 {
        let irs = irs.0.to_be_bytes();
        u32::from_be_bytes(leftmost(self.mac(b"mss", ends, period, &[&irs])))
    }

    fn mac(&self, what: &[u8], ends: Ends, period: Period, more: &[&[u8]]) -> [u8; 32] {
        let (local, remote) = (octets(ends.local.ip()), octets(ends.remote.ip()));
        let ports = [
            ends.local.port().to_be_bytes(),
            ends.remote.port().to_be_bytes(),
        ];
        let mut message = what.to_vec();
        // The purposes have no length in common, so a byte must end each.
        message.push(0);
        message.extend_from_slice(&local);
        message.extend_from_slice(&remote);
        message.extend_from_slice(ports.as_flattened());
        message.push(period.0);
        message.extend(more.iter().copied().flatten());
        hmac_sha256(self.0, &[&message])
    }
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieJar(..)")
    }
}

impl SynOptions {
    /// The timestamp for the SYN/ACK that says what these options were: the latest up to `clock` with
    /// the right low bits.
    pub fn timestamp(self, clock: u32) -> u32 {
        let scale = self
            .window_scale
            .map_or(NO_SCALE, |scale| u32::from(scale.min(14)));
        let sack = if self.sack { SACK } else { 0 };
        let ecn = if self.ecn { ECN } else { 0 };
        let bits = scale | sack | ecn;
        let timestamp = (clock & !OPTION_BITS) | bits;
        if timestamp > clock {
            timestamp.wrapping_sub(OPTION_BITS + 1)
        } else {
            timestamp
        }
    }

    /// What the options were, from the timestamp that the third ACK echoes. None for bits that
    /// [`Self::timestamp`] does not make.
    pub fn from_timestamp(echo: u32) -> Option<Self> {
        let scale = match echo & NO_SCALE {
            NO_SCALE => None,
            scale => Some(u8::try_from(scale).ok()?),
        };
        Some(Self {
            window_scale: scale,
            sack: echo & SACK != 0,
            ecn: echo & ECN != 0,
        })
    }
}

fn period(now: Instant) -> Period {
    let [.., low] = (now.since_start().as_secs() / CookieJar::PERIOD.as_secs()).to_be_bytes();
    Period(low)
}

/// Both families in one form.
fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// What a cookie can name: with more, guessing one would be easier.
const MSS_TABLE: [u16; 4] = [536, 1220, 1440, 1460];
const LOW_BITS: u32 = 0x00ff_ffff;

const NO_SCALE: u32 = 0x0f;
const SACK: u32 = 0x10;
const ECN: u32 = 0x20;
const OPTION_BITS: u32 = 0x3f;

#[cfg(test)]
mod tests;
