// Terraform's tables are the server's tables: a real apply against moto, a second plan that finds nothing to change, and
// the real server on what was made, behind a guard that holds it to the policy that was made too.
//
// moto decides a conditional write without a lock, so that two at the same time may both win, and reads long
// conversations with branches wrongly: of the end-to-end tests the ones that write side by side run on DynamoDB Local instead,
// on tables of the shape that Terraform made.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertExact, doEverything, kFewTokens, startGuard } from '../dynamodb/guard.mjs';
import { runCommand, startServer } from '../e2e/server.mjs';
import { skipped } from '../skipped.mjs';
import { callDynamoDb, describeTable, startMoto } from './moto.mjs';
import { asGuarded, madePolicy, neededPolicies } from './policies.mjs';
import { copyOf, deployFolder, initialize, kRegion, missingToApply, overrideProvider, startProvider, terraform } from './tools.mjs';

const skip = skipped("Terraform's tables, and the server on them", missingToApply());

const kNames = { conversations: 'colloquy-conversations', messages: 'colloquy-messages', keys: 'colloquy-keys' };
const kCredentials = { AWS_ACCESS_KEY_ID: 'offline', AWS_SECRET_ACCESS_KEY: 'offline', AWS_REGION: kRegion };
const flagsOf = ({ conversations, messages }) => ['--dynamodb-conversations-table', conversations, '--dynamodb-messages-table', messages];
// What a variable changes in place.
const kFurther = ['-var', 'updated_index=true', '-var', 'keys_table=true'];
const kLocal = process.env.COLLOQUY_DYNAMODB_LOCAL ?? fileURLToPath(new URL('../../build/dynamodb-local', import.meta.url));

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

