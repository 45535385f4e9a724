import { parse } from "../addresses.js";
import { call, requestId } from "../api.js";
import { h } from "../dom.js";
import { keep } from "../drafts.js";
import { options } from "../roles.js";
import { role, t } from "../text.js";
import { badge, busy, button, card, confirm, field, list, menu, row, say, select, time } from "../ui.js";

/** The addresses of one request: small, so that the progress is seen. */
const PART = 50;
const MAX_FILE_BYTES = 4 * 1024 * 1024;
const INVITED = "EMAIL_INVITATION_OUTCOME_INVITED";
const TONES = { DELIVERY_SENT: "good", DELIVERY_FAILED: "bad", DELIVERY_PENDING: "" };

/** Inviting by mail, and the invitations that there are. */
export function invitations({ organization, query, setQuery, signal }) {
  const organizationId = organization.id;
  const states = select(["LIVE", "ACCEPTED", "EXPIRED", "DECLINED", "REVOKED"].map((name) => [name, t(`state.${name}`)]),
    query.get("state") ?? "LIVE", { "aria-label": t("state") });
  const total = h("span", { class: "muted" });
  const sent = list({
    label: t("invitations.list"),
    empty: () => h("p", { class: "empty" }, t(states.value === "LIVE" ? "invitations.none" : "invitations.noneOther")),
    load: async (pageToken) => {
      const filter = { kinds: ["INVITE_KIND_EMAIL"], states: [`INVITE_STATE_${states.value}`] };
      const answer = await call("invites.List", { organizationId, filter, page: { pageToken }, count: !pageToken }, { signal });
      if (!pageToken) total.replaceChildren(t("invitations.count", { count: Number(answer.count ?? 0) }));
      return [answer.invites ?? [], answer.nextPageToken];
    },
    row: (invite, { reload }) => invitationRow(organizationId, invite, reload),
  });
  states.addEventListener("change", () => {
    setQuery({ state: states.value === "LIVE" ? "" : states.value });
    sent.reload();
  });
  return [
    card(t("invitations.new"), form(organizationId, sent)),
    card(t("invitations.list"), h("div", { class: "bar filters" }, states, total), sent),
  ];
}

function invitationRow(organizationId, invite, reload) {
  const ids = { organizationId, id: invite.id };
  const isLive = invite.state === "INVITE_STATE_LIVE";
  const resend = async () => {
    await call("invites.Resend", { ...ids, requestId: requestId() });
    say(t("invitations.resent", { email: invite.email }));
    reload();
  };
  const revoke = async () => {
    const done = await confirm(t("invitations.revokeTitle", { email: invite.email }), t("invitations.revokeNote"), t("revoke"), async () => {
      await call("invites.Revoke", ids);
      return true;
    });
    if (done) reload();
  };
  const delivery = invite.delivery && badge(t(`delivery.${invite.delivery}`), TONES[invite.delivery]);
  const when = isLive ? [t("ends"), " ", time(invite.expireTime)] : [time(invite.endTime ?? invite.expireTime ?? invite.createTime)];
  return row(invite.email, invite.deliveryError ? h("span", { class: "wrong" }, invite.deliveryError) : null,
    [role(invite.role), isLive ? delivery : badge(t(`state.${invite.state.replace("INVITE_STATE_", "")}`)), h("span", { class: "muted" }, when)],
    menu(t("actions", { name: invite.email }), isLive ? [[t("invitations.resend"), resend], [t("revoke"), revoke, true]] : []));
}

/** Takes pasted addresses or a CSV file, and shows a result for each. */
function form(organizationId, sent) {
  const area = h("textarea", { rows: 5, spellcheck: "false", autocomplete: "off", placeholder: "ana@example.com\nben@example.com, cleo@example.com" });
  const chosen = select(options(), "member");
  const count = h("span", { class: "muted", role: "status" });
  const results = h("div", { class: "results" });
  const file = h("input", { type: "file", accept: ".csv,.txt,text/csv,text/plain", class: "hidden", tabindex: "-1", "aria-label": t("invitations.file") });
  const submit = h("button", { type: "submit", class: "primary" }, t("invitations.send"));

  function changed() {
    draft.save();
    area.toggleAttribute("data-unsent", area.value.trim() !== "");
    const { length } = parse(area.value);
    count.replaceChildren(area.value.trim() ? t("invitations.found", { count: length }) : "");
    submit.disabled = length === 0;
  }
  async function take(chosenFile) {
    if (!chosenFile) return;
    if (chosenFile.size > MAX_FILE_BYTES) say(t("invitations.tooLarge"), true);
    else area.value = [area.value.trim(), await chosenFile.text()].filter(Boolean).join("\n");
    changed();
  }

  async function send() {
    const all = parse(area.value);
    const bar = h("progress", { max: all.length, value: 0, "aria-label": t("invitations.sending") });
    const rows = h("ul", { class: "rows", "aria-label": t("invitations.results") });
    const summary = h("p", { role: "status" }, t("invitations.sending"));
    results.replaceChildren(summary, bar, rows);
    let invited = 0;
    for (let at = 0; at < all.length; at += PART) {
      const part = all.slice(at, at + PART);
      const message = { organizationId, role: chosen.value, invitations: part, requestId: requestId() };
      const answer = await repeated(() => call("invites.InviteByEmail", message));
      for (const result of answer.results) {
        const good = result.outcome === INVITED;
        invited += good ? 1 : 0;
        rows.append(row(result.email, null, [badge(t(`outcome.${result.outcome.replace("EMAIL_INVITATION_OUTCOME_", "")}`), good ? "good" : "warn")]));
      }
      bar.value = at + part.length;
      // What is left is what has no result: an error later loses nothing, and repeats nothing.
      area.value = all.slice(at + PART).map((one) => [one.email, one.role].filter(Boolean).join(", ")).join("\n");
      changed();
    }
    bar.remove();
    summary.replaceChildren(t("invitations.done", { count: invited }));
    sent.reload();
  }

  const element = h("form", {},
    field(t("invitations.addresses"), area, t("invitations.hint")),
    h("div", { class: "bar" }, h("span", {}, button(t("invitations.file"), async () => file.click()), file), count),
    field(t("role"), chosen, t("invitations.roleHint")),
    h("div", { class: "actions" }, submit), results);
  const draft = keep(element, `invitations/${organizationId}`);
  area.addEventListener("input", changed);
  file.addEventListener("change", () => take(file.files[0]));
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    await busy(submit, send);
    changed();
  });
  changed();
  return element;
}

/** Repeats a call once whose answer was lost: its `request_id` keeps it from doing anything twice. */
async function repeated(work) {
  try {
    return await work();
  } catch (error) {
    if (error.code !== "unavailable") throw error;
    return work();
  }
}
