// The interceptor of each call: makes a request id, checks the API key, and logs the call.

import { createHash, timingSafeEqual } from "node:crypto";

import { Code, ConnectError, createContextKey } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";

import { textOf, uuid7 } from "./ids.js";

/** The caller's account and the request id. */
export const CALLER = createContextKey(undefined);

/** How long a key is cached before the store is read again, as in Guestlist. */
const KEY_AGE_MS = 1000;

export class CallInterceptor {
  #store;
  #log;
  #known = new Map();

  constructor(store, log) {
    this.#store = store;
    this.#log = log;
  }

  interceptor = (next) => async (request) => {
    const start = performance.now();
    const id = textOf(uuid7());
    let key;
    let code = "ok";
    let fault;
    try {
      key = this.#verify(request.header.get("authorization") ?? "");
      request.contextValues.set(CALLER, { account: key.account, request: id });
      const response = await next(request);
      response.header.set("x-request-id", id);
      return response;
    } catch (error) {
      code = codeToString(ConnectError.from(error).code);
      // Logged for internal errors only, not for errors of the caller.
      fault = error instanceof ConnectError ? undefined : error.stack;
      throw error;
    } finally {
      this.#log.info({
        method: request.requestMethod,
        route: `/${request.service.typeName}/${request.method.name}`,
        code,
        duration_ms: performance.now() - start,
        request_id: id,
        account: key && textOf(key.account),
        key: key?.id,
        error: fault,
      }, "access");
    }
  };

  #verify(header) {
    const [id, secret] = splitKey(header.replace(/^Bearer /, "")) ?? [];
    const key = id && this.#find(id);
    if (!key || !timingSafeEqual(createHash("sha256").update(secret).digest(), key.secret_hash)) {
      throw new ConnectError("the credential is not valid", Code.Unauthenticated);
    }
    return key;
  }

  #find(id) {
    const now = performance.now();
    const known = this.#known.get(id);
    if (known && now - known.since < KEY_AGE_MS) {
      return known.key;
    }
    const found = this.#store.key(id, Date.now() * 1000);
    if (!found) {
      this.#known.delete(id);
      return undefined;
    }
    const key = { id, secret_hash: found.secret_hash, account: found.account_id };
    this.#known.set(id, { key, since: now });
    return key;
  }
}

/** The id and the secret of `gl_ID_SECRET`. */
export function splitKey(key) {
  return /^gl_([^_]+)_(.+)$/.exec(key)?.slice(1);
}
