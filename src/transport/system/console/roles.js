// Roles, the highest first.

import { role } from "./text.js";

export const ROLES = ["admin", "create", "edit", "member", "developer", "review", "comment", "read", "guest"];

/** The roles up to this one, as options of a select. */
export const options = (highest = ROLES[0]) => ROLES.slice(Math.max(0, ROLES.indexOf(highest))).map((name) => [name, role(name)]);
