// Encryption that one of several servers on the same tables switches on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { removeFolder, startServer, temporaryFolder } from '../e2e/server.mjs';
import { createTables, encryptionFlags, tableEnvironment, tableFlags } from './tables.mjs';

test('a server without it ends by itself, and does not start again', async (t) => {
  const tables = await createTables();
  const data = temporaryFolder();
  afterwards(t, () => removeFolder(data));
  const options = { data, env: tableEnvironment, args: [...tableFlags(tables), '--log-level', 'warning'] };
  const plain = await startServer(options);
  await (await plain.client('alice')).createConversation();
  const flags = await encryptionFlags(data);
  const encrypting = await startServer({ ...options, args: [...options.args, ...flags] });
  afterwards(t, () => encrypting.close());
  assert.deepEqual(await plain.ended(), { code: 1, signal: null });
  const said = plain.logs().find(({ event }) => event === 'encryption.missing');
  assert.match(said.detail, /needs --encryption too/);
  await assert.rejects(plain.start(), /encrypted with the keyring .*it needs --encryption/);
  await (await encrypting.client('alice')).generate(undefined, 'hello', { stream: false });
});
