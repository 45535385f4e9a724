import { call } from "../api.js";
import { h } from "../dom.js";
import { accountNames, memberNames } from "../people.js";
import { has, role, t } from "../text.js";
import { badge, card, list, row, time } from "../ui.js";

const WAIT = "10s";
const PAUSE_MS = 5000;
/** The most new events that are kept on the page. */
const MAX_LIVE = 200;

const kind = (type) => (has(`event.${type}`) ? t(`event.${type}`) : t("activity.other"));

/** What a note of the trail says to people: the roles of a change, or the name of a domain. */
function shortened(action, note = "") {
  const [, before, after] = note.match(/^role: (\w+) → (\w+)/) ?? [];
  if (before) return `${role(before)} → ${role(after)}`;
  return action.startsWith("domain.") ? note.split(/[:;\s]/)[0] : "";
}

/** The events of the organization: the past ones by pages, new ones as they happen. */
export function activity({ organization, caller, signal }) {
  const organizationId = organization.id;
  const live = h("ul", { class: "rows", "aria-label": t("activity.live"), "aria-live": "polite" });
  const state = h("span", {}, badge(t("activity.connecting")));
  const seen = new Set();

  const rowOf = (event, names) => {
    const { actorAccountId: actor } = event;
    const name = names.get(actor);
    const by = name ? t("activity.by", { name }) : t("activity.byOther");
    const who = actor === caller.account.id ? t("activity.byYou") : actor ? by : t("activity.bySystem");
    return row(kind(event.type), [names.get(event.target), event.note].filter(Boolean).join(" · ") || null,
      [h("span", { class: "muted" }, who), h("span", { class: "muted" }, time(event.time))]);
  };

  /** The names of members and of accounts that acted. */
  async function namesOf(events) {
    const actors = await accountNames(organizationId, events.map((event) => event.actorAccountId), { signal });
    const names = await memberNames(organizationId, events.map((event) => event.target), { signal });
    return new Map([...names, ...actors]);
  }

  async function follow() {
    let cursor = "";
    while (!signal.aborted) {
      try {
        const answer = await call("events.ListEvents", { organizationId, cursor, wait: cursor ? WAIT : undefined }, { signal });
        cursor = answer.cursor;
        state.replaceChildren(badge(t("activity.live"), "good"));
        const events = (answer.events ?? []).filter((event) => !seen.has(event.id)).map(fromFeed);
        const names = await namesOf(events);
        for (const event of events) {
          seen.add(event.id);
          live.prepend(rowOf(event, names));
        }
        while (live.childElementCount > MAX_LIVE) live.lastChild.remove();
      } catch (error) {
        if (signal.aborted) return;
        state.replaceChildren(badge(t("activity.reconnecting"), "warn"));
        // The cursor's events are gone: what is shown stays, and the feed begins anew.
        if (["CURSOR_EXPIRED", "HISTORY_CHANGED"].includes(error.reason)) cursor = "";
        await new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });
      }
    }
  }

  const past = list({
    label: t("activity.past"),
    empty: t("activity.none"),
    load: async (pageToken) => {
      const answer = await call("audit.ListAuditEvents", { organizationId, page: { pageToken } }, { signal });
      const events = (answer.events ?? []).filter((event) => !seen.has(event.id)).map((event) => ({
        ...event, type: event.action, target: event.targetType === "member" ? event.targetId : "", note: shortened(event.action, event.note),
      }));
      events.forEach((event) => seen.add(event.id));
      const names = await namesOf(events);
      return [events.map((event) => ({ event, names })), answer.nextPageToken];
    },
    row: ({ event, names }) => rowOf(event, names),
  });
  follow();
  return card([t("activity.events"), " ", state], live, past);
}

/** An event of the feed with the fields of one of the trail. */
function fromFeed(event) {
  const { member, domain } = event;
  const change = member?.previousRole ? `${role(member.previousRole)} → ${role(member.role)}` : "";
  return { ...event, target: member?.memberId ?? "", note: change || (domain?.domain ?? "") };
}
