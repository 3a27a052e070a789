//! Capabilities: given back as soon as the sockets are open.

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::NetError;

/// Gives back all that this thread may do beyond others: what parses answers of the network has no
/// rights. The sockets stay open.
pub(crate) fn drop_all() -> Result<(), NetError> {
    let nothing = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, nothing).map_err(|source| NetError::Socket {
        doing: "giving back capabilities",
        source: source.into(),
    })
}

#[cfg(test)]
mod tests {
    use rustix::thread::capabilities;

    use super::*;

    #[test]
    fn nothing_is_left_after_giving_back() {
        // Capabilities belong to a thread: the other tests keep theirs.
        let outcome = std::thread::spawn(|| {
            drop_all().unwrap();
            capabilities(None).unwrap()
        });
        let left = outcome.join().unwrap();
        assert_eq!(left.effective, CapabilitySet::empty());
        assert_eq!(left.permitted, CapabilitySet::empty());
    }
}
