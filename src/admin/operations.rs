//! Every operation of the API: its method and path, the least role that may use it, its parameters, and who does it.
//! `openapi.json` says the same to others; a test holds the two to each other.

use axum::http::Method;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use percent_encoding::percent_decode_str;

use super::answer::Outcome;
use super::api::*;
use super::call::Call;
use super::jobs;
use crate::store::admin_token::Role;
use crate::store::admin_token::Role::{Admin, Operator, Viewer};

/// Whoever does an operation.
type Handler = for<'a> fn(&'a Call) -> BoxFuture<'a, Outcome>;

/// One operation.
pub(super) struct Operation {
    pub(super) method: &'static str,
    /// Below `/api/v1`; a part in braces is a parameter.
    pub(super) path: &'static str,
    pub(super) role: Role,
    /// Anybody may: it is how one gets in.
    pub(super) is_open: bool,
    /// Whether it has a body, which is JSON then.
    pub(super) body: bool,
    /// The parameters of the query.
    pub(super) query: &'static [&'static str],
    pub(super) handler: Handler,
}

/// An operation as a test compares it with the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// In capital letters.
    pub method: &'static str,
    /// Below `/api/v1`.
    pub path: &'static str,
    /// The least role.
    pub role: &'static str,
    /// Whether it needs no credential.
    pub is_open: bool,
    /// Whether it has a body.
    pub body: bool,
    /// The parameters of the query.
    pub query: &'static [&'static str],
}

/// All operations, for a test.
pub fn described() -> Vec<Described> {
    let of = |one: &Operation| Described {
        method: one.method,
        path: one.path,
        role: one.role.as_str(),
        is_open: one.is_open,
        body: one.body,
        query: one.query,
    };
    OPERATIONS.iter().map(of).collect()
}

const fn get(path: &'static str, role: Role, query: &'static [&'static str], handler: Handler) -> Operation {
    Operation { method: "GET", path, role, is_open: false, body: false, query, handler }
}

/// With a body.
const fn send(method: &'static str, path: &'static str, role: Role, handler: Handler) -> Operation {
    Operation { method, path, role, is_open: false, body: true, query: &[], handler }
}

/// Without a body.
const fn call(
    method: &'static str,
    path: &'static str,
    role: Role,
    query: &'static [&'static str],
    handler: Handler,
) -> Operation {
    Operation { method, path, role, is_open: false, body: false, query, handler }
}

const PAGE: &[&str] = &["limit", "cursor"];
const NONE: &[&str] = &[];
/// What the audit is searched by, with a page and with the form of an export.
const SOUGHT: &[&str] =
    &["limit", "cursor", "from", "to", "user", "group", "status", "method", "actor", "remote", "side", "request", "q"];
const EXPORTED: &[&str] =
    &["format", "from", "to", "user", "group", "status", "method", "actor", "remote", "side", "request", "q"];
/// The same where the tenant is not in the path.
const SOUGHT_OF_ALL: &[&str] = &[
    "tenant", "limit", "cursor", "from", "to", "user", "group", "status", "method", "actor", "remote", "side",
    "request", "q",
];
const EXPORTED_OF_ALL: &[&str] =
    &["tenant", "format", "from", "to", "user", "group", "status", "method", "actor", "remote", "side", "request", "q"];

