// The measured calls as a service of connect-es. ../README.md has the differences to Guestlist.

import http2 from "node:http2";
import { parseArgs } from "node:util";

import { connectNodeAdapter } from "@connectrpc/connect-node";
import pino from "pino";

import { CallInterceptor } from "./interceptor.js";
import { fill } from "./fill.js";
import { routes } from "./service.js";
import { Store } from "./store.js";

const { values } = parseArgs({
  options: { listen: { type: "string", default: "127.0.0.1:0" }, database: { type: "string", default: "" } },
});
if (!values.database.startsWith("sqlite:")) {
  throw new Error("--database must be sqlite:PATH");
}

const store = new Store(values.database.slice("sqlite:".length));
const ready = fill(store, process.env.BENCH_KEY ?? "");
// Each log line is written at once, as in Guestlist.
const log = pino({ base: undefined }, pino.destination({ fd: 2, sync: true }));
const calls = new CallInterceptor(store, log);
const server = http2.createServer(connectNodeAdapter({ routes: routes(store), interceptors: [calls.interceptor] }));

const sessions = new Set();
server.on("session", (session) => {
  sessions.add(session);
  session.on("close", () => sessions.delete(session));
});
process.once("SIGTERM", () => {
  server.close(() => store.close());
  for (const session of sessions) {
    session.close();
  }
});

const [, host, port] = /^(.*):(\d+)$/.exec(values.listen);
server.listen({ host, port: Number(port) }, () => {
  const { address, port } = server.address();
  process.stdout.write(JSON.stringify({ address: `${address}:${port}`, ...ready }) + "\n");
});
