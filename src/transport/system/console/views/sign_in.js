import { call } from "../api.js";
import { h } from "../dom.js";
import { signIn } from "../session.js";
import { explain, t } from "../text.js";
import { field } from "../ui.js";

/** The form that asks for a key. `done` gets the answer of GetCaller. */
export function signInView(done) {
  const key = h("input", { type: "password", autocomplete: "off", autocapitalize: "none", spellcheck: "false", required: true });
  const wrong = h("p", { class: "wrong", role: "alert" });
  const submit = h("button", { type: "submit", class: "primary" }, t("signIn.action"));
  const form = h("form", {}, field(t("signIn.key"), key, t("signIn.hint")), wrong, submit);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const credential = key.value.trim();
    submit.disabled = true;
    wrong.replaceChildren();
    try {
      // A key has no other characters, and a header could not have them.
      if (!/^[\x21-\x7e]+$/.test(credential)) throw Object.assign(new Error(), { code: "unauthenticated" });
      const caller = await call("account.GetCaller", {}, { credential });
      key.value = "";
      signIn(credential);
      await done(caller);
    } catch (error) {
      wrong.replaceChildren(error.code === "unauthenticated" ? t("signIn.wrong") : explain(error));
      key.focus();
    } finally {
      submit.disabled = false;
    }
  });
  return h("div", { class: "sign-in card" }, h("h1", {}, t("signIn.title")), h("p", { class: "muted" }, t("signIn.note")), form);
}
