//! Socket options that no safe interface reads or writes: the only unsafe code of the kit.

use std::io;
use std::os::fd::AsRawFd;

use libc::{c_int, c_void, socklen_t};

/// `SOL_MPTCP` of the kernel's `linux/socket.h`.
pub(super) const SOL_MPTCP: c_int = 284;

/// `TCP_IS_MPTCP` of the kernel's `linux/tcp.h`, since Linux 6.10.
pub(super) const TCP_IS_MPTCP: c_int = 43;

/// Lets the kernel read a request from `buffer` and write the option's value there. Returns how
/// many bytes the kernel says that it used.
pub(super) fn get_option(
    socket: &impl AsRawFd,
    level: c_int,
    name: c_int,
    buffer: &mut [u8],
) -> io::Result<usize> {
    let mut len = socklen_t::try_from(buffer.len()).map_err(io::Error::other)?;
    #[expect(
        unsafe_code,
        reason = "socket2 offers no option of variable size, and none of MPTCP"
    )]
    // SAFETY: `buffer` is valid for reads and writes of `len` bytes, `len` outlives the call, and
    // the kernel writes no more than `len` bytes. None of the options holds pointers.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            buffer.as_mut_ptr().cast::<c_void>(),
            &raw mut len,
        )
    };
    if outcome < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((len as usize).min(buffer.len()))
}

/// Sets an option whose value is one number.
pub(super) fn set_option(
    socket: &impl AsRawFd,
    level: c_int,
    name: c_int,
    value: c_int,
) -> io::Result<()> {
    let bytes = value.to_ne_bytes();
    let len = socklen_t::try_from(bytes.len()).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "socket2 does not know TCP_FASTOPEN")]
    // SAFETY: `bytes` is valid for reads of the length that is passed, and outlives the call.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            bytes.as_ptr().cast::<c_void>(),
            len,
        )
    };
    if outcome < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn number(socket: &impl AsRawFd, level: c_int, name: c_int, room: usize) -> (usize, c_int) {
        let mut buffer = vec![0; room];
        let used = get_option(socket, level, name, &mut buffer).unwrap();
        let mut value = [0; 4];
        value[..used].copy_from_slice(&buffer[..used]);
        (used, c_int::from_ne_bytes(value))
    }

    #[test]
    fn what_was_set_is_read_back() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        set_option(&socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1).unwrap();
        let found = number(&socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 4);
        assert_eq!(found, (4, 1));
    }

    #[test]
    fn a_larger_buffer_is_filled_only_as_far_as_the_value_goes() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = number(&socket, libc::SOL_SOCKET, libc::SO_TYPE, 64);
        assert_eq!(found, (4, libc::SOCK_STREAM));
    }

    #[test]
    fn a_smaller_buffer_gets_the_beginning() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let (used, _) = number(&socket, libc::SOL_SOCKET, libc::SO_TYPE, 1);
        assert_eq!(used, 1);
    }

    #[test]
    fn an_unknown_option_is_an_error() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(get_option(&socket, SOL_MPTCP, 1, &mut [0; 96]).is_err());
        assert!(set_option(&socket, SOL_MPTCP, 1, 0).is_err());
    }
}
