// The DynamoDB Local that with_local.sh has started for this test, spoken to without the program's help.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { runCommand } from '../e2e/server.mjs';

export const endpoint = process.env.COLLOQUY_TEST_DYNAMODB;
assert.ok(endpoint, 'run it by tests/dynamodb/with_local.sh');

export const credentials = { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local', AWS_REGION: 'us-east-1' };

// DynamoDB Local wants to see a signature, and does not look at it.
const kSignature = 'AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0';

export async function dynamodb(operation, body) {
  const response = await fetch(endpoint, {
    method: 'POST', body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/x-amz-json-1.0', 'X-Amz-Target': `DynamoDB_20120810.${operation}`, Authorization: kSignature },
  });
  const answer = await response.json();
  assert.equal(response.status, 200, `${operation}: ${JSON.stringify(answer)}`);
  return answer;
}

// Two tables of a test's own: their names, and the flags that say so.
export function ownTables() {
  const id = randomUUID().slice(0, 8);
  const names = { conversations: `conversations-${id}`, messages: `messages-${id}` };
  const flags = ['--dynamodb-conversations-table', names.conversations, '--dynamodb-messages-table', names.messages];
  return { ...names, flags };
}

export function tablesCommand(action, flags = [], { at = endpoint, env = {} } = {}) {
  return runCommand(['tables', action, '--dynamodb-endpoint', at, ...flags], { env: { ...credentials, ...env } });
}
