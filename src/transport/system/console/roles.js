// Roles, the highest first.

import { role } from "./text.js";

export const ROLES = ["admin", "create", "edit", "member", "developer", "review", "comment", "read", "guest"];

/** The roles as options of a select. */
export const options = () => ROLES.map((name) => [name, role(name)]);
