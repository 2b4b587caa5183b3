// Writes requests and what @smithy/signature-v4, a signer that is not ours, adds to them, for
// signature_check to compare: one JSON line for each, of seeded random requests with odd bytes.
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';

const requests = 600;
let state = 20260830;

// mulberry32: the same numbers on every machine.
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (limit) => Math.floor(random() * limit);
const pick = (list) => list[below(list.length)];
const chance = (part) => random() < part;
const many = (most, make) => Array.from({ length: below(most + 1) }, make);
const hex = (bytes) => Buffer.from(bytes).toString('hex');

const letters = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'];
const odd = [...' !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~', '\u00e9', '\u00a0', '\u1234', '木', '🙂', '\u007f', '\u0001'];
const word = (most = 8) => many(most, () => pick(letters)).join('');
const text = (most = 10) => many(most, () => (chance(0.5) ? pick(letters) : pick(odd))).join('');

// As different clients write the same bytes on a request line; all decode to `value`.
function encoded(value) {
  const strict = encodeURIComponent(value);
  return pick([
    () => strict.replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`),
    () => strict,
    () => strict.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase()),
    () => strict.replace(/[a-e]/g, (c) => `%${c.charCodeAt(0).toString(16)}`),
  ])();
}

function shuffled(list) {
  const result = [...list];
  for (let i = result.length - 1; i > 0; i -= 1) {
    const j = below(i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

function path() {
  if (chance(0.4)) return '/';
  const segment = () =>
    pick([() => word(), () => encodeURIComponent(text()), () => text().replace(/[?#/\s]/g, ''), () => '..', () => '.', () => '']);
  return `/${many(6, () => segment()()).join('/')}${chance(0.3) ? '/' : ''}`;
}

function query() {
  const bag = {};
  for (const name of many(5, () => text(6))) {
    bag[`${pick(['', 'a', 'Z', 'x-'])}${name}`] = chance(0.3) ? many(3, () => text()) : text();
  }
  const pairs = Object.entries(bag).flatMap(([name, values]) =>
    [values].flat().map((value) => `${encoded(name)}=${encoded(value)}`));
  return { bag, wire: shuffled(pairs).join('&') };
}

function headers() {
  const result = {};
  const names = ['Content-Type', 'X-Amz-Target', 'x-amz-meta-odd', 'ACCEPT', 'user-agent', 'Connection', 'Proxy-Thing',
    'Sec-Fetch-Mode', 'Cache-Control', 'X-Amzn-Trace-Id', 'If-Match', 'amz-sdk-invocation-id', 'Content-Length'];
  for (const name of shuffled(names).slice(0, below(6))) {
    result[name] = text(14).replace(/[\u007f\u0001]/g, pick(['  ', '\t', ' \t ', ',']));
  }
  if (chance(0.3)) result[`X-${word() || 'a'}-1`] = `  ${text()}   ${text()}\t\t`;
  return result;
}

for (let number = 0; number < requests; number += 1) {
  const { bag, wire } = query();
  const test = {
    number,
    method: pick(['GET', 'POST', 'PUT', 'DELETE', 'PATCH']),
    host: pick(['dynamodb.eu-central-1.amazonaws.com', 'localhost:8000', 'sts.amazonaws.com', '[::1]:8000']),
    path: path(),
    query: wire,
    headers: headers(),
    body: many(chance(0.1) ? 3000 : 60, () => below(256)),
    access_key_id: `AKIA${word(16)}`,
    secret_access_key: many(60, () => pick([...letters, '/', '+', '='])).join('') || 's',
    session_token: chance(0.5) ? many(400, () => pick([...letters, '/', '+', '='])).join('') : '',
    region: pick(['us-east-1', 'eu-central-1', 'cn-north-1', 'local']),
    service: pick(['dynamodb', 'sts', 'iam']),
    time_ms: Date.UTC(2000 + below(100), below(12), 1 + below(28), below(24), below(60), below(60), below(1000)),
    content_sha256: chance(0.5),
  };
  const signer = new SignatureV4({
    credentials: {
      accessKeyId: test.access_key_id,
      secretAccessKey: test.secret_access_key,
      ...(test.session_token && { sessionToken: test.session_token }),
    },
    region: test.region,
    service: test.service,
    sha256: Sha256,
    applyChecksum: test.content_sha256,
  });
  const signed = await signer.sign(
    {
      method: test.method,
      protocol: 'https:',
      hostname: 'not.signed',
      path: test.path,
      query: bag,
      headers: { ...test.headers, host: test.host },
      body: Uint8Array.from(test.body),
    },
    { signingDate: new Date(test.time_ms) },
  );
  const added = {};
  for (const name of ['x-amz-date', 'x-amz-security-token', 'x-amz-content-sha256', 'authorization']) {
    if (signed.headers[name] !== undefined) added[name] = signed.headers[name];
  }
  process.stdout.write(`${JSON.stringify({ ...test, body: hex(test.body), added })}\n`);
}
