// Names of members, asked for once.

import { call } from "./api.js";

const PRESENT = ["USER_STATUS_ACTIVE", "USER_STATUS_SUSPENDED"];
const ALL = [...PRESENT, "USER_STATUS_LEFT"];
const names = new Map();

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
