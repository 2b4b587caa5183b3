// Measures what requests cost in DynamoDB's units, by the server's own count of what the service says that it
// consumed, and makes the tables of docs/cost.md. Started by bench/cost.
import { readFileSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { FixedModel } from './fixed_model.mjs';
import { itemBytes, Tables } from './cost_tables.mjs';
import { costPage, unitsFile } from './cost_page.mjs';
import { removeFolder, Server, temporaryFolder } from './processes.mjs';

const kUser = 'cost-user';
const kPromptBytes = 120;
const kAnswerBytes = 400;
const kLongAnswerBytes = 2000;
const kEndpoint = process.env.COLLOQUY_TEST_DYNAMODB;
const kContext = 5;  // messages: the server's default
const kPage = fileURLToPath(new URL('../docs/cost.md', import.meta.url));
const kUnits = fileURLToPath(new URL('units.json', import.meta.url));

const { values: flags } = parseArgs({
  options: { fix: { type: 'boolean', default: false }, server: { type: 'string', default: 'build/release/colloquy' } },
});

function must(holds, what) {
  if (!holds) throw new Error(`this must hold and does not: ${what}`);
}
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// A write whose condition does not hold costs its unit too, which the service's answer does not say.
function refusedWrites(metrics) {
  const counts = metrics.matchAll(
    /^colloquy_dynamodb_attempt_seconds_count\{(?=.*operation="(?:PutItem|UpdateItem|DeleteItem)")(?=.*outcome="refused").*\} (\S+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

// The page shows what `colloquy cost` prints, once it is built with the new units.
function writeExample() {
  execFileSync('cmake', ['--build', 'build/release', '--target', 'colloquy'], { stdio: ['ignore', 2, 2] });
  const page = readFileSync(kPage, 'utf8');
  const made = page.replace(/(```sh\nbuild\/release\/colloquy (cost[^\n]*)\n```\n\n```\n).*?(```)/s, (_, before, command, after) =>
    before + execFileSync('build/release/colloquy', command.split(' '), { encoding: 'utf8' }) + after);
  must(made.includes(`Units measured on ${JSON.parse(readFileSync(kUnits, 'utf8')).measured_on}`), 'docs/cost.md has the example');
  writeFileSync(kPage, made);
}

class Measurement {
  static async start(indexes, model, data) {
    const self = new Measurement();
    self.model = model;
    self.tables = new Tables(kEndpoint, { indexes });
    await self.tables.create();
    self.server = await Server.start(flags.server, [
      'serve', '--data', data, '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--store', 'dynamodb',
      '--dynamodb-endpoint', self.tables.endpoint, '--dynamodb-conversations-table', self.tables.conversations,
      '--dynamodb-messages-table', self.tables.messages, '--context-messages', kContext,
      '--model', 'openai', '--openai-base-url', model.url, '--openai-model', 'fixed-model', '--titles', 'prompt']);
    const mint = (user) => execFileSync(flags.server, ['token', '--data', data, '--user', user], { encoding: 'utf8' }).trim();
    self.tokens = { [kUser]: mint(kUser), lister: mint('lister') };
    return self;
  }

  // Sums so far: { base, index, read }, in units.
  async units() {
    const text = await (await fetch(`${this.server.admin}/metrics`)).text();
    const sums = { base: 0, index: 0, read: 0 };
    for (const [, labels, value] of text.matchAll(/^colloquy_dynamodb_consumed_units_total\{(.*)\} (\S+)$/gm)) {
      const written = labels.includes('kind="write"');
      const kind = !written ? 'read' : labels.includes('index=""') ? 'base' : 'index';
      must(written || labels.includes('index=""'), 'no read is of an index');
      sums[kind] += Number(value);
    }
    sums.base += refusedWrites(text);
    return sums;
  }

  // Once what was begun has ended, also behind an answer that the client has.
  async settledUnits(quiet_ms) {
    let last = await this.units();
    for (let since = Date.now(); Date.now() - since < quiet_ms;) {
      await pause(20);
      const now = await this.units();
      if (JSON.stringify(now) !== JSON.stringify(last)) since = Date.now();
      last = now;
    }
    return last;
  }

  // The units of one `act`. Between two, a sweep of the server's may fall: what comes twice counts.
  async cost(act, { prepare = () => undefined, quiet_ms = 120 } = {}) {
    const seen = new Set();
    for (let tries = 0; tries < 6; ++tries) {
      const prepared = await prepare();
      const before = await this.settledUnits(quiet_ms);
      await act(prepared);
      const after = await this.settledUnits(quiet_ms);
      const units = Object.fromEntries(Object.keys(after).map((kind) => [kind, after[kind] - before[kind]]));
      const key = JSON.stringify(units);
      if (seen.has(key)) return units;
      seen.add(key);
    }
    throw new Error(`the same request never cost the same twice: ${[...seen]}`);
  }

  async call(method, path, { body, key, user = kUser } = {}) {
    const response = await fetch(this.server.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.tokens[user]}`,
        ...(body && { 'content-type': 'application/json' }),
        ...(key && { 'idempotency-key': key }),
      },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  seed(messages, answerBytes = kAnswerBytes) {
    return this.tables.seed(kUser, messages, { promptBytes: kPromptBytes, answerBytes });
  }

  turn(conversation, options = {}) {
    const path = conversation ? `/generate?conversation_id=${conversation}` : '/generate';
    return this.call('POST', path, { body: { prompt: 'p'.repeat(kPromptBytes) }, ...options });
  }

  // The units of a turn by arithmetic, from the items as they stand in the tables: DynamoDB counts 1 KiB a write
  // unit, 4 KiB a consistent read unit, each call rounded up, all items of a query together.
  async turnByArithmetic(conversation) {
    const [answer, prompt, ...context] = await this.tables.newestMessages(conversation, kContext + 2);
    const written = [prompt, answer, await this.tables.conversation(kUser, conversation)].map(itemBytes);
    const queried = context.map(itemBytes).reduce((sum, bytes) => sum + bytes, 0);
    return {
      base: written.reduce((sum, bytes) => sum + Math.ceil(bytes / 1024), 0),
      read: Math.ceil(written[2] / 4096) + Math.ceil(queried / 4096),
      written,
    };
  }

  async stop() {
    await this.server.stop();
  }
}

const same = (a, b) => a.base === b.base && a.read === b.read;

async function measureTurns(of) {
  const rows = [];
  let sizes;
  for (const length of [2, 100, 10_000]) {
    const conversation = await of.seed(length);
    const units = await of.cost(() => of.turn(conversation));
    const counted = await of.turnByArithmetic(conversation);
    const name = `a turn in a conversation of ${length.toLocaleString('en-US')} messages`;
    must(units.base === 3 && units.read === 2, `${name}: 3 write units, 2 read units; not ${JSON.stringify(units)}`);
    must(same(units, counted), `${name} costs what its items weigh: ${JSON.stringify(counted)}`);
    rows.push({ name, units, id: `turn-${length}` });
    sizes = counted.written;
  }
  const keyed = await of.seed(100);
  const fresh = () => `key-${Math.random()}`;
  const units = await of.cost(() => of.turn(keyed, { key: fresh() }));
  must(units.base === 4 && units.read === 2, `a keyed turn: one write unit more; not ${JSON.stringify(units)}`);
  rows.push({ name: 'a turn with an `Idempotency-Key`', units, id: 'keyed' });
  const key = fresh();
  await of.turn(keyed, { key });
  rows.push({ name: 'its repeat, answered from the tables', units: await of.cost(() => of.turn(keyed, { key })) });
  rows.push({ name: 'a first turn, which makes its conversation', units: await of.cost(() => of.turn()), id: 'first-turn' });
  rows.push(await measureLongTurn(of));
  rows.push(...await measureBudgets(of));
  rows.push(...await measureBranches(of));
  return { rows, sizes };
}

async function measureBranches(of) {
  const rows = [];
  for (const count of [10, 128]) {
    const conversation = await of.seed(100);
    await of.tables.branch(kUser, conversation, count);
    await of.turn(conversation);
    const units = await of.cost(() => of.turn(conversation));
    const counted = await of.turnByArithmetic(conversation);
    const name = `a turn in a conversation of ${count} branches`;
    must(same(units, counted), `${name} costs what its items weigh: ${JSON.stringify({ units, counted })}`);
    if (count === 10) must(units.base === 3 && units.read === 2, `few branches cost nothing: ${JSON.stringify(units)}`);
    rows.push({ name, units });
  }
  const prepare = async () => {
    const forked = await of.seed(100);
    await of.tables.branch(kUser, forked, 1, { back: 20 });
    return forked;
  };
  const units = await of.cost((forked) => of.turn(forked), { prepare });
  must(units.base === 4 && units.read === 4, `a branch costs one write and two reads more: ${JSON.stringify(units)}`);
  rows.push({ name: 'a turn that begins a branch', units });
  return rows;
}

// The budget is for so many tokens of all that the model is given; what is read of the conversation may be a little more.
async function measureBudgets(of) {
  const rows = [];
  for (const length of [2, 100]) {
    const conversation = await of.seed(length);
    await of.call('PATCH', `/conversations/${conversation}`, { body: { context: { tokens: 1000 } } });
    const units = await of.cost(() => of.turn(conversation));
    must(units.base === 3, `a turn with a budget of tokens writes what every turn does; not ${JSON.stringify(units)}`);
    rows.push({ name: `a turn with a budget of 1,000 tokens, in a conversation of ${length} messages`, units });
  }
  must(rows[0].units.read === 2, `a budget that small messages do not reach costs nothing more; not ${rows[0].units.read} read units`);
  return rows;
}

async function measureLongTurn(of) {
  const conversation = await of.seed(100, kLongAnswerBytes);
  of.model.answerBytes = kLongAnswerBytes;
  const units = await of.cost(() => of.turn(conversation));
  const counted = await of.turnByArithmetic(conversation);
  of.model.answerBytes = kAnswerBytes;
  must(same(units, counted), `a turn with long answers costs what its items weigh: ${JSON.stringify({ units, counted })}`);
  return { name: `a turn where answers have ${kLongAnswerBytes.toLocaleString('en-US')} bytes`, units, id: 'long' };
}

async function measureOthers(of) {
  const rows = [];
  const row = async (name, act, options, id) => rows.push({ name, units: await of.cost(act, options), id });
  const message = (bytes) => ({ body: { content: 'x'.repeat(bytes) } });
  const append = (conversation, bytes) => of.call('POST', `/conversations/${conversation}/messages`, message(bytes));
  const long = await of.seed(100);
  await row('a conversation made', () => of.call('POST', '/conversations', { body: {} }));
  await row('a message appended', () => append(long, kPromptBytes));
  const heavy = await of.seed(100);
  await row('a message of 4,000 bytes appended', () => append(heavy, 4000));
  const twenty = await of.seed(20);
  await row('a conversation of 20 messages read', () => of.call('GET', `/conversations/${twenty}`), {}, 'read-20');
  must(rows.at(-1).units.base === 0, 'a read of a conversation that nobody writes to writes nothing');
  for (let i = 0; i < 60; ++i) await of.tables.seed('lister', 16, { promptBytes: 1, answerBytes: 1 });
  await row('a list of 50 conversations', () => of.call('GET', '/conversations?limit=50', { user: 'lister' }), {}, 'list-50');
  let title = 0;
  await row('a title changed (`PATCH`)', () => of.call('PATCH', `/conversations/${long}`, { body: { title: `t${++title}` } }));
  await row('a message deleted', (id) => of.call('DELETE', `/conversations/${heavy}/messages/${id}`),
            { prepare: async () => (await append(heavy, kPromptBytes)).message_id });
  await row('a conversation of 100 messages deleted, with its messages', (id) => of.call('DELETE', `/conversations/${id}`),
            { prepare: () => of.seed(100), quiet_ms: 800 });
  return rows;
}

async function measure(indexes) {
  console.error(indexes ? 'with the secondary indexes' : 'without them');
  const data = temporaryFolder();
  const model = await FixedModel.start(kAnswerBytes);
  const of = await Measurement.start(indexes, model, data);
  await of.settledUnits(1000);  // its first look for deletions to go on with
  const { rows, sizes } = await measureTurns(of);
  rows.push(...await measureOthers(of));
  await of.stop();
  model.stop();
  removeFolder(data);
  return { rows, sizes };
}

// The tests' own variables are no settings of the server's, which would refuse them.
for (const name of Object.keys(process.env)) {
  if (name.startsWith('COLLOQUY_')) delete process.env[name];
}
process.env.AWS_ACCESS_KEY_ID = 'local';
process.env.AWS_SECRET_ACCESS_KEY = 'local';
const plain = await measure(false);
const indexed = await measure(true);
for (const [i, row] of plain.rows.entries()) {
  const other = indexed.rows[i];
  must(row.units.index === 0, `${row.name}: without indexes nothing is written to them`);
  must(same(row.units, other.units), `${row.name}: indexes change nothing else: ${JSON.stringify([row.units, other.units])}`);
}
const prices = JSON.parse(readFileSync(new URL('prices.json', import.meta.url), 'utf8'));
const measured = { rows: indexed.rows, sizes: indexed.sizes, promptBytes: kPromptBytes, answerBytes: kAnswerBytes };
const made = costPage({ ...measured, prices });
if (flags.fix) {
  const [begin, end] = ['<!-- cost: begin, made by bench/cost --fix -->', '<!-- cost: end -->'];
  const page = readFileSync(kPage, 'utf8');
  const [head, rest] = page.split(begin);
  const tail = rest?.split(end)[1];
  must(tail !== undefined, 'docs/cost.md has the two marks');
  writeFileSync(kPage, `${head}${begin}\n${made}\n${end}${tail}`);
  writeFileSync(kUnits, unitsFile({ ...measured, contextMessages: kContext, user: kUser }));
  writeExample();
} else {
  console.log(made);
}
