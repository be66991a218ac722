//! JWTs as credentials: those of issuers that a tenant trusts, whose keys a real server tells, and those of the token endpoint.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::Utc;
use jira_scim::login::credential::{self, Wanted};
use jira_scim::login::jwks::{Away, Jwks};
use jira_scim::login::jwt;
use jira_scim::store::jwt_issuer::{self, NewIssuer};
use jira_scim::store::tenant::{self, Origin};
use jira_scim::store::token::Scope;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use uuid::Uuid;

use super::http_app::{self, App, Ask};

const ISSUER: &str = "https://issuer.example";

/// The public half of a key whose other half is gone, and what it signed once: good for `scim` until the year 2100.
const RSA: &str = "oyCl69fIZ4OYsG_uzIVrukW7m89Xt8kBjR0PS3jbCswhI7D5JC4r613HhYM63TspXwu_HLZmvhlr8gmihu4OSuajYUNC_BgWQpes\
    12ALiTZmrn0WE9Q7xnw6-WfoLDRdDbyPDB79J84Yf3ioSybROv7B1FNDzwIgUyfiVmZ2HXdQZQEv1JWmrgoEqNUgv8jB2JGFSUmH\
    GUFekzlFi9FA92jpKAhBjrzsUF5PtlSF7tzWSZHzkMqTWvuFsIZn47mkKLccqalZyBsKOOPzeR-ZOVIePB99VWw8VGYWuHLL86WB\
    dhu1VqkE1OxOqEj4OdheVCN0k9s2y1TEfbHJdcm_oQ";
const SIGNED_BY_RSA: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXV\
    kIjoic2NpbSIsInN1YiI6InJzYSIsImV4cCI6NDEwMjQ0NDgwMH0.M2vUSqWLzXuh2m6YPfeh5oGUbGvLAjITjNe1OHJ1mBCCtUB\
    g4bubU5lomRv596gvxbMwNakhTIgEYkdJb8oBxMdBKLYeEdv0SqvhXHrYD5onkdS62m4yJje_ckXxWlxAqiK9adtrEBfuzlNp6zt\
    ECYRVo2jwaj2Rjhi9AnGSMChkbChnyDUEsUAs7WplrcgbtC_LAZtbZHAiQhG77-SiEgWxEKZ7OZyTFwiKxaQhQL1A0PCTnndO8iY\
    O8wU8qm1HlVnNsrgrjsTy2TS4Hdh6FKU5tNVM0xrJ_dt2x1U_0oH8qKzdiv4sKjl4Xg11Qt73mHJaKreDaJEKRJQtT5KfZQ";

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key of an issuer.
enum Key {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Key {
    fn ec() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap())
    }

    fn ed() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    fn public(&self, kid: &str) -> Value {
        match self {
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": encode(&point[1..33]), "y": encode(&point[33..])})
            }
            Self::Ed(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encode(key.public_key().as_ref())})
            }
        }
    }

    fn sign(&self, kid: &str, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "kid": kid, "typ": "JWT"});
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = match self {
            Self::Ec(key) => key.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(message.as_bytes()).as_ref().to_vec(),
        };
        format!("{message}.{}", encode(signature))
    }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "scim", "sub": "idp", "scope": "scim.write", "exp": Utc::now().timestamp() + 300})
}

/// A server that tells keys.
#[derive(Clone, Default)]
struct Issuer {
    keys: Arc<Mutex<Option<Value>>>,
    asked: Arc<Mutex<u32>>,
}

impl Issuer {
    async fn start(&self, keys: Value) -> String {
        self.tell(Some(keys));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = self.clone();
        let answer = move || {
            *issuer.asked.lock().unwrap() += 1;
            let keys = issuer.keys.lock().unwrap().clone();
            async { keys.map_or(Err(StatusCode::BAD_GATEWAY), |keys| Ok(keys.to_string())) }
        };
        let router = Router::new().route("/keys", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/keys")
    }

    fn tell(&self, keys: Option<Value>) {
        *self.keys.lock().unwrap() = keys;
    }

    fn asked(&self) -> u32 {
        *self.asked.lock().unwrap()
    }
}

fn origin() -> Origin<'static> {
    Origin { actor: "test", request_id: Uuid::nil(), at: Utc::now() }
}

