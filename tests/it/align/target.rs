//! The target against the sandbox: each trap of `docs/targets/align.md` that its calls can fall into, and what each costs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jira_scim::account::{Account, AccountId, Field, OffSwitch, SeenAccount};
use jira_scim::jira::{
    AccountChange, AccountRef, Align, AlignOptions as Settings, Calls, ClientOptions, Created, Credential, Gate, Level,
    MatchOn, Permit, RateLimits, Switch, Target, TargetError, Written,
};
use jira_scim::sandbox::{AlignOptions, AlignRules, AlignUser, CONNECTOR_ROLE, Fault, VIEWER_ROLE};
use serde_json::json;
use uuid::Uuid;

use super::client::Desk;

/// A gate that is open.
struct Open;

impl Gate for Open {
    fn enter(&self) -> BoxFuture<'_, Result<Permit, TargetError>> {
        Box::pin(async { Ok(Permit(None)) })
    }

    fn observe(&self, _limits: RateLimits) {}
}

/// A sandbox and the target that points at it.
struct Office {
    desk: Desk,
    target: Arc<dyn Target>,
    /// How many calls have been told.
    told: AtomicUsize,
}

impl Office {
    async fn open() -> Self {
        Self::with(AlignRules::default(), |_| ()).await
    }

    async fn with(rules: AlignRules, set: impl FnOnce(&mut Settings)) -> Self {
        let desk = Desk::with(AlignOptions { rules, ..AlignOptions::default() }).await;
        let credential = Credential::Bearer(desk.jira.token().to_owned());
        let mut client = ClientOptions::new(desk.jira.base_url().parse().unwrap(), credential);
        client.timeout = Duration::from_secs(2);
        let mut settings = Settings::new(client);
        set(&mut settings);
        Self { desk, target: Arc::new(Align::new(settings).unwrap()), told: AtomicUsize::new(0) }
    }

    fn calls(&self) -> Calls<'_> {
        Calls::new(Uuid::now_v7(), &Open)
    }

    async fn create(&self, account: &Account) -> Result<Created, TargetError> {
        self.target.create_account(&self.calls(), account).await
    }

    async fn find(&self, name: &str) -> Result<Option<SeenAccount>, TargetError> {
        self.target.find_account(&self.calls(), name).await
    }

    async fn update(&self, id: u64, change: &AccountChange) -> Result<SeenAccount, TargetError> {
        let id = AccountId(id.to_string());
        let account = AccountRef { id: &id, username: "ivo" };
        seen(self.target.update_account(&self.calls(), account, change).await)
    }

    async fn switch(&self, id: u64, active: bool) -> Result<SeenAccount, TargetError> {
        let id = AccountId(id.to_string());
        let account = AccountRef { id: &id, username: "ivo" };
        let switch = Switch { active, off: Some(OffSwitch::Deactivate), hand_over_to: None };
        seen(self.target.set_active(&self.calls(), account, &switch).await)
    }

    /// The calls since the last time, as `GET /Users`.
    fn told(&self) -> Vec<String> {
        let journal = self.desk.jira.journal();
        let told = self.told.swap(journal.len(), Ordering::SeqCst);
        journal.iter().skip(told).map(|entry| entry.operation()).collect()
    }
}

fn seen(written: Result<Written, TargetError>) -> Result<SeenAccount, TargetError> {
    match written? {
        Written::Seen(seen) => Ok(seen),
        Written::AsAsked { .. } => panic!("Jira Align is always read back"),
    }
}

fn ivo() -> AlignUser {
    AlignUser::named("ivo", "Ivo", "Haas")
}

