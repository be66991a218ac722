//! How the tenant's clients are answered: what the RFCs leave open and clients disagree about.

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::scim::Types;

/// The body of a successful PATCH (RFC 7644 section 3.5.2 allows both).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PatchAnswer {
    /// 200 with the resource.
    Resource,
    /// 204 without a body; 200 all the same where the client asks for attributes.
    Empty,
}

/// What a member id that is nobody's does to its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownMembers {
    /// It is left out and recorded in the audit: a 400 would end a whole group push for good (`OKTA-28`).
    #[default]
    Skip,
    /// The request is answered 400 and changes nothing.
    Refuse,
}

/// The status of a successful DELETE under SCIM 1.1 (`S11-21`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeleteAnswer {
    /// 204 without a body.
    #[default]
    Empty,
    /// 200, which the examples of the 1.1 text and its test suite show.
    Ok,
}

/// `policy.scim`: how this tenant's clients are answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scim {
    /// What answers the PATCH of a user (`VAL-9`).
    pub user_patch: PatchAnswer,
    /// What answers the PATCH of a group (`ENTRA-25`).
    pub group_patch: PatchAnswer,
    /// See [`UnknownMembers`].
    pub unknown_members: UnknownMembers,
    /// See [`DeleteAnswer`].
    pub v1_delete: DeleteAnswer,
    /// Extensions of this tenant: schema documents (RFC 7643 section 7) with one more key, `resource`. Read by
    /// [`Types::declared`].
    pub schemas: Vec<Value>,
    /// Where the tenant's clients may come from; empty: from anywhere.
    #[serde(deserialize_with = "networks")]
    pub networks: Vec<IpNet>,
}

/// A single address is a network, too.
fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let network = |text: String| {
        let address = || text.trim().parse::<std::net::IpAddr>().map(IpNet::from).ok();
        let network = text.trim().parse::<IpNet>().ok().map(|network| network.trunc()).or_else(address);
        network.ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no network such as 198.51.100.0/24")))
    };
    Vec::<String>::deserialize(deserializer)?.into_iter().map(network).collect()
}

impl Scim {
    /// The schemas of the tenant: those of every tenant, and its own.
    ///
    /// # Errors
    /// One sentence for each thing that is wrong in a declaration.
    pub fn types(&self) -> Result<Types, Vec<String>> {
        Types::declared(&self.schemas)
    }

    /// The same for a tenant that publishes when people last logged in (`policy.last_login.publish`).
    ///
    /// # Errors
    /// As [`Scim::types`].
    pub fn types_with_login(&self) -> Result<Types, Vec<String>> {
        Types::declared_with_login(&self.schemas)
    }
}

impl Default for Scim {
    fn default() -> Self {
        Self {
            user_patch: PatchAnswer::Resource,
            group_patch: PatchAnswer::Empty,
            unknown_members: UnknownMembers::default(),
            v1_delete: DeleteAnswer::default(),
            schemas: Vec::new(),
            networks: Vec::new(),
        }
    }
}
