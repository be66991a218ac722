//! Creating a person: an invitation, and what it leaves to be done. A look comes first, because an invitation answers the
//! same for somebody who is there and for somebody who is not (CLOUD-19).

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::of_jira;
use super::answer::No;
use super::hosts::Host;
use super::person::{Row, User};
use super::{Calls, Cloud, Created, TargetError, parse};
use crate::account::{Access, Account, AccountId, Field, SeenAccount, fold};
use crate::jira::client::Request;

const INVITE: &str = "/admin/v2/orgs/{orgId}/users/invite";
const USER: &str = "/rest/api/3/user";

/// The answer of an invitation; a 2xx alone says nothing (CLOUD-27).
#[derive(Deserialize)]
struct Invited {
    data: Vec<Person>,
}

#[derive(Deserialize)]
struct Person {
    id: String,
    #[serde(default)]
    results: Vec<Parts>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parts {
    #[serde(default)]
    role_assignment_result: Vec<RolePart>,
}

#[derive(Deserialize)]
struct RolePart {
    resource: String,
    role: String,
    status: String,
}

impl Person {
    /// What of `asked` was given. What the answer does not speak of was not refused.
    fn granted(&self, asked: &[(Access, Access)]) -> BTreeSet<Access> {
        let parts: Vec<&RolePart> = self.results.iter().flat_map(|result| &result.role_assignment_result).collect();
        let failed = |sent: &Access| {
            parts
                .iter()
                .any(|part| part.resource == sent.resource && part.role == sent.role && part.status != "INVITED")
        };
        asked.iter().filter(|(_, sent)| !failed(sent)).map(|(access, _)| access.clone()).collect()
    }
}

impl Cloud {
    /// Two calls for a stranger; one for somebody who is there already.
    pub(super) async fn invite_or_find(&self, calls: &Calls<'_>, account: &Account) -> Result<Created, TargetError> {
        if !self.hosts.has_organization() {
            return self.create_at_the_site(calls, account).await;
        }
        let found = self.row_with_email(calls, &account.email).await?;
        let found = match found {
            Some(row) if row.state() != "not_invited" => {
                return Ok(Created::Exists(self.seen_closely(calls, row).await?));
            }
            other => other.map(Row::seen),
        };
        if let Some(seen) = found.as_ref().filter(|seen| seen.hands_off.is_some()) {
            return Ok(Created::Exists(seen.clone()));
        }
        let (id, granted) = self.invite(calls, &account.email, &account.access).await?;
        Ok(Created::New(self.newcomer(calls, account, id, found, granted).await))
    }

    /// Invites; answers the account's id and the access that was given.
    pub(super) async fn invite(
        &self,
        calls: &Calls<'_>,
        email: &str,
        access: &BTreeSet<Access>,
    ) -> Result<(AccountId, BTreeSet<Access>), TargetError> {
        let mut asked = Vec::new();
        for access in access {
            asked.push((access.clone(), self.of_a_resource(calls, access).await?));
        }
        let rules: Vec<Value> =
            asked.iter().map(|(_, sent)| json!({"resource": sent.resource, "role": sent.role})).collect();
        // Never a mail unless asked for (CLOUD-22).
        let body = json!({"emails": [email], "permissionRules": rules, "sendNotification": self.notify});
        let request = self.of_organization("user.invite", Method::POST, INVITE).json(body);
        let answer = match self.hosts.call(calls, Host::Organization, request).await {
            Ok(document) => parse::<Invited>(document)?,
            Err(No::NotFound(words) | No::BadRequest(words)) => return Err(words.refused(None)),
            Err(no) => return Err(no.into_error(|| "the organisation".to_owned())),
        };
        let person = answer.data.into_iter().next().ok_or_else(|| TargetError::Unreachable {
            detail: "the invitation was answered without an account".to_owned(),
            maybe_done: true,
        })?;
        self.remember_invitation(&person.id);
        let granted = person.granted(&asked);
        Ok((AccountId(person.id), granted))
    }

