// The credential of the person. It is in memory only: a reload asks for it again.

let credential = "";
const listeners = new Set();

/** The credential of the calls: an API key or a JSON Web Token; empty before the sign-in. */
export const current = () => credential;

export function signIn(value) {
  credential = value;
}

export function signOut() {
  credential = "";
  listeners.forEach((listener) => listener());
}

export const onSignOut = (listener) => listeners.add(listener);
