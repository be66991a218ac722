//! Who asks, when a proxy stands in between.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

use super::Peer;

/// The client as far as those whom we trust tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// Whether it speaks TLS, with us or with the proxy.
    pub tls: bool,
}

/// The first address, counted from ours, that is not a trusted proxy's. What stands further left in `X-Forwarded-For`
/// was written by the client itself and is not believed.
pub fn client(peer: Peer, headers: &HeaderMap, trusted: &[IpNet]) -> Client {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut client = Client { address: peer.address.ip().to_canonical(), tls: peer.tls };
    if !is_trusted(client.address) {
        return client;
    }
    if let Some(scheme) = items(headers, "x-forwarded-proto").last() {
        client.tls = scheme.eq_ignore_ascii_case("https");
    }
    for item in items(headers, "x-forwarded-for").rev() {
        let Some(address) = address(item) else { break };
        client.address = address.to_canonical();
        if !is_trusted(client.address) {
            break;
        }
    }
    client
}

/// The items of a header that is a list, in order, also when it is sent more than once.
fn items<'a>(headers: &'a HeaderMap, name: &'static str) -> impl DoubleEndedIterator<Item = &'a str> {
    let values: Vec<&str> = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    values.into_iter().flat_map(|value| value.split(',')).map(str::trim)
}

/// An address, as some proxies write it also with a port.
fn address(item: &str) -> Option<IpAddr> {
    let with_port = || item.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || item.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    item.parse().ok().or_else(with_port).or_else(in_brackets)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn seen(peer: &str, headers: &[(&'static str, &str)], trusted: &[&str]) -> (String, bool) {
        let peer = Peer { address: peer.parse().unwrap(), tls: false };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let client = client(peer, &map, &trusted);
        (client.address.to_string(), client.tls)
    }

    #[test]
    fn a_stranger_is_not_believed() {
        let headers = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https")];
        assert_eq!(seen("203.0.113.9:1", &headers, &["10.0.0.0/8"]), ("203.0.113.9".into(), false));
    }

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_client() {
        let headers = [
            ("x-forwarded-for", "1.1.1.1, 192.0.2.1"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-forwarded-proto", "HTTPS"),
        ];
        assert_eq!(seen("10.0.0.1:1", &headers, &["10.0.0.0/8"]), ("192.0.2.1".into(), true));
        assert_eq!(seen("[::ffff:10.0.0.1]:1", &headers, &["10.0.0.0/8"]), ("192.0.2.1".into(), true));
    }

    #[test]
    fn nonsense_ends_the_search() {
        let headers = [("x-forwarded-for", "192.0.2.1, unknown, 10.0.0.2")];
        assert_eq!(seen("10.0.0.1:1", &headers, &["10.0.0.0/8"]), ("10.0.0.2".into(), false));
        let headers = [("x-forwarded-for", "[2001:db8::1]:443")];
        assert_eq!(seen("10.0.0.1:1", &headers, &["10.0.0.0/8"]), ("2001:db8::1".into(), false));
    }
}
