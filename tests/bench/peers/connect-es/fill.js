import { randomUUID } from "node:crypto";

import { splitKey } from "./interceptor.js";
import { bytesOf, textOf, uuid7 } from "./ids.js";
import { seal } from "./seal.js";
import { hashOf } from "./service.js";
import { INSERT_INVITE } from "./store.js";

const ORGANIZATIONS = 10_000;
/** The number of organizations that the measurement changes. */
const WRITTEN_TO = 64;

/** Makes organizations, each with the caller as its admin and a live join link. Returns the data for the harness. */
export function fill(store, key) {
  const [id, secret] = splitKey(key) ?? [];
  if (!id) {
    throw new Error("BENCH_KEY must be gl_ID_SECRET");
  }
  const account = uuid7();
  const rows = [
    ["INSERT INTO accounts (id, name) VALUES (?, 'bench')", account],
    ["INSERT INTO api_keys (id, secret_hash, account_id) VALUES (?, ?, ?)", id, hashOf(secret), account],
  ];
  const ready = { organization_ids: [], invite_ids: [], count: "SELECT count(*) FROM audit_events" };
  for (let number = 0; number < ORGANIZATIONS; number++) {
    const [organization, member, invite, token] = [uuid7(), uuid7(), uuid7(), randomUUID()];
    const name = `Organization ${String(number).padStart(7, "0")}`;
    const now = Date.now() * 1000;
    const sealed = seal(textOf(invite), bytesOf(token));
    rows.push(
      [`INSERT INTO organizations (id, name, invite_domains, tier, creator_id, created_at, updated_at, version,
        member_count, seat_limit) VALUES (?, ?, '', 'free', ?, ?, ?, 1, 1, 0)`, organization, name, account, now, now],
      [`INSERT INTO members (id, organization_id, account_id, role, status, sort_name, joined_at)
        VALUES (?, ?, ?, 'admin', 'active', 'bench', ?)`, member, organization, account, now],
      [INSERT_INVITE, invite, organization, hashOf(bytesOf(token)), sealed, member, 1, now],
    );
    if (number < WRITTEN_TO) {
      ready.organization_ids.push(textOf(organization));
    }
    ready.invite_ids.push(token);
  }
  store.fill(rows);
  return ready;
}
