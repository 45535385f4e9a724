// Addresses to invite, from pasted text or a CSV file.

import { ROLES } from "./roles.js";

const ADDRESS = /[^\s,;<>"'()]+@[^\s,;<>"'()]+/;

/**
 * The addresses of a text, each once, with the role that stands on its line, if one does. Lines may
 * be "Ana <ana@example.com>", several addresses, or rows of a CSV file.
 */
export function parse(text) {
  const found = new Map();
  for (const line of text.split(/[\r\n]+/)) {
    const parts = line.split(/[,;\t]/).map((part) => part.trim().replace(/^"|"$/g, ""));
    const addresses = parts.flatMap((part) => part.split(/\s+(?=\S+@)/)).map((part) => part.match(ADDRESS)?.[0]).filter(Boolean);
    const role = addresses.length === 1 ? parts.find((part) => ROLES.includes(part.toLowerCase()))?.toLowerCase() : undefined;
    addresses.forEach((email) => {
      if (!found.has(email.toLowerCase())) found.set(email.toLowerCase(), role ? { email, role } : { email });
    });
  }
  return [...found.values()];
}
