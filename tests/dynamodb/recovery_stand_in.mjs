// What DynamoDB Local does not have, in front of it, on loopback: point-in-time recovery and tags. A restore really
// makes another table and copies the rows that the table had when the test last said `snapshot`; all else is passed on.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { callTables, endpoint, rowsOf } from './tables.mjs';

const kBatch = 25;
const problem = (type, message) => ({ status: 400, body: JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, message }) });
const result = (body) => ({ status: 200, body: JSON.stringify(body) });

async function copy(rows, table) {
  for (let from = 0; from < rows.length; from += kBatch) {
    let left = { [table]: rows.slice(from, from + kBatch).map((Item) => ({ PutRequest: { Item } })) };
    while (Object.keys(left).length > 0) left = (await callTables('BatchWriteItem', { RequestItems: left })).UnprocessedItems ?? {};
  }
}

class RecoveryStandIn {
  constructor() {
    this.snapshots = [];  // { table, at, rows }
    this.recovery = new Map();  // table: { earliest, latest, days }
    this.restored = new Map();  // table: { sourceArn, at, ready }
    this.tags = new Map();  // ARN: [{ Key, Value }]
    this.calls = [];  // { operation, tables }
    this.ready = true;  // whether what is restored becomes active
    this.refusals = [];  // { operation, type }: the next such call is refused, once for each
    this.gone = [];  // tables that the service has given up
    this.kill = undefined;  // { after, process }: at that call, before it is carried out
    this.server = http.createServer((request, response) => this.#serve(request, response));
  }

  async listen() {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.server.unref();
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }
  async close() {
    this.server.close();
    this.server.closeAllConnections();
  }

  // Recovery is on, and has everything since an hour ago.
  enable(...tables) {
    const earliest = Math.floor(Date.now() / 1000) - 3600;
    for (const table of tables) this.recovery.set(table, { earliest, days: 35 });
  }
  // As of the end of this second, which is over when it returns: the second to restore.
  async snapshot(...tables) {
    const at = Math.floor(Date.now() / 1000) + 1;
    for (const table of tables) this.snapshots.push({ table, at, rows: await rowsOf(table) });
    while (Date.now() <= at * 1000 + 50) await new Promise((resolve) => setTimeout(resolve, 20));
    return at;
  }
  refuse(operation, type, times = 1) {
    for (let i = 0; i < times; ++i) this.refusals.push({ operation, type });
  }
  count(operation) {
    return this.calls.filter((call) => call.operation === operation).length;
  }

  async #serve(request, response) {
    response.on('error', () => {});
    try {
      const parts = [];
      for await (const part of request) parts.push(part);
      const text = Buffer.concat(parts);
      const operation = request.headers['x-amz-target'].split('.')[1];
      const { status, body } = await this.#answer(operation, JSON.parse(text), request, text);
      response.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.0' }).end(body);
    } catch {
      response.socket?.resetAndDestroy();
    }
  }

