// HTTP itself: methods, HEAD, keep-alive, pipelining, chunked bodies, compression, TLS.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import tls from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { rawRequest, rawSocket } from './client.mjs';
import { contract } from './contract.mjs';
import { removeFolder, startServer, temporaryFolder } from './server.mjs';
import { serverOfSuite, serverOfTest } from './setup.mjs';
import { until } from './wait.mjs';

describe('HTTP', () => {
  let server;
  let alice;
  let headers;
  let id;
  let message;
  serverOfSuite({}, async (made) => {
    ({ server, alice } = made);
    headers = { Authorization: `Bearer ${alice.token}` };
    ({ conversation_id: id } = await alice.createConversation());
    ({ message } = await alice.generate(id, 'hello'));
    await alice.call('PUT', '/files/note.txt', { body: 'hello', expect: 201 });
  });

  const fill = (template) => template.replace('{conversation_id}', id).replace('{message_id}', message.message_id).replace('{path}', 'note.txt');

  test('HEAD is GET without its body, with the length that it would have', async () => {
    for (const one of contract.operations().filter(({ method, endless }) => method === 'GET' && !endless)) {
      const { template } = one;
      const target = [fill(template), new URLSearchParams(contract.requiredQuery(one))].join('?');
      const get = await rawRequest(server.baseUrl, 'GET', target, { headers });
      const head = await rawRequest(server.baseUrl, 'HEAD', target, { headers });
      assert.equal(head.status, 200);
      assert.equal(head.bytes.length, 0);
      const stable = (all) => [...all].filter(([name]) => !['date', 'x-request-id'].includes(name)).sort();
      assert.deepEqual(stable(head.headers), stable(get.headers), template);
    }
    assert.equal((await rawRequest(server.baseUrl, 'HEAD', '/conversations/x', { headers })).status, 404);
  });

  test('HEAD does not change anything', async () => {
    const before = await alice.conversation(id);
    await rawRequest(server.baseUrl, 'HEAD', `/conversations/${id}`, { headers });
    assert.deepEqual(await alice.conversation(id), before);
  });

  test('OPTIONS names the methods of every path', async () => {
    for (const { template } of contract.operations()) {
      const answer = await rawRequest(server.baseUrl, 'OPTIONS', fill(template), { headers });  // Allow is held to the contract
      assert.equal(answer.status, 204);
    }
  });

  test('a method that a path does not have is 405 with Allow', async () => {
    for (const { template, methods } of contract.paths) {
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((name) => !methods.includes(name.toLowerCase()))) {
        const answer = await rawRequest(server.baseUrl, method, fill(template), { headers });
        assert.equal(answer.status, 405, `${method} ${template}`);
      }
    }
    for (const method of ['TRACE', 'PROPFIND']) {
      const answer = await rawRequest(server.baseUrl, method, '/conversations', { headers, check: false });
      assert.ok([405, 501].includes(answer.status), `${method} -> ${answer.status}`);
    }
  });

  test('many requests share one connection', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    try {
      for (let i = 0; i < 20; i += 1) {
        await rawRequest(server.baseUrl, 'GET', i % 2 ? '/conversations' : '/conversations/x', { headers, agent });
      }
      const sockets = [...Object.values(agent.freeSockets), ...Object.values(agent.sockets)].flat();
      assert.equal(sockets.length, 1);
    } finally {
      agent.destroy();
    }
  });

  test('pipelined requests are answered in order', async () => {
    const request = (i) => `GET /conversations?limit=1 HTTP/1.1\r\nHost: x\r\nAuthorization: ${headers.Authorization}\r\nX-Request-Id: pipe-${i}\r\n${i === 9 ? 'Connection: close\r\n' : ''}\r\n`;
    const answer = await rawSocket(server.baseUrl, Array.from({ length: 10 }, (_, i) => request(i)).join(''), { end: false });
    const ids = [...answer.toString().matchAll(/^x-request-id: (\S+)\r$/gim)].map((match) => match[1]);
    assert.deepEqual(ids, Array.from({ length: 10 }, (_, i) => `pipe-${i}`));
  });

  test('an error does not end the connection where the body was read', async () => {
    const body = '{"title":5}';
    const bad = `POST /conversations HTTP/1.1\r\nHost: x\r\nAuthorization: ${headers.Authorization}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const good = 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    const answer = (await rawSocket(server.baseUrl, bad + good, { end: false })).toString();
    assert.deepEqual([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]), ['422', '200']);
  });

  test('a chunked body, in however small pieces, is one body', async () => {
    const text = JSON.stringify({ title: 'in pieces ü 🚂' });
    const body = [...Buffer.from(text)].map((byte) => Buffer.from([byte]));
    const answer = await rawRequest(server.baseUrl, 'POST', '/conversations',
      { headers: { ...headers, 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' }, body });
    assert.equal(answer.status, 201);
    assert.equal(JSON.parse(answer.bytes).title, 'in pieces ü 🚂');
  });

  test('Expect: 100-continue is answered before the body', async () => {
    const status = await new Promise((resolve, reject) => {
      const url = new URL(server.baseUrl);
      const body = '{"title":"waited"}';
      const request = http.request({ host: url.hostname, port: url.port, method: 'POST', path: '/conversations',
        headers: { ...headers, 'Content-Type': 'application/json', 'Content-Length': body.length, Expect: '100-continue' } });
      let continued = false;
      request.on('continue', () => { continued = true; request.end(body); });
      request.on('response', (response) => { response.resume(); resolve([continued, response.statusCode]); });
      request.on('error', reject);
      request.flushHeaders();
    });
    assert.deepEqual(status, [true, 201]);
  });

  test('HTTP/1.0 gets its answer and an end', async () => {
    const answer = (await rawSocket(server.baseUrl, `GET /conversations/${id} HTTP/1.0\r\nAuthorization: ${headers.Authorization}\r\n\r\n`, { end: false })).toString();
    assert.match(answer, /^HTTP\/1\.[01] 200 /);
    assert.doesNotMatch(answer, /transfer-encoding/i);
    assert.equal(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)).messages.length, 2);
  });

  test('large JSON is compressed for those who accept it, and is the same', async () => {
    for (let i = 0; i < 40; i += 1) await alice.append(id, `message ${i} ${'text '.repeat(100)}`);
    for (const target of [`/conversations/${id}`, `/conversations/${id}/messages`]) {
      const plain = await rawRequest(server.baseUrl, 'GET', target, { headers });
      const packed = await rawRequest(server.baseUrl, 'GET', target, { headers: { ...headers, 'Accept-Encoding': 'gzip, deflate, br' } });
      assert.equal(plain.headers.get('content-encoding'), undefined);
      assert.equal(packed.headers.get('content-encoding'), 'gzip');
      assert.match(packed.headers.get('vary'), /accept-encoding/i);
      assert.ok(packed.bytes.length < plain.bytes.length / 3);
      assert.deepEqual(gunzipSync(packed.bytes), plain.bytes);
    }
    for (const refusal of ['identity', 'br', 'gzip;q=0', '']) {
      const answer = await rawRequest(server.baseUrl, 'GET', `/conversations/${id}`, { headers: { ...headers, 'Accept-Encoding': refusal } });
      assert.equal(answer.headers.get('content-encoding'), undefined, refusal);
    }
  });

  test('small answers and event streams are not compressed', async () => {
    const accept = { ...headers, 'Accept-Encoding': 'gzip' };
    assert.equal((await rawRequest(server.baseUrl, 'GET', '/health', { headers: accept })).headers.get('content-encoding'), undefined);
    const stream = await alice.stream('/generate', { prompt: 'x', stream: true }, { headers: { 'Accept-Encoding': 'gzip' } });
    assert.equal(stream.headers.get('content-encoding'), null);
    await stream.collect();
  });

  test('a long conversation is streamed whole, compressed or not', async () => {
    const { conversation_id: long } = await alice.createConversation();
    for (let i = 0; i < 8; i += 1) await alice.append(long, `${i}`.repeat(1024 * 1024));
    const plain = await rawRequest(server.baseUrl, 'GET', `/conversations/${long}`, { headers });
    const packed = await rawRequest(server.baseUrl, 'GET', `/conversations/${long}`, { headers: { ...headers, 'Accept-Encoding': 'gzip' } });
    assert.equal(JSON.parse(plain.bytes).messages.length, 8);
    assert.deepEqual(gunzipSync(packed.bytes), plain.bytes);
  });
});

describe('HTTP limits', () => {
  test('a client that does not finish its request is told, or cut off', async (t) => {
    const { server } = await serverOfTest(t, { args: ['--request-timeout', '1s', '--idle-timeout', '1s'] });
    const slow = (await rawSocket(server.baseUrl, 'GET /health HTTP/1.1\r\nHost:', { end: false })).toString();
    assert.ok(slow === '' || slow.startsWith('HTTP/1.1 408 '), slow);
    const idle = (await rawSocket(server.baseUrl, 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n', { end: false })).toString();
    assert.match(idle, /^HTTP\/1\.1 200 /);
    assert.equal((await rawSocket(server.baseUrl, '', { end: false })).length, 0);
  });

  test('limits of header and body are the operator\'s', async (t) => {
    const { server, alice } = await serverOfTest(t, { args: ['--max-header-bytes', '2KiB', '--max-body-bytes', '2KiB'] });
    await alice.post('/conversations', { title: 'x'.repeat(900) }, { expect: 201 });
    await alice.post('/conversations', { system_prompt: 'x'.repeat(4000) }, { expect: 413 });
    const answer = await rawRequest(server.baseUrl, 'GET', '/health', { headers: { 'X-Long': 'y'.repeat(4000) } });
    assert.equal(answer.status, 431);
  });

  test('more connections than the limit are answered 503 and closed', async (t) => {
    const { server } = await serverOfTest(t, { args: ['--max-connections', '4', '--threads', '1'] });
    const { connect } = await import('node:net');
    const held = Array.from({ length: 4 }, () => connect(Number(new URL(server.baseUrl).port), '127.0.0.1'));
    afterwards(t, () => held.forEach((socket) => socket.destroy()));
    for (const socket of held) {
      await new Promise((resolve) => { socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n'); socket.once('data', resolve); });
    }
    const refused = (await rawSocket(server.baseUrl, 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n', { end: false })).toString();
    assert.ok(refused === '' || refused.startsWith('HTTP/1.1 503 '), refused.slice(0, 100));
    held.forEach((socket) => socket.destroy());
    await until(async () => (await rawSocket(server.baseUrl, 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', { end: false }))
      .toString().startsWith('HTTP/1.1 200 '), 'room for a connection');
  });
});

describe('TLS', () => {
  let folder;
  let server;
  let files;
  before(async () => {
    folder = temporaryFolder();
    files = { first: makeCertificate('first'), second: makeCertificate('second') };
    files.cert = join(folder, 'server.crt');
    files.key = join(folder, 'server.key');
    install('first');
    server = await startServer({ args: ['--tls-cert', files.cert, '--tls-key', files.key] });
  });
  after(async () => {
    await server?.close();
    if (folder) removeFolder(folder);
  });

  function makeCertificate(name) {
    const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${name}`,
                             '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    return { cert, key };
  }
  function install(name) {
    copyFileSync(files[name].key, files.key);
    copyFileSync(files[name].cert, files.cert);
  }
  // The name in the certificate that a new connection is shown.
  function shown(options = {}) {
    return new Promise((resolve, reject) => {
      const socket = tls.connect({ host: '127.0.0.1', port: Number(new URL(server.baseUrl).port), rejectUnauthorized: false, ...options }, () => {
        resolve({ name: socket.getPeerCertificate().subject.CN, protocol: socket.getProtocol() });
        socket.destroy();
      });
      socket.on('error', reject);
    });
  }

  test('the whole API is there over TLS', async () => {
    assert.match(server.baseUrl, /^https:/);
    const headers = { Authorization: `Bearer ${await server.token('alice')}`, 'Content-Type': 'application/json' };
    const ca = readFileSync(files.cert);
    const made = await rawRequest(server.baseUrl, 'POST', '/generate', { headers, ca, body: '{"prompt":"Hello"}' });
    assert.equal(made.status, 200);
    const listed = await rawRequest(server.baseUrl, 'GET', '/conversations', { headers, ca });
    assert.equal(JSON.parse(listed.bytes).length, 1);
  });

  test('TLS 1.2 and 1.3 are spoken, older ones are not', async () => {
    assert.equal((await shown({ maxVersion: 'TLSv1.2' })).protocol, 'TLSv1.2');
    assert.equal((await shown()).protocol, 'TLSv1.3');
    await assert.rejects(shown({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' }));
  });

  test('plain HTTP on the TLS port gets no answer of ours and harms nobody', async () => {
    const answer = await rawSocket(server.baseUrl, 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.ok(!answer.toString().includes('healthy'));
    assert.equal((await shown()).name, 'first');
  });

  test('a new certificate is used without a restart; a broken one is not', async () => {
    install('second');
    await until(async () => (await shown()).name === 'second', 'the new certificate');
    writeFileSync(files.cert, 'nonsense');
    const deadline = Date.now() + 3000;
    do assert.equal((await shown()).name, 'second'); while (Date.now() < deadline);
    install('first');
    await until(async () => (await shown()).name === 'first', 'the good certificate');
  });
});
