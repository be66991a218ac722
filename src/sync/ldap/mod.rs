//! LDAP servers, Active Directory among them, as a source. Reads only; follows no referral.
//!
//! `options` is what is known of a server, `connect` reaches it, `reading` asks page by page, `entry` takes answers apart, `person`
//! makes SCIM documents of them, `dn` gives every name one spelling.

mod connect;
mod dn;
mod entry;
mod options;
mod person;
mod reading;
mod tls;

use futures_util::future::BoxFuture;

use self::connect::connect;
use self::options::Options;
use self::reading::{Search, Searching};
use super::source::{Reading, Source, SourceError, Wanted};
use crate::config::LdapConfig;

/// An LDAP server.
pub struct Ldap {
    options: Options,
}

impl Ldap {
    /// A server of the configuration; nothing is connected yet.
    ///
    /// # Errors
    /// [`SourceError::Unusable`]: an attribute or a file cannot be used.
    pub fn new(config: &LdapConfig) -> Result<Self, SourceError> {
        Ok(Self { options: Options::new(config)? })
    }

    async fn begin(&self, search: Search) -> Result<Box<dyn Reading>, SourceError> {
        let (ldap, address) = connect(&self.options).await?;
        Ok(Box::new(Searching::new(ldap, address, self.options.clone(), search)))
    }
}

impl Source for Ldap {
    fn people<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Box<dyn Reading>, SourceError>> {
        Box::pin(self.begin(Search::people(&self.options, wanted)))
    }

    fn groups(&self) -> BoxFuture<'_, Result<Box<dyn Reading>, SourceError>> {
        Box::pin(self.begin(Search::groups(&self.options)))
    }

    fn place(&self, written: &str) -> Result<String, String> {
        dn::normalised(written).ok_or_else(|| format!("\"{written}\" is not a DN"))
    }

    fn address(&self) -> String {
        self.options.urls.iter().map(url::Url::as_str).collect::<Vec<_>>().join(", ")
    }
}
