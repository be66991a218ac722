//! From SCIM groups to Jira groups: which of them a SCIM group stands for, and what happens to memberships. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::pattern::Pattern;
use crate::account::fold;

/// Rules for groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Groups {
    /// Whether anything is done about groups and memberships at all.
    pub enabled: bool,
    /// See [`Mode`].
    pub mode: Mode,
    /// On the fly: only SCIM groups whose name fits one of these; empty: all.
    pub include: Vec<Pattern>,
    /// On the fly: not those whose name fits one of these.
    pub exclude: Vec<Pattern>,
    /// On the fly: one after the other, what the Jira group is called.
    pub rename: Vec<Rename>,
    /// On the fly: letter case, after the renaming.
    pub case: Case,
    /// SCIM group to Jira groups; a group that stands in here goes by nothing else.
    pub table: Table,
    /// See [`OnRename`].
    pub on_rename: OnRename,
    /// Whether the members of a group in a group are members of the outer one.
    pub nesting: bool,
    /// Jira groups that every active user of the tenant is put into.
    pub default_groups: Vec<String>,
    /// See [`When`].
    pub default_groups_when: When,
    /// Whether a Jira group that does not exist is created.
    pub create_missing: bool,
    /// See [`Remove`].
    pub remove: Remove,
    /// With `remove = "all"`: Jira groups that an account keeps all the same.
    pub remove_exclude: Vec<Pattern>,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            enabled: true,
            mode: Mode::default(),
            include: Vec::new(),
            exclude: Vec::new(),
            rename: Vec::new(),
            case: Case::default(),
            table: Table::default(),
            on_rename: OnRename::default(),
            nesting: true,
            default_groups: Vec::new(),
            default_groups_when: When::default(),
            create_missing: true,
            remove: Remove::default(),
            remove_exclude: Vec::new(),
        }
    }
}

/// SCIM group to Jira groups, found by folded name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Vec<String>>", into = "BTreeMap<String, Vec<String>>")]
pub struct Table {
    written: BTreeMap<String, Vec<String>>,
    folded: HashMap<String, Vec<String>>,
}

impl From<BTreeMap<String, Vec<String>>> for Table {
    fn from(written: BTreeMap<String, Vec<String>>) -> Self {
        let each_once = |names: &Vec<String>| {
            let mut known = HashSet::new();
            let trimmed = names.iter().map(|name| name.trim().to_owned());
            trimmed.filter(|name| known.insert(fold(name))).collect()
        };
        let folded = written.iter().map(|(from, names)| (fold(from.trim()), each_once(names))).collect();
        Self { written, folded }
    }
}

impl From<Table> for BTreeMap<String, Vec<String>> {
    fn from(table: Table) -> Self {
        table.written
    }
}

/// Where the Jira groups come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Every SCIM group stands for a Jira group, by its name.
    #[default]
    OnTheFly,
    /// Only those of the table.
    Manual,
}

/// One renaming.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// What is replaced.
    pub pattern: Pattern,
    /// By what; `$1` is what the first parentheses fit.
    pub with: String,
}

/// The letter case of a Jira group's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// As it is.
    #[default]
    Keep,
    /// Small letters.
    Lower,
    /// Capitals.
    Upper,
}

/// What the renaming of a SCIM group means; a Jira group cannot be renamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnRename {
    /// It goes on standing for the Jira groups of its first name, which stays reserved.
    #[default]
    Alias,
    /// Its members move to the Jira groups of the new name.
    Move,
}

/// Who is put into the default groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Everybody, always.
    #[default]
    Always,
    /// Whose account we create, once.
    Create,
}

/// Which memberships are taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remove {
    /// What we wrote or took over.
    #[default]
    Ours,
    /// Nothing, ever.
    Never,
    /// Whatever the identity provider does not say, except for `remove_exclude`.
    All,
}

/// The names of the Jira groups that a SCIM group of this name stands for, each once.
pub fn jira_groups(rules: &Groups, name: &str) -> Vec<String> {
    let name = name.trim();
    if let Some(listed) = rules.table.folded.get(&fold(name)) {
        return listed.clone();
    }
    let fits = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.is_match(name));
    if rules.mode == Mode::Manual || (!rules.include.is_empty() && !fits(&rules.include)) || fits(&rules.exclude) {
        return Vec::new();
    }
    let renamed = rules.rename.iter().fold(name.to_owned(), |name, rule| rule.pattern.replace(&name, &rule.with));
    let cased = match rules.case {
        Case::Keep => renamed,
        Case::Lower => renamed.to_lowercase(),
        Case::Upper => renamed.to_uppercase(),
    };
    Some(cased.trim().to_owned()).filter(|name| !name.is_empty()).into_iter().collect()
}

