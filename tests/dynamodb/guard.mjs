// A guard before the tables' service that does what IAM would, and something that does all that a server does with them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { until } from '../e2e/wait.mjs';

// What a call is a use of, as IAM sees it.
function uses(service, operation, body) {
  if (service === 'TrentService') return [`kms:${operation} ${body.KeyId}`];
  if (body.TransactItems) {
    return body.TransactItems.flatMap((item) => Object.entries(item).map(([kind, { TableName }]) => `${kind}Item ${TableName}`));
  }
  const tables = body.RequestItems ? Object.keys(body.RequestItems) : [body.TableName];
  return tables.map((table) => `${operation} ${table}${body.IndexName ? `/index/${body.IndexName}` : ''}`);
}

// Calls that DynamoDB Local does not have.
const kStandIns = {
  DescribeContinuousBackups: { ContinuousBackupsDescription: { PointInTimeRecoveryDescription: { PointInTimeRecoveryStatus: 'DISABLED' } } },
  UpdateContinuousBackups: {},
};

// Lets through to `service` what `policy` allows, a set of "action table" and "kms:action key"; says what was used and what was refused.
export async function startGuard(t, policy, service, standIns = kStandIns) {
  const used = new Set();
  const refused = new Set();
  const guard = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const text = Buffer.concat(parts);
    const [called, operation] = request.headers['x-amz-target'].split('.');
    const needed = uses(called, operation, JSON.parse(text));
    const missing = needed.filter((use) => !policy.has(use));
    missing.forEach((use) => refused.add(use));
    needed.forEach((use) => used.add(use));
    const reply = (status, body) => response.writeHead(status, { 'Content-Type': request.headers['content-type'] }).end(body);
    if (missing.length > 0) {
      reply(400, JSON.stringify({ __type: 'com.amazon.coral.service#AccessDeniedException', Message: `not allowed: ${missing}` }));
    } else if (standIns[operation]) {
      reply(200, JSON.stringify(standIns[operation]));
    } else {
      const { host, connection, ...headers } = request.headers;
      delete headers['content-length'];
      try {
        const answer = await fetch(service, { method: 'POST', headers, body: text });
        reply(answer.status, Buffer.from(await answer.arrayBuffer()));
      } catch {
        response.destroy();  // the service went, as it does at a test's end while a server still has work: the caller sees what it would see of it
      }
    }
  }).listen(0, '127.0.0.1');
  await once(guard, 'listening');
  t.after(() => { guard.close(); guard.closeAllConnections(); });
  return { url: `http://127.0.0.1:${guard.address().port}`, used, refused };
}

export function assertExact({ used, refused }, policy) {
  assert.deepEqual([...refused], [], 'it needs what the policy does not allow');
  assert.deepEqual([...policy].filter((use) => !used.has(use)), [], 'the policy allows what is never used');
}

// Settings with which one repeat is looked up before anything is written: no tokens are left.
export const kFewTokens = ['--tokens-per-minute', '1'];

// Through a server with kFewTokens, all that one does with the tables; with `--updated-index` and `--encryption` too where it has them.
export async function doEverything(server, { updatedIndex = false, encryption = false } = {}) {
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
  if (updatedIndex) {
    await until(async () => (await client.get('/conversations?sort=updated', { expect: 200 })).json.length > 0, 'the index to follow');
  }
  assert.ok((await client.get(`${path}/messages`, { expect: 200 })).text.includes(long));
  await client.get(`${path}/messages/${added}`, { expect: 200 });
  await client.delete(`${path}/messages/${added}`, { expect: 204 });
  await client.delete(path, { expect: 204 });
  await until(async () => {
    const metrics = await (await fetch(`${server.adminUrl}/metrics`)).text();
    return Number(metrics.match(/^colloquy_store_purged_messages_total (\d+)/m)?.[1]) >= 2;
  }, 'the deletion');
  if (encryption) {
    await client.delete('/me', { query: { confirm: 'alice' } });
    await until(async () => (await client.get('/me', { expect: 200 })).json.erasing === false, 'the erasure to end', 60_000);
  }
}
