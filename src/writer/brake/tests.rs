//! The decision as tables.

use super::{decide, limit, sentence};
use crate::policy::Brake;
use crate::policy::guard::Limit;
use crate::store::brake::BrakeClass::{self, Accounts, Memberships};
use crate::store::brake::Levels;

fn brake() -> Brake {
    Brake {
        accounts: Limit { max: 100, percent: 10, min: 5 },
        memberships: Limit { max: 2000, percent: 20, min: 50 },
        ..Brake::default()
    }
}

fn levels(accounts: u64, memberships: u64, people: u64) -> Levels {
    Levels { accounts, memberships, people, gone: 0 }
}

#[test]
fn a_limit_is_of_the_people_there_were_before_the_storm() {
    for (levels, accounts, memberships) in [
        (levels(0, 0, 0), 5, 50),
        (levels(0, 0, 60), 6, 50),
        (levels(10, 0, 90), 9, 50),
        (Levels { gone: 10, ..levels(10, 0, 90) }, 10, 50),
        (levels(0, 0, 500), 50, 100),
        (levels(0, 0, 1_000_000), 100, 2000),
    ] {
        assert_eq!(limit(&brake(), &levels, Accounts), accounts, "{levels:?}");
        assert_eq!(limit(&brake(), &levels, Memberships), memberships, "{levels:?}");
    }
}

#[test]
fn what_fits_goes_through_and_the_first_that_does_not_trips_it() {
    type Case = (Levels, bool, &'static [(BrakeClass, u64)], &'static [bool], Option<BrakeClass>);
    let cases: [Case; 9] = [
        (levels(0, 0, 20), false, &[], &[], None),
        (levels(4, 0, 20), false, &[(Accounts, 1)], &[true], None),
        (levels(5, 0, 20), false, &[(Accounts, 1)], &[false], Some(Accounts)),
        (levels(4, 0, 20), false, &[(Accounts, 1), (Accounts, 1)], &[true, false], Some(Accounts)),
        // The other class is as full as it is.
        (levels(5, 49, 20), false, &[(Memberships, 1)], &[true], None),
        (levels(0, 0, 20), false, &[(Memberships, 50)], &[true], None),
        (levels(0, 0, 20), false, &[(Memberships, 51)], &[false], Some(Memberships)),
        // Behind the one that trips it nothing goes through, whatever it is.
        (
            levels(0, 50, 20),
            false,
            &[(Accounts, 1), (Memberships, 1), (Accounts, 1)],
            &[true, false, false],
            Some(Memberships),
        ),
        // Tripped it stays tripped, however empty the window is by now; and it does not trip twice.
        (levels(0, 0, 20), true, &[(Accounts, 1), (Memberships, 1)], &[false, false], None),
    ];
    for (levels, tripped, wanted, granted, trips) in cases {
        let decided = decide(&brake(), levels, tripped, wanted);
        assert_eq!((&decided.granted[..], decided.trips), (granted, trips), "{levels:?} {tripped} {wanted:?}");
    }
}

#[test]
fn nothing_at_all_may_be_the_limit() {
    let none = Brake { accounts: Limit { max: 0, percent: 10, min: 0 }, ..brake() };
    assert_eq!(decide(&none, levels(0, 0, 1000), false, &[(Accounts, 1)]).trips, Some(Accounts));
}

#[test]
fn the_reason_says_how_much_it_was_and_what_the_limit_is() {
    assert_eq!(
        sentence(Accounts, 100, 1, 100, &brake()),
        "100 accounts were switched off or deleted within 1h, and the limit is 100"
    );
    assert_eq!(
        sentence(Memberships, 3, 5000, 50, &brake()),
        "3 memberships were taken away within 1h, 5000 more were to be at once, and the limit is 50"
    );
}

#[test]
fn no_order_of_steps_lets_more_through_than_the_limits() {
    use proptest::prelude::*;
    proptest!(|(wanted in proptest::collection::vec((any::<bool>(), 1_u64..8), 0..200), people in 0_u64..500,
                before in (0_u64..20, 0_u64..80))| {
        let wanted: Vec<_> = wanted.into_iter().map(|(a, w)| (if a { Accounts } else { Memberships }, w)).collect();
        let start = levels(before.0, before.1, people);
        let decided = decide(&brake(), start, false, &wanted);
        for class in [Accounts, Memberships] {
            let through: u64 = wanted.iter().zip(&decided.granted).filter(|((c, _), granted)| *c == class && **granted)
                .map(|((_, weight), _)| *weight).sum();
            let most = limit(&brake(), &start, class).max(start.of(class));
            prop_assert!(start.of(class) + through <= most);
        }
        // What trips it is the last thing that is decided.
        prop_assert_eq!(decided.trips.is_some(), decided.granted.iter().any(|granted| !granted));
        let first = decided.granted.iter().position(|granted| !granted).unwrap_or(wanted.len());
        prop_assert!(decided.granted[first..].iter().all(|granted| !granted));
    });
}