static OPERATIONS: &[Operation] = &[
    Operation { is_open: true, ..send("POST", "/session", Viewer, |c| session::create(c).boxed()) },
    get("/session", Viewer, NONE, |c| session::get(c).boxed()),
    call("DELETE", "/session", Viewer, NONE, |c| session::delete(c).boxed()),
    get("/overview", Viewer, NONE, |c| overview::get(c).boxed()),
    get("/health", Viewer, NONE, |c| overview::health(c).boxed()),
    get("/jobs/{id}", Viewer, NONE, |c| jobs::get(c).boxed()),
    get("/admin-tokens", Admin, PAGE, |c| admin_tokens::list(c).boxed()),
    send("POST", "/admin-tokens", Admin, |c| admin_tokens::create(c).boxed()),
    call("DELETE", "/admin-tokens/{id}", Admin, NONE, |c| admin_tokens::revoke(c).boxed()),
    get("/targets", Viewer, PAGE, |c| targets::list(c).boxed()),
    get("/targets/{name}", Viewer, NONE, |c| targets::get(c).boxed()),
    call("POST", "/targets/{name}/test", Operator, NONE, |c| targets::test(c).boxed()),
    call("POST", "/targets/{name}/resume", Operator, NONE, |c| targets::resume(c).boxed()),
    get("/sources", Viewer, PAGE, |c| sources::list(c).boxed()),
    send("POST", "/sources", Admin, |c| sources::create(c).boxed()),
    get("/sources/{name}", Viewer, NONE, |c| sources::get(c).boxed()),
    send("PUT", "/sources/{name}", Admin, |c| sources::update(c).boxed()),
    call("DELETE", "/sources/{name}", Admin, &["confirm"], |c| sources::delete(c).boxed()),
    call("POST", "/sources/{name}/test", Operator, NONE, |c| source_runs::test(c).boxed()),
    call("POST", "/sources/{name}/plan", Operator, &["full"], |c| source_runs::plan(c).boxed()),
    call("POST", "/sources/{name}/run", Operator, &["user", "full"], |c| source_runs::run(c).boxed()),
    get("/sources/{name}/runs", Viewer, &["limit", "cursor", "kind"], |c| source_runs::history(c).boxed()),
    get("/tenants", Viewer, PAGE, |c| tenants::list(c).boxed()),
    send("POST", "/tenants", Admin, |c| tenants::create(c).boxed()),
    get("/tenants/{slug}", Viewer, NONE, |c| tenants::get(c).boxed()),
    send("PATCH", "/tenants/{slug}", Admin, |c| tenants::update(c).boxed()),
    call("DELETE", "/tenants/{slug}", Admin, &["confirm", "force"], |c| tenants::delete(c).boxed()),
    get("/tenants/{slug}/tokens", Viewer, PAGE, |c| tokens::list(c).boxed()),
    send("POST", "/tenants/{slug}/tokens", Admin, |c| tokens::create(c).boxed()),
    send("POST", "/tenants/{slug}/tokens/{id}/rotate", Admin, |c| tokens::rotate(c).boxed()),
    call("DELETE", "/tenants/{slug}/tokens/{id}", Admin, NONE, |c| tokens::revoke(c).boxed()),
    get("/tenants/{slug}/issuers", Viewer, PAGE, |c| issuers::list(c).boxed()),
    send("POST", "/tenants/{slug}/issuers", Admin, |c| issuers::create(c).boxed()),
    call("DELETE", "/tenants/{slug}/issuers/{id}", Admin, NONE, |c| issuers::delete(c).boxed()),
    get("/tenants/{slug}/policy", Viewer, NONE, |c| policy::get(c).boxed()),
    send("PUT", "/tenants/{slug}/policy", Admin, |c| policy::put(c).boxed()),
    send("POST", "/tenants/{slug}/policy/validate", Viewer, |c| policy::validate(c).boxed()),
    Operation {
        query: &["user"],
        ..send("POST", "/tenants/{slug}/policy/preview", Operator, |c| policy::preview(c).boxed())
    },
    Operation {
        query: &["mode"],
        ..send("POST", "/tenants/{slug}/policy/plan", Operator, |c| policy::plan(c).boxed())
    },
    get("/tenants/{slug}/outbox", Viewer, &["limit", "cursor", "state"], |c| outbox::list(c).boxed()),
    get("/tenants/{slug}/held", Viewer, PAGE, |c| outbox::held(c).boxed()),
    get("/tenants/{slug}/refused", Viewer, PAGE, |c| outbox::refused(c).boxed()),
    send("POST", "/tenants/{slug}/outbox/retry", Operator, |c| outbox::retry(c).boxed()),
    send("POST", "/tenants/{slug}/outbox/approve", Operator, |c| outbox::approve(c).boxed()),
    send("POST", "/tenants/{slug}/outbox/waive", Operator, |c| outbox::waive(c).boxed()),
    get("/tenants/{slug}/brake", Viewer, NONE, |c| brake::get(c).boxed()),
    get("/tenants/{slug}/brake/held", Viewer, &["limit", "cursor", "user", "class"], |c| brake::held(c).boxed()),
    send("POST", "/tenants/{slug}/brake/release", Operator, |c| brake::release(c).boxed()),
    send("POST", "/tenants/{slug}/brake/drop", Operator, |c| brake::drop(c).boxed()),
    get("/tenants/{slug}/runs", Viewer, &["limit", "cursor", "kind"], |c| runs::list(c).boxed()),
    get("/tenants/{slug}/runs/{id}", Viewer, NONE, |c| runs::get(c).boxed()),
    call("POST", "/tenants/{slug}/runs/{id}/stop", Operator, NONE, |c| runs::stop(c).boxed()),
    call("POST", "/tenants/{slug}/import", Operator, &["past_the_brake"], |c| runs::import(c).boxed()),
    call("POST", "/tenants/{slug}/reconcile", Operator, NONE, |c| runs::reconcile(c).boxed()),
    call("POST", "/tenants/{slug}/last-login", Operator, NONE, |c| runs::last_login(c).boxed()),
    get("/tenants/{slug}/plan", Operator, &["limit", "cursor", "user", "kind"], |c| plan::list(c).boxed()),
    get("/tenants/{slug}/plan/export", Operator, &["format"], |c| plan::export(c).boxed()),
    call("POST", "/tenants/{slug}/plan/summary", Operator, NONE, |c| plan::summary(c).boxed()),
    get("/tenants/{slug}/release", Viewer, NONE, |c| plan::released(c).boxed()),
    send("POST", "/tenants/{slug}/release", Operator, |c| plan::release(c).boxed()),
    get("/tenants/{slug}/purge", Viewer, NONE, |c| removal::purge_shown(c).boxed()),
    send("POST", "/tenants/{slug}/purge", Admin, |c| removal::purge(c).boxed()),
    get("/tenants/{slug}/purge/names", Viewer, &["limit", "cursor", "what"], |c| removal::names(c).boxed()),
    get("/tenants/{slug}/reset", Viewer, NONE, |c| removal::reset_shown(c).boxed()),
    send("POST", "/tenants/{slug}/reset", Admin, |c| removal::reset(c).boxed()),
    get("/tenants/{slug}/overrides", Viewer, &["limit", "cursor", "user", "all"], |c| overrides::list(c).boxed()),
    send("POST", "/tenants/{slug}/overrides", Operator, |c| overrides::create(c).boxed()),
    call("DELETE", "/tenants/{slug}/overrides/{id}", Operator, &["wait_seconds"], |c| overrides::lift(c).boxed()),
    send("POST", "/tenants/{slug}/deactivate-now", Operator, |c| overrides::deactivate(c).boxed()),
    get("/tenants/{slug}/links/orphans", Viewer, PAGE, |c| links::orphans(c).boxed()),
    get("/tenants/{slug}/links/conflicts", Viewer, PAGE, |c| links::conflicts(c).boxed()),
    send("POST", "/tenants/{slug}/links/merge", Operator, |c| links::merge(c).boxed()),
    get("/tenants/{slug}/links", Viewer, &["limit", "cursor", "user"], |c| links::list(c).boxed()),
    send("POST", "/tenants/{slug}/links", Operator, |c| links::create(c).boxed()),
    call("DELETE", "/tenants/{slug}/links/{id}", Operator, NONE, |c| links::delete(c).boxed()),
    get("/tenants/{slug}/drift", Viewer, PAGE, |c| drift::list(c).boxed()),
    call("POST", "/tenants/{slug}/unmatched", Operator, NONE, |c| drift::unmatched(c).boxed()),
    send("POST", "/tenants/{slug}/unmatched/switch-off", Admin, |c| drift::switch_off(c).boxed()),
    get("/tenants/{slug}/audit", Viewer, SOUGHT, |c| audit::list(c).boxed()),
    get("/tenants/{slug}/audit/export", Operator, EXPORTED, |c| audit::export(c).boxed()),
    send("POST", "/tenants/{slug}/audit/clear", Admin, |c| audit::clear(c).boxed()),
    get("/audit", Admin, SOUGHT_OF_ALL, |c| audit::list_all(c).boxed()),
    get("/audit/export", Admin, EXPORTED_OF_ALL, |c| audit::export_all(c).boxed()),
    get("/tenants/{slug}/explain/user", Viewer, &["user"], |c| explain::user(c).boxed()),
    get("/tenants/{slug}/explain/membership", Viewer, &["user", "group"], |c| explain::membership(c).boxed()),
    get("/log", Viewer, NONE, |c| log::get(c).boxed()),
    send("PUT", "/log", Admin, |c| log::put(c).boxed()),
    call("DELETE", "/log", Admin, NONE, |c| log::delete(c).boxed()),
    get("/metrics", Viewer, PAGE, |c| metrics::list(c).boxed()),
    get("/tenants/{slug}/users", Viewer, &["limit", "cursor", "q"], |c| people::users(c).boxed()),
    get("/tenants/{slug}/users/{id}", Viewer, NONE, |c| people::user(c).boxed()),
    get("/tenants/{slug}/groups", Viewer, &["limit", "cursor", "q"], |c| people::groups(c).boxed()),
];

