// The parts that all views are made of.

import { h, newId } from "./dom.js";
import { keep } from "./drafts.js";
import { ago, explain, moment, t } from "./text.js";

/** Says something at the lower edge of the window, and to screen readers. */
export function say(text, wrong = false) {
  const place = document.getElementById("said");
  place.replaceChildren(h("p", { class: wrong ? "wrong" : "" }, text));
  clearTimeout(say.timer);
  say.timer = setTimeout(() => place.replaceChildren(), 8000);
}

/**
 * Runs the work of an element, and says what goes wrong. The element takes no second click meanwhile,
 * but keeps the focus, which a disabled one would lose.
 */
export async function busy(element, work) {
  if (element.hasAttribute("aria-busy")) return undefined;
  element.setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    if (error.code !== "canceled") say(explain(error), true);
    return undefined;
  } finally {
    element.removeAttribute("aria-busy");
  }
}

export function button(label, work, properties = {}) {
  const element = h("button", { type: "button", ...properties }, label);
  element.addEventListener("click", () => busy(element, work));
  return element;
}

export const time = (value) => h("time", { datetime: value, title: moment(value) }, ago(value));
export const badge = (text, tone = "") => h("span", { class: `badge ${tone}` }, text);

/** A control with its label and an optional hint. */
export function field(label, control, hint) {
  control.id ||= newId();
  const note = hint && h("p", { class: "hint", id: newId() }, hint);
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, note);
}

export function select(options, value, properties = {}) {
  const element = h("select", properties, options.map(([name, label]) => h("option", { value: name }, label)));
  element.value = value;
  return element;
}

/** Actions behind one button. An action is [label, work, isDangerous]. */
export function menu(label, actions) {
  const items = actions.filter(Boolean).map(([name, work, danger]) => {
    const item = button(name, async () => {
      close();
      summary.focus();
      await work();
    }, { class: danger ? "item danger" : "item" });
    return item;
  });
  if (items.length === 0) return h("span", { class: "menu" });
  const summary = h("summary", { "aria-label": label, title: label }, h("span", { "aria-hidden": "true" }, "⋯"));
  const details = h("details", { class: "menu" }, summary, h("div", { class: "items" }, items));
  const close = () => { details.open = false; };
  details.addEventListener("focusout", (event) => {
    if (!details.contains(event.relatedTarget)) close();
  });
  details.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      close();
      summary.focus();
    }
  });
  return details;
}

/**
 * A dialog with a form. Resolves to what `work` returns, or to undefined if it is closed. With
 * `draft`, a key, what was typed is there again when the dialog is opened after that.
 */
export function ask({ title, body = [], action, danger = false, draft, work = async () => true }) {
  return new Promise((resolve) => {
    const heading = h("h2", { id: newId() }, title);
    const wrong = h("p", { class: "wrong", role: "alert" });
    const submit = action && h("button", { type: "submit", class: danger ? "primary danger" : "primary" }, action);
    const cancel = h("button", { type: "button", onclick: () => dialog.close() }, action ? t("cancel") : t("close"));
    const form = h("form", {}, heading, body, wrong, h("div", { class: "actions" }, cancel, submit));
    const dialog = h("dialog", { "aria-labelledby": heading.id }, form);
    const kept = draft && keep(form, draft);
    let result;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      submit.disabled = true;
      wrong.replaceChildren();
      try {
        result = await work();
        kept?.forget();
        dialog.close();
      } catch (error) {
        wrong.replaceChildren(explain(error));
      } finally {
        submit.disabled = false;
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export const confirm = (title, text, action, work) =>
  ask({ title, body: [h("p", {}, text)], action, danger: true, work });

/**
 * A list that loads its pages. `load(token)` returns [entries, nextToken], `row(entry)` an element;
 * `empty` is shown instead of no entries, as a text or an element.
 */
export function list({ label, load, row, empty }) {
  const rows = h("ul", { class: "rows", "aria-label": label });
  const state = h("div", { class: "state" });
  const element = h("div", { class: "list" }, rows, state);
  let run = 0;

  async function page(token) {
    const mine = ++run;
    element.setAttribute("aria-busy", "true");
    state.replaceChildren(h("p", { class: "loading", role: "status" }, t("loading")));
    try {
      const [entries, next] = await load(token);
      if (mine !== run) return;
      const hadFocus = rows.contains(document.activeElement);
      if (!token) rows.replaceChildren();
      const added = entries.map((entry) => row(entry, actions));
      rows.append(...added);
      state.replaceChildren();
      if (next) state.append(button(t("list.more"), () => page(next)));
      else if (!rows.hasChildNodes()) state.append(typeof empty === "string" ? h("p", { class: "empty" }, empty) : empty());
      // What had the focus is gone: the button for more, or a row.
      const focused = token ? added[0] : hadFocus && rows;
      if (focused) {
        focused.tabIndex = -1;
        focused.focus({ preventScroll: !token });
      }
    } catch (error) {
      if (mine !== run || error.code === "canceled") return;
      state.replaceChildren(h("div", { class: "failed", role: "alert" },
        h("p", {}, explain(error)), button(t("list.retry"), () => page(token))));
    } finally {
      if (mine === run) element.removeAttribute("aria-busy");
    }
  }

  const actions = { reload: () => page("") };
  page("");
  return Object.assign(element, actions);
}

/** A row of a list: what it is, its columns, its actions, and what stands before all of it. */
export function row(title, note, columns = [], actions = null, first = null) {
  return h("li", {}, first && h("div", { class: "first" }, first), h("div", { class: "what" }, h("div", { class: "title" }, title), note && h("div", { class: "note" }, note)),
    columns.map((column) => h("div", { class: "column" }, column)), actions && h("div", { class: "do" }, actions));
}

/** A text to copy. */
export function copyField(label, text) {
  const input = h("input", { readonly: true, value: text, class: "link", onfocus: () => input.select() });
  return h("div", { class: "copy" }, field(label, input), button(t("copy"), () => copy(text), { "aria-label": `${t("copy")}: ${label}` }));
}

/** A check box with its label and an optional hint. */
export function check(label, box, hint) {
  const note = hint && h("p", { class: "hint", id: newId() }, hint);
  if (note) box.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { class: "check" }, box, label), note);
}

/** A part of a page. */
export function card(title, ...children) {
  const heading = h("h2", { id: newId() }, title);
  return h("section", { class: "card", "aria-labelledby": heading.id }, heading, children);
}

export async function copy(text) {
  // Browsers have no clipboard for pages without TLS.
  if (!navigator.clipboard) return say(t("copyByHand"), true);
  await navigator.clipboard.writeText(text);
  return say(t("copied"));
}
