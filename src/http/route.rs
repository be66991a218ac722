//! Which resource a path names, and what may be done with it. Pure; says nothing about whether it exists.
//!
//! Leniency: a trailing slash is ignored (GEN-5), and so are doubled ones, which come about when a base URL was entered
//! with a slash at its end.

use std::borrow::Cow;

use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::wire::Version;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// The process runs.
    Livez,
    /// The process can serve.
    Readyz,
    /// What each component says of itself.
    Healthz,
    /// For Prometheus.
    Metrics,
    /// Something of a tenant's.
    Scim {
        /// The tenant's name as the client wrote it: not yet known to exist.
        slug: &'a str,
        /// The version of the protocol that the path is for (S11-36).
        version: Version,
        /// What of it.
        endpoint: Endpoint<'a>,
    },
    /// A tenant's token endpoint (RFC 6749 section 3.2).
    Token {
        /// The tenant's name as the client wrote it: not yet known to exist.
        slug: &'a str,
    },
    /// Nothing of ours.
    Unknown,
}

/// A SCIM endpoint (RFC 7644 section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    Users,
    User(Cow<'a, str>),
    Groups,
    Group(Cow<'a, str>),
    ServiceProviderConfig,
    ResourceTypes,
    ResourceType(Cow<'a, str>),
    Schemas,
    Schema(Cow<'a, str>),
    /// Whoever the credential stands for (RFC 7644 section 3.11).
    Me,
    /// Several changes in one request (RFC 7644 section 3.7).
    Bulk,
    /// Something in XML, which this server does not write.
    Xml,
    /// The tenant's root: users and groups together (RFC 7644 section 3.4.2.1).
    Root,
    /// A query by POST (RFC 7644 section 3.4.3).
    Search(Collection),
    Unknown,
}

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collection {
    Users,
    Groups,
    /// Users and groups.
    Everything,
}

impl<'a> Route<'a> {
    /// Reads a request's path, without its query.
    pub(super) fn of(path: &'a str) -> Self {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let route = match segments.next() {
            Some("scim") => match (segments.next(), segments.next()) {
                (Some(slug), Some("oauth")) => match (segments.next(), segments.next()) {
                    (Some("token"), None) => return Self::Token { slug },
                    _ => return Self::Unknown,
                },
                (Some(slug), Some(version)) => {
                    let Some(version) = Version::read(version) else { return Self::Unknown };
                    let below = [segments.next(), segments.next(), segments.next()];
                    let endpoint = match version {
                        Version::V1 => Endpoint::of_1_1(below),
                        Version::V2 => Endpoint::of(below),
                    };
                    return Self::Scim { slug, version, endpoint };
                }
                _ => return Self::Unknown,
            },
            Some("livez") => Self::Livez,
            Some("readyz") => Self::Readyz,
            Some("healthz") => Self::Healthz,
            Some("metrics") => Self::Metrics,
            _ => return Self::Unknown,
        };
        if segments.next().is_some() { Self::Unknown } else { route }
    }

    /// The version of the protocol in which failures are told.
    pub(super) fn version(&self) -> Version {
        match self {
            Self::Scim { version, .. } => *version,
            _ => Version::V2,
        }
    }

    /// The path with its variable parts left open: a label with few values for logs and metrics.
    pub(super) fn template(&self) -> &'static str {
        match self {
            Self::Livez => "/livez",
            Self::Readyz => "/readyz",
            Self::Healthz => "/healthz",
            Self::Metrics => "/metrics",
            Self::Scim { endpoint, .. } => endpoint.template(),
            Self::Token { .. } => "/scim/{tenant}/oauth/token",
            Self::Unknown => "unknown",
        }
    }

    /// What a method does here: a label with few values, in the audit's words for SCIM.
    pub(super) fn operation(&self, method: &Method) -> &'static str {
        match self {
            Self::Livez | Self::Readyz | Self::Healthz => "health",
            Self::Metrics => "metrics",
            Self::Scim { endpoint, .. } => endpoint.operation(method),
            Self::Token { .. } => "token",
            Self::Unknown => "other",
        }
    }
}

impl<'a> Endpoint<'a> {
    /// From the path of an operation in a Bulk, which is relative to the tenant's base.
    pub(super) fn parse(path: &'a str) -> Self {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        Self::of([segments.next(), segments.next(), segments.next()])
    }

