//! Where a request comes from: ranges of addresses, and what a proxy in front of the server says.

use axum::http::{HeaderMap, HeaderName, header};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client: the peer of the connection or, when that is one of the `trusted` proxies, the
/// last hop of `X-Forwarded-For` (or else of `Forwarded`, RFC 7239) that is not one of them. What stands before
/// that hop was written by the client itself and is worth nothing.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(*address));
    if !is_trusted(&peer) {
        return peer;
    }
    let hops = match headers.contains_key(&X_FORWARDED_FOR) {
        true => hops(headers, &X_FORWARDED_FOR, whole),
        false => hops(headers, &header::FORWARDED, forwarded_for),
    };
    let mut client = peer;
    for hop in hops.iter().rev() {
        let Some(address) = hop else {
            break; // `unknown`, a made-up name or nonsense: whoever passed it on is all that is known
        };
        client = *address;
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

/// The addresses in the elements of a list header, over all its lines; `None` for what is not one.
fn hops(
    headers: &HeaderMap,
    name: &HeaderName,
    read: fn(&str) -> Option<&str>,
) -> Vec<Option<IpAddr>> {
    let lines = headers.get_all(name).iter();
    lines
        .flat_map(|line| line.to_str().unwrap_or_default().split(','))
        .map(|element| read(element.trim()).and_then(address))
        .collect()
}

fn whole(element: &str) -> Option<&str> {
    Some(element)
}

/// The value of `for` in one element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<&str> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    named.next().map(|(_, value)| value.trim())
}

/// An address with or without port, brackets and quotes.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = match bare.unwrap_or(text).parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

/// A range of addresses in CIDR notation, or one address (RFC 4632, RFC 4291 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("an allowed address is like 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")]
    Malformed,
    /// As in `10.0.0.5/8`: the author meant one address or another range, and guessing opens a door.
    #[error("the address has bits beyond its prefix length")]
    BitsBeyondPrefix,
}

impl Network {
    /// Whether `address` lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (number, width) = bits(address.to_canonical());
        let (network, network_width) = bits(self.address);
        width == network_width
            && (number ^ network)
                .checked_shr(width - u32::from(self.prefix))
                .unwrap_or(0)
                == 0
    }
}

/// An address as a number and its width in bits.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Malformed)?;
        // `::ffff:192.0.2.7/120` would never match, because callers are compared in canonical form.
        if address.to_canonical() != address {
            return Err(NetworkError::Malformed);
        }
        let (number, width) = bits(address);
        let prefix = match prefix {
            None => width as u8,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| NetworkError::Malformed)?
            }
            Some(_) => return Err(NetworkError::Malformed),
        };
        if u32::from(prefix) > width {
            return Err(NetworkError::Malformed);
        }
        let host_bits = 1u128
            .checked_shl(width - u32::from(prefix))
            .map_or(u128::MAX, |end| end - 1);
        if number & host_bits != 0 {
            return Err(NetworkError::BitsBeyondPrefix);
        }
        Ok(Network { address, prefix })
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Network, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let trusted: Vec<Network> = ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"]
            .map(|text| text.parse().unwrap())
            .into();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        client_address(ip(peer), &map, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_its_own_word() {
        let xff = "x-forwarded-for";
        for (peer, headers, expected) in [
            ("127.0.0.1", &[][..], "127.0.0.1"),
            ("127.0.0.1", &[(xff, "192.0.2.1")], "192.0.2.1"),
            ("::ffff:127.0.0.1", &[(xff, "192.0.2.1")], "192.0.2.1"),
            ("192.0.2.9", &[(xff, "192.0.2.1")], "192.0.2.9"),
            ("127.0.0.1", &[(xff, "8.8.8.8, 192.0.2.1")], "192.0.2.1"),
            (
                "127.0.0.1",
                &[(xff, "8.8.8.8, 192.0.2.1,10.1.1.1")],
                "192.0.2.1",
            ),
            (
                "127.0.0.1",
                &[(xff, "192.0.2.1"), (xff, "192.0.2.2, 10.0.0.1")],
                "192.0.2.2",
            ),
            ("127.0.0.1", &[(xff, "10.0.0.9, 10.0.0.1")], "10.0.0.9"),
            ("127.0.0.1", &[(xff, "192.0.2.1, nonsense")], "127.0.0.1"),
            (
                "127.0.0.1",
                &[(xff, "192.0.2.1, nonsense, 10.0.0.1")],
                "10.0.0.1",
            ),
            ("127.0.0.1", &[(xff, "192.0.2.1:4711")], "192.0.2.1"),
            ("127.0.0.1", &[(xff, "[2001:db9::1]:443")], "2001:db9::1"),
            ("127.0.0.1", &[(xff, "2001:db9::1")], "2001:db9::1"),
            ("127.0.0.1", &[(xff, "::ffff:192.0.2.1")], "192.0.2.1"),
            (
                "127.0.0.1",
                &[("forwarded", "for=192.0.2.1;proto=https")],
                "192.0.2.1",
            ),
            (
                "127.0.0.1",
                &[(
                    "forwarded",
                    "for=8.8.8.8, proto=https; For=\"[2001:db9::1]:1\"",
                )],
                "2001:db9::1",
            ),
            (
                "127.0.0.1",
                &[("forwarded", "for=192.0.2.1, for=unknown")],
                "127.0.0.1",
            ),
            (
                "127.0.0.1",
                &[("forwarded", "for=192.0.2.1"), (xff, "192.0.2.2")],
                "192.0.2.2",
            ),
        ] {
            assert_eq!(client(peer, headers), expected, "{peer} {headers:?}");
        }
    }

    #[test]
    fn networks_are_read_strictly() {
        for (text, shown) in [
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:DB8::1", "2001:db8::1/128"),
            ("10.0.0.0/08", "10.0.0.0/8"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0/8",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "::ffff:10.0.0.1",
            "010.0.0.0/8",
            "10.0.0.0/8/8",
            " 10.0.0.0/8",
        ] {
            assert_eq!(
                text.parse::<Network>(),
                Err(NetworkError::Malformed),
                "{text}"
            );
        }
        assert_eq!(
            "10.0.0.5/8".parse::<Network>(),
            Err(NetworkError::BitsBeyondPrefix)
        );
        assert_eq!(
            "2001:db8::1/32".parse::<Network>(),
            Err(NetworkError::BitsBeyondPrefix)
        );
    }

    #[test]
    fn the_widest_network_holds_its_own_family_only() {
        let (v4, v6): (Network, Network) = ("0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap());
        assert!(v4.contains(ip("255.255.255.255")) && !v4.contains(ip("::1")));
        assert!(v6.contains(ip("ffff::")) && !v6.contains(ip("10.0.0.1")));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,80}", cidr in "[0-9a-f.:]{0,20}/[0-9]{0,4}") {
            let _ = (text.parse::<Network>(), cidr.parse::<Network>());
            let _ = (address(&text), forwarded_for(&text));
        }

        #[test]
        fn a_network_holds_what_shares_its_prefix(address in any::<u32>(), other in any::<u32>(), prefix in 0u32..=32) {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            let start = std::net::Ipv4Addr::from(address & mask);
            let network: Network = format!("{start}/{prefix}").parse().unwrap();
            let other_ip = IpAddr::from(std::net::Ipv4Addr::from(other));
            prop_assert_eq!(network.contains(other_ip), other & mask == address & mask);
        }
    }
}