    /// Somebody who was just invited: the name that was asked for is ignored (CLOUD-11), so where the account is ours to
    /// write the record says what there is, and an update follows.
    async fn newcomer(
        &self,
        calls: &Calls<'_>,
        account: &Account,
        id: AccountId,
        found: Option<SeenAccount>,
        granted: BTreeSet<Access>,
    ) -> SeenAccount {
        let known = found.unwrap_or_else(|| SeenAccount {
            username: account.email.clone(),
            email: Some(account.email.clone()),
            display_name: account.email.clone(),
            ..SeenAccount::default()
        });
        let writable = known.read_only.is_empty() && self.is_ours(calls, &account.email).await;
        // A field that is not shown counts as written: these are not.
        let unwritten = account.extra.keys().map(|name| (name.clone(), String::new()));
        let extra: BTreeMap<String, String> = unwritten.chain(known.extra).collect();
        let profile = BTreeSet::from([Field::Username, Field::Email, Field::DisplayName, Field::Extra]);
        SeenAccount {
            id,
            active: true,
            off: None,
            groups: None,
            extra,
            access: Some(granted),
            read_only: if writable { BTreeSet::new() } else { profile },
            ..known
        }
    }

    /// Whether an account of that address is managed by the organisation: its domain is verified (CLOUD-13). Where nobody
    /// tells, the first write will.
    async fn is_ours(&self, calls: &Calls<'_>, email: &str) -> bool {
        let domain = fold(email.rsplit('@').next().unwrap_or_default());
        match self.verified_domains(calls).await {
            Ok(Some(domains)) => domains.contains(&domain),
            Ok(None) | Err(_) => true,
        }
    }

    /// The site alone: `products` is mandatory (CLOUD-21), and a failure does not prove that nothing happened (CLOUD-24).
    async fn create_at_the_site(&self, calls: &Calls<'_>, account: &Account) -> Result<Created, TargetError> {
        if let Some(user) = self.user_with_email(calls, &account.email).await? {
            return Ok(Created::Exists(user.seen()));
        }
        let products = products(&account.access)?;
        let seen = self.add_to_the_site(calls, &account.email, &products).await?;
        let email = seen.email.clone().or_else(|| Some(account.email.clone()));
        let username = if seen.username.is_empty() { account.email.clone() } else { seen.username.clone() };
        Ok(Created::New(SeenAccount { active: true, off: None, username, email, groups: None, ..seen }))
    }

    /// `POST /user`, which for somebody who is there is no error.
    pub(super) async fn add_to_the_site(
        &self,
        calls: &Calls<'_>,
        email: &str,
        products: &[String],
    ) -> Result<SeenAccount, TargetError> {
        let body = json!({"emailAddress": email, "products": products});
        let request = Request::new("user.create", Method::POST, USER).json(body);
        let no = match self.hosts.call(calls, Host::Site, request).await {
            Ok(document) => {
                let seen = parse::<User>(document)?.seen();
                self.remember_invitation(&seen.id.0);
                return Ok(seen);
            }
            Err(no) => no,
        };
        let failed = matches!(&no, No::BadRequest(_) | No::Conflict(_))
            || matches!(&no, No::Failed(TargetError::Unreachable { detail, .. }) if detail.contains("500"));
        if !failed {
            return Err(self.settle(calls, no, || "the account".to_owned()).await);
        }
        if let Some(user) = self.user_with_email(calls, email).await? {
            let seen = user.seen();
            self.remember_invitation(&seen.id.0);
            return Ok(seen);
        }
        match no {
            No::BadRequest(words) | No::Conflict(words) => Err(match self.without_seat(calls, products).await? {
                Some(reason) => TargetError::NoSeats { reason },
                None => words.refused(None),
            }),
            other => Err(other.into_error(|| "the account".to_owned())),
        }
    }
}

/// The products of Jira by their keys; the site gives no others.
fn products(access: &BTreeSet<Access>) -> Result<Vec<String>, TargetError> {
    access.iter().map(of_jira).collect()
}