    /// As [`Endpoint::of`] for SCIM 1.1 (S11-1): the configuration has a plural name, a suffix names the format (S11-4), and
    /// there is neither `/Me` nor `/.search`, nor a list at the root.
    fn of_1_1(mut segments: [Option<&'a str>; 3]) -> Self {
        if let Some(last) = segments.iter_mut().flatten().last() {
            match last.rsplit_once('.') {
                Some((name, "json")) => *last = name,
                Some((_, "xml")) => return Self::Xml,
                _ => {}
            }
        }
        match Self::of(segments) {
            Self::Unknown if segments == [Some("ServiceProviderConfigs"), None, None] => Self::ServiceProviderConfig,
            Self::Me | Self::Root | Self::Search(_) => Self::Unknown,
            other => other,
        }
    }

    /// From what follows the version; a third segment is always too many.
    fn of(segments: [Option<&'a str>; 3]) -> Self {
        let [first, second, third] = segments;
        if third.is_some() {
            return Self::Unknown;
        }
        match (first, second) {
            (None, None) => Self::Root,
            (Some(".search"), None) => Self::Search(Collection::Everything),
            (Some("Users"), Some(".search")) => Self::Search(Collection::Users),
            (Some("Groups"), Some(".search")) => Self::Search(Collection::Groups),
            (Some("Bulk"), None) => Self::Bulk,
            (Some("Me"), None) => Self::Me,
            (Some("Users"), None) => Self::Users,
            (Some("Users"), Some(id)) => decoded(id).map_or(Self::Unknown, Self::User),
            (Some("Groups"), None) => Self::Groups,
            (Some("Groups"), Some(id)) => decoded(id).map_or(Self::Unknown, Self::Group),
            (Some("ServiceProviderConfig"), None) => Self::ServiceProviderConfig,
            (Some("ResourceTypes"), None) => Self::ResourceTypes,
            (Some("ResourceTypes"), Some(id)) => decoded(id).map_or(Self::Unknown, Self::ResourceType),
            (Some("Schemas"), None) => Self::Schemas,
            (Some("Schemas"), Some(id)) => decoded(id).map_or(Self::Unknown, Self::Schema),
            _ => Self::Unknown,
        }
    }

    fn template(&self) -> &'static str {
        match self {
            Self::Users => "/Users",
            Self::User(_) => "/Users/{id}",
            Self::Groups => "/Groups",
            Self::Group(_) => "/Groups/{id}",
            Self::ServiceProviderConfig => "/ServiceProviderConfig",
            Self::ResourceTypes => "/ResourceTypes",
            Self::ResourceType(_) => "/ResourceTypes/{id}",
            Self::Schemas => "/Schemas",
            Self::Schema(_) => "/Schemas/{id}",
            Self::Me => "/Me",
            Self::Bulk => "/Bulk",
            Self::Root => "/",
            Self::Search(Collection::Users) => "/Users/.search",
            Self::Search(Collection::Groups) => "/Groups/.search",
            Self::Search(Collection::Everything) => "/.search",
            Self::Xml | Self::Unknown => "unknown",
        }
    }

    /// The methods it answers, as the `Allow` header writes them.
    pub(super) fn allow(&self) -> &'static str {
        match self {
            Self::Users | Self::Groups => "GET, HEAD, POST",
            Self::User(_) | Self::Group(_) | Self::Me => "GET, HEAD, PUT, PATCH, DELETE",
            Self::Bulk | Self::Search(_) => "POST",
            _ => "GET, HEAD",
        }
    }

    /// See [`Route::operation`]; `other` where the method does nothing.
    fn operation(&self, method: &Method) -> &'static str {
        let read = *method == Method::GET || *method == Method::HEAD;
        match self {
            Self::Root if read => "list",
            Self::Search(Collection::Users) if *method == Method::POST => "user.list",
            Self::Search(Collection::Groups) if *method == Method::POST => "group.list",
            Self::Search(Collection::Everything) if *method == Method::POST => "list",
            Self::Users if read => "user.list",
            Self::Users if *method == Method::POST => "user.create",
            Self::User(_) | Self::Me if read => "user.get",
            Self::User(_) | Self::Me if *method == Method::PUT => "user.replace",
            Self::User(_) | Self::Me if *method == Method::PATCH => "user.patch",
            Self::User(_) | Self::Me if *method == Method::DELETE => "user.delete",
            Self::Groups if read => "group.list",
            Self::Groups if *method == Method::POST => "group.create",
            Self::Group(_) if read => "group.get",
            Self::Group(_) if *method == Method::PUT => "group.replace",
            Self::Group(_) if *method == Method::PATCH => "group.patch",
            Self::Group(_) if *method == Method::DELETE => "group.delete",
            Self::Bulk if *method == Method::POST => "bulk",
            Self::ServiceProviderConfig
            | Self::ResourceTypes
            | Self::ResourceType(_)
            | Self::Schemas
            | Self::Schema(_)
                if read =>
            {
                "discovery"
            }
            _ => "other",
        }
    }
}

