// The words of the pages. A language is a file in `text`; add its name here.

const LANGUAGES = ["en", "de"];

let words = {};
let language = "en";
let plurals = new Intl.PluralRules("en");

/** Loads the first of the browser's languages that there is. */
export async function loadLanguage(wanted = navigator.languages) {
  const short = wanted.map((name) => name.split("-")[0].toLowerCase());
  language = short.find((name) => LANGUAGES.includes(name)) ?? "en";
  ({ words } = await import(`./text/${language}.js`));
  plurals = new Intl.PluralRules(language);
  document.documentElement.lang = language;
}

/** The text with this key. `{name}` is replaced; `count` chooses the plural. */
export function t(key, values = {}) {
  const found = words[key] ?? key;
  const text = typeof found === "string" ? found : (found[plurals.select(values.count)] ?? found.other);
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name] ?? "";
    return typeof value === "number" ? value.toLocaleString(language) : value;
  });
}

export const has = (key) => key in words;

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

/** What an error means, in words. */
export function explain(error) {
  if (error.reason && has(`error.${error.reason}`)) return t(`error.${error.reason}`);
  const detail = error.message ? `${error.message[0].toUpperCase()}${error.message.slice(1)}.` : "";
  const generic = has(`error.${error.code}`) ? t(`error.${error.code}`) : t("error.other", { code: error.code ?? error.name });
  return ["invalid_argument", "failed_precondition"].includes(error.code) && detail ? detail : generic;
}
