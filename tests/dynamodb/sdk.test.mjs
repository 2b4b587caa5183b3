// Amazon's own SDK reads what the server wrote, and the server what the SDK wrote.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { DynamoDBClient, GetItemCommand, PutItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb';
import { undoAll } from '../e2e/cleanup.mjs';
import { startServer } from '../e2e/server.mjs';
import { createTables, endpoint, tableEnvironment, tableFlags } from './tables.mjs';

const sdk = new DynamoDBClient({ endpoint, region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } });
const undo = [() => sdk.destroy()];
let tables;
let alice;

before(async () => {
  tables = await createTables();
  const server = await startServer({ args: tableFlags(tables), env: tableEnvironment });
  undo.push(() => server.close());
  alice = await server.client('alice');
});
after(() => undoAll(undo));

async function conversationRow(id) {
  const key = { user_id: { S: 'alice' }, conversation_id: { S: id } };
  return (await sdk.send(new GetItemCommand({ TableName: tables.conversations, Key: key, ConsistentRead: true }))).Item;
}
async function rowsUnder(hash) {
  const items = [];
  let start;
  do {
    const page = await sdk.send(new QueryCommand({ TableName: tables.messages, ConsistentRead: true, ExclusiveStartKey: start,
      KeyConditionExpression: 'conversation_id = :hash', ExpressionAttributeValues: { ':hash': { S: hash } } }));
    items.push(...page.Items);
    start = page.LastEvaluatedKey;
  } while (start);
  return items;
}
// The documented attributes of a row, and no others.
const only = (row, names) => Object.fromEntries(names.map((name) => [name, row[name]]));
const kConversation = ['user_id', 'conversation_id', 'title', 'created_at', 'updated_at', 'message_count'];
const kMessage = ['conversation_id', 'message_id', 'role', 'content', 'timestamp', 'user_id'];

test('a conversation and its messages have the documented attributes', async () => {
  const { conversation_id: id } = await alice.createConversation({ title: 'Crème brûlée 🍮' });
  await alice.append(id, 'be brief', { role: 'system' });
  await alice.generate(id, 'Hello\n"world"', { max_tokens: 3 });
  const { conversation, messages } = await alice.conversation(id);
  assert.equal(messages.length, 3);
  const row = await conversationRow(id);
  assert.deepEqual(only(row, kConversation), {
    user_id: { S: 'alice' }, conversation_id: { S: id }, title: { S: 'Crème brûlée 🍮' }, created_at: { N: `${conversation.created_at}` },
    updated_at: { N: `${conversation.updated_at}` }, message_count: { N: '3' } });
  assert.equal(row.ttl, undefined);
  const rows = await rowsUnder(id);
  assert.deepEqual(rows.map((each) => only(each, kMessage)), messages.map((message) => ({
    conversation_id: { S: id }, message_id: { S: message.message_id }, role: { S: message.role },
    content: { S: message.content }, timestamp: { N: `${message.timestamp}` }, user_id: { S: 'alice' } })));
});

test('ttl stands on the rows of a conversation that expires, in seconds', async () => {
  const { conversation_id: id } = await alice.createConversation();
  await alice.patch(`/conversations/${id}`, { ttl_seconds: 3600 }, { expect: 200 });
  await alice.append(id, 'for a while');
  const { conversation } = await alice.conversation(id);
  const row = await conversationRow(id);
  const [message] = await rowsUnder(id);
  assert.ok(Number(message.ttl.N) >= conversation.expires_at, 'no message goes before its conversation has expired');
  assert.ok(Number(row.ttl.N) > Number(message.ttl.N), 'whoever erases the user finds every message by its conversation');
});

test('a message too large for one item stands in parts and comes back whole', async () => {
  const { conversation_id: id } = await alice.createConversation();
  const content = 'äß€😀 text '.repeat(60_000);
  const { message_id: messageId } = await alice.append(id, content);
  const { messages } = await alice.conversation(id);
  assert.equal(messages[0].content, content);
  const [head] = await rowsUnder(id);
  assert.deepEqual(only(head, ['conversation_id', 'message_id', 'role', 'user_id']),
                   { conversation_id: { S: id }, message_id: { S: messageId }, role: { S: 'user' }, user_id: { S: 'alice' } });
  const parts = await rowsUnder(`${id}#${messageId}`);
  assert.ok(parts.length > 1);
  assert.equal(parts.map((part) => part.content.S).join(''), content);
  await alice.delete(`/conversations/${id}/messages/${messageId}`, { expect: 204 });
  assert.deepEqual([await rowsUnder(id), await rowsUnder(`${id}#${messageId}`)], [[], []]);
});

function idOf(timeMs, number) {
  const hex = timeMs.toString(16).padStart(12, '0');
  const rest = createHash('sha256').update(String(number)).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7${rest.slice(0, 3)}-8${rest.slice(3, 6)}-${rest.slice(6, 18)}`;
}

test('rows that the SDK wrote with the documented attributes alone are served', async () => {
  const seconds = 1_760_000_000;
  const id = idOf(seconds * 1000, 'conversation');
  await sdk.send(new PutItemCommand({ TableName: tables.conversations, Item: {
    user_id: { S: 'alice' }, conversation_id: { S: id }, title: { S: 'From elsewhere' }, created_at: { N: `${seconds}` },
    updated_at: { N: `${seconds + 2}` }, message_count: { N: '2' } } }));
  const messages = [['user', 'What is written here?'], ['assistant', 'Nothing yet.']].map(([role, content], i) => ({
    message_id: idOf((seconds + i) * 1000, i), role, content, timestamp: seconds + i }));
  for (const message of messages) {
    await sdk.send(new PutItemCommand({ TableName: tables.messages, Item: {
      conversation_id: { S: id }, message_id: { S: message.message_id }, role: { S: message.role }, content: { S: message.content },
      timestamp: { N: `${message.timestamp}` }, user_id: { S: 'alice' } } }));
  }
  const listed = (await alice.get('/conversations', { query: { limit: 200 }, expect: 200 })).json.find((each) => each.conversation_id === id);
  assert.deepEqual(only(listed, kConversation.slice(1)), { conversation_id: id, title: 'From elsewhere', created_at: seconds,
                                                           updated_at: seconds + 2, message_count: 2 });
  const read = await alice.conversation(id);
  assert.deepEqual(read.messages.map((each) => only(each, ['message_id', 'role', 'content', 'timestamp'])), messages);
  await alice.generate(id, 'And now?', { max_tokens: 3 });
  await alice.patch(`/conversations/${id}`, { title: 'Taken over' }, { expect: 200 });
  const after = await alice.conversation(id);
  assert.equal(after.conversation.message_count, 4);
  assert.equal(after.messages.length, 4);
  assert.equal((await conversationRow(id)).title.S, 'Taken over');
  await alice.delete(`/conversations/${id}`, { expect: 204 });
  assert.equal(await conversationRow(id), undefined);
});
