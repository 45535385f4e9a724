"use strict";

// Shows an invitation and joins with it. The token comes from the fragment of the URL, and the page
// sends it in the body of a call only. Only a click on "Join" uses the invitation.
(() => {
  const PREVIEW = "guestlist.v1.InviteService/Preview";
  const JOIN = "gitpod.v1.OrganizationService/JoinOrganization";
  const TIMEOUT_MS = 20000;
  const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

  const element = (id) => document.getElementById(id);
  const form = element("form");
  const key = element("key");
  const look = element("look");
  const join = element("join");
  const status = element("status");

  let organization = "";

  const token = () => location.hash.slice(1);

  function say(text, wrong = false) {
    status.textContent = text;
    status.classList.toggle("wrong", wrong);
  }

  // Calls a method over Connect. Returns the response, or throws an error with its code.
  async function call(method, message) {
    const headers = { "Content-Type": "application/json", "Connect-Protocol-Version": "1" };
    const credential = key.value.trim();
    if (credential) {
      headers.Authorization = `Bearer ${credential}`;
    }
    let response;
    let answer;
    try {
      response = await fetch(method, {
        method: "POST",
        headers,
        body: JSON.stringify(message),
        credentials: "omit",
        cache: "no-store",
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      answer = await response.json();
    } catch {
      throw { code: "unavailable", message: "" };
    }
    if (!response.ok) {
      throw { code: String(answer.code), message: String(answer.message || "") };
    }
    return answer;
  }

  function explain(error) {
    switch (error.code) {
      case "unauthenticated":
        return "This API key or token was not accepted.";
      case "not_found":
        return "This invitation does not exist, has ended, or is not for this account.";
      case "unavailable":
        return "The service cannot be reached. Try again in a moment.";
      case "permission_denied":
      case "failed_precondition":
      case "resource_exhausted":
        return `You cannot join: ${error.message}.`;
      default:
        return `That did not work (${error.code}).`;
    }
  }

  async function busy(work) {
    look.disabled = true;
    join.disabled = true;
    try {
      await work();
    } finally {
      look.disabled = false;
      join.disabled = false;
    }
  }

  function show(preview) {
    organization = preview.organizationName;
    element("organization").textContent = organization;
    const members = Number(preview.memberCount || 0);
    element("members").textContent = members === 1 ? "It has 1 member." : `It has ${members} members.`;
    element("preview").hidden = false;
    look.hidden = true;
    join.hidden = false;
    say("");
  }

  function forget() {
    organization = "";
    element("preview").hidden = true;
    look.hidden = false;
    join.hidden = true;
  }

  async function preview() {
    await busy(async () => {
      try {
        show(await call(PREVIEW, { token: token() }));
      } catch (error) {
        forget();
        if (error.code === "unauthenticated" && !key.value.trim()) {
          say("To see the invitation, say who you are.");
        } else {
          say(explain(error), true);
        }
      }
    });
  }

  async function joinNow() {
    if (!key.value.trim()) {
      say("To join, say who you are.", true);
      key.focus();
      return;
    }
    await busy(async () => {
      try {
        await call(JOIN, { inviteId: token() });
        key.value = "";
        form.hidden = true;
        // Removes the used token from the history of the browser.
        history.replaceState(null, "", location.pathname);
        say(`You are a member of ${organization} now.`);
      } catch (error) {
        say(explain(error), true);
      }
    });
  }

  function open() {
    forget();
    if (!UUID.test(token())) {
      form.hidden = true;
      say("This link is not complete. Open the whole address from the mail.", true);
      return;
    }
    form.hidden = false;
    preview();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    preview();
  });
  join.addEventListener("click", joinNow);
  window.addEventListener("hashchange", open);
  open();
})();
