import { call } from "../api.js";
import { h } from "../dom.js";
import { options } from "../roles.js";
import { t } from "../text.js";
import { ask, badge, button, card, field, list, row, say, select, time } from "../ui.js";

const STATES = ["PENDING", "APPROVED", "DENIED", "WITHDRAWN", "ENDED"];
const DAY_SECONDS = 24 * 3600;
/** Days until the person may ask again; 0: at once. */
const PAUSES = [0, 1, 7, 30, 365];

/** Requests to join, and what became of them. */
export function requests({ organization, membership, query, setQuery, signal }) {
  const organizationId = organization.id;
  const states = select(STATES.map((name) => [name, t(`requestState.${name}`)]), query.get("state") ?? "PENDING", { "aria-label": t("state") });
  const found = list({
    label: t("requests.title"),
    empty: () => h("p", { class: "empty" }, t(states.value === "PENDING" ? "requests.none" : "requests.noneOther")),
    load: async (pageToken) => {
      const state = `JOIN_REQUEST_STATE_${states.value}`;
      const answer = await call("requests.ListJoinRequests", { organizationId, state, page: { pageToken } }, { signal });
      return [answer.joinRequests ?? [], answer.nextPageToken];
    },
    row: (request, { reload }) => requestRow(organizationId, membership, request, reload),
  });
  states.addEventListener("change", () => {
    setQuery({ state: states.value === "PENDING" ? "" : states.value });
    found.reload();
  });
  return [h("p", { class: "muted" }, t("requests.note")), h("div", { class: "bar filters" }, states), h("div", { class: "card flush" }, found)];
}

function requestRow(organizationId, membership, request, reload) {
  const ids = { organizationId, joinRequestId: request.id };
  const name = request.name || request.email || request.accountId;
  const isPending = request.state === "JOIN_REQUEST_STATE_PENDING";
  const approve = async () => {
    const role = select([["", request.linkId ? t("requests.linkRole") : t("role.member")], ...options(membership.role)], "");
    const done = await ask({
      title: t("requests.approveTitle", { name }), body: [field(t("role"), role, t("requests.roleHint"))], action: t("requests.approve"),
      work: () => call("requests.ApproveJoinRequest", { ...ids, role: role.value }),
    });
    if (!done) return;
    say(t("requests.approved", { name }));
    reload();
  };
  const deny = async () => {
    const reason = h("textarea", { rows: 3, maxlength: 500 });
    const pause = select(PAUSES.map((days) => [String(days), days ? t("requests.afterDays", { count: days }) : t("requests.atOnce")]), "0");
    const done = await ask({
      title: t("requests.denyTitle", { name }), danger: true, action: t("requests.deny"), draft: `requests/${request.id}`,
      body: [field(t("requests.reason"), reason, t("requests.reasonHint")), field(t("requests.pause"), pause)],
      work: () => {
        const seconds = Number(pause.value) * DAY_SECONDS;
        return call("requests.DenyJoinRequest", { ...ids, reason: reason.value, pause: seconds ? `${seconds}s` : undefined });
      },
    });
    if (!done) return;
    say(t("requests.denied", { name }));
    reload();
  };
  const title = [name, request.email && !request.emailVerified && badge(t("requests.unverified"), "warn")];
  const note = [request.email !== name && request.email, request.reason].filter(Boolean).join(" · ");
  const again = request.askAgainTime && new Date(request.askAgainTime) > new Date() && [t("requests.askAgain"), " ", time(request.askAgainTime)];
  return row(title, note || null,
    [t(request.linkId ? "requests.byLink" : "requests.byDomain"), h("span", { class: "muted" }, again || time(request.decideTime ?? request.createTime))],
    isPending && [button(t("requests.approve"), approve, { class: "primary" }), button(t("requests.deny"), deny)]);
}
