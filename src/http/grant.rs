//! What a credential may do: look or change, and whether groups are out of bounds. Says what is lacking; that a client knows
//! the tenant, its credential has proven already.

use axum::http::Method;

use super::error::Failure;
use super::route::{Collection, Endpoint};
use crate::store::token::{Credential, Scope};

/// What a credential may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    scope: Scope,
    users_only: bool,
}

impl Grant {
    pub(super) fn of(credential: &Credential) -> Self {
        Self { scope: credential.scope, users_only: credential.users_only }
    }

    /// Whether groups may be seen at all, also as an attribute of users.
    pub(super) fn sees_groups(self) -> bool {
        !self.users_only
    }

    /// Whether that may be done.
    ///
    /// # Errors
    /// 403, with what is lacking.
    pub(super) fn check(self, method: &Method, endpoint: &Endpoint<'_>) -> Result<(), Failure> {
        let reads = matches!(*method, Method::GET | Method::HEAD) || matches!(endpoint, Endpoint::Search(_));
        if self.scope < Scope::Write && !reads {
            return Err(Failure::forbidden("This credential may only read: it lacks the scope write."));
        }
        let about_groups = matches!(
            endpoint,
            Endpoint::Groups
                | Endpoint::Group(_)
                | Endpoint::Root
                | Endpoint::Search(Collection::Groups | Collection::Everything)
        );
        if self.users_only && about_groups {
            return Err(Failure::forbidden("This credential is for users only: it lacks access to groups."));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_only_read_may_search_by_post_and_change_nothing() {
        let reader = Grant { scope: Scope::Read, users_only: false };
        let may = |method: Method, endpoint: Endpoint<'_>| reader.check(&method, &endpoint).is_ok();
        assert!(may(Method::GET, Endpoint::Users) && may(Method::HEAD, Endpoint::Groups));
        assert!(may(Method::POST, Endpoint::Search(Collection::Everything)));
        assert!(!may(Method::POST, Endpoint::Users) && !may(Method::POST, Endpoint::Bulk));
        for method in [Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(!may(method.clone(), Endpoint::User("7".into())) && !may(method, Endpoint::Me));
        }
    }

    #[test]
    fn who_is_for_users_only_sees_no_groups_in_any_way() {
        let users = Grant { scope: Scope::Write, users_only: true };
        let may = |method: Method, endpoint: Endpoint<'_>| users.check(&method, &endpoint).is_ok();
        assert!(may(Method::POST, Endpoint::Users) && may(Method::POST, Endpoint::Search(Collection::Users)));
        assert!(may(Method::POST, Endpoint::Bulk) && may(Method::GET, Endpoint::Schemas));
        for endpoint in [
            Endpoint::Groups,
            Endpoint::Group("7".into()),
            Endpoint::Root,
            Endpoint::Search(Collection::Groups),
            Endpoint::Search(Collection::Everything),
        ] {
            assert!(!may(Method::GET, endpoint));
        }
    }
}
