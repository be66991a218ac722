//! Active Directory: what a domain controller of Samba's says differently from other LDAP servers.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};

use jira_scim::config::{Bind, ChangedBy, LdapConfig, Preset, Referrals, ServerConfig};
use jira_scim::secret::Secret;
use jira_scim::store::run::Kind;
use jira_scim::sync::counters::Tally;
use jira_scim::sync::run::Asked;
use jira_scim::sync::source::{Piece, Step, WantedGroups};
use serde_json::json;
use uuid::Uuid;

use super::samba_dc::{ADMIN, BASE, CROWD, Dc, PASSWORD, dn, group, group_dn, person};
use super::{Org, source};
use crate::world::World;

/// A company whose directory is Active Directory.
struct Corp {
    dc: Dc,
    org: Org<()>,
}

impl Deref for Corp {
    type Target = Org<()>;

    fn deref(&self) -> &Org<()> {
        &self.org
    }
}

impl DerefMut for Corp {
    fn deref_mut(&mut self) -> &mut Org<()> {
        &mut self.org
    }
}

impl Corp {
    /// With these entries in its directory, besides the tree; `None` where there can be no domain controller.
    async fn with(ldif: &str) -> Option<Self> {
        let dc = Dc::start(ldif)?;
        let mut config = source("corp", "");
        config.server = ServerConfig::Ldap(LdapConfig {
            bind: Some(Bind { dn: ADMIN.into(), password: Secret::new(PASSWORD) }),
            ca_file: Some(dc.ca()),
            user_base_dn: Some(format!("OU=People,{BASE}")),
            group_base_dn: Some(format!("OU=Groups,{BASE}")),
            page_size: 3,
            ..LdapConfig::new(Preset::ActiveDirectory, &dc.ldaps(), BASE)
        });
        Some(Self { dc, org: Org { world: World::new().await, slapd: (), config } })
    }

    /// Everybody's name, in order.
    async fn names(&self) -> Vec<String> {
        self.people().await.iter().map(|person| person["userName"].as_str().unwrap().to_owned()).collect()
    }

    fn active(&self, name: &str) -> bool {
        self.world.jira.account(name).is_some_and(|account| account.active)
    }
}

fn team() -> String {
    let mut ldif: String = ["ann", "bob", "cid", "dora", "eve"].iter().map(|name| person(name)).collect();
    ldif += &group("crew", &[dn("ann"), dn("bob")]);
    ldif += &group("fleet", &[group_dn("crew"), dn("cid")]);
    ldif
}

/// Some attributes of an entry, replaced.
fn replaced(dn: &str, attribute: &str, value: &str) -> String {
    format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n\n")
}

fn deleted(dn: &str) -> String {
    format!("dn: {dn}\nchangetype: delete\n\n")
}

#[tokio::test]
async fn a_first_read_brings_everybody_and_a_second_changes_nothing_and_calls_nobody() {
    let Some(corp) = Corp::with(&team()).await else { return };
    let counters = corp.synced().await;
    assert_eq!(counters.people, Tally { read: 5, create: 5, ..Tally::default() });
    assert_eq!(counters.groups, Tally { read: 2, create: 2, ..Tally::default() });
    let ann = corp.person("ann").await;
    assert_eq!(ann["emails"], json!([{ "value": "ann@corp.example", "type": "work", "primary": true }]));
    assert_eq!((&ann["displayName"], &ann["name"]["familyName"]), (&json!("ann Test"), &json!("Test")));
    assert_eq!(corp.world.groups_of("ann"), ["crew", "fleet"], "through the group in it, too");
    assert_eq!(corp.world.groups_of("cid"), ["fleet"]);

    let calls = corp.world.calls();
    let counters = corp.synced().await;
    assert_eq!(counters.people, Tally { read: 5, same: 5, ..Tally::default() });
    assert_eq!((counters.wanted(), counters.done, corp.world.calls()), (0, 0, calls));
}

