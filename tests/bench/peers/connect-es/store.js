import { readFileSync } from "node:fs";

import { Code, ConnectError } from "@connectrpc/connect";
import Database from "better-sqlite3";

import { textOf } from "./ids.js";

/** SQLite; all reads and writes are on the only thread. */
export class Store {
  #database;
  #key;
  #summary;
  #rotate;

  constructor(path) {
    this.#database = new Database(path);
    this.#database.pragma("journal_mode = WAL");
    this.#database.pragma("synchronous = FULL");
    this.#database.pragma("foreign_keys = ON");
    this.#database.exec(readFileSync(new URL("schema.sql", import.meta.url), "utf8"));
    const prepare = (sql) => this.#database.prepare(sql);
    this.#key = prepare(`SELECT secret_hash, account_id FROM api_keys
      WHERE id = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)`);
    this.#summary = prepare(`SELECT o.id, o.name, o.member_count
      FROM invites i JOIN organizations o ON o.id = i.organization_id
      WHERE i.token_hash = ? AND i.state = 'live' AND (i.expires_at IS NULL OR i.expires_at > ?)`);
    this.#rotate = this.#database.transaction(rotation(prepare));
  }

  key(id, now) {
    return this.#key.get(id, now);
  }

  preview(hash, now) {
    return this.#summary.get(hash, now);
  }

  /** Replaces an organization's join link. Returns an error if the caller may not. */
  rotate(change) {
    return this.#rotate.immediate(change);
  }

  /** Inserts rows into tables, in one transaction. */
  fill(rows) {
    this.#database.transaction(() => {
      for (const [sql, ...values] of rows) {
        this.#database.prepare(sql).run(...values);
      }
    })();
  }

  close() {
    this.#database.close();
  }
}

function rotation(prepare) {
  const version = prepare("SELECT version FROM organizations WHERE id = ?").pluck();
  const member = prepare(`SELECT id, role, status FROM members
    WHERE organization_id = ? AND account_id = ? AND status <> 'left'`);
  const link = prepare(`SELECT id FROM invites
    WHERE organization_id = ? AND kind = 'join_link' AND state = 'live'`).pluck();
  const end = prepare(`UPDATE invites SET state = 'replaced', ended_at = ?, ended_by = ?, end_reason = 'REPLACED'
    WHERE organization_id = ? AND id = ? AND state = 'live'`);
  const advance = prepare("UPDATE organizations SET version = ? WHERE id = ?");
  const insert = prepare(INSERT_INVITE);
  const record = prepare(`INSERT INTO audit_events (id, at, action, actor_id, target_kind, target_id,
    organization_id, request_id, note) VALUES (?, ?, 'invite.created', ?, 'invite', ?, ?, ?, ?)`);

  return ({ organization, account, request, invite, inviteText, event, hash, sealed, now }) => {
    const current = version.get(organization);
    const admin = member.get(organization, account);
    if (current === undefined || !admin) {
      return new ConnectError("not found", Code.NotFound);
    }
    if (admin.role !== "admin" || admin.status !== "active") {
      return new ConnectError("your role in this organization does not allow this", Code.PermissionDenied);
    }
    const before = link.get(organization);
    if (before) {
      end.run(now, admin.id, organization, before);
    }
    advance.run(current + 1, organization);
    insert.run(invite, organization, hash, sealed, admin.id, current + 1, now);
    record.run(event, now, account, inviteText, organization, request, before ? `replaces ${textOf(before)}` : "");
    return undefined;
  };
}

export const INSERT_INVITE = `INSERT INTO invites (id, organization_id, kind, role, token_hash, token_sealed,
  inviter_id, state, version, created_at) VALUES (?, ?, 'join_link', 'member', ?, ?, ?, 'live', ?, ?)`;