fn fields(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn mara() -> Account {
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

fn made(created: Created) -> SeenAccount {
    match created {
        Created::New(seen) => seen,
        Created::Exists(seen) => panic!("{seen:?} is there already"),
    }
}

fn reason(error: TargetError) -> String {
    match error {
        TargetError::Refused { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_create_looks_first_and_sends_the_names_the_ids_and_the_key() {
    // ALIGN-13, ALIGN-15
    let office = Office::open().await;
    let seen = made(office.create(&mara()).await.unwrap());
    assert_eq!(office.told(), ["GET /Users", "POST /Users"]);
    let user = office.desk.jira.user("mlund").unwrap();
    assert_eq!((seen.id.0, seen.username.as_str(), seen.active), (user.id.to_string(), "mlund", true));
    assert_eq!((user.first_name.as_str(), user.last_name.as_str(), user.is_external), ("Mara Britt", "Lund", 0));
    assert_eq!((user.role_id, user.city_id, user.email.as_str()), (95, Some(32), "mara.lund@example.test"));
    assert_eq!(seen.read_only, BTreeSet::from([Field::DisplayName]));

    let again = office.create(&mara()).await.unwrap();
    assert!(matches!(again, Created::Exists(seen) if seen.username == "mlund"));
    assert_eq!(office.told(), ["GET /Users"]);
}

#[tokio::test]
async fn with_email_as_the_key_the_address_is_written_as_external_id_unless_the_policy_has_one() {
    let email = |settings: &mut Settings| settings.match_on = MatchOn::Email;
    let office = Office::with(AlignRules::default(), email).await;
    let account = Account { username: "mara.lund@example.test".to_owned(), ..mara() };
    let seen = made(office.create(&account).await.unwrap());
    assert_eq!(seen.username, "mara.lund@example.test");
    let user = office.desk.jira.user_by_email("mara.lund@example.test").unwrap();
    assert_eq!(user.external_id.as_deref(), Some("mara.lund@example.test"));
    // The address changes, and the external id with it.
    let address = Some("mara.moss@example.test".to_owned());
    let change = AccountChange { username: address.clone(), email: address, ..AccountChange::default() };
    office.told();
    office.update(user.id, &change).await.unwrap();
    assert_eq!(office.told(), ["GET /Users/{id}", "PATCH /Users/{id}", "GET /Users/{id}"]);
    assert_eq!(office.desk.user(user.id).external_id.as_deref(), Some("mara.moss@example.test"));

    let office = Office::with(AlignRules::default(), email).await;
    let mut account = account;
    account.extra.insert("externalId".to_owned(), "e-7".to_owned());
    made(office.create(&account).await.unwrap());
    let user = office.desk.jira.user("e-7").unwrap();
    let address = Some("mara.moss@example.test".to_owned());
    let change = AccountChange { username: address.clone(), email: address, ..AccountChange::default() };
    office.update(user.id, &change).await.unwrap();
    assert_eq!(office.desk.user(user.id).external_id.as_deref(), Some("e-7"));
}

#[tokio::test]
async fn a_create_without_its_ids_is_refused_before_any_call_with_the_keys_that_must_give_them() {
    // ALIGN-13
    let office = Office::open().await;
    let mut account = mara();
    account.extra.remove("cityId");
    account.extra.insert("roleId".to_owned(), String::new());
    let told = reason(office.create(&account).await.unwrap_err());
    assert!(told.contains("policy.account.fields.cityId") && told.contains("policy.account.fields.roleId"), "{told}");
    account.extra.insert("cityId".to_owned(), "Lund".to_owned());
    assert!(reason(office.create(&account).await.unwrap_err()).contains("cityId must be a whole number"));
    assert!(office.told().is_empty());
}

#[tokio::test]
async fn a_new_account_that_is_to_be_inactive_is_locked_at_once() {
    // ALIGN-16
    let office = Office::open().await;
    let seen = made(office.create(&Account { active: false, ..mara() }).await.unwrap());
    assert!(!seen.active && !office.desk.jira.user("mlund").unwrap().is_active());
    assert_eq!(office.told(), ["GET /Users", "POST /Users", "PATCH /Users/{id}", "GET /Users/{id}"]);
}

#[tokio::test]
async fn an_answer_to_a_post_that_is_only_an_id_is_followed_by_a_look() {
    // ALIGN-12
    let office = Office::with(AlignRules { answers_ids: true, ..AlignRules::default() }, |_| ()).await;
    assert_eq!(made(office.create(&mara()).await.unwrap()).username, "mlund");
    assert_eq!(office.told(), ["GET /Users", "POST /Users", "GET /Users/{id}"]);
}

#[tokio::test]
async fn a_refused_create_says_who_has_the_address_and_what_to_fill_in() {
    // ALIGN-14
    let office = Office::open().await;
    let email = "mara.lund@example.test".to_owned();
    let id = office.desk.add(AlignUser { external_id: None, email, ..ivo() });
    let told = reason(office.create(&mara()).await.unwrap_err());
    assert!(told.contains(&format!("The user {id} of Jira Align")) && told.contains("no externalId"), "{told}");
    office.desk.jira.change(|world| world.change(id, |user| user.external_id = Some("other".to_owned())));
    assert!(reason(office.create(&mara()).await.unwrap_err()).contains("another externalId"));
}

#[tokio::test]
async fn a_lock_and_an_unlock_are_a_patch_and_a_look_each() {
    // ALIGN-16, ALIGN-18, ALIGN-24
    let office = Office::open().await;
    let id = office.desk.add(ivo());
    assert!(!office.switch(id, false).await.unwrap().active);
    assert_eq!(office.told(), ["PATCH /Users/{id}", "GET /Users/{id}"]);
    assert!(office.desk.user(id).user_end_date.is_some());
    office.desk.jira.advance(Duration::from_secs(9 * 86_400));
    assert!(office.switch(id, true).await.unwrap().active);
    assert_eq!(office.told(), ["PATCH /Users/{id}", "GET /Users/{id}"]);
    assert_eq!(office.desk.user(id).user_end_date, None);
}

#[tokio::test]
async fn a_lock_is_not_believed_while_status_says_otherwise() {
    // ALIGN-17
    let office = Office::with(AlignRules { forgets_status: true, ..AlignRules::default() }, |_| ()).await;
    let id = office.desk.add(ivo());
    let error = office.switch(id, false).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { field: Some(Field::Active), .. }), "{error:?}");
}

#[tokio::test]
async fn a_success_that_changed_nothing_is_a_refusal() {
    // ALIGN-24
    let office = Office::open().await;
    let id = office.desk.add(ivo());
    office.desk.jira.inject(Fault::status(200).on("PATCH /Users/{id}"));
    assert!(reason(office.switch(id, false).await.unwrap_err()).contains("isLocked is still 0"));
    let change = AccountChange { email: Some("i@example.test".to_owned()), ..AccountChange::default() };
    assert!(reason(office.update(id, &change).await.unwrap_err()).contains("email is still"));
}

#[tokio::test]
async fn an_update_changes_the_key_the_address_and_the_fields_in_one_patch() {
    let office = Office::open().await;
    let id = office.desk.add(ivo());
    let change = AccountChange {
        username: Some("ivo.h".to_owned()),
        email: Some("ivo.h@example.test".to_owned()),
        display_name: Some("never sent".to_owned()),
        extra: fields(&[("title", ""), ("roleId", "91"), ("company", "Lund & Co")]),
    };
    let seen = office.update(id, &change).await.unwrap();
    assert_eq!(office.told(), ["PATCH /Users/{id}", "GET /Users/{id}"]);
    assert_eq!(
        (seen.username.as_str(), seen.extra["roleId"].as_str(), seen.extra["title"].as_str()),
        ("ivo.h", "91", "")
    );
    assert_eq!(office.desk.user(id).company.as_deref(), Some("Lund & Co"));
    // Nothing to send is nothing to change.
    let nothing = AccountChange { extra: fields(&[("cityId", "")]), ..AccountChange::default() };
    office.update(id, &nothing).await.unwrap();
    assert_eq!(office.told(), ["GET /Users/{id}"]);
}

#[tokio::test]
async fn a_record_that_refuses_every_change_is_repaired_once_and_told() {
    // ALIGN-19, ALIGN-20, ALIGN-21, ALIGN-22
    let ids = |settings: &mut Settings| {
        settings.repair = BTreeMap::from([("divisionId".to_owned(), 66), ("cityId".to_owned(), 33)])
    };
    let office = Office::with(AlignRules::default(), ids).await;
    let flawed = AlignUser {
        division_id: None,
        city_id: None,
        company: Some(String::new()),
        company_id: Some(String::new()),
        user_end_date: Some(chrono::DateTime::UNIX_EPOCH),
        ..ivo()
    };
    let id = office.desk.add(flawed);
    let calls = office.calls();
    let (account, off) = (AccountId(id.to_string()), Switch { active: false, off: None, hand_over_to: None });
    let account = AccountRef { id: &account, username: "ivo" };
    assert!(!seen(office.target.set_active(&calls, account, &off).await).unwrap().active);
    assert_eq!(office.told(), ["PATCH /Users/{id}", "GET /Users/{id}", "PATCH /Users/{id}", "GET /Users/{id}"]);
    let user = office.desk.user(id);
    assert_eq!((user.division_id, user.city_id, user.company, user.company_id), (Some(66), Some(33), None, None));
    let notes = calls.take_notes();
    assert!(
        notes[0].contains("divisionId was missing") && notes[0].contains("userEndDate was in the past"),
        "{notes:?}"
    );
}

#[tokio::test]
async fn what_the_change_sets_needs_no_other_value_and_what_nobody_gives_is_told() {
    // ALIGN-20
    let office = Office::open().await;
    let id = office.desk.add(AlignUser { division_id: None, city_id: None, ..ivo() });
    let told = reason(office.switch(id, false).await.unwrap_err());
    assert!(told.contains("has no divisionId and cityId"), "{told}");
    office.told();
    let whole = AccountChange { extra: fields(&[("divisionId", "65"), ("cityId", "32")]), ..AccountChange::default() };
    office.update(id, &whole).await.unwrap();
    assert_eq!(office.told(), ["PATCH /Users/{id}", "GET /Users/{id}"]);
    assert!(!office.switch(id, false).await.unwrap().active);
}

#[tokio::test]
async fn a_refusal_for_another_reason_is_passed_on_after_one_look() {
    // ALIGN-11, ALIGN-28
    let office = Office::open().await;
    let id = office.desk.add(ivo());
    let change = AccountChange { extra: fields(&[("cityId", "4711")]), ..AccountChange::default() };
    let told = reason(office.update(id, &change).await.unwrap_err());
    assert_eq!(told, format!("Cannot update user with id {id}. cityId 4711 does not exist."));
    assert_eq!(office.told(), ["PATCH /Users/{id}", "GET /Users/{id}"]);
}

#[tokio::test]
async fn the_owner_of_the_token_is_known_and_never_locked() {
    // ALIGN-3, ALIGN-5
    let office = Office::open().await;
    let probe = office.target.probe(&office.calls()).await.unwrap();
    let owner = office.desk.jira.owner();
    assert_eq!((probe.own_account.id.0, probe.own_account.username.as_str()), (owner.to_string(), "svc-scim"));
    assert_eq!(office.told(), ["GET /Users/{id}"]);
    assert!(reason(office.switch(owner, false).await.unwrap_err()).contains("token"));
    assert!(office.told().is_empty());
}

#[tokio::test]
async fn a_dead_token_and_a_role_that_may_not_are_denied() {
    // ALIGN-3, ALIGN-4
    let office = Office::open().await;
    let owner = office.desk.jira.owner();
    office.desk.jira.change(|world| world.change(owner, |user| user.role_id = VIEWER_ROLE));
    assert!(matches!(office.create(&mara()).await, Err(TargetError::Denied { detail }) if detail.contains("role")));
    office.desk.jira.change(|world| world.change(owner, |user| user.is_locked = -1));
    assert!(matches!(office.find("mlund").await, Err(TargetError::Denied { detail }) if detail.contains("401")));
}

#[tokio::test]
async fn an_account_is_found_by_its_key_whatever_the_site_makes_of_a_filter() {
    // ALIGN-7, ALIGN-9, ALIGN-10, ALIGN-25
    let office = Office::open().await;
    let id = office.desk.add(AlignUser::named("o'neill", "Mara", "O'Neill"));
    for number in 0..120 {
        office.desk.add(AlignUser::named(&format!("p{number}"), "P", &number.to_string()));
    }
    assert_eq!(office.find("O'NEILL").await.unwrap().unwrap().id.0, id.to_string());
    assert_eq!(office.find("nobody").await.unwrap(), None);
    assert_eq!(office.told(), ["GET /Users"; 2]);
    office.desk.jira.inject(Fault::status(400).on("GET /Users").containing("$filter"));
    assert_eq!(office.find("p7").await.unwrap().unwrap().username, "p7");
    assert_eq!(office.told(), ["GET /Users"; 3]);
}

#[tokio::test]
async fn two_users_with_one_key_are_told_unless_only_one_of_them_is_ours() {
    // ALIGN-15, ALIGN-31
    let rules = || AlignRules { duplicates: true, ..AlignRules::default() };
    let office = Office::with(rules(), |_| ()).await;
    let twins = [office.desk.add(ivo()), office.desk.add(AlignUser { role_id: CONNECTOR_ROLE, ..ivo() })];
    let told = reason(office.find("ivo").await.unwrap_err());
    assert!(twins.iter().all(|id| told.contains(&id.to_string())), "{told}");

    let office = Office::with(rules(), |settings| settings.ignore_roles = BTreeSet::from([CONNECTOR_ROLE])).await;
    let theirs = office.desk.add(AlignUser { role_id: CONNECTOR_ROLE, ..ivo() });
    assert!(office.find("ivo").await.unwrap().unwrap().hands_off.unwrap().contains("ignore_roles"));
    let ours = office.desk.add(ivo());
    assert_ne!(ours, theirs);
    let found = office.find("ivo").await.unwrap().unwrap();
    assert_eq!((found.id.0, found.hands_off), (ours.to_string(), None));
}

#[tokio::test]
async fn an_account_is_gone_only_when_the_list_does_not_have_it_either() {
    // ALIGN-2, ALIGN-30
    let office = Office::open().await;
    let get = async |id: &str| office.target.get_account(&office.calls(), &AccountId(id.to_owned())).await;
    assert_eq!(get("99").await.unwrap(), None);
    assert_eq!(office.told(), ["GET /Users/{id}", "GET /Users"]);
    assert!(matches!(office.switch(99, false).await, Err(TargetError::Gone { .. })));
    let id = office.desk.add(ivo());
    office.desk.jira.inject(Fault::status(404));
    assert!(matches!(get(&id.to_string()).await, Err(TargetError::Unreachable { maybe_done: false, .. })));
    assert!(matches!(office.find("ivo").await, Err(TargetError::Unreachable { .. })));
    office.desk.jira.clear_faults();
    office.desk.jira.inject(Fault::html(404));
    assert!(matches!(get(&id.to_string()).await, Err(TargetError::Unreachable { .. })));
}

#[tokio::test]
async fn a_listing_shows_everybody_once_a_hundred_at_a_time() {
    // ALIGN-7, ALIGN-8
    let office = Office::open().await;
    for number in 0..249 {
        office.desk.add(AlignUser::named(&format!("p{number}"), "P", &(number % 7).to_string()));
    }
    for honours in [true, false] {
        office.desk.jira.change(|world| world.rules.honours_order = honours);
        let (mut names, mut after) = (BTreeSet::new(), None);
        loop {
            let page = office.target.accounts(&office.calls(), after.as_deref()).await.unwrap();
            names.extend(page.items.into_iter().map(|seen| seen.username));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((names.len(), office.told().len()), (250, 3));
    }
    office.desk.jira.inject(Fault::status(400).on("GET /Users").containing("$orderby"));
    assert_eq!(office.target.accounts(&office.calls(), None).await.unwrap().items.len(), 100);
    assert_eq!(office.told().len(), 2);
}

#[tokio::test]
async fn a_change_whose_reading_back_failed_has_an_unknown_outcome() {
    // ALIGN-24
    let office = Office::open().await;
    let id = office.desk.add(ivo());
    for fault in [Fault::status(503), Fault::drop_before(), Fault::throttle(5), Fault::status(401)] {
        office.desk.jira.inject(fault.on("GET /Users/{id}").times(1));
        let error = office.switch(id, false).await.unwrap_err();
        assert!(matches!(error, TargetError::Unreachable { maybe_done: true, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_failing_site_is_unreachable_and_says_whether_it_may_have_worked() {
    // ALIGN-6, ALIGN-30
    let office = Office::open().await;
    let id = office.desk.add(ivo());
    for fault in [Fault::status(503), Fault::drop_answer(), Fault::html(200), Fault::hang(), Fault::redirect()] {
        office.desk.jira.inject(fault.on("PATCH").times(1));
        let error = office.switch(id, false).await.unwrap_err();
        assert!(matches!(error, TargetError::Unreachable { maybe_done: true, .. }), "{error:?}");
    }
    office.desk.jira.inject(Fault::throttle(7).on("PATCH").times(1));
    let seven = Some(Duration::from_secs(7));
    assert_eq!(office.switch(id, false).await.unwrap_err(), TargetError::Throttled { retry_after: seven });
    // A garbled answer to a PATCH is not needed: the look tells.
    office.desk.jira.inject(Fault::garbage().on("PATCH").times(1));
    assert!(matches!(office.switch(id, true).await, Err(TargetError::Unreachable { maybe_done: true, .. })));
}

#[tokio::test]
async fn there_are_no_groups_and_no_deletion() {
    // ALIGN-26, ALIGN-27
    let office = Office::open().await;
    assert!(!office.target.capabilities().groups);
    let calls = office.calls();
    assert_eq!(office.target.find_group(&calls, "crew").await, Ok(None));
    assert!(office.target.ensure_group(&calls, "crew").await.is_err());
    let id = AccountId("4201".to_owned());
    let error = office.target.delete_account(&calls, AccountRef { id: &id, username: "ivo" }).await.unwrap_err();
    assert!(reason(error).contains("cannot delete"));
    assert!(office.told().is_empty());
}

#[tokio::test]
async fn an_examination_tells_what_an_administrator_has_to_fill_in() {
    // ALIGN-14, ALIGN-15, ALIGN-17, ALIGN-19, ALIGN-28, ALIGN-31
    let rules = AlignRules { duplicates: true, ..AlignRules::default() };
    let office = Office::with(rules, |settings| settings.ignore_roles = BTreeSet::from([CONNECTOR_ROLE])).await;
    let nameless = office.desk.add(AlignUser { external_id: None, ..ivo() });
    office.desk.add(AlignUser { role_id: CONNECTOR_ROLE, external_id: None, division_id: None, ..ivo() });
    let empty = office.desk.add(AlignUser { company: Some(String::new()), ..AlignUser::named("eva", "Eva", "Koch") });
    let twins = [office.desk.add(ivo()), office.desk.add(ivo())];
    let examination = office.target.examine(&office.calls()).await.unwrap();
    let told = |part: &str| {
        let found = examination.findings.iter().find(|finding| finding.text.contains(part));
        found.unwrap_or_else(|| panic!("{part}: {:?}", examination.findings)).clone()
    };
    assert_eq!(told("no externalId").text, format!("1 user ({nameless}) have no externalId"));
    assert_eq!(told("no externalId").level, Level::Warning);
    assert!(told("share their externalId").text.contains(&format!("({}, {})", twins[0], twins[1])));
    assert!(told("refuse every change").text.contains(&empty.to_string()));
    assert!(told("refuse every change").text.contains("company"));
    assert!(told("ignore_roles").text.starts_with("1 user"));
    let fact = |name: &str| examination.facts.iter().find(|(known, _)| known == name).unwrap().1.clone();
    assert_eq!(fact("users"), "6 (6 active)");
    assert_eq!(
        (fact("cities"), fact("roles in use")),
        ("3".to_owned(), "1 (1 users), 95 (4 users), 99 (1 users)".to_owned())
    );
    assert_eq!(json!(examination.findings[0])["level"], "warning");
}
