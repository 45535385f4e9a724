// Signing in with an issuer, for every page: the authorization code flow with PKCE by a redirect.
//
// While the person is at the issuer, sessionStorage has state, nonce, code verifier and the values
// that the page needs again. `receive` and `resume` erase them. A credential is in memory only: after
// a reload, the person signs in again.

import { CallError, call } from "./connect.js";

const FLOW = "guestlist.sign-in";
const SERVICE = "guestlist.v1.SignInService";

// What a person signs in with: an API key, or a token, which the issuer may renew.
export class Credential {
  #issuer;
  #refreshToken;
  #renewal = null;

  constructor(value, issuer = "", refreshToken = "") {
    this.value = value;
    this.#issuer = issuer;
    this.#refreshToken = refreshToken;
  }

  // After the service refused this value: whether there is a new one. Throws a CallError if the
  // issuer cannot be asked. Calls at the same time share one renewal.
  async renew(refused) {
    if (this.value !== refused) {
      return true;
    }
    this.#renewal ??= this.#ask().finally(() => (this.#renewal = null));
    return this.#renewal;
  }

  async #ask() {
    if (!this.#refreshToken) {
      return false;
    }
    const asked = { issuer: this.#issuer, refreshToken: this.#refreshToken, token: this.value };
    try {
      const renewed = await call(`${SERVICE}/RenewSignIn`, asked);
      this.value = renewed.token;
      this.#refreshToken = renewed.refreshToken;
      return true;
    } catch (error) {
      if (error.code !== "failed_precondition") {
        throw error;
      }
      this.#refreshToken = "";
      return false;
    }
  }
}

// The issuers that people can sign in with: `{ issuer, name }` each.
export async function providers() {
  return (await call(`${SERVICE}/ListProviders`, {})).providers ?? [];
}

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

// Leaves for the page of the issuer, which leads back to `page` (relative to this one). `kept` is
// what `resume` returns there.
export async function begin(issuer, page, kept = {}) {
  if (!isSecureContext) {
    throw new CallError("insecure"); // browsers hash for pages over https only
  }
  const [state, nonce, verifier] = [random(), random(), random()];
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const codeChallenge = base64url(new Uint8Array(hash));
  const begun = await call(`${SERVICE}/BeginSignIn`, { issuer, state, nonce, codeChallenge });
  const origin = new URL(begun.redirectUri).origin;
  if (origin !== location.origin) {
    throw new CallError("elsewhere", "", origin); // what is kept here cannot be read there
  }
  sessionStorage.setItem(FLOW, JSON.stringify({ issuer, state, nonce, verifier, page, kept }));
  location.assign(begun.authorizationUrl);
}

function takeFlow() {
  const flow = sessionStorage.getItem(FLOW);
  sessionStorage.removeItem(FLOW);
  return flow && JSON.parse(flow);
}

// On the page that the issuer leads back to: takes the code out of the address bar and compares
// `state`. Returns the address of the page that began, or null if none did in this window.
export function receive() {
  const query = new URLSearchParams(location.search);
  history.replaceState(null, "", location.pathname);
  const flow = takeFlow();
  if (!flow) {
    return null;
  }
  const page = new URL(flow.page, location.href);
  if (page.origin !== location.origin) {
    return null;
  }
  const { issuer, nonce, verifier, kept } = flow;
  const only = (name) => (query.getAll(name).length === 1 ? query.get(name) : "");
  if (only("state") !== flow.state) {
    sessionStorage.setItem(FLOW, JSON.stringify({ kept, failed: "state" }));
  } else if (query.has("error") || !only("code")) {
    const failed = only("error") === "access_denied" ? "denied" : "refused";
    sessionStorage.setItem(FLOW, JSON.stringify({ kept, failed }));
  } else {
    const finish = { issuer, nonce, codeVerifier: verifier, code: only("code"), responseIssuer: only("iss") };
    sessionStorage.setItem(FLOW, JSON.stringify({ kept, finish }));
  }
  return page.href;
}

// On the page that began: `{ kept, credential }` or `{ kept, error }`; null if there is no sign-in to go
// on with.
export async function resume() {
  const flow = takeFlow();
  if (!flow) {
    return null;
  }
  const { kept } = flow;
  if (!flow.finish) {
    // Without a failure, the person came back by the browser's button.
    return { kept, error: new CallError("sign-in", flow.failed ?? "denied") };
  }
  try {
    const { token, refreshToken } = await call(`${SERVICE}/FinishSignIn`, flow.finish);
    return { kept, credential: new Credential(token, flow.finish.issuer, refreshToken) };
  } catch (error) {
    return { kept, error: error.code === "not_found" ? new CallError("sign-in", "refused") : error };
  }
}
