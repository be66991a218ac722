//! What keeps a leaver in: projects and components that he leads (DC-31). Looked for only after Jira's refusal, so that the
//! quiet case stays one call; named in ours, or handed over where the policy says to whom (DC-48, DC-49).

use std::collections::BTreeSet;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::super::client::Request;
use super::super::reply::{Rejection, Words};
use super::super::{AccountRef, Calls, TargetError};
use super::activity::activity;
use super::user::{named, same_name};
use super::{DataCenter, get};
use crate::account::{Field, SeenAccount};

const PROJECTS: &str = "/rest/api/2/project";
const PROJECT: &str = "/rest/api/2/project/{projectIdOrKey}";
const COMPONENTS: &str = "/rest/api/2/project/{projectIdOrKey}/components";
const COMPONENT: &str = "/rest/api/2/component/{id}";

/// How many projects are asked for their components where Jira's words name none of them.
const PROJECTS_ASKED: usize = 300;

impl DataCenter {
    /// A deactivation was refused with `errors.active`: says what the person leads, or hands it over and tries again. First
    /// in the projects that Jira's words name, and if that does not help, in all of them.
    pub(super) async fn hindered(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        heir: Option<&str>,
        mut words: Words,
    ) -> Result<SeenAccount, TargetError> {
        if heir.is_some_and(|heir| same_name(heir, account.username)) {
            return Err(refused(format!("{} (hand_over_to names this very person)", words.reason)));
        }
        for everywhere in [false, true] {
            let led = match self.led_by(calls, account, &words.reason, everywhere).await {
                Ok(led) => led,
                // Who may not look has Jira's words all the same.
                Err(Rejection::Failed(error)) => return Err(error),
                Err(_) => break,
            };
            if led.is_empty() {
                continue;
            }
            let Some(heir) = heir else { return Err(refused(led.told(&words.reason))) };
            self.hand_over(calls, &led, heir).await?;
            match self.put(calls, "user.set_active", account.id, activity(account.username, false)).await {
                Ok(reply) => return self.believe(calls, account.id, false, reply).await,
                Err(Rejection::BadRequest(still)) => words = still,
                Err(rejection) => return Err(self.settle(calls, rejection, || named(account.id)).await),
            }
        }
        Err(refused(format!(
            "{} (nothing else that the person leads was found; at most {PROJECTS_ASKED} projects are asked for their components)",
            words.reason
        )))
    }

    async fn led_by(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        words: &str,
        everywhere: bool,
    ) -> Result<Led, Rejection> {
        let request = get("project.list", PROJECTS).with("expand", "lead").with("includeArchived", "true");
        let projects: Vec<Project> = self.call(calls, request).await?.parse()?;
        let mentioned = keys_in(words);
        let mut led = Led::default();
        for project in projects
            .iter()
            .filter(|project| everywhere || mentioned.contains(project.key.as_str()))
            .take(PROJECTS_ASKED)
        {
            let request = get("project.components", COMPONENTS).segment("projectIdOrKey", &project.key);
            let parts: Vec<Component> = match self.call(calls, request).await {
                Ok(reply) => reply.parse()?,
                Err(Rejection::Failed(error)) => return Err(Rejection::Failed(error)),
                // A project that nobody shows us has nothing that we could hand over.
                Err(_) => Vec::new(),
            };
            let own = parts.into_iter().filter(|part| is(part.lead.as_ref(), account));
            led.components.extend(own.map(|part| (project.clone(), part)));
        }
        led.projects = projects.into_iter().filter(|project| is(project.lead.as_ref(), account)).collect();
        Ok(led)
    }

    async fn hand_over(&self, calls: &Calls<'_>, led: &Led, heir: &str) -> Result<(), TargetError> {
        for project in &led.projects {
            let request = Request::new("project.lead", Method::PUT, PROJECT).segment("projectIdOrKey", &project.key);
            self.pass(calls, request.json(json!({"lead": heir})), &project.told(), heir).await?;
        }
        for (project, component) in &led.components {
            let request = Request::new("component.lead", Method::PUT, COMPONENT).segment("id", &component.id);
            let what = component.told(project);
            self.pass(calls, request.json(json!({"leadUserName": heir})), &what, heir).await?;
        }
        Ok(())
    }

    async fn pass(&self, calls: &Calls<'_>, request: Request<'_>, what: &str, heir: &str) -> Result<(), TargetError> {
        match self.call(calls, request).await {
            Ok(_) => {
                calls.note(format!("{what} was handed over to {heir}"));
                Ok(())
            }
            Err(Rejection::BadRequest(words) | Rejection::NotFound(words) | Rejection::Conflict(words)) => {
                Err(refused(format!("{what} cannot be handed over to {heir}: {}", words.reason)))
            }
            Err(rejection) => Err(self.settle(calls, rejection, || what.to_owned()).await),
        }
    }
}

fn refused(reason: String) -> TargetError {
    TargetError::Refused { reason, field: Some(Field::Active) }
}

/// What looks like a project's key in Jira's words, in whatever language they are.
fn keys_in(words: &str) -> BTreeSet<&str> {
    let parts = words.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
    parts.filter(|part| !part.is_empty()).collect()
}

fn is(lead: Option<&Lead>, account: AccountRef<'_>) -> bool {
    lead.is_some_and(|lead| match &lead.key {
        Some(key) => *key == account.id.0,
        None => lead.name.as_deref().is_some_and(|name| same_name(name, account.username)),
    })
}

#[derive(Default)]
struct Led {
    projects: Vec<Project>,
    components: Vec<(Project, Component)>,
}

impl Led {
    fn is_empty(&self) -> bool {
        self.projects.is_empty() && self.components.is_empty()
    }

    /// Jira's words with the names that they lack.
    fn told(&self, words: &str) -> String {
        let projects = self.projects.iter().map(Project::told);
        let all: Vec<String> =
            projects.chain(self.components.iter().map(|(project, part)| part.told(project))).collect();
        format!("{} The person leads {}.", words.trim_end(), all.join(", "))
    }
}

#[derive(Clone, Deserialize)]
struct Project {
    key: String,
    #[serde(default)]
    name: String,
    lead: Option<Lead>,
}

impl Project {
    fn told(&self) -> String {
        format!("the project {} ({})", self.key, self.name)
    }
}

#[derive(Clone, Deserialize)]
struct Component {
    id: String,
    #[serde(default)]
    name: String,
    lead: Option<Lead>,
}

impl Component {
    fn told(&self, of: &Project) -> String {
        format!("the component \"{}\" of {} ({})", self.name, of.key, of.name)
    }
}

#[derive(Clone, Deserialize)]
struct Lead {
    key: Option<String>,
    name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_words_of_any_language() {
        // DC-48
        let found = keys_in("Der Benutzer leitet: CREW, WEB_2 und ähnliches.");
        assert!(found.contains("CREW") && found.contains("WEB_2"));
    }

    #[test]
    fn a_lead_is_known_by_key_and_only_without_one_by_name() {
        let id = crate::account::AccountId("JIRAUSER1".to_owned());
        let account = AccountRef { id: &id, username: "Mara.Lund" };
        let lead = |key: Option<&str>, name| Lead { key: key.map(str::to_owned), name: Some(String::from(name)) };
        assert!(is(Some(&lead(Some("JIRAUSER1"), "x")), account));
        assert!(!is(Some(&lead(Some("JIRAUSER2"), "mara.lund")), account));
        assert!(is(Some(&lead(None, "mara.lund")), account));
        assert!(!is(None, account));
    }
}
