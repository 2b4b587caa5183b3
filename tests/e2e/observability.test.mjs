// Request ids, the log and the metrics: what an operator sees, and what nobody may.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { rawRequest } from './client.mjs';
import { contract } from './contract.mjs';
import { scripts } from './fake_upstream.mjs';
import { onDynamoDb } from './server.mjs';
import { serverOfSuite } from './setup.mjs';
import { until } from './wait.mjs';

const kSecret = 'sq7Zk9 private words';

describe('request ids and the log', () => {
  let server;
  let alice;
  serverOfSuite({}, (made) => ({ server, alice } = made));

  test('a client\'s own request id is used; a bad one is not, and is no way into the log', async () => {
    for (const id of ['abc', 'A-b_c.9', 'x'.repeat(128)]) {
      assert.equal((await alice.get('/conversations', { headers: { 'X-Request-Id': id } })).requestId, id);
      assert.equal((await alice.get('/conversations/x', { headers: { 'X-Request-Id': id }, expect: 404 })).json.request_id, id);
    }
    for (const id of ['x'.repeat(129), 'a b', '"},{"', 'ü', '<script>']) {
      assert.notEqual((await alice.get('/conversations', { headers: { 'X-Request-Id': id } })).requestId, id);
    }
  });

  test('requests without one get one each', async () => {
    const ids = await Promise.all(Array.from({ length: 50 }, async () => (await alice.get('/conversations')).requestId));
    assert.equal(new Set(ids).size, 50);
  });

  test('every request has a line with its id, method, route template and status', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const message = await alice.append(id, 'x');
    for (const { method, template, operation, endless } of contract.operations()) {
      const target = template.replace('{conversation_id}', id).replace('{message_id}', message.message_id);
      if (method === 'DELETE' || endless) continue;
      const json = operation.requestBody?.content['application/json']?.example;
      const answer = await alice.call(method, target, { json });
      const line = await server.logOf(answer.requestId);
      const values = Object.values(line);
      assert.ok(values.includes(template) || values.includes(template.replace('{path}', '{path...}')), `${method} ${template}: ${JSON.stringify(line)}`);
      assert.ok(values.includes(method) && values.includes(answer.status), JSON.stringify(line));
    }
  });

  test('what happens to conversations is an event with ids', async () => {
    const made = await alice.createConversation();
    const message = await alice.append(made.conversation_id, 'x');
    await alice.delete(`/conversations/${made.conversation_id}`, { expect: 204 });
    const find = (event, ...ids) => until(() => server.logs().find((line) =>
      Object.values(line).includes(event) && ids.every((id) => Object.values(line).includes(id))), `the event ${event}`);
    await find('conversation.created', made.conversation_id, 'alice');
    await find('message.added', made.conversation_id, message.message_id, 'alice');
    await find('conversation.deleted', made.conversation_id, 'alice');
  });

  test('nothing that a user wrote, asked for or proved themselves with is in the log', async () => {
    const { conversation_id: id } = await alice.createConversation({ title: kSecret, system_prompt: kSecret, metadata: { k: kSecret } });
    await alice.append(id, kSecret, { client_message_id: kSecret, metadata: { k: kSecret } });
    await alice.generate(id, kSecret);
    await alice.generate(undefined, kSecret, { stop: [kSecret] });
    await alice.call('PUT', `/conversations/${id}/title`, { query: { title: kSecret }, expect: 200 });
    await alice.get('/conversations', { query: { cursor: kSecret }, expect: 422 });
    await alice.get(`/conversations/${encodeURIComponent(kSecret)}`, { expect: 404 });
    await alice.post('/conversations', { [kSecret]: 1 }, { expect: 422 });
    await alice.call('POST', '/conversations', { body: `{"title":"${kSecret}`, contentType: 'application/json', expect: 400 });
    await alice.get(`/${encodeURIComponent(kSecret)}`, { expect: 404 });
    await alice.post('/generate', { prompt: 'x', model: kSecret }, { expect: 422 });
    await alice.as(kSecret.replaceAll(' ', '')).get('/conversations', { expect: 401 });
    const last = await alice.post('/conversations', {}, { headers: { 'Idempotency-Key': kSecret }, expect: 201 });
    await server.logOf(last.requestId);
    for (const secret of [kSecret, 'sq7Zk9', alice.token, alice.token.split('.')[2]]) {
      assert.ok(!server.stderr.includes(secret), `"${secret}" is in the log`);
      assert.ok(!server.stdout.includes(secret));
    }
  });
});

