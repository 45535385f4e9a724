import { call } from "../api.js";
import { h } from "../dom.js";
import { keep } from "../drafts.js";
import { role, t, wrong } from "../text.js";
import { ask, busy, button, card, copy, field, say, time } from "../ui.js";

/** The organization itself: its name, who may join by mail domain, and its end. */
export function settings({ organization, membership, may }) {
  const organizationId = organization.id;
  const manages = may("PERMISSION_MANAGE_ORGANIZATION");
  const facts = h("dl", {},
    h("dt", {}, t("settings.id")), h("dd", {}, h("code", {}, organizationId), " ", button(t("copy"), () => copy(organizationId), { class: "quiet" })),
    h("dt", {}, t("settings.created")), h("dd", {}, time(organization.createdAt)),
    h("dt", {}, t("settings.tier")), h("dd", {}, t(`tier.${organization.tier}`)),
    h("dt", {}, t("settings.yourRole")), h("dd", {}, role(membership.role)));
  const about = card(t("settings.about"), facts);
  if (!manages) return about;

  const name = h("input", { required: true, minlength: 3, maxlength: 256, value: organization.name, autocomplete: "off" });
  const domains = h("textarea", { rows: 3, spellcheck: "false", placeholder: "example.com" });
  domains.value = (organization.inviteDomains?.domains ?? []).join("\n");
  const save = h("button", { type: "submit", class: "primary" }, t("save"));
  const form = h("form", {}, field(t("organization.name"), name), field(t("settings.domains"), domains, t("settings.domainsHint")), h("div", { class: "actions" }, save));
  const draft = keep(form, `settings/${organizationId}`);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(save, async () => {
      const inviteDomains = { domains: domains.value.split(/[\s,;]+/).filter(Boolean) };
      const answer = await call("organizations.UpdateOrganization", { organizationId, name: name.value, inviteDomains });
      document.querySelector(".where strong")?.replaceChildren(answer.organization.name);
      draft.forget();
      say(t("saved"));
    });
  });

  const remove = async () => {
    const typed = h("input", { required: true, autocomplete: "off" });
    const done = await ask({
      title: t("settings.deleteTitle", { name: organization.name }),
      body: [h("p", {}, t("settings.deleteNote")), field(t("settings.deleteType", { name: organization.name }), typed)],
      action: t("settings.delete"), danger: true,
      work: async () => {
        if (typed.value !== organization.name) throw wrong(t("settings.deleteOther"));
        await call("organizations.DeleteOrganization", { organizationId });
        draft.forget();
        return true;
      },
    });
    if (done) location.hash = "#/";
  };
  return [card(t("settings.edit"), form), about, card(t("settings.end"), h("p", { class: "muted" }, t("settings.endNote")), button(t("settings.delete"), remove, { class: "danger" }))];
}
