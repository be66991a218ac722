//! Where the calls go: the site or the gateway, and the organisation's API; which of them rests; and what is remembered for
//! a while so that it is not asked again. Knows no endpoint but the one that tells the cloud id.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use reqwest::Method;
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;

use super::super::client::{Client, ClientError, ClientOptions, Credential, Request};
use super::super::{Calls, TargetError};
use super::answer::{self, No};
use super::{CloudOptions, OrganizationOptions};

/// Whose answers a call gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// `/rest/api/3` of the site.
    Site,
    /// `api.atlassian.com`, with the organisation's key.
    Organization,
}

/// See the module.
pub(super) struct Hosts {
    /// The site's own host.
    site: Client,
    /// Behind the gateway, for a token with scopes (CLOUD-2): made when the cloud id is known.
    gateway: Option<(ClientOptions, Url)>,
    behind_gateway: OnceCell<Client>,
    cloud_id: OnceCell<String>,
    organization: Option<Client>,
    /// Until when each endpoint rests (CLOUD-60).
    resting: Mutex<HashMap<String, Instant>>,
}

impl Hosts {
    pub(super) fn new(options: &CloudOptions) -> Result<Self, ClientError> {
        let organization =
            options.organization.as_ref().map(|organization| client(options, organization)).transpose()?;
        Ok(Self {
            site: Client::new(options.site.clone())?,
            gateway: options.scoped.then(|| (options.site.clone(), options.api.clone())),
            behind_gateway: OnceCell::new(),
            cloud_id: OnceCell::new_with(options.cloud_id.clone()),
            organization,
            resting: Mutex::default(),
        })
    }

    pub(super) fn has_organization(&self) -> bool {
        self.organization.is_some()
    }

    /// Makes a call that changes something, or may.
    pub(super) async fn call(&self, calls: &Calls<'_>, host: Host, request: Request<'_>) -> Result<Value, No> {
        let client = match host {
            Host::Organization => self.organization.as_ref().ok_or_else(|| No::Failed(no_key("This")))?,
            Host::Site if self.gateway.is_some() => self.behind_gateway(calls).await?,
            Host::Site => &self.site,
        };
        self.through(calls, client, request, true).await
    }

    /// Makes a call that changes nothing, whatever its method is: many searches are a POST.
    pub(super) async fn look(&self, calls: &Calls<'_>, host: Host, request: Request<'_>) -> Result<Value, No> {
        self.call(calls, host, request).await.map_err(|no| match no {
            No::Failed(TargetError::Unreachable { detail, .. }) => {
                No::Failed(TargetError::Unreachable { detail, maybe_done: false })
            }
            other => other,
        })
    }

    async fn through(
        &self,
        calls: &Calls<'_>,
        client: &Client,
        request: Request<'_>,
        writes: bool,
    ) -> Result<Value, No> {
        let endpoint = request.endpoint();
        if let Some(rest) = self.rest_of(&endpoint) {
            return Err(No::Failed(answer::resting(rest)));
        }
        let raw = client.exchange(calls, request).await?;
        let now = Utc::now();
        if let Some(limits) = answer::limits(&raw.headers, now) {
            calls.gate().observe(limits);
        }
        let read = answer::read(writes, now, raw.status, &raw.headers, &raw.body);
        if let Err(No::Endpoint(wait)) = &read {
            let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
            resting.insert(endpoint, Instant::now() + *wait);
        }
        read
    }

    fn rest_of(&self, endpoint: &str) -> Option<Duration> {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = resting.get(endpoint)?.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            resting.remove(endpoint);
            return None;
        }
        Some(rest)
    }

    async fn behind_gateway(&self, calls: &Calls<'_>) -> Result<&Client, TargetError> {
        let make = || async {
            let cloud_id = self.cloud_id(calls).await?;
            let (site, api) = self.gateway.as_ref().ok_or_else(|| unusable("the token has no scopes"))?;
            let base = format!("{}/ex/jira/{cloud_id}", api.as_str().trim_end_matches('/'));
            let base_url = Url::parse(&base).map_err(|_| unusable("the cloud id makes no address"))?;
            Client::new(ClientOptions { base_url, ..site.clone() }).map_err(|error| unusable(&error.to_string()))
        };
        self.behind_gateway.get_or_try_init(make).await
    }

    /// The site's cloud id, which its edge tells everybody (CLOUD-1).
    pub(super) async fn cloud_id(&self, calls: &Calls<'_>) -> Result<&str, TargetError> {
        let ask = || async {
            let request = Request::new("tenant.info", Method::GET, "/_edge/tenant_info");
            let answer = self.through(calls, &self.site, request, false).await;
            let answer = answer.map_err(|no| no.into_error(|| "the site".to_owned()))?;
            let id = answer["cloudId"].as_str().filter(|id| !id.is_empty());
            id.map(str::to_owned).ok_or_else(|| TargetError::Unreachable {
                detail: "the site does not tell its cloud id; is its address right?".to_owned(),
                maybe_done: false,
            })
        };
        self.cloud_id.get_or_try_init(ask).await.map(String::as_str)
    }
}

fn client(options: &CloudOptions, organization: &OrganizationOptions) -> Result<Client, ClientError> {
    Client::new(ClientOptions {
        base_url: options.api.clone(),
        credential: Credential::Bearer(organization.key.clone()),
        secret_file: organization.key_file.clone(),
        expected_user: None,
        ..options.site.clone()
    })
}

/// What needs the organisation's key, and there is none.
pub(super) fn no_key(what: &str) -> TargetError {
    let reason = format!(
        "{what} needs the API key of the Atlassian organisation, and none is configured: create one without scopes at \
         admin.atlassian.com and configure it in [target.organization]"
    );
    TargetError::Refused { reason, field: None }
}

fn unusable(why: &str) -> TargetError {
    TargetError::Denied { detail: format!("the gateway cannot be used: {why}") }
}

/// A value that is asked for again only after a while.
pub(super) struct Remembered<T> {
    value: tokio::sync::Mutex<Option<(Instant, T)>>,
    lasts: Duration,
}

impl<T: Clone> Remembered<T> {
    pub(super) fn for_a_while(lasts: Duration) -> Self {
        Self { value: tokio::sync::Mutex::new(None), lasts }
    }

    /// The value, or what `ask` says.
    pub(super) async fn get<E>(&self, ask: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let mut held = self.value.lock().await;
        if let Some((at, value)) = held.as_ref()
            && at.elapsed() < self.lasts
        {
            return Ok(value.clone());
        }
        let value = ask.await?;
        *held = Some((Instant::now(), value.clone()));
        Ok(value)
    }

    /// What is remembered is not so any more.
    pub(super) async fn forget(&self) {
        *self.value.lock().await = None;
    }
}
