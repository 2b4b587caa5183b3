// The policies that docs/dynamodb.md gives.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const page = readFileSync(new URL('../../docs/dynamodb.md', import.meta.url), 'utf8');

// The statements of the policy after a sentence of the page.
export function documentedStatements(sentence) {
  const at = page.indexOf(sentence);
  assert.ok(at >= 0, sentence);
  return JSON.parse(page.slice(at).match(/```json\n([^]*?)```/)[1]).Statement;
}

// The same as a set of "action table", with the tables' names put in: { conversations, messages, keys }.
export function documentedPolicy(sentence, tables = {}) {
  return new Set(documentedStatements(sentence).flatMap(({ Action, Resource }) => Action.flatMap((action) => Resource.map((resource) =>
    `${action.replace('dynamodb:', '')} ${resource.match(/table\/(.*)$/)[1].replace(/^(conversations|messages|keys)/, (name) => tables[name] ?? name)}`))));
}
