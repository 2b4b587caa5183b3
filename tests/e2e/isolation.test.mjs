// A table made from openapi.yaml: every operation, for everyone who may not use it. A new route is in it by being in the contract.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { SignJWT, UnsecuredJWT, decodeJwt } from 'jose';
import { rawRequest } from './client.mjs';
import { contract } from './contract.mjs';
import { serverOfSuite } from './setup.mjs';

const kNowhere = { conversation_id: '01932f3e-5c00-7a4b-9c1d-2e3f405162a3', message_id: '01932f3e-5c0a-7000-8000-000000000001',
                   path: 'nowhere/note.txt' };
const kNames = ['#/components/schemas/Id', '#/components/schemas/FilePath'];
const kMarker = 'a secret of alice 7f3a';
// Parameters that name a thing inside a conversation, which the conversation's own id guards.
const kGuarded = new Set(['before', 'after']);

const operations = contract.operations();
const guarded = operations.filter((one) => !one.open);
const title = ({ method, template }) => `${method} ${template}`;

// The parameters of an operation that name something somebody owns.
function idParameters({ parameters }) {
  return parameters.filter((parameter) => kNames.includes(parameter.schema?.$ref) && !kGuarded.has(parameter.name));
}

// JSON where it may be, else the first kind.
const mediaOf = (content) => Object.entries(content).find(([type]) => type === 'application/json') ?? Object.entries(content)[0] ?? [];

// A good request for the operation, with the ids given.
function requestFor(one, ids) {
  let target = one.template;
  const query = new URLSearchParams();
  for (const { name, in: place } of idParameters(one)) {
    assert.ok(name in kNowhere, `the parameter ${name} of ${title(one)} is new: tell this test what it names`);
    if (place === 'path') target = target.replace(`{${name}}`, ids[name]);
    else query.set(name, ids[name]);
  }
  for (const [name, example] of contract.requiredQuery(one)) query.set(name, example);
  const [type, content] = mediaOf(one.operation.requestBody?.content ?? {});
  return {
    target: query.size === 0 || String(query) === '' ? target : `${target}?${query}`,
    headers: content ? { 'Content-Type': type } : {},
    body: typeof content?.example === 'string' ? content.example : JSON.stringify(content?.example),
  };
}

