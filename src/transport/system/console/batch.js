// Selected members, and changes of all of them with a result for each.

import { call } from "./api.js";
import { h } from "./dom.js";
import { options } from "./roles.js";
import { explain, t } from "./text.js";
import { ask, badge, button, field, row, select } from "./ui.js";

/** The most members of one request. */
const PART = 100;

/** The bar above a list of members. `box(id, name)` is the check box of a row; `changed` runs after a change. */
export function selection(organizationId, highest, changed) {
  const chosen = new Map();
  const boxes = new Map();
  const count = h("span", { role: "status" });
  const all = h("input", { type: "checkbox" });
  const clear = () => {
    chosen.clear();
    update();
  };

  async function change(title, action, method, fields = () => ({}), body = []) {
    const members = [...chosen];
    const results = await ask({
      title, body: [...body, h("p", { class: "hint" }, t("members.batchNote"))], action, danger: method !== "BatchSetMemberRole",
      work: async () => {
        const found = [];
        for (let at = 0; at < members.length; at += PART) {
          const memberIds = members.slice(at, at + PART).map(([id]) => id);
          const answer = await call(`members.${method}`, { organizationId, memberIds, ...fields() });
          found.push(...(answer.results ?? []));
        }
        return found;
      },
    });
    if (!results) return;
    clear();
    changed();
    await show(results, new Map(members));
  }

  const setRole = () => {
    const role = select(options(highest), "member");
    return change(t("members.batchRole", { count: chosen.size }), t("save"), "BatchSetMemberRole", () => ({ role: role.value }), [field(t("role"), role)]);
  };
  const suspend = () => change(t("members.batchSuspend", { count: chosen.size }), t("members.suspend"), "BatchSuspendMembers");
  const remove = () => change(t("members.batchRemove", { count: chosen.size }), t("members.remove"), "BatchRemoveMembers");
  const actions = [button(t("members.setRole"), setRole), button(t("members.suspend"), suspend), button(t("members.remove"), remove, { class: "danger" })];
  const element = h("div", { class: "bar batch" }, h("label", { class: "check" }, all, t("members.selectAll")), count, actions);

  function update() {
    for (const [id, box] of boxes) box.checked = chosen.has(id);
    const shown = [...boxes.keys()].filter((id) => chosen.has(id)).length;
    all.checked = shown > 0 && shown === boxes.size;
    all.indeterminate = shown > 0 && shown < boxes.size;
    count.replaceChildren(chosen.size > 0 ? t("members.selected", { count: chosen.size }) : "");
    actions.forEach((action) => { action.hidden = chosen.size === 0; });
    element.hidden = boxes.size === 0;
  }
  all.addEventListener("change", () => {
    for (const [id, box] of boxes) {
      if (all.checked) chosen.set(id, box.dataset.name);
      else chosen.delete(id);
    }
    update();
  });
  update();

  return {
    element,
    /** Before the first page of a list is shown. */
    reset() {
      boxes.clear();
      clear();
    },
    box(id, name) {
      const box = h("input", { type: "checkbox", "aria-label": t("members.select", { name }), "data-name": name });
      box.addEventListener("change", () => {
        if (box.checked) chosen.set(id, name);
        else chosen.delete(id);
        update();
      });
      boxes.set(id, box);
      update();
      return box;
    },
  };
}

function show(results, names) {
  const rows = results.map(({ memberId, done, reason, message }) =>
    row(names.get(memberId), done ? null : explain({ code: "failed_precondition", reason, message }),
      [done ? badge(t("members.changed"), "good") : badge(t("members.unchanged"), "warn")]));
  return ask({ title: t("members.results"), body: [h("ul", { class: "rows", "aria-label": t("members.results") }, rows)] });
}
