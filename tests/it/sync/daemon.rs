//! The program as a process, with a source that it reads by itself.

use jira_scim::sandbox::Sandbox;

use super::slapd::{self, ADMIN, BASE, PASSWORD, Slapd, dn, group, person};
use crate::process::daemon::{Daemon, Home, eventually};
use crate::process::settings::Settings;

#[tokio::test]
async fn a_daemon_reads_its_source_at_the_start_and_again_after_a_restart() {
    let slapd = Slapd::start(&(slapd::tree() + &person("ann") + &person("bob") + &group("crew", &[dn("ann")])));
    let jira = Sandbox::start(Default::default()).await.unwrap();
    let home = Home::new();
    home.configure(&format!(
        "{}\n[[source]]\nname = 'corp'\ntenant = 'acme'\npreset = 'openldap'\nurls = ['{}']\nbase_dn = '{BASE}'\n\
         bind_dn = '{ADMIN}'\nbind_password = '{PASSWORD}'\nevery = '1h'\nat_start = true\n\
         timeout = '2s'\n",
        Settings::new(&jira).text(),
        slapd.url(),
    ));
    let mut daemon = Daemon::start(&home).await;
    let is_active = |name: &'static str| jira.account(name).is_some_and(|account| account.active);
    eventually("everybody comes", async || (is_active("ann") && is_active("bob")).then_some(())).await;
    eventually("and the group", async || jira.groups_of("ann").contains(&"crew".to_owned()).then_some(())).await;
    daemon.terminate();
    assert!(daemon.ended().await.success());

    slapd.modify(&format!("dn: {}\nchangetype: delete\n\n", dn("bob")));
    slapd.modify(&person("cid").replacen('\n', "\nchangetype: add\n", 1));
    let mut daemon = Daemon::start(&home).await;
    eventually("cid comes", async || is_active("cid").then_some(())).await;
    daemon.terminate();
    assert!(daemon.ended().await.success());
    jira.stop().await.unwrap();
}
