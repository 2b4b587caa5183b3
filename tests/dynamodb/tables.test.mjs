// `colloquy tables`, and what `serve` does where the tables are not what they must be.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { checkEmfLine } from '../e2e/emf.mjs';
import { removeFolder, runCommand, startServer, temporaryFolder } from '../e2e/server.mjs';
import { until } from '../e2e/wait.mjs';
import { callTables, endpoint, ownTables, tableEnvironment, tablesCommand } from './tables.mjs';

async function made(flags) {
  const { code, stderr } = await tablesCommand('create', flags);
  assert.equal(code, 0, stderr);
}

// A server that is told to begin on these tables, and must not: what it says. It has made nothing.
async function refusal(args, { env = {} } = {}) {
  const folder = temporaryFolder();
  const data = join(folder, 'data');
  const { code, stdout, stderr } = await runCommand(
    ['serve', '--store', 'dynamodb', '--data', data, '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', ...args],
    { env: { ...tableEnvironment, ...env } });
  assert.equal(code, 1, `${stdout}\n${stderr}`);
  assert.equal(stdout, '');
  assert.ok(!existsSync(data), 'the data folder was made');
  removeFolder(folder);
  return stderr.split('\n').filter((line) => !line.startsWith('{')).join('\n');
}

const at = (flags) => ['--dynamodb-endpoint', endpoint, ...flags];

describe('colloquy tables', () => {
  test('create makes both, tells of it, and may be run again', async () => {
    const { conversations, messages, flags } = ownTables();
    const first = await tablesCommand('create', flags);
    assert.equal(first.code, 0, first.stderr);
    for (const table of [conversations, messages]) {
      assert.match(first.stdout, new RegExp(`^${table}: is being made$`, 'm'));
      assert.match(first.stdout, new RegExp(`^${table}: active$`, 'm'));
      const { Table } = await callTables('DescribeTable', { TableName: table });
      assert.equal(Table.BillingModeSummary.BillingMode, 'PAY_PER_REQUEST');
      assert.deepEqual(Table.GlobalSecondaryIndexes.map((index) => index.Projection), [{ ProjectionType: 'KEYS_ONLY' }]);
      const { TimeToLiveDescription } = await callTables('DescribeTimeToLive', { TableName: table });
      assert.deepEqual(TimeToLiveDescription, { TimeToLiveStatus: 'ENABLED', AttributeName: 'ttl' });
    }
    const again = await tablesCommand('create', flags);
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, new RegExp(`^${messages}: is there$`, 'm'));
    assert.match(again.stdout, /The tables are ready\.\n$/);
  });

  test('create adds the indexes that are asked for later', async () => {
    const { conversations, flags } = ownTables();
    await made([...flags, '--no-secondary-indexes']);
    assert.equal((await tablesCommand('check', [...flags, '--no-secondary-indexes'])).code, 0);
    const missing = await tablesCommand('check', [...flags, '--updated-index']);
    assert.equal(missing.code, 1);
    assert.equal(missing.stdout.match(/^error: .* is missing$/gm).length, 3, missing.stdout);
    await made([...flags, '--updated-index']);
    assert.equal((await tablesCommand('check', [...flags, '--updated-index'])).code, 0);
    const { Table } = await callTables('DescribeTable', { TableName: conversations });
    assert.deepEqual(Table.GlobalSecondaryIndexes.map((index) => index.IndexName).sort(), ['UserCreatedIndex', 'UserUpdatedIndex']);
  });

  test('check names each difference, and the command that mends it', async () => {
    const { conversations, messages, flags } = ownTables();
    const nothing = await tablesCommand('check', flags);
    assert.equal(nothing.code, 1);
    assert.match(nothing.stdout, new RegExp(`^error: +${conversations}: there is no such table$`, 'm'));
    const command = nothing.stdout.match(/^What is missing is made by: colloquy (.*)$/m)[1].split(' ');
    assert.equal((await runCommand(command, { env: tableEnvironment })).code, 0);
    const well = await tablesCommand('check', flags);
    assert.equal(well.code, 0, well.stdout);
    assert.match(well.stdout, /^warning: .*DescribeContinuousBackups$/m);
    await callTables('PutItem', { TableName: messages, Item: { conversation_id: { S: crypto.randomUUID() }, message_id: { S: crypto.randomUUID() } } });
    const foreign = await tablesCommand('check', flags);
    assert.equal(foreign.code, 1);
    assert.match(foreign.stdout, new RegExp(`^error: +${messages}: .*colloquy migrate`, 'm'));
  });

  test('describe says what the service says, as JSON', async () => {
    const { conversations, messages, flags } = ownTables();
    await made(flags);
    const { code, stdout } = await tablesCommand('describe', flags);
    assert.equal(code, 0);
    const said = JSON.parse(stdout);
    assert.deepEqual(Object.keys(said), [conversations, messages]);
    assert.deepEqual(said[messages].Table, (await callTables('DescribeTable', { TableName: messages })).Table);
    assert.equal(said[messages].TimeToLive.TimeToLiveStatus, 'ENABLED');
  });

  test('what cannot be done is said in a line, with status 1', async () => {
    for (const action of ['create', 'check', 'describe']) {
      const { code, stderr } = await tablesCommand(action, [], { at: 'http://127.0.0.1:1' });
      assert.equal(code, 1, action);
      assert.match(stderr, /^colloquy: The tables cannot be reached right now\. \(DescribeTable: .*refused.*\)\n$/);
    }
    const { flags, messages } = ownTables();
    await callTables('CreateTable', { TableName: messages, BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }], KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }] });
    const { code, stderr } = await tablesCommand('create', flags);
    assert.equal(code, 1);
    assert.match(stderr, /its key is \(id\) and must be \(conversation_id, message_id\), which cannot be changed/);
  });
});

