// Encrypts tokens, so that they can be shown again: AES-256-GCM with a key of this process. The
// layout is that of Guestlist: version, key id, nonce, ciphertext and tag.

import { createCipheriv, createHash, randomBytes } from "node:crypto";

const KEY = randomBytes(32);
const HEAD = Buffer.concat([Buffer.of(1), createHash("sha256").update(KEY).digest().subarray(0, 8)]);

export function seal(invite, token) {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", KEY, nonce);
  cipher.setAAD(Buffer.from(invite));
  return Buffer.concat([HEAD, nonce, cipher.update(token), cipher.final(), cipher.getAuthTag()]);
}