fn trusting(jwks_url: &str) -> NewIssuer {
    NewIssuer {
        label: "issuer".into(),
        issuer: ISSUER.into(),
        jwks_url: Some(jwks_url.into()),
        jwks: None,
        audience: "scim".into(),
        algorithms: jwt::ALGORITHMS.map(str::to_owned).to_vec(),
        skew_seconds: 60,
        subject: None,
        granted: None,
        scope: Scope::Write,
        users_only: false,
    }
}

async fn trust(app: &App, new: &NewIssuer) {
    let acme = tenant::get(app.store.pool(), "acme").await.unwrap().unwrap();
    jwt_issuer::create(app.store.pool(), acme.id, Uuid::now_v7(), new, origin()).await.unwrap();
}

fn users<'a>(app: &'a App, token: &str) -> Ask<'a> {
    app.raw(Method::GET, "/scim/acme/v2/Users").token(token)
}

#[tokio::test]
async fn a_token_of_a_trusted_issuer_opens_by_each_algorithm_and_its_keys_are_fetched_once() {
    let (app, issuer, ec, ed) = (App::new().await, Issuer::default(), Key::ec(), Key::ed());
    let rsa = json!({"kty": "RSA", "kid": "rsa", "alg": "RS256", "n": RSA, "e": "AQAB"});
    let unknown = json!({"kty": "new", "kid": "new"});
    let keys = json!({"keys": [unknown, ec.public("ec"), ed.public("ed"), rsa]});
    trust(&app, &trusting(&issuer.start(keys).await)).await;
    for token in [ec.sign("ec", &claims()), ed.sign("ed", &claims()), SIGNED_BY_RSA.to_owned()] {
        users(&app, &token).send().await.is(200);
    }
    assert_eq!(issuer.asked(), 1);
    let body = json!({"userName": "ada"});
    app.raw(Method::POST, "/scim/acme/v2/Users").token(&ec.sign("ec", &claims())).json(&body).send().await.is(201);
    let actor: String = sqlx::query_scalar("SELECT actor FROM audit WHERE action = 'user.create'")
        .fetch_one(app.store.pool())
        .await
        .unwrap();
    assert_eq!(actor, "issuer");
}

