//! Everybody, remembered for a moment: for a site that does not honour filters, so that not each look reads the whole list
//! (ALIGN-25). What we write ourselves is put in; where we do not know what we wrote, everything is forgotten.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::record::User;

/// How long a list is believed.
const FRESH: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Default)]
pub(super) struct Index {
    /// A plain filter was refused, or nobody looked at it.
    unfiltered: AtomicBool,
    listing: Mutex<Option<Listing>>,
}

struct Listing {
    read_at: Instant,
    users: BTreeMap<u64, User>,
}

impl Index {
    /// Whether filters are known to be useless here.
    pub(super) fn is_needed(&self) -> bool {
        self.unfiltered.load(Ordering::Relaxed)
    }

    /// Filters are useless here; true for the first who finds out.
    pub(super) fn is_needed_from_now_on(&self) -> bool {
        !self.unfiltered.swap(true, Ordering::Relaxed)
    }

    /// The users that fit, where the list is fresh.
    pub(super) fn find(&self, fits: impl Fn(&User) -> bool) -> Option<Vec<User>> {
        let listing = self.lock();
        let listing = listing.as_ref().filter(|listing| listing.read_at.elapsed() < FRESH)?;
        Some(listing.users.values().filter(|user| fits(user)).cloned().collect())
    }

    /// Takes a list in that was read from `read_at` on.
    pub(super) fn keep(&self, read_at: Instant, users: &[User]) {
        let users = users.iter().map(|user| (user.id, user.clone())).collect();
        *self.lock() = Some(Listing { read_at, users });
    }

    /// Somebody is so now.
    pub(super) fn learn(&self, user: &User) {
        if let Some(listing) = self.lock().as_mut() {
            listing.users.insert(user.id, user.clone());
        }
    }

    /// Nobody knows what is so now.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Listing>> {
        self.listing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