describe('serve --store dynamodb', () => {
  test('without its tables does not start, and says what to run', async (t) => {
    const { flags, conversations, messages } = ownTables();
    const said = await refusal(at(flags));
    assert.match(said, new RegExp(`^  ${conversations}: there is no such table\n  ${messages}: there is no such table$`, 'm'));
    const command = said.match(/^Make them by: colloquy (.*)$/m)[1].split(' ');
    assert.deepEqual(command, ['tables', 'create', ...at(flags)]);
    assert.equal((await runCommand(command, { env: tableEnvironment })).code, 0);
    const server = await startServer({ args: ['--store', 'dynamodb', ...at(flags)], env: tableEnvironment });
    t.after(() => server.close());
    const client = await server.client('alice');
    await client.post('/conversations', {}, { expect: 201 });
  });

  test('refuses tables of another shape, and the rows of the source system', async () => {
    const { flags, messages } = ownTables();
    await made(flags);
    await callTables('PutItem', { TableName: messages, Item: { conversation_id: { S: crypto.randomUUID() }, message_id: { S: crypto.randomUUID() } } });
    assert.match(await refusal(at(flags)), /colloquy migrate[^]*colloquy tables check/);
    await callTables('DeleteTable', { TableName: messages });
    await callTables('CreateTable', { TableName: messages, BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'N' }], KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }] });
    assert.match(await refusal(at(flags)), /its key is \(id\) and must be/);
  });

  test('starts with what it can do without, and logs it', async (t) => {
    const { flags, conversations } = ownTables();
    await made([...flags, '--no-secondary-indexes']);
    await callTables('UpdateTimeToLive', { TableName: conversations, TimeToLiveSpecification: { Enabled: false, AttributeName: 'ttl' } });
    const server = await startServer({ args: ['--store', 'dynamodb', ...at(flags)], env: tableEnvironment });
    t.after(() => server.close());
    const warning = await server.logged(({ event }) => event === 'tables.unusual', 'the tables');
    assert.equal(warning.table, conversations);
    assert.match(warning.detail, /time to live is off/);
  });

  test('refuses a service that is out, or does not answer, within seconds', async () => {
    assert.match(await refusal(['--dynamodb-endpoint', 'http://127.0.0.1:1']), /--store dynamodb at http:\/\/127\.0\.0\.1:1: .*refused/);
    const silent = net.createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const begin = Date.now();
    const said = await refusal(['--dynamodb-endpoint', `http://127.0.0.1:${silent.address().port}`]);
    assert.match(said, /the service does not answer/);
    assert.ok(Date.now() - begin < 30_000);
    silent.close();
  });

  test('refuses without credentials, and says where it has looked', async () => {
    const nothing = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_EC2_METADATA_DISABLED: 'true', HOME: '/nonexistent' };
    assert.match(await refusal(at([]), { env: nothing }), /no AWS credentials were found|Credentials/);
  });

  test('shows what the service counts in the tables', async (t) => {
    const { flags, conversations, messages } = ownTables();
    await made(flags);
    const id = '01890a5d-ac96-774b-bcce-b302099a8057';
    await callTables('PutItem', { TableName: conversations, Item: { user_id: { S: 'alice' }, conversation_id: { S: id } } });
    const server = await startServer({ args: ['--store', 'dynamodb', ...at(flags), '--metrics-emf', '--metrics-emf-interval', '1h'], env: tableEnvironment });
    t.after(() => server.close());
    const metrics = await until(async () => {
      const text = await (await fetch(`${server.adminUrl}/metrics`)).text();
      return text.includes(`_items{table="${messages}"}`) && text;
    }, 'the sizes');
    assert.match(metrics, new RegExp(`colloquy_dynamodb_table_items\\{table="${conversations}"\\} 1\n`));
    assert.match(metrics, new RegExp(`colloquy_dynamodb_table_bytes\\{table="${conversations}"\\} [1-9]`));
    // The item has no time of creation, so that its index has none.
    assert.match(metrics, new RegExp(`colloquy_dynamodb_index_items\\{index="UserCreatedIndex",table="${conversations}"\\} 0\n`));
    assert.match(metrics, new RegExp(`colloquy_dynamodb_index_bytes\\{index="UserCreatedIndex",table="${conversations}"\\} [0-9]+\n`));
    await server.stop();
    const lines = server.stderr.split('\n').filter((text) => text.includes('"_aws"')).map(checkEmfLine);
    const line = lines.find((each) => each.table === conversations && Object.hasOwn(each, 'colloquy_dynamodb_table_items'));
    assert.equal(line.colloquy_dynamodb_table_items, 1);
    assert.ok(line.colloquy_dynamodb_table_bytes > 0);
  });
});
