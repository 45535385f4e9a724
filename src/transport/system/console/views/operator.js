import { call } from "../api.js";
import { h } from "../dom.js";
import { t } from "../text.js";
import { ask, badge, button, field, list, menu, row, say, select, time } from "../ui.js";

const TIERS = ["FREE", "ENTERPRISE", "CORE", "FREE_ONA"].map((name) => `ORGANIZATION_TIER_${name}`);
const SEARCH_PAUSE_MS = 250;

/** All organizations, for the operator of the service. */
export function operator({ query, setQuery, signal }) {
  const search = h("input", { type: "search", value: query.get("search") ?? "", placeholder: t("operator.search"), "aria-label": t("operator.search"), maxlength: 256 });
  const tier = select([["", t("operator.allTiers")], ...TIERS.map((name) => [name, t(`tier.${name}`)])], query.get("tier") ?? "", { "aria-label": t("settings.tier") });
  const found = list({
    label: t("operator.title"),
    empty: t("operator.none"),
    load: async (pageToken) => {
      const filter = { search: search.value, tiers: tier.value ? [tier.value] : [] };
      const answer = await call("admin.ListOrganizations", { filter, page: { pageToken } }, { signal });
      return [answer.organizations ?? [], answer.nextPageToken];
    },
    row: (listed, { reload }) => {
      const { organization } = listed;
      const limit = Number(listed.seatLimit ?? 0);
      const members = Number(listed.memberCount ?? 0);
      const seats = limit ? t("operator.seatsOf", { used: members, count: limit }) : t("members.count", { count: members });
      return row(organization.name, h("code", {}, organization.id),
        [badge(t(`tier.${organization.tier}`)), h("span", { class: limit && members >= limit ? "wrong" : "" }, seats), h("span", { class: "muted" }, time(organization.createdAt))],
        menu(t("actions", { name: organization.name }), [
          [t("operator.stats"), () => stats(organization)],
          [t("operator.setSeats"), () => setSeats(organization, limit, reload)],
          [t("operator.setTier"), () => setTier(organization, reload)],
        ]));
    },
  });
  const changed = () => {
    setQuery({ search: search.value, tier: tier.value });
    found.reload();
  };
  let pause;
  search.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(changed, SEARCH_PAUSE_MS);
  });
  tier.addEventListener("change", changed);
  return [h("div", { class: "bar filters" }, search, tier), h("div", { class: "card flush" }, found)];
}

async function stats({ id, name }) {
  const answer = await call("admin.GetOrganizationStats", { organizationId: id });
  const pending = Number(answer.pendingInvitations ?? 0);
  const lines = (answer.members ?? []).map(({ status, role, count }) =>
    [h("dt", {}, `${t(`status.${status}`)}, ${t(`role.${role}`)}`), h("dd", {}, String(count))]);
  await ask({
    title: name,
    body: [h("dl", {}, lines, h("dt", {}, t("operator.pending")), h("dd", {}, String(pending)),
      answer.lastChangeTime && [h("dt", {}, t("operator.lastChange")), h("dd", {}, time(answer.lastChangeTime))])],
  });
}

async function setSeats({ id, name }, limit, reload) {
  const seats = h("input", { type: "number", min: 0, required: true, value: limit });
  const done = await ask({
    title: t("operator.seatsTitle", { name }), body: [field(t("operator.seats"), seats, t("operator.seatsHint"))], action: t("save"),
    work: async () => {
      await call("admin.SetSeatLimit", { organizationId: id, seatLimit: Number(seats.value) });
      return true;
    },
  });
  if (!done) return;
  say(t("saved"));
  reload();
}

async function setTier({ id, name, tier }, reload) {
  const chosen = select(TIERS.map((it) => [it, t(`tier.${it}`)]), tier);
  const done = await ask({
    title: t("operator.tierTitle", { name }), body: [field(t("settings.tier"), chosen)], action: t("save"),
    work: async () => {
      await call("admin.SetTier", { organizationId: id, tier: chosen.value });
      return true;
    },
  });
  if (!done) return;
  say(t("saved"));
  reload();
}