#[tokio::test]
async fn the_guid_stays_when_somebody_is_renamed_and_moves_to_another_unit() {
    let Some(mut corp) = Corp::with(&team()).await else { return };
    corp.ldap().user_base_dn = None;
    corp.ldap().user_filter = Some("(&(objectCategory=person)(objectClass=user)(mail=*))".into());
    corp.synced().await;
    let ann = corp.person("ann").await;
    let guid: Uuid = ann["externalId"].as_str().unwrap().parse().unwrap();
    // `(objectGUID=\xx…)` finds an entry by the bytes as Windows has them.
    let bytes: String = guid.to_bytes_le().iter().map(|byte| format!("\\{byte:02x}")).collect();
    assert!(corp.dc.found(&format!("(objectGUID={bytes})")).contains(&dn("ann")));

    let elsewhere = format!("OU=Elsewhere,{BASE}");
    let moved = format!("CN=Ann Moss,{elsewhere}");
    corp.dc.modify(&format!(
        "dn: {}\nchangetype: modrdn\nnewrdn: CN=Ann Moss\ndeleteoldrdn: 1\nnewsuperior: {elsewhere}\n\n{}{}",
        dn("ann"),
        replaced(&moved, "sAMAccountName", "ann.moss"),
        replaced(&moved, "mail", "ann.moss@corp.example"),
    ));
    let counters = corp.synced().await;
    assert_eq!((counters.people.change, counters.people.create, counters.people.vanish), (1, 0, 0));
    assert_eq!((counters.joins, counters.leaves), (0, 0), "the directory itself renamed the member of the groups");
    assert_eq!(corp.person("ann.moss").await["id"], ann["id"]);
    assert_eq!(corp.world.groups_of("ann.moss"), ["crew", "fleet"]);
}

#[tokio::test]
async fn who_is_switched_off_or_deleted_is_locked() {
    let Some(corp) = Corp::with(&team()).await else { return };
    corp.synced().await;
    corp.dc.modify(&(replaced(&dn("ann"), "userAccountControl", "514") + &deleted(&dn("bob"))));
    let counters = corp.synced().await;
    assert_eq!((counters.people.change, counters.people.vanish), (1, 1));
    assert_eq!(["ann", "bob", "cid"].map(|name| corp.active(name)), [false, false, true]);
    // Other bits say other things: a password that does not expire.
    corp.dc.modify(&replaced(&dn("ann"), "userAccountControl", "66048"));
    corp.synced().await;
    assert!(corp.active("ann"));
    assert_eq!(corp.synced().await.wanted(), 0, "a tombstone is nobody");
}

#[tokio::test]
async fn a_group_decides_who_comes_by_walking_or_by_the_rule_for_chains() {
    let Some(mut corp) = Corp::with(&team()).await else { return };
    corp.config.scope_groups = vec![group_dn("fleet")];
    corp.synced().await;
    assert_eq!(corp.names().await, ["ann", "bob", "cid"]);

    corp.config.scope_groups.clear();
    let chain = format!("(memberOf:1.2.840.113556.1.4.1941:={})", group_dn("fleet"));
    corp.ldap().user_filter = Some(format!("(&(objectCategory=person)(objectClass=user){chain})"));
    assert_eq!(corp.plan().await, [], "both are the same people");
    let direct = format!("(memberOf={})", group_dn("fleet"));
    corp.ldap().user_filter = Some(format!("(&(objectCategory=person)(objectClass=user){direct})"));
    assert_eq!(corp.synced().await.people.vanish, 2, "without the rule only those who are in it themselves");
    assert_eq!(["ann", "bob", "cid"].map(|name| corp.active(name)), [false, false, true]);
}

#[tokio::test]
async fn a_crowd_and_its_group_are_read_page_by_page_and_part_by_part() {
    let Some(mut corp) = Corp::with("").await else { return };
    let crowd = Some(format!("OU=Crowd,{BASE}"));
    (corp.ldap().user_base_dn, corp.ldap().group_base_dn) = (crowd.clone(), crowd);
    corp.ldap().page_size = 1000;
    let everybody = CROWD as u64;
    let joins = async |corp: &Corp| {
        let (run, lines) = corp.work(Kind::SyncPlan, &Asked::default()).await;
        assert_eq!(run.error, None);
        let counters = jira_scim::sync::counters::counters_of(&run);
        assert_eq!((counters.people.create, counters.groups.create), (everybody, 1));
        lines.into_iter().find(|line| line.name == "everybody" && line.what == "members").unwrap().detail
    };
    let all = format!("{CROWD} join, 0 leave");
    assert_eq!(joins(&corp).await, all, "Samba sends all members of a group, however many");
    // As Active Directory does by itself, in parts of 1500.
    for part in ["member;range=0-499", "Member;range=0-1599"] {
        corp.ldap().member = Some(part.into());
        assert_eq!(joins(&corp).await, all, "{part}");
    }
}

