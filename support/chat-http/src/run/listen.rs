//! Listening at the addresses that flags name, with errors that name the flag.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::UsageError;
use crate::settings::host;

/// Listens on several addresses, each with the name of its flag. Two flags with one port are both named.
pub(super) async fn bind_all(wanted: &[(&str, SocketAddr)]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(wanted.len());
    for (place, &(flag, address)) in wanted.iter().enumerate() {
        match bind(address, flag).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => {
                // The ports of the flags before are open already, so one of them may be the cause.
                let (host, port) = (host(address.ip()), address.port());
                let earlier = wanted[..place].iter().find(|(_, earlier)| earlier.port() == port && port != 0);
                let Some((other, _)) = earlier else { return Err(error) };
                let why = format!(
                    "--{other} and --{flag} have the same port, {port}.\n\
                     Give each its own, such as --{flag} {host}:{} (0 takes any free one).",
                    spare(wanted)
                );
                return Err(UsageError(why).into());
            }
        }
    }
    Ok(listeners)
}

/// A port that no flag has, as an example.
fn spare(wanted: &[(&str, SocketAddr)]) -> u16 {
    let highest = wanted.iter().map(|(_, address)| address.port()).max().unwrap_or_default();
    highest.checked_add(1).unwrap_or_default()
}

/// Listens on an address that was given with `flag`.
///
/// # Errors
/// Another program listens there, or the address is not this machine's.
async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let (host, port) = (host(address.ip()), address.port());
        let why = match error.kind() {
            ErrorKind::AddrInUse => format!(
                "port {port} of {host} is in use by another program, perhaps by another Switchboard.\n\
                 Stop it, or choose another port with --{flag} {host}:PORT (0 takes any free one)."
            ),
            ErrorKind::PermissionDenied => format!(
                "this user may not listen on port {port} of {host}.\n\
                 Choose a port above 1023 with --{flag} {host}:PORT."
            ),
            ErrorKind::AddrNotAvailable => format!(
                "{host} is no address of this machine.\n\
                 Choose one that it has with --{flag}, such as --{flag} 127.0.0.1:{port}."
            ),
            _ => format!(
                "cannot listen on {address}: {error}.\n\
                 Choose another address with --{flag}, such as --{flag} 127.0.0.1:{port}."
            ),
        };
        UsageError(why).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_flags_with_one_port_name_each_other() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let everywhere = SocketAddr::from(([0, 0, 0, 0], free.port()));
        for other in [free, everywhere] {
            let error = bind_all(&[("listen", free), ("sse", any), ("websocket", other)]).await.unwrap_err();
            let said = error.to_string();
            let both = format!("--listen and --websocket have the same port, {}.", free.port());
            assert!(said.starts_with(&both) && said.contains("such as --websocket "), "{said}");
            assert!(error.is::<UsageError>());
        }
        assert!(bind_all(&[("listen", any), ("sse", any)]).await.is_ok(), "0 is any free port");
    }
}
