//! How one value is read: from the file with its TOML type, from the environment and flags as text.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::secret::Secret;

/// A type that a key can have. Errors complete the sentence "`key` must be ..." and never repeat the value, which may be
/// a secret in the wrong place.
pub(super) trait Value: Sized {
    fn read(value: &toml::Value) -> Result<Self, String>;
}

fn text(value: &toml::Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "text in quotes".to_owned())
}

impl Value for String {
    fn read(value: &toml::Value) -> Result<Self, String> {
        text(value).and_then(|text| match text.trim() {
            "" => Err("text that is not empty".to_owned()),
            trimmed => Ok(trimmed.to_owned()),
        })
    }
}

impl Value for Secret {
    fn read(value: &toml::Value) -> Result<Self, String> {
        String::read(value).map(Secret::new)
    }
}

impl Value for PathBuf {
    fn read(value: &toml::Value) -> Result<Self, String> {
        String::read(value).map(PathBuf::from).map_err(|_| "the path of a file or folder".to_owned())
    }
}

impl Value for bool {
    fn read(value: &toml::Value) -> Result<Self, String> {
        let parsed = value.as_bool().or_else(|| value.as_str()?.trim().parse().ok());
        parsed.ok_or_else(|| "true or false".to_owned())
    }
}

impl Value for u32 {
    fn read(value: &toml::Value) -> Result<Self, String> {
        let number = value.as_integer().or_else(|| value.as_str()?.trim().parse().ok());
        let number = number.and_then(|number| Self::try_from(number).ok());
        number.ok_or_else(|| "a whole number that is not negative".to_owned())
    }
}

impl Value for Vec<u32> {
    fn read(value: &toml::Value) -> Result<Self, String> {
        let numbers: Option<Self> = match value {
            toml::Value::Array(items) => items.iter().map(|item| u32::read(item).ok()).collect(),
            other => other.as_str().and_then(|text| text.split(',').map(|item| item.trim().parse().ok()).collect()),
        };
        numbers.ok_or_else(|| "a list of whole numbers".to_owned())
    }
}

impl Value for Vec<String> {
    fn read(value: &toml::Value) -> Result<Self, String> {
        let texts: Option<Self> = match value {
            toml::Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            other => other.as_str().map(|text| text.split(',').map(|item| item.trim().to_owned()).collect()),
        };
        texts.ok_or_else(|| "a list of texts".to_owned())
    }
}

impl Value for BTreeMap<String, u32> {
    fn read(value: &toml::Value) -> Result<Self, String> {
        let table = value.as_table().ok_or_else(|| "a table of whole numbers".to_owned())?;
        table.iter().map(|(name, value)| Ok((name.clone(), u32::read(value)?))).collect()
    }
}

impl Value for BTreeMap<String, String> {
    fn read(value: &toml::Value) -> Result<Self, String> {
        let wrong = || "a table of texts in quotes".to_owned();
        let table = value.as_table().ok_or_else(wrong)?;
        let text = |value: &toml::Value| value.as_str().map(|text| text.trim().to_owned()).ok_or_else(wrong);
        table.iter().map(|(name, value)| Ok((name.clone(), text(value)?))).collect()
    }
}

/// A list of texts, which may have commas in them; a text alone is a list of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Texts(pub(super) Vec<String>);

impl Value for Texts {
    fn read(value: &toml::Value) -> Result<Self, String> {
        let texts: Result<Vec<String>, String> = match value {
            toml::Value::Array(items) => items.iter().map(String::read).collect(),
            other => String::read(other).map(|text| vec![text]),
        };
        texts.map(Self).map_err(|_| "a list of texts in quotes".to_owned())
    }
}

impl Value for Duration {
    fn read(value: &toml::Value) -> Result<Self, String> {
        let parsed = value.as_str().and_then(|text| match text.trim() {
            "0" => Some(Self::ZERO),
            text => humantime::parse_duration(text).ok(),
        });
        parsed.ok_or_else(|| "a duration such as \"250ms\", \"3s\" or \"24h\"".to_owned())
    }
}

impl Value for SocketAddr {
    fn read(value: &toml::Value) -> Result<Self, String> {
        let parsed = value.as_str().and_then(|text| text.trim().parse().ok());
        parsed.ok_or_else(|| "an address with a port such as \"127.0.0.1:8080\" or \"[::]:8080\"".to_owned())
    }
}

