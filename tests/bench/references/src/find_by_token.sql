SELECT
    "invites"."id" AS "A_id", "invites"."organization_id" AS "A_organization_id",
    "invites"."kind" AS "A_kind", "invites"."role" AS "A_role",
    "invites"."token_hash" AS "A_token_hash", "invites"."token_sealed" AS "A_token_sealed",
    "invites"."inviter_id" AS "A_inviter_id", "invites"."state" AS "A_state",
    "invites"."version" AS "A_version", "invites"."expires_at" AS "A_expires_at",
    "invites"."max_uses" AS "A_max_uses", "invites"."uses" AS "A_uses",
    "invites"."created_at" AS "A_created_at", "invites"."ended_at" AS "A_ended_at",
    "invites"."ended_by" AS "A_ended_by", "invites"."end_reason" AS "A_end_reason",
    "invites"."email" AS "A_email", "invites"."note" AS "A_note",
    "invites"."allowed_domains" AS "A_allowed_domains", "invites"."sso" AS "A_sso",
    "invites"."content_kind" AS "A_content_kind", "invites"."content_id" AS "A_content_id",
    "invites"."content_level" AS "A_content_level", "invites"."member_id" AS "A_member_id",
    "invites"."delivery" AS "A_delivery", "invites"."delivery_error" AS "A_delivery_error",
    "organizations"."id" AS "B_id", "organizations"."name" AS "B_name",
    "organizations"."invite_domains" AS "B_invite_domains", "organizations"."tier" AS "B_tier",
    "organizations"."creator_id" AS "B_creator_id",
    "organizations"."created_at" AS "B_created_at",
    "organizations"."updated_at" AS "B_updated_at", "organizations"."version" AS "B_version",
    "organizations"."member_count" AS "B_member_count",
    "organizations"."seat_limit" AS "B_seat_limit"
FROM "invites"
LEFT JOIN "organizations" ON "invites"."organization_id" = "organizations"."id"
WHERE "invites"."token_hash" = $1
