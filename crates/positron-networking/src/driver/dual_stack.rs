//! Both families of IP addresses on one socket.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Takes `address` by `bind`; `[::]` where IPv6 is switched off becomes `0.0.0.0`, and says so.
pub(crate) fn bind<T>(
    address: SocketAddr,
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    match bind(address) {
        Err(error) if is_any_v6(address) && is_without_ipv6(&error) => {
            let bound = bind((Ipv4Addr::UNSPECIFIED, address.port()).into())?;
            tracing::warn!(%error, "this machine has no IPv6, listening on IPv4 alone");
            Ok(bound)
        }
        outcome => outcome,
    }
}

/// A socket that does not block. On `[::]` it takes IPv4 as well, whatever the operating system
/// does by itself (RFC 3493, 5.3; `net.ipv6.bindv6only` of Linux, Windows, the BSDs).
pub(crate) fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if is_any_v6(address) {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn is_any_v6(address: SocketAddr) -> bool {
    address.ip() == Ipv6Addr::UNSPECIFIED
}

/// Whether it is what an operating system says whose IPv6 is switched off, or kept from us: there
/// is no such family, or no such address.
fn is_without_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error().is_some_and(|code| NO_SUCH_FAMILY.contains(&code))
}

/// `EAFNOSUPPORT` and `EPROTONOSUPPORT`, for which `std` has no kind.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NO_SUCH_FAMILY: [i32; 2] = [97, 93];
/// `WSAEAFNOSUPPORT` and `WSAEPROTONOSUPPORT`.
#[cfg(windows)]
const NO_SUCH_FAMILY: [i32; 2] = [10047, 10043];
/// `EAFNOSUPPORT` and `EPROTONOSUPPORT` of the BSDs.
#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
const NO_SUCH_FAMILY: [i32; 2] = [47, 43];

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, io::ErrorKind};

    use super::*;

    /// What is tried, one after the other, where `without` is what IPv6 comes to.
    fn tried(address: &str, without: fn() -> io::Error) -> (Vec<String>, io::Result<()>) {
        let tried: RefCell<Vec<String>> = RefCell::default();
        let outcome = bind(address.parse().unwrap(), |address| {
            tried.borrow_mut().push(address.to_string());
            if address.is_ipv6() { Err(without()) } else { Ok(()) }
        });
        (tried.into_inner(), outcome)
    }

    #[test]
    fn where_ipv6_is_switched_off_the_default_is_ipv4_and_nothing_else_is_replaced() {
        let off = || io::Error::from_raw_os_error(NO_SUCH_FAMILY[0]);
        let (both, outcome) = tried("[::]:8888", off);
        assert_eq!(both, ["[::]:8888", "0.0.0.0:8888"]);
        outcome.unwrap();
        let (gone, outcome) = tried("[::]:8888", || ErrorKind::AddrNotAvailable.into());
        assert_eq!(gone.len(), 2);
        outcome.unwrap();

        let (taken, outcome) = tried("[::]:8888", || ErrorKind::AddrInUse.into());
        assert_eq!(taken, ["[::]:8888"]);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::AddrInUse);
        let (named, outcome) = tried("[::1]:8888", off);
        assert_eq!(named, ["[::1]:8888"]);
        outcome.unwrap_err();
        assert_eq!(tried("0.0.0.0:8888", off).0, ["0.0.0.0:8888"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_numbers_are_those_of_this_system() {
        let words = NO_SUCH_FAMILY.map(|code| io::Error::from_raw_os_error(code).to_string());
        assert!(words[0].contains("Address family not supported"), "{words:?}");
        assert!(words[1].contains("Protocol not supported"), "{words:?}");
    }
}
