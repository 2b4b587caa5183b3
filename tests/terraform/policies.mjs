// The policies that Terraform made, and those of docs/dynamodb.md.
import { documentedPolicy } from '../dynamodb/policies.mjs';
import { readState } from './tools.mjs';

const list = (value) => (Array.isArray(value) ? value : [value]);

// What a policy of modules/iam allows by itself, as "action resource": not what DynamoDB may do with the tables' key on its behalf.
export function madePolicy(folder, name) {
  const made = readState(folder).resources.find((one) => one.module === 'module.iam' && one.type === 'aws_iam_policy' && one.name === name);
  return JSON.parse(made.instances[0].attributes.policy).Statement.filter(({ Condition }) => !Condition?.StringEquals?.['kms:ViaService'])
    .flatMap(({ Action, Resource }) => list(Action).flatMap((action) => list(Resource).map((resource) => `${action} ${resource}`)));
}

// The same as a guard takes it: "action table" and "kms:action key".
export const asGuarded = (policy) => new Set(policy.map((use) => use.replace(/^dynamodb:(\w+) arn:aws:dynamodb:[^:]*:\d*:table\//, '$1 ')));

// What each policy has to be by the page, with tables of these names; in the order of sets.
export function neededPolicies(tables, { updatedIndex, keyring }) {
  const of = (sentence) => [...documentedPolicy(sentence, tables)];
  const on = (uses, table) => uses.filter((use) => use.endsWith(` ${tables[table]}`));
  const check = of('What `colloquy tables` needs').filter((use) => /^(Describe|Scan )/.test(use));
  const onKeys = ['DescribeTable', 'DescribeTimeToLive'].map((action) => `${action} ${tables.keys}`);
  const rotate = on(of('What `colloquy keys create-table`'), 'keys').filter((use) => !use.startsWith('CreateTable '));
  const restored = (use) => use.replace(/ (\S+)-restored$/, ' restored*$1');
  return {
    serve: new Set([...of('What `colloquy serve` needs'), ...(updatedIndex ? of('With `UserUpdatedIndex`') : []), ...(keyring ? of('With `--encryption`') : [])]),
    operate: new Set([...check, ...of('to move into the tables'), ...of('to move out of them'), ...(keyring ? [...onKeys, ...rotate] : [])]),
    restore: new Set(of('What `colloquy restore --store dynamodb` needs').map(restored)),
  };
}
