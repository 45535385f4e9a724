// Shows an invitation and joins with it. The invite's token comes from the fragment of the URL and
// leaves the address bar at once; the page sends it in the body of a call only. Only a click on
// "Join" uses the invitation.
import { CallError, call } from "./connect.js";
import { Credential, begin, providers, resume } from "./sign-in.js";
import { fill, formatNumber, formatTime, text, titled } from "./text.js";

const INVITES = "guestlist.v1.InviteService";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TEXT_OF_REASON = {
  EMAIL_MISMATCH: "email-mismatch",
  EMAIL_UNVERIFIED: "email-unverified",
  DOMAIN_NOT_ALLOWED: "domain",
  SSO_REQUIRED: "sso",
  SEAT_LIMIT: "seats",
  SUSPENDED: "suspended",
  RATE_LIMITED: "rate",
  ASK_LATER: "ask-later",
  ISSUER_MISMATCH: "sign-in-issuer",
  SIGN_IN_REFUSED: "sign-in-refused",
  TOKEN_REJECTED: "sign-in-rejected",
  PROVIDER_UNAVAILABLE: "sign-in-unavailable",
  denied: "sign-in-denied",
  refused: "sign-in-refused",
  state: "sign-in-state",
};

const element = (id) => document.getElementById(id);
const show = (id, shown) => {
  element(id).hidden = !shown;
};

let token = "";
let credential = null;
let account = null;
let organization = "";
// Where members go on; empty: nowhere.
let next = "";
let issuers = [];

function say(words, wrong = false) {
  element("status").textContent = words;
  element("status").className = wrong ? "wrong" : "";
}

function explain(error) {
  const name = account?.email || account?.name || "";
  const known = TEXT_OF_REASON[error.reason];
  if (known) {
    return text(known, { organization });
  }
  switch (error.code) {
    case "unauthenticated":
      return text(issuers.length ? "session-ended" : "key-refused");
    case "not_found":
      return credential ? text("ended-or-other", { name }) : text("ended");
    case "unavailable":
    case "deadline_exceeded":
      return text("unavailable");
    case "insecure":
      return text("insecure");
    case "elsewhere":
      return text("elsewhere", { origin: error.message });
    default:
      return text("failed", { code: error.code });
  }
}

// What the person can do next; everything else is hidden.
function offer({ signIn = false, actions = false, confirm = false, again = false, who = false }) {
  show("sign-in", signIn);
  show("form", issuers.length === 0);
  show("actions", actions);
  show("confirm", confirm);
  show("again", again);
  show("on", false);
  show("who", who && Boolean(account));
}

async function busy(work) {
  const buttons = document.querySelectorAll("button");
  buttons.forEach((button) => (button.disabled = true));
  element("status").setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    if (!(error instanceof CallError)) {
      throw error;
    }
    say(explain(error), true);
    offer({ again: error.code !== "permission_denied", who: true });
  } finally {
    buttons.forEach((button) => (button.disabled = false));
    element("status").removeAttribute("aria-busy");
  }
}

function fact(id, value) {
  element(id).textContent = value;
  element(id).parentElement.hidden = !value;
}

function showPreview(preview) {
  organization = preview.organizationName;
  next = preview.continueUrl ?? "";
  element("organization").textContent = organization;
  const count = Number(preview.memberCount ?? 0);
  fact("members", text("members", { count, shown: formatNumber(count) }));
  showInvitation(undefined);
  show("preview", true);
}

function showInvitation(mine) {
  const role = mine?.role ?? "";
  fact("inviter", mine?.inviterName ?? "");
  fact("role", role && text(`role-${role}`));
  fact("until", mine?.expireTime ? formatTime(mine.expireTime) : "");
  show("sso", Boolean(mine?.sso));
  show("decline", Boolean(mine));
}

// The invitation of this organization, if it is for the verified address of the account.
async function findMine(organizationId) {
  let pageToken = "";
  do {
    const page = { pageSize: 100, pageToken };
    const answer = await call(`${INVITES}/ListMyInvitations`, { page }, credential);
    const found = (answer.invitations ?? []).find((one) => one.organizationId === organizationId);
    if (found) {
      return found;
    }
    pageToken = answer.nextPageToken ?? "";
  } while (pageToken);
  return undefined;
}

