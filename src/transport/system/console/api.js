// Calls over Connect with JSON, by the short names of the services.

import { call as connect } from "../connect.js";
import { current, signOut } from "./session.js";

const GITPOD = "gitpod.v1.OrganizationService";

/** The names of services in `call`, and their full names. */
const SERVICES = {
  organizations: GITPOD,
  mine: "guestlist.v1.OrganizationService",
  invites: "guestlist.v1.InviteService",
  members: "guestlist.v1.MemberService",
  requests: "guestlist.v1.JoinRequestService",
  domains: "guestlist.v1.DomainService",
  account: "guestlist.v1.AccountService",
  audit: "guestlist.v1.AuditService",
  events: "guestlist.v1.EventService",
  webhooks: "guestlist.v1.WebhookService",
  admin: "guestlist.v1.AdminService",
};

/** Calls `service.Method`, such as `members.SuspendMember`. Throws a CallError. */
export async function call(method, message = {}, { signal, credential = current() } = {}) {
  const [service, name] = method.split(".");
  try {
    return await connect(`${SERVICES[service]}/${name}`, message, credential, signal);
  } catch (error) {
    if (error.code === "unauthenticated" && credential && credential === current()) signOut(true);
    throw error;
  }
}

/** An id for `request_id`: a repeated request changes nothing more. Pages without TLS have no `randomUUID`. */
export const requestId = () => crypto.getRandomValues(new Uint32Array(4)).join("-");
