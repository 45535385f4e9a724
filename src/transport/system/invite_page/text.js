// The texts of the pages, in the language that the server has chosen.
import { brand, language, texts } from "./texts.js";

// The text with this name; `{x}` is replaced by the value `x`. A number `count` chooses the plural
// form.
export function text(name, values = {}) {
  const form = "count" in values ? `.${new Intl.PluralRules(language).select(values.count)}` : "";
  const found = texts[name + form] ?? texts[`${name}.other`] ?? texts[name];
  return found.replace(/\{(\w+)\}/g, (_, value) => String(values[value]));
}

// Fills the elements that name a text, and those for the logo and the imprint.
export function fill(root) {
  document.documentElement.lang = language;
  if (brand.logo) {
    const logo = Object.assign(document.createElement("img"), { src: "logo", alt: brand.name });
    root.getElementById("brand").replaceChildren(logo);
  }
  if (brand.imprint) {
    root.getElementById("imprint").href = brand.imprint;
    root.getElementById("imprint").hidden = false;
  }
  for (const element of root.querySelectorAll("[data-text]")) {
    element.textContent = text(element.dataset.text);
  }
}

// The title of the window.
export const titled = (words) => `${words} · ${brand.name}`;

export const formatTime = (time) =>
  new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "short" }).format(new Date(time));

export const formatNumber = (number) => new Intl.NumberFormat(language).format(number);
