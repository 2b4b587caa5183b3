// Python's moto, which stands in for AWS, on a loopback port of its own; and calls of it without Terraform's help.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { until } from '../e2e/wait.mjs';
import { kRegion, python } from './tools.mjs';

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export async function startMoto(environment = {}) {
  const port = await freePort();
  const child = spawn(python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], {
    stdio: 'ignore', env: { ...process.env, ...environment } });
  running.add(child);
  const ended = once(child, 'exit').then(() => running.delete(child));
  const url = `http://127.0.0.1:${port}`;
  await until(async () => fetch(`${url}/moto-api/data.json`).then(({ ok }) => ok, () => false), 'moto');
  return { url, stop: async () => { child.kill('SIGKILL'); await ended; } };
}

const kSignature = `AWS4-HMAC-SHA256 Credential=offline/20260101/${kRegion}/dynamodb/aws4_request, SignedHeaders=host, Signature=0`;

export async function callDynamoDb(url, operation, body) {
  const response = await fetch(url, {
    method: 'POST', body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/x-amz-json-1.0', 'X-Amz-Target': `DynamoDB_20120810.${operation}`, Authorization: kSignature } });
  const answer = await response.json();
  assert.equal(response.status, 200, `${operation}: ${JSON.stringify(answer)}`);
  return answer;
}

// All that makes a table what it is, in an order of its own: two that are alike are equal.
export async function describeTable(url, name) {
  const { Table: table } = await callDynamoDb(url, 'DescribeTable', { TableName: name });
  const { TimeToLiveDescription: ttl } = await callDynamoDb(url, 'DescribeTimeToLive', { TableName: name });
  const { ContinuousBackupsDescription: backups } = await callDynamoDb(url, 'DescribeContinuousBackups', { TableName: name });
  const byName = (key) => (a, b) => a[key].localeCompare(b[key]);
  return {
    schema: {
      KeySchema: table.KeySchema,
      AttributeDefinitions: [...table.AttributeDefinitions].sort(byName('AttributeName')),
      GlobalSecondaryIndexes: (table.GlobalSecondaryIndexes ?? []).map(({ IndexName, KeySchema, Projection }) => (
        { IndexName, KeySchema, Projection: { ProjectionType: Projection.ProjectionType } })).sort(byName('IndexName')),
      LocalSecondaryIndexes: table.LocalSecondaryIndexes ?? [],
      billing: table.BillingModeSummary?.BillingMode,
      stream: table.StreamSpecification?.StreamEnabled ?? false,
      ttl: ttl.TimeToLiveStatus === 'ENABLED' ? ttl.AttributeName : null,
    },
    recovery: backups.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus,
    encryption: { status: table.SSEDescription?.Status, type: table.SSEDescription?.SSEType, key: table.SSEDescription?.KMSMasterKeyArn },
    deletionProtection: table.DeletionProtectionEnabled,
    id: table.TableId,
  };
}
