import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rawRequest } from './client.mjs';
import { contract } from './contract.mjs';
import { serverOfSuite, serverOfTest } from './setup.mjs';

const kOrigin = 'https://chat.example.org';
const kPreflight = { 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization,content-type,idempotency-key' };
const words = (text) => (text ?? '').toLowerCase().split(',').map((word) => word.trim()).filter(Boolean);

describe('CORS, for listed origins', () => {
  let server;
  let token;
  serverOfSuite({ args: ['--cors-origins', `${kOrigin},http://localhost:5173`] }, async (made) => {
    ({ server } = made);
    token = await server.token('alice');
  });

  const send = (method, target, headers) => rawRequest(server.baseUrl, method, target, { headers });

  test('a preflight is answered without a token, for every path and its methods', async () => {
    for (const { method, template } of contract.operations()) {
      const target = template.replace(/\{[^}]+\}/g, '01932f3e-5c00-7a4b-9c1d-2e3f405162a3');
      const answer = await send('OPTIONS', target, { ...kPreflight, Origin: kOrigin, 'Access-Control-Request-Method': method });
      assert.equal(answer.status, 204);
      assert.equal(answer.headers.get('access-control-allow-origin'), kOrigin);
      assert.ok(words(answer.headers.get('access-control-allow-methods')).includes(method.toLowerCase()), `${method} ${template}`);
      const allowed = words(answer.headers.get('access-control-allow-headers'));
      for (const name of ['authorization', 'content-type', 'idempotency-key', 'if-match', 'x-request-id', 'last-event-id']) {
        assert.ok(allowed.includes(name), `${name} of ${allowed}`);
      }
      assert.match(answer.headers.get('vary') ?? '', /origin/i);
    }
  });

  test('answers carry the origin and let scripts read our headers', async () => {
    for (const origin of [kOrigin, 'http://localhost:5173']) {
      const answer = await send('GET', '/conversations', { Origin: origin, Authorization: `Bearer ${token}` });
      assert.equal(answer.headers.get('access-control-allow-origin'), origin);
      const exposed = words(answer.headers.get('access-control-expose-headers'));
      for (const name of ['x-request-id', 'etag', 'link', 'location', 'retry-after']) assert.ok(exposed.includes(name), name);
    }
  });

  test('errors carry it as well, so that a page can read them', async () => {
    for (const [target, headers, status] of [['/conversations', {}, 401], ['/conversations/x', { Authorization: `Bearer ${token}` }, 404],
                                             ['/nothing', { Authorization: `Bearer ${token}` }, 404]]) {
      const answer = await send('GET', target, { ...headers, Origin: kOrigin });
      assert.equal(answer.status, status);
      assert.equal(answer.headers.get('access-control-allow-origin'), kOrigin);
    }
  });

  test('another origin gets nothing, and neither does one that looks like ours', async () => {
    for (const origin of ['https://evil.example', 'http://chat.example.org', `${kOrigin}.evil.example`, `${kOrigin}:8443`, 'null', 'https://CHAT.example.org/']) {
      const answer = await send('GET', '/conversations', { Origin: origin, Authorization: `Bearer ${token}` });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get('access-control-allow-origin'), undefined, origin);
      const preflight = await rawRequest(server.baseUrl, 'OPTIONS', '/conversations', { headers: { ...kPreflight, Origin: origin }, check: false });
      assert.equal(preflight.headers.get('access-control-allow-origin'), undefined, origin);
    }
  });

  test('without an Origin there is nothing of CORS but Vary', async () => {
    const answer = await send('GET', '/conversations', { Authorization: `Bearer ${token}` });
    assert.equal(answer.headers.get('access-control-allow-origin'), undefined);
    assert.match(answer.headers.get('vary') ?? '', /origin/i);
  });
});

describe('CORS, as it comes and for everyone', () => {
  test('no origin is allowed unless the operator says so', async (t) => {
    const { server } = await serverOfTest(t);
    const answer = await rawRequest(server.baseUrl, 'GET', '/health', { headers: { Origin: kOrigin } });
    assert.equal(answer.headers.get('access-control-allow-origin'), undefined);
  });

  test('a star allows every origin, and never credentials', async (t) => {
    const { server } = await serverOfTest(t, { args: ['--cors-origins', '*'] });
    const answer = await rawRequest(server.baseUrl, 'GET', '/health', { headers: { Origin: kOrigin } });
    assert.ok(['*', kOrigin].includes(answer.headers.get('access-control-allow-origin')));
    assert.notEqual(answer.headers.get('access-control-allow-credentials'), 'true');
  });
});
