//! `jira-scim tenant purge` and `jira-scim import --reset` as a person runs them, at a terminal and without one.

use std::fs::File;
use std::io::Write;
use std::process::Stdio;

use jira_scim::store::run::{self, Kind};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};

use crate::brake_cli::{ok, run, run_with};
use crate::world::{World, origin};

/// Runs a command at a terminal where somebody types this.
async fn typed(world: &World, line: &str, word: &str) -> (i32, String, String) {
    let mut person = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    person.write_all(format!("{word}\n").as_bytes()).unwrap();
    run_with(world, line, Stdio::from(terminal)).await
}

async fn people(world: &World) -> i64 {
    world.number("SELECT count(*) FROM scim_user WHERE deleted_at IS NULL").await
}

async fn somebody() -> World {
    let world = World::new().await;
    world.user("ann").await;
    world.writer.drain().await.unwrap();
    world
}

#[tokio::test]
async fn a_purge_and_a_reset_are_done_when_the_tenants_name_is_typed_and_not_otherwise() {
    for line in ["tenant purge acme --background", "import acme --reset"] {
        let world = somebody().await;
        let (code, out, err) = run(&world, line).await;
        assert_eq!((code, out.as_str()), (1, ""), "{line}: {err}");
        assert!(err.contains("Repeat with --yes: there is nobody here to ask."), "{line}: {err}");
        let (code, out, err) = typed(&world, line, "acm").await;
        assert_eq!((code, out.as_str()), (1, ""), "{line}: {err}");
        assert!(err.contains("Type the name of the tenant") && err.contains("nothing was done"), "{line}: {err}");
        assert_eq!((people(&world).await, world.number("SELECT count(*) FROM run").await), (1, 0), "{line}");
        let (code, out, err) = typed(&world, line, "acme").await;
        assert_eq!(code, 0, "{line}: {out}\n{err}");
        assert_eq!(people(&world).await, 0, "{line}");
        assert!(world.jira.account("ann").unwrap().active, "{line}: nothing is written by the command itself");
        world.writer.drain().await.unwrap();
        assert_eq!(world.jira.account("ann").unwrap().active, line.contains("reset"), "{line}");
    }
}

#[tokio::test]
async fn a_purge_shows_names_first_and_all_of_them_in_json() {
    let world = somebody().await;
    for number in 0..25 {
        world.user(&format!("p{number:02}")).await;
    }
    world.writer.drain().await.unwrap();
    let shown = ok(&world, "tenant purge acme --plan").await;
    assert!(shown.contains("26 accounts that were made from here are deactivated\n    ann\n    p00\n"), "{shown}");
    assert!(shown.contains("and 6 more (all with --json)") && !shown.contains("p19"), "{shown}");
    let json: Value = serde_json::from_str(&ok(&world, "tenant purge acme --plan --json").await).unwrap();
    assert_eq!((&json["tenant"], &json["plan"]["made"]), (&json!("acme"), &json!(26)));
    assert_eq!((json["names"]["made"].as_array().unwrap().len(), &json["names"]["groups"]), (26, &json!([])));
    assert_eq!(people(&world).await, 26, "nothing was done");
    let done: Value = serde_json::from_str(&ok(&world, "tenant purge acme --yes --background --json").await).unwrap();
    assert_eq!((&done["plan"]["made"], &done["removed"]["users"]), (&json!(26), &json!(26)), "{done}");
    assert_eq!(done["left"]["waiting"], 1, "the tenant itself: {done}");
}

#[tokio::test]
async fn how_far_they_are_is_said_and_what_is_under_way_can_be_stopped() {
    for (command, kind, name) in
        [("tenant purge acme", Kind::Purge, "purge"), ("import acme --reset", Kind::Reset, "reset")]
    {
        let world = somebody().await;
        let (status, stop) = (format!("{command} --status"), format!("{command} --stop"));
        assert!(run(&world, &status).await.2.contains(&format!("there was no {name} of tenant acme yet")));
        assert!(run(&world, &stop).await.2.contains(&format!("no {name} of tenant acme is under way")));
        let mut conn = world.pool().acquire().await.unwrap();
        run::request(&mut conn, world.tenant.id, kind, &json!({}), origin()).await.unwrap().unwrap();
        assert!(ok(&world, &status).await.starts_with("queued: "));
        assert!(ok(&world, &stop).await.starts_with("stopped: "));
        assert_eq!((people(&world).await, world.writer.run_due().await.unwrap()), (1, 0), "{name}");
    }
}