#[tokio::test]
async fn a_token_that_is_not_what_is_asked_for_is_refused_like_one_for_a_tenant_that_is_not_there() {
    let (app, issuer, key) = (App::new().await, Issuer::default(), Key::ec());
    http_app::tenant(&app.store, "other").await;
    let keys = json!({"keys": [key.public("ec")]});
    let url = issuer.start(keys).await;
    let new = NewIssuer {
        algorithms: vec!["ES256".into()],
        subject: Some("idp".into()),
        granted: Some("scim.write".into()),
        ..trusting(&url)
    };
    trust(&app, &new).await;
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        key.sign("ec", &claims)
    };
    let good = key.sign("ec", &claims());
    users(&app, &good).send().await.is(200);
    let (head, signature) = good.rsplit_once('.').unwrap();
    let payload = head.split('.').nth(1).unwrap();
    let unsigned = format!("{}.{payload}.", encode(r#"{"alg":"none","kid":"ec"}"#));
    // The public key as the secret of an HMAC, in the two forms in which people know it.
    let public = key.public("ec").to_string();
    let hmac = |secret: &[u8]| {
        let message = format!("{}.{payload}", encode(r#"{"alg":"HS256","kid":"ec"}"#));
        let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", encode(tag.as_ref()))
    };
    let now = Utc::now().timestamp();
    let bad = [
        with("aud", json!("another")),
        with("exp", json!(now - 61)),
        with("nbf", json!(now + 600)),
        with("sub", json!("somebody")),
        with("scope", json!("scim.read")),
        with("iss", json!("https://another.example")),
        Key::ec().sign("ec", &claims()),
        Key::ed().sign("ec", &claims()),
        key.sign("another", &claims()),
        format!("{head}.{}", &signature[1..]),
        unsigned,
        hmac(public.as_bytes()),
        hmac(&[0; 32]),
        SIGNED_BY_RSA.to_owned(),
    ];
    let nowhere = app.raw(Method::GET, "/scim/nowhere/v2/Users").token(&good).send().await.is(401);
    for token in bad {
        assert_eq!(users(&app, &token).send().await.is(401).body, nowhere.body, "{token}");
    }
    app.raw(Method::GET, "/scim/other/v2/Users").token(&good).send().await.is(401);
    users(&app, &good).send().await.is(200);
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_and_old_ones_outlive_the_issuer_for_a_day() {
    let (issuer, jwks, old, new) = (Issuer::default(), Jwks::default(), Key::ec(), Key::ed());
    let url = issuer.start(json!({"keys": [old.public("old")]})).await;
    let start = Instant::now();
    let claimed = |key: &Key, kid: &str| jwt::claimed(&key.sign(kid, &claims())).unwrap();
    let (by_old, by_new) = (claimed(&old, "old"), claimed(&new, "new"));
    let after = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(jwks.keys(&url, &by_old, (true, start)).await.unwrap().len(), 1);
    // Nobody learns by the clock whether there is such an issuer: who is not known is not waited for.
    assert!(!jwt::has_key(&jwks.keys(&url, &by_new, (false, after(1))).await.unwrap(), &by_new));
    issuer.tell(Some(json!({"keys": [old.public("old"), new.public("new")]})));
    // A key that nobody has must not make us ask at each request.
    assert!(!jwt::has_key(&jwks.keys(&url, &by_new, (true, after(29))).await.unwrap(), &by_new));
    assert_eq!(issuer.asked(), 1);
    assert!(jwt::has_key(&jwks.keys(&url, &by_new, (true, after(30))).await.unwrap(), &by_new));
    assert!(jwt::has_key(&jwks.keys(&url, &by_old, (true, after(600))).await.unwrap(), &by_old));
    assert_eq!(issuer.asked(), 2);

    issuer.tell(None);
    assert!(jwt::has_key(&jwks.keys(&url, &by_old, (true, after(700))).await.unwrap(), &by_old), "the issuer is away");
    assert!(jwt::has_key(&jwks.keys(&url, &by_old, (true, after(701))).await.unwrap(), &by_old));
    // Who has a key does not wait for fresher ones.
    while issuer.asked() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(jwks.keys(&url, &by_new, (true, after(30 + 86_400))).await, Err(Away), "for a day");
    // The question that was under way may have been answered only now: then it is the one that counts.
    assert!((3..=4).contains(&issuer.asked()), "and it is not asked at each request");
    issuer.tell(Some(json!({"keys": [new.public("new")]})));
    let back = jwks.keys(&url, &by_new, (true, after(90_000))).await.unwrap();
    assert!(jwt::has_key(&back, &by_new) && !jwt::has_key(&back, &by_old), "what the issuer withdrew is gone");
}

#[tokio::test]
async fn keys_from_an_answer_that_is_none_or_too_large_are_not_taken() {
    let (issuer, jwks, key) = (Issuer::default(), Jwks::default(), Key::ec());
    let url = issuer.start(json!({"keys": "none"})).await;
    let claimed = jwt::claimed(&key.sign("k", &claims())).unwrap();
    let start = Instant::now();
    assert_eq!(jwks.keys(&url, &claimed, (true, start)).await, Err(Away));
    issuer.tell(Some(json!({"keys": [key.public("k")], "padding": "x".repeat(300_000)})));
    assert_eq!(jwks.keys(&url, &claimed, (true, start + Duration::from_secs(31))).await, Err(Away));
    issuer.tell(Some(json!({"keys": [key.public("k")]})));
    assert_eq!(jwks.keys(&url, &claimed, (true, start + Duration::from_secs(62))).await.unwrap().len(), 1);
}

/// An OAuth client of tenant `acme`: its id and its secret.
async fn client(app: &App, wanted: Wanted) -> (String, String) {
    let mut conn = app.store.pool().acquire().await.unwrap();
    let acme = tenant::get(&mut *conn, "acme").await.unwrap().unwrap();
    let wanted = Wanted { client: true, label: "client".into(), ..wanted };
    let made = credential::make(&mut conn, acme.id, &wanted, origin()).await.unwrap();
    (made.token.username.unwrap(), made.secret.unwrap().reveal().to_owned())
}

fn ask<'a>(app: &'a App, slug: &str, form: &str) -> Ask<'a> {
    let ask = app.raw(Method::POST, &format!("/scim/{slug}/oauth/token"));
    ask.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned())
}

fn basic((id, secret): &(String, String)) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

const GRANT: &str = "grant_type=client_credentials";

#[tokio::test]
async fn a_client_gets_a_short_token_for_its_secret_in_either_way_and_works_with_it() {
    let app = App::new().await;
    let shown = client(&app, Wanted::default()).await;
    let in_body = format!("{GRANT}&client_id={}&client_secret={}", shown.0, shown.1);
    let answers = [
        ask(&app, "acme", GRANT).header("authorization", &basic(&shown)).send().await,
        ask(&app, "acme", &in_body).send().await,
    ];
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
        assert_eq!((&answer.body["token_type"], &answer.body["expires_in"]), (&json!("Bearer"), &json!(900)));
        assert_eq!(answer.body["scope"], "write");
        users(&app, answer.body["access_token"].as_str().unwrap()).send().await.is(200);
    }
    let body = json!({"userName": "ada"});
    let token = answers[0].body["access_token"].as_str().unwrap();
    app.raw(Method::POST, "/scim/acme/v2/Users").token(token).json(&body).send().await.is(201);
    assert_eq!(
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM signing_key").fetch_one(app.store.pool()).await.unwrap(),
        1
    );
    // The secret itself opens nothing.
    users(&app, &shown.1).send().await.is(401);
    app.raw(Method::GET, "/scim/acme/v2/Users").header("authorization", &basic(&shown)).send().await.is(401);
    // Nor does the token open another tenant, or outlive its key or its client.
    http_app::tenant(&app.store, "other").await;
    app.raw(Method::GET, "/scim/other/v2/Users").token(token).send().await.is(401);
    sqlx::query("UPDATE token SET revoked = now() WHERE label = 'client'").execute(app.store.pool()).await.unwrap();
    let fresh = answers[1].body["access_token"].as_str().unwrap();
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    while users(&app, fresh).send().await.status == 200 {
        assert!(tokio::time::Instant::now() < until, "the token of a revoked client is still good");
    }
}

