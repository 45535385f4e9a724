// The frame of the console: who is signed in, where they are, and the view that they see.
//
// The address of a view is in the fragment, with its filters: `#/o/ORGANIZATION/members?search=ana`.

import { resume } from "../sign-in.js";
import { call } from "./api.js";
import { h } from "./dom.js";
import { ORGANIZATION_VIEWS, VIEWS } from "./navigation.js";
import { current, onSignOut, signOut } from "./session.js";
import { brand, explain, language, t } from "./text.js";
import { button } from "./ui.js";
import { enter, signInView } from "./views/sign_in.js";

const top = document.getElementById("top");
const main = document.getElementById("main");

let caller = null;
let leaving = new AbortController();
let shown = "";
/** Why the person must sign in. */
let said = "";

const address = () => {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { path, parts: path.split("/"), query: new URLSearchParams(query) };
};

/** Keeps the filters of a view in its address, so that they are there after going back. */
function setQuery(values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  const { path } = address();
  history.replaceState(null, "", `#/${path}${query.size ? `?${query}` : ""}`);
}

function header() {
  const name = caller?.account.name || caller?.account.email || caller?.account.subject;
  top.replaceChildren(
    h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); focusMain(); } }, t("skip")),
    h("a", { class: "brand", href: "#/" }, brand.logo ? h("img", { src: "logo", alt: brand.name }) : brand.name),
    h("span", { class: "grow" }),
    ...(caller
      ? [
          caller.scope === "operator" && h("a", { href: "#/operator", class: "plain" }, t("operator.title")),
          h("span", { class: "me" }, name),
          button(t("signOut"), async () => signOut(), { class: "quiet" }),
        ].filter(Boolean)
      : []),
  );
}

function focusMain() {
  const heading = main.querySelector("h1") ?? main;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

function show(title, ...children) {
  document.title = title ? `${title} · ${brand.name}` : brand.name;
  main.replaceChildren(...children);
}

function failed(error) {
  if (error.code === "canceled") return;
  const gone = error.code === "not_found";
  show(t("failed.title"), h("div", { class: "content alone" },
    h("h1", {}, t(gone ? "failed.gone" : "failed.title")),
    h("p", {}, gone ? t("failed.goneNote") : explain(error)),
    h("p", { class: "actions" }, h("a", { class: "button", href: "#/" }, t("home.back")), !gone && button(t("list.retry"), route))));
}

/** On a phone the names of the views are a line that scrolls. */
function showCurrentView() {
  main.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

async function organizationPage(parts, context) {
  const [, id, view = ""] = parts;
  const [{ organization }, { membership }] = await Promise.all([
    call("organizations.GetOrganization", { organizationId: id }, context),
    call("members.GetMembership", { organizationId: id }, context),
  ]);
  const may = (permission) => (membership.permissions ?? []).includes(permission);
  const views = ORGANIZATION_VIEWS.filter((entry) => may(entry.needs));
  const chosen = views.find((entry) => entry.id === view) ?? views[0];
  const content = h("div", { class: "content" });
  const links = views.map((entry) =>
    h("a", { href: `#/o/${id}/${entry.id}`, "aria-current": entry === chosen ? "page" : undefined }, t(`${entry.id}.title`)));
  show(`${t(`${chosen.id}.title`)} – ${organization.name}`, h("div", { class: "organization" },
    h("div", { class: "side" },
      h("p", { class: "where" }, h("a", { href: "#/" }, t("home.title")), h("strong", {}, organization.name)),
      h("nav", { "aria-label": organization.name }, links)),
    content));
  showCurrentView();
  content.append(h("h1", {}, t(`${chosen.id}.title`)));
  content.append(...[chosen.view({ ...context, organization, membership, may })].flat().filter(Boolean));
}

async function route() {
  leaving.abort();
  leaving = new AbortController();
  const { path, parts, query } = address();
  // They belong to the view that is left; what was typed in them is kept.
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  header();
  if (!caller) {
    show(t("signIn.title"), signInView(async (who) => {
      caller = who;
      said = "";
      await route();
    }, said));
    focusMain();
    return;
  }
  const context = { caller, query, setQuery, signal: leaving.signal, renew: route };
  const isNew = shown !== path;
  shown = path;
  try {
    if (isNew) window.scrollTo(0, 0);
    if (parts[0] === "o" && parts[1]) {
      if (!main.querySelector(".organization")) show("", h("p", { class: "loading", role: "status" }, t("loading")));
      await organizationPage(parts, context);
    } else {
      const entry = VIEWS.find(({ id, scope }) => id === parts[0] && (!scope || scope === caller.scope)) ?? VIEWS[0];
      const title = t(`${entry.id || "home"}.title`);
      show(title, h("div", { class: "content alone" }, h("h1", {}, title), [entry.view(context)].flat()));
    }
    if (isNew) focusMain();
  } catch (error) {
    if (!context.signal.aborted) failed(error);
  }
}

/** Back from an issuer: signs in, at the address that the person left. */
async function goOn() {
  const back = await resume();
  if (!back) return;
  if (String(back.kept?.address).startsWith("#/")) history.replaceState(null, "", back.kept.address);
  try {
    if (back.error) throw back.error;
    caller = await enter(back.credential);
  } catch (error) {
    said = error.code === "unauthenticated" ? t("error.TOKEN_REJECTED") : explain(error.code === "sign-in" ? { code: error.reason } : error);
  }
}

onSignOut((isLost) => {
  caller = null;
  shown = "";
  said = isLost ? t("signIn.lost") : "";
  document.getElementById("said").replaceChildren();
  route();
});
window.addEventListener("hashchange", route);
window.addEventListener("resize", showCurrentView);
// Nothing that was typed is lost by closing the window in error.
window.addEventListener("beforeunload", (event) => {
  if (current() && main.querySelector("[data-unsent]")) event.preventDefault();
});
// Back from an issuer by the browser's button, to a page that the browser has kept.
window.addEventListener("pageshow", async (event) => {
  if (event.persisted) {
    await goOn();
    await route();
  }
});

document.documentElement.lang = language;
if (brand.imprint) document.getElementById("foot").append(h("a", { href: brand.imprint }, t("imprint")));
await goOn();
await route();
