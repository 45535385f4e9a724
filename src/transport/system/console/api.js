// Calls over Connect with JSON.

import { current, signOut } from "./session.js";

const TIMEOUT_MS = 30000;
const GITPOD = "gitpod.v1.OrganizationService";

/** The names of services in `call`, and their full names. */
const SERVICES = {
  organizations: GITPOD,
  mine: "guestlist.v1.OrganizationService",
  invites: "guestlist.v1.InviteService",
  members: "guestlist.v1.MemberService",
  account: "guestlist.v1.AccountService",
  audit: "guestlist.v1.AuditService",
  events: "guestlist.v1.EventService",
  webhooks: "guestlist.v1.WebhookService",
  admin: "guestlist.v1.AdminService",
};

export class CallError extends Error {
  constructor(code, message = "", details = []) {
    super(message);
    this.code = code;
    this.reason = reasonOf(details);
  }
}

/** The reason of a `google.rpc.ErrorInfo`, which is the first field of the message. */
function reasonOf(details) {
  const info = details.find((detail) => detail.type === "google.rpc.ErrorInfo");
  if (!info) return "";
  const bytes = atob(info.value.replaceAll("-", "+").replaceAll("_", "/"));
  return bytes.charCodeAt(0) === 10 ? bytes.slice(2, 2 + bytes.charCodeAt(1)) : "";
}

/** Calls `service.Method`, such as `members.SuspendMember`. Throws a CallError. */
export async function call(method, message = {}, { signal, credential = current() } = {}) {
  const [service, name] = method.split(".");
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  let answer;
  try {
    response = await fetch(`${SERVICES[service]}/${name}`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "Connect-Protocol-Version": "1",
        Authorization: `Bearer ${credential}`,
      },
      body: JSON.stringify(message),
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    answer = await response.json();
  } catch (cause) {
    if (signal?.aborted) throw new CallError("canceled");
    throw new CallError("unavailable", String(cause?.message ?? ""));
  }
  if (response.ok) return answer;
  const error = new CallError(answer.code ?? "unknown", answer.message, answer.details);
  if (error.code === "unauthenticated" && credential === current()) signOut();
  throw error;
}

/** An id for `request_id`: a repeated request changes nothing more. Pages without TLS have no `randomUUID`. */
export const requestId = () => crypto.getRandomValues(new Uint32Array(4)).join("-");
