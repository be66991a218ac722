//! Which Jira is played.

use std::fmt;
use std::str::FromStr;

/// A version of Jira, as `serverInfo` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(Vec<u32>);

impl Version {
    /// Whether this version is that one or a later one; missing numbers count as 0.
    pub fn at_least(&self, other: &[u32]) -> bool {
        let number = |numbers: &[u32], at: usize| numbers.get(at).copied().unwrap_or(0);
        let places = self.0.len().max(other.len());
        (0..places).map(|at| number(&self.0, at)).ge((0..places).map(|at| number(other, at)))
    }

    /// Whether there are personal access tokens (DC-3).
    pub(crate) fn knows_tokens(&self) -> bool {
        self.at_least(&[8, 14])
    }

    /// With three numbers at least, as Jira prints it: `8.20` is `8.20.0`.
    pub fn complete(&self) -> Self {
        let mut numbers = self.0.clone();
        numbers.resize(numbers.len().max(3), 0);
        Self(numbers)
    }

    /// `[10, 3, 24]`.
    pub fn numbers(&self) -> &[u32] {
        &self.0
    }
}

impl Default for Version {
    fn default() -> Self {
        Self(vec![10, 3, 24])
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
        numbers.map(Self).map_err(|_| format!("`{text}` is no version; 10.3.24 is one"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let version: Version = "8.13.17".parse().unwrap();
        assert!(version.at_least(&[8, 4]) && version.at_least(&[8, 13, 17]) && version.at_least(&[8]));
        assert!(!version.at_least(&[8, 14]) && !version.at_least(&[10]));
        assert!("8.3".parse::<Version>().unwrap().at_least(&[8, 3, 0]));
        assert_eq!(version.to_string(), "8.13.17");
        assert!("ten".parse::<Version>().is_err());
    }
}
