//! People and groups to begin with (`--seed 20000-users`), the same ones each time and for every kind of Jira, so that
//! an import has something to read. Pure: what is done with them is the business of each kind's state.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The most people that a sandbox is filled with: they are kept in memory.
const MOST: u32 = 5_000_000;
/// One group of a team for so many people.
const TEAM: u32 = 50;

const FIRST: &[&str] = &[
    "Ada", "Bela", "Chiara", "Dirk", "Elif", "Fatma", "Goran", "Hanna", "Ivo", "Jana", "Kofi", "Lena", "Mara", "Nils",
    "Ole", "Pia", "Quentin", "Rosa", "Sven", "Tomas", "Uma", "Vera", "Wim", "Xenia", "Yusuf", "Zoe",
];
const LAST: &[&str] = &[
    "Abel", "Berg", "Castro", "Dahl", "Eriksen", "Fischer", "Greco", "Haas", "Iversen", "Jansen", "Koch", "Lund",
    "Moreau", "Novak", "Olsen", "Park", "Quist", "Rossi", "Silva", "Tanaka", "Ueda", "Varga", "Weiss", "Xu", "Ylmaz",
];

/// What a sandbox is filled with before its first call. Written `20000-users`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed {
    /// How many people.
    pub users: u32,
}

impl FromStr for Seed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let users = text.strip_suffix("-users").and_then(|number| number.parse().ok());
        match users.filter(|users| (1..=MOST).contains(users)) {
            Some(users) => Ok(Self { users }),
            None => Err(format!("`{text}` is no seed; 20000-users is one, up to {MOST}-users")),
        }
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-users", self.users)
    }
}

/// Somebody of a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedPerson {
    /// The given name.
    pub first: &'static str,
    /// The family name.
    pub last: &'static str,
    /// `mara.lund.1204`; unique.
    pub username: String,
    /// `mara.lund.1204@example.test`; unique.
    pub email: String,
    /// One in twenty has left.
    pub active: bool,
}

impl SeedPerson {
    /// `Mara Lund`.
    pub fn display_name(&self) -> String {
        format!("{} {}", self.first, self.last)
    }
}

/// The person of that number, counted from 0.
pub fn person(number: u32) -> SeedPerson {
    let first = FIRST[number as usize % FIRST.len()];
    let last = LAST[number as usize / FIRST.len() % LAST.len()];
    let username = format!("{}.{}.{number}", first.to_lowercase(), last.to_lowercase());
    let email = format!("{username}@example.test");
    SeedPerson { first, last, username, email, active: !number.is_multiple_of(20) }
}

/// The groups among `users` people and who is in them: everybody, each tenth of the people, and teams.
pub fn groups(users: u32) -> impl Iterator<Item = (String, Range<u32>)> {
    let site = users.div_ceil(10).max(1);
    let sites = (0..users.div_ceil(site)).map(move |n| (format!("site-{n:02}"), n * site..users.min((n + 1) * site)));
    let teams = (0..users.div_ceil(TEAM)).map(move |n| (format!("team-{n:05}"), n * TEAM..users.min((n + 1) * TEAM)));
    std::iter::once(("everybody".to_owned(), 0..users)).chain(sites).chain(teams)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_seed_is_written_with_its_number_of_users() {
        assert_eq!("20000-users".parse::<Seed>().unwrap(), Seed { users: 20_000 });
        for text in ["", "20000", "0-users", "x-users", "9000000-users", "5-groups"] {
            assert!(text.parse::<Seed>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_unique_and_groups_cover_everybody() {
        let names: std::collections::HashSet<String> = (0..5_000).map(|n| person(n).username).collect();
        assert_eq!(names.len(), 5_000);
        let rows: Vec<_> = groups(1_234).collect();
        let of = |prefix: &str| -> usize {
            rows.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, people)| people.len()).sum()
        };
        assert_eq!([of("everybody"), of("site-"), of("team-")], [1_234; 3]);
    }
}
