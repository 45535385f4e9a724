-- A script for pgbench with the statements that Guestlist sends to PostgreSQL for
-- CreateOrganizationInvite. Each transaction is in a random one of the first 64 organizations.
-- `pgbench.py` defines `first`, the upper half of the first organization's id, `account`, the
-- caller, and `number`, a start for new ids. The lower half of an id depends only on its number.
\set which random(0, 63)
\set upper :first + :which * 65536
\set lower -9223372036854775807 - 1 + :which
\set number :number + 1
\set id :number * 64 + :client_id
\set rest random(0, 9223372036854775806)
BEGIN;
SELECT
    "organizations"."id", "organizations"."name", "organizations"."invite_domains",
    "organizations"."tier", "organizations"."creator_id", "organizations"."created_at",
    "organizations"."updated_at", "organizations"."version", "organizations"."member_count",
    "organizations"."seat_limit"
FROM "organizations" WHERE "organizations"."id" =
    (lpad(to_hex(:upper::bigint), 16, '0') || to_hex(:lower::bigint))::uuid FOR UPDATE
\gset organization_
SELECT "members"."id", "members"."role", "members"."status", "invites"."id" AS "join_link_id"
FROM "members" LEFT JOIN "invites" ON "members"."organization_id" = "invites"."organization_id"
    AND (kind = 'join_link' AND state = 'live')
WHERE "members"."organization_id" = :organization_id AND "members"."account_id" = :account
    AND ("members"."status" <> 'left')
\gset member_
WITH w0 AS (UPDATE "invites" SET "state" = 'replaced',
    "ended_at" = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    "ended_by" = :member_id, "end_reason" = 'REPLACED'
WHERE "invites"."organization_id" = :organization_id AND "invites"."id" = :member_join_link_id
    AND (kind = 'join_link' AND state = 'live'))
UPDATE "organizations" SET "version" = :organization_version::bigint + 1
WHERE "organizations"."id" = :organization_id;
WITH w0 AS (INSERT INTO "invites" ("id", "organization_id", "kind", "role", "token_hash", "token_sealed",
    "inviter_id", "state", "version", "expires_at", "max_uses", "uses", "created_at", "ended_at",
    "ended_by", "end_reason", "email", "note", "allowed_domains", "sso", "content_kind",
    "content_id", "content_level", "member_id", "delivery", "delivery_error")
VALUES ((lpad(to_hex(:id::bigint), 16, '0') || lpad(to_hex(:rest::bigint), 16, '0'))::uuid,
    :organization_id, 'join_link', 'member', sha256(uuid_send(gen_random_uuid())),
    decode(repeat('07', 53), 'hex'), :member_id, 'live', :organization_version::bigint + 1, NULL,
    NULL, 0, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, NULL, NULL, NULL, NULL, '',
    '', false, NULL, NULL, NULL, NULL, NULL, NULL))
INSERT INTO "audit_events" ("id", "at", "action", "actor_id", "on_behalf_of_id", "target_kind",
    "target_id", "organization_id", "request_id", "note",
    "ordinal", "organization_version", "data")
VALUES ((lpad(to_hex(:id::bigint), 16, '0') || lpad(to_hex(:rest::bigint), 16, '0'))::uuid,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, 'invite.created', :account, NULL,
    'invite', ((lpad(to_hex(:id::bigint), 16, '0') || lpad(to_hex(:rest::bigint), 16, '0'))::uuid)::text,
    :organization_id, gen_random_uuid()::text, 'replaces ' || :member_join_link_id::text,
    :id, :organization_version::bigint + 1, decode(repeat('07', 140), 'hex'));
COMMIT;
