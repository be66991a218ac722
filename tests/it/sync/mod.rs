//! Directories that are read on a schedule: a real OpenLDAP server, a real domain controller of Samba's, and our own SCIM door.

mod changes;
mod cli;
mod daemon;
mod guards;
mod safety;
mod samba;
mod samba_dc;
mod scim;
mod scim_odd;
pub(crate) mod scim_world;
mod size;
pub(crate) mod slapd;
mod stories;
mod tls;

use jira_scim::app;
use jira_scim::config::{Bind, LdapConfig, Preset, Schedule, ServerConfig, SourceConfig, Vanished, VanishedGroups};
use jira_scim::secret::Secret;
use jira_scim::store::run::{self, Kind, Run, State};
use jira_scim::sync::counters::counters_of;
use jira_scim::sync::run::{Asked, Configured};
use jira_scim::sync::{Counters, Line, Sync};
use jira_scim::telemetry::Metrics;
use serde_json::Value;

use self::slapd::{ADMIN, BASE, PASSWORD, Slapd};
use crate::world::{World, origin};

/// A company: a directory, a store, a Jira.
struct Org<S = Slapd> {
    world: World,
    slapd: S,
    config: SourceConfig,
}

impl Org {
    /// With these entries in its directory, besides the tree.
    async fn with(ldif: &str) -> Self {
        Self::of(World::new().await, Slapd::start(&format!("{}{ldif}", slapd::tree())))
    }

    fn of(world: World, slapd: Slapd) -> Self {
        let config = source("corp", &slapd.url());
        Self { world, slapd, config }
    }
}

impl<S> Org<S> {
    fn ldap(&mut self) -> &mut LdapConfig {
        match &mut self.config.server {
            ServerConfig::Ldap(ldap) => ldap,
            ServerConfig::Scim(_) => panic!("this is no LDAP server"),
        }
    }

    fn configured(&self) -> Configured {
        app::source(&self.config).unwrap()
    }

    /// As one daemon has it.
    fn sync(&self) -> Sync {
        let (store, life) = (self.world.store.clone(), self.world.life.clone());
        let lease = std::time::Duration::from_secs(60);
        Sync::new(store, vec![self.configured()], lease, life, Metrics::new().unwrap(), None)
    }

    async fn work(&self, kind: Kind, asked: &Asked) -> (Run, Vec<Line>) {
        let (sync, tenant) = (self.sync(), self.world.tenant.id);
        let id = sync.ask(tenant, kind, asked, origin()).await.unwrap().unwrap();
        let mut lines = Vec::new();
        sync.work(&self.configured(), tenant, id, &mut |line| lines.push(line)).await.unwrap().unwrap();
        let mut conn = self.world.pool().acquire().await.unwrap();
        let run = run::get(&mut conn, tenant, id).await.unwrap().unwrap();
        (run, lines)
    }

    /// A read of everything, brought in and written to Jira.
    async fn synced(&self) -> Counters {
        let (run, _) = self.work(Kind::Sync, &Asked::default()).await;
        assert_eq!((run.state, run.error.as_deref()), (State::Done, None), "{:?}", run.counters);
        self.world.writer.drain().await.unwrap();
        counters_of(&run)
    }

    /// Why a read of everything failed; then it changed nothing.
    async fn failed(&self) -> String {
        let before = self.holdings().await;
        let (run, _) = self.work(Kind::Sync, &Asked::default()).await;
        assert_eq!(run.state, State::Failed, "{run:?}");
        assert_eq!(self.holdings().await, before, "a run that fails before its first change changes nothing");
        run.error.unwrap()
    }

    async fn plan(&self) -> Vec<Line> {
        let (run, lines) = self.work(Kind::SyncPlan, &Asked::default()).await;
        assert_eq!(run.state, State::Done, "{:?}", run.error);
        lines
    }

    /// Everything that the store holds for the tenant's clients.
    async fn holdings(&self) -> Vec<Value> {
        let rows = "SELECT jsonb_build_object('id', id, 'attrs', attrs, 'version', version) FROM scim_user WHERE deleted_at IS NULL
            UNION ALL SELECT jsonb_build_object('id', g.id, 'attrs', g.attrs, 'members', ARRAY(
                SELECT m.member_id FROM group_member m WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id ORDER BY 1))
            FROM scim_group g WHERE g.deleted_at IS NULL ORDER BY 1";
        sqlx::query_scalar(rows).fetch_all(self.world.pool()).await.unwrap()
    }

    /// The people's attributes, by userName.
    async fn people(&self) -> Vec<Value> {
        let rows = "SELECT attrs || jsonb_build_object('id', id) FROM scim_user WHERE deleted_at IS NULL ORDER BY user_name_key";
        sqlx::query_scalar(rows).fetch_all(self.world.pool()).await.unwrap()
    }

    async fn person(&self, name: &str) -> Value {
        let people = self.people().await;
        people.into_iter().find(|person| person["userName"] == name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// Nothing that was staged is left.
    async fn staged(&self) -> i64 {
        let sql = "SELECT (SELECT count(*) FROM source_entry) + (SELECT count(*) FROM source_member)";
        sqlx::query_scalar(sql).fetch_one(self.world.pool()).await.unwrap()
    }
}

fn source(name: &str, url: &str) -> SourceConfig {
    let bind = Bind { dn: ADMIN.into(), password: Secret::new(PASSWORD) };
    SourceConfig {
        name: name.into(),
        tenant: "acme".into(),
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
        full_every: 1,
        server: ServerConfig::Ldap(LdapConfig {
            bind: Some(bind),
            page_size: 3,
            ..LdapConfig::new(Preset::OpenLdap, url, BASE)
        }),
    }
}