  async #answer(operation, body, request, text) {
    const tables = body.RequestItems ? Object.keys(body.RequestItems) : [body.TableName ?? body.SourceTableName ?? body.ResourceArn.split('/').at(-1)];
    this.calls.push({ operation, tables, target: body.TargetTableName });
    if (this.kill && this.calls.length === this.kill.at) {
      this.kill.process.kill('SIGKILL');
      throw new Error('it is dead');
    }
    const refused = this.refusals.findIndex((one) => one.operation === operation);
    if (refused >= 0) return problem(this.refusals.splice(refused, 1)[0].type, 'as the test says');
    const own = { DescribeContinuousBackups: 1, UpdateContinuousBackups: 1, RestoreTableToPointInTime: 1, ListTagsOfResource: 1, TagResource: 1 };
    if (own[operation]) return this[operation](body);
    const restored = tables.map((table) => this.restored.get(table)).find(Boolean);
    if (operation === 'DescribeTable' && this.gone.includes(tables[0])) return problem('ResourceNotFoundException', 'no such table');
    if (operation !== 'DescribeTable' && restored && !this.ready) return problem('ResourceNotFoundException', 'not active');
    const answer = await this.#forward(request, text);
    if (operation !== 'DescribeTable' || !restored || answer.status !== 200) return answer;
    const { Table } = JSON.parse(answer.body);
    if (!this.ready) Table.TableStatus = 'CREATING';
    Table.RestoreSummary = { SourceTableArn: restored.sourceArn, RestoreDateTime: restored.at, RestoreInProgress: !this.ready };
    return result({ Table });
  }

  async #forward(request, text) {
    const { host, connection, ...headers } = request.headers;
    delete headers['content-length'];
    const answer = await fetch(endpoint, { method: 'POST', headers, body: text });
    return { status: answer.status, body: Buffer.from(await answer.arrayBuffer()) };
  }

  DescribeContinuousBackups({ TableName }) {
    const on = this.recovery.get(TableName);
    const latest = on?.latest ?? Math.floor(Date.now() / 1000) - 300;
    const PointInTimeRecoveryDescription = on
      ? { PointInTimeRecoveryStatus: 'ENABLED', EarliestRestorableDateTime: on.earliest, LatestRestorableDateTime: latest + 0.5, RecoveryPeriodInDays: on.days }
      : { PointInTimeRecoveryStatus: 'DISABLED' };
    return result({ ContinuousBackupsDescription: { ContinuousBackupsStatus: 'ENABLED', PointInTimeRecoveryDescription } });
  }

  UpdateContinuousBackups({ TableName, PointInTimeRecoverySpecification: { RecoveryPeriodInDays } }) {
    this.recovery.set(TableName, { earliest: Math.floor(Date.now() / 1000), days: RecoveryPeriodInDays ?? 35 });
    return this.DescribeContinuousBackups({ TableName });
  }

  async RestoreTableToPointInTime({ SourceTableName, TargetTableName, RestoreDateTime }) {
    const on = this.recovery.get(SourceTableName);
    if (!on) return problem('PointInTimeRecoveryUnavailableException', 'it is off');
    const latest = on.latest ?? Date.now() / 1000 - 300;
    if (RestoreDateTime < on.earliest || RestoreDateTime > latest) return problem('InvalidRestoreTimeException', 'out of the window');
    if (this.restored.has(TargetTableName)) return problem('TableAlreadyExistsException', 'it is there');
    const then = this.snapshots.findLast(({ table, at }) => table === SourceTableName && at <= RestoreDateTime);
    assert.ok(then, 'the test has no snapshot of that time');
    const { Table } = await callTables('DescribeTable', { TableName: SourceTableName });
    const index = ({ IndexName, KeySchema, Projection }) => ({ IndexName, KeySchema, Projection });
    await callTables('CreateTable', {
      TableName: TargetTableName, BillingMode: 'PAY_PER_REQUEST', KeySchema: Table.KeySchema, AttributeDefinitions: Table.AttributeDefinitions,
      GlobalSecondaryIndexes: Table.GlobalSecondaryIndexes?.map(index) });
    await copy(then.rows, TargetTableName);
    this.restored.set(TargetTableName, { sourceArn: Table.TableArn, at: RestoreDateTime });
    return result({ TableDescription: { TableName: TargetTableName, TableStatus: 'CREATING' } });
  }

  ListTagsOfResource({ ResourceArn, NextToken }) {
    const all = this.tags.get(ResourceArn) ?? [];
    const from = Number(NextToken ?? 0);  // two on a page
    return result({ Tags: all.slice(from, from + 2), ...(from + 2 < all.length ? { NextToken: String(from + 2) } : {}) });
  }
  TagResource({ ResourceArn, Tags }) {
    this.tags.set(ResourceArn, [...(this.tags.get(ResourceArn) ?? []).filter(({ Key }) => !Tags.some((tag) => tag.Key === Key)), ...Tags]);
    return { status: 200, body: '' };
  }
}

export const startRecoveryStandIn = () => new RecoveryStandIn().listen();
