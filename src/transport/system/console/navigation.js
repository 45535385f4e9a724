// The views, and which addresses they have. A new view is a file in `views` and an entry here.

import { activity } from "./views/activity.js";
import { domains } from "./views/domains.js";
import { home } from "./views/home.js";
import { invitations } from "./views/invitations.js";
import { links } from "./views/links.js";
import { members } from "./views/members.js";
import { operator } from "./views/operator.js";
import { requests } from "./views/requests.js";
import { settings } from "./views/settings.js";
import { webhooks } from "./views/webhooks.js";

/** The views of an organization: `#/o/ORGANIZATION/ID`. `needs` is a permission of the caller. */
export const ORGANIZATION_VIEWS = [
  { id: "members", view: members, needs: "PERMISSION_LIST_MEMBERS" },
  { id: "invitations", view: invitations, needs: "PERMISSION_MANAGE_INVITES" },
  { id: "links", view: links, needs: "PERMISSION_MANAGE_INVITES" },
  { id: "requests", view: requests, needs: "PERMISSION_MANAGE_MEMBERS" },
  { id: "activity", view: activity, needs: "PERMISSION_READ_AUDIT" },
  { id: "domains", view: domains, needs: "PERMISSION_MANAGE_ORGANIZATION" },
  { id: "webhooks", view: webhooks, needs: "PERMISSION_MANAGE_ORGANIZATION" },
  { id: "settings", view: settings, needs: "PERMISSION_VIEW_ORGANIZATION" },
];

/** The views without an organization: `#/ID`. `scope` is a scope of the caller's key. */
export const VIEWS = [
  { id: "", view: home },
  { id: "operator", view: operator, scope: "operator" },
];
