// Writes tokens made by jose, an implementation of JOSE that is not ours, for the
// server's own check to judge: one JSON line with the key set and the HS256 key,
// then one for each token: {"name", "token", "expect": "ok" | "refused", "user"?}.
import { createPublicKey } from 'node:crypto';
import * as jose from 'jose';

const issuer = 'https://issuer.example';
const audience = 'colloquy-test';
const now = Math.floor(Date.now() / 1000);
const hour = 3600;

const write = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const base64url = (value) => Buffer.from(value).toString('base64url');

const keys = {};
for (const algorithm of ['RS256', 'PS256', 'ES256', 'EdDSA']) {
  keys[algorithm] = await jose.generateKeyPair(algorithm, { extractable: true });
}
const strangers = await jose.generateKeyPair('ES256', { extractable: true });
const secret = base64url(crypto.getRandomValues(new Uint8Array(32)));
const secretBytes = new TextEncoder().encode(secret);

const jwks = { keys: [] };
for (const [algorithm, { publicKey }] of Object.entries(keys)) {
  jwks.keys.push({ ...(await jose.exportJWK(publicKey)), kid: `key-${algorithm}`, use: 'sig' });
}
write({ jwks, hs256_key: secret, issuer, audience });

function builder(claims = {}) {
  return new jose.SignJWT({ ...claims })
    .setIssuer(issuer)
    .setSubject('alice')
    .setAudience(audience)
    .setIssuedAt(now)
    .setExpirationTime(now + hour);
}
const header = (algorithm, more = {}) => ({ alg: algorithm, kid: `key-${algorithm}`, ...more });
const sign = (token, algorithm, more) =>
  token.setProtectedHeader(header(algorithm, more)).sign(keys[algorithm].privateKey);
const ok = (name, token, user = 'alice') => write({ name, token, expect: 'ok', user });
const refused = (name, token) => write({ name, token, expect: 'refused' });

for (const algorithm of Object.keys(keys)) {
  const good = await sign(builder(), algorithm);
  ok(algorithm, good);
  ok(`${algorithm} of type at+jwt`, await sign(builder(), algorithm, { typ: 'at+jwt' }));
  ok(`${algorithm} of another user`, await sign(builder().setSubject('木村'), algorithm), '木村');
  ok(
    `${algorithm} with several audiences`,
    await sign(builder().setAudience(['other', audience]), algorithm),
  );
  ok(
    `${algorithm} expired within the skew`,
    await sign(builder().setExpirationTime(now - 30), algorithm),
  );

  refused(`${algorithm} expired`, await sign(builder().setExpirationTime(now - 61), algorithm));
  refused(`${algorithm} not valid yet`, await sign(builder().setNotBefore(now + hour), algorithm));
  refused(
    `${algorithm} issued in the future`,
    await sign(builder().setIssuedAt(now + hour), algorithm),
  );
  refused(
    `${algorithm} of another issuer`,
    await sign(builder().setIssuer('https://other.example'), algorithm),
  );
  refused(
    `${algorithm} for another audience`,
    await sign(builder().setAudience('other'), algorithm),
  );
  refused(
    `${algorithm} without expiry`,
    await sign(new jose.SignJWT({ iss: issuer, sub: 'alice', aud: audience }), algorithm),
  );
  refused(
    `${algorithm} without subject`,
    await sign(
      new jose.SignJWT({ iss: issuer, aud: audience }).setExpirationTime(now + hour),
      algorithm,
    ),
  );
  refused(`${algorithm} of an unknown key`, await sign(builder(), algorithm, { kid: 'unknown' }));
  refused(
    `${algorithm} of type logout+jwt`,
    await sign(builder(), algorithm, { typ: 'logout+jwt' }),
  );

  const [head, payload, signature] = good.split('.');
  const bobs = base64url(JSON.stringify({ ...jose.decodeJwt(good), sub: 'bob' }));
  refused(`${algorithm} with another payload`, `${head}.${bobs}.${signature}`);
  refused(`${algorithm} without signature`, `${head}.${payload}.`);
  const bytes = Buffer.from(signature, 'base64url');
  bytes[10] ^= 1;
  refused(`${algorithm} with a changed signature`, `${head}.${payload}.${base64url(bytes)}`);
  refused(
    `${algorithm} with a shortened signature`,
    `${head}.${payload}.${base64url(bytes.subarray(0, -1))}`,
  );
  refused(
    `${algorithm} as HS256 by the public key`,
    await builder()
      .setProtectedHeader(header('HS256', { kid: `key-${algorithm}` }))
      .sign(
        createPublicKey({
          key: await jose.exportSPKI(keys[algorithm].publicKey),
          format: 'pem',
        }).export({ type: 'spki', format: 'der' }),
      ),
  );
}

// An RSA key set without `alg` serves both; the keys above are four different ones.
refused(
  'RS256 by the key of another id',
  await builder().setProtectedHeader(header('RS256')).sign(
    await jose.importPKCS8(await jose.exportPKCS8(keys.PS256.privateKey), 'RS256'),
  ),
);
refused(
  'ES256 by a stranger who sends a key along',
  await builder()
    .setProtectedHeader(header('ES256', { jwk: await jose.exportJWK(strangers.publicKey) }))
    .sign(strangers.privateKey),
);
refused(
  'ES256 with an extension',
  await new jose.CompactSign(new TextEncoder().encode(JSON.stringify(jose.decodeJwt(
    await sign(builder(), 'ES256'),
  ))))
    .setProtectedHeader(header('ES256', { crit: ['urn:example:x'], 'urn:example:x': true }))
    .sign(keys.ES256.privateKey, { crit: { 'urn:example:x': true } }),
);
refused('none', new jose.UnsecuredJWT({ iss: issuer, sub: 'alice', aud: audience })
  .setExpirationTime(now + hour)
  .encode());
for (const algorithm of ['RS512', 'PS384', 'ES384']) {
  const pair = await jose.generateKeyPair(algorithm);
  refused(algorithm, await builder().setProtectedHeader({ alg: algorithm }).sign(pair.privateKey));
}

ok('Cognito access token', await sign(
  new jose.SignJWT({ token_use: 'access', client_id: audience, username: 'alice' })
    .setIssuer(issuer).setSubject('alice').setIssuedAt(now).setExpirationTime(now + hour),
  'RS256',
));
refused('Cognito access token of another client', await sign(
  new jose.SignJWT({ token_use: 'access', client_id: 'other' })
    .setIssuer(issuer).setSubject('alice').setIssuedAt(now).setExpirationTime(now + hour),
  'RS256',
));
refused('Cognito ID token', await sign(builder({ token_use: 'id' }), 'RS256'));

ok('HS256', await builder().setProtectedHeader({ alg: 'HS256' }).sign(secretBytes));
refused('HS256 by another key', await builder().setProtectedHeader({ alg: 'HS256' })
  .sign(new TextEncoder().encode(base64url(crypto.getRandomValues(new Uint8Array(32))))));
refused('HS512', await builder().setProtectedHeader({ alg: 'HS512' })
  .sign(crypto.getRandomValues(new Uint8Array(64))));
refused('encrypted', await new jose.EncryptJWT({ sub: 'alice', iss: issuer })
  .setExpirationTime(now + hour)
  .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
  .encrypt(crypto.getRandomValues(new Uint8Array(32))));
