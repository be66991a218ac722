//! Who is there before the first call: the people of a seed, and accounts that no identity provider knows.

use chrono::{DateTime, Duration, Utc};

use super::state::{AlignUser, AlignWorld, CONNECTOR_ROLE};
use crate::sandbox::seed;

/// One account that nobody knows for so many people.
const PEOPLE_PER_STRANGER: u32 = 100;
/// At least so many of them, so that each kind is there.
const FEWEST_STRANGERS: u32 = 5;

/// Puts the people of a seed in, and the accounts that time leaves behind on top of them.
pub(super) fn settle(world: &mut AlignWorld, people: u32) {
    for number in 0..people {
        let person = seed::person(number);
        let mut user = AlignUser::named(&person.username, person.first, person.last);
        user.email = person.email;
        if !person.active {
            user.is_locked = -1;
            user.user_end_date = Some(DateTime::UNIX_EPOCH + Duration::days(19_000));
        }
        world.add(user);
    }
    for number in 0..(people / PEOPLE_PER_STRANGER).max(FEWEST_STRANGERS) {
        world.add(stranger(number));
    }
}

/// An account that no identity provider knows: somebody who left, a contractor, what a connector made.
pub fn stranger(number: u32) -> AlignUser {
    let name = format!("stranger.{number}");
    let user = AlignUser::named(&name, "Stranger", &number.to_string());
    match number % 5 {
        // Active, and nothing is wrong with the record: somebody whom nobody remembered to lock.
        0 => user,
        // ALIGN-20: the Jira connector fills in neither; and it knows no external id (ALIGN-14).
        1 => AlignUser { external_id: None, division_id: None, city_id: None, role_id: CONNECTOR_ROLE, ..user },
        // ALIGN-21
        2 => AlignUser { company: Some(String::new()), company_id: Some(String::new()), is_external: 1, ..user },
        // ALIGN-22
        3 => AlignUser { user_end_date: Some(long_ago()), ..user },
        // Locked long ago.
        _ => AlignUser { is_locked: -1, user_end_date: Some(long_ago()), ..user },
    }
}

fn long_ago() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::days(18_000)
}
