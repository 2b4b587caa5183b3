// Starts and stops the real program, on a data folder and ports of its own.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from './client.mjs';
import { gate, until, withDeadline } from './wait.mjs';

const run = promisify(execFile);

// COLLOQUY_TEST_STORE=dynamodb: every server keeps its conversations in DynamoDB Local (dynamodb/with_local.sh).
export const onDynamoDb = process.env.COLLOQUY_TEST_STORE === 'dynamodb';
// For tests of what only the embedded store has; `reason` says what.
export const embeddedOnly = (reason) => (onDynamoDb ? { skip: `of the embedded store only: ${reason}` } : {});

export const binary = process.env.COLLOQUY_BINARY ??
  fileURLToPath(new URL('../../build/release/colloquy', import.meta.url));

const kSanitizerReport = /(Address|Thread|Leak|Memory|UndefinedBehavior)Sanitizer|runtime error:/;

// The tests' own environment without what would change the program's settings.
export function cleanEnvironment(extra = {}) {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('COLLOQUY_') && !/^(OPENAI_|HTTPS?_PROXY|https?_proxy)/.test(name));
  return { ...Object.fromEntries(kept), ...extra };
}

// What must not outlive the tests, whatever happens to them.
const running = new Set();
const folders = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'colloquy-test-'));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder) {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  folders.delete(folder);
}

// Runs a subcommand to its end: { code, stdout, stderr }. Never throws for the exit code.
export async function runCommand(args, { env = {} } = {}) {
  try {
    const { stdout, stderr } = await run(binary, args, { env: cleanEnvironment(env), timeout: 120_000 });
    return { code: 0, stdout, stderr };
  } catch (error) {
    return { code: error.code ?? error.signal, stdout: error.stdout, stderr: error.stderr };
  }
}

export async function makeToken(data, user, { ttl = '1h', args = [] } = {}) {
  const { code, stdout, stderr } = await runCommand(['token', '--data', data, '--user', user, '--ttl', ttl, ...args]);
  assert.equal(code, 0, `colloquy token: ${stderr}`);
  return stdout.trim();
}

// The tables that stand for a data folder.
const tablesOf = new Map();

async function storeSettings(data, args) {
  if (!onDynamoDb || args.includes('--store')) return { flags: [], env: {} };
  const { createTables, tableEnvironment, tableFlags } = await import('../dynamodb/tables.mjs');
  if (!tablesOf.has(data)) tablesOf.set(data, createTables());
  // Files are off on tables unless a folder is named.
  const files = args.includes('--files') ? [] : ['--files', join(data, 'files')];
  return { flags: [...tableFlags(await tablesOf.get(data)), ...files], env: tableEnvironment };
}

// The tables of keys that stand for keyrings.
const keysTablesOf = new Map();

async function keyringSettings(data) {
  if (onDynamoDb) {
    const { createKeysTable } = await import('../dynamodb/tables.mjs');
    if (!keysTablesOf.has(data)) keysTablesOf.set(data, createKeysTable());
    return { COLLOQUY_DYNAMODB_KEYS_TABLE: await keysTablesOf.get(data) };
  }
  const keyring = `${data}.keyring`;
  folders.add(keyring);
  return { COLLOQUY_KEYRING: keyring };
}

// COLLOQUY_TEST_ENCRYPTION=on: every server encrypts what users write, and their files.
async function encryptionSettings(data, args) {
  if (process.env.COLLOQUY_TEST_ENCRYPTION !== 'on') return {};
  if (['--store', '--encryption', '--search'].some((flag) => args.includes(flag))) return {};
  const files = args[args.indexOf('--files') + 1] === 'off' ? {} : { COLLOQUY_ENCRYPT_FILES: 'on' };
  return { COLLOQUY_ENCRYPTION: 'env', COLLOQUY_MASTER_KEY: `${'A'.repeat(43)}=`, ...await keyringSettings(data), ...files };
}

