//! How a fault is written on the command line.
//!
//! A fault is written as items with commas between them; the first says what happens:
//!
//! ```text
//! status=503            that status with an error collection (any code); X-AUSERNAME is right below 500, else
//!                       anonymous (DC-18, DC-75)
//! throttle=30           429 with Retry-After: 30
//! hang                  no answer; the client has to give up
//! delay=250             the work at once, the answer after that many milliseconds
//! hold                  the work at once, the answer when the test says so
//! drop-before           the connection is closed before the work
//! drop-answer           the work, then the connection is closed (DC-16)
//! late                  no answer; the work once the client has given up (DC-16)
//! late=250              the same, but that many milliseconds after the call came
//! late=release          the same, but when the test says so
//! html, html=503        an HTML page, 200 unless said otherwise (DC-10)
//! redirect              302 to a login page (DC-10)
//! captcha               403 as after too many failed logins (DC-5)
//! garbage               the work, then 200 and a body that is not JSON
//! ausername=NAME        the work, but X-AUSERNAME is NAME (DC-2)
//! anonymous             as if there had been no credentials (DC-2)
//! ```
//!
//! and the others say when:
//!
//! ```text
//! on=POST /user         method and path below /rest/api/2, with all that is below it; `on=POST`, `on=/user`;
//!                       `on=POST /user$` is the path alone
//! containing=TEXT       only calls with that text in the query (decoded) or the body
//! times=3               at most that often; without it, always
//! skip=2                let that many matching calls pass first
//! probability=0.1       by chance, repeatable through `seed=7`
//! retry-after=5         the header, for `status`
//! work=yes              the work first, for `status` and `html`
//! close=yes             for `late`: close the connection at once instead of letting the client wait
//! ```
//!
//! For example `status=503,times=3,on=POST /user`.

use std::str::FromStr;
use std::time::Duration;

use super::faults::{Action, Fault, LateTrigger};

/// Why a written fault was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FaultSyntax(String);

impl Fault {
    fn set(mut self, name: &str, value: &str) -> Result<Self, FaultSyntax> {
        let bad = |what: &str| FaultSyntax(format!("`{name}={value}`: {what}"));
        Ok(match name {
            "on" => self.on(value),
            "containing" => self.containing(value),
            "times" => self.times(value.parse().map_err(|_| bad("a number is wanted"))?),
            "skip" => self.skip(value.parse().map_err(|_| bad("a number is wanted"))?),
            "retry-after" => self.retry_after(value.parse().map_err(|_| bad("seconds are wanted"))?),
            "seed" => {
                self.seed = value.parse().map_err(|_| bad("a number is wanted"))?;
                self
            }
            "probability" => match value.parse::<f64>() {
                Ok(chance) if (0.0..=1.0).contains(&chance) => {
                    self.probability = Some(chance);
                    self
                }
                _ => return Err(bad("a number from 0 to 1 is wanted")),
            },
            "work" if value == "yes" => self.after_the_work(),
            "close" if value == "yes" => {
                if let Action::Late { close, .. } = &mut self.action {
                    *close = true;
                }
                self
            }
            "work" | "close" => return Err(bad("only `yes` is understood")),
            _ => {
                let known = "on, containing, times, skip, probability, seed, retry-after, work, close";
                return Err(FaultSyntax(format!("`{name}` is not known here; known are {known}")));
            }
        })
    }
}

impl FromStr for Fault {
    type Err = FaultSyntax;

    fn from_str(text: &str) -> Result<Self, FaultSyntax> {
        let mut items = text.split(',').map(str::trim);
        let kind = items.next().unwrap_or_default();
        let (name, value) = kind.split_once('=').map_or((kind, None), |(name, value)| (name, Some(value)));
        let mut fault = Self::from(action(name, value)?);
        for item in items {
            let (name, value) =
                item.split_once('=').ok_or_else(|| FaultSyntax(format!("`{item}`: `name=value` is wanted")))?;
            fault = fault.set(name, value)?;
        }
        Ok(fault)
    }
}

fn action(name: &str, value: Option<&str>) -> Result<Action, FaultSyntax> {
    let number = |what: &str| {
        let parsed = value.and_then(|value| value.parse::<u64>().ok());
        parsed.ok_or_else(|| FaultSyntax(format!("`{name}` needs {what}: `{name}=...`")))
    };
    let code = || {
        let code = number("a status from 200 to 599")?;
        u16::try_from(code)
            .ok()
            .filter(|code| (200..600).contains(code))
            .ok_or_else(|| FaultSyntax(format!("`{name}={code}`: a status from 200 to 599 is wanted")))
    };
    Ok(match (name, value) {
        ("status", _) => Action::Status { code: code()?, retry_after: None, work: false },
        ("throttle", _) => Action::Throttle(number("seconds")?),
        ("hold", None) => Action::Hold,
        ("delay", _) => Action::Delay(Duration::from_millis(number("milliseconds")?)),
        ("late", None) => Action::Late { trigger: LateTrigger::Hangup, close: false },
        ("late", Some("release")) => Action::Late { trigger: LateTrigger::Release, close: false },
        ("late", Some(_)) => {
            let after = LateTrigger::After(Duration::from_millis(number("milliseconds or `release`")?));
            Action::Late { trigger: after, close: false }
        }
        ("html", None) => Action::Html { code: 200, work: false },
        ("html", Some(_)) => Action::Html { code: code()?, work: false },
        ("ausername", Some(name)) => Action::Ausername(name.to_owned()),
        ("hang", None) => Action::Hang,
        ("drop-before" | "drop_before", None) => Action::DropBefore,
        ("drop-answer" | "drop_answer", None) => Action::DropAnswer,
        ("redirect", None) => Action::Redirect,
        ("captcha", None) => Action::Captcha,
        ("garbage", None) => Action::Garbage,
        ("anonymous", None) => Action::Anonymous,
        _ => {
            let known = "status, throttle, hang, delay, hold, drop-before, drop-answer, late, html, redirect, captcha, \
                garbage, ausername, anonymous";
            return Err(FaultSyntax(format!("`{name}` is no fault; known are {known}")));
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_written_fault_is_the_built_one() {
        let cases = [
            ("status=503,times=3,on=POST /user", Fault::status(503).times(3).on("POST /user")),
            ("status=500, retry-after=5, work=yes", Fault::status(500).retry_after(5).after_the_work()),
            ("late=release,close=yes", Fault::late_closing(LateTrigger::Release)),
            ("late=40", Fault::late(LateTrigger::After(Duration::from_millis(40)))),
            ("late", Fault::late(LateTrigger::Hangup)),
            ("html", Fault::html(200)),
            ("drop-answer,probability=0.5,seed=7", Fault::drop_answer().with_probability(0.5, 7)),
            ("hang,containing=mara.lund,skip=1", Fault::hang().containing("mara.lund").skip(1)),
        ];
        for (text, built) in cases {
            assert_eq!(text.parse::<Fault>().unwrap(), built, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_what_is_known() {
        for text in
            ["", "boom", "status", "status=99", "status=503,often=3", "hang,times", "hang,probability=2", "hang=1"]
        {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
        assert!("boom".parse::<Fault>().unwrap_err().to_string().contains("drop-answer"));
    }
}
