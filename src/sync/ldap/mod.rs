//! LDAP servers, Active Directory among them, as a source. Reads only; follows no referral.
//!
//! `options` is what is known of a server, `connect` reaches it, `reading` asks page by page, `entry` takes answers apart, `person`
//! makes SCIM documents of them, `member` knows how groups name their members, `changes` knows from where changes are to be asked for, `dn` gives every name one spelling.

mod changes;
mod connect;
mod dn;
mod entry;
mod member;
mod options;
mod person;
mod reading;

use futures_util::future::BoxFuture;

use self::changes::Changes;
use self::connect::connect;
use self::options::Options;
use self::reading::{Search, Searching};
use super::source::{Mark, Reading, Source, SourceError, Wanted, WantedGroups};
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

    async fn begin(&self, search: Search, since: Option<&Mark>) -> Result<Box<dyn Reading>, SourceError> {
        let (mut ldap, address) = connect(&self.options).await?;
        let changes = Changes::begin(&mut ldap, &address, &self.options, since).await?;
        Ok(Box::new(Searching::new(ldap, address, self.options.clone(), search, changes)))
    }
}

impl Source for Ldap {
    fn people<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Box<dyn Reading>, SourceError>> {
        let since = if let Wanted::Changed(mark) = wanted { Some(mark) } else { None };
        Box::pin(self.begin(Search::people(&self.options, wanted), since))
    }

    fn groups<'a>(&'a self, wanted: &'a WantedGroups) -> BoxFuture<'a, Result<Box<dyn Reading>, SourceError>> {
        let since = if let WantedGroups::Changed(mark) = wanted { Some(mark) } else { None };
        Box::pin(self.begin(Search::groups(&self.options, wanted), since))
    }

    fn place(&self, written: &str) -> Result<String, String> {
        dn::normalised(written).ok_or_else(|| format!("\"{written}\" is not a DN"))
    }

    fn address(&self) -> String {
        self.options.urls.iter().map(url::Url::as_str).collect::<Vec<_>>().join(", ")
    }
}
