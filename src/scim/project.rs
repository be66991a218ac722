//! `attributes` and `excludedAttributes` (RFC 7644 section 3.9): which parts of a resource the client wants to see.
//!
//! `id` and `schemas` are answered whatever is asked for, as is every attribute whose schema says `always`. What is
//! returned on request is answered where `attributes` names it itself; what is never returned, and what belongs to no
//! schema that the tenant declares (any more), never. Names that are not known are ignored (GEN-11).

use serde_json::Value;

use super::error::ScimError;
use super::path::{self, Found, Place};
use super::resource::Attrs;
use super::schema::{Attribute, ResourceType, Returned, Schema};

/// Names beyond this number are a mistake or an attack.
const MOST_NAMES: usize = 200;

/// A client's selection, looked up in the schema.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Projection {
    only: Option<Vec<Place>>,
    except: Vec<Place>,
}

impl Projection {
    /// Reads the two query parameters, names parted by commas. An empty parameter counts as absent. RFC 7644 wants one of
    /// the two; where both are sent, `excludedAttributes` takes from what `attributes` selects.
    ///
    /// # Errors
    ///
    /// 400 `tooMany` for more than 200 names.
    pub fn parse(ty: &ResourceType, attributes: Option<&str>, excluded: Option<&str>) -> Result<Self, ScimError> {
        let given = attributes.filter(|text| !text.trim().is_empty());
        Ok(Self {
            only: given.map(|text| places(ty, text)).transpose()?,
            except: excluded.map(|text| places(ty, text)).transpose()?.unwrap_or_default(),
        })
    }

    /// Whether an attribute is wanted in whole or in part. Answering `members` or `groups` costs a query of its own, which
    /// this saves (F-8, ENTRA-7).
    pub fn wants(&self, name: &str) -> bool {
        let names = |place: &Place| place.attribute.is_some_and(|attribute| attribute.name.eq_ignore_ascii_case(name));
        self.only.as_ref().is_none_or(|only| only.iter().any(names))
            && !self.except.iter().any(|place| place.sub.is_none() && names(place))
    }

    /// Whether the client asked for nothing in particular.
    pub fn is_default(&self) -> bool {
        self.only.is_none() && self.except.is_empty()
    }

    /// Cuts a whole resource, as it would be answered, down to what is wanted and may be seen.
    pub fn apply(&self, ty: &ResourceType, doc: &mut Attrs) {
        if let Some(only) = &self.only {
            doc.retain(|key, value| always(ty, key) || keep(ty, only, key, value));
        }
        for place in &self.except {
            exclude(place, doc);
        }
        // Only extensions have attributes to hide, and only their keys have colons.
        doc.retain(|key, value| {
            !key.contains(':') || ty.extension(key).is_some_and(|schema| self.uncover(schema, value))
        });
    }

    /// Takes out of an extension's object what is not to be seen; false where nothing is left.
    fn uncover(&self, schema: &Schema, value: &mut Value) -> bool {
        let Value::Object(object) = value else { return false };
        object.retain(|key, value| {
            let Some(attribute) = schema.attribute(key).filter(|attribute| self.sees(schema, attribute, None)) else {
                return false;
            };
            if !attribute.sub_attributes.iter().any(Attribute::hidden) {
                return true;
            }
            cut(value, &|key| attribute.sub(key).is_some_and(|part| self.sees(schema, attribute, Some(part))))
        });
        !object.is_empty()
    }

    fn sees(&self, schema: &Schema, attribute: &Attribute, sub: Option<&Attribute>) -> bool {
        let here = |place: &Place| {
            let at =
                place.extension.is_some_and(|other| other.id == schema.id) && named(place.attribute, attribute.name);
            at && sub.is_none_or(|sub| named(place.sub, sub.name))
        };
        match sub.unwrap_or(attribute).returned {
            Returned::Always | Returned::Default => true,
            Returned::Request => self.only.iter().flatten().any(here),
            Returned::Never => false,
        }
    }
}

