//! Conditions on what hangs together by edges: the groups of a user, the members of a group.

use super::{Compiler, Scope, Test, path};
use crate::scim::filter::Expr;

/// `x`: the groups of `u` with their `id` and `display`, and whether he is in them directly. Upwards from the user,
/// because a group that he is in directly is `direct` even if he is in it through another one as well.
pub(super) const GROUPS_OF_USER: &str = "(WITH RECURSIVE up AS (
        SELECT y.id, true AS direct
        FROM group_member m JOIN scim_group y ON y.tenant_id = m.tenant_id AND y.id = m.group_id
        WHERE m.tenant_id = u.tenant_id AND m.member_id = u.id AND NOT m.is_group AND y.deleted_at IS NULL
        UNION
        SELECT y.id, false
        FROM up JOIN group_member m ON m.tenant_id = u.tenant_id AND m.member_id = up.id AND m.is_group
                JOIN scim_group y ON y.tenant_id = m.tenant_id AND y.id = m.group_id
        WHERE y.deleted_at IS NULL
    )
    SELECT y.id, y.display_name_key AS display, bool_or(up.direct) AS direct
    FROM up JOIN scim_group y ON y.tenant_id = u.tenant_id AND y.id = up.id
    GROUP BY y.id, y.display_name_key) x";

/// `m`: the living members of `g`; `mu` is the user, `mg` the group.
pub(super) const MEMBERS_OF_GROUP: &str = "group_member m
        LEFT JOIN scim_user mu ON NOT m.is_group AND mu.tenant_id = m.tenant_id AND mu.id = m.member_id
            AND mu.deleted_at IS NULL
        LEFT JOIN scim_group mg ON m.is_group AND mg.tenant_id = m.tenant_id AND mg.id = m.member_id
            AND mg.deleted_at IS NULL
    WHERE m.group_id = g.id AND (mu.id IS NOT NULL OR mg.id IS NOT NULL)";

impl Compiler<'_> {
    /// Some group that the user is in, directly or through groups in it, passes the test.
    pub(super) fn group_of_user(&mut self, test: &Test<'_>) {
        if asks_how(test) {
            self.group_of_user_how(test);
            return;
        }
        // Downwards from the groups that pass: asked once for the whole query, not once a user. UNION ends loops.
        self.sql.push("u.id IN (WITH RECURSIVE down AS (SELECT x.id FROM scim_group x WHERE x.tenant_id = ");
        self.sql.push_bind(self.tenant_id).push(" AND x.deleted_at IS NULL AND ");
        self.test(&Scope::GroupOfUser, test);
        self.sql.push(" UNION SELECT c.id FROM down JOIN group_member m ON m.tenant_id = ").push_bind(self.tenant_id);
        self.sql.push(
            " AND m.group_id = down.id AND m.is_group
             JOIN scim_group c ON c.tenant_id = m.tenant_id AND c.id = m.member_id AND c.deleted_at IS NULL)
             SELECT m.member_id FROM down JOIN group_member m ON m.tenant_id = ",
        );
        self.sql.push_bind(self.tenant_id).push(" AND m.group_id = down.id AND NOT m.is_group)");
    }

    /// The same where the test looks at `type`: who is in which group how, worked out once for the whole query. A group that
    /// somebody is in directly is `direct` also where he is in it through another one.
    fn group_of_user_how(&mut self, test: &Test<'_>) {
        self.sql.push("u.id IN (WITH RECURSIVE alive AS (SELECT id, display_name_key AS display FROM scim_group WHERE tenant_id = ");
        self.sql
            .push_bind(self.tenant_id)
            .push(" AND deleted_at IS NULL), edge AS (SELECT m.group_id, m.member_id, m.is_group");
        self.sql
            .push(" FROM group_member m JOIN alive ON alive.id = m.group_id WHERE m.tenant_id = ")
            .push_bind(self.tenant_id);
        self.sql.push(
            "), above AS (
                 SELECT member_id AS id, group_id AS over FROM edge WHERE is_group
                 UNION
                 SELECT above.id, edge.group_id FROM above JOIN edge ON edge.is_group AND edge.member_id = above.over
             ), up AS (
                 SELECT member_id AS user_id, group_id AS id, true AS direct FROM edge WHERE NOT is_group
                 UNION ALL
                 SELECT edge.member_id, above.over, false FROM edge JOIN above ON above.id = edge.group_id WHERE NOT edge.is_group
             ), x AS (
                 SELECT up.user_id, alive.id, alive.display, bool_or(up.direct) AS direct
                 FROM up JOIN alive ON alive.id = up.id GROUP BY up.user_id, alive.id, alive.display
             )
             SELECT x.user_id FROM x WHERE ",
        );
        self.test(&Scope::GroupOfUserHow, test);
        self.sql.push(")");
    }

    /// Some living member of the group passes the test.
    pub(super) fn member_of_group(&mut self, test: &Test<'_>) {
        self.sql.push("EXISTS (SELECT FROM ").push(MEMBERS_OF_GROUP).push(" AND m.tenant_id = ");
        self.sql.push_bind(self.tenant_id).push(" AND ");
        self.test(&Scope::MemberOfGroup, test);
        self.sql.push(")");
    }
}

/// Whether the test looks at how a user is in a group.
fn asks_how(test: &Test<'_>) -> bool {
    match test {
        Test::Present(rest) | Test::Compare(_, rest, ..) => rest.first().is_some_and(|key| key == "type"),
        Test::Filter(filter) => mentions_type(filter),
    }
}

fn mentions_type(expr: &Expr) -> bool {
    match expr {
        Expr::And(all) | Expr::Or(all) => all.iter().any(mentions_type),
        Expr::Not(inner) => mentions_type(inner),
        Expr::Present(attr) | Expr::Compare { attr, .. } | Expr::Any { attr, .. } => path(attr) == ["type"],
        Expr::True | Expr::False => false,
    }
}
