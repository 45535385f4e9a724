import { call } from "../api.js";
import { h } from "../dom.js";
import { t } from "../text.js";
import { ask, badge, busy, button, card, confirm, copyField, field, list, menu, row, say, select, time } from "../ui.js";

const MODES = ["INVITE_ONLY", "ON_REQUEST", "AUTOMATIC"];
const PREFIX = "DOMAIN_MODE_";
const TONES = { VERIFIED: "good", LAPSED: "bad", PENDING: "warn" };

const modes = () => MODES.map((name) => [PREFIX + name, t(`mode.${name}`)]);

/** Domains that the organization has proved, and what people with an address in them may do. */
export function domains({ organization, signal }) {
  const organizationId = organization.id;
  const found = list({
    label: t("domains.list"),
    empty: t("domains.none"),
    load: async () => [(await call("domains.ListDomains", { organizationId }, { signal })).domains ?? [], ""],
    row: (domain, { reload }) => domainRow(organizationId, domain, reload),
  });
  const add = async () => {
    const name = h("input", { required: true, maxlength: 232, autocomplete: "off", spellcheck: "false", autocapitalize: "none", placeholder: "example.com" });
    const mode = select(modes(), `${PREFIX}INVITE_ONLY`);
    const domain = await ask({
      title: t("domains.add"), action: t("domains.add"), draft: `domains/${organizationId}`,
      body: [field(t("domains.domain"), name), field(t("domains.mode"), mode, t("domains.modeHint"))],
      work: async () => (await call("domains.AddDomain", { organizationId, domain: name.value.trim(), mode: mode.value })).domain,
    });
    if (!domain) return;
    found.reload();
    await record(organizationId, domain, found.reload);
  };
  return card(t("domains.list"), h("p", { class: "muted" }, t("domains.note")), h("div", { class: "bar" }, button(t("domains.add"), add, { class: "primary" })), h("div", { class: "wide" }, found));
}

/** The TXT record to set. */
async function record(organizationId, domain, reload) {
  const name = domain.domain;
  const done = await ask({
    title: t("domains.recordTitle", { name }), action: t("domains.verify"),
    body: [h("p", {}, t("domains.recordNote")), copyField(t("domains.recordName"), domain.txtName), copyField(t("domains.recordValue"), domain.txtValue)],
    work: () => call("domains.VerifyDomain", { organizationId, domainId: domain.id }),
  });
  if (!done) return;
  say(t("domains.verified", { name }));
  reload();
}

function domainRow(organizationId, domain, reload) {
  const ids = { organizationId, domainId: domain.id };
  const name = domain.domain;
  const state = domain.state.replace("DOMAIN_STATE_", "");
  const mode = select(modes(), domain.mode, { "aria-label": t("domains.modeOf", { name }) });
  mode.addEventListener("change", () => busy(mode, async () => {
    try {
      await call("domains.SetDomainMode", { ...ids, mode: mode.value });
      domain.mode = mode.value;
      say(t("saved"));
    } catch (error) {
      mode.value = domain.mode;
      throw error;
    }
  }));
  const remove = async () => {
    const done = await confirm(t("domains.removeTitle", { name }), t("domains.removeNote"), t("domains.remove"), async () => {
      await call("domains.RemoveDomain", ids);
      return true;
    });
    if (done) reload();
  };
  const open = () => record(organizationId, domain, reload);
  const isVerified = state === "VERIFIED";
  const missing = isVerified && domain.lapseTime && h("span", { class: "wrong" }, t("domains.lapses"), " ", time(domain.lapseTime));
  const checked = isVerified && domain.checkTime && [t("domains.checked"), " ", time(domain.checkTime)];
  return row([name, badge(t(`domainState.${state}`), TONES[state])], missing || checked || null, [mode],
    [!isVerified && button(t("domains.verify"), open), menu(t("actions", { name }), [[t("domains.record"), open], [t("domains.remove"), remove, true]])]);
}
