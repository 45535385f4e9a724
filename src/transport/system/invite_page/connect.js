// Calls over Connect with JSON, for every page.

const TIMEOUT_MS = 30000;

// An error of a call: the code of Connect, and the reason of its details.
export class CallError extends Error {
  constructor(code, reason = "", message = "") {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

// Calls a method such as `package.Service/Method`, with a Credential or none. Throws a CallError.
export async function call(method, message, credential = null, signal = undefined) {
  const value = credential?.value ?? "";
  try {
    return await send(method, message, value, signal);
  } catch (error) {
    if (error.code !== "unauthenticated" || !(await credential?.renew(value))) {
      throw error;
    }
    return send(method, message, credential.value, signal);
  }
}

async function send(method, message, credential, signal) {
  const headers = { "Content-Type": "application/json", "Connect-Protocol-Version": "1" };
  if (credential) {
    headers.Authorization = `Bearer ${credential}`;
  }
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  let answer;
  try {
    response = await fetch(method, {
      method: "POST",
      headers,
      body: JSON.stringify(message),
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    answer = await response.json();
  } catch {
    throw new CallError(signal?.aborted ? "canceled" : "unavailable");
  }
  if (!response.ok) {
    const info = (answer.details ?? []).find((detail) => detail.type === "google.rpc.ErrorInfo");
    throw new CallError(String(answer.code), String(info?.debug?.reason ?? ""), String(answer.message ?? ""));
  }
  return answer;
}
