// Tables in the DynamoDB Local that with_local.sh has started for this test, and calls of it without the program's help.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../e2e/server.mjs';

export const endpoint = process.env.COLLOQUY_TEST_DYNAMODB;
assert.ok(endpoint, 'run it by tests/dynamodb/with_local.sh');

export const tableEnvironment = { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local', AWS_REGION: 'us-east-1' };

// DynamoDB Local wants to see a signature, and does not look at it.
const kSignature = 'AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0';

export async function callTables(operation, body) {
  const response = await fetch(endpoint, {
    method: 'POST', body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/x-amz-json-1.0', 'X-Amz-Target': `DynamoDB_20120810.${operation}`, Authorization: kSignature },
  });
  const answer = await response.json();
  assert.equal(response.status, 200, `${operation}: ${JSON.stringify(answer)}`);
  return answer;
}

// The names of two tables of a test's own, and the flags that say so: { conversations, messages, flags }.
export function ownTables() {
  const id = randomUUID();
  const names = { conversations: `${id}-conversations`, messages: `${id}-messages` };
  const flags = ['--dynamodb-conversations-table', names.conversations, '--dynamodb-messages-table', names.messages];
  return { ...names, flags };
}

export function tablesCommand(action, flags = [], { at = endpoint, env = {} } = {}) {
  return runCommand(['tables', action, '--dynamodb-endpoint', at, ...flags], { env: { ...tableEnvironment, ...env } });
}

// Tables of shapes that another has made (COLLOQUY_TEST_TABLE_SHAPES: a file with what DescribeTable says of each),
// instead of those of `colloquy tables create`.
async function createShapes(tables, shapes) {
  for (const name of ['conversations', 'messages']) {
    const { AttributeDefinitions, KeySchema, GlobalSecondaryIndexes, ttl } = shapes[name];
    await callTables('CreateTable', {
      TableName: tables[name], BillingMode: 'PAY_PER_REQUEST', AttributeDefinitions, KeySchema,
      GlobalSecondaryIndexes: GlobalSecondaryIndexes.map(({ IndexName, KeySchema: key, Projection }) => ({ IndexName, KeySchema: key, Projection })) });
    await callTables('UpdateTimeToLive', { TableName: tables[name], TimeToLiveSpecification: { Enabled: true, AttributeName: ttl } });
  }
}

// Such tables, made.
export async function createTables(...options) {
  const tables = ownTables();
  const shapes = process.env.COLLOQUY_TEST_TABLE_SHAPES;
  if (shapes && options.length === 0) {
    await createShapes(tables, JSON.parse(readFileSync(shapes, 'utf8')));
    return tables;
  }
  const { code, stderr } = await tablesCommand('create', [...tables.flags, ...options]);
  assert.equal(code, 0, stderr);
  return tables;
}

// What makes a server keep its conversations there: through the guard of guarded.mjs, where there is one.
export const tableFlags = ({ flags }, url = process.env.COLLOQUY_TEST_DYNAMODB_GUARD ?? endpoint) => ['--store', 'dynamodb', '--dynamodb-endpoint', url, ...flags];

// Flags of servers that encrypt, with a master key in `folder` and a table of keys of their own.
export async function encryptionFlags(folder) {
  const file = join(folder, 'master.key');
  writeFileSync(file, (await runCommand(['keys', 'create'])).stdout, { mode: 0o600 });
  return ['--encryption', 'file', '--master-key-file', file, '--dynamodb-keys-table', await createKeysTable()];
}

// The name of a table for keys, made.
export async function createKeysTable() {
  const table = `${randomUUID()}-keys`;
  const made = await runCommand(['keys', 'create-table', '--dynamodb-keys-table', table, '--dynamodb-endpoint', endpoint],
                                { env: tableEnvironment });
  assert.equal(made.code, 0, made.stderr);
  return table;
}

// All that stands in a table, as the service keeps it.
export async function rowsOf(table) {
  const rows = [];
  let start;
  do {
    const page = await callTables('Scan', { TableName: table, ConsistentRead: true, ExclusiveStartKey: start });
    rows.push(...page.Items);
    start = page.LastEvaluatedKey;
  } while (start);
  return rows;
}

// How many rows stand under a hash key of the table of messages.
export async function countRows(table, hash) {
  let count = 0;
  let start;
  do {
    const page = await callTables('Query', {
      TableName: table, Select: 'COUNT', ConsistentRead: true, ExclusiveStartKey: start,
      KeyConditionExpression: 'conversation_id = :hash', ExpressionAttributeValues: { ':hash': { S: hash } } });
    count += page.Count;
    start = page.LastEvaluatedKey;
  } while (start);
  return count;
}

// Whether any stands there.
export async function hasRows(table, hash) {
  const { Count } = await callTables('Query', {
    TableName: table, Select: 'COUNT', ConsistentRead: true, Limit: 1,
    KeyConditionExpression: 'conversation_id = :hash', ExpressionAttributeValues: { ':hash': { S: hash } } });
  return Count > 0;
}

// Puts messages of an hour ago into a conversation, past the server: its count does not know them.
export async function addMessages(tables, user, conversation, count) {
  const made = Date.now() - 3_600_000;
  const row = (i) => ({ PutRequest: { Item: {
    conversation_id: { S: conversation }, message_id: { S: orderedId(made, i) }, user_id: { S: user },
    role: { S: 'user' }, content: { S: `message ${i}` }, timestamp: { N: String(Math.floor(made / 1000)) } } } });
  let next = 0;
  const writers = Array.from({ length: 16 }, async () => {
    while (next < count) {
      const from = next;
      next = Math.min(count, from + 25);
      const rows = Array.from({ length: next - from }, (_, i) => row(from + i));
      await callTables('BatchWriteItem', { RequestItems: { [tables.messages]: rows } });
    }
  });
  await Promise.all(writers);
}

// A UUID of version 7; of the same millisecond the one with the lower number comes first.
function orderedId(milliseconds, number) {
  const time = milliseconds.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${number.toString(16).padStart(12, '0')}`;
}
