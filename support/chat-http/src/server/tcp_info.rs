//! What the kernel knows about the other end of a connection ([tcp(7)], `TCP_INFO`).
//!
//! An error says only that a connection timed out. Whether the client stopped reading or vanished is visible here.
//!
//! [tcp(7)]: https://man7.org/linux/man-pages/man7/tcp.7.html

use std::time::Duration;

use tokio::net::TcpStream;

/// What the kernel knows about the other end.
#[derive(Debug, Clone, Copy)]
pub(super) struct TcpInfo {
    /// Bytes that the other end has acknowledged since the connection was opened.
    pub(super) acknowledged: u64,
    /// Bytes that the other end has room for. Zero: its window is closed.
    pub(super) window: u32,
    /// How long ago the other end last acknowledged something, a probe of a closed window included.
    pub(super) heard: Duration,
}

impl TcpInfo {
    /// Asks the kernel. `None`: this system does not say.
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "no crate of this workspace wraps this option")]
    pub(super) fn of(stream: &TcpStream) -> Option<Self> {
        use std::mem::{MaybeUninit, offset_of};
        use std::os::fd::AsRawFd;

        let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
        let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes, which is the size of what the pointer points to. The
        // descriptor is open for as long as the stream is borrowed.
        let failed = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                info.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        // Kernels before 5.4 return less than this.
        if failed != 0 || (length as usize) < offset_of!(libc::tcp_info, tcpi_snd_wnd) + size_of::<u32>() {
            return None;
        }
        // SAFETY: it holds integers only, and every byte was set to zero before the kernel wrote any.
        let info = unsafe { info.assume_init() };
        Some(Self {
            acknowledged: info.tcpi_bytes_acked,
            window: info.tcpi_snd_wnd,
            heard: Duration::from_millis(info.tcpi_last_ack_recv.into()),
        })
    }

    /// Other systems have no such option, or another one.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(_: &TcpStream) -> Option<Self> {
        None
    }
}
