// The Credential of the person. It is in memory only: a reload asks for it again.

let credential = null;
let account = "";
const leavers = new Set();
const forgetters = new Set();

/** The Credential of the calls; null before the sign-in. */
export const current = () => credential;

/** The next person may not see what the one before saw or typed. */
function forget() {
  account = "";
  forgetters.forEach((listener) => listener());
}

export function signIn(value, accountId) {
  if (account !== accountId) forget();
  credential = value;
  account = accountId;
}

/** `isLost`: the credential has ended. What was typed is there again if the same person signs in. */
export function signOut(isLost = false) {
  credential = null;
  if (!isLost) forget();
  leavers.forEach((listener) => listener(isLost));
}

export const onSignOut = (listener) => leavers.add(listener);
export const onForget = (listener) => forgetters.add(listener);
