//! The story: what an Okta does to a company of twenty within a year.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::screen::{Screen, Shown};
use super::{DemoError, Failure, Stage, agree};
use crate::simulate::client::{self, Service};
use crate::simulate::people::{Person, group_name};
use crate::simulate::profile::{Group, Idp, Member, Movement, Profile};
use crate::simulate::wire::{Budget, Failed, Recorder, Wire};

/// People, and how many of them are in each of the groups.
const PEOPLE: u64 = 20;
const GROUPS: [usize; 3] = [8, 7, 5];
/// How long what is late may take to arrive in Jira.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// Whom one may go on with, by curl.
pub(super) struct Cast {
    /// Everybody, as Okta knows them.
    pub(super) people: Vec<Member>,
    /// The groups.
    pub(super) groups: Vec<Group>,
}

/// Plays it; done when nothing was wrong with the answers, and the sandbox and the store agree.
pub(super) async fn play(stage: &Stage, screen: &Arc<Screen>) -> Result<Cast, Failure> {
    let started = Instant::now();
    let idp = Profile::Okta.idp();
    let service = Arc::new(Service::new(&stage.url, None)?);
    let headers = client::headers(&idp.headers(), &idp.authorization(stage.token.expose()))?;
    let recorder = Arc::new(Recorder::new(Budget::default()));
    let there_before = stage.jira.groups();
    let calls_before = stage.jira.calls();
    let shown = Arc::new(Shown::new(screen.clone(), &stage.jira));
    let wire = || Wire::new(service.clone(), headers.clone(), recorder.clone(), idp.patience());
    let mut watched = wire().watched(shown.clone());
    screen.say(&format!("SCIM  {}\nJira  {}", stage.url, stage.jira.base_url()));
    let acted = act(&*idp, &mut watched, screen).await;
    let requests = recorder.sent();
    let (Ok(cast), 0) = (acted, recorder.complained()) else {
        return Err(DemoError::Complaints(recorder.complained().max(1)).into());
    };
    screen.chapter("Do the sandbox and the store agree?");
    let agreed = agree::wait(&mut wire(), &stage.jira, &there_before, SETTLED_WITHIN).await;
    shown.catch_up();
    let seen = agreed.map_err(|differences| DemoError::Disagree(differences.join("; ")))?;
    let groups = match stage.jira.has_groups() {
        true => format!("{} groups, {} memberships", seen.groups, seen.memberships),
        false => "and there are no groups here".to_owned(),
    };
    screen.good(&format!("They agree: {} accounts ({} active), {groups}.", seen.accounts, seen.active));
    let calls = stage.jira.calls() - calls_before;
    let seconds = started.elapsed().as_secs_f64();
    screen.say(&format!("{requests} SCIM requests caused {calls} calls to Jira, in {seconds:.1} s."));
    Ok(cast)
}

async fn act(idp: &dyn Idp, wire: &mut Wire, screen: &Screen) -> Result<Cast, Failed> {
    screen.chapter("Okta's administrator saves the credentials");
    idp.test_connection(wire).await?;
    screen.chapter("Twenty people are assigned to the application");
    let persons: Vec<Person> = (0..PEOPLE).map(|number| Person::new(0, number)).collect();
    let mut people = Vec::new();
    for person in &persons {
        let id = match idp.find_user(wire, person).await? {
            Some(found) => found.id,
            None => idp.create_user(wire, person).await?,
        };
        people.push(Member { id, user_name: person.user_name.clone() });
    }
    screen.chapter("Three groups are pushed");
    let mut groups = Vec::new();
    let mut rest = people.as_slice();
    for (number, size) in GROUPS.into_iter().enumerate() {
        let name = group_name(0, number as u64);
        let group = match idp.find_group(wire, &name).await? {
            Some(group) => group,
            None => idp.create_group(wire, &name).await?,
        };
        let (members, others) = rest.split_at(size);
        idp.move_members(wire, &group, Movement { all: members, joining: members, leaving: &[] }).await?;
        groups.push(group);
        rest = others;
    }
    change(idp, wire, screen, &persons, &mut people, &groups).await?;
    Ok(Cast { people, groups })
}

/// A rename, a promotion, two leavers, one of whom returns.
async fn change(
    idp: &dyn Idp,
    wire: &mut Wire,
    screen: &Screen,
    persons: &[Person],
    people: &mut [Member],
    groups: &[Group],
) -> Result<(), Failed> {
    let bride = &persons[0];
    screen.chapter(&format!("{} marries, and has a new name and address", bride.display_name()));
    let mut renamed = bride.renamed();
    renamed.user_name = renamed.user_name.replace("moss@", "moss-reyes@");
    idp.update_user(wire, &people[0].id, &renamed).await?;
    people[0].user_name = renamed.user_name;

    screen.chapter(&format!(
        "{} is promoted: out of {}, into {}",
        persons[1].display_name(),
        groups[0].name,
        groups[2].name
    ));
    let promoted = &people[1..2];
    let left = [&people[..1], &people[2..GROUPS[0]]].concat();
    idp.move_members(wire, &groups[0], Movement { all: &left, joining: &[], leaving: promoted }).await?;
    let joined = [&people[GROUPS[0] + GROUPS[1]..], promoted].concat();
    idp.move_members(wire, &groups[2], Movement { all: &joined, joining: promoted, leaving: &[] }).await?;

    let (gone, back) = (&people[4], &people[9]);
    screen.chapter(&format!("{} and {} leave", persons[4].display_name(), persons[9].display_name()));
    idp.set_active(wire, &gone.id, &persons[4], false).await?;
    idp.set_active(wire, &back.id, &persons[9], false).await?;
    screen.chapter(&format!("{} is hired again, under the same id", persons[9].display_name()));
    idp.set_active(wire, &back.id, &persons[9], true).await
}