/// Whether a stored document, given as its text, is answered as it is stored to a client that asks for nothing in
/// particular: it has nothing to be hidden, and no manager, whose `$ref` is made for each answer. May say no without need.
pub fn shown_as_stored(ty: &ResourceType, stored: &str) -> bool {
    let hides = |schema: &&Schema| {
        let hidden =
            |attribute: &Attribute| attribute.hidden() || attribute.sub_attributes.iter().any(Attribute::hidden);
        schema.attributes.iter().any(hidden)
    };
    // A key with a colon is an extension's: that of an undeclared one is none of these.
    let foreign = |key: &str| !ty.extensions.iter().any(|schema| key.strip_prefix(schema.id) == Some(""));
    !ty.extensions.iter().any(hides) && !stored.contains("\"manager\"") && !quoted_urns(stored).any(foreign)
}

/// Every string of a JSON text that begins like a URN.
fn quoted_urns(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices('"').map(|(at, _)| &text[at + 1..]);
    let urns = starts.filter(|rest| rest.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("urn:")));
    urns.map(|rest| rest.split('"').next().unwrap_or_default())
}

fn places(ty: &ResourceType, text: &str) -> Result<Vec<Place>, ScimError> {
    let mut places = Vec::new();
    for (index, name) in text.split(',').enumerate() {
        if index == MOST_NAMES {
            return Err(ScimError::too_many(format!("More than {MOST_NAMES} attribute names are asked for.")));
        }
        if let Found::Known(place) = path::find(ty, name.trim()) {
            places.push(place);
        }
    }
    Ok(places)
}

fn always(ty: &ResourceType, key: &str) -> bool {
    key == "schemas" || ty.attribute(key).is_some_and(is_always)
}

fn is_always(attribute: &Attribute) -> bool {
    attribute.returned == Returned::Always
}

/// Whether a member of the document is selected; what is selected only in part is cut.
fn keep(ty: &ResourceType, only: &[Place], key: &str, value: &mut Value) -> bool {
    let Some(extension) = ty.extension(key) else {
        let here: Vec<&Place> =
            only.iter().filter(|place| place.extension.is_none() && named(place.attribute, key)).collect();
        return keep_parts(ty.attribute(key), &here, value);
    };
    let here: Vec<&Place> = only.iter().filter(|place| place.extension.is_some_and(|e| e.id == key)).collect();
    if here.iter().any(|place| place.attribute.is_none()) {
        return true;
    }
    let Value::Object(object) = value else { return false };
    object.retain(|key, value| {
        let attribute = extension.attribute(key);
        let here: Vec<&Place> = here.iter().copied().filter(|place| named(place.attribute, key)).collect();
        attribute.is_some_and(is_always) || keep_parts(attribute, &here, value)
    });
    !object.is_empty()
}

fn named(attribute: Option<&Attribute>, key: &str) -> bool {
    attribute.is_some_and(|attribute| attribute.name == key)
}

/// Cuts one attribute down to the selected sub-attributes; false where nothing of it is selected or left.
fn keep_parts(attribute: Option<&Attribute>, places: &[&Place], value: &mut Value) -> bool {
    if places.iter().any(|place| place.sub.is_none()) {
        return true;
    }
    let always = |key: &str| attribute.and_then(|attribute| attribute.sub(key)).is_some_and(is_always);
    !places.is_empty() && cut(value, &|key| places.iter().any(|place| named(place.sub, key)) || always(key))
}

/// Cuts an object, or the objects of a list, down to the wanted parts; false where nothing is left.
fn cut(value: &mut Value, wanted: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::Array(elements) => {
            elements.retain_mut(|element| match element {
                Value::Object(object) => {
                    object.retain(|key, _| wanted(key));
                    !object.is_empty()
                }
                _ => false,
            });
            !elements.is_empty()
        }
        Value::Object(object) => {
            object.retain(|key, _| wanted(key));
            !object.is_empty()
        }
        _ => false,
    }
}

fn exclude(place: &Place, doc: &mut Attrs) {
    let Some(extension) = place.extension else {
        if let Some(attribute) = place.attribute {
            exclude_from(doc, attribute, place.sub);
        }
        return;
    };
    let Some(Value::Object(object)) = doc.get_mut(extension.id) else { return };
    match place.attribute {
        Some(attribute) => exclude_from(object, attribute, place.sub),
        None => object.retain(|key, _| extension.attribute(key).is_some_and(is_always)),
    }
    if object.is_empty() {
        doc.remove(extension.id);
    }
}