/// A path segment without its percent-encoding; `None` where that is not text.
fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(segment).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scim(endpoint: Endpoint<'_>) -> Route<'_> {
        Route::Scim { slug: "acme", version: Version::V2, endpoint }
    }

    #[test]
    fn each_path_names_one_thing() {
        let table = [
            ("/livez", Route::Livez),
            ("/readyz/", Route::Readyz),
            ("/healthz", Route::Healthz),
            ("/metrics", Route::Metrics),
            ("/metrics/x", Route::Unknown),
            ("/", Route::Unknown),
            ("/scim", Route::Unknown),
            ("/scim/acme", Route::Unknown),
            ("/scim/acme/v3/Users", Route::Unknown),
            ("/scim/acme/oauth/token", Route::Token { slug: "acme" }),
            ("/scim/acme/oauth/token/", Route::Token { slug: "acme" }),
            ("/scim/acme/oauth/token/x", Route::Unknown),
            ("/scim/acme/oauth", Route::Unknown),
            ("/scim/acme/v2", scim(Endpoint::Root)),
            ("/scim/acme/v2/", scim(Endpoint::Root)),
            ("/scim/acme/v2/Users", scim(Endpoint::Users)),
            ("/scim/acme/v2/Users/", scim(Endpoint::Users)),
            ("/scim/acme/v2//Users", scim(Endpoint::Users)),
            ("/scim/acme/v2/users", scim(Endpoint::Unknown)),
            ("/scim/acme/v2/Users/7", scim(Endpoint::User("7".into()))),
            ("/scim/acme/v2/Users/%37/", scim(Endpoint::User("7".into()))),
            ("/scim/acme/v2/Users/%ff", scim(Endpoint::Unknown)),
            ("/scim/acme/v2/Users/7/emails", scim(Endpoint::Unknown)),
            ("/scim/acme/v2/Groups/g", scim(Endpoint::Group("g".into()))),
            ("/scim/acme/v2/Schemas/urn%3Aa:b", scim(Endpoint::Schema("urn:a:b".into()))),
            ("/scim/acme/v2/Users/.search", scim(Endpoint::Search(Collection::Users))),
            ("/scim/acme/v2/.search/", scim(Endpoint::Search(Collection::Everything))),
            ("/scim/acme/v2/Bulk", scim(Endpoint::Bulk)),
            ("/scim/acme/v2/Me", scim(Endpoint::Me)),
        ];
        for (path, route) in table {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }

    #[test]
    fn the_older_version_has_its_own_names() {
        let table = [
            ("Users", Endpoint::Users),
            ("Users.json", Endpoint::Users),
            ("Users/7.json/", Endpoint::User("7".into())),
            ("Users/7.xml", Endpoint::Xml),
            ("Groups.xml", Endpoint::Xml),
            ("Groups/g", Endpoint::Group("g".into())),
            ("ServiceProviderConfigs", Endpoint::ServiceProviderConfig),
            ("ServiceProviderConfigs.json", Endpoint::ServiceProviderConfig),
            ("ServiceProviderConfig", Endpoint::ServiceProviderConfig),
            ("ServiceProviderConfigs/1", Endpoint::Unknown),
            ("Schemas/urn:scim:schemas:core:1.0:User", Endpoint::Schema("urn:scim:schemas:core:1.0:User".into())),
            ("ResourceTypes", Endpoint::ResourceTypes),
            ("Bulk", Endpoint::Bulk),
            ("Me", Endpoint::Unknown),
            (".search", Endpoint::Unknown),
            ("Users/.search", Endpoint::Unknown),
            ("", Endpoint::Unknown),
        ];
        for (path, endpoint) in table {
            let path = format!("/scim/acme/v1/{path}");
            assert_eq!(Route::of(&path), Route::Scim { slug: "acme", version: Version::V1, endpoint }, "{path}");
        }
        assert_eq!(Route::of("/scim/acme/v2/Users/7.json"), scim(Endpoint::User("7.json".into())));
        assert_eq!(Route::of("/scim/acme/v2/ServiceProviderConfigs"), scim(Endpoint::Unknown));
    }

    #[test]
    fn an_operation_exists_exactly_where_allow_names_the_method() {
        let endpoints = [
            Endpoint::Root,
            Endpoint::Search(Collection::Users),
            Endpoint::Search(Collection::Everything),
            Endpoint::Users,
            Endpoint::User("7".into()),
            Endpoint::Groups,
            Endpoint::Group("7".into()),
            Endpoint::ServiceProviderConfig,
            Endpoint::Schemas,
            Endpoint::Me,
            Endpoint::Bulk,
            Endpoint::ResourceType("User".into()),
        ];
        for endpoint in endpoints {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                let allowed = endpoint.allow().split(", ").any(|name| name == method.as_str());
                assert_eq!(endpoint.operation(&method) != "other", allowed, "{method} {endpoint:?}");
            }
        }
    }
}
