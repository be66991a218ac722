//! The story of a directory that is read: a first read, one that finds nothing new, what changed, and somebody who is gone.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::screen::{Screen, Shown};
use super::slapd::{ADMIN, BASE, PASSWORD, Slapd};
use super::{DemoError, Failure, Stage, TENANT, agree};
use crate::app;
use crate::cli::sync::summary;
use crate::config::{
    Bind, FULL_EVERY, LdapConfig, Preset, Schedule, ServerConfig, SourceConfig, Vanished, VanishedGroups,
};
use crate::secret::Secret;
use crate::simulate::client::{self, Service};
use crate::simulate::people::Person;
use crate::simulate::profile::Profile;
use crate::simulate::wire::{Budget, Recorder, Wire};
use crate::store::StoreError;
use crate::store::run::{self, Kind};
use crate::store::tenant::Origin;
use crate::sync::counters::counters_of;
use crate::sync::run::{Asked, Configured};
use crate::sync::{Counters, Line, Sync};
use crate::telemetry::Metrics;

const PEOPLE: u64 = 12;
/// Groups, and who is in them.
const GROUPS: [(&str, std::ops::Range<u64>); 3] = [("developers", 0..6), ("support", 6..12), ("on-call", 2..8)];
/// How long what was read may take to arrive in Jira.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);
/// How often the directory is read while the demo stays.
const AGAIN: Duration = Duration::from_secs(5);

/// The directory at the beginning: its entries are from long ago.
pub(super) fn company() -> String {
    let mut ldif = String::new();
    let mut year = 2000;
    let mut entry = |text: String| {
        year += 1;
        let _ = writeln!(ldif, "{text}createTimestamp: {year}0101000000Z\nmodifyTimestamp: {year}0101000000Z\n");
    };
    entry(format!("dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Corp\ndc: corp\n"));
    for name in ["people", "contractors", "groups"] {
        entry(format!("dn: ou={name},{BASE}\nobjectClass: organizationalUnit\nou: {name}\n"));
    }
    for person in (0..PEOPLE).map(|number| Person::new(0, number)) {
        let Person { given, family, user_name, .. } = &person;
        let uid = uid(&person);
        entry(format!(
            "dn: {}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {given} {family}\nsn: {family}\ngivenName: {given}\nmail: {user_name}\n",
            dn(&uid)
        ));
    }
    for (name, members) in GROUPS {
        let members: String =
            members.map(|number| format!("member: {}\n", dn(&uid(&Person::new(0, number))))).collect();
        entry(format!("dn: {}\nobjectClass: groupOfNames\ncn: {name}\n{members}", group(name)));
    }
    ldif
}

fn uid(person: &Person) -> String {
    format!("{}.{}", person.given, person.family).to_lowercase()
}

fn dn(uid: &str) -> String {
    format!("uid={uid},ou=people,{BASE}")
}

fn group(name: &str) -> String {
    format!("cn={name},ou=groups,{BASE}")
}

fn source(url: &str) -> SourceConfig {
    let bind = Bind { dn: ADMIN.to_owned(), password: Secret::new(PASSWORD) };
    SourceConfig {
        name: "corp".to_owned(),
        tenant: TENANT.to_owned(),
        take_over: false,
        users: true,
        groups: true,
        scope_groups: Vec::new(),
        vanished: Vanished::Deactivate,
        vanished_groups: VanishedGroups::Delete,
        fall_percent: 10,
        fall_min: 5,
        schedule: Schedule::ByHand,
        at_start: false,
        full_every: FULL_EVERY,
        server: ServerConfig::Ldap(LdapConfig { bind: Some(bind), ..LdapConfig::new(Preset::OpenLdap, url, BASE) }),
    }
}

/// Who reads the directory, and shows what comes of it.
pub(super) struct Reader<'a> {
    stage: &'a Stage,
    screen: Arc<Screen>,
    shown: Shown,
    sync: Sync,
    configured: Configured,
    tenant_id: Uuid,
    wire: Wire,
    there_before: Vec<String>,
}

impl<'a> Reader<'a> {
    async fn new(stage: &'a Stage, slapd: &Slapd, screen: &Arc<Screen>) -> Result<Self, Failure> {
        let configured = app::source(&source(&slapd.url()))?;
        let (store, life) = (stage.app.store().clone(), stage.life.clone());
        let lease = Duration::from_secs(60);
        let writer = Some(stage.app.writer().clone());
        let sync = Sync::new(store, vec![configured.clone()], lease, life, Metrics::new()?, writer);
        let tenant_id = sync.claim(&configured).await?.id;
        let idp = Profile::Okta.idp();
        let headers = client::headers(&idp.headers(), &idp.authorization(stage.token.expose()))?;
        let service = Arc::new(Service::new(&stage.url, None)?);
        let wire = Wire::new(service, headers, Arc::new(Recorder::new(Budget::default())), idp.patience());
        Ok(Self {
            stage,
            screen: Arc::clone(screen),
            shown: Shown::new(Arc::clone(screen), &stage.jira),
            sync,
            configured,
            tenant_id,
            wire,
            there_before: stage.jira.groups(),
        })
    }

