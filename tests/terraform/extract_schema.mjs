// Writes schema.json anew: which arguments the resources and data sources of deploy/terraform take, which of them
// they need, and which are blocks, from the types of the npm package @cdktf/provider-aws. To be run by hand when a new kind
// of resource is used or the provider's version changes: node terraform/extract_schema.mjs (in tests/).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parsedFolders } from './hcl.mjs';
import { deployFolder } from './tools.mjs';

const kPackage = '@cdktf/provider-aws';
const kPackageVersion = '20.1.0';
export const kProviderVersion = '5.100.0';

// "aws_dynamodb_table" and "data.aws_lb", as used.
async function kindsInUse() {
  const kinds = new Set();
  for (const { files } of await parsedFolders(deployFolder)) {
    for (const { json } of files) {
      for (const kind of Object.keys(json.resource ?? {})) kinds.add(kind);
      for (const kind of Object.keys(json.data ?? {})) kinds.add(`data.${kind}`);
    }
  }
  return [...kinds].sort();
}

// Where the package keeps a kind: "lib/dynamodb-table", "lib/data-aws-lb".
function moduleOf(kind) {
  const name = kind.replace(/^(data\.)?aws_/, '').replaceAll('_', '-');
  return kind.startsWith('data.') ? `data-aws-${name}` : name;
}

function interfacesOf(text) {
  const found = new Map();
  for (const [, name, body] of text.matchAll(/^export interface (\w+)(?: extends [\w.]+)? \{\n([^]*?)^\}/gm)) {
    const members = [];
    for (const [, anchor, optional, type] of body.matchAll(/#(\w+) [^]*?\*\/\n\s+readonly \w+(\??): ([^;]+);/g)) {
      members.push({ name: anchor, required: optional === '', type });
    }
    found.set(name, members);
  }
  return found;
}

function shapeOf(interfaces, name) {
  const shape = {};
  for (const { name: argument, required, type } of interfaces.get(name)) {
    const nested = [...interfaces.keys()].find((other) => new RegExp(`^${other}(\\[\\])?( \\||$)`).test(type));
    shape[argument] = { ...(required ? { required } : {}), ...(nested ? { block: shapeOf(interfaces, nested) } : {}) };
  }
  return shape;
}

const kinds = await kindsInUse();
const folder = mkdtempSync(join(tmpdir(), 'colloquy-schema-'));
try {
  execFileSync('npm', ['pack', '--silent', `${kPackage}@${kPackageVersion}`], { cwd: folder });
  const archive = `${kPackage.slice(1).replace('/', '-')}-${kPackageVersion}.tgz`;
  const types = kinds.map((kind) => `package/lib/${moduleOf(kind)}/index.d.ts`);
  execFileSync('tar', ['-xzf', archive, 'package/README.md', ...types], { cwd: folder });
  if (!readFileSync(join(folder, 'package/README.md'), 'utf8').includes(`provider version ${kProviderVersion}\n`)) {
    throw new Error(`${kPackage} ${kPackageVersion} is not of the provider's version ${kProviderVersion}`);
  }
  const schema = {};
  kinds.forEach((kind, i) => {
    const interfaces = interfacesOf(readFileSync(join(folder, types[i]), 'utf8'));
    const config = [...interfaces.keys()].find((name) => name.endsWith('Config') && ![...interfaces.keys()].some(
      (other) => other.endsWith('Config') && other.length < name.length));
    schema[kind] = shapeOf(interfaces, config);
  });
  writeFileSync(new URL('schema.json', import.meta.url), `${JSON.stringify({ provider: kProviderVersion, kinds: schema }, null, 1)}\n`);
  console.log(`${kinds.length} kinds`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
