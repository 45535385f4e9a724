// QR codes (ISO/IEC 18004): byte mode, error correction M, versions 1 to 10, which is up to 213 bytes.

import { svg } from "./dom.js";

// For each version: error correction codewords of a block, blocks, data codewords, centres of the
// alignment patterns.
const VERSIONS = [
  null,
  [10, 1, 16, []], [16, 1, 28, [6, 18]], [26, 1, 44, [6, 22]], [18, 2, 64, [6, 26]], [24, 2, 86, [6, 30]],
  [16, 4, 108, [6, 34]], [18, 4, 124, [6, 22, 38]], [22, 4, 154, [6, 24, 42]], [22, 5, 182, [6, 26, 46]],
  [26, 5, 216, [6, 28, 50]],
];

function multiply(a, b) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product = (product << 1) ^ ((product >> 7) * 0x11d);
    if ((b >> bit) & 1) product ^= a;
  }
  return product;
}

/** The error correction codewords of a block. */
function correction(data, degree) {
  const divisor = new Array(degree - 1).fill(0).concat(1);
  let root = 1;
  for (let i = 0; i < degree; i++) {
    for (let j = 0; j < degree; j++) divisor[j] = multiply(divisor[j], root) ^ (divisor[j + 1] ?? 0);
    root = multiply(root, 2);
  }
  const result = new Array(degree).fill(0);
  for (const byte of data) {
    const factor = byte ^ result.shift();
    result.push(0);
    divisor.forEach((coefficient, i) => { result[i] ^= multiply(coefficient, factor); });
  }
  return result;
}

function codewords(bytes, version) {
  const [degree, blocks, capacity] = VERSIONS[version];
  const bits = [];
  const put = (value, length) => {
    for (let i = length - 1; i >= 0; i--) bits.push((value >> i) & 1);
  };
  put(4, 4);
  put(bytes.length, version < 10 ? 8 : 16);
  bytes.forEach((byte) => put(byte, 8));
  put(0, Math.min(4, capacity * 8 - bits.length));
  put(0, (8 - (bits.length % 8)) % 8);
  for (let pad = 0xec; bits.length < capacity * 8; pad ^= 0xfd) put(pad, 8);
  const data = [];
  for (let i = 0; i < bits.length; i += 8) data.push(parseInt(bits.slice(i, i + 8).join(""), 2));

  const short = Math.floor(capacity / blocks);
  const shortBlocks = blocks - (capacity % blocks);
  const parts = [];
  for (let i = 0, at = 0; i < blocks; i++) {
    const length = short + (i < shortBlocks ? 0 : 1);
    parts.push(data.slice(at, at + length));
    at += length;
  }
  const ends = parts.map((part) => correction(part, degree));
  const result = [];
  for (let i = 0; i <= short; i++) parts.forEach((part) => { if (i < part.length) result.push(part[i]); });
  for (let i = 0; i < degree; i++) ends.forEach((end) => result.push(end[i]));
  return result;
}

/** Remainder of a value by a generator polynomial, for format and version information. */
function checked(value, generator, length) {
  let rest = value;
  for (let i = 0; i < length; i++) rest = (rest << 1) ^ ((rest >> (length - 1)) * generator);
  return (value << length) | rest;
}