fn exclude_from(object: &mut Attrs, attribute: &Attribute, sub: Option<&Attribute>) {
    if is_always(sub.unwrap_or(attribute)) {
        return;
    }
    let Some(sub) = sub else {
        object.remove(attribute.name);
        return;
    };
    match object.get_mut(attribute.name) {
        Some(Value::Object(parts)) => {
            parts.remove(sub.name);
        }
        Some(Value::Array(elements)) => {
            for element in elements {
                if let Value::Object(parts) = element {
                    parts.remove(sub.name);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::scim::schema::{group, user};

    fn resource() -> Value {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "u-7f31",
            "meta": { "resourceType": "User", "location": "https://scim.acme.example/t/acme/v2/Users/u-7f31" },
            "userName": "amoss",
            "name": { "givenName": "Ann", "familyName": "Moss" },
            "emails": [{ "value": "ann@corp.example", "type": "work" }, { "value": "ann@home.example" }],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
                { "department": "Ops", "manager": { "value": "u-1190", "displayName": "Cy" } }
        })
    }

    fn keys(attributes: Option<&str>, excluded: Option<&str>) -> Vec<String> {
        let Value::Object(mut doc) = resource() else { return Vec::new() };
        Projection::parse(user(), attributes, excluded).unwrap().apply(user(), &mut doc);
        let mut keys = Vec::new();
        for (key, value) in &doc {
            let short = key.rsplit(':').next().unwrap();
            match value {
                Value::Object(parts) => {
                    keys.push(format!("{short}({})", parts.keys().cloned().collect::<Vec<_>>().join(" ")))
                }
                Value::Array(list) if list[0].is_object() => keys.push(format!("{short}{}", Value::from(list.clone()))),
                _ => keys.push(short.to_owned()),
            }
        }
        keys.sort();
        keys
    }

    #[test]
    fn attributes_selects_and_id_and_schemas_stay() {
        for (attributes, expected) in [
            ("id", vec!["id", "schemas"]),
            ("USERNAME", vec!["id", "schemas", "userName"]),
            ("userName, name.givenName", vec!["id", "name(givenName)", "schemas", "userName"]),
            ("emails.type", vec![r#"emails[{"type":"work"}]"#, "id", "schemas"]),
            ("meta.location", vec!["id", "meta(location)", "schemas"]),
            ("department", vec!["User(department)", "id", "schemas"]),
            ("manager.value,favouriteColour", vec!["User(manager)", "id", "schemas"]),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
                vec!["User(department manager)", "id", "schemas"],
            ),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
                vec!["User(department)", "id", "schemas"],
            ),
            ("urn:ietf:params:scim:schemas:core:2.0:User:userName", vec!["id", "schemas", "userName"]),
            ("favouriteColour", vec!["id", "schemas"]),
        ] {
            assert_eq!(keys(Some(attributes), None), expected, "{attributes}");
        }
    }

    #[test]
    fn excluded_attributes_takes_away_but_never_the_id() {
        let all = keys(None, None);
        assert_eq!(all.len(), 7);
        assert_eq!(keys(None, Some("id,schemas")), all);
        assert_eq!(keys(Some(""), None), all);
        let without = keys(None, Some("emails,meta,name.givenName,department"));
        assert_eq!(without, ["User(manager)", "id", "name(familyName)", "schemas", "userName"]);
        assert_eq!(keys(Some("userName,name"), Some("name")), ["id", "schemas", "userName"]);
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        assert!(!keys(None, Some(enterprise)).iter().any(|key| key.starts_with("User")));
    }

    #[test]
    fn members_are_only_read_when_they_are_wanted() {
        let parse = |attributes, excluded| Projection::parse(group(), attributes, excluded).unwrap();
        assert!(parse(None, None).wants("members"));
        assert!(parse(None, None).is_default());
        assert!(!parse(None, Some("Members")).wants("members"));
        assert!(parse(None, Some("members.display")).wants("members"));
        assert!(!parse(Some("id"), None).wants("members"));
        assert!(parse(Some("displayName,members.value"), None).wants("members"));
        assert!(!parse(Some("id"), None).is_default());
    }

    #[test]
    fn a_flood_of_names_is_refused() {
        let flood = "userName,".repeat(100_000);
        assert_eq!(Projection::parse(user(), Some(&flood), None).unwrap_err().status, 400);
    }
}
