//! Projects and their components, as far as their leads keep people from leaving.

use super::{Id, Refusal, World, fold};

/// A project.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) id: u32,
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) lead: Option<Id>,
    pub(crate) components: Vec<Component>,
}

/// A part of a project with a lead of its own.
#[derive(Clone, Debug)]
pub(crate) struct Component {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) lead: Option<Id>,
}

impl Project {
    fn is_led_by(&self, id: Id) -> bool {
        self.lead == Some(id) || self.components.iter().any(|component| component.lead == Some(id))
    }
}

impl World {
    /// Adds a project without a lead; one that is there only gets the name.
    pub fn add_project(&mut self, key: &str, name: &str) {
        let project = self.project_entry(key);
        project.name = name.to_owned();
        self.changed();
    }

    /// Makes the account the lead of a project, which is made where it is not there (DC-31).
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn make_lead(&mut self, username: &str, project: &str) -> Result<(), Refusal> {
        let id = self.existing(username)?;
        self.project_entry(project).lead = Some(id);
        self.changed();
        Ok(())
    }

    /// Makes the account the lead of a project's component; both are made where they are not there (DC-31).
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn make_component_lead(&mut self, username: &str, project: &str, component: &str) -> Result<(), Refusal> {
        let id = self.existing(username)?;
        let number = self.next_number();
        let components = &mut self.project_entry(project).components;
        match components.iter_mut().find(|known| known.name == component) {
            Some(known) => known.lead = Some(id),
            None => components.push(Component { id: number, name: component.to_owned(), lead: Some(id) }),
        }
        self.changed();
        Ok(())
    }

    /// Takes a project and its components from whoever leads them.
    pub fn remove_lead(&mut self, project: &str) {
        if let Some(project) = self.projects.get_mut(project) {
            project.lead = None;
            project.components.iter_mut().for_each(|component| component.lead = None);
        }
        self.changed();
    }

    /// Keys of the projects that the account leads, or leads a component of, sorted.
    pub fn projects_led_by(&self, username: &str) -> Vec<String> {
        self.find(username).map(|id| self.projects_of(id)).unwrap_or_default()
    }

    pub(super) fn projects_of(&self, id: Id) -> Vec<String> {
        self.projects.values().filter(|project| project.is_led_by(id)).map(|project| project.key.clone()).collect()
    }

    /// All projects, ordered by key.
    pub(crate) fn all_projects(&self) -> impl Iterator<Item = &Project> {
        self.projects.values()
    }

    /// A project by its key or its number.
    pub(crate) fn project(&self, key_or_id: &str) -> Result<&Project, Refusal> {
        let found = self.projects.values().find(|project| project.is_named(key_or_id));
        found.ok_or_else(|| Refusal::NotFound(format!("No project could be found with key '{key_or_id}'.")))
    }

    /// A component by its number, with its project.
    pub(crate) fn component(&self, id: &str) -> Result<(&Project, &Component), Refusal> {
        let all = self.projects.values().flat_map(|project| project.components.iter().map(move |part| (project, part)));
        let found = all.into_iter().find(|(_, component)| component.id.to_string() == id);
        found.ok_or_else(|| Refusal::NotFound(format!("The component with id {id} does not exist.")))
    }

    /// Gives a project another lead as `PUT /project/{key}` does (DC-49).
    ///
    /// # Errors
    /// 404 for an unknown project, 400 for an unknown user.
    pub(crate) fn lead_project(&mut self, key_or_id: &str, username: &str) -> Result<(), Refusal> {
        let key = self.project(key_or_id)?.key.clone();
        let lead = self.find(username);
        let lead = lead.ok_or_else(|| Refusal::field("projectLead", "You must specify a valid project lead."))?;
        self.project_entry(&key).lead = Some(lead);
        self.changed();
        Ok(())
    }

    /// Gives a component another lead as `PUT /component/{id}` does (DC-49).
    ///
    /// # Errors
    /// 404 for an unknown component, 400 for an unknown user.
    pub(crate) fn lead_component(&mut self, id: &str, username: &str) -> Result<(), Refusal> {
        self.component(id)?;
        let lead = self.find(username);
        let lead =
            lead.ok_or_else(|| Refusal::field("leadUserName", format!("The user {username} does not exist.")))?;
        let parts = self.projects.values_mut().flat_map(|project| &mut project.components);
        parts.filter(|component| component.id.to_string() == id).for_each(|component| component.lead = Some(lead));
        self.changed();
        Ok(())
    }

    /// Somebody is gone: nobody leads in his place.
    pub(super) fn forget_leads(&mut self, id: Id) {
        for project in self.projects.values_mut() {
            project.lead = project.lead.filter(|lead| *lead != id);
            for component in &mut project.components {
                component.lead = component.lead.filter(|lead| *lead != id);
            }
        }
    }

    fn project_entry(&mut self, key: &str) -> &mut Project {
        let number = self.next_number();
        self.projects.entry(key.to_owned()).or_insert_with(|| Project {
            id: number,
            key: key.to_owned(),
            name: format!("Project {key}"),
            lead: None,
            components: Vec::new(),
        })
    }

    fn next_number(&mut self) -> u32 {
        self.next_project += 1;
        self.next_project
    }
}

impl Project {
    fn is_named(&self, key_or_id: &str) -> bool {
        fold(&self.key) == fold(key_or_id) || self.id.to_string() == key_or_id
    }
}
