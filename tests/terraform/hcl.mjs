// Reads Terraform with the real parser (npm @cdktf/hcl2json), where Terraform itself is not there too, and holds the tree to
// the provider's schema: every argument is one that the resource takes, and none that it needs is missing; every
// variable, local value, module and output that is named is there.
import { parse } from '@cdktf/hcl2json';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

// Of every resource; a nested block may have arguments of these names.
const kMeta = new Set(['count', 'for_each', 'provider', 'depends_on', 'lifecycle']);

function terraformFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith('.')).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return terraformFiles(path);
    return entry.name.endsWith('.tf') && !entry.name.endsWith('_override.tf') ? [path] : [];
  }).sort();
}

// Parsing is slow, and a mistake is in one file.
const parsed = new Map();
async function parseOnce(path, text) {
  const key = `${path}\n${text}`;
  if (!parsed.has(key)) parsed.set(key, await parse(path, text));
  return parsed.get(key);
}

// Each folder with its files, parsed: [{ folder, files: [{ path, text, json }] }]. Throws what the parser says.
export async function parsedFolders(root) {
  const folders = new Map();
  for (const path of terraformFiles(root)) {
    const text = readFileSync(path, 'utf8');
    const folder = dirname(path);
    if (!folders.has(folder)) folders.set(folder, []);
    folders.get(folder).push({ path: relative(root, path), text, json: await parseOnce(relative(root, path), text) });
  }
  return [...folders].map(([folder, files]) => ({ folder, files }));
}

function checkBlock(where, block, shape, complain, meta = new Set()) {
  const given = new Map(Object.entries(block).filter(([name]) => name !== 'dynamic' && !meta.has(name)));
  for (const [name, [dynamic]] of Object.entries(block.dynamic ?? {})) given.set(name, dynamic.content);
  for (const [name, value] of given) {
    const argument = shape[name];
    if (!argument) complain(`${where}: there is no argument ${name}`);
    else if (argument.block && Array.isArray(value)) {
      for (const inner of value) if (typeof inner === 'object') checkBlock(`${where}.${name}`, inner, argument.block, complain);
    } else if (argument.block && typeof value !== 'string') complain(`${where}: ${name} is a block`);
  }
  for (const [name, { required }] of Object.entries(shape)) {
    if (required && !given.has(name)) complain(`${where}: ${name} is missing`);
  }
}

export function checkSchema(folders, schema) {
  const complaints = [];
  for (const { files } of folders) {
    for (const { path, json } of files) {
      for (const [group, prefix] of [[json.resource, ''], [json.data, 'data.']]) {
        for (const [kind, named] of Object.entries(group ?? {})) {
          const shape = schema.kinds[prefix + kind];
          for (const [name, [block]] of Object.entries(named)) {
            const where = `${path}: ${prefix}${kind}.${name}`;
            if (!shape) complaints.push(`${where}: schema.json does not know ${prefix}${kind}; run extract_schema.mjs`);
            else checkBlock(where, block, shape, (text) => complaints.push(text), kMeta);
          }
        }
      }
    }
  }
  return complaints;
}

