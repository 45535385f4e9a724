import { Credential, begin, providers } from "../../sign-in.js";
import { call } from "../api.js";
import { h } from "../dom.js";
import { signIn } from "../session.js";
import { explain, t } from "../text.js";
import { button, field } from "../ui.js";

/** The page that issuers lead back to, below the page `sign-in`. */
const PAGE = "console";

/** Signs in with a Credential: the answer of GetCaller. */
export async function enter(credential) {
  const caller = await call("account.GetCaller", {}, { credential });
  signIn(credential, caller.account.id);
  return caller;
}

/** The issuers to sign in with, or else the form for a key. `done` gets the answer of GetCaller. */
export function signInView(done, said = "") {
  const wrong = h("p", { class: "wrong", role: "alert" }, said);
  const ways = h("div", { class: "ways", "aria-busy": "true" }, h("p", { class: "loading", role: "status" }, t("loading")));
  showWays(ways, wrong, done);
  return h("div", { class: "sign-in card" }, h("h1", {}, t("signIn.title")), h("p", { class: "muted" }, t("signIn.note")), wrong, ways);
}

async function showWays(ways, wrong, done) {
  let issuers = [];
  try {
    issuers = await providers();
  } catch (error) {
    wrong.replaceChildren(explain(error));
  }
  const leave = async (issuer) => {
    wrong.replaceChildren();
    try {
      await begin(issuer, PAGE, { address: location.hash });
    } catch (error) {
      wrong.replaceChildren(explain(error));
    }
  };
  const buttons = issuers.map(({ issuer, name }) => button(t("signIn.with", { name }), () => leave(issuer), { class: "primary" }));
  const form = keyForm(wrong, done);
  ways.replaceChildren(...buttons, buttons.length > 0 ? h("details", {}, h("summary", {}, t("signIn.byKey")), form) : form);
  ways.removeAttribute("aria-busy");
}

function keyForm(wrong, done) {
  const key = h("input", { type: "password", autocomplete: "off", autocapitalize: "none", spellcheck: "false", required: true });
  const submit = h("button", { type: "submit", class: "primary" }, t("signIn.action"));
  const form = h("form", {}, field(t("signIn.key"), key, t("signIn.hint")), submit);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const credential = key.value.trim();
    submit.disabled = true;
    wrong.replaceChildren();
    try {
      // A key has no other characters, and a header could not have them.
      if (!/^[\x21-\x7e]+$/.test(credential)) throw Object.assign(new Error(), { code: "unauthenticated" });
      const caller = await enter(new Credential(credential));
      key.value = "";
      await done(caller);
    } catch (error) {
      wrong.replaceChildren(error.code === "unauthenticated" ? t("signIn.wrong") : explain(error));
      key.focus();
    } finally {
      submit.disabled = false;
    }
  });
  return form;
}