#[tokio::test]
async fn a_token_can_do_no_more_than_its_client_and_than_was_asked_for() {
    let app = App::new().await;
    let reader = client(&app, Wanted { scope: Scope::Read, users_only: true, ..Wanted::default() }).await;
    let refused = ask(&app, "acme", &format!("{GRANT}&scope=write")).header("authorization", &basic(&reader));
    let refused = refused.send().await;
    assert_eq!((refused.status, &refused.body["error"]), (400, &json!("invalid_scope")));
    let answer = ask(&app, "acme", GRANT).header("authorization", &basic(&reader)).send().await;
    assert_eq!(answer.body["scope"], "read");
    let token = answer.body["access_token"].as_str().unwrap();
    users(&app, token).send().await.is(200);
    app.raw(Method::GET, "/scim/acme/v2/Groups").token(token).send().await.is(403);
    app.raw(Method::POST, "/scim/acme/v2/Users").token(token).json(&json!({"userName": "a"})).send().await.is(403);
}

#[tokio::test]
async fn the_errors_of_the_token_endpoint_are_those_of_oauth_and_say_nothing_of_tenants() {
    let app = App::new().await;
    let shown = client(&app, Wanted { username: Some("okta".into()), ..Wanted::default() }).await;
    let wrong = ("okta".to_owned(), "wrong".to_owned());
    let mut answers = Vec::new();
    for (slug, shown) in [("acme", &wrong), ("nowhere", &shown), ("NO TENANT".replace(' ', "%00").as_str(), &shown)] {
        let answer = ask(&app, slug, GRANT).header("authorization", &basic(shown)).send().await;
        assert_eq!((answer.status, &answer.body["error"]), (401, &json!("invalid_client")), "{slug}");
        assert!(answer.header("www-authenticate").starts_with("Basic"));
        answers.push(answer.body);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    for (form, error) in [
        ("", "unsupported_grant_type"),
        ("grant_type=password", "unsupported_grant_type"),
        ("grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        ("grant_type=client_credentials&client_secret=x", "invalid_request"),
        ("grant_type=client_credentials&scope=openid", "invalid_scope"),
    ] {
        let answer = ask(&app, "acme", form).header("authorization", &basic(&shown)).send().await;
        assert_eq!((answer.status, &answer.body["error"]), (400, &json!(error)), "{form}");
    }
    let json = app.raw(Method::POST, "/scim/acme/oauth/token").json(&json!({})).send().await;
    assert_eq!((json.status, &json.body["error"]), (400, &json!("invalid_request")));
    app.raw(Method::GET, "/scim/acme/oauth/token").send().await.is(405);
}
