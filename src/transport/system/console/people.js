// Names of members, asked for once.

import { call } from "./api.js";
import { onSignOut } from "./session.js";

const PRESENT = ["USER_STATUS_ACTIVE", "USER_STATUS_SUSPENDED"];
const ALL = [...PRESENT, "USER_STATUS_LEFT"];
const names = new Map();
/** The memberships of accounts, by `ORGANIZATION/ACCOUNT`. */
const memberIds = new Map();

// The next person may not see what this one saw.
onSignOut(() => {
  names.clear();
  memberIds.clear();
});

export const nameOf = (member) => member.fullName || member.email || member.userId;

/** The names of memberships, also of past ones, by their ids. */
export async function memberNames(organizationId, ids, options) {
  const missing = [...new Set(ids)].filter((id) => id && !names.has(id)).slice(0, 25);
  if (missing.length > 0) {
    const filter = { userIds: missing, statuses: ALL };
    const found = await call("organizations.ListMembers", { organizationId, filter, pagination: { pageSize: 100 } }, options);
    (found.members ?? []).forEach((member) => names.set(member.userId, nameOf(member)));
  }
  return names;
}

/** The names of accounts that are members, by the accounts' ids. */
export async function accountNames(organizationId, ids, options) {
  const key = (accountId) => `${organizationId}/${accountId}`;
  const accounts = [...new Set(ids)].filter(Boolean);
  await Promise.all(accounts.filter((id) => !memberIds.has(key(id))).map(async (accountId) => {
    try {
      const { membership } = await call("members.GetMembership", { organizationId, accountId }, options);
      memberIds.set(key(accountId), membership.memberId);
    } catch (error) {
      if (error.code !== "not_found") throw error; // no member, or none any more
    }
  }));
  const found = accounts.filter((id) => memberIds.has(key(id)));
  const members = await memberNames(organizationId, found.map((id) => memberIds.get(key(id))), options);
  return new Map(found.map((id) => [id, members.get(memberIds.get(key(id)))]));
}

/** The roles of members by their ids: the list has only `admin` and `member`. */
export async function exactRoles(organizationId, members, options) {
  const asked = members.map(async ({ userId, role, status }) => {
    if (role === "ORGANIZATION_ROLE_ADMIN") return [userId, "admin"];
    if (status === "USER_STATUS_LEFT") return [userId, ""];
    try {
      const { membership } = await call("members.GetMembership", { organizationId, memberId: userId }, options);
      return [userId, membership.role];
    } catch (error) {
      if (error.code !== "not_found") throw error; // it has left meanwhile
      return [userId, ""];
    }
  });
  return new Map(await Promise.all(asked));
}
