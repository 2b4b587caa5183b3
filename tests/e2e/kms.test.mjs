// A master key in AWS KMS, against a stand-in of the service that checks signatures and encryption contexts.
import assert from 'node:assert/strict';
import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { keyArn, kmsEnvironment, startKms } from '../aws/kms_stand_in.mjs';
import { afterwards } from './cleanup.mjs';
import { embeddedOnly, onDynamoDb, removeFolder, runCommand, temporaryFolder } from './server.mjs';
import { serverOfTest } from './setup.mjs';

// { kms, keys, rotate, folder }: `keys` are the flags of the keyring, `rotate` runs the command with further flags.
async function setUp(t) {
  const kms = await startKms();
  afterwards(t, () => kms.close());
  afterwards(t, () => assert.deepEqual(kms.wrong, []));
  const folder = temporaryFolder();
  afterwards(t, () => removeFolder(folder));
  let keys = ['--keyring', join(folder, 'keyring')];
  let endpoint = [];
  if (onDynamoDb) {
    const { createKeysTable } = await import('../dynamodb/tables.mjs');
    keys = ['--dynamodb-keys-table', await createKeysTable()];
    endpoint = ['--dynamodb-endpoint', process.env.COLLOQUY_TEST_DYNAMODB];
  }
  const rotate = async (flags) => {
    const { code, stdout, stderr } = await runCommand(['keys', 'rotate', ...flags, ...keys, ...endpoint], { env: kmsEnvironment });
    assert.equal(code, 0, stderr);
    return stdout;
  };
  return { kms, keys, rotate, folder, withKms: ['--encryption', 'kms', ...kms.flags] };
}

const read = async (server, user, id) => (await (await server.client(user)).conversation(id)).messages[0].content;

describe('--encryption kms', () => {
  test('wraps each user\'s key for that user alone', async (t) => {
    const { kms, keys, withKms } = await setUp(t);
    const { server, alice, bob } = await serverOfTest(t, { args: [...withKms, ...keys], env: kmsEnvironment, users: ['alice', 'bob'] });
    await server.logged(({ event, master_key: master }) => event === 'encryption.on' && master === `kms:${keyArn('first')}`, 'the key');
    const { conversation_id: id } = await alice.generate(undefined, 'clandestine', { stream: false });
    const { conversation_id: his } = await bob.generate(undefined, 'of bob', { stream: false });
    await server.restart();
    assert.equal(await read(server, 'alice', id), 'clandestine');
    assert.equal(await read(server, 'bob', his), 'of bob');
    const contexts = (operation) => kms.calls.filter((call) => call.operation === operation).map(({ context }) => context);
    const ofKeys = contexts('Encrypt').filter((context) => context.startsWith('colloquy data key '));
    // Alice's, Bob's and the one by which a server sees whether the master key fits.
    assert.equal(new Set(ofKeys).size, 3);
    assert.deepEqual([...new Set(contexts('Decrypt'))].sort(), [...ofKeys].sort());
    // The second word names the keyring, the next the user, the last the key: no name is in it.
    for (const context of ofKeys) assert.match(context, /^colloquy data key \S+ [0-9a-f]{64} [0-9a-f]+$/);
  });

  test('another user\'s wrapped key is refused by the service', embeddedOnly('it looks into the folder'), async (t) => {
    const { kms, keys, withKms } = await setUp(t);
    const { server, alice, bob } = await serverOfTest(t, { args: [...withKms, ...keys], env: kmsEnvironment, users: ['alice', 'bob'] });
    const files = () => readdirSync(keys[1], { recursive: true }).filter((name) => name.endsWith('.key'));
    const others = files();
    const { conversation_id: id } = await alice.generate(undefined, 'hello', { stream: false });
    const [hers] = files().filter((name) => !others.includes(name));
    await bob.generate(undefined, 'hello', { stream: false });
    const [his] = files().filter((name) => !others.includes(name) && name !== hers);
    await server.stop();
    cpSync(join(keys[1], his), join(keys[1], hers));
    await server.start();
    await (await server.client('alice')).get(`/conversations/${id}`, { expect: 500 });
    await server.logged((line) => /InvalidCiphertextException/.test(JSON.stringify(line)), 'the refusal');
  });

  test('while the service is out, users whose keys are in memory go on, and others are told to wait', async (t) => {
    const { kms, keys, withKms } = await setUp(t);
    const { server, alice } = await serverOfTest(t, { args: [...withKms, ...keys], env: kmsEnvironment });
    const { conversation_id: id } = await alice.generate(undefined, 'hello', { stream: false });
    kms.out = true;
    assert.equal(await read(server, 'alice', id), 'hello');
    const refused = await (await server.client('carol')).post('/generate', { prompt: 'hello' }, { expect: 503 });
    assert.ok(Number(refused.header('retry-after')) > 0);
    kms.out = false;
    await (await server.client('carol')).generate(undefined, 'hello', { stream: false });
  });

  test('takes over from a key in a file, and follows an alias that was moved', async (t) => {
    const { kms, keys, rotate, folder, withKms } = await setUp(t);
    const file = join(folder, 'master.key');
    writeFileSync(file, (await runCommand(['keys', 'create'])).stdout, { mode: 0o600 });
    const before = ['--master-key-file', file];
    const { server, alice } = await serverOfTest(t, { args: ['--encryption', 'file', ...before, ...keys], env: kmsEnvironment });
    const { conversation_id: id } = await alice.generate(undefined, 'hello', { stream: false });
    assert.deepEqual(kms.calls, []);
    await server.restart({ args: [...withKms, ...before, ...keys] });
    assert.equal(await read(server, 'alice', id), 'hello');
    const { conversation_id: his } = await (await server.client('bob')).generate(undefined, 'of bob', { stream: false });
    // While the server runs: Bob's is of KMS already.
    const named = (key, anew, already) => `${anew} keys were wrapped anew with kms:${keyArn(key)}, ${already} were already.\n`;
    assert.equal(await rotate([...withKms, ...before]), named('first', 2, 1));
    assert.equal(await rotate([...withKms, ...before]), named('first', 0, 3));
    await server.stop();
    rmSync(file);
    await server.start({ args: [...withKms, ...keys] });
    assert.equal(await read(server, 'alice', id), 'hello');
    kms.aliases.set('alias/colloquy', kms.makeKey('second'));
    assert.equal(await rotate(withKms), named('second', 3, 0));
    kms.keys.delete(keyArn('first'));
    await server.restart({ args: [...withKms, ...keys] });
    assert.equal(await read(server, 'alice', id), 'hello');
    assert.equal(await read(server, 'bob', his), 'of bob');
  });
});
