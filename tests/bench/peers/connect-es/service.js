import { createHash, randomUUID } from "node:crypto";

import { Code, ConnectError } from "@connectrpc/connect";

import { CALLER } from "./interceptor.js";
import { OrganizationService } from "./gen/gitpod/v1/organization_pb.js";
import { bytesOf, textOf, uuid7 } from "./ids.js";
import { seal } from "./seal.js";

export const routes = (store) => (router) => {
  router.service(OrganizationService, {
    getOrganizationInviteSummary(request) {
      const token = parse("invite_id", request.inviteId);
      const found = store.preview(hashOf(token), Date.now() * 1000);
      if (!found) {
        throw new ConnectError("not found", Code.NotFound);
      }
      return {
        organizationId: textOf(found.id),
        organizationName: found.name,
        organizationMemberCount: found.member_count,
      };
    },

    createOrganizationInvite(request, context) {
      const organization = parse("organization_id", request.organizationId);
      const caller = context.values.get(CALLER);
      const [invite, token] = [uuid7(), randomUUID()];
      const bytes = bytesOf(token);
      const refusal = store.rotate({
        organization,
        account: caller.account,
        request: caller.request,
        invite,
        inviteText: textOf(invite),
        event: uuid7(),
        hash: hashOf(bytes),
        sealed: seal(textOf(invite), bytes),
        now: Date.now() * 1000,
      });
      if (refusal) {
        throw refusal;
      }
      return { invite: { inviteId: token } };
    },
  });
};

function parse(field, text) {
  const bytes = bytesOf(text);
  if (!bytes) {
    throw new ConnectError(`${field} must be a UUID`, Code.InvalidArgument);
  }
  return bytes;
}

export function hashOf(bytes) {
  return createHash("sha256").update(bytes).digest();
}
