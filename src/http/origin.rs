//! Under which address the client sees us: what `Location` and `$ref` are built on.
//!
//! Without a configured public URL the request says it; `X-Forwarded-Host` and `-Proto` are believed only from a proxy
//! that the configuration trusts (`listen` tells the rest of what such a proxy says).

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use ipnet::IpNet;

use crate::listen::{Peer, client};

/// What is needed to tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// `server.public_url` without a slash at its end; then nothing else is asked.
    pub(super) public_url: Option<String>,
    /// Whose word counts.
    pub(super) trusted_proxies: Vec<IpNet>,
}

impl Origin {
    /// The address without a slash at its end.
    pub(super) fn base(&self, headers: &HeaderMap, uri: Option<&Authority>, peer: Option<Peer>) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let tls = peer.is_some_and(|peer| client(peer, headers, &self.trusted_proxies).tls);
        let forwarded = if self.trusts(peer) { first(headers, "x-forwarded-host") } else { None };
        let host = forwarded
            .or_else(|| headers.get(header::HOST)?.to_str().ok())
            .or_else(|| uri.map(Authority::as_str))
            .filter(|host| is_host(host))
            .unwrap_or("localhost");
        format!("{}://{host}", if tls { "https" } else { "http" })
    }

    /// The client's address as far as trusted proxies tell.
    pub(super) fn remote(&self, headers: &HeaderMap, peer: Option<Peer>) -> Option<IpAddr> {
        peer.map(|peer| client(peer, headers, &self.trusted_proxies).address)
    }

    fn trusts(&self, peer: Option<Peer>) -> bool {
        peer.is_some_and(|peer| {
            let address = peer.address.ip().to_canonical();
            self.trusted_proxies.iter().any(|network| network.contains(&address))
        })
    }
}

/// The first of the values that proxies chained with commas: what the outermost one saw.
fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim)
}

/// Whether a client's `Host` may be repeated in a URL.
fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PROXY: &str = "10.0.0.1";
    const STRANGER: &str = "203.0.113.9";

    fn origin() -> Origin {
        Origin { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Origin::default() }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn from(address: &str, tls: bool) -> Option<Peer> {
        Some(Peer { address: std::net::SocketAddr::new(address.parse().unwrap(), 40_000), tls })
    }

    #[test]
    fn the_configured_url_wins() {
        let origin = Origin { public_url: Some("https://idp.example/jira".into()), ..origin() };
        let headers = headers(&[("host", "evil.example"), ("x-forwarded-host", "evil.example")]);
        assert_eq!(origin.base(&headers, None, from(PROXY, false)), "https://idp.example/jira");
    }

    #[test]
    fn forwarded_headers_count_only_from_a_trusted_proxy() {
        let headers =
            headers(&[("host", "inside:8080"), ("x-forwarded-host", "scim.example"), ("x-forwarded-proto", "https")]);
        assert_eq!(origin().base(&headers, None, from(PROXY, false)), "https://scim.example");
        assert_eq!(origin().base(&headers, None, from("::ffff:10.0.0.1", false)), "https://scim.example");
        assert_eq!(origin().base(&headers, None, from(STRANGER, false)), "http://inside:8080");
        assert_eq!(origin().base(&headers, None, None), "http://inside:8080");
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        let headers = headers(&[("host", "a/b\"c")]);
        assert_eq!(origin().base(&headers, None, None), "http://localhost");
    }

    #[test]
    fn tls_of_our_own_makes_https() {
        assert_eq!(
            origin().base(&headers(&[("host", "[::1]:8443")]), None, from(STRANGER, true)),
            "https://[::1]:8443"
        );
    }

    #[test]
    fn without_a_peer_nobody_is_believed() {
        assert_eq!(origin().remote(&headers(&[("x-forwarded-for", "198.51.100.7")]), None), None);
        let remote = origin().remote(&headers(&[("x-forwarded-for", "198.51.100.7")]), from(PROXY, false));
        assert_eq!(remote, Some([198, 51, 100, 7].into()));
    }
}