// The program with a terminal of its own for its output, made by util-linux's `script`; its log stays a pipe.
function spawnOnTerminal(args, env) {
  const quoted = [binary, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  const child = spawn('script', ['--quiet', '--return', '--command', `echo "process $$"; exec ${quoted} 2>&3`, '/dev/null'],
                      { env: { ...env, SHELL: '/bin/sh' }, stdio: ['ignore', 'pipe', 'ignore', 'pipe'] });
  child.stderr = child.stdio[3];
  return child;
}

class Server {
  constructor({ args, env, data, ownsData, listen = '127.0.0.1:0', terminal = false }) {
    Object.assign(this, { args, env, data, ownsData, listen, terminal, stdout: '', stderr: '', tokens: new Map() });
  }

  // Starts (again) on the same data folder, and waits until it listens.
  async start({ args = this.args, env = this.env } = {}) {
    assert.ok(!this.child, 'it runs already');
    const store = await storeSettings(this.data, args);
    const all = ['serve', '--listen', this.listen, '--admin-listen', '127.0.0.1:0', '--data', this.data, ...store.flags, ...args];
    const environment = cleanEnvironment({ ...store.env, ...await encryptionSettings(this.data, args), ...env });
    const child = this.terminal ? spawnOnTerminal(all, environment)
      : spawn(binary, all, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    running.add(child);
    const exited = gate();
    this.exited = exited.opened;
    child.on('error', (error) => exited.open({ error }));
    child.on('close', (code, signal) => {
      running.delete(child);
      exited.open({ code, signal });
    });
    const from = { stdout: this.stdout.length, stderr: this.stderr.length };
    child.stdout.setEncoding('utf8').on('data', (text) => { this.stdout += text; });
    child.stderr.setEncoding('utf8').on('data', (text) => { this.stderr += text; });
    await this.#listening(from);
    return this;
  }

  async #listening(from) {
    let ended;
    this.exited.then((how) => { ended = how; });
    const find = (pattern) => this.stdout.slice(from.stdout).match(pattern)?.[1];
    await until(() => ended || (find(/^listening on (\S+)$/m) && find(/^admin on (\S+)$/m)), 'the server to listen');
    if (ended) {
      this.child = undefined;
      const said = this.stderr.slice(from.stderr);
      this.stderr = this.stderr.slice(0, from.stderr);  // words for a person, not log lines
      throw new Error(`the server did not start: ${JSON.stringify(ended)} ${ended.error ?? ''}\n${said}`);
    }
    this.baseUrl = find(/^listening on (\S+)$/m);
    this.adminUrl = find(/^admin on (\S+)$/m);
  }

  async token(user) {
    if (!this.tokens.has(user)) this.tokens.set(user, await makeToken(this.data, user));
    return this.tokens.get(user);
  }

  // A client of the server as it runs now; make a new one after a restart.
  async client(user) {
    return new Client({ baseUrl: this.baseUrl, token: user === undefined ? undefined : await this.token(user) });
  }

  // Log lines so far, parsed. Every line is a JSON object.
  logs() {
    const whole = this.stderr.slice(0, this.stderr.lastIndexOf('\n') + 1);
    return whole.split('\n').filter(Boolean).map((line) => {
      try {
        return JSON.parse(line);
      } catch {
        throw new Error(`a log line that is not JSON: ${line}`);
      }
    });
  }

  // The log is a pipe of its own: a line of it may come after what the server did next.
  async logged(isTheLine, what) {
    return until(() => this.logs().find(isTheLine), `a log line of ${what}`);
  }

  async logOf(requestId) {
    return this.logged((line) => Object.values(line).includes(requestId), `the request ${requestId}`);
  }

  signal(name) {
    if (this.terminal) process.kill(Number(this.stdout.match(/^process (\d+)/m)[1]), name);
    else this.child.kill(name);
  }

  // Asks it to end, and returns { code, signal }.
  async stop(signal = 'SIGTERM') {
    if (!this.child) return undefined;
    this.signal(signal);
    return this.ended();
  }

  // Waits for its end, which somebody has asked for.
  async ended() {
    const how = await withDeadline(this.exited, 'the server to end');
    this.child = undefined;
    return how;
  }

  async kill() {
    return this.stop('SIGKILL');
  }

  async restart(options) {
    await this.stop();
    return this.start(options);
  }

  // Ends it in order, whatever the test did, and holds it to a clean end.
  async close() {
    try {
      const how = await this.stop();
      if (how) assert.deepEqual(how, { code: 0, signal: null }, `an unclean end\n${this.stderr.slice(-4000)}`);
      assert.doesNotMatch(this.stderr, kSanitizerReport, this.stderr.slice(-8000));
      this.logs();
    } finally {
      if (this.ownsData) removeFolder(this.data);
    }
  }
}

// args: further flags of `serve`; data: a folder to use and keep; listen: where; terminal: whether its output is one.
export async function startServer({ args = [], env = {}, data, ...others } = {}) {
  const server = new Server({ args, env, data: data ?? temporaryFolder(), ownsData: data === undefined, ...others });
  try {
    return await server.start();
  } catch (error) {
    if (server.ownsData) removeFolder(server.data);
    throw error;
  }
}