async function isMember(organizationId) {
  try {
    await call("guestlist.v1.MemberService/GetMembership", { organizationId }, credential);
    return true;
  } catch (error) {
    if (error.code === "not_found") {
      return false;
    }
    throw error;
  }
}

function askToSignIn(words, wrong = false) {
  credential = null;
  account = null;
  say(words, wrong);
  offer({ signIn: true });
}

async function look(first = "") {
  show("preview", false);
  offer({});
  say(text("loading"));
  await busy(async () => {
    let preview;
    try {
      if (credential) {
        account = (await call("guestlist.v1.AccountService/GetCaller", {}, credential)).account;
        element("name").textContent = text("signed-in-as", { name: account.email || account.name });
      }
      preview = await call(`${INVITES}/Preview`, { token }, credential);
    } catch (error) {
      if (error.code === "unauthenticated") {
        askToSignIn(credential ? explain(error) : first || text("sign-in-to-see"), Boolean(credential || first));
        return;
      }
      if (error.code === "not_found") {
        say(explain(error), true);
        offer({ who: true });
        return;
      }
      throw error;
    }
    showPreview(preview);
    if (!credential) {
      askToSignIn(first || text("sign-in-to-join"), Boolean(first));
    } else if (await isMember(preview.organizationId)) {
      finish(text("already", { organization }));
      offer({ who: true });
      offerNext();
    } else {
      showInvitation(await findMine(preview.organizationId));
      say("");
      offer({ actions: true, who: true });
    }
  });
}

// The invitation is used up: neither the token nor a credential is needed any more.
function finish(words) {
  credential = null;
  show("preview", false);
  offer({});
  history.replaceState(null, "", location.pathname);
  say(words);
  element("status").classList.add("done");
}

// Where the service has what the person was invited to.
function offerNext() {
  if (next) {
    element("continue").href = next;
    element("continue").textContent = text("continue-to", { host: new URL(next).host });
    show("on", true);
  }
}

async function join() {
  await busy(async () => {
    try {
      await call("gitpod.v1.OrganizationService/JoinOrganization", { inviteId: token }, credential);
    } catch (error) {
      if (error.code === "not_found") {
        say(text("ended-or-removed", { organization }), true);
        offer({ who: true });
        return;
      }
      if (error.reason === "APPROVAL_PENDING") {
        finish(text("asked", { organization }));
        return;
      }
      throw error;
    }
    finish(text("joined", { organization }));
    offerNext();
    if (next) {
      location.assign(next);
    }
  });
}

async function decline() {
  await busy(async () => {
    await call(`${INVITES}/Decline`, { invitation: token }, credential);
    finish(text("declined", { organization }));
  });
}

function showProviders() {
  const buttons = issuers.map(({ issuer, name }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "main";
    button.textContent = text("continue-with", { name });
    button.addEventListener("click", () => busy(() => begin(issuer, "invite", { invite: token })));
    return button;
  });
  element("providers").replaceChildren(...buttons);
}

async function open() {
  const fragment = location.hash.slice(1);
  // The state of this entry of the history survives a reload, and no other page reads it.
  const remember = (invite) => history.replaceState({ invite }, "", location.pathname);
  if (fragment) {
    remember(fragment);
  }
  const resumed = await resume();
  token = fragment || resumed?.kept?.invite || history.state?.invite || "";
  if (!UUID.test(token)) {
    history.replaceState(null, "", location.pathname);
    show("preview", false);
    offer({});
    say(text("incomplete"), true);
    return;
  }
  remember(token);
  credential = resumed?.credential ?? null;
  let failure = resumed?.error ? explain(resumed.error) : "";
  await busy(async () => {
    issuers = await providers();
    showProviders();
    await look(failure);
  });
}

fill(document);
document.title = titled(text("title"));
element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  credential = new Credential(element("key").value.trim());
  element("key").value = "";
  look();
});
element("join").addEventListener("click", join);
element("decline").addEventListener("click", () => {
  offer({ confirm: true, who: true });
  element("keep").focus();
});
element("keep").addEventListener("click", () => {
  offer({ actions: true, who: true });
  element("decline").focus();
});
element("decline-now").addEventListener("click", decline);
element("again").addEventListener("click", () => (issuers.length || credential ? look() : open()));
element("other").addEventListener("click", () => {
  credential = null;
  account = null;
  look();
});
window.addEventListener("hashchange", open);
// Back from the issuer by the browser's button, to a page that the browser has kept.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) {
    open();
  }
});
open();
