import { call } from "../api.js";
import { selection } from "../batch.js";
import { h } from "../dom.js";
import { exactMemberships, nameOf } from "../people.js";
import { options } from "../roles.js";
import { moment, role, t } from "../text.js";
import { ask, badge, busy, confirm, field, list, menu, row, say, select, time } from "../ui.js";

const MANAGE = "PERMISSION_MANAGE_MEMBERS";
const SEARCH_PAUSE_MS = 250;

/** Members: search, filters, roles, suspending, removing, leaving, and changes of many at once. */
export function members({ organization, membership, may, query, setQuery, signal, renew }) {
  const organizationId = organization.id;
  const search = h("input", { type: "search", value: query.get("search") ?? "", placeholder: t("members.search"), "aria-label": t("members.search"), maxlength: 256 });
  const roles = select([["", t("members.allRoles")], ["ORGANIZATION_ROLE_ADMIN", t("members.admins")], ["ORGANIZATION_ROLE_MEMBER", t("members.others")]],
    query.get("role") ?? "", { "aria-label": t("role") });
  const statuses = select([["", t("members.present")], ["USER_STATUS_ACTIVE", t("status.USER_STATUS_ACTIVE")], ["USER_STATUS_SUSPENDED", t("status.USER_STATUS_SUSPENDED")], ["USER_STATUS_LEFT", t("status.USER_STATUS_LEFT")]],
    query.get("status") ?? "", { "aria-label": t("status") });
  const total = h("p", { class: "muted total", role: "status" });
  const batch = may(MANAGE) ? selection(organizationId, membership.role, () => found.reload()) : null;

  const found = list({
    label: t("members.title"),
    empty: t("members.empty"),
    load: async (token) => {
      const filter = { search: search.value, roles: roles.value ? [roles.value] : [], statuses: statuses.value ? [statuses.value] : [] };
      const filtered = Boolean(search.value || roles.value || statuses.value);
      const answer = await call("organizations.ListMembers", { organizationId, filter, pagination: { pageSize: 25, token }, count: { include: !token && !filtered } }, { signal });
      const entries = answer.members ?? [];
      // To count what matches would read all members.
      const count = answer.pagination?.nextToken ? answer.count?.value : entries.length;
      if (!token) total.replaceChildren(count === undefined ? "" : t("members.count", { count: Number(count) }));
      const exact = await exactMemberships(organizationId, entries, { signal });
      if (!token) batch?.reset();
      const complete = (member) => {
        const contractRole = member.role === "ORGANIZATION_ROLE_ADMIN" ? "admin" : "";
        const { role = contractRole, expireTime } = exact.get(member.userId) ?? {};
        return { ...member, role, expireTime };
      };
      return [entries.map(complete), answer.pagination?.nextToken];
    },
    row: memberRow,
  });

  function memberRow(member, { reload }) {
    const name = nameOf(member);
    const own = member.userId === membership.memberId;
    const left = member.status === "USER_STATUS_LEFT";
    const ids = { organizationId, memberId: member.userId };
    const chosen = select(options(membership.role), member.role, { "aria-label": t("members.roleOf", { name }) });
    chosen.addEventListener("change", () => busy(chosen, async () => {
      try {
        await call("members.SetMemberRole", { ...ids, role: chosen.value });
        member.role = chosen.value;
        say(t("members.roleSet", { name, role: role(chosen.value) }));
      } catch (error) {
        chosen.value = member.role;
        throw error;
      }
    }));
    const change = (method) => async () => {
      await call(`members.${method}`, ids);
      reload();
    };
    const suspend = async () => {
      const done = await confirm(t("members.suspendTitle", { name }), t("members.suspendNote"), t("members.suspend"), async () => {
        await call("members.SuspendMember", ids);
        return true;
      });
      if (done) reload();
    };
    const remove = async () => {
      const done = await confirm(t("members.removeTitle", { name }), t("members.removeNote"), t("members.remove"), async () => {
        await call("organizations.LeaveOrganization", { userId: member.userId });
        return true;
      });
      if (done) reload();
    };
    const setEnd = async () => {
      const end = h("input", { type: "datetime-local", value: localTime(member.expireTime) });
      const done = await ask({
        title: t("members.endTitle", { name }), action: t("save"),
        body: [field(t("ends"), end, t("members.endHint"))],
        work: async () => {
          const expireTime = end.value ? new Date(end.value).toISOString() : undefined;
          await call("members.SetMemberExpiry", { ...ids, expireTime });
          return true;
        },
      });
      if (done) reload();
    };
    const transfer = async () => {
      const ownRole = select(options(membership.role), "member");
      const done = await ask({
        title: t("members.transferTitle", { name }), danger: true, action: t("members.transfer"),
        body: [h("p", {}, t("members.transferNote", { name })), field(t("members.ownRole"), ownRole)],
        work: async () => {
          await call("members.TransferOwnership", { ...ids, ownRole: ownRole.value });
          return true;
        },
      });
      if (!done) return;
      say(t("members.transferred", { name }));
      renew(); // the person may do less from now on
    };
    const suspended = member.status === "USER_STATUS_SUSPENDED";
    const actions = [
      may(MANAGE) && !own && !left && !suspended && [t("members.transfer"), transfer],
      may(MANAGE) && !own && !left && [t("members.setEnd"), setEnd],
      may(MANAGE) && !own && !left && (suspended ? [t("members.restore"), change("RestoreMember")] : [t("members.suspend"), suspend]),
      may(MANAGE) && !own && !left && [t("members.remove"), remove, true],
      own && [t("members.leave"), () => leave(organization, membership), true],
    ];
    const title = [name, own && badge(t("members.you"), "accent"), suspended && badge(t("status.USER_STATUS_SUSPENDED"), "warn"), left && badge(t("status.USER_STATUS_LEFT"))];
    const ends = member.expireTime && t("members.until", { time: moment(member.expireTime) });
    const note = [member.email === name ? null : member.email, ends].filter(Boolean).join(" · ");
    return row(title.filter(Boolean), note || null,
      [may(MANAGE) && !left && !suspended ? chosen : h("span", {}, role(member.role)), h("span", { class: "muted" }, time(member.memberSince))],
      menu(t("actions", { name }), actions), batch && (own || left ? h("span") : batch.box(member.userId, name)));
  }

  function filterChanged() {
    setQuery({ search: search.value, role: roles.value, status: statuses.value });
    found.reload();
  }
  let pause;
  search.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(filterChanged, SEARCH_PAUSE_MS);
  });
  roles.addEventListener("change", filterChanged);
  statuses.addEventListener("change", filterChanged);
  const invite = may("PERMISSION_MANAGE_INVITES") && h("a", { class: "button primary", href: `#/o/${organizationId}/invitations` }, t("members.invite"));
  return [h("div", { class: "bar filters" }, search, roles, statuses, invite), total, h("div", { class: "card flush members" }, batch?.element, found)];
}

/** A time as its input has it: in the browser's zone, to the minute. */
function localTime(text) {
  if (!text) return "";
  const time = new Date(text);
  return new Date(time - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** Leaves an organization. The last admin names a successor. */
async function leave(organization, { memberId, role: own }) {
  const organizationId = organization.id;
  const body = [h("p", {}, t("members.leaveNote"))];
  let successor;
  if (own === "admin") {
    const answer = await call("organizations.ListMembers", { organizationId, filter: { statuses: ["USER_STATUS_ACTIVE"] }, pagination: { pageSize: 100 } });
    const others = (answer.members ?? []).filter((member) => member.userId !== memberId);
    successor = select([["", t("members.noSuccessor")], ...others.map((member) => [member.userId, nameOf(member)])], "");
    if (others.length > 0) body.push(field(t("members.successor"), successor, t("members.successorHint")));
  }
  const done = await ask({
    title: t("members.leaveTitle", { name: organization.name }), body, action: t("members.leave"), danger: true,
    work: async () => {
      await call("members.LeaveOrganization", { organizationId, successorMemberId: successor?.value ?? "" });
      return true;
    },
  });
  if (done) location.hash = "#/";
}
