//! A sandbox and the target that points at it, without the rest of the program.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jira_scim::account::{Account, AccountId, OffSwitch, SeenAccount};
use jira_scim::jira::{
    AccountChange, AccountRef, Align, AlignOptions as Settings, Calls, ClientOptions, Created, Credential, Gate,
    Permit, RateLimits, Switch, Target, TargetError, Written,
};
use jira_scim::sandbox::{AlignOptions, AlignRules, AlignUser};
use uuid::Uuid;

use super::client::Desk;

/// A gate that is open.
pub(super) struct Open;

impl Gate for Open {
    fn enter(&self) -> BoxFuture<'_, Result<Permit, TargetError>> {
        Box::pin(async { Ok(Permit(None)) })
    }

    fn observe(&self, _limits: RateLimits) {}
}

/// A sandbox and the target that points at it.
pub(super) struct Office {
    pub(super) desk: Desk,
    pub(super) target: Arc<dyn Target>,
    /// How many calls have been told.
    told: AtomicUsize,
}

impl Office {
    pub(super) async fn open() -> Self {
        Self::with(AlignRules::default(), |_| ()).await
    }

    pub(super) async fn with(rules: AlignRules, set: impl FnOnce(&mut Settings)) -> Self {
        let desk = Desk::with(AlignOptions { rules, ..AlignOptions::default() }).await;
        let credential = Credential::Bearer(desk.jira.token().to_owned());
        let mut client = ClientOptions::new(desk.jira.base_url().parse().unwrap(), credential);
        client.timeout = Duration::from_secs(2);
        let mut settings = Settings::new(client);
        set(&mut settings);
        Self { desk, target: Arc::new(Align::new(settings).unwrap()), told: AtomicUsize::new(0) }
    }

    pub(super) fn calls(&self) -> Calls<'_> {
        Calls::new(Uuid::now_v7(), &Open)
    }

    pub(super) async fn create(&self, account: &Account) -> Result<Created, TargetError> {
        self.target.create_account(&self.calls(), account).await
    }

    pub(super) async fn find(&self, name: &str) -> Result<Option<SeenAccount>, TargetError> {
        self.target.find_account(&self.calls(), name).await
    }

    pub(super) async fn update(&self, id: u64, change: &AccountChange) -> Result<SeenAccount, TargetError> {
        let id = AccountId(id.to_string());
        let account = AccountRef { id: &id, username: "ivo" };
        seen(self.target.update_account(&self.calls(), account, change).await)
    }

    pub(super) async fn switch(&self, id: u64, active: bool) -> Result<SeenAccount, TargetError> {
        let id = AccountId(id.to_string());
        let account = AccountRef { id: &id, username: "ivo" };
        let switch = Switch { active, off: Some(OffSwitch::Deactivate), hand_over_to: None };
        seen(self.target.set_active(&self.calls(), account, &switch).await)
    }

    /// The calls since the last time, as `GET /Users`.
    pub(super) fn told(&self) -> Vec<String> {
        let journal = self.desk.jira.journal();
        let told = self.told.swap(journal.len(), Ordering::SeqCst);
        journal.iter().skip(told).map(|entry| entry.operation()).collect()
    }
}

pub(super) fn seen(written: Result<Written, TargetError>) -> Result<SeenAccount, TargetError> {
    match written? {
        Written::Seen(seen) => Ok(seen),
        Written::AsAsked { .. } => panic!("Jira Align is always read back"),
    }
}

pub(super) fn ivo() -> AlignUser {
    AlignUser::named("ivo", "Ivo", "Haas")
}

pub(super) fn fields(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(super) fn mara() -> Account {
    let ids = [("roleId", "95"), ("costCenterId", "1"), ("divisionId", "65"), ("regionId", "17"), ("cityId", "32")];
    Account {
        username: "mlund".to_owned(),
        email: "mara.lund@example.test".to_owned(),
        display_name: "Mara Britt Lund".to_owned(),
        active: true,
        extra: fields(&ids),
        access: BTreeSet::new(),
    }
}

pub(super) fn made(created: Created) -> SeenAccount {
    match created {
        Created::New(seen) => seen,
        Created::Exists(seen) => panic!("{seen:?} is there already"),
    }
}

pub(super) fn reason(error: TargetError) -> String {
    match error {
        TargetError::Refused { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}