    /// Reads, waits until Jira agrees, and shows both.
    async fn read(&mut self, full: bool) -> Result<Counters, Failure> {
        let asked = Asked { full, ..Asked::default() };
        let origin = Origin { actor: "demo", request_id: Uuid::now_v7(), at: chrono::Utc::now() };
        let id = self.sync.ask(self.tenant_id, Kind::Sync, &asked, origin).await?;
        let id = id.ok_or_else(|| DemoError::NotRead("another run is open".to_owned()))?;
        let screen = Arc::clone(&self.screen);
        let mut line =
            |line: Line| screen.say(&format!("     {} {} {} {}", line.what, line.of, line.name, line.detail));
        self.sync.work(&self.configured, self.tenant_id, id, &mut line).await?;
        let mut conn = self.stage.app.store().pool().acquire().await.map_err(StoreError::from)?;
        let run = run::get(&mut conn, self.tenant_id, id).await?;
        drop(conn);
        let run = run.ok_or_else(|| DemoError::NotRead("the run is gone".to_owned()))?;
        if let Some(why) = run.error {
            return Err(DemoError::NotRead(why).into());
        }
        let counters = counters_of(&run);
        let agreed = agree::wait(&mut self.wire, &self.stage.jira, &self.there_before, SETTLED_WITHIN).await;
        self.shown.catch_up();
        let seen = agreed.map_err(|differences| DemoError::Disagree(differences.join("; ")))?;
        self.screen.say(&summary(&counters));
        if counters.wanted() > 0 {
            let agree::Seen { accounts, active, groups, memberships } = seen;
            let what = format!("{accounts} accounts ({active} active), {groups} groups, {memberships} memberships");
            self.screen.good(&format!("Jira agrees: {what}."));
        }
        Ok(counters)
    }

    /// Reads again and again.
    pub(super) async fn follow(mut self, end: &CancellationToken) -> Result<(), Failure> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = end.cancelled() => return Ok(()),
            }
            self.screen.chapter("Reading again");
            tokio::select! {
                read = self.read(true) => drop(read?),
                () = end.cancelled() => return Ok(()),
            }
        }
    }
}

/// Plays it.
pub(super) async fn play<'a>(stage: &'a Stage, slapd: &mut Slapd, screen: &Arc<Screen>) -> Result<Reader<'a>, Failure> {
    screen.say(&format!("LDAP  {}\nJira  {}", slapd.url(), stage.jira.base_url()));
    let mut reader = Reader::new(stage, slapd, screen).await?;
    screen.chapter(&format!(
        "An OpenLDAP server with {PEOPLE} people and {} groups is read for the first time",
        GROUPS.len()
    ));
    reader.read(false).await?;

    screen.chapter("It is read again: nothing has changed");
    let before = stage.jira.calls();
    reader.read(false).await?;
    match stage.jira.calls() - before {
        0 => screen.good("Jira was not called."),
        calls => return Err(DemoError::Disagree(format!("{calls} calls to Jira without a change")).into()),
    }

    change(slapd, screen).await?;
    screen.chapter("What changed is read, and nothing else");
    reader.read(false).await?;

    let leaver = Person::new(0, 9);
    screen.chapter(&format!(
        "{} leaves: the entry is deleted. Only a read of everything can see that",
        leaver.display_name()
    ));
    slapd.delete(&dn(&uid(&leaver))).await?;
    reader.read(true).await?;
    Ok(reader)
}

/// A wedding, a new contract, somebody new, and a lock.
async fn change(slapd: &mut Slapd, screen: &Screen) -> Result<(), Failure> {
    let [bride, mover, locked, new] = [0, 1, 4, PEOPLE].map(|number| Person::new(0, number));
    screen.chapter("Meanwhile in the directory");
    let name = format!("{}.moss-reyes", bride.given.to_lowercase());
    screen.say(&format!("     {} marries, and is {name} from now on", bride.display_name()));
    slapd.rename(&dn(&uid(&bride)), &format!("uid={name}"), None).await?;
    slapd.replace(&dn(&name), "mail", &format!("{name}@corp.example")).await?;
    slapd.replace(&dn(&name), "cn", &format!("{} Moss-Reyes", bride.given)).await?;
    slapd.members(&group("developers"), &[dn(&name)], &[dn(&uid(&bride))]).await?;

    screen.say(&format!(
        "     {} becomes a contractor: another branch of the tree, out of developers, into support",
        mover.display_name()
    ));
    let (old, there) = (dn(&uid(&mover)), format!("ou=contractors,{BASE}"));
    slapd.rename(&old, &format!("uid={}", uid(&mover)), Some(&there)).await?;
    slapd.members(&group("developers"), &[], &[old]).await?;
    slapd.members(&group("support"), &[format!("uid={},{there}", uid(&mover))], &[]).await?;

    screen.say(&format!("     {} joins, and is on call at once", new.display_name()));
    let named = format!("{} {}", new.given, new.family);
    let entry: [(&str, &[&str]); 6] = [
        ("objectClass", &["inetOrgPerson"]),
        ("uid", &[&uid(&new)]),
        ("cn", &[&named]),
        ("sn", &[&new.family]),
        ("givenName", &[&new.given]),
        ("mail", &[&new.user_name]),
    ];
    slapd.add(&dn(&uid(&new)), &entry).await?;
    slapd.members(&group("on-call"), &[dn(&uid(&new))], &[dn(&uid(&locked))]).await?;
    screen.say(&format!("     {} is not on call any more", locked.display_name()));
    Ok(())
}

/// What one can do now.
pub(super) fn farewell(slapd: &Slapd, screen: &Screen) {
    let url = slapd.url();
    let somebody = dn(&uid(&Person::new(0, 5)));
    screen.chapter("Everything stays up, and is read every few seconds. Ctrl-C ends it.");
    screen.say(&format!(
        "\n# Change somebody's name\nldapmodify -x -H {url} -D {ADMIN} -w {PASSWORD} <<'.'\ndn: {somebody}\nchangetype: modify\n\
         replace: cn\ncn: The Boss\n.\n\n# Delete somebody\nldapdelete -x -H {url} -D {ADMIN} -w {PASSWORD} {somebody}\n"
    ));
}
