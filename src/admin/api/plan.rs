//! `/tenants/{slug}/plan` and `/release`: what would be written, a page at a time, all of it as a stream, or only the sums; and a
//! part of it done while the tenant goes on observing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, oneshot};
use uuid::Uuid;

use crate::admin::answer::{Outcome, download, ok};
use crate::admin::call::{Call, place, shown};
use crate::admin::jobs;
use crate::admin::refusal::{Refusal, sentence};
use crate::store::tenant::{Mode, Origin};
use crate::store::{drive, release};
use crate::writer::forecast::{Asked, ForecastError, Kind, Line, Summary, Told};
use crate::writer::plan::StepKind;
use crate::writer::release::{ReleaseError, Which, release_steps};

/// Text that is sent at once.
const CHUNK: usize = 16 << 10;
/// Chunks that wait for a client that reads slowly.
const AHEAD: usize = 4;
/// How long the thread that makes the text rests while the client reads, and after how long without reading it gives up.
const REST: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);
/// Exports that are under way: each has a thread.
static EXPORTS: Semaphore = Semaphore::const_new(MOST_EXPORTS);
const MOST_EXPORTS: usize = 4;

/// Where a page of the plan ended: people come first.
#[derive(Clone, Copy, Deserialize, serde::Serialize)]
#[serde(untagged)]
enum Behind {
    User(Uuid),
    Group { group: Uuid },
}

pub(crate) async fn list(call: &Call) -> Outcome {
    let (after, limit) = (call.cursor::<Behind>()?.unwrap_or(Behind::User(Uuid::nil())), call.limit()?);
    let kinds = call.words("kind", &Kind::ALL.map(|kind| (kind.as_str(), kind)))?;
    let tenant = call.tenant().await?;
    let one = call.user_in_query(&tenant).await?;
    let tells_groups = kinds.is_empty() || kinds.contains(&Kind::Group);
    let mut conn = call.conn().await?;
    let (asked, next) = match (one, after) {
        (Some(id), _) => (Asked { users: Some(vec![id]), ..Asked::default() }, None),
        (None, Behind::User(after)) => {
            let users = drive::users_of_tenant(&mut conn, tenant.id, after, limit).await?;
            let next = match users.last().filter(|_| users.len() as i64 == limit) {
                Some(last) => Some(Behind::User(*last)),
                // After the last user come the groups that nobody is in.
                None => tells_groups.then_some(Behind::Group { group: Uuid::nil() }),
            };
            (Asked { users: Some(users), ..Asked::default() }, next)
        }
        (None, Behind::Group { group }) => {
            let groups = drive::empty_aliases(&mut conn, tenant.id, group, limit).await?;
            let next = groups.last().filter(|_| groups.len() as i64 == limit);
            let next = next.map(|(last, _)| Behind::Group { group: *last });
            (Asked { groups: Some(groups), ..Asked::default() }, next)
        }
    };
    drop(conn);
    let mut lines: Vec<Line> = Vec::new();
    let mut teller = |told: Told<'_>| {
        if let Told::Line(line) = told
            && (kinds.is_empty() || kinds.contains(&line.kind))
        {
            lines.push(line.clone());
        }
        Ok(())
    };
    let summary = call.state.writer.forecast(&tenant, &asked, &mut teller).await?;
    ok(&json!({ "items": lines, "next": next.as_ref().and_then(place), "summary": summary }))
}

pub(crate) async fn summary(call: &Call) -> Outcome {
    let tenant = call.tenant().await?;
    let (state, slug) = (Arc::clone(&call.state), tenant.slug.clone());
    jobs::run(call, "plan-summary", &slug, |progress| async move {
        let mut teller = |told: Told<'_>| {
            if let Told::Progress(users, _) = told {
                progress.told(users);
            }
            Ok(())
        };
        Ok(json!(state.writer.forecast(&tenant, &Asked::default(), &mut teller).await?))
    })
    .await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
}

/// Turns lines into text and hands it on; rests while nobody reads.
struct Pen {
    form: Form,
    text: Vec<u8>,
    begun: bool,
    to: mpsc::Sender<Bytes>,
}

impl Pen {
    fn line(&mut self, line: &Line) -> std::io::Result<()> {
        match self.form {
            Form::Json => {
                self.text.extend_from_slice(if self.begun { b",\n" } else { b"{\"lines\": [\n" });
                serde_json::to_writer(&mut self.text, line)?;
            }
            Form::Csv => {
                let mut writer = csv::Writer::from_writer(&mut self.text);
                if !self.begun {
                    writer.write_record(["kind", "id", "user", "account", "group", "detail"])?;
                }
                let id = line.id.map(|id| id.to_string()).unwrap_or_default();
                let group = line.group.as_deref().unwrap_or_default();
                let cells = [line.kind.as_str(), &id, &line.user, &line.account, group, &line.detail];
                writer.write_record(cells.map(tame))?;
                writer.flush()?;
            }
        }
        self.begun = true;
        if self.text.len() >= CHUNK { self.send() } else { Ok(()) }
    }

    fn end(&mut self, summary: &Summary) -> std::io::Result<()> {
        if self.form == Form::Json {
            self.text.extend_from_slice(if self.begun { b"\n]" } else { b"{\"lines\": []" });
            self.text.extend_from_slice(b", \"summary\": ");
            serde_json::to_writer(&mut self.text, summary)?;
            self.text.extend_from_slice(b"}\n");
        } else if !self.begun {
            self.text.extend_from_slice(b"kind,id,user,account,group,detail\n");
        }
        self.send()
    }

