// The words of the pages, in the language that the server has chosen: a file in `languages` each.

import { brand, language, texts } from "./texts.js";

const plurals = new Intl.PluralRules(language);

export { brand, language };

/** The text with this key. `{name}` is replaced; `count` chooses the plural. */
export function t(key, values = {}) {
  const found = texts[key] ?? key;
  const text = typeof found === "string" ? found : (found[plurals.select(values.count)] ?? found.other);
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name] ?? "";
    return typeof value === "number" ? value.toLocaleString(language) : value;
  });
}

export const has = (key) => key in texts;

/** The name of a role. */
export const role = (name) => (has(`role.${name}`) ? t(`role.${name}`) : name);

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

/** A time in relation to now, such as "3 days ago". */
export function ago(time) {
  const seconds = (new Date(time) - Date.now()) / 1000;
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? [];
  if (!unit) return t("time.now");
  return unit === "day" && Math.abs(seconds) > 30 * size ? day(time) : format.format(Math.round(seconds / size), unit);
}

export const day = (time) => new Date(time).toLocaleDateString(language, { dateStyle: "medium" });
export const moment = (time) => new Date(time).toLocaleString(language, { dateStyle: "medium", timeStyle: "medium" });

/** What the reason or the code of an error means; empty if it says nothing to people. */
const known = (name, values) => (has(`error.${name}`) ? t(`error.${name}`, values) : "");

/** What an error means, in words. */
export function explain(error) {
  if (error.words) return error.words;
  // Results of batches have the name of the code as their reason, if there is no finer one.
  const byReason = error.reason && (known(error.reason) || known(error.reason.toLowerCase()));
  if (byReason) return byReason;
  const general = known(error.code, { origin: error.message }) || t("error.other");
  // The server's message names the field, in English.
  const detail = error.message ? `${error.message[0].toUpperCase()}${error.message.slice(1)}.` : "";
  if (!detail || !["invalid_argument", "failed_precondition"].includes(error.code)) return general;
  return language === "en" ? detail : `${general} ${detail}`;
}

/** An error that the page itself finds, in these words. */
export const wrong = (words) => Object.assign(new Error(words), { words });