#[tokio::test]
async fn of_a_group_that_changes_between_two_parts_nobody_is_passed_over() {
    let Some(mut corp) = Corp::with("").await else { return };
    corp.ldap().group_base_dn = Some(format!("OU=Crowd,{BASE}"));
    corp.ldap().member = Some("member;range=0-499".into());
    let mut reading = corp.configured().source.groups(&WantedGroups::All).await.unwrap();
    let (mut all, mut parts) = (BTreeSet::new(), 0);
    while let Step::Page(pieces) = reading.next().await.unwrap() {
        for piece in pieces {
            if let Piece::Members { members, .. } = piece {
                if parts == 1 {
                    // Everybody behind who leaves moves up by one.
                    let everybody = format!("CN=everybody,OU=Crowd,{BASE}");
                    let first: &String = all.first().unwrap();
                    let leaves = format!("dn: {everybody}\nchangetype: modify\ndelete: member\nmember: {first}\n\n");
                    corp.dc.modify(&leaves);
                }
                all.extend(members);
                parts += 1;
            }
        }
    }
    assert_eq!((all.len(), parts), (CROWD, 2 + 4), "two parts of before, and then all of after");
}

#[tokio::test]
async fn a_search_from_the_root_is_referred_to_other_partitions_which_is_no_part_that_is_missing() {
    let Some(mut corp) = Corp::with(&team()).await else { return };
    (corp.ldap().user_base_dn, corp.ldap().group_base_dn) = (None, None);
    corp.ldap().user_filter = Some("(&(objectCategory=person)(objectClass=user)(mail=*))".into());
    corp.ldap().referrals = Some(Referrals::Refuse);
    let why = corp.failed().await;
    assert!(why.contains("not complete") && why.contains("referral"), "{why}");
    corp.ldap().referrals = None;
    let counters = corp.synced().await;
    assert_eq!(counters.people.create, 5);
    assert!(counters.groups.create > 30, "the groups that every domain has, and our own");
    assert_eq!(corp.synced().await.wanted(), 0);
}

#[tokio::test]
async fn computers_and_contacts_are_nobody() {
    let laptop = "objectClass: computer\nsAMAccountName: laptop$\nuserAccountControl: 4096";
    let friend = "objectClass: contact\nmail: friend@abroad.example";
    let more = format!("dn: {}\n{laptop}\n\ndn: {}\n{friend}\n\n", dn("laptop"), dn("friend"));
    let others = group("others", &[dn("laptop"), dn("friend"), dn("ann")]);
    let Some(corp) = Corp::with(&(team() + &more + &others)).await else { return };
    let counters = corp.synced().await;
    assert_eq!((counters.people.read, counters.people.skip), (5, 0), "{:?}", counters.messages);
    assert_eq!(corp.names().await, ["ann", "bob", "cid", "dora", "eve"]);
    assert_eq!(corp.world.groups_of("ann"), ["crew", "fleet", "others"]);
}

#[tokio::test]
async fn values_of_any_kind_are_text_or_nothing() {
    let Some(mut corp) = Corp::with(&team()).await else { return };
    corp.dc.modify(&(replaced(&dn("ann"), "thumbnailPhoto", "\u{0}").replace("Photo: \u{0}", "Photo:: /9j/4AAQ")));
    let pairs = [
        ("title", "whenChanged"),
        ("nickName", "uSNChanged"),
        ("profileUrl", "thumbnailPhoto|objectSid"),
        ("userType", "accountExpires"),
        ("enterprise.costCenter", "objectSid|objectCategory"),
        ("enterprise.manager.value", "manager"),
    ];
    corp.ldap().attributes = pairs.map(|(path, name)| (path.to_owned(), name.to_owned())).into();
    corp.dc.modify(&replaced(&dn("ann"), "manager", &dn("bob")));
    assert_eq!(corp.synced().await.messages, Vec::<String>::new());
    let ann = corp.person("ann").await;
    let enterprise = &ann["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"];
    assert!(ann["title"].as_str().unwrap().ends_with(".0Z"), "a generalized time: {ann}");
    assert_eq!(ann["nickName"], corp.dc.value(&dn("ann"), "uSNChanged"));
    assert_eq!((ann.get("profileUrl"), &ann["userType"]), (None, &json!("9223372036854775807")));
    assert_eq!(enterprise["costCenter"], format!("CN=Person,CN=Schema,CN=Configuration,{BASE}"));
    assert_eq!(enterprise["manager"], json!({ "value": dn("bob") }));
}

