// The policies of docs/dynamodb.md allow what the program does, and nothing that it never does: it runs behind a
// guard that does what IAM would.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand, startServer, temporaryFolder } from '../e2e/server.mjs';
import { until } from '../e2e/wait.mjs';
import { assertExact, doEverything, kFewTokens, startGuard } from './guard.mjs';
import { documentedPolicy } from './policies.mjs';
import { createTables, endpoint, ownTables, tableEnvironment, tableFlags, tablesCommand } from './tables.mjs';

test('colloquy tables needs exactly its policy', async (t) => {
  const tables = ownTables();
  const policy = documentedPolicy('What `colloquy tables` needs', tables);
  const guard = await startGuard(t, policy, endpoint);
  for (const [action, ...flags] of [['create', '--no-secondary-indexes'], ['create'], ['check'], ['describe']]) {
    const { stdout, stderr } = await tablesCommand(action, [...tables.flags, ...flags], { at: guard.url });
    assert.doesNotMatch(stdout + stderr, /not allowed/, action);
  }
  assertExact(guard, policy);
});

test('colloquy serve needs exactly its policy', async (t) => {
  const tables = await createTables();
  const policy = documentedPolicy('What `colloquy serve` needs', tables);
  const guard = await startGuard(t, policy, endpoint);
  const server = await startServer({
    args: [...tableFlags(tables, guard.url), ...kFewTokens], env: tableEnvironment,
  });
  t.after(() => server.close());
  await doEverything(server);
  assert.ok(!server.logs().some(({ level }) => level === 'warning' || level === 'error'), server.stderr);
  assertExact(guard, policy);
});

test('UserUpdatedIndex needs exactly what comes on top', async (t) => {
  const tables = await createTables('--updated-index');
  const added = documentedPolicy('With `UserUpdatedIndex`', tables);
  const guard = await startGuard(t, new Set([...documentedPolicy('What `colloquy serve` needs', tables), ...added]), endpoint);
  const server = await startServer({ args: [...tableFlags(tables, guard.url), '--updated-index'], env: tableEnvironment });
  t.after(() => server.close());
  const client = await server.client('alice');
  const made = await client.createConversation();
  await until(async () => (await client.get('/conversations?sort=updated', { expect: 200 })).json.length > 0, 'the index to follow');
  assert.deepEqual((await client.get('/conversations?sort=updated', { expect: 200 })).json, [made]);
  assert.deepEqual([...guard.refused], []);
  assert.deepEqual([...added].filter((use) => !guard.used.has(use)), [], 'the policy allows what is never used');
});

test('an encrypting server, and colloquy keys, need exactly their policies on the table of keys', async (t) => {
  const tables = { ...await createTables(), keys: `${randomUUID()}-keys` };
  const ofCommand = documentedPolicy('What `colloquy keys create-table`', tables);
  const ofServer = documentedPolicy('With `--encryption`', tables);
  const commandGuard = await startGuard(t, ofCommand, endpoint);
  const guard = await startGuard(t, new Set([...documentedPolicy('What `colloquy serve` needs', tables), ...ofServer]), endpoint);
  const masterKeys = join(temporaryFolder(), 'master.key');
  const makeKey = async () => (await runCommand(['keys', 'create'])).stdout;
  writeFileSync(masterKeys, await makeKey(), { mode: 0o600 });
  const flags = ['--encryption', 'file', '--master-key-file', masterKeys, '--dynamodb-keys-table', tables.keys];
  const keysCommand = async (action, others) => {
    const { code, stdout, stderr } = await runCommand(['keys', action, ...others, '--dynamodb-keys-table', tables.keys,
      '--dynamodb-endpoint', commandGuard.url], { env: tableEnvironment });
    assert.equal(code, 0, stdout + stderr);
  };
  const serving = () => startServer({ args: [...tableFlags(tables, guard.url), ...flags], env: tableEnvironment });
  await assert.rejects(serving(), /the table of the keys.* is not what it must be\n.*is not there/);
  await keysCommand('create-table', []);
  const check = () => tablesCommand('check', [...tables.flags, '--dynamodb-keys-table', tables.keys]);
  assert.match((await check()).stdout, /are what they must be/);
  const server = await serving();
  t.after(() => server.close());
  const client = await server.client('alice');
  await client.createConversation({ title: 'One' });
  writeFileSync(masterKeys, `${await makeKey()}${readFileSync(masterKeys)}`);
  await keysCommand('rotate', flags.slice(0, 4));
  await client.delete('/me', { query: { confirm: 'alice' } });
  await until(async () => (await client.get('/me', { expect: 200 })).json.erasing === false, 'the erasure to end', 60_000);
  assert.deepEqual([...guard.refused], []);
  assert.deepEqual([...ofServer].filter((use) => !guard.used.has(use)), [], 'the policy allows what is never used');
  assertExact(commandGuard, ofCommand);
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
    const policy = documentedPolicy(sentence, tables);
    const guard = await startGuard(t, policy, endpoint);
    const { code, stderr } = await runCommand(['migrate', '--from', from, '--to', to, '--dynamodb-endpoint', guard.url,
      '--progress', join(temporaryFolder(), 'progress')], { env: tableEnvironment });
    assert.equal(code, 0, stderr);
    assertExact(guard, policy);
  }
});
