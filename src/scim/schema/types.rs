//! The resource types of one tenant: the built-in ones, with the extensions that its policy declares.
//!
//! Everything that reads a schema borrows it for as long as the process lives: patches and projections cross tasks, and
//! the tables of the built-in schemas are constants anyway. So a declaration is built once, found again by its text, and
//! never freed. Only an administrator who changes a declaration adds one, and the number is bounded.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::declared::{self, Owner};
use super::{ResourceType, Returned, Schema, group, user, user_with_login};

/// The most different declarations that a process builds: far more than tenants and changes of their policies, and at
/// most some kilobytes each.
const MOST_BUILT: usize = 1000;

/// The resource types that a tenant's clients see. Cheap to copy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Types {
    /// The User type.
    pub user: &'static ResourceType,
    /// The Group type.
    pub group: &'static ResourceType,
}

static BUILT: Mutex<BTreeMap<String, Types>> = Mutex::new(BTreeMap::new());

impl Types {
    /// Without any declaration.
    pub fn built_in() -> Self {
        Self { user: user(), group: group() }
    }

    /// With the extensions of `policy.scim.schemas`: schema documents of RFC 7643 section 7, each with one more key,
    /// `resource`, that says which type it extends.
    ///
    /// # Errors
    ///
    /// One sentence for each thing that is wrong, naming its place.
    pub fn declared(documents: &[Value]) -> Result<Self, Vec<String>> {
        Self::extending(Self::built_in(), documents)
    }

    /// The same for a tenant that publishes when people last logged in (ONEID-6).
    ///
    /// # Errors
    ///
    /// As [`Types::declared`].
    pub fn declared_with_login(documents: &[Value]) -> Result<Self, Vec<String>> {
        Self::extending(Self { user: user_with_login(), group: group() }, documents)
    }

    fn extending(base: Self, documents: &[Value]) -> Result<Self, Vec<String>> {
        if documents.is_empty() {
            return Ok(base);
        }
        let text = Value::from(documents).to_string();
        let length = text.len();
        let text = format!("{}{text}", if base.user.tells_last_login() { "login " } else { "" });
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(types) = built.get(&text) {
            return Ok(*types);
        }
        let extensions = declared::read(documents, length)?;
        if built.len() >= MOST_BUILT {
            let sentence = "policy.scim.schemas: too many different declarations since this process was started.";
            return Err(vec![sentence.to_owned()]);
        }
        let of = |owner| extensions.iter().filter(move |(other, _)| *other == owner).map(|(_, schema)| schema);
        let types = Self { user: extended(base.user, of(Owner::User)), group: extended(base.group, of(Owner::Group)) };
        built.insert(text, types);
        Ok(types)
    }

    /// Both.
    pub fn all(self) -> [&'static ResourceType; 2] {
        [self.user, self.group]
    }

    /// The names of what is never returned: nobody may read it elsewhere either.
    pub fn secrets(self) -> Vec<&'static str> {
        // Only extensions have such attributes.
        let attributes = self.all().into_iter().flat_map(|ty| ty.extensions).flat_map(|schema| schema.attributes);
        let all = attributes.flat_map(|attribute| std::iter::once(attribute).chain(attribute.sub_attributes));
        all.filter(|attribute| attribute.returned == Returned::Never).map(|attribute| attribute.name).collect()
    }

    /// Every schema that is served, in the order of `/Schemas`: each core schema, then its extensions.
    pub fn schemas(self) -> impl Iterator<Item = &'static Schema> {
        self.all().into_iter().flat_map(|ty| std::iter::once(ty.core).chain(ty.extensions.iter().copied()))
    }
}

fn extended<'a>(ty: &'static ResourceType, more: impl Iterator<Item = &'a declared::Draft>) -> &'static ResourceType {
    let more: Vec<&'static Schema> = more.map(declared::Draft::build).collect();
    if more.is_empty() {
        return ty;
    }
    let extensions: Vec<&'static Schema> = ty.extensions.iter().copied().chain(more).collect();
    Box::leak(Box::new(ResourceType { extensions: extensions.leak(), ..*ty }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::scim::urn;

    fn badge() -> Value {
        json!({ "id": "urn:example:badge:1.0", "resource": "User", "attributes": [{ "name": "number", "type": "integer" }] })
    }

    #[test]
    fn nothing_declared_is_what_is_built_in() {
        assert_eq!(Types::declared(&[]).unwrap(), Types::built_in());
        let ids: Vec<&str> = Types::built_in().schemas().map(|schema| schema.id).collect();
        assert_eq!(ids, [urn::USER, urn::ENTERPRISE_USER, urn::ORIGIN_USER, urn::GROUP, urn::ORIGIN_GROUP]);
    }

    #[test]
    fn a_tenant_that_publishes_the_last_login_has_it_in_two_places_beside_its_own_schemas() {
        // ONEID-6
        let types = Types::declared_with_login(&[badge()]).unwrap();
        assert!(types.user.tells_last_login() && !types.group.tells_last_login());
        assert!(types.user.attribute("meta").unwrap().sub("LASTLOGIN").unwrap().read_only());
        assert!(types.user.extension(urn::ENTERPRISE_USER).unwrap().attribute("lastLogin").unwrap().read_only());
        assert!(types.user.extension("urn:example:badge:1.0").is_some());
        let others = Types::declared(&[badge()]).unwrap();
        assert!(!others.user.tells_last_login() && others.user.attribute("meta").unwrap().sub("lastLogin").is_none());
        assert!(user().extension(urn::ENTERPRISE_USER).unwrap().attribute("lastLogin").is_none());
    }

    #[test]
    fn a_declaration_extends_its_type_alone_and_is_built_once() {
        let types = Types::declared(&[badge()]).unwrap();
        let extension = types.user.extension("URN:example:Badge:1.0").unwrap();
        assert_eq!(extension.attribute("NUMBER").unwrap().name, "number");
        assert!(std::ptr::eq(types.group, group()));
        assert!(user().extension("urn:example:badge:1.0").is_none(), "no other tenant sees it");
        assert!(std::ptr::eq(Types::declared(&[badge()]).unwrap().user, types.user));
        assert!(types.secrets().is_empty());
        let ids: Vec<&str> = types.schemas().map(|schema| schema.id).collect();
        assert_eq!(
            ids,
            [urn::USER, urn::ENTERPRISE_USER, urn::ORIGIN_USER, "urn:example:badge:1.0", urn::GROUP, urn::ORIGIN_GROUP]
        );
    }
}
