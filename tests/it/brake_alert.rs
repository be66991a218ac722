//! Alerts: what a receiver gets when the brake trips, what it is signed with, and how often it is tried.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use jira_scim::alert::{AlertOptions, Alerts, Sent};
use jira_scim::secret::Secret;
use serde_json::{Value, json};

use crate::brake::at_most;
use crate::world::World;

/// Whoever is told.
#[derive(Clone, Default)]
pub struct Receiver {
    got: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    answers: Arc<Mutex<Vec<StatusCode>>>,
}

impl Receiver {
    /// Its address. It answers these first, and 204 from then on.
    pub async fn start(&self, answers: &[StatusCode]) -> String {
        *self.answers.lock().unwrap() = answers.iter().rev().copied().collect();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/hook", post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/hook")
    }

    pub fn bodies(&self) -> Vec<Value> {
        self.got.lock().unwrap().iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    receiver.got.lock().unwrap().push((headers, body));
    receiver.answers.lock().unwrap().pop().unwrap_or(StatusCode::NO_CONTENT)
}

pub fn options(url: String) -> AlertOptions {
    AlertOptions {
        url: Secret::new(url),
        secret: Some(Secret::new("s3cret")),
        url_file: None,
        secret_file: None,
        timeout: Duration::from_secs(10),
    }
}

async fn tripped() -> World {
    let world = World::with_policy(at_most(1)).await;
    let users = world.people("p", 4).await;
    world.leave(&users).await;
    world
}

#[tokio::test]
async fn a_brake_that_trips_is_told_once_with_a_signature() {
    let (world, receiver) = (tripped().await, Receiver::default());
    let alerts = Alerts::new(world.store.clone(), Some(&options(receiver.start(&[]).await))).unwrap();
    assert_eq!(alerts.run_once().await.unwrap(), Sent { taken: 1, ..Sent::default() });
    assert_eq!(alerts.run_once().await.unwrap(), Sent::default());
    let bodies = receiver.bodies();
    let [body] = &bodies[..] else { panic!("{bodies:?}") };
    assert_eq!((&body["kind"], &body["tenant"], &body["class"]), (&json!("brake"), &json!("acme"), &json!("accounts")));
    assert_eq!((&body["let_through"], &body["limit"], &body["window"]), (&json!(1), &json!(1), &json!("1h")));
    assert_eq!(body["held"], json!({ "accounts": 3, "memberships": 0 }));
    assert_eq!(body["reason"], "1 account was switched off or deleted within 1h, and the limit is 1");
    assert!(body["at"].is_string() && body["id"].is_string());
    let (headers, text) = receiver.got.lock().unwrap()[0].clone();
    let timestamp = headers["x-jira-scim-timestamp"].to_str().unwrap().to_owned();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"s3cret");
    let tag = ring::hmac::sign(&key, format!("{timestamp}.{text}").as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(headers["x-jira-scim-signature"], format!("sha256={digits}"));
}

#[tokio::test]
async fn who_does_not_take_it_is_told_again_for_a_day() {
    let (world, receiver) = (tripped().await, Receiver::default());
    let no = [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::FOUND];
    let alerts = Alerts::new(world.store.clone(), Some(&options(receiver.start(&no).await))).unwrap();
    let failed = Sent { failed: 1, ..Sent::default() };
    assert_eq!(alerts.run_once().await.unwrap(), failed);
    assert_eq!(alerts.run_once().await.unwrap(), Sent::default(), "not at once");
    world.later(6).await;
    assert_eq!(alerts.run_once().await.unwrap(), failed, "a redirect is no answer");
    world.later(11).await;
    assert_eq!(alerts.run_once().await.unwrap(), Sent { taken: 1, ..Sent::default() });
    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), 3);
    assert!(bodies.iter().all(|body| body["id"] == bodies[0]["id"]), "it says that it is the same");
}

#[tokio::test]
async fn an_alert_that_nobody_takes_is_given_up_after_a_day_and_says_nothing_of_the_address() {
    let world = tripped().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = listener.local_addr().unwrap();
    drop(listener);
    let alerts = Alerts::new(world.store.clone(), Some(&options(format!("http://{gone}/s3cret-path")))).unwrap();
    assert_eq!(alerts.run_once().await.unwrap().failed, 1);
    let error: String = sqlx::query_scalar("SELECT last_error FROM alert").fetch_one(world.pool()).await.unwrap();
    assert!(!error.is_empty() && !error.contains("s3cret-path"), "{error}");
    world.later(90_000).await;
    assert_eq!(alerts.run_once().await.unwrap(), Sent { given_up: 1, ..Sent::default() });
    assert_eq!(world.number("SELECT count(*) FROM alert").await, 0);
}

#[tokio::test]
async fn without_an_address_alerts_are_left_to_another_replica_for_a_day() {
    let world = tripped().await;
    assert_eq!(world.number("SELECT count(*) FROM alert").await, 1);
    let alerts = Alerts::new(world.store.clone(), None).unwrap();
    assert_eq!(alerts.run_once().await.unwrap(), Sent::default());
    assert_eq!(world.number("SELECT count(*) FROM alert WHERE due_at <= now()").await, 1);
    world.later(90_000).await;
    assert_eq!(alerts.run_once().await.unwrap(), Sent::default());
    assert_eq!(world.number("SELECT count(*) FROM alert").await, 0);
}