describe("Terraform's tables", { skip }, () => {
  let moto;
  let example;
  const work = mkdtempSync(join(tmpdir(), 'colloquy-applied-'));

  async function run(args, accepted = [0]) {
    const { code, stdout, stderr } = await terraform([...args, '-no-color'], { cwd: example });
    assert.ok(accepted.includes(code), `terraform ${args[0]} ended with ${code}\n${(stdout + stderr).slice(-6000)}`);
    return { code, stdout };
  }
  const apply = (flags = []) => run(['apply', '-auto-approve', '-input=false', ...flags]);
  const drift = async (flags = []) => {
    const { code, stdout } = await run(['plan', '-detailed-exitcode', '-input=false', ...flags], [0, 2]);
    return code === 0 ? '' : stdout;
  };
  const colloquy = async (...args) => {
    const { code, stdout, stderr } = await runCommand([...args, '--dynamodb-endpoint', moto.url], { env: kCredentials });
    assert.equal(code, 0, stdout + stderr);
    return stdout + stderr;
  };

  before(async () => {
    [moto] = await Promise.all([startMoto(), startProvider()]);
    const tree = copyOf(deployFolder);
    overrideProvider(tree, 'tables-only', { url: moto.url, services: ['cloudwatch', 'dynamodb', 'iam', 'kms'] });
    await initialize(tree, 'tables-only');
    example = join(tree, 'examples/tables-only');
  });
  after(async () => {
    await moto?.stop();
    rmSync(work, { recursive: true, force: true });
  });

  function checkPolicies(flags) {
    const needed = neededPolicies(kNames, flags);
    for (const name of ['serve', 'operate', 'restore']) {
      assert.deepEqual([...asGuarded(madePolicy(example, name))].sort(), [...needed[name]].sort(), name);
    }
  }

  test('come by an apply without a variable, and then there is nothing to change', async () => {
    await apply();
    assert.equal(await drift(), '');
    checkPolicies({ updatedIndex: false, keyring: false });
  });

  test('serve the server, with exactly what the policy allows', async (t) => {
    const allowed = asGuarded(madePolicy(example, 'serve'));
    assert.equal(await colloquy('tables', 'check', ...flagsOf(kNames)), 'The tables are what they must be.\n');
    const guard = await startGuard(t, allowed, moto.url, {});
    const server = await startServer({
      args: ['--store', 'dynamodb', '--dynamodb-endpoint', guard.url, ...flagsOf(kNames), ...kFewTokens], env: kCredentials });
    t.after(() => server.close());
    await doEverything(server);
    assert.ok(!server.logs().some(({ level }) => level === 'warning' || level === 'error'), server.stderr);
    assertExact(guard, allowed);
  });

  async function expectEqual(ours, theirs) {
    const [made, own] = [await describeTable(moto.url, ours), await describeTable(moto.url, theirs)];
    assert.deepEqual(made.schema, own.schema, ours);
    assert.equal(made.recovery, own.recovery, ours);
    assert.deepEqual([made.encryption.status, made.encryption.type], ['ENABLED', 'KMS'], ours);
    assert.match(made.encryption.key, /^arn:aws:kms:/);
    assert.equal(made.deletionProtection, true);
    return made;
  }

  test('are field by field those that the server makes', async () => {
    const own = { conversations: 'own-conversations', messages: 'own-messages' };
    await colloquy('tables', 'create', ...flagsOf(own));
    const shapes = {};
    for (const name of Object.keys(own)) {
      const made = await expectEqual(kNames[name], own[name]);
      assert.equal(made.recovery, 'ENABLED');
      shapes[name] = made.schema;
    }
    writeFileSync(join(work, 'shapes.json'), JSON.stringify(shapes));
    // And a difference is seen.
    const other = { conversations: 'other-conversations', messages: 'other-messages' };
    await colloquy('tables', 'create', '--no-secondary-indexes', ...flagsOf(other));
    await assert.rejects(expectEqual(kNames.messages, other.messages), /ConversationTimeIndex/);
  });

  // The store's end-to-end tests by a program of their own, on tables of the applied shape; how many passed.
  function endToEnd(command, args, environment, names) {
    const files = names.map((name) => here(`../e2e/${name}.test.mjs`));
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined, COLLOQUY_TEST_STORE: 'dynamodb', COLLOQUY_TEST_TABLE_SHAPES: join(work, 'shapes.json'), ...environment };
    return new Promise((resolve, reject) => execFile(command, [...args, ...files], { timeout: 400_000, killSignal: 'SIGKILL', maxBuffer: 1 << 28, env },
      (error, stdout, stderr) => (error ? reject(new Error(`${error.message.slice(0, 200)}\n${stdout.slice(-6000)}\n${stderr.slice(-2000)}`))
        : resolve(Number(/^# pass (\d+)/m.exec(stdout)?.[1])))));
  }
  const kNode = ['node', '--test', '--test-concurrency=1', '--test-reporter=tap'];

  test("pass the store's end-to-end tests, in moto", async () => {
    const [command, ...args] = kNode;
    assert.ok(await endToEnd(command, args, { COLLOQUY_TEST_DYNAMODB: moto.url }, ['source_document', 'conversations']) >= 15);
  });

  test("pass the store's end-to-end tests, in DynamoDB Local, with what the policy allows", async () => {
    const policy = join(work, 'policy');
    writeFileSync(policy, [...asGuarded(madePolicy(example, 'serve'))].map((use) => use.replace(' colloquy-', ' ')).join('\n'));
    const guarded = [kLocal, 'node', here('../dynamodb/guarded.mjs'), policy, ...kNode];
    assert.ok(await endToEnd(here('../dynamodb/with_local.sh'), guarded, {}, ['patch', 'retention']) >= 10);
  });

  test('have a policy whose gaps would be seen', async (t) => {
    const policy = asGuarded(madePolicy(example, 'serve'));
    policy.delete('PutItem colloquy-messages');
    const guard = await startGuard(t, policy, moto.url, {});
    const server = await startServer({ args: ['--store', 'dynamodb', '--dynamodb-endpoint', guard.url, ...flagsOf(kNames), ...kFewTokens], env: kCredentials });
    t.after(() => server.close());
    await assert.rejects(doEverything(server));
    assert.deepEqual([...guard.refused], ['PutItem colloquy-messages']);
  });

  test('take a further index and the table of keys in place', async () => {
    const before = await describeTable(moto.url, kNames.conversations);
    await apply(kFurther);
    assert.equal((await describeTable(moto.url, kNames.conversations)).id, before.id, 'the table was replaced');
    const own = { conversations: 'further-conversations', messages: 'further-messages' };
    await colloquy('tables', 'create', '--updated-index', ...flagsOf(own));
    await expectEqual(kNames.conversations, own.conversations);
    await colloquy('keys', 'create-table', '--dynamodb-keys-table', 'own-keys');
    const keys = await expectEqual(kNames.keys, 'own-keys');
    assert.equal(keys.recovery, 'DISABLED');
    assert.equal(await colloquy('tables', 'check', '--updated-index', '--dynamodb-keys-table', kNames.keys, ...flagsOf(kNames)), 'The tables are what they must be.\n');
    checkPolicies({ updatedIndex: true, keyring: true });
  });

  test('show what was changed behind Terraform, and nothing else', async () => {
    await callDynamoDb(moto.url, 'UpdateContinuousBackups', {
      TableName: kNames.messages, PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: false } });
    assert.match(await drift(kFurther), /on_demand\["messages"\] will be updated in-place[^]*point_in_time_recovery[^]*\nPlan: 0 to add, 1 to change, 0 to destroy\./);
  });
});
