import { call, requestId } from "../api.js";
import { h } from "../dom.js";
import { image } from "../qr.js";
import { options } from "../roles.js";
import { role, t } from "../text.js";
import { ask, badge, button, card, check, confirm, copy, field, list, menu, row, say, select, time } from "../ui.js";

/** The address that opens an invite. */
const linkOf = (token) => new URL(`invite#${token}`, document.baseURI).href;

const showCode = (link) => ask({ title: t("links.code"), body: [image(link, t("links.code")), h("p", { class: "hint" }, t("links.codeHint"))] });

function linkField(token) {
  const link = linkOf(token);
  const input = h("input", { readonly: true, value: link, class: "link", onfocus: () => input.select() });
  return h("div", { class: "link-field" }, field(t("links.link"), input), h("div", { class: "bar" },
    button(t("copy"), () => copy(link), { class: "primary" }), button(t("links.code"), async () => { showCode(link); })));
}

/** The join link and named links. */
export function links({ organization, signal }) {
  const organizationId = organization.id;
  const named = list({
    label: t("links.named"),
    empty: t("links.none"),
    load: async (pageToken) => {
      const filter = { kinds: ["INVITE_KIND_NAMED_LINK"], states: ["INVITE_STATE_LIVE"] };
      const answer = await call("invites.List", { organizationId, filter, page: { pageToken } }, { signal });
      return [answer.invites ?? [], answer.nextPageToken];
    },
    row: (invite, { reload }) => namedRow(organizationId, invite, reload),
  });
  const make = async () => {
    const invite = await create(organizationId);
    if (!invite) return;
    named.reload();
    await ask({ title: t("links.created"), body: [linkField(invite.token)] });
  };
  return [joinLink(organizationId, signal), card(t("links.named"), h("p", { class: "muted" }, t("links.namedNote")),
    h("div", { class: "bar" }, button(t("links.create"), make)), named)];
}

function joinLink(organizationId, signal) {
  const place = h("div", {});
  const show = (invite) => {
    const replace = async () => {
      const fresh = await confirm(t("links.replaceTitle"), t("links.replaceNote"), t("links.replace"),
        async () => (await call("organizations.CreateOrganizationInvite", { organizationId })).invite);
      if (!fresh) return;
      show(fresh);
      say(t("links.replaced"));
    };
    const element = linkField(invite.inviteId);
    element.lastChild.append(button(t("links.replace"), replace));
    place.replaceChildren(element);
  };
  const shown = list({
    label: t("links.join"),
    empty: () => place,
    load: async () => {
      show((await call("organizations.GetOrganizationInvite", { organizationId }, { signal })).invite);
      return [[], ""];
    },
  });
  return card(t("links.join"), h("p", { class: "muted" }, t("links.joinNote")), shown);
}

function namedRow(organizationId, invite, reload) {
  const ids = { organizationId, id: invite.id };
  const title = invite.note || t("links.noNote");
  const open = async () => {
    const { invite: whole } = await call("invites.Get", ids);
    ask({ title, body: [linkField(whole.token)] });
  };
  const revoke = async () => {
    const done = await confirm(t("links.revokeTitle", { name: title }), t("links.revokeNote"), t("revoke"), async () => {
      await call("invites.Revoke", ids);
      return true;
    });
    if (done) reload();
  };
  const max = Number(invite.maxUses ?? 0);
  const uses = max ? t("links.usesOf", { uses: Number(invite.uses ?? 0), count: max }) : t("links.uses", { count: Number(invite.uses ?? 0) });
  const gives = invite.role ? role(invite.role) : t("links.content", { level: role(invite.grant?.level ?? "") });
  const name = invite.requiresApproval ? [title, badge(t("links.approval"), "accent")] : title;
  return row(name, (invite.allowedDomains ?? []).join(", ") || null,
    [gives, uses, h("span", { class: "muted" }, invite.expireTime ? [t("ends"), " ", time(invite.expireTime)] : t("links.never"))],
    [button(t("links.show"), open), menu(t("actions", { name: title }), [[t("revoke"), revoke, true]])]);
}

function create(organizationId) {
  const note = h("input", { maxlength: 256, autocomplete: "off" });
  const chosen = select(options(), "member");
  const ends = h("input", { type: "datetime-local" });
  const uses = h("input", { type: "number", min: 0, value: 0, required: true });
  const domains = h("input", { autocomplete: "off", spellcheck: "false", placeholder: "example.com" });
  const approval = h("input", { type: "checkbox" });
  const request = requestId();
  return ask({
    title: t("links.create"),
    body: [field(t("links.note"), note), field(t("role"), chosen), field(t("links.ends"), ends, t("links.endsHint")),
      field(t("links.maxUses"), uses, t("links.maxUsesHint")), field(t("links.domains"), domains, t("links.domainsHint")),
      check(t("links.approval"), approval, t("links.approvalHint"))],
    action: t("create"),
    draft: `links/${organizationId}`,
    work: async () => (await call("invites.CreateLink", {
      organizationId, role: chosen.value, note: note.value, maxUses: Number(uses.value),
      expireTime: ends.value ? new Date(ends.value).toISOString() : undefined,
      allowedDomains: domains.value.split(/[\s,;]+/).filter(Boolean), requiresApproval: approval.checked, requestId: request,
    })).invite,
  });
}