/// A number of bytes: 2097152, "2097152" or "2MiB".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) struct Bytes(pub(super) usize);

impl Value for Bytes {
    fn read(value: &toml::Value) -> Result<Self, String> {
        let parsed = match value {
            toml::Value::Integer(number) => usize::try_from(*number).ok(),
            toml::Value::String(text) => parse_size(text.trim()),
            _ => None,
        };
        parsed.map(Self).ok_or_else(|| "a size such as \"64KiB\" or \"2MiB\"".to_owned())
    }
}

fn parse_size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor)
}

/// A list; as text, its items are separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Networks(pub(super) Vec<IpNet>);

impl Value for Networks {
    fn read(value: &toml::Value) -> Result<Self, String> {
        let items: Option<Vec<&str>> = match value {
            toml::Value::Array(items) => items.iter().map(toml::Value::as_str).collect(),
            toml::Value::String(text) => Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()),
            _ => None,
        };
        let networks = items.and_then(|items| items.into_iter().map(network).collect());
        networks.map(Self).ok_or_else(|| "a list of networks such as [\"10.0.0.0/8\", \"192.0.2.7\"]".to_owned())
    }
}

/// A network, or one address of it.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// A base URL without a slash at its end, so that a path can be put behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl(pub(super) String);

impl Value for BaseUrl {
    fn read(value: &toml::Value) -> Result<Self, String> {
        let wrong = || "an http or https URL without credentials, query and fragment".to_owned();
        let url = url::Url::parse(value.as_str().ok_or_else(wrong)?.trim()).map_err(|_| wrong())?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if plain { Ok(Self(url.as_str().trim_end_matches('/').to_owned())) } else { Err(wrong()) }
    }
}

/// A moment; a day alone begins at midnight, UTC.
impl Value for chrono::DateTime<chrono::Utc> {
    fn read(value: &toml::Value) -> Result<Self, String> {
        let written = match value {
            toml::Value::String(text) => text.trim().to_owned(),
            toml::Value::Datetime(date) => date.to_string(),
            _ => String::new(),
        };
        let midnight = |day: chrono::NaiveDate| day.and_time(chrono::NaiveTime::MIN).and_utc();
        chrono::DateTime::parse_from_rfc3339(&written)
            .map(Into::into)
            .or_else(|_| written.parse().map(midnight))
            .map_err(|_| "a day such as \"2027-01-31\", or with a time, \"2027-01-31T00:00:00Z\"".to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of<T: Value>(text: &str) -> Result<T, String> {
        T::read(&toml::Value::String(text.to_owned()))
    }

    #[test]
    fn a_day_alone_begins_at_midnight() {
        let day = of::<chrono::DateTime<chrono::Utc>>("2027-01-31").unwrap();
        assert_eq!(day, of("2027-01-31T00:00:00Z").unwrap());
        assert!(of::<chrono::DateTime<chrono::Utc>>("31.1.2027").is_err());
    }

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        for (written, bytes) in [("512", 512), ("64KiB", 65536), ("2 MiB", 2 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(of::<Bytes>(written), Ok(Bytes(bytes)), "{written}");
        }
        for wrong in ["", "2MB", "-1", "1.5MiB", "99999999999999999999", "18446744073709551615GiB"] {
            assert!(of::<Bytes>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_single_address_is_a_network_too() {
        let networks = of::<Networks>("10.0.0.0/8, ::1").unwrap().0;
        assert_eq!(networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128"]);
        assert!(of::<Networks>("10.0.0.0/40").is_err());
    }

    #[test]
    fn a_base_url_keeps_its_path_and_loses_its_last_slash() {
        assert_eq!(of("https://jira.example/ctx/"), Ok(BaseUrl("https://jira.example/ctx".into())));
        assert_eq!(of("https://jira.example"), Ok(BaseUrl("https://jira.example".into())));
        for wrong in ["jira.example", "ftp://jira.example", "https://me:pw@jira.example", "https://jira.example/?a=b"] {
            let error = of::<BaseUrl>(wrong).unwrap_err();
            assert!(!error.contains("pw@"), "{error}");
        }
    }

    #[test]
    fn a_bare_zero_is_a_duration_and_a_bare_number_is_not() {
        assert_eq!(of("0"), Ok(Duration::ZERO));
        assert_eq!(of("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(of::<Duration>("30").is_err());
    }
}
