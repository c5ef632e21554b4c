//! Questions to the kernel about its sockets ([sock_diag]), as `ss -i` asks them. They need no privilege and no unsafe
//! call.
//!
//! `getsockopt(TCP_INFO)` would give the same numbers, but no crate offers it without `unsafe` code.
//!
//! [sock_diag]: https://man7.org/linux/man-pages/man7/sock_diag.7.html

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// `AF_NETLINK`, `NETLINK_SOCK_DIAG`, `SOCK_DIAG_BY_FAMILY`, `NLM_F_REQUEST`, `IPPROTO_TCP`, `INET_DIAG_INFO`: the
/// numbers of Linux's own headers, which are fixed for ever.
const AF_NETLINK: i32 = 16;
const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;
const INET_DIAG_INFO: u16 = 2;

/// The bytes of `struct nlmsghdr`, of the request `struct inet_diag_req_v2`, and of the answer `struct inet_diag_msg`.
const HEADER: usize = 16;
const REQUEST: usize = 56;
const MESSAGE: usize = 72;

/// Where `tcpi_segs_in` lies in `struct tcp_info`.
const SEGS_IN: usize = 140;

/// A netlink socket for questions to the kernel.
pub(crate) struct Diagnosis {
    socket: Socket,
    /// The number of the latest question.
    question: u32,
}

impl Diagnosis {
    /// # Errors
    /// The kernel does not support it.
    pub(crate) fn open() -> io::Result<Self> {
        if !cfg!(target_os = "linux") {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let protocol = Protocol::from(NETLINK_SOCK_DIAG);
        let socket = Socket::new(Domain::from(AF_NETLINK), Type::DGRAM, Some(protocol))?;
        // The answer is there as soon as the question is sent, so no read has to wait.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, question: 0 })
    }

    /// How many segments came in on the socket between these two addresses ([tcp_info], `tcpi_segs_in`); `None` if
    /// the kernel has no such socket any more.
    ///
    /// [tcp_info]: https://man7.org/linux/man-pages/man7/tcp.7.html
    pub(crate) fn segments_in(&mut self, (local, peer): (SocketAddr, SocketAddr)) -> Option<u32> {
        self.question = self.question.wrapping_add(1);
        self.socket.send(&question(self.question, local, peer)).ok()?;
        let mut answer = [0; 2_048];
        loop {
            let length = self.socket.read(&mut answer).ok()?;
            let answer = answer.get(..length)?;
            // Skips the unread answer to an earlier question. Otherwise every later question would get the answer to
            // the one before.
            if answer.get(8..12)? == self.question.to_ne_bytes() {
                let found = answer.get(4..6)? == SOCK_DIAG_BY_FAMILY.to_ne_bytes();
                return segments_of(answer.get(HEADER + MESSAGE..).filter(|_| found)?);
            }
        }
    }
}

/// Finds the number among the attributes of an answer.
fn segments_of(mut attributes: &[u8]) -> Option<u32> {
    loop {
        let (length, rest) = attributes.split_first_chunk()?;
        let (kind, _) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_ne_bytes(*length));
        if u16::from_ne_bytes(*kind) == INET_DIAG_INFO {
            let segments = attributes.get(4..length)?.get(SEGS_IN..SEGS_IN + 4)?;
            return Some(u32::from_ne_bytes(segments.try_into().ok()?));
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
}

/// Asks for the `tcp_info` of one socket.
fn question(number: u32, local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    let (of_local, of_peer) = (address(local.ip()), address(peer.ip()));
    let family = if local.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let mut question = Vec::with_capacity(HEADER + REQUEST);
    question.extend(((HEADER + REQUEST) as u32).to_ne_bytes());
    question.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    question.extend(NLM_F_REQUEST.to_ne_bytes());
    question.extend(number.to_ne_bytes());
    question.extend(0_u32.to_ne_bytes());
    question.extend([i32::from(family) as u8, IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0]);
    // Sockets in every state.
    question.extend(u32::MAX.to_ne_bytes());
    question.extend(local.port().to_be_bytes());
    question.extend(peer.port().to_be_bytes());
    question.extend(of_local);
    question.extend(of_peer);
    // On any interface, with any cookie.
    question.extend(0_u32.to_ne_bytes());
    question.extend([0xFF; 8]);
    question
}

fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            bytes
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}
