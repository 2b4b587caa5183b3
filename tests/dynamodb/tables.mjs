// Tables in the DynamoDB Local that COLLOQUY_TEST_DYNAMODB names, and raw calls of it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

export const endpoint = process.env.COLLOQUY_TEST_DYNAMODB;

// DynamoDB Local believes every signature, but wants one.
const kHeaders = {
  'Content-Type': 'application/x-amz-json-1.0',
  Authorization: 'AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0',
};

export async function callTables(operation, body) {
  const response = await fetch(endpoint, { method: 'POST', body: JSON.stringify(body),
    headers: { ...kHeaders, 'X-Amz-Target': `DynamoDB_20120810.${operation}` } });
  const text = await response.text();
  assert.equal(response.status, 200, `${operation}: ${text}`);
  return JSON.parse(text);
}

const keys = (hash, range) => [{ AttributeName: hash, KeyType: 'HASH' }, { AttributeName: range, KeyType: 'RANGE' }];

async function createTable(name, hash, range, index, numbered) {
  const typed = (attribute, type) => ({ AttributeName: attribute, AttributeType: type });
  await callTables('CreateTable', {
    TableName: name, BillingMode: 'PAY_PER_REQUEST', KeySchema: keys(hash, range),
    AttributeDefinitions: [typed(hash, 'S'), typed(range, 'S'), typed(numbered, 'N')],
    GlobalSecondaryIndexes: [{ IndexName: index, KeySchema: keys(hash, numbered), Projection: { ProjectionType: 'KEYS_ONLY' } }],
  });
  await callTables('UpdateTimeToLive', { TableName: name, TimeToLiveSpecification: { AttributeName: 'ttl', Enabled: true } });
}

// Both tables, as the wire contract describes them, under names of their own: { conversations, messages }.
export async function createTables() {
  const name = randomUUID();
  const names = { conversations: `${name}-conversations`, messages: `${name}-messages` };
  await createTable(names.conversations, 'user_id', 'conversation_id', 'UserCreatedIndex', 'created_at');
  await createTable(names.messages, 'conversation_id', 'message_id', 'ConversationTimeIndex', 'timestamp');
  return names;
}

// What makes a server keep its conversations there: flags and environment.
export const tableFlags = (names, url = endpoint) => [
  '--store', 'dynamodb', '--dynamodb-endpoint', url,
  '--dynamodb-conversations-table', names.conversations, '--dynamodb-messages-table', names.messages,
];
export const tableEnvironment = { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local', AWS_REGION: 'us-east-1' };

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
