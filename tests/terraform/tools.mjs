// Finds Terraform, its provider and moto, and runs them. What is not there is skipped.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../e2e/wait.mjs';

export const deployFolder = fileURLToPath(new URL('../../deploy/terraform', import.meta.url));
export const kProviderVersion = '5.100.0';
export const kRegion = 'us-east-1';

function canRun(command, args) {
  try {
    execFileSync(command, args, { stdio: ['ignore', 'pipe', 'ignore'], env: terraformEnvironment() });
    return true;
  } catch {
    return false;
  }
}

// Nothing of the machine's own settings of Terraform and AWS. They run for seconds, and collecting garbage would be a fifth of it.
function terraformEnvironment() {
  const kept = Object.entries(process.env).filter(([name]) => !/^(TF_|AWS_)/.test(name));
  return { ...Object.fromEntries(kept), CHECKPOINT_DISABLE: '1', GOGC: '400', TF_IN_AUTOMATION: '1', TF_CLI_CONFIG_FILE: '/dev/null' };
}

// The folder that `init -plugin-dir` takes: the one that COLLOQUY_TERRAFORM_PLUGINS names, or that has the provider
// among the usual places of file system mirrors and the folders under /opt.
function findPlugins() {
  const named = process.env.COLLOQUY_TERRAFORM_PLUGINS;
  const optional = existsSync('/opt') ? readdirSync('/opt').map((name) => join('/opt', name)) : [];
  const places = named ? [named] : [
    join(homedir(), '.terraform.d/plugins'), join(homedir(), '.local/share/terraform/plugins'),
    '/usr/local/share/terraform/plugins', '/usr/share/terraform/plugins', ...optional];
  for (const place of places) {
    let hosts = [];
    try { hosts = readdirSync(place); } catch { continue; }
    if (hosts.some((host) => existsSync(join(place, host, 'hashicorp', 'aws', kProviderVersion)))) return place;
  }
  return undefined;
}

export const plugins = findPlugins();
export const hasTerraform = canRun('terraform', ['version']);
export const python = process.env.PYTHON ?? 'python3';

// What is not here, a line each.
export function missingTools() {
  const missing = [];
  if (!hasTerraform) missing.push('terraform is not on this machine');
  if (!plugins) missing.push(`the AWS provider ${kProviderVersion} is in no plugin folder (COLLOQUY_TERRAFORM_PLUGINS names one)`);
  return missing;
}

// The same with what `apply` needs beside it.
export function missingToApply() {
  const hasMoto = canRun(python, ['-c', 'import moto.server, flask']);
  return [...missingTools(), ...(hasMoto ? [] : ["Python's moto is not on this machine"])];
}

// Terraform starts its provider anew several times in every run, which takes most of its time; a provider that runs already is
// taken as it is. It has one configuration, so programs with another one start their own.
let attached = {};
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));  // takes what runs along
export async function startProvider() {
  const hosts = readdirSync(plugins).map((host) => join(plugins, host, 'hashicorp/aws', kProviderVersion)).filter(existsSync);
  const files = readdirSync(hosts[0], { recursive: true }).filter((name) => /terraform-provider-aws_[^/]*$/.test(name) && !name.endsWith('.zip'));
  if (files.length !== 1) return;  // packed: Terraform unpacks it
  const child = spawn(join(hosts[0], files[0]), ['-debug'], { stdio: ['ignore', 'pipe', 'ignore'], env: terraformEnvironment() });
  process.on('exit', () => child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (data) => { said += data; });
  const reattach = await until(() => {
    if (child.exitCode !== null) throw new Error(`the provider does not start: ${said}`);
    return /TF_REATTACH_PROVIDERS='(.*)'/.exec(said)?.[1];
  }, 'the provider');
  attached = { TF_REATTACH_PROVIDERS: reattach };
  child.unref();
  child.stdout.unref();
}

// Runs Terraform to its end: { code, stdout, stderr }.
export function terraform(args, { cwd = deployFolder, seconds = 240 } = {}) {
  return new Promise((resolve) => {
    execFile('terraform', args, {
      cwd, timeout: seconds * 1000, killSignal: 'SIGKILL', maxBuffer: 1 << 28, env: { ...terraformEnvironment(), ...attached },
    }, (error, stdout, stderr) => resolve({ code: error ? error.code ?? error.signal : 0, stdout, stderr }));
  });
}

