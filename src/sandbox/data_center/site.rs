//! What Jira says about itself and about the caller.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Answer, Visit, users};
use crate::sandbox::exchange::Reply;
use crate::sandbox::state::{Power, Role, World};

pub(super) fn myself(visit: &mut Visit<'_>) -> Answer {
    let caller = visit.logged_in()?;
    Ok(Reply::json(200, &visit.bean(caller)))
}

/// DC-13.
pub(super) fn permissions(visit: &mut Visit<'_>) -> Answer {
    let power = visit.world.power(visit.logged_in()?);
    let global = [
        ("SYSTEM_ADMIN", "0", "Jira System Administrators", power >= Power::SystemAdministrator),
        ("ADMINISTER", "1", "Jira Administrators", power >= Power::Administrator),
        ("USER_PICKER", "27", "Browse Users", true),
    ];
    let permissions: serde_json::Map<String, Value> = global
        .into_iter()
        .map(|(key, id, name, have)| {
            let bean = json!({
                "id": id, "key": key, "name": name, "type": "GLOBAL", "description": name, "havePermission": have,
            });
            (key.to_owned(), bean)
        })
        .collect();
    Ok(Reply::json(200, &json!({"permissions": permissions})))
}

/// DC-12; answers everybody.
pub(super) fn server_info(visit: &mut Visit<'_>) -> Answer {
    let version = visit.world.rules.version.complete();
    let body = json!({
        "baseUrl": visit.site.base_url,
        "version": version.to_string(),
        "versionNumbers": version.numbers(),
        "deploymentType": "Server",
        "buildNumber": 10_030_024,
        "buildDate": "2025-01-01T00:00:00.000+0000",
        "serverTime": users::without_colon(visit.call.at),
        "serverTitle": "Sandbox",
    });
    Ok(Reply::json(200, &body))
}

pub(super) fn roles(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let body: Value = visit.world.rules.roles.iter().map(|role| bean(visit.world, role)).collect();
    let hash = Sha256::digest(body.to_string());
    let tag: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok(Reply::json(200, &body).with("ETag", format!("\"{tag}\"")))
}

pub(super) fn role(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let key = visit.segment();
    let role = visit.world.rules.roles.iter().find(|role| role.key == key);
    let role = role.ok_or_else(|| Reply::error(404, &format!("The application role '{key}' does not exist.")))?;
    Ok(Reply::json(200, &bean(visit.world, role)))
}

fn bean(world: &World, role: &Role) -> Value {
    let used = world.users_of(role);
    let remaining = role.seats.map_or(-1, |seats| i64::from(seats).saturating_sub(used as i64));
    json!({
        "key": role.key,
        "name": role.name,
        "groups": role.groups,
        "defaultGroups": role.groups,
        "selectedByDefault": role.selected_by_default,
        "defined": true,
        "numberOfSeats": role.seats.map_or(-1, i64::from),
        "remainingSeats": remaining,
        "userCount": used,
        "userCountDescription": format!("{used} users"),
        "hasUnlimitedSeats": role.seats.is_none(),
        "platform": role.key == "jira-core",
    })
}
