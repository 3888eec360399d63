// Finds the number n for which SHA-256 of the challenge, a full stop and n in decimal begins with the zero bits asked
// for. The challenge says how many: the two hexadecimal digits from its 18th character on.
//
// SHA-256 by FIPS 180-4, written out because the one of the browser answers later, which costs more than the hash.
"use strict";

// The fractional parts of the cube roots of the first 64 primes, and of the square roots of the first 8.
const K = new Uint32Array(64);
const START = new Uint32Array(8);
{
  const isPrime = (n) => {
    for (let d = 2; d * d <= n; d += 1) if (n % d === 0) return false;
    return true;
  };
  const fraction = (x) => Math.floor((x - Math.floor(x)) * 4294967296);
  for (let n = 2, i = 0; i < 64; n += 1) {
    if (!isPrime(n)) continue;
    if (i < 8) START[i] = fraction(Math.sqrt(n));
    K[i] = fraction(Math.cbrt(n));
    i += 1;
  }
}

const W = new Uint32Array(64);

// Adds one block of 64 bytes to a state of eight words.
function compress(state, bytes, at) {
  for (let i = 0; i < 16; i += 1) {
    const j = at + 4 * i;
    W[i] = (bytes[j] << 24) | (bytes[j + 1] << 16) | (bytes[j + 2] << 8) | bytes[j + 3];
  }
  for (let i = 16; i < 64; i += 1) {
    const x = W[i - 15];
    const y = W[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    W[i] = (W[i - 16] + s0 + W[i - 7] + s1) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i += 1) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}

// The zero bits at the beginning of SHA-256 of `text`.
function zeros(text) {
  const length = text.length;
  const bytes = new Uint8Array((Math.floor((length + 8) / 64) + 1) * 64);
  for (let i = 0; i < length; i += 1) bytes[i] = text.charCodeAt(i);
  bytes[length] = 0x80;
  // Texts here are far below 2^29 bytes.
  new DataView(bytes.buffer).setUint32(bytes.length - 4, length * 8);
  const state = Uint32Array.from(START);
  for (let at = 0; at < bytes.length; at += 64) compress(state, bytes, at);
  let count = 0;
  for (const word of state) {
    count += Math.clz32(word);
    if (word !== 0) break;
  }
  return count;
}

function solve(challenge) {
  const bits = parseInt(challenge.slice(17, 19), 16);
  for (let n = 0; ; n += 1) {
    if (zeros(`${challenge}.${n}`) >= bits) return String(n);
  }
}

if (typeof onmessage !== "undefined") {
  onmessage = (asked) => postMessage(solve(asked.data));
}
