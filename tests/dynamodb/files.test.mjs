// Users' files beside conversations in tables: off unless a folder is named, and then shared by all servers that name it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { join } from 'node:path';
import { afterwards } from '../e2e/cleanup.mjs';
import { removeFolder, startServer, temporaryFolder } from '../e2e/server.mjs';
import { createTables, tableEnvironment, tableFlags } from './tables.mjs';

async function serversWith(t, ...flags) {
  const tables = await createTables();
  const data = temporaryFolder();
  afterwards(t, () => removeFolder(data));
  const servers = [];
  for (const more of flags) {
    const server = await startServer({ data, env: tableEnvironment, args: [...tableFlags(tables), ...more(data)] });
    afterwards(t, () => server.close());
    servers.push(server);
  }
  return servers;
}

test('without --files every call of them is 501, and no body is waited for', async (t) => {
  const [server] = await serversWith(t, () => []);
  const alice = await server.client('alice');
  await alice.get('/files', { expect: 501 });
  await alice.get('/files/a', { expect: 501 });
  await alice.delete('/files/a', { expect: 501 });
  await alice.call('PUT', '/files/a', { body: Buffer.alloc(1000), expect: 501 });
});

test('two servers share a folder: what one writes the other reads, and only one makes a new file', async (t) => {
  const files = (data) => ['--files', join(data, 'shared')];
  const [one, other] = await serversWith(t, files, files);
  const clients = [await one.client('alice'), await other.client('alice')];
  for (let i = 0; i < 10; i += 1) {
    const tries = await Promise.all(clients.map((client, n) =>
      client.call('PUT', `/files/new/${i}.json`, { body: JSON.stringify(n), headers: { 'If-None-Match': '*' } })));
    assert.deepEqual(tries.map((answer) => answer.status).sort(), [201, 412]);
  }
  const lists = await Promise.all(clients.map((client) => client.get('/files', { expect: 200 })));
  assert.equal(lists[0].json.length, 10);
  assert.deepEqual(lists[0].json, lists[1].json);
});

test('a setting of files has no effect without --files, and is refused', async (t) => {
  await assert.rejects(serversWith(t, () => ['--files-quota', '1MiB']), /--files-quota has no effect with --store dynamodb without --files/);
});
