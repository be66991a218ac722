//! The people and groups that are there before anything is measured.

use chrono::Utc;
use serde_json::Value;
use uuid::Uuid;

use super::children::{TARGET, TENANT};
use crate::account::{AccountId, SeenAccount};
use crate::cli::Failure;
use crate::scim;
use crate::simulate::people::Person;
use crate::simulate::profile::okta;
use crate::store::seed::{self, SeedUser};
use crate::store::{Store, StoreError, janitor, tenant};

/// Sizes of the groups; those with more than half of the people are left out.
const SIZES: [u64; 3] = [10, 1_000, 10_000];
/// Users of one transaction.
const BATCH: usize = 10_000;

/// What was seeded.
pub(super) struct Seeded {
    /// The users' ids, in the order of the people.
    pub(super) users: Vec<String>,
    /// The groups: name, size, id.
    pub(super) groups: Vec<(String, u64, String)>,
}

/// The groups for so many people: name and size. The members are the first of the people.
pub(super) fn groups(users: u64) -> Vec<(String, u64)> {
    SIZES.into_iter().filter(|size| *size <= users / 2).map(|size| (format!("Crew of {size}"), size)).collect()
}

/// Seeds the store; `keys` are the accounts' keys in the order of the people.
pub(super) async fn seed(store: &Store, users: u64, keys: &[String]) -> Result<Seeded, Failure> {
    let mut conn = store.pool().acquire().await.map_err(StoreError::from)?;
    let tenant = tenant::get(&mut *conn, TENANT).await?.ok_or("there is no tenant")?;
    janitor::ensure_partitions(&mut conn, Utc::now().date_naive()).await?;
    if keys.len() as u64 != users {
        return Err("the sandbox has another number of people".into());
    }
    let mut ids = Vec::with_capacity(keys.len());
    for (batch, keys) in keys.chunks(BATCH).enumerate() {
        let first = (batch * BATCH) as u64;
        let batch: Vec<SeedUser> =
            keys.iter().enumerate().filter_map(|(offset, key)| user(first + offset as u64, key)).collect();
        seed::users(&mut conn, tenant.id, TARGET, &batch).await?;
        ids.extend(batch.iter().map(|user| user.id));
    }
    let mut made = Vec::new();
    for (name, size) in groups(users) {
        let id = Uuid::now_v7();
        seed::group(&mut conn, tenant.id, id, &name, &ids[..usize::try_from(size)?]).await?;
        made.push((name, size, id.to_string()));
    }
    seed::settle(&mut conn).await?;
    Ok(Seeded { users: ids.iter().map(Uuid::to_string).collect(), groups: made })
}

/// As the daemon keeps what Okta sends of this person.
fn user(number: u64, key: &str) -> Option<SeedUser> {
    let person = Person::new(0, number);
    let Value::Object(mut attrs) = okta::new_user(&person) else { return None };
    for name in ["schemas", "groups", "password"] {
        attrs.remove(name);
    }
    let folded = scim::folded(scim::user(), &attrs);
    let account = SeenAccount {
        id: AccountId(key.to_owned()),
        username: person.user_name.clone(),
        email: Some(person.user_name.clone()),
        display_name: person.display_name(),
        active: true,
        ..SeenAccount::default()
    };
    Some(SeedUser { id: Uuid::now_v7(), attrs, folded, account })
}
