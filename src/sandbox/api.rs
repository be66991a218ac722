//! What every kind of Jira has in common with the others, as the server sees it: it answers calls on a world of its own.

use std::time::Duration;

use super::exchange::{Call, Place, Reply};
use super::faults::Action;

/// What the sandbox's own clock says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Time since the start, plus what [`super::Stand::advance`] added.
    pub(crate) now: Duration,
    /// What was added alone: the same in every run, however slow the machine.
    pub(crate) ahead: Duration,
}

/// An answer, and who got it.
pub struct Answered {
    /// `None` for nobody.
    pub(crate) caller: Option<String>,
    pub(crate) reply: Reply,
}

/// One kind of Jira. Nothing here waits, so that a call can be played later, or without its answer.
pub trait Api: Send + Sized + 'static {
    /// What [`super::Stand::look`] and [`super::Stand::change`] show.
    type World;

    /// The world.
    fn world(&self) -> &Self::World;
    /// The world.
    fn world_mut(&mut self) -> &mut Self::World;
    /// How often anything changed: two equal numbers mean that nothing happened in between.
    fn changes(&self) -> u64;
    /// Which API and which operation a path is.
    fn locate(&self, method: &str, path: &str) -> Place;
    /// Jira's own answer.
    fn answer(&mut self, call: &Call, clock: Clock) -> Answered;
    /// The name of whoever calls, if anybody is.
    fn caller(&mut self, call: &Call) -> Option<String>;
    /// An error as this API words it.
    fn error(&self, call: &Call, caller: Option<&str>, status: u16) -> Reply;
    /// 429.
    fn throttled(&self, call: &Call, seconds: u64) -> Reply;
    /// The answer under a fault.
    fn fail(&mut self, call: &Call, fault: &Action, clock: Clock) -> Answered {
        usual_fault(self, call, fault, clock)
    }
}

/// What a fault makes of a call where the API has no ways of its own.
pub(crate) fn usual_fault<A: Api>(api: &mut A, call: &Call, fault: &Action, clock: Clock) -> Answered {
    let unless_done = |api: &mut A, work: bool| if work { api.answer(call, clock).caller } else { api.caller(call) };
    match fault {
        Action::Status { code, retry_after, work } => {
            let caller = unless_done(api, *work);
            let reply = api.error(call, caller.as_deref(), *code);
            let reply = retry_after.iter().fold(reply, |reply, seconds| reply.with("Retry-After", seconds.to_string()));
            Answered { caller, reply }
        }
        Action::Throttle(seconds) => Answered { caller: None, reply: api.throttled(call, *seconds) },
        Action::Html { code, work } => {
            let caller = if *work { api.answer(call, clock).caller } else { None };
            Answered { caller, reply: Reply::html(*code, "Please log in, or come back later") }
        }
        Action::Redirect => {
            let reply = Reply::empty(302).with("Location", "/login?continue=x");
            Answered { caller: None, reply }
        }
        Action::Garbage => Answered { caller: api.answer(call, clock).caller, reply: Reply::garbage() },
        Action::Captcha => Answered { caller: None, reply: Reply::html(403, "Please prove that you are a person") },
        Action::Anonymous => api.answer(&call.without_credentials(), clock),
        _ => api.answer(call, clock),
    }
}