describe('metrics and health', () => {
  let server;
  let upstream;
  let alice;
  serverOfSuite({ upstream: true }, (made) => ({ server, upstream, alice } = made));

  async function scrape() {
    const { status, headers, bytes } = await rawRequest(server.adminUrl, 'GET', '/metrics', { check: false });
    assert.equal(status, 200);
    assert.match(headers.get('content-type'), /^text\/plain/);
    return parseExposition(bytes.toString());
  }

  test('the exposition is well-formed and tells what the operator needs', async () => {
    const { conversation_id: id } = await alice.createConversation();
    await alice.append(id, 'x');
    await alice.generate(id, 'y');
    await alice.get('/conversations/x', { expect: 404 });
    const { families, samples } = await scrape();
    const names = [...families.keys()];
    const ofTheStore = onDynamoDb ? [['consumed units', /consumed_units_total$/]]
      : [['rows a commit', /commit.*(rows|batch|size)|rows/], ['disk', /disk.*bytes|bytes.*disk/],
         ['conversations', /conversations/], ['messages', /messages/]];
    for (const [what, pattern] of [...ofTheStore, ['requests', /requests?_total$/], ['request latency', /request.*_seconds$/],
                                   ['store latency', /store.*_seconds$/], ['turns', /turns_total$/],
                                   ['tokens', /tokens_total$/], ['first token', /first_token_seconds$/]]) {
      assert.ok(names.some((name) => pattern.test(name)), `no metric of ${what} among ${names}`);
    }
    assert.ok(names.every((name) => name.startsWith('colloquy_') || name.startsWith('process_')), String(names));
    const routes = new Set(samples.map((sample) => sample.labels.route).filter(Boolean));
    assert.ok(routes.has('/conversations/{conversation_id}'), [...routes].join());
    assert.ok([...routes].every((route) => !route.includes(id)));
  });

  test('every metric is on the operator\'s page, with its type and labels', async () => {
    const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `((?:colloquy|process)_[a-z_]+)` \| (\w+) \| (.*?) \|/gm)];
    const documented = new Map(rows.map(([, name, type, labels]) =>
      [name, { type, labels: [...labels.replace(/:.*/, '').matchAll(/`(\w+)`/g)].map(([, label]) => label).sort() }]));
    await alice.generate(undefined, 'x');
    const { families, samples } = await scrape();
    assert.ok(families.size > 10);
    for (const [name, type] of families) assert.equal(documented.get(name)?.type, type, name);
    for (const { name, labels } of samples) {
      const family = families.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
      assert.deepEqual(Object.keys(labels).filter((label) => label !== 'le').sort(), documented.get(family).labels, name);
    }
  });

  test('counters count, and do not fall', async () => {
    const total = async (pattern) => (await scrape()).samples.filter((sample) => pattern.test(sample.name))
      .reduce((sum, sample) => sum + sample.value, 0);
    const requests = await total(/requests?_total$/);
    const turns = await total(/turns_total$/);
    const tokens = await total(/tokens_total$/);
    await alice.generate(undefined, 'x');
    await until(async () => (await total(/requests?_total$/)) > requests, 'the request to be counted');
    assert.equal(await total(/turns_total$/), turns + 1);
    assert.equal(await total(/tokens_total$/), tokens + 18);
  });

  test('refused tokens are counted, by route and not by token', async () => {
    const refused = async () => (await scrape()).samples
      .filter((sample) => sample.name === 'colloquy_http_requests_total' && sample.labels.status === '401');
    const of = (samples, route, method) => samples.find(({ labels }) => labels.route === route && labels.method === method)?.value ?? 0;
    const before = await refused();
    const bad = [undefined, 'nonsense', `${alice.token}x`, 'a.b.c', alice.token.slice(1)];
    for (const token of bad) await alice.as(token).get('/conversations', { expect: 401 });
    for (const token of bad.slice(3)) await alice.as(token).post('/generate', { prompt: 'x' }, { expect: 401 });
    const after = await refused();
    assert.equal(of(after, '/conversations', 'GET'), of(before, '/conversations', 'GET') + 5);
    assert.equal(of(after, '/generate', 'POST'), of(before, '/generate', 'POST') + 2);
    for (const { labels } of after) assert.deepEqual(Object.keys(labels).sort(), ['method', 'route', 'status']);
  });

  test('a wild path or method does not grow the metrics', async () => {
    const headers = { Authorization: `Bearer ${alice.token}` };
    const before = (await scrape()).samples.length;
    for (let i = 0; i < 30; i += 1) {
      await rawRequest(server.baseUrl, 'GET', `/wild-${i}`, { headers });
      await rawRequest(server.baseUrl, `WILD${i}`, '/conversations', { headers, check: false }).catch(() => {});
    }
    const answer = await scrape();
    assert.ok(answer.samples.length < before + 120, `${before} -> ${answer.samples.length}`);
    assert.ok(!answer.samples.some((sample) => JSON.stringify(sample.labels).includes('wild-')));
  });

  test('the metrics are not on the public listener', async () => {
    for (const token of [undefined, alice.token]) {
      const headers = token ? { Authorization: `Bearer ${token}` } : {};
      const { status, bytes } = await rawRequest(server.baseUrl, 'GET', '/metrics', { headers });
      assert.ok([401, 404].includes(status));
      assert.ok(!bytes.includes('colloquy_'));
    }
  });

  test('the conversations are not on the admin listener', async () => {
    const { status } = await rawRequest(server.adminUrl, 'GET', '/conversations', { headers: { Authorization: `Bearer ${alice.token}` }, check: false });
    assert.equal(status, 404);
  });

  test('health answers on both listeners', async () => {
    for (const path of ['/health', '/health/live', '/health/ready']) {
      for (const base of [server.baseUrl, server.adminUrl]) {
        const { status, bytes } = await rawRequest(base, 'GET', path, { check: base === server.baseUrl });
        assert.equal(status, 200, path);
        assert.equal(JSON.parse(bytes).status, 'healthy');
      }
    }
  });

  test('health does not depend on the model', async () => {
    upstream.next(scripts.status(500, {}), scripts.status(500, {}), scripts.status(500, {}));
    await alice.post('/generate', { prompt: 'x' }, { expect: [200, 503] });
    upstream.queue.length = 0;
    assert.equal((await alice.get('/health/ready')).status, 200);
  });
});

// Prometheus text format 0.0.4, strictly: { families: Map(name -> type), samples: [{ name, labels, value }] }.
function parseExposition(text) {
  const families = new Map();
  const samples = [];
  for (const line of text.split('\n').filter(Boolean)) {
    const comment = line.match(/^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/);
    if (comment) {
      if (comment[1] === 'TYPE') {
        assert.ok(!families.has(comment[2]), `${comment[2]} twice`);
        families.set(comment[2], comment[3]);
      }
      continue;
    }
    const sample = line.match(/^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$/);
    assert.ok(sample, `not a sample: ${line}`);
    const labels = Object.fromEntries([...(sample[2] ?? '').matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g)].map((match) => [match[1], match[2]]));
    const value = Number(sample[3].replace('+Inf', 'Infinity').replace('-Inf', '-Infinity'));
    assert.ok(!Number.isNaN(value) || sample[3] === 'NaN', line);
    const family = [sample[1], sample[1].replace(/_(bucket|sum|count)$/, '')].find((name) => families.has(name));
    assert.ok(family, `no TYPE for ${sample[1]}`);
    if (families.get(family) === 'counter') assert.match(family, /_total$/);
    samples.push({ name: sample[1], labels, value });
  }
  return { families, samples };
}