describe('isolation', () => {
  let server;
  let alice;
  let bob;
  let ids;
  let whole;
  let credentials;

  serverOfSuite({ users: ['alice', 'bob'] }, async (made) => {
    ({ server, alice, bob } = made);
    const conversation = await alice.createConversation({ title: kMarker, metadata: { note: kMarker }, system_prompt: kMarker });
    const message = await alice.append(conversation.conversation_id, kMarker);
    await alice.call('PUT', '/files/alice/note.txt', { body: kMarker, expect: 201 });
    ids = { conversation_id: conversation.conversation_id, message_id: message.message_id, path: 'alice/note.txt' };
    whole = (await alice.get(`/conversations/${ids.conversation_id}`, { expect: 200 })).text;
    credentials = await badCredentials();
  });

  async function badCredentials() {
    const key = Buffer.from(readFileSync(join(server.data, 'token.key'), 'utf8').trim());
    const claims = decodeJwt(alice.token);
    const sign = (changes, by = key, header = { alg: 'HS256' }) =>
      new SignJWT({ ...claims, ...changes }).setProtectedHeader(header).sign(by);
    const [header, payload, signature] = alice.token.split('.');
    const now = Math.floor(Date.now() / 1000);
    const good = await sign({});
    await alice.as(good).get('/conversations', { expect: 200 });  // so that what follows fails for its own reason
    return {
      'no token': undefined,
      'an empty token': 'Bearer ',
      'another scheme': `Basic ${Buffer.from('alice:alice').toString('base64')}`,
      'a bare token': alice.token,
      'nonsense': 'Bearer nonsense',
      'three parts of nonsense': 'Bearer a.b.c',
      'a cut token': `Bearer ${header}.${payload}`,
      'a cut signature': `Bearer ${alice.token.slice(0, -4)}`,
      'a great token': `Bearer ${'x'.repeat(9000)}`,
      'an expired token': `Bearer ${await sign({ iat: now - 7200, exp: now - 3600 })}`,
      'a token not yet valid': `Bearer ${await sign({ nbf: now + 3600 })}`,
      'a token without expiry': `Bearer ${await sign({ exp: undefined })}`,
      'a token without a user': `Bearer ${await sign({ sub: undefined })}`,
      'a token of another issuer': `Bearer ${await sign({ iss: 'somebody else' })}`,
      'another key': `Bearer ${await sign({}, randomBytes(32))}`,
      'another algorithm of the same key': `Bearer ${await sign({}, randomBytes(64), { alg: 'HS512' })}`,
      'alg none': `Bearer ${new UnsecuredJWT(claims).encode()}`,
      'alg None': `Bearer ${Buffer.from('{"alg":"None"}').toString('base64url')}.${payload}.`,
      'another payload': `Bearer ${header}.${Buffer.from(JSON.stringify({ ...claims, sub: 'bob' })).toString('base64url')}.${signature}`,
    };
  }

  async function call(one, authorization, given, method = one.method) {
    const { target, headers, body } = requestFor(one, given);
    const all = authorization === undefined ? headers : { ...headers, Authorization: authorization };
    return rawRequest(server.baseUrl, method, target, { headers: all, body });
  }

  // What a client can tell two answers apart by: all but the request's own id and the time.
  function visible(answer) {
    const headers = [...answer.headers].filter(([name]) => !['date', 'x-request-id'].includes(name)).sort();
    const body = JSON.parse(answer.bytes.toString() || '{}');
    return { status: answer.status, headers, body: { ...body, request_id: undefined } };
  }

  test('the table is not empty, and only /health is open', () => {
    assert.ok(guarded.length >= 11);
    assert.deepEqual(operations.filter((one) => one.open).map((one) => one.template), ['/health', '/health/live', '/health/ready']);
  });

  test('what is open needs no token and shows nothing', async () => {
    for (const one of operations.filter((candidate) => candidate.open)) {
      const answer = await call(one, undefined, ids);
      assert.equal(answer.status, 200, title(one));
      assert.ok(!answer.bytes.includes(kMarker));
    }
  });

  for (const one of guarded) {
    test(`${title(one)}: 401 without a good token`, async () => {
      const methods = one.method === 'GET' ? ['GET', 'HEAD'] : [one.method];
      for (const [kind, authorization] of Object.entries(credentials)) {
        for (const method of methods) {
          const answer = await call(one, authorization, ids, method);
          assert.equal(answer.status, 401, `${kind}, ${method}`);
          assert.ok(!answer.bytes.includes(kMarker));
        }
      }
    });

    if (one.endless) {
      continue;  // events.test.mjs has it
    } else if (one.operation.operationId === 'putFile') {
      continue;  // makes one of the user's own; files.test.mjs has it
    } else if (one.operation.operationId === 'eraseMe') {
      continue;  // leaves the other user nothing to ask with; erase.test.mjs has it
    } else if (idParameters(one).length === 0) {
      test(`${title(one)}: another user sees nothing of alice's`, async () => {
        const answer = await call(one, `Bearer ${bob.token}`, ids);
        assert.ok(answer.status < 300, String(answer.status));
        for (const text of [kMarker, ids.conversation_id, ids.message_id, ids.path]) assert.ok(!answer.bytes.includes(text));
      });
    } else {
      test(`${title(one)}: what is alice's looks to another user like what is not there`, async () => {
        const methods = one.method === 'GET' ? ['GET', 'HEAD'] : [one.method];
        for (const method of methods) {
          const foreign = await call(one, `Bearer ${bob.token}`, ids, method);
          const nowhere = await call(one, `Bearer ${bob.token}`, kNowhere, method);
          assert.equal(foreign.status, 404);
          assert.deepEqual(visible(foreign), visible(nowhere));
        }
      });
    }
  }

  test('without a token even the paths are not told apart', async () => {
    for (const one of guarded) {
      assert.deepEqual(visible(await call(one, undefined, ids)), visible(await call(one, undefined, kNowhere)));
    }
  });

  test('a version that matches opens no door', async () => {
    const { headers } = await rawRequest(server.baseUrl, 'GET', `/conversations/${ids.conversation_id}`,
                                         { headers: { Authorization: `Bearer ${alice.token}` } });
    for (const tag of [headers.get('etag'), '*', '"no"']) {
      await bob.patch(`/conversations/${ids.conversation_id}`, { pinned: true }, { headers: { 'If-Match': tag }, expect: 404 });
      await bob.delete(`/conversations/${ids.conversation_id}`, { headers: { 'If-Match': tag }, expect: 404 });
    }
  });

  test('a turn in another\'s conversation is refused before a word of it is written', async () => {
    const list = async (client) => (await client.get('/conversations', { expect: 200 })).text;
    const before = [await list(alice), await list(bob)];
    const query = { conversation_id: ids.conversation_id };
    const headers = { 'Idempotency-Key': 'bob tries' };
    for (const [fields, more] of [[{}, {}], [{ stream: true }, {}], [{}, { Accept: 'text/event-stream' }], [{}, headers], [{ client_message_id: 'c' }, {}]]) {
      const answer = await bob.post('/generate', { prompt: 'intruding', ...fields }, { query, headers: more, expect: 404 });
      assert.match(answer.header('content-type'), /^application\/problem\+json/);
    }
    assert.deepEqual([await list(alice), await list(bob)], before);
    assert.equal((await alice.get(`/conversations/${ids.conversation_id}`, { expect: 200 })).text, whole);
    await bob.post('/generate', { prompt: 'at home' }, { headers, expect: 200 });  // not even the key was kept
  });

  test('a user whose name begins with another\'s, or looks odd, sees nothing of theirs', async () => {
    for (const name of ['alic', 'alice2', 'alice ', 'Alice', 'alice\u0001', 'alice/../alice', '%61lice', 'älice']) {
      const other = await server.client(name).catch(() => undefined);  // `colloquy token` may refuse the name
      if (!other) continue;
      assert.deepEqual((await other.get('/conversations', { expect: 200 })).json, [], name);
      await other.get(`/conversations/${ids.conversation_id}`, { expect: 404 });
    }
  });

  test('after all of that, what is alice\'s is as it was', async () => {
    assert.equal((await alice.get(`/conversations/${ids.conversation_id}`, { expect: 200 })).text, whole);
    assert.deepEqual((await alice.get('/conversations', { expect: 200 })).json.map((one) => one.conversation_id), [ids.conversation_id]);
  });
});
