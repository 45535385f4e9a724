import { call, requestId } from "../api.js";
import { h } from "../dom.js";
import { role, t, wrong } from "../text.js";
import { ask, badge, button, card, confirm, field, list, row, say, time } from "../ui.js";

const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/i;
const open = (id) => { location.hash = `#/o/${id}`; };

/** My organizations and my invitations. */
export function home({ signal }) {
  const organizations = list({
    label: t("home.title"),
    empty: t("home.empty"),
    load: async (pageToken) => {
      const answer = await call("mine.ListMyOrganizations", { page: { pageToken } }, { signal });
      return [answer.organizations ?? [], answer.nextPageToken];
    },
    row: ({ organization, role: mine }) =>
      row(h("a", { href: `#/o/${organization.id}` }, organization.name), null, [badge(role(mine)), h("span", { class: "muted" }, t("home.since"), " ", time(organization.createdAt))]),
  });
  const invitations = list({
    label: t("home.invitations"),
    empty: t("home.noInvitations"),
    load: async (pageToken) => {
      const answer = await call("invites.ListMyInvitations", { page: { pageToken } }, { signal });
      return [answer.invitations ?? [], answer.nextPageToken];
    },
    row: (invitation, { reload }) => {
      const accept = async () => {
        const { membership } = await call("invites.Accept", { invitation: invitation.id });
        say(t("home.joined", { name: invitation.organizationName }));
        open(membership.organizationId);
      };
      const decline = async () => {
        const request = requestId();
        const done = await confirm(t("home.declineTitle"), t("home.declineNote", { name: invitation.organizationName }), t("home.decline"), async () => {
          await call("invites.Decline", { invitation: invitation.id, requestId: request });
          return true;
        });
        if (done) reload();
      };
      const note = invitation.inviterName ? t("home.from", { name: invitation.inviterName }) : null;
      return row(invitation.organizationName, note,
        [badge(role(invitation.role)), h("span", { class: "muted" }, t("ends"), " ", time(invitation.expireTime))],
        [button(t("home.accept"), accept, { class: "primary" }), button(t("home.decline"), decline)]);
    },
  });
  const joinable = list({
    label: t("joinable.title"),
    empty: t("joinable.none"),
    load: async () => [(await call("requests.ListJoinableOrganizations", {}, { signal })).organizations ?? [], ""],
    row: joinableRow,
  });
  const bar = h("div", { class: "bar" }, button(t("home.create"), create, { class: "primary" }), button(t("home.join"), join));
  return [bar, card(t("home.mine"), organizations), card(t("home.invitations"), invitations), card(t("joinable.title"), joinable)];
}

/** An organization that the person may join, or ask to. */
function joinableRow({ organizationId, name, memberCount, needsApproval, pendingRequest }, { reload }) {
  const enter = async () => {
    await call("organizations.JoinOrganization", { organizationId });
    say(t("home.joined", { name }));
    open(organizationId);
  };
  const askToJoin = async () => {
    await call("requests.CreateJoinRequest", { organizationId });
    say(t("joinable.asked", { name }));
    reload();
  };
  const withdraw = async () => {
    await call("requests.WithdrawJoinRequest", { organizationId, joinRequestId: pendingRequest.id });
    say(t("joinable.withdrawn", { name }));
    reload();
  };
  const action = pendingRequest ? button(t("joinable.withdraw"), withdraw)
    : needsApproval ? button(t("joinable.ask"), askToJoin, { class: "primary" }) : button(t("joinable.join"), enter, { class: "primary" });
  const title = pendingRequest ? [name, badge(t("joinable.waiting"), "warn")] : name;
  return row(title, null, [h("span", { class: "muted" }, t("members.count", { count: Number(memberCount ?? 0) }))], action);
}

async function create() {
  const name = h("input", { required: true, minlength: 3, maxlength: 256, autocomplete: "off" });
  const id = await ask({
    title: t("home.create"),
    body: [field(t("organization.name"), name)],
    action: t("create"),
    draft: "home.create",
    work: async () => (await call("organizations.CreateOrganization", { name: name.value, joinOrganization: true })).organization.id,
  });
  if (id) open(id);
}

/** Joins by the token of a link, or by the id of an organization. */
async function join() {
  const text = h("input", { required: true, autocomplete: "off", spellcheck: "false" });
  const id = await ask({
    title: t("home.join"),
    body: [field(t("home.joinBy"), text, t("home.joinHint"))],
    action: t("home.joinAction"),
    draft: "home.join",
    work: async () => {
      const token = text.value.match(UUID)?.[0];
      if (!token) throw wrong(t("home.joinWrong"));
      try {
        const preview = await call("invites.Preview", { token });
        try {
          await call("organizations.JoinOrganization", { inviteId: token });
        } catch (error) {
          if (error.reason !== "APPROVAL_PENDING") throw error;
          say(t("joinable.asked", { name: preview.organizationName }));
          return "";
        }
        return preview.organizationId;
      } catch (error) {
        if (error.code !== "not_found") throw error;
      }
      await call("organizations.JoinOrganization", { organizationId: token });
      return token;
    },
  });
  if (id) open(id);
}
