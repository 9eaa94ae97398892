//! What Linux says of interfaces, addresses and routes, when it happens.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use linux::RouteSocket;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) use none::RouteSocket;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::{io, os::unix::net::UnixDatagram as StdDatagram};

    use rustix::{
        io::Errno,
        net::{
            AddressFamily, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, socket_with,
        },
    };
    use tokio::net::UnixDatagram;

    use super::super::interfaces::NetworkNews;

    /// A netlink socket (`rtnetlink(7)`) that hears of changes. Nothing is asked through it.
    #[derive(Debug)]
    pub(in super::super) struct RouteSocket {
        /// None where the kernel gives none, as in some sandboxes. For reading it is a socket of
        /// datagrams like those between processes.
        socket: Option<UnixDatagram>,
    }

    impl RouteSocket {
        pub(in super::super) fn open() -> Self {
            let socket = open();
            if let Err(error) = &socket {
                tracing::debug!(%error, "nobody tells when the machine's addresses change");
            }
            Self { socket: socket.ok() }
        }

        /// The next thing of interest; never, where nothing is told. Cancel-safe.
        pub(in super::super) async fn news(&mut self) -> NetworkNews {
            let mut buffer = vec![0; MESSAGE_BYTES];
            loop {
                let Some(socket) = &self.socket else { return std::future::pending().await };
                let mut read = socket.recv(&mut buffer).await;
                let mut news = None;
                for _ in 0..MOST_READ {
                    match read {
                        Ok(read) => news = weightier(news, read_news(&buffer[..read])),
                        // The kernel had more to say than the socket holds.
                        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => {
                            news = weightier(news, Some(NetworkNews::Look));
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) => {
                            tracing::debug!(%error, "nobody tells any more of addresses");
                            self.socket = None;
                            break;
                        }
                    }
                    let Some(socket) = &self.socket else { break };
                    read = socket.try_recv(&mut buffer);
                }
                if let Some(news) = news {
                    return news;
                }
            }
        }
    }

    fn open() -> io::Result<UnixDatagram> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // The protocol that is no other one is `NETLINK_ROUTE`.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        UnixDatagram::from_std(StdDatagram::from(socket))
    }

    /// What one datagram of the kernel comes to. Each of its messages has a header of 16 bytes,
    /// which begins with the length and the type (`netlink(7)`), all in the machine's own order.
    fn read_news(mut datagram: &[u8]) -> Option<NetworkNews> {
        let mut news = None;
        while let Some((head, _)) = datagram.split_first_chunk::<HEADER>() {
            let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]);
            let length = usize::try_from(length).unwrap_or(usize::MAX).max(HEADER);
            let body = datagram.get(HEADER..length).unwrap_or_default();
            let of_this = match u16::from_ne_bytes([head[4], head[5]]) {
                RTM_NEWLINK | RTM_DELLINK | RTM_NEWADDR | RTM_DELADDR => Some(NetworkNews::Look),
                // The second byte is the length of the prefix. Two halves are as good as a default
                // route: that is how some private networks take its place.
                RTM_NEWROUTE | RTM_DELROUTE if body.get(1).is_some_and(|length| *length <= 1) => {
                    Some(NetworkNews::Moved)
                }
                _ => None,
            };
            news = weightier(news, of_this);
            datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        news
    }

    fn weightier(one: Option<NetworkNews>, other: Option<NetworkNews>) -> Option<NetworkNews> {
        if one == Some(NetworkNews::Moved) { one } else { other.or(one) }
    }

    /// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_IFADDR`,
    /// `RTMGRP_IPV6_ROUTE` of `linux/rtnetlink.h`.
    const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
    const RTM_NEWLINK: u16 = 16;
    const RTM_DELLINK: u16 = 17;
    const RTM_NEWADDR: u16 = 20;
    const RTM_DELADDR: u16 = 21;
    const RTM_NEWROUTE: u16 = 24;
    const RTM_DELROUTE: u16 = 25;
    /// Bytes of the header of a message.
    const HEADER: usize = 16;
    /// What the kernel fills at once (`NLMSG_GOODSIZE`); the rest of a longer one is lost, and its
    /// beginning says what it is.
    const MESSAGE_BYTES: usize = 8 * 1024;
    /// Datagrams that are read before somebody looks (guess).
    const MOST_READ: usize = 64;

    #[cfg(test)]
    mod tests {
        use super::*;

        /// A message of this type with this body, padded as the kernel pads it.
        fn message(kind: u16, body: &[u8]) -> Vec<u8> {
            let length = u32::try_from(HEADER + body.len()).unwrap();
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.resize(HEADER, 0);
            bytes.extend(body);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        }

        #[test]
        fn another_default_route_is_a_move_and_another_address_is_worth_a_look() {
            let (look, moved) = (Some(NetworkNews::Look), Some(NetworkNews::Moved));
            let default_route = message(RTM_NEWROUTE, &[2, 0, 0, 0]);
            let half_of_all = message(RTM_DELROUTE, &[2, 1, 0, 0]);
            let route_to_a_subnet = message(RTM_NEWROUTE, &[2, 24, 0, 0]);
            let address = message(RTM_DELADDR, &[2, 24, 0]);
            assert_eq!(read_news(&default_route), moved);
            assert_eq!(read_news(&half_of_all), moved);
            assert_eq!(read_news(&route_to_a_subnet), None);
            assert_eq!(read_news(&address), look);
            assert_eq!(read_news(&[&default_route[..], &address].concat()), moved);
            assert_eq!(read_news(&[&address[..], &default_route].concat()), moved);
            assert_eq!(read_news(&[&route_to_a_subnet[..], &address].concat()), look);
        }

        #[test]
        fn bytes_that_are_no_messages_are_no_news() {
            assert_eq!(read_news(&[]), None);
            assert_eq!(read_news(&[0xff; 64]), None);
            assert_eq!(read_news(&[0; 64]), None);
            assert_eq!(read_news(&message(RTM_NEWROUTE, &[2])), None);
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod none {
    use super::super::interfaces::NetworkNews;

    /// Other systems say it in ways of their own, or not at all.
    #[derive(Debug)]
    pub(in super::super) struct RouteSocket;

    impl RouteSocket {
        pub(in super::super) fn open() -> Self {
            Self
        }

        /// Never.
        pub(in super::super) async fn news(&mut self) -> NetworkNews {
            std::future::pending().await
        }
    }
}