// What is declared in a folder, and what its text names.
function declarations({ files }) {
  const all = { variables: new Map(), locals: new Set(), modules: new Map(), outputs: new Set(), resources: new Set(), text: '' };
  for (const { json, text } of files) {
    for (const [name, [block]] of Object.entries(json.variable ?? {})) all.variables.set(name, block);
    for (const block of json.locals ?? []) Object.keys(block).forEach((name) => all.locals.add(name));
    for (const [name, [block]] of Object.entries(json.module ?? {})) all.modules.set(name, block);
    for (const name of Object.keys(json.output ?? {})) all.outputs.add(name);
    for (const [kind, named] of Object.entries(json.resource ?? {})) Object.keys(named).forEach((name) => all.resources.add(`${kind}.${name}`));
    for (const [kind, named] of Object.entries(json.data ?? {})) Object.keys(named).forEach((name) => all.resources.add(`data.${kind}.${name}`));
    all.text += text.replace(/^\s*#.*$/gm, '').replace(/\b(description|alarm_description|markdown|error_message|Sid|sid)\s*=\s*"[^"\n]*"/g, '');
  }
  return all;
}

export function checkNames(folders, root) {
  const complaints = [];
  const known = new Map(folders.map((one) => [one.folder, declarations(one)]));
  for (const [folder, { variables, locals, modules, resources, text }] of known) {
    const where = relative(root, folder);
    const complain = (what) => complaints.push(`${where}: ${what}`);
    const named = (pattern) => new Set([...text.matchAll(pattern)].map(([, name]) => name));
    for (const name of named(/\bvar\.(\w+)/g)) if (!variables.has(name)) complain(`there is no variable ${name}`);
    for (const name of variables.keys()) if (!new RegExp(`\\bvar\\.${name}\\b`).test(text)) complain(`the variable ${name} is never used`);
    for (const name of named(/\blocal\.(\w+)/g)) if (!locals.has(name)) complain(`there is no local ${name}`);
    for (const name of named(/((?:\bdata\.)?\baws_\w+\.\w+)\b/g)) if (!resources.has(name)) complain(`there is no ${name}`);
    for (const [name, block] of modules) {
      const target = known.get(join(folder, block.source));
      if (!target) { complain(`module ${name}: there is no ${block.source}`); continue; }
      const given = Object.keys(block).filter((argument) => !['source', 'count', 'for_each', 'depends_on', 'providers'].includes(argument));
      for (const argument of given) if (!target.variables.has(argument)) complain(`module ${name} has no variable ${argument}`);
      for (const [argument, { default: usual }] of target.variables) {
        if (usual === undefined && !given.includes(argument)) complain(`module ${name} needs ${argument}`);
      }
      for (const output of named(new RegExp(`\\bmodule\\.${name}(?:\\[[^\\]]*\\])?\\.(\\w+)`, 'g'))) {
        if (!target.outputs.has(output)) complain(`module ${name} has no output ${output}`);
      }
    }
    for (const name of named(/\bmodule\.(\w+)/g)) if (!modules.has(name)) complain(`there is no module ${name}`);
  }
  return complaints;
}

// What nobody would notice before it is applied, or after: [file, path through the parsed tree, value].
const kMust = [
  ['modules/cluster/nodes.tf', 'resource.aws_launch_template.node.0.block_device_mappings.0.ebs.0.volume_type', 'gp3'],
  ['modules/cluster/nodes.tf', 'resource.aws_launch_template.node.0.block_device_mappings.0.ebs.0.encrypted', true],
  ['modules/cluster/nodes.tf', 'resource.aws_launch_template.node.0.metadata_options.0.http_tokens', 'required'],
  ['modules/cluster/addons.tf', 'resource.aws_eks_addon.ebs_csi.0.addon_name', 'aws-ebs-csi-driver'],
  ['modules/key/main.tf', 'resource.aws_kms_key.this.0.enable_key_rotation', true],
  ['modules/registry/main.tf', 'resource.aws_ecr_repository.this.0.image_tag_mutability', 'IMMUTABLE'],
  ['modules/tables/main.tf', 'resource.aws_dynamodb_table.keys.0.point_in_time_recovery.0.enabled', false],
  ...['main.tf on_demand PAY_PER_REQUEST', 'provisioned.tf provisioned PROVISIONED'].flatMap((words) => {
    const [file, name, billing] = words.split(' ');
    const table = `resource.aws_dynamodb_table.${name}.0`;
    return [
      ['billing_mode', billing], ['deletion_protection_enabled', '${var.deletion_protection}'], ['ttl.0.attribute_name', 'ttl'],
      ['ttl.0.enabled', true], ['point_in_time_recovery.0.enabled', true], ['server_side_encryption.0.enabled', true],
      ['server_side_encryption.0.kms_key_arn', '${var.kms_key_arn}'],
      ['dynamic.global_secondary_index.0.content.0.projection_type', 'KEYS_ONLY'],
    ].map(([path, value]) => [`modules/tables/${file}`, `${table}.${path}`, value]);
  }),
];

export function checkMust(folders) {
  const files = new Map(folders.flatMap(({ files: all }) => all.map(({ path, json }) => [path, json])));
  return kMust.flatMap(([file, path, value]) => {
    const found = path.split('.').reduce((at, step) => at?.[step], files.get(file));
    return found === value ? [] : [`${file}: ${path.replace(/^resource\.|\.0(?=\.|$)/g, '')} is ${JSON.stringify(found)} and must be ${JSON.stringify(value)}`];
  });
}
