const ORGANIZATIONS = 10_000;
const CALLER = "bench@example.com";

/**
 * Makes organizations, each with the caller as its admin and a pending invitation, through Better
 * Auth's own adapter in one transaction. Returns the requests to measure.
 */
export async function fill({ adapter, generateId }, database, key) {
  if (!key || key.includes(".")) {
    throw new Error("BENCH_KEY must be there, and without a dot");
  }
  const make = (model, data) =>
    adapter.create({ model, data: { id: generateId({ model }), ...data }, forceAllowId: true });
  const now = new Date();
  const later = new Date(now.getTime() + 7 * 24 * 60 * 60 * 1000);
  let first;
  let invitation;

  database.exec("BEGIN");
  const user = await make("user", {
    name: "bench", email: CALLER, emailVerified: true, createdAt: now, updatedAt: now,
  });
  // The key is the token of a session, which costs one read of the store for each call. A key of the
  // plugin for API keys would also cost a write for each call, for the time of its last use.
  await make("session", { token: key, userId: user.id, expiresAt: later, createdAt: now, updatedAt: now });
  for (let number = 0; number < ORGANIZATIONS; number++) {
    const name = `Organization ${String(number).padStart(7, "0")}`;
    const organization = await make("organization", { name, slug: `organization-${number}`, createdAt: now });
    const organizationId = organization.id;
    await make("member", { organizationId, userId: user.id, role: "admin", createdAt: now });
    // Better Auth shows an invitation only to the user with its address.
    invitation = await make("invitation", {
      organizationId, email: CALLER, role: "member", status: "pending", expiresAt: later, createdAt: now,
      inviterId: user.id,
    });
    first ??= organizationId;
  }
  database.exec("COMMIT");

  const headers = { authorization: `Bearer ${key}` };
  return {
    summary: { method: "GET", path: `/api/auth/organization/get-invitation?id=${invitation.id}`, headers, body: "" },
    create: {
      method: "POST",
      path: "/api/auth/organization/invite-member",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify({ organizationId: first, email: "guest@example.com", role: "member" }),
    },
    count: "SELECT count(*) FROM invitation",
  };
}