#[tokio::test]
async fn an_ordinary_account_reads_and_is_named_as_windows_does() {
    // The password "Readers-secret-1", as Active Directory takes it.
    let reader = format!(
        "dn: CN=Reader,OU=Elsewhere,{BASE}\nobjectClass: user\nsAMAccountName: reader\nuserAccountControl: 66048\n\
         userPrincipalName: jira-reader@corp.example\n\
         unicodePwd:: IgBSAGUAYQBkAGUAcgBzAC0AcwBlAGMAcgBlAHQALQAxACIA\n\n"
    );
    let Some(mut corp) = Corp::with(&(team() + &reader)).await else { return };
    corp.synced().await;
    for name in ["jira-reader@corp.example", "CORP\\reader", &format!("cn=Reader,ou=Elsewhere,{BASE}")] {
        corp.ldap().bind = Some(Bind { dn: name.into(), password: Secret::new("Readers-secret-1") });
        assert_eq!(corp.plan().await, [], "{name} sees what the administrator does");
    }
    for name in ["jira-reader@corp.example", "nobody@corp.example"] {
        corp.ldap().bind = Some(Bind { dn: name.into(), password: Secret::new("Readers-secret-2") });
        let why = corp.failed().await;
        assert!(why.contains(&format!("does not let {name} in: the DN or the password is wrong")), "{why}");
    }
    corp.dc.modify(&replaced(&format!("CN=Reader,OU=Elsewhere,{BASE}"), "userAccountControl", "66050"));
    corp.ldap().bind.as_mut().unwrap().dn = "jira-reader@corp.example".into();
    corp.ldap().bind.as_mut().unwrap().password = Secret::new("Readers-secret-1");
    let why = corp.failed().await;
    assert!(why.contains("does not let jira-reader@corp.example in: the account is switched off"), "{why}");
    corp.ldap().bind = None;
    let why = corp.failed().await;
    assert!(why.contains("lets nobody read without a bind (bind_dn)"), "{why}");
}

#[tokio::test]
async fn a_password_is_taken_under_tls_alone_whichever_way_it_begins() {
    let Some(mut corp) = Corp::with(&team()).await else { return };
    corp.ldap().urls = vec![corp.dc.ldap()];
    assert_eq!(corp.synced().await.people.create, 5, "by StartTLS");
    corp.ldap().urls = vec![corp.dc.ldaps()];
    assert_eq!(corp.synced().await.wanted(), 0);
    corp.ldap().urls = vec![corp.dc.ldap()];
    corp.ldap().start_tls = false;
    let why = corp.failed().await;
    assert!(why.contains("takes no password without TLS") && why.contains("strongerAuthRequired (8)"), "{why}");
}

/// How a group is called in `primaryGroupID` of the people whose primary group it is.
fn primary(corp: &Corp, group: &str, person: &str) -> String {
    replaced(&dn(person), "primaryGroupID", &corp.dc.value(&group_dn(group), "primaryGroupToken"))
}

#[tokio::test]
async fn whose_primary_group_it_is_is_a_member_although_the_group_does_not_say_so() {
    let Some(mut corp) = Corp::with(&team()).await else { return };
    corp.ldap().group_base_dn = None;
    corp.ldap().group_filter = Some("(|(cn=Domain Users)(cn=crew)(cn=fleet))".into());
    corp.synced().await;
    assert_eq!(corp.world.groups_of("ann"), ["Domain Users", "crew", "fleet"]);
    assert_eq!(corp.world.groups_of("eve"), ["Domain Users"]);

    // Active Directory takes ann out of the members of the crew, and puts her among those of the other.
    corp.dc.modify(&primary(&corp, "crew", "ann"));
    let counters = corp.synced().await;
    assert_eq!((counters.joins, counters.leaves, counters.people.change), (0, 0, 0));
    let (run, lines) = corp.work(Kind::SyncPlan, &Asked { user: Some("ann".into()), full: false }).await;
    assert_eq!((run.error, lines), (None, vec![]), "asked for by name she is in the same groups");

    let counted = corp.config.clone();
    corp.ldap().primary_groups = Some(false);
    let lines = corp.plan().await;
    let of = |name: &str| lines.iter().find(|line| line.name == name).map(|line| line.detail.as_str());
    assert_eq!((of("crew"), of("Domain Users")), (Some("0 join, 1 leave"), Some("0 join, 4 leave")), "{lines:?}");
    corp.config = counted;
    corp.config.scope_groups = vec![format!("CN=Domain Users,CN=Users,{BASE}")];
    assert_eq!(corp.synced().await.wanted(), 0, "everybody of the domain is in scope");
    let (run, lines) = corp.work(Kind::SyncPlan, &Asked { user: Some("eve".into()), full: false }).await;
    assert_eq!((run.error, lines), (None, vec![]), "and one person of it is");
}

