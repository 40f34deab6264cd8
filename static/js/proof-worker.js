// Solves a proof of work in a thread of its own: counts until one SHA-256 begins as asked for.
// The browser's own SHA-256 is absent on plain http, and for one short block each it is slower.

const K = new Int32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);
const START = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
const words = new Int32Array(64);

/** Put the SHA-256 of the one padded block in `block` (16 words) into `out` (8 words). */
function sha256(block, out) {
  words.set(block);
  for (let t = 16; t < 64; t += 1) {
    const x = words[t - 15];
    const y = words[t - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    words[t] = (words[t - 16] + s0 + words[t - 7] + s1) | 0;
  }
  let [a, b, c, d, e, f, g, h] = START;
  for (let t = 0; t < 64; t += 1) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const first = (h + s1 + ((e & f) ^ (~e & g)) + K[t] + words[t]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const second = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + second) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((value, n) => { out[n] = value + START[n]; });
}

function hexBytes(hex) {
  return hex.match(/../g).map((pair) => parseInt(pair, 16));
}

function hexOf(hash) {
  return Array.from(hash, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

/** Return ALTCHA's payload for a challenge: salt, nonce and a counter of four bytes are hashed. */
function solve(challenge) {
  const { salt, nonce, keyPrefix } = challenge.parameters;
  const head = hexBytes(salt + nonce);
  const view = new DataView(new ArrayBuffer(64));
  head.forEach((byte, n) => view.setUint8(n, byte));
  view.setUint8(head.length + 4, 0x80);
  view.setUint32(60, (head.length + 4) * 8);
  const block = Int32Array.from({ length: 16 }, (_, n) => view.getInt32(4 * n));
  const wanted = parseInt(keyPrefix.slice(0, 8), 16) | 0;
  const hash = new Int32Array(8);
  for (let counter = 0; counter <= 0xffffffff; counter += 1) {
    block[head.length / 4] = counter;
    sha256(block, hash);
    if (hash[0] === wanted && hexOf(hash).startsWith(keyPrefix)) {
      return btoa(JSON.stringify({ challenge, solution: { counter, derivedKey: hexOf(hash) } }));
    }
  }
  throw new Error("no solution");
}

self.addEventListener("message", ({ data }) => self.postMessage(solve(data)));
