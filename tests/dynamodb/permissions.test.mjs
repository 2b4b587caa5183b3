// The policies of docs/dynamodb.md allow what the program does, and nothing that it never does: it runs behind a
// guard that does what IAM would.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand, startServer, temporaryFolder } from '../e2e/server.mjs';
import { until } from '../e2e/wait.mjs';
import { createTables, endpoint, ownTables, tableEnvironment, tableFlags, tablesCommand } from './tables.mjs';

const page = readFileSync(new URL('../../docs/dynamodb.md', import.meta.url), 'utf8');

// The policy after a sentence of the page, as "action resource" with the tables' names put in.
function policyAfter(sentence, tables) {
  const at = page.indexOf(sentence);
  assert.ok(at >= 0, sentence);
  const { Statement } = JSON.parse(page.slice(at).match(/```json\n([^]*?)```/)[1]);
  return new Set(Statement.flatMap(({ Action, Resource }) => Action.flatMap((action) => Resource.map((resource) =>
    `${action.replace('dynamodb:', '')} ${resource.match(/table\/(.*)$/)[1].replace(/^(conversations|messages)/, (name) => tables[name])}`))));
}

// What a call is a use of.
function uses(operation, body) {
  const tables = body.RequestItems ? Object.keys(body.RequestItems) : [body.TableName];
  return tables.map((table) => `${operation} ${table}${body.IndexName ? `/index/${body.IndexName}` : ''}`);
}

// Calls that DynamoDB Local does not have.
const kStandIns = {
  DescribeContinuousBackups: { ContinuousBackupsDescription: { PointInTimeRecoveryDescription: { PointInTimeRecoveryStatus: 'DISABLED' } } },
  UpdateContinuousBackups: {},
};

async function startGuard(t, policy) {
  const used = new Set();
  const refused = new Set();
  const guard = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const text = Buffer.concat(parts);
    const operation = request.headers['x-amz-target'].split('.')[1];
    const needed = uses(operation, JSON.parse(text));
    const missing = needed.filter((use) => !policy.has(use));
    missing.forEach((use) => refused.add(use));
    needed.forEach((use) => used.add(use));
    const reply = (status, body) => response.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.0' }).end(body);
    if (missing.length > 0) {
      reply(400, JSON.stringify({ __type: 'com.amazon.coral.service#AccessDeniedException', Message: `not allowed: ${missing}` }));
    } else if (kStandIns[operation]) {
      reply(200, JSON.stringify(kStandIns[operation]));
    } else {
      const { host, connection, ...headers } = request.headers;
      delete headers['content-length'];
      const answer = await fetch(endpoint, { method: 'POST', headers, body: text });
      reply(answer.status, Buffer.from(await answer.arrayBuffer()));
    }
  }).listen(0, '127.0.0.1');
  await once(guard, 'listening');
  t.after(() => { guard.close(); guard.closeAllConnections(); });
  return { url: `http://127.0.0.1:${guard.address().port}`, used, refused };
}

function assertExact({ used, refused }, policy) {
  assert.deepEqual([...refused], [], 'it needs what the policy does not allow');
  assert.deepEqual([...policy].filter((use) => !used.has(use)), [], 'the policy allows what is never used');
}

test('colloquy tables needs exactly its policy', async (t) => {
  const tables = ownTables();
  const policy = policyAfter('What `colloquy tables` needs', tables);
  const guard = await startGuard(t, policy);
  for (const [action, ...flags] of [['create', '--no-secondary-indexes'], ['create'], ['check'], ['describe']]) {
    const { stdout, stderr } = await tablesCommand(action, [...tables.flags, ...flags], { at: guard.url });
    assert.doesNotMatch(stdout + stderr, /not allowed/, action);
  }
  assertExact(guard, policy);
});

test('colloquy serve needs exactly its policy', async (t) => {
  const tables = await createTables();
  const policy = policyAfter('What `colloquy serve` needs', tables);
  const guard = await startGuard(t, policy);
  const server = await startServer({
    // With no tokens left, a repeat is looked up before anything is written.
    args: [...tableFlags(tables, guard.url), '--tokens-per-minute', '1'], env: tableEnvironment,
  });
  t.after(() => server.close());
  const client = await server.client('alice');
  const keyed = (key) => ({ headers: { 'Idempotency-Key': key } });
  const { json: { conversation_id: id } } = await client.post('/conversations', { title: 'One' }, { ...keyed('once'), expect: 201 });
  const path = `/conversations/${id}`;
  const say = () => client.post('/generate', { prompt: 'Hello' }, { query: { conversation_id: id }, ...keyed('twice'), expect: 200 });
  assert.equal((await say()).json.message_id, (await say()).json.message_id);
  const long = 'a long text '.repeat(50_000);  // more than an item holds
  const { json: { message_id: added } } = await client.post(`${path}/messages`, { content: long }, { expect: 201 });
  await client.patch(path, { title: 'Two', ttl_seconds: 3600 }, { expect: 200 });
  await client.get('/conversations', { expect: 200 });
  assert.ok((await client.get(`${path}/messages`, { expect: 200 })).text.includes(long));
  await client.get(`${path}/messages/${added}`, { expect: 200 });
  await client.delete(`${path}/messages/${added}`, { expect: 204 });
  await client.delete(path, { expect: 204 });
  await until(async () => {
    const metrics = await (await fetch(`${server.adminUrl}/metrics`)).text();
    return Number(metrics.match(/^colloquy_store_purged_messages_total (\d+)/m)?.[1]) >= 2;
  }, 'the deletion');
  assert.ok(!server.logs().some(({ level }) => level === 'warning' || level === 'error'), server.stderr);
  assertExact(guard, policy);
});

test('UserUpdatedIndex needs exactly what comes on top', async (t) => {
  const tables = await createTables('--updated-index');
  const added = policyAfter('With `UserUpdatedIndex`', tables);
  const guard = await startGuard(t, new Set([...policyAfter('What `colloquy serve` needs', tables), ...added]));
  const server = await startServer({ args: [...tableFlags(tables, guard.url), '--updated-index'], env: tableEnvironment });
  t.after(() => server.close());
  const client = await server.client('alice');
  const made = await client.createConversation();
  await until(async () => (await client.get('/conversations?sort=updated', { expect: 200 })).json.length > 0, 'the index to follow');
  assert.deepEqual((await client.get('/conversations?sort=updated', { expect: 200 })).json, [made]);
  assert.deepEqual([...guard.refused], []);
  assert.deepEqual([...added].filter((use) => !guard.used.has(use)), [], 'the policy allows what is never used');
});

test('colloquy migrate needs exactly its policies', async (t) => {
  const tables = await createTables();
  const data = temporaryFolder();
  const server = await startServer({ data });
  const client = await server.client('alice');
  const { conversation_id: id } = await client.createConversation({ ttl_seconds: 3600 });
  await client.append(id, 'a short text');
  await client.append(id, 'a long text '.repeat(50_000));
  await server.close();
  const place = `dynamodb:${tables.conversations},${tables.messages}`;
  const back = `rocksdb:${temporaryFolder()}`;
  for (const [sentence, from, to] of [['to move into the tables', `rocksdb:${data}`, place], ['to move out of them', place, back]]) {
    const policy = policyAfter(sentence, tables);
    const guard = await startGuard(t, policy);
    const { code, stderr } = await runCommand(['migrate', '--from', from, '--to', to, '--dynamodb-endpoint', guard.url,
      '--progress', join(temporaryFolder(), 'progress')], { env: tableEnvironment });
    assert.equal(code, 0, stderr);
    assertExact(guard, policy);
  }
});
