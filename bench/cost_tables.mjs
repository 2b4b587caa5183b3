// The tables of the measurement, reached past the server: made, filled, and their items weighed.
import { randomBytes } from 'node:crypto';

const kBatch = 25;  // items of one BatchWriteItem

// DynamoDB Local wants a signature and believes any.
const kHeaders = {
  'content-type': 'application/x-amz-json-1.0',
  authorization: 'AWS4-HMAC-SHA256 Credential=local/20240101/us-east-1/dynamodb/aws4_request, ' +
    'SignedHeaders=host, Signature=0',
};

const S = (value) => ({ S: value });
const N = (value) => ({ N: String(value) });

// A UUID of version 7, and the next ones of the same millisecond.
function orderedId(ms, number) {
  const hex = ms.toString(16).padStart(12, '0') + '7000' + '8' + number.toString(16).padStart(3, '0') +
    randomBytes(5).toString('hex') + '00';
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
const successor = (id) => id.slice(0, -2) + '01';
const idBytes = (id) => Buffer.from(id.replaceAll('-', ''), 'hex');

export class Tables {
  constructor(endpoint, { indexes }) {
    const prefix = indexes ? 'indexed' : 'plain';
    Object.assign(this, { endpoint, indexes, conversations: `${prefix}-conversations`, messages: `${prefix}-messages` });
  }

  async call(operation, body) {
    const response = await fetch(this.endpoint, {
      method: 'POST',
      headers: { ...kHeaders, 'x-amz-target': `DynamoDB_20120810.${operation}` },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${operation}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  async create() {
    await this.#createTable(this.conversations, ['user_id', 'conversation_id'],
                            ['UserCreatedIndex', 'user_id', 'created_at']);
    await this.#createTable(this.messages, ['conversation_id', 'message_id'],
                            ['ConversationTimeIndex', 'conversation_id', 'timestamp']);
  }

  async #createTable(name, key, [index, hash, range]) {
    const schema = (names) => names.map((attribute, i) => ({ AttributeName: attribute, KeyType: i ? 'RANGE' : 'HASH' }));
    const types = key.map((attribute) => ({ AttributeName: attribute, AttributeType: 'S' }));
    const body = { TableName: name, BillingMode: 'PAY_PER_REQUEST', KeySchema: schema(key), AttributeDefinitions: types };
    if (this.indexes) {
      types.push({ AttributeName: range, AttributeType: 'N' });
      body.GlobalSecondaryIndexes = [
        { IndexName: index, KeySchema: schema([hash, range]), Projection: { ProjectionType: 'KEYS_ONLY' } }];
    }
    await this.call('CreateTable', body);
    await this.call('UpdateTimeToLive', {
      TableName: name, TimeToLiveSpecification: { AttributeName: 'ttl', Enabled: true } });
  }

  // A conversation as the server would have left it after so many messages, two a turn.
  async seed(user, messages, { promptBytes, answerBytes }) {
    const start = Date.now() - 2 * messages - 1000;
    const conversation = orderedId(start, 0);
    const items = [];
    const change = {};
    for (let at = 0; at < messages; at += 2) {
      const ms = start + 2 * at;
      const timestamp = Math.floor(ms / 1000);
      const prompt = orderedId(ms, 1);
      const common = { conversation_id: S(conversation), user_id: S(user), timestamp: N(timestamp) };
      items.push({
        ...common, message_id: S(prompt), role: S('user'), content: S('x'.repeat(promptBytes)),
        reply_id: S(successor(prompt)), owner: S(conversation), lease_until: N(timestamp + 600) });
      items.push({
        ...common, message_id: S(successor(prompt)), role: S('assistant'), content: S('x'.repeat(answerBytes)),
        finish_reason: S('stop'), model: S('fixed-model'), prompt_tokens: N(250), completion_tokens: N(50) });
      change[`recent_${at / 2 % 8}`] = S(prompt);
    }
    await this.#putAll(this.messages, items);
    await this.call('PutItem', { TableName: this.conversations, Item: {
      user_id: S(user), conversation_id: S(conversation), title: S('What did we say about the weather?'),
      created_at: N(Math.floor(start / 1000)), updated_at: N(Math.floor(Date.now() / 1000)),
      message_count: N(messages), version: N(1 + messages / 2), ...change } });
    return conversation;
  }

  // Gives it `count` branches at its newest message, none of which has a message; the active way is the newest of them
  // or, with `back`, what the conversation began with up to so many messages before the newest.
  async branch(user, id, count, { back } = {}) {
    const rows = await this.newestMessages(id, (back ?? 0) + 1);
    const newest = rows[0].message_id.S;
    const first = orderedId(Date.now(), 0);
    const one = Buffer.concat([Buffer.from([0]), idBytes(newest), idBytes(first)]);
    const branches = Buffer.concat([Buffer.from([1]), ...Array.from({ length: count }, () => one)]);
    const here = back === undefined ? ['active_branch', N(count)] : ['active_up_to', rows[back].message_id];
    const other = back === undefined ? 'active_up_to' : 'active_branch';
    await this.call('UpdateItem', {
      TableName: this.conversations, Key: { user_id: S(user), conversation_id: S(id) },
      UpdateExpression: `SET branches = :b, ${here[0]} = :h REMOVE ${other}`,
      ExpressionAttributeValues: { ':b': { B: branches.toString('base64') }, ':h': here[1] } });
  }

  async #putAll(table, items) {
    for (let at = 0; at < items.length; at += kBatch) {
      const requests = items.slice(at, at + kBatch).map((Item) => ({ PutRequest: { Item } }));
      const { UnprocessedItems: left } = await this.call('BatchWriteItem', { RequestItems: { [table]: requests } });
      if (Object.keys(left ?? {}).length > 0) throw new Error('a batch was not written whole');
    }
  }

  async conversation(user, id) {
    const key = { user_id: S(user), conversation_id: S(id) };
    return (await this.call('GetItem', { TableName: this.conversations, Key: key, ConsistentRead: true })).Item;
  }

  // The newest first.
  async newestMessages(conversation, limit) {
    return (await this.call('Query', {
      TableName: this.messages, KeyConditionExpression: 'conversation_id = :c', ConsistentRead: true, Limit: limit,
      ScanIndexForward: false, ExpressionAttributeValues: { ':c': S(conversation) } })).Items;
  }
}

// What an item weighs by the rules of DynamoDB's manual ("item sizes and formats").
export function itemBytes(item) {
  return Object.entries(item).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + valueBytes(value), 0);
}

function valueBytes(value) {
  const [[type, content]] = Object.entries(value);
  switch (type) {
    case 'S': return Buffer.byteLength(content);
    case 'N': return Math.ceil(content.replace(/^-|\.|0+$/g, '').length / 2) + 1;
    case 'BOOL': return 1;
    case 'B': return Buffer.from(content, 'base64').length;
    case 'M': return 3 + itemBytes(content) + Object.keys(content).length;
    default: throw new Error(`an attribute of the type ${type} is not weighed`);
  }
}