const folders = new Set();
process.on('exit', () => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

// A copy of a tree of Terraform, made ready or not, that may be changed.
export function copyOf(folder) {
  const copy = mkdtempSync(join(tmpdir(), 'colloquy-terraform-'));
  folders.add(copy);
  cpSync(folder, copy, { recursive: true, verbatimSymlinks: true, filter: (path) => !/\.tfstate/.test(path) });
  return copy;
}

// The variables of examples/complete that have no default, and the one that makes more.
const kComplete = {
  domain: 'chat.example.com', alert_emails: ['operator@example.com'], api_access_cidrs: ['203.0.113.7/32'], text_encryption: true,
};
export const kCompleteFlags = Object.entries(kComplete).flatMap(([name, value]) => ['-var', `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`]);

// What is planned offline, as modules of one root, since what takes the time is each start of Terraform: { name, source, variables }.
export const kPlanned = [
  { name: 'complete', source: 'complete', variables: kComplete },
  { name: 'tables-only', source: 'tables-only', variables: {} },
  { name: 'provisioned', source: 'tables-only', variables: { billing: 'provisioned', capacity: { read: { min: 3, max: 30 } } } },
];
export const kRoot = 'all';
export const kMistaken = 'mistaken-';

// A provider that asks nobody, or that asks the service at `url` for everything in `services`.
function providerText({ url, services = [] } = {}) {
  const endpoints = services.map((service) => `    ${service} = "${url}"\n`).join('');
  return `provider "aws" {
  region                      = "${kRegion}"
  access_key                  = "offline"
  secret_key                  = "offline"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  max_retries                 = 2
  endpoints {
${endpoints}  }
}
`;
}

// Gives an example such a provider beside what it says of its own.
export function overrideProvider(folder, example, asked) {
  writeFileSync(join(folder, 'examples', example, 'test_override.tf'), providerText(asked));
}

// Leaves the provider of an example to the root that it is a module of.
function leaveProvider(folder, example) {
  const file = join(folder, 'examples', example, 'main.tf');
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^provider "aws" \{\n[^]*?^\}\n/m, ''));
}

// A copy of the tree that asks nobody, with the root of all that is planned offline, which is made ready. Beside each module stands
// `mistaken-…`, the same of another copy of the tree, `mistaken`, that `change` has changed. Throws what Terraform says.
export async function readyCopy(change) {
  const copy = copyOf(deployFolder);
  const mistaken = join(copy, 'mistaken');
  cpSync(deployFolder, mistaken, { recursive: true });
  change(mistaken);
  for (const folder of [copy, mistaken]) for (const example of ['complete', 'tables-only']) leaveProvider(folder, example);
  const root = join(copy, 'examples', kRoot);
  mkdirSync(root);
  const modules = kPlanned.flatMap(({ name, source, variables }) => [
    [name, { source: `../${source}`, ...variables }],
    [`${kMistaken}${name}`, { source: `../../mistaken/examples/${source}`, ...variables }]]);
  writeFileSync(join(root, 'provider.tf'), providerText());
  writeFileSync(join(root, 'main.tf.json'), JSON.stringify({ module: Object.fromEntries(modules) }));
  await initialize(copy, kRoot);
  return copy;
}

export async function initialize(folder, example) {
  const { code, stdout, stderr } = await terraform(
    ['init', '-input=false', '-no-color', '-backend=false', `-plugin-dir=${plugins}`], { cwd: join(folder, 'examples', example) });
  if (code !== 0) throw new Error(`terraform init of ${example}: ${stdout}${stderr}`);
}

// What was applied in the folder of an example.
export const readState = (folder) => JSON.parse(readFileSync(join(folder, 'terraform.tfstate'), 'utf8'));

// Terraform wraps what it says at a terminal's width; a message is one line here.
export const unwrapped = (text) => text.replace(/\s*\n[│|\s]*/g, ' ');
