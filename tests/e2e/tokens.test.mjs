// Tokens of identity providers, made by an independent library.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import { Client } from './client.mjs';
import { makeToken, removeFolder, startServer, temporaryFolder } from './server.mjs';
import { serverOfTest } from './setup.mjs';

const kIssuer = 'https://issuer.example.org/pool';
const kAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'];
const now = () => Math.floor(Date.now() / 1000);

async function makeKey(alg, kid) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

function sign(key, claims = {}, header = {}) {
  return new SignJWT({ iss: kIssuer, sub: 'user-1', aud: 'chat', iat: now(), exp: now() + 600, ...claims })
    .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header }).sign(key.privateKey);
}

describe('tokens of an identity provider', () => {
  let folder;
  let server;
  let keys;
  let strangers;
  before(async () => {
    folder = temporaryFolder();
    keys = await Promise.all(kAlgorithms.map((alg) => makeKey(alg, `key-${alg}`)));
    strangers = await Promise.all(kAlgorithms.map((alg) => makeKey(alg, `key-${alg}`)));
    const file = join(folder, 'jwks.json');
    writeFileSync(file, JSON.stringify({ keys: keys.map((key) => key.jwk) }));
    server = await startServer({ args: ['--jwks', file, '--auth-issuer', kIssuer, '--auth-audience', 'chat,client-1'] });
  });
  after(async () => {
    await server?.close();
    if (folder) removeFolder(folder);
  });

  const expects = async (token, status, what) => {
    const { status: got } = await new Client({ baseUrl: server.baseUrl, token }).get('/conversations', { expect: [200, 401] });
    assert.equal(got, status, what);
  };

  test('every algorithm is understood, and the user is the token\'s subject', async () => {
    const made = await new Client({ baseUrl: server.baseUrl, token: await sign(keys[0]) }).createConversation({ title: 'mine' });
    for (const key of keys) {
      const client = new Client({ baseUrl: server.baseUrl, token: await sign(key) });
      assert.deepEqual((await client.get('/conversations', { expect: 200 })).json, [made], key.alg);
      const other = new Client({ baseUrl: server.baseUrl, token: await sign(key, { sub: 'user-2' }) });
      assert.deepEqual((await other.get('/conversations', { expect: 200 })).json, []);
    }
  });

  test('another\'s key under the same name is refused', async () => {
    for (const key of strangers) await expects(await sign(key), 401, key.alg);
  });

  test('issuer, audience and times are checked, with a minute of clock skew', async () => {
    const [key] = keys;
    const cases = [
      [{ iss: 'https://other.example.org' }, 401], [{ iss: undefined }, 401], [{ aud: 'other' }, 401], [{ aud: undefined }, 401],
      [{ aud: ['other', 'chat'] }, 200], [{ exp: now() - 10 }, 200], [{ exp: now() - 120 }, 401], [{ exp: undefined }, 401],
      [{ nbf: now() + 10 }, 200], [{ nbf: now() + 600 }, 401], [{ exp: 'soon' }, 401], [{ sub: '' }, 401], [{ sub: 5 }, 401],
      [{ sub: undefined }, 401], [{ sub: 'x'.repeat(257) }, 401],
    ];
    for (const [claims, status] of cases) await expects(await sign(key, claims), status, JSON.stringify(claims));
  });

  test('access tokens of Amazon Cognito are understood', async () => {
    const cognito = { aud: undefined, client_id: 'client-1', token_use: 'access', username: 'someone', scope: 'openid' };
    await expects(await sign(keys[0], cognito), 200);
    await expects(await sign(keys[0], { ...cognito, client_id: 'client-2' }), 401);
    await expects(await sign(keys[0], { aud: 'client-1', token_use: 'id' }), 401);
  });

  test('a key of the wrong type, and a public key used as a secret, are refused', async () => {
    const [rsa, , ec] = keys;
    await expects(await sign(rsa, {}, { kid: ec.kid }), 401, 'an RSA signature under the name of an EC key');
    const pem = JSON.stringify(rsa.jwk);
    const forged = await new SignJWT({ iss: kIssuer, sub: 'user-1', aud: 'chat', exp: now() + 600 })
      .setProtectedHeader({ alg: 'HS256', kid: rsa.kid }).sign(Buffer.from(pem));
    await expects(forged, 401, 'HS256 with the public key');
    const { privateKey } = await generateKeyPair('RS512');
    await expects(await sign({ alg: 'RS512', kid: rsa.kid, privateKey }), 401, 'an algorithm that is not listed');
  });

  test('our own HS256 tokens are refused, for they are not listed', async () => {
    await expects(await makeToken(server.data, 'alice'), 401);
  });
});

describe('a key set at a URL', () => {
  test('a new key is fetched when a token names it, but unknown names cannot make us ask again and again', async (t) => {
    const [first, second] = await Promise.all([makeKey('ES256', 'one'), makeKey('ES256', 'two')]);
    let published = [first.jwk];
    let fetches = 0;
    const provider = http.createServer((request, response) => {
      fetches += 1;
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ keys: published }));
    });
    await new Promise((resolve) => provider.listen(0, '127.0.0.1', resolve));
    afterwards(t, () => { provider.closeAllConnections(); provider.close(); });
    const { server } = await serverOfTest(t, { args: ['--jwks', `http://127.0.0.1:${provider.address().port}/jwks.json`, '--auth-issuer', kIssuer] });
    const get = async (token) => (await new Client({ baseUrl: server.baseUrl, token }).get('/conversations', { expect: [200, 401] })).status;
    assert.equal(await get(await sign(first)), 200);
    const before = fetches;
    published = [first.jwk, second.jwk];
    const strange = await makeKey('ES256', 'strange');
    const statuses = await Promise.all(Array.from({ length: 20 }, async () => get(await sign(strange))));
    assert.ok(statuses.every((status) => status === 401));
    assert.equal(fetches - before, 1, `${fetches - before} fetches for unknown keys`);
    assert.equal(await get(await sign(first)), 200);
    assert.equal(await get(await sign(second)), 200);
  });
});
