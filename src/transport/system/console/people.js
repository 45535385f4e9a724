// Names and roles of members, asked for by one call a page.

import { call } from "./api.js";
import { onForget } from "./session.js";

const ALL = ["USER_STATUS_ACTIVE", "USER_STATUS_SUSPENDED", "USER_STATUS_LEFT"];
const names = new Map();
/** The memberships of accounts, by `ORGANIZATION/ACCOUNT`. */
const memberIds = new Map();

onForget(() => {
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

async function memberships(organizationId, filter, options) {
  const answer = await call("members.ListMemberships", { organizationId, filter, page: { pageSize: 100 } }, options);
  return answer.memberships ?? [];
}

/** The names of accounts that are members, by the accounts' ids. */
export async function accountNames(organizationId, ids, options) {
  const key = (accountId) => `${organizationId}/${accountId}`;
  const accounts = [...new Set(ids)].filter(Boolean);
  const missing = accounts.filter((id) => !memberIds.has(key(id))).slice(0, 100);
  if (missing.length > 0) {
    const found = await memberships(organizationId, { accountIds: missing }, options);
    found.forEach(({ accountId, memberId }) => memberIds.set(key(accountId), memberId));
  }
  const found = accounts.filter((id) => memberIds.has(key(id)));
  const members = await memberNames(organizationId, found.map((id) => memberIds.get(key(id))), options);
  return new Map(found.map((id) => [id, members.get(memberIds.get(key(id)))]));
}

/** The memberships of members by their ids: the list itself has neither all roles nor ends. */
export async function exactMemberships(organizationId, members, options) {
  const memberIds = members.filter(({ status }) => status !== "USER_STATUS_LEFT").map(({ userId }) => userId);
  const found = memberIds.length === 0 ? [] : await memberships(organizationId, { memberIds }, options);
  return new Map(found.map((membership) => [membership.memberId, membership]));
}
