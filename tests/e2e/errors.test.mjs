// Whatever a client sends, the answer is one that the contract lists, and never a 5xx.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { contract } from './contract.mjs';
import { rawRequest, rawSocket } from './client.mjs';
import { serverOfSuite } from './setup.mjs';

const kJson = 'application/json';

describe('errors', () => {
  let server;
  let alice;
  let conversation;
  let message;
  serverOfSuite({}, async (made) => {
    ({ server, alice } = made);
    conversation = await alice.createConversation({ title: 'target' });
    message = await alice.append(conversation.conversation_id, 'hello');
  });

  // Every operation that takes a JSON body, its path filled in.
  const withBodies = () => contract.operations().filter(({ operation }) => operation.requestBody?.content[kJson]).map((one) => ({
    ...one, path: one.template.replace('{conversation_id}', conversation.conversation_id).replace('{message_id}', message.message_id),
  }));

  test('a body that is not JSON is 400, for every operation that takes one', async () => {
    const bodies = ['{', '{"title":}', '{"title":"x"', 'nonsense', '{"title":"x"}}', "{'title':'x'}", '{"title":"x",}', '\u0000',
                    '{"title":NaN}', '{"a":1e}', '{"title":"\u0001"}', '[', '"', '{"a":\\u0041}', '\ufeff{}'];
    for (const { method, path } of withBodies()) {
      for (const body of bodies) await alice.call(method, path, { body, contentType: kJson, expect: 400 });
    }
  });

  test('a body that is not an object is refused', async () => {
    for (const { method, path } of withBodies()) {
      for (const body of ['[]', '"text"', '5', 'null', 'true', '[{}]']) {
        await alice.call(method, path, { body, contentType: kJson, expect: [400, 422] });
      }
    }
  });

  test('a missing body is refused where one is needed', async () => {
    for (const { method, path, operation } of withBodies().filter((one) => one.operation.requestBody.required)) {
      await alice.call(method, path, { body: '', contentType: kJson, expect: [400, 422] });
      await alice.call(method, path, { expect: [400, 415, 422] });
      assert.ok(operation.operationId);
    }
  });

  test('deep nesting, long keys and great numbers do no harm', async () => {
    const deep = (open, close, depth) => open.repeat(depth) + close.repeat(depth);
    const bodies = [deep('[', ']', 100_000), `{"title":${deep('[', ']', 5000)}}`, `{"metadata":${deep('{"a":', '}', 5000)}}`,
                    `{"metadata":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}`, `{"${'k'.repeat(500_000)}":1}`,
                    `{"ttl_seconds":1e99999,"max_tokens":1e99999}`, `{"seed":${'9'.repeat(5000)}}`, `{"temperature":-1e-99999,"title":0.${'1'.repeat(5000)}}`,
                    `{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":1`).join()}}`];
    for (const { method, path } of withBodies()) {
      for (const body of bodies) await alice.call(method, path, { body, contentType: kJson, expect: [400, 413, 422] });
    }
  });

  test('a field given twice is either refused or taken once', async () => {
    const answer = await alice.call('POST', '/conversations', { body: '{"title":"a","title":"b"}', contentType: kJson, expect: [201, 400, 422] });
    if (answer.status === 201) assert.ok(['a', 'b'].includes(answer.json.title));
  });

  test('an unknown field is 422 and named', async () => {
    for (const { method, path, operation } of withBodies()) {
      const example = operation.requestBody.content[kJson].example;
      const answer = await alice.call(method, path, { json: { ...example, tittle: 'x' }, expect: 422 });
      assert.deepEqual(answer.fields, ['tittle'], `${method} ${path}`);
    }
  });

  test('however many fields are wrong, the answer is small and says how many', async () => {
    const count = 100_000;
    const body = `{${Array.from({ length: count }, (_, i) => `"🚂${i}":1`).join()}}`;
    const metadata = `{"metadata":{${Array.from({ length: count }, (_, i) => `"${'é'.repeat(20)}${i}":1`).join()}}}`;
    const long = `{"${'€'.repeat(100_000)}":1}`;
    for (const { method, path } of withBodies()) {
      for (const sent of [body, metadata, long]) {
        const answer = await alice.call(method, path, { body: sent, contentType: kJson, expect: 422 });
        assert.ok(answer.text.length < 10_000, `${answer.text.length} characters`);
        if (sent === body) assert.match(answer.json.detail, /\b10000\d invalid fields; 999(68|69) of them/);
      }
    }
  });

  test('every wrong field is named at once', async () => {
    const answer = await alice.post(`/conversations/${conversation.conversation_id}/messages`,
                                    { role: 5, content: 6, metadata: { a: 7 }, client_message_id: 8, extra: 9 }, { expect: 422 });
    assert.deepEqual(answer.fields.sort(), ['client_message_id', 'content', 'extra', 'metadata.a', 'role']);
  });

  test('a field of the wrong type is 422 and named, whatever its type', async () => {
    const samples = [null, true, 5, 1.5, 'text', [], ['x'], {}, { x: 'y' }, -1, 1e300];
    for (const { method, path, operation, pointer } of withBodies()) {
      const described = operation.requestBody.content[kJson];
      const schemaAt = contract.resolve(described.schema, `${pointer}/requestBody/content/application~1json/schema`);
      for (const field of Object.keys(schemaAt.value.properties)) {
        for (const value of samples) {
          const json = { ...described.example, [field]: value };
          if (contract.accepts(schemaAt.pointer, json)) continue;
          const answer = await alice.call(method, path, { json, expect: [413, 422] });
          if (answer.status === 422) assert.ok(answer.fields.every((name) => name.split(/[.[]/)[0] === field), `${operation.operationId} ${JSON.stringify(json)}: ${answer.fields}`);
        }
      }
    }
  });

  test('a header that says who or what a request is counts once', async () => {
    const count = async () => (await alice.conversation(conversation.conversation_id)).conversation.message_count;
    const before = await count();
    const send = async (extra, check) => {
      const body = JSON.stringify({ content: 'twice' });
      const lines = [`POST /conversations/${conversation.conversation_id}/messages HTTP/1.1`, 'Host: x', `Content-Type: ${kJson}`,
                     `Content-Length: ${body.length}`, 'Connection: close', ...extra, '', body];
      assert.match((await rawSocket(server.baseUrl, lines.join('\r\n'), { end: false })).toString(), check);
    };
    const token = `Authorization: Bearer ${alice.token}`;
    await send([token, 'Idempotency-Key: a', 'idempotency-key: a'], /^HTTP\/1\.1 400 /);
    await send([token, token], /^HTTP\/1\.1 401 [\s\S]*WWW-Authenticate: Bearer/i);
    await send([token, 'authorization: Bearer x'], /^HTTP\/1\.1 401 /);
    assert.equal(await count(), before);
  });

  test('a body of another type is 415', async () => {
    for (const { method, path, operation } of withBodies()) {
      const body = JSON.stringify(operation.requestBody.content[kJson].example);
      for (const contentType of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x',
                                 'application/xml', 'application/jsonx', 'json', 'text/json;charset=utf-8']) {
        await alice.call(method, path, { body, contentType, expect: 415 });
      }
      const none = await rawRequest(server.baseUrl, method, path, { body, headers: { Authorization: `Bearer ${alice.token}` } });
      assert.equal(none.status, 415);
    }
  });

  test('a charset with the type, and other letters in it, are welcome', async () => {
    for (const contentType of ['application/json; charset=utf-8', 'Application/JSON', 'application/json;charset=UTF-8']) {
      await alice.call('POST', '/conversations', { body: '{"title":"x"}', contentType, expect: 201 });
    }
  });

  test('an enormous body is 413, declared or not', async () => {
    const headers = { Authorization: `Bearer ${alice.token}`, 'Content-Type': kJson };
    for (const target of ['/conversations', `/conversations/${conversation.conversation_id}/messages`, '/generate']) {
      const declared = await rawSocket(server.baseUrl, [`POST ${target} HTTP/1.1`, 'Host: x', `Authorization: Bearer ${alice.token}`,
        `Content-Type: ${kJson}`, 'Content-Length: 99999999999', '', '{'].join('\r\n'), { end: false });
      assert.match(declared.toString(), /^HTTP\/1\.1 413 /);
      const body = Array.from({ length: 20 }, () => Buffer.alloc(1024 * 1024, 'x'));
      try {
        const streamed = await rawRequest(server.baseUrl, 'POST', target, { headers: { ...headers, 'Transfer-Encoding': 'chunked' }, body });
        assert.equal(streamed.status, 413);
      } catch (error) {
        assert.match(error.code, /ECONNRESET|EPIPE/);  // the server may cut a client that sends on regardless
      }
    }
    await alice.get('/conversations', { expect: 200 });
  });

  test('an id that is not one of ours is 404, wherever it stands', async () => {
    const ids = ['x', '0', '..', '%2e%2e', 'null', '01932F3E-5C00-7A4B-9C1D-2E3F405162A3', '01932f3e-5c00-4a4b-9c1d-2e3f405162a3',
                 '01932f3e5c007a4b9c1d2e3f405162a3', '{01932f3e-5c00-7a4b-9c1d-2e3f405162a3}', 'x'.repeat(4000), '%00', '%F0%9F%9A%82',
                 '01932f3e-5c00-7a4b-9c1d-2e3f405162a3', "'%20OR%201=1--", '%0d%0aSet-Cookie:x=y'];
    for (const { method, template, operation } of contract.operations().filter((one) => one.template.includes('_id}'))) {
      for (const id of ids) {
        const target = template.replace('{conversation_id}', template.includes('{message_id}') ? conversation.conversation_id : id).replace('{message_id}', id);
        const body = operation.requestBody && JSON.stringify(operation.requestBody.content[kJson].example);
        const headers = { Authorization: `Bearer ${alice.token}`, ...(body && { 'Content-Type': kJson }) };
        const answer = await rawRequest(server.baseUrl, method, target, { headers, body, check: !target.includes('..') && !target.includes('%2e') });
        assert.equal(answer.status, 404, `${method} ${target}`);
      }
    }
    await alice.post('/generate', { prompt: 'x' }, { query: { conversation_id: 'nonsense' }, expect: 404 });
  });

  test('a bad escape, a bad cursor, a path that is not there', async () => {
    const headers = { Authorization: `Bearer ${alice.token}` };
    for (const target of ['/conversations?limit=%zz', '/conversations?%', '/conversations?limit=%ff', '/conversations?x=%00']) {
      const answer = await rawRequest(server.baseUrl, 'GET', target, { headers });
      assert.ok([400, 422].includes(answer.status), `${target} -> ${answer.status}`);
    }
    for (const cursor of ['x', '', '0', 'x'.repeat(5000), '%F0%9F%9A%82', 'AAAA', '-1', '01932f3e']) {
      const answer = await rawRequest(server.baseUrl, 'GET', `/conversations?cursor=${cursor}`, { headers });
      assert.equal(answer.status, 422, cursor);
    }
    for (const target of ['/', '/nothing', '/conversations/', '//conversations', '/conversations//messages', '/metrics', '/generate/x',
                          '/Conversations', '/conversations/%2e%2e/generate', '/.git/config', '/health/']) {
      const answer = await rawRequest(server.baseUrl, 'GET', target, { headers, check: false });
      assert.equal(answer.status, 404, target);
    }
  });

  test('an unknown query parameter and a fragment do no harm', async () => {
    await alice.get('/conversations?unknown=1&limit=5&&=&a=b=c', { expect: 200 });
  });

  test('an empty chunked body may come byte by byte', async () => {
    for (const path of ['/conversations', '/import']) {
      const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${alice.token}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n`;
      const answer = await rawSocket(server.baseUrl, [head, '0\r\n', '\r', '\n'], { end: false });
      assert.match(answer.toString('latin1'), /^HTTP\/1\.1 [24]\d\d /, path);
    }
    await alice.get('/conversations', { expect: 200 });
  });

  test('malformed HTTP is refused without a crash', async () => {
    const requests = ['nonsense\r\n\r\n', 'GET\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', 'GET /health HTTP/1.1\r\n\r\n', '\r\n\r\n\r\n', '\u0000'.repeat(100),
      'GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n', 'GET /health HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n',
      'POST /conversations HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 'POST /conversations HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx',
      'POST /conversations HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'POST /conversations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
      'POST /conversations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 'POST /conversations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n',
      `GET /${'x'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, `GET /health HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`,
      `GET /health HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(10_000)}\r\n`, 'GET /health HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n',
      'GET http://evil.example/health HTTP/1.1\r\nHost: x\r\n\r\n', 'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      '\u0016\u0003\u0001\u0002\u0000\u0001', 'GET /health HTTP/1.1\r\nHost: x\r\nExpect: the-unexpected\r\n\r\n'];
    for (const request of requests) {
      const answer = (await rawSocket(server.baseUrl, Buffer.from(request, 'latin1'))).toString('latin1');
      const status = answer.match(/^HTTP\/1\.[01] (\d{3})/)?.[1];
      assert.ok(answer === '' || Number(status) < 500, `${JSON.stringify(request.slice(0, 80))} -> ${answer.slice(0, 200)}`);
    }
    await alice.get('/conversations', { expect: 200 });
  });

  test('no error shows what is inside', async () => {
    const answers = [await alice.get('/conversations/x', { expect: 404 }),
                     await alice.call('POST', '/conversations', { body: '{', contentType: kJson, expect: 400 }),
                     await alice.as('x.y.z').get('/conversations', { expect: 401 })];
    for (const { text } of answers) assert.doesNotMatch(text, /rocksdb|boost|\.cc|0x[0-9a-f]{6}|std::|\/tmp|Traceback/i);
  });
});
