//! What one can do now: commands to paste.

use super::Stage;
use super::screen::Screen;
use super::story::Cast;

/// Prints them. The tokens are fresh ones of this demo and open nothing else.
pub(super) fn print(screen: &Screen, stage: &Stage, cast: &Cast) {
    screen.chapter("Everything stays up. Go on by hand; what Jira is asked to do appears below. Ctrl-C ends it.");
    for (title, command) in commands(stage, cast) {
        screen.say(&format!("\n# {title}\n{command}"));
    }
    screen.say("");
}

fn commands(stage: &Stage, cast: &Cast) -> Vec<(String, String)> {
    let mut commands = Vec::new();
    let mut add = |title: String, command: String| commands.push((title, command));
    let url = &stage.url;
    let token = format!("-H 'Authorization: Bearer {}'", stage.token.expose());
    let json = "-H 'Content-Type: application/scim+json'";
    let patch = |path: String, operation: &str| {
        let body =
            format!(r#"{{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{operation}]}}"#);
        format!("curl -sS -i -X PATCH {token} {json} '{url}{path}' \\\n  -d '{body}'")
    };
    add(
        "Create somebody".to_owned(),
        format!(
            r#"curl -sS -i {token} {json} '{url}/Users' \
  -d '{{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"zoe.quist@corp.example","displayName":"Zoe Quist","emails":[{{"value":"zoe.quist@corp.example","primary":true}}]}}'"#
        ),
    );
    add(
        "Find her".to_owned(),
        format!(
            "curl -sS -i -G {token} '{url}/Users' --data-urlencode 'filter=userName eq \"zoe.quist@corp.example\"'"
        ),
    );
    if let Some(user) = cast.people.get(2) {
        let path = || format!("/Users/{}", user.id);
        let title = format!("Change the title and the name of {}", user.user_name);
        add(title, patch(path(), r#"{"op":"replace","value":{"displayName":"The Boss","title":"Boss"}}"#));
        add("What Jira knows of the same person".to_owned(), stage.jira.look_at(&user.user_name));
    }
    if let Some(user) = cast.people.get(3) {
        let operation = r#"{"op":"replace","value":{"active":false}}"#;
        add(format!("Deactivate {}", user.user_name), patch(format!("/Users/{}", user.id), operation));
    }
    if let (Some(group), Some(user)) = (cast.groups.get(1), cast.people.get(5)) {
        let operation = format!(r#"{{"op":"add","path":"members","value":[{{"value":"{}"}}]}}"#, user.id);
        let title = format!("Put {} into {}", user.user_name, group.name);
        add(title, patch(format!("/Groups/{}", group.id), &operation));
    }
    if let Some(user) = cast.people.get(6) {
        let command = format!("curl -sS -i -X DELETE {token} '{url}/Users/{}'", user.id);
        add(format!("Delete {}", user.user_name), command);
    }
    let program = std::env::current_exe().map_or_else(|_| "jira-scim".to_owned(), |path| path.display().to_string());
    add(
        "Let an Entra ID play against it (or another: see simulate --help)".to_owned(),
        format!(
            "JIRA_SCIM_SIMULATE_TOKEN='{}' \\\n  {program} simulate --profile entra --users 100 --url '{url}'",
            stage.token.expose()
        ),
    );
    if let Some(address) = stage.app.admin_address() {
        let title = "Look at all of it in a browser: the admin page, with this token to sign in".to_owned();
        add(title, format!("http://{address}/\n{}", stage.admin.expose()));
    }
    let base = stage.app.base_url();
    add("Health of the daemon".to_owned(), format!("curl -sS '{base}/healthz'"));
    add("Metrics".to_owned(), format!("curl -sS '{base}/metrics'"));
    commands
}