#[tokio::test]
async fn what_changed_is_told_by_the_count_of_the_controller() {
    let Some(mut corp) = Corp::with(&team()).await else { return };
    corp.config.full_every = 24;
    corp.ldap().group_base_dn = None;
    corp.ldap().group_filter = Some("(|(cn=Domain Users)(cn=crew)(cn=fleet))".into());
    assert_eq!(corp.synced().await.extent, "full");
    let counters = corp.synced().await;
    assert_eq!((counters.extent.as_str(), counters.wanted()), ("changes", 0), "{:?}", counters.because);

    let joins = format!("dn: {}\nchangetype: modify\nadd: member\nmember: {}\n\n", group_dn("crew"), dn("dora"));
    corp.dc.modify(
        &(replaced(&dn("ann"), "title", "Captain") + &joins + &replaced(&dn("eve"), "userAccountControl", "514")),
    );
    let counters = corp.synced().await;
    assert_eq!((counters.extent.as_str(), counters.people.change, counters.joins), ("changes", 2, 1));
    assert_eq!(corp.world.groups_of("dora"), ["Domain Users", "crew", "fleet"]);
    assert!(!corp.active("eve") && corp.person("ann").await["title"] == "Captain");

    // A group does not change when it becomes somebody's primary one.
    corp.dc.modify(&person("finn"));
    let counters = corp.synced().await;
    assert_eq!((counters.people.create, corp.world.groups_of("finn")), (1, vec!["Domain Users".to_owned()]));
    // Nor do people when the unit that they are in is renamed.
    let renamed = format!("dn: OU=People,{BASE}\nchangetype: modrdn\nnewrdn: OU=Folk\ndeleteoldrdn: 1\n\n");
    let folk = |name: &str| dn(name).replace("OU=People", "OU=Folk");
    corp.ldap().user_base_dn = None;
    corp.ldap().user_filter = Some("(&(objectCategory=person)(objectClass=user)(mail=*))".into());
    assert_eq!(corp.synced().await.wanted(), 0);
    corp.dc.modify(&(renamed + &joins.replace(&dn("dora"), &folk("eve"))));
    let counters = corp.synced().await;
    assert_eq!((counters.joins, counters.leaves, counters.people.vanish), (1, 0, 0), "{:?}", counters.because);
    corp.dc.modify(&deleted(&folk("bob")));
    corp.synced().await;
    assert!(corp.active("bob"), "who is gone is not among the changes");
    corp.config.full_every = 1;
    corp.synced().await;
    assert!(!corp.active("bob"));
}

#[tokio::test]
async fn few_are_read_of_many_when_few_changed() {
    let Some(mut corp) = Corp::with("").await else { return };
    corp.ldap().user_base_dn = Some(format!("OU=Crowd,{BASE}"));
    corp.config.full_every = 24;
    // The oldest of the crowd: so much came after them that they are not asked for once more to be on the safe side.
    corp.ldap().user_filter = Some("(&(objectClass=user)(cn=C00*))".into());
    corp.ldap().page_size = 1000;
    corp.config.groups = false;
    assert_eq!(corp.synced().await.people.create, 100);
    corp.dc.modify(&replaced(&format!("CN=C0000,OU=Crowd,{BASE}"), "title", "First"));
    let counters = corp.synced().await;
    assert_eq!((counters.extent.as_str(), counters.people.change), ("changes", 1), "{:?}", counters.because);
    assert_eq!(counters.people.read, 1);
    corp.ldap().changed_by = Some(ChangedBy::WhenChanged);
    assert_eq!(corp.synced().await.extent, "full", "another way to tell is another configuration");
    corp.dc.modify(&replaced(&format!("CN=C0001,OU=Crowd,{BASE}"), "title", "Second"));
    let counters = corp.synced().await;
    assert_eq!((counters.extent.as_str(), counters.people.change), ("changes", 1), "{:?}", counters.because);
}

#[tokio::test]
async fn of_a_controller_that_was_set_back_everything_is_read() {
    let Some(mut corp) = Corp::with(&team()).await else { return };
    let backup = corp.dc.backup();
    corp.dc.modify(&person("finn"));
    corp.ldap().urls = vec![corp.dc.ldaps(), backup.ldaps()];
    corp.config.full_every = 24;
    corp.synced().await;
    let server = "SELECT marks -> 'people' ->> 'server' FROM source";
    let server: String = sqlx::query_scalar(server).fetch_one(corp.world.pool()).await.unwrap();
    let (name, invocation) = server.rsplit_once(' ').unwrap();
    assert!(name.starts_with("CN=NTDS Settings,CN=DC1,") && invocation.len() == 32, "{server}");
    assert_eq!(corp.synced().await.extent, "changes");
    corp.dc.kill();
    let counters = corp.synced().await;
    assert_eq!((counters.extent.as_str(), counters.people.vanish), ("full", 1));
    assert!(counters.because.unwrap().contains("count of changes went back"));
}
