// Checks deploy/terraform as far as this machine can, and that each checker catches the deliberate mistakes of
// mutations.mjs. Prints what was skipped. Ends with status 1 for any complaint.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkMust, checkNames, checkSchema, parsedFolders } from './hcl.mjs';
import { kMutations } from './mutations.mjs';
import { checkPlans } from './plan.mjs';
import { skipped } from '../skipped.mjs';
import { copyOf, deployFolder, kPlanned, kProviderVersion, kRoot, missingTools, missingToApply, plugins, readyCopy, startProvider, terraform, unwrapped } from './tools.mjs';

const schema = JSON.parse(readFileSync(new URL('schema.json', import.meta.url)));
const complaints = [];
const started = Date.now();
const say = (text) => console.log(`${((Date.now() - started) / 1000).toFixed(0).padStart(4)} s  ${text}`);

// Each checker: the complaints about a tree, which is its own to change.
const checkers = {
  parser: async (folder) => {
    let folders;
    try {
      folders = await parsedFolders(folder);
    } catch (error) {
      return [String(error.message ?? error)];
    }
    return [...checkSchema(folders, schema), ...checkNames(folders, folder), ...checkMust(folders)];
  },
  format: async (folder) => {
    const { code, stdout, stderr } = await terraform(['fmt', '-check', '-recursive', '-diff', '-no-color'], { cwd: folder });
    return code === 0 ? [] : [`terraform fmt: ${stdout}${stderr}`];
  },
  validate: async (folder) => {
    const { code, stdout, stderr } = await terraform(['validate', '-no-color'], { cwd: join(folder, 'examples', kRoot) });
    return code === 0 ? [] : [`terraform validate: ${unwrapped(stdout + stderr)}`];
  },
};

function mutate(folder, { file, from, to }) {
  const path = join(folder, file);
  const before = readFileSync(path, 'utf8');
  const after = before.replace(from, to);
  if (after === before) throw new Error(`a mistake cannot be made: ${file} has no ${from}`);
  writeFileSync(path, after);
}

// Several mistakes at once where the checker goes on after the first: one run of Terraform finds them all.
async function expectCaught(checker, mutations, tree) {
  const folder = copyOf(tree);
  mutations.forEach((mutation) => mutate(folder, mutation));
  expectSaid(mutations, (await checkers[checker](folder)).join('\n'));
}

function expectSaid(mutations, said) {
  for (const { checker, name, expect } of mutations) {
    if (!expect.test(said)) complaints.push(`the checker ${checker} does not catch: ${name}\n  it says: ${said.slice(0, 3000)}`);
  }
}

// The schema that stands in for the provider is what the provider says.
async function checkSchemaFile(folder) {
  const { stdout } = await terraform(['providers', 'schema', '-json'], { cwd: join(folder, 'examples', kRoot) });
  const { resource_schemas: resources, data_source_schemas: data } = Object.values(JSON.parse(stdout).provider_schemas)[0];
  const compare = (where, ours, block) => {
    const theirs = new Map([
      ...Object.entries(block.attributes ?? {}).filter(([, one]) => one.required || one.optional).map(([name, one]) => [name, { required: one.required, nested: one.nested_type }]),
      ...Object.entries(block.block_types ?? {}).map(([name, one]) => [name, { required: one.min_items > 0, nested: one.block }])]);
    for (const name of new Set([...theirs.keys(), ...Object.keys(ours)])) {
      const they = theirs.get(name);
      const we = ours[name];
      if (!they || !we) complaints.push(`schema.json: ${where}.${name} is ${we ? 'only there' : 'missing'}`);
      else if (Boolean(they.required) !== Boolean(we.required)) complaints.push(`schema.json: ${where}.${name} is ${they.required ? 'required' : 'optional'}`);
      else if (they.nested?.attributes && we.block) compare(`${where}.${name}`, we.block, they.nested);
    }
  };
  for (const [kind, shape] of Object.entries(schema.kinds)) {
    compare(kind, shape, (kind.startsWith('data.') ? data[kind.slice(5)] : resources[kind]).block);
  }
}

async function main() {
  const of = (checker) => kMutations.filter((mutation) => mutation.checker === checker);
  complaints.push(...await checkers.parser(deployFolder));
  for (const mutation of of('parser')) await expectCaught('parser', [mutation], deployFolder);
  say(`parsed, held to the schema of the provider ${schema.provider}; ${of('parser').length} mistakes tried`);

  if (!skipped('terraform fmt, init, validate and plan; held to the parser and schema.json alone', missingTools())) {
    if (schema.provider !== kProviderVersion) complaints.push(`schema.json is of the provider's version ${schema.provider}`);
    complaints.push(...await checkers.format(deployFolder));
    await expectCaught('format', of('format'), deployFolder);
    const ready = await readyCopy((folder) => of('plan').forEach((mutation) => mutate(folder, mutation)));
    say(`terraform fmt and init, with the provider in ${plugins}`);
    await startProvider();
    await expectCaught('validate', of('validate'), ready);
    await checkSchemaFile(ready);
    say(`terraform validate; schema.json is the provider's; ${of('validate').length} mistakes tried`);
    // A plan is validated first, so what is not mistaken is so too.
    const { complaints: planned, mistaken } = await checkPlans(ready).catch((error) => ({ complaints: [unwrapped(error.message)], mistaken: [] }));
    complaints.push(...planned);
    expectSaid(of('plan'), mistaken.join('\n'));
    say(`terraform plan, offline: ${kPlanned.map(({ name }) => name).join(', ')}; ${of('plan').length} mistakes tried`);
  }
  skipped('terraform apply, and the server on the tables that it makes (ctest terraform_apply)', missingToApply());
  complaints.forEach((text) => console.log(text));
  process.exit(complaints.length === 0 ? 0 : 1);
}

await main();