    /// On a thread of its own: it may rest.
    fn send(&mut self) -> std::io::Result<()> {
        let mut chunk = Bytes::from(std::mem::take(&mut self.text));
        let began = Instant::now();
        loop {
            match self.to.try_send(chunk) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(back)) => chunk = back,
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(std::io::ErrorKind::BrokenPipe.into()),
            }
            if began.elapsed() > PATIENCE {
                return Err(std::io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(REST);
        }
    }
}

/// A spreadsheet takes what begins like this for a formula, and what is in here came from outside.
fn tame(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() }
}

pub(crate) async fn export(call: &Call) -> Outcome {
    let form = call.word("format", &[("json", Form::Json), ("csv", Form::Csv)])?.unwrap_or(Form::Json);
    let tenant = call.tenant().await?;
    let (slug, state) = (tenant.slug.clone(), Arc::clone(&call.state));
    let turn = EXPORTS.try_acquire().map_err(|_| {
        let message = format!("{MOST_EXPORTS} plans are exported already; wait for one of them.");
        Refusal::conflict("too-much-work", message)
    })?;
    let (to, mut from) = mpsc::channel(AHEAD);
    let (done, ended) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut pen = Pen { form, text: Vec::new(), begun: false, to };
        let (ending, asked) = (state.life.soft().clone(), Asked::default());
        let outcome = runtime.block_on(async {
            let mut teller = |told: Told<'_>| match told {
                Told::Line(line) => pen.line(line),
                Told::Progress(..) => Ok(()),
            };
            tokio::select! {
                played = state.writer.forecast(&tenant, &asked, &mut teller) => played,
                () = ending.cancelled() => Err(ForecastError::Output(std::io::ErrorKind::Interrupted.into())),
            }
        });
        let outcome = outcome.and_then(|summary| Ok(pen.end(&summary)?));
        // Nobody may wait any more.
        let _ = done.send(outcome);
        drop(turn);
    });
    // What goes wrong before the first line is an answer of its own.
    let Some(first) = from.recv().await else {
        return match ended.await {
            Ok(Err(error)) => Err(error.into()),
            _ => Err(Refusal::internal()),
        };
    };
    let begin = (Some(first), from, Some(ended));
    let chunks = stream::unfold(begin, async |(first, mut from, mut ended)| {
        if let Some(first) = first {
            return Some((Ok(first), (None, from, ended)));
        }
        match from.recv().await {
            Some(chunk) => Some((Ok(chunk), (None, from, ended))),
            None => match ended.take()?.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => {
                    tracing::warn!(error = %sentence(&error), "the plan could not be exported to its end");
                    Some((Err(std::io::Error::other("the plan ended early")), (None, from, None)))
                }
                Err(_) => Some((Err(std::io::Error::other("the plan ended early")), (None, from, None))),
            },
        }
    });
    let (media, ending) = match form {
        Form::Json => ("application/json", "json"),
        Form::Csv => ("text/csv; charset=utf-8", "csv"),
    };
    Ok(download(Body::from_stream(chunks), media, &format!("plan-{slug}.{ending}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(default)]
    all: bool,
    #[serde(default)]
    kinds: Vec<String>,
    #[serde(default)]
    user: Option<String>,
}

pub(crate) async fn released(call: &Call) -> Outcome {
    let tenant = call.tenant().await?;
    let mut conn = call.conn().await?;
    let (users, groups) = release::waiting_apart(&mut conn, tenant.id).await?;
    ok(&json!({ "users": users, "groups": groups, "waiting": users + groups }))
}

pub(crate) async fn release(call: &Call) -> Outcome {
    let Part { all, kinds, user } = call.body()?;
    if all == (user.is_some() || !kinds.is_empty()) {
        return Err(Refusal::value("all", "Say all, or kinds, or a user, or kinds of a user."));
    }
    let unknown = |name: &str| {
        let names: Vec<&str> = StepKind::ALL.iter().map(|kind| kind.name()).collect();
        Refusal::value("kinds", format!("{} is no kind; there are: {}.", shown(name), names.join(", ")))
    };
    let named = |name: &String| {
        StepKind::ALL.into_iter().find(|kind| kind.name() == name.as_str()).ok_or_else(|| unknown(name))
    };
    let kinds: Vec<StepKind> = kinds.iter().map(named).collect::<Result<_, _>>()?;
    let tenant = call.tenant().await?;
    if tenant.mode != Mode::Observe {
        return Err(ReleaseError::NotObserving(tenant.slug).into());
    }
    let users = match &user {
        Some(name) => Some(vec![call.user(&tenant, "user", name).await?]),
        None => None,
    };
    let which = Which::new(kinds, users);
    let (state, actor, request_id, at) = (Arc::clone(&call.state), call.actor.clone(), call.request_id, call.now);
    let slug = tenant.slug.clone();
    jobs::run(call, "release", &slug, |_| async move {
        let origin = Origin { actor: &actor, request_id, at };
        let ground = state.writer.ground(&tenant.target);
        let released = release_steps(&state.store, &tenant, &which, ground, origin).await?;
        state.writer.wake(&tenant.target);
        let mut conn = state.store.pool().acquire().await?;
        let waiting = release::waiting(&mut conn, tenant.id).await?;
        Ok::<Value, Refusal>(json!({ "users": released.users, "groups": released.groups, "waiting": waiting }))
    })
    .await
}

impl From<ReleaseError> for Refusal {
    fn from(error: ReleaseError) -> Self {
        let message = sentence(&error);
        match error {
            ReleaseError::NotObserving(_) => Self::conflict("not-observing", message),
            ReleaseError::Policy(_) => Self::conflict("policy-not-understood", message),
            ReleaseError::Store(error) => error.into(),
        }
    }
}
