// Better Auth's organization plugin, with the calls that are most similar to the measured ones.
// ../README.md has the differences to Guestlist's calls.

import { randomBytes, randomUUID } from "node:crypto";
import http from "node:http";
import { parseArgs } from "node:util";

import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { bearer, organization } from "better-auth/plugins";
import Database from "better-sqlite3";
import pino from "pino";

import { fill } from "./fill.js";

const { values } = parseArgs({
  options: { listen: { type: "string", default: "127.0.0.1:0" }, database: { type: "string", default: "" } },
});
if (!values.database.startsWith("sqlite:")) {
  throw new Error("--database must be sqlite:PATH");
}

const database = new Database(values.database.slice("sqlite:".length));
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");

const server = http.createServer();
const [, host, port] = /^(.*):(\d+)$/.exec(values.listen);
await new Promise((listening) => server.listen({ host, port: Number(port) }, listening));
const { address, port: bound } = server.address();

const auth = betterAuth({
  baseURL: `http://${address}:${bound}`,
  secret: randomBytes(32).toString("hex"),
  database,
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  plugins: [
    bearer(),
    organization({
      // Cancels the previous invitation, so that the same body can be sent again.
      cancelPendingInvitationsOnReInvite: true,
      invitationLimit: Number.MAX_SAFE_INTEGER,
    }),
  ],
});
await (await getMigrations(auth.options)).runMigrations();
// Better Auth's own indexes have one column each. With only these, SQLite would search the caller's
// membership among those in all organizations, and pending invitations among all earlier ones.
database.exec("CREATE INDEX member_of_organization ON member (organizationId, userId)");
database.exec("CREATE INDEX invitation_pending ON invitation (organizationId, status, email)");
const ready = await fill(await auth.$context, database, process.env.BENCH_KEY ?? "");

// Each log line is written at once, as in Guestlist.
const log = pino({ base: undefined }, pino.destination({ fd: 2, sync: true }));
const handler = toNodeHandler(auth);
server.on("request", (request, response) => {
  const start = performance.now();
  const id = randomUUID();
  response.setHeader("x-request-id", id);
  response.on("close", () => {
    log.info({
      method: request.method,
      route: request.url.split("?", 1)[0],
      status: response.statusCode,
      duration_ms: performance.now() - start,
      request_id: id,
      peer: request.socket.remoteAddress,
    }, "access");
  });
  handler(request, response);
});
process.once("SIGTERM", () => {
  server.close(() => database.close());
  server.closeIdleConnections();
});
process.stdout.write(JSON.stringify({ address: `${address}:${bound}`, ...ready }) + "\n");
