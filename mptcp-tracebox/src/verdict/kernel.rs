//! What the kernel's own MPTCP adds to a verdict that was found without raw sockets.

use std::net::SocketAddr;

use crate::run::KernelMptcp;
use crate::trace::{Blame, Code, Confidence, Verdict};

/// Where nothing else is wrong, MPTCP that does not come through is.
pub(crate) fn with_kernel(
    verdict: Verdict,
    kernel: Option<KernelMptcp>,
    target: SocketAddr,
) -> Verdict {
    let lost = kernel.filter(|_| verdict.code == Code::PathClean);
    let (code, what, effect) = match lost {
        Some(KernelMptcp::Tcp) => (
            Code::ServerNoMptcp,
            "answers this kernel's MPTCP as plain TCP: it does not speak it, or MP_CAPABLE is lost on the way",
            "Linux falls back to TCP at once: the connection works, with one path.",
        ),
        Some(KernelMptcp::Refused) => (
            Code::PathRejects,
            "takes a connection of plain TCP, and one with MPTCP is refused, by it or on the way",
            "connect() fails: Linux does not try again without MPTCP.",
        ),
        Some(KernelMptcp::Silent) => (
            Code::PathDropsCapable,
            "takes a connection of plain TCP, and one with MPTCP gets no answer from it: something drops it",
            "Linux sends three SYNs in vain (3 s), falls back to TCP, and then leaves MPTCP off for an hour.",
        ),
        _ => return verdict,
    };
    Verdict {
        code,
        sentence: format!("{target} {what}."),
        blame: Blame::Unknown,
        confidence: Confidence::Likely,
        between: None,
        kernel_effect: effect.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(code: Code) -> Verdict {
        Verdict {
            code,
            sentence: String::new(),
            blame: Blame::Nobody,
            confidence: Confidence::Proven,
            between: None,
            kernel_effect: String::new(),
        }
    }

    #[test]
    fn a_clean_path_on_which_the_kernel_gets_no_mptcp_is_not_called_clean() {
        let target = "192.0.2.1:80".parse().unwrap();
        for kernel in KernelMptcp::ALL {
            let found = with_kernel(verdict(Code::PathClean), Some(kernel), target);
            assert_eq!(
                found.code != Code::PathClean,
                kernel.is_lost(),
                "{kernel:?}"
            );
            let found = with_kernel(verdict(Code::PathChanges), Some(kernel), target);
            assert_eq!(found, verdict(Code::PathChanges));
        }
    }
}