/// What a request asks for.
pub(super) enum Found {
    /// This, with the parts of the path that are parameters.
    Operation(&'static Operation, Vec<(&'static str, String)>),
    /// Something that is there, but not with this method; those that are.
    OtherMethods(String),
    /// Nothing that is there.
    Nothing,
}

/// The operation of a path below `/api/v1`.
pub(super) fn find(path: &str, method: &Method) -> Found {
    let asked = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let mut allowed = Vec::new();
    for operation in OPERATIONS {
        let Some(params) = matched(operation.path, path) else { continue };
        if operation.method == asked {
            return Found::Operation(operation, params);
        }
        allowed.push(operation.method);
    }
    if allowed.is_empty() { Found::Nothing } else { Found::OtherMethods(allowed.join(", ")) }
}

/// The parameters of a path that a template describes. A part that is no text in UTF-8, or empty, is no parameter.
fn matched(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut params = Vec::new();
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(params),
            (Some(wanted), Some(given)) => match wanted.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => {
                    let text = percent_decode_str(given).decode_utf8().ok()?;
                    if text.is_empty() || text.contains('\0') {
                        return None;
                    }
                    params.push((name, text.into_owned()));
                }
                None if wanted == given => {}
                None => return None,
            },
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_with_its_parameters() {
        let found = |method: Method, path| match find(path, &method) {
            Found::Operation(operation, params) => format!("{} {} {params:?}", operation.method, operation.path),
            Found::OtherMethods(allowed) => allowed,
            Found::Nothing => "nothing".to_owned(),
        };
        assert_eq!(found(Method::HEAD, "/tenants"), "GET /tenants []");
        assert_eq!(found(Method::GET, "/tenants/a%20b"), r#"GET /tenants/{slug} [("slug", "a b")]"#);
        assert_eq!(found(Method::PUT, "/tenants"), "GET, POST");
        for path in ["/tenants/", "/tenants//tokens", "/tenants/%ff", "/tenants/%00", "/nothing", "/"] {
            assert_eq!(found(Method::GET, path), "nothing", "{path}");
        }
    }

    #[test]
    fn no_operation_is_there_twice() {
        for (place, one) in OPERATIONS.iter().enumerate() {
            assert!(OPERATIONS[..place].iter().all(|other| (other.method, other.path) != (one.method, one.path)));
        }
    }
}