const MASKS = [
  (x, y) => (x + y) % 2 === 0, (x, y) => y % 2 === 0, (x) => x % 3 === 0, (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0, (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0, (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** The modules of the code of a text, as rows of booleans. */
export function modules(text) {
  const bytes = [...new TextEncoder().encode(text)];
  const version = VERSIONS.findIndex((it, number) => it && bytes.length <= it[2] - (number < 10 ? 2 : 3));
  if (version < 0) throw new RangeError("the text is too long for a QR code");
  const size = version * 4 + 17;
  const grid = Array.from({ length: size }, () => new Array(size).fill(false));
  const fixed = Array.from({ length: size }, () => new Array(size).fill(false));
  const set = (x, y, dark) => {
    if (x < 0 || y < 0 || x >= size || y >= size) return;
    grid[y][x] = dark;
    fixed[y][x] = true;
  };
  const square = (cx, cy, radius, dark) => {
    for (let y = -radius; y <= radius; y++) {
      for (let x = -radius; x <= radius; x++) set(cx + x, cy + y, dark(Math.max(Math.abs(x), Math.abs(y))));
    }
  };
  for (let i = 0; i < size; i++) {
    set(6, i, i % 2 === 0);
    set(i, 6, i % 2 === 0);
  }
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) square(x, y, 4, (ring) => ring !== 2 && ring !== 4);
  const centres = VERSIONS[version][3];
  const end = centres.length - 1;
  centres.forEach((y, j) => centres.forEach((x, i) => {
    const finder = (i === 0 && j === 0) || (i === 0 && j === end) || (i === end && j === 0);
    if (!finder) square(x, y, 2, (ring) => ring !== 1);
  }));
  if (version >= 7) {
    const bits = checked(version, 0x1f25, 12);
    for (let i = 0; i < 18; i++) {
      const [a, b] = [size - 11 + (i % 3), Math.floor(i / 3)];
      set(a, b, ((bits >> i) & 1) === 1);
      set(b, a, ((bits >> i) & 1) === 1);
    }
  }
  const format = (mask) => {
    const bits = checked(mask, 0x537, 10) ^ 0x5412; // error correction M has the bits 00
    const bit = (i) => ((bits >> i) & 1) === 1;
    for (let i = 0; i < 6; i++) set(8, i, bit(i));
    set(8, 7, bit(6));
    set(8, 8, bit(7));
    set(7, 8, bit(8));
    for (let i = 9; i < 15; i++) set(14 - i, 8, bit(i));
    for (let i = 0; i < 8; i++) set(size - 1 - i, 8, bit(i));
    for (let i = 8; i < 15; i++) set(8, size - 15 + i, bit(i));
    set(8, size - 8, true);
  };
  format(0);

  const words = codewords(bytes, version);
  let at = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) {
      const y = ((right + 1) & 2) === 0 ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (fixed[y][x]) continue;
        grid[y][x] = at < words.length * 8 && ((words[at >> 3] >> (7 - (at & 7))) & 1) === 1;
        at++;
      }
    }
  }

  const flip = (mask) => grid.forEach((line, y) => line.forEach((_, x) => {
    if (!fixed[y][x] && MASKS[mask](x, y)) line[x] = !line[x];
  }));
  let best = [Infinity, 0];
  for (let mask = 0; mask < 8; mask++) {
    flip(mask);
    format(mask);
    const penalty = penaltyOf(grid);
    if (penalty < best[0]) best = [penalty, mask];
    flip(mask);
  }
  flip(best[1]);
  format(best[1]);
  return grid;
}

function penaltyOf(grid) {
  const size = grid.length;
  const columns = grid.map((_, x) => grid.map((line) => line[x]));
  let penalty = 0;
  for (const line of [...grid, ...columns]) {
    const text = line.map(Number).join("");
    for (const [same] of text.matchAll(/0{5,}|1{5,}/g)) penalty += same.length - 2;
    penalty += 40 * [...text.matchAll(/(?=00001011101|10111010000)/g)].length;
  }
  let dark = 0;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      dark += grid[y][x];
      if (x && y && grid[y][x] === grid[y - 1][x] && grid[y][x] === grid[y][x - 1] && grid[y][x] === grid[y - 1][x - 1]) penalty += 3;
    }
  }
  return penalty + 10 * Math.floor(Math.abs((dark * 20) / (size * size) - 10));
}

/** The code as an image, with the quiet zone of four modules. */
export function image(text, label) {
  const grid = modules(text);
  const size = grid.length + 8;
  const path = grid.map((line, y) => line.map((dark, x) => (dark ? `M${x + 4} ${y + 4}h1v1h-1z` : "")).join("")).join("");
  return svg("svg", { class: "qr", viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": label, "shape-rendering": "crispEdges" },
    svg("rect", { width: size, height: size, fill: "#fff" }), svg("path", { d: path, fill: "#000" }));
}