impl Groups {
    /// Whether the table says what a SCIM group of this name stands for.
    pub fn lists(&self, name: &str) -> bool {
        self.table.folded.contains_key(&fold(name.trim()))
    }

    /// Whether every SCIM group stands for the Jira group of its own name.
    pub fn is_plain(&self) -> bool {
        self.mode == Mode::OnTheFly && self.rename.is_empty() && self.table.written.is_empty()
    }

    /// Whether an account keeps this group although nobody asks for it.
    pub fn keeps(&self, jira_group: &str) -> bool {
        self.remove_exclude.iter().any(|pattern| pattern.is_match(jira_group))
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let blank = |names: &[String]| names.iter().any(|name| name.trim().is_empty());
        let mut problems = Vec::new();
        if blank(&self.default_groups) {
            problems.push("policy.groups.default_groups: a group name is empty.".to_owned());
        }
        let mut known = HashSet::new();
        for (name, listed) in &self.table.written {
            if name.trim().is_empty() || blank(listed) {
                problems.push(format!("policy.groups.table.{name}: a group name is empty."));
            }
            if !known.insert(fold(name.trim())) {
                problems.push(format!("policy.groups.table.{name}: the group stands in the table twice."));
            }
        }
        for rule in &self.rename {
            if let Some(unknown) = rule.pattern.unknown_reference(&rule.with) {
                problems.push(format!(
                    "policy.groups.rename: {unknown} in \"{}\" stands for nothing in the pattern \"{}\".",
                    rule.with,
                    rule.pattern.as_str()
                ));
            }
        }
        if self.mode == Mode::Manual && self.table.written.is_empty() {
            problems.push("policy.groups.table: mode = \"manual\" needs it.".to_owned());
        }
        if self.remove != Remove::All && !self.remove_exclude.is_empty() {
            problems.push("policy.groups.remove_exclude: says something only with remove = \"all\".".to_owned());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn rules(value: serde_json::Value) -> Groups {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_scim_group_stands_for_the_jira_groups_that_the_rules_say() {
        for (groups, name, expected) in [
            (json!({}), " Developers ", vec!["Developers"]),
            (json!({"include": ["^jira-"]}), "JIRA-users", vec!["JIRA-users"]),
            (json!({"include": ["^jira-"]}), "vpn-users", vec![]),
            (json!({"include": ["^jira-"], "exclude": ["-test$"]}), "jira-x-test", vec![]),
            (json!({"rename": [{"pattern": "^jira-(.+)$", "with": "$1"}]}), "jira-dev", vec!["dev"]),
            (
                json!({"rename": [{"pattern": " ", "with": "-"}, {"pattern": "^", "with": "okta-"}], "case": "lower"}),
                "Team Red",
                vec!["okta-team-red"],
            ),
            (json!({"rename": [{"pattern": "^all$", "with": ""}]}), "all", vec![]),
            (json!({"case": "upper"}), "crew", vec!["CREW"]),
            (json!({"table": {"Crew": ["a", " b ", "A"]}}), "crew", vec!["a", "b"]),
            (json!({"table": {"Crew": []}}), "crew", vec![]),
            (json!({"table": {"Crew": ["a"]}, "exclude": ["crew"]}), "Crew", vec!["a"]),
            (json!({"mode": "manual", "table": {"Crew": ["a"]}}), "Crew", vec!["a"]),
            (json!({"mode": "manual", "table": {"Crew": ["a"]}}), "Other", vec![]),
        ] {
            assert_eq!(jira_groups(&rules(groups.clone()), name), expected, "{groups} {name}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_key() {
        for (groups, words) in [
            (json!({"default_groups": [" "]}), "policy.groups.default_groups"),
            (json!({"table": {"a": [""]}}), "policy.groups.table.a"),
            (json!({"table": {"a": [], "A ": []}}), "twice"),
            (json!({"rename": [{"pattern": "^x", "with": "$1"}]}), "$1"),
            (json!({"mode": "manual"}), "manual"),
            (json!({"remove_exclude": ["x"]}), "remove_exclude"),
        ] {
            let problems = rules(groups.clone()).problems();
            assert!(!problems.is_empty() && problems[0].contains(words), "{groups}: {problems:?}");
        }
        assert!(rules(json!({})).problems().is_empty());
    }
}
