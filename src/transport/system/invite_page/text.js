// The texts of the pages, in the language that the server has chosen.
import { language, texts } from "./texts.js";

// The text with this name; `{x}` is replaced by the value `x`. A number `count` chooses the plural
// form.
export function text(name, values = {}) {
  const form = "count" in values ? `.${new Intl.PluralRules(language).select(values.count)}` : "";
  const found = texts[name + form] ?? texts[`${name}.other`] ?? texts[name];
  return found.replace(/\{(\w+)\}/g, (_, value) => String(values[value]));
}

// Fills the elements that name a text.
export function fill(root) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-text]")) {
    element.textContent = text(element.dataset.text);
  }
}

export const formatTime = (time) =>
  new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "short" }).format(new Date(time));

export const formatNumber = (number) => new Intl.NumberFormat(language).format(number);
