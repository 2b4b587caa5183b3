// Measures the server beside what it is built on, and prints the tables of README.md.
// Started by bench/run, which builds what is needed.
//
// What is compared runs in turns (A B A B), so that a bad minute of the machine meets both, and
// a ratio is one of medians.
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureBackup } from './backup.mjs';
import { measureDynamodb } from './dynamodb.mjs';
import { measureEncryption } from './encryption.mjs';
import { measureFiles } from './files.mjs';
import { measureFlat } from './flat.mjs';
import { measureLlama } from './llama.mjs';
import { measureMemory } from './memory.mjs';
import { load, measure, removeFolder, Server, temporaryFolder } from './processes.mjs';
import { readTarget } from './targets.mjs';
import { measureSearch } from './search.mjs';
import { measureTurns } from './turns.mjs';
import { medians, ms, ratio, table, whole } from './table.mjs';

const kSections = ['reads', 'writes', 'first-token', 'flat', 'memory', 'turns', 'files', 'dynamodb', 'llama', 'search', 'backup', 'encryption'];
const kPrompt = 'What did we say about the weather?';
const kMessage = JSON.stringify({ content: 'Words of a user, about as many as a user types. '.repeat(4) });

const { values: flags } = parseArgs({
  options: {
    build: { type: 'string', default: 'build/release' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: kSections.join(',') },
    server: { type: 'string' },  // another build of it, to compare
    'log-level': { type: 'string', default: 'info' },
  },
});
const sections = flags.only.split(',');
for (const section of sections) {
  if (!kSections.includes(section)) throw new Error(`no section ${section}; there are ${kSections}`);
}

const bench = {
  program: (name) => join(flags.build, 'bench', `bench_${name}`),
  server: flags.server ?? join(flags.build, 'colloquy'),
  logLevel: flags['log-level'],
  serverFlags: ['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--model', 'demo',
                '--log-level', flags['log-level']],
  rounds(connections) {
    if (flags.quick) return 1;
    return connections === 1 ? 2 : 3;
  },
  seconds: flags.quick ? 1 : 2,
  quick: flags.quick,
  prompt: kPrompt,
  message: kMessage,
  probe: () => measure(bench.program('sync_probe'), ['--folder', root, '--milliseconds', 200]),
  // Of probes, for a table.
  disk(probes) {
    if (probes.length === 0) return '';
    const sync = medians(probes);
    return `${ms(sync.p50_us)} / ${ms(sync.p99_us)}`;
  },
  // Without an index, but where search is measured: making it would be measured with everything else.
  start: (data, more = ['--search', 'off']) => Server.start(bench.server, ['serve', '--data', data, ...bench.serverFlags, ...more]),
};

const started = Date.now();
const note = (text) => console.error(`[${((Date.now() - started) / 1000).toFixed(0)} s] ${text}`);

function describeMachine() {
  const commit = () => execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: 'pipe' }).trim();
  let version = '';
  try {
    version = `, ${commit()}`;
  } catch {
    // Not a clone, or nothing is committed yet.
  }
  const cores = os.availableParallelism();
  const busy = os.loadavg()[0];
  console.log(`${cores} processors, ${Math.round(os.totalmem() / 2 ** 30)} GiB of memory, shared by server, bare ` +
              `programs and load; load average before ${busy.toFixed(1)}. Log level ${flags['log-level']}${version}.\n`);
  if (busy > cores / 4) console.log('**Something else was running: the rates and ratios below say little.**\n');
}

async function measureReads(data, targets) {
  const rows = [];
  const server = await bench.start(data);
  const requests = [['GET /conversations/{id}, 20 messages', '/conversations/:id'],
                    ['GET /conversations, 50 of them', '/conversations']];
  for (const [name, path] of requests) {
    const body = await readTarget(server, targets, path);
    const bare = await Server.start(bench.program('bare_http'), ['--body-bytes', body.length]);
    for (const connections of [1, 64]) {
      note(`${name}, ${connections} connections`);
      const request = { targets, connections, method: 'GET', path };
      await load({ ...request, server, seconds: 1 });  // to warm up
      const runs = { bare: [], server: [] };
      for (let round = 0; round < bench.rounds(connections); ++round) {
        runs.bare.push(await load({ ...request, server: bare, seconds: bench.seconds }));
        runs.server.push(await load({ ...request, server, seconds: bench.seconds }));
      }
      const [a, b] = [medians(runs.bare), medians(runs.server)];
      rows.push([`(a) bare Beast, ${whole(body.length)} bytes`, connections, ...rateCells(a), '', '']);
      rows.push([name, connections, ...rateCells(b), `**${ratio(b.rate / a.rate)}** of (a)`, '']);
    }
    await bare.stop();
  }
  await server.stop();
  return rows;
}

const rateCells = (run) => [whole(run.rate), ms(run.p50_us), ms(run.p99_us), whole(run.cpu_us)];

async function measureWrites(data, targets) {
  const rows = [];
  const server = await bench.start(data);
  const answer = await readTarget(server, targets, '/generate?conversation_id=:id', 'POST', prompt(false));
  const answerBytes = Buffer.byteLength(JSON.parse(answer).generated_text);
  const contentBytes = JSON.parse(kMessage).content.length;
  const kinds = [
    ['POST …/messages', '/conversations/:id/messages', kMessage, ['--write', 'message', '--content-bytes', contentBytes]],
    ['POST /generate', '/generate?conversation_id=:id', prompt(false),
     ['--write', 'turn', '--content-bytes', answerBytes, '--prompt-bytes', kPrompt.length]]];
  for (const [name, path, body, rowFlags] of kinds) {
    for (const connections of [1, 64]) {
      note(`${name}, ${connections} connections`);
      const runs = { probe: [], loop: [], queue: [], server: [] };
      const request = { server, targets, connections, method: 'POST', path, body };
      if (!bench.quick) await load({ ...request, seconds: 1 });  // to warm up
      for (let round = 0; round < bench.rounds(connections); ++round) {
        runs.probe.push(await bench.probe());
        for (const shape of ['loop', 'queue']) {
          runs[shape].push(await bareStore(shape, connections, rowFlags));
        }
        runs.probe.push(await bench.probe());
        runs.server.push(await load({ ...request, seconds: bench.seconds }));
      }
      rows.push(...writeRows(name, connections, runs));
    }
  }
  await server.stop();
  return rows;
}

const prompt = (stream) => JSON.stringify({ prompt: kPrompt, stream });

async function bareStore(shape, clients, rowFlags) {
  const data = temporaryFolder();
  try {
    return await measure(bench.program('bare_store'),
                         ['--data', data, '--clients', clients, '--conversations', 3200, '--shape', shape,
                          '--seconds', bench.seconds, ...rowFlags]);
  } finally {
    removeFolder(data);
  }
}

function writeRows(name, connections, runs) {
  const [loop, queue, server] = [runs.loop, runs.queue, runs.server].map(medians);
  const disk = bench.disk(runs.probe);
  return [
    ['(c) bare loop of the same rows', connections, ...rateCells(loop), '', disk],
    ['(c′) the same, clients in a queue', connections, ...rateCells(queue), '', disk],
    [name, connections, ...rateCells(server),
     `**${ratio(server.rate / loop.rate)}** of (c), ${ratio(server.rate / queue.rate)} of (c′)`, disk]];
}

async function measureFirstToken(data, targets) {
  note('first token');
  const server = await bench.start(data);
  const commits = async () => {
    const text = await (await fetch(`${server.admin}/metrics`)).text();
    return ['sum', 'count'].map((name) => Number(text.match(new RegExp(`^colloquy_store_commit_seconds_${name} (\\S+)$`, 'm'))[1]));
  };
  const before = await commits();
  const got = await measure(bench.program('first_token'),
                            ['--port', server.port, '--targets', targets, '--folder', root, '--seconds', 2 * bench.seconds]);
  const after = await commits();
  await server.stop();
  const commit_us = (after[0] - before[0]) / (after[1] - before[1]) * 1e6;
  console.log('## First token of POST /generate, streamed, 1 connection\n');
  console.log(table(['ms', 'p50', 'p99'], [
    ['until the first token', ms(got.first_p50_us), ms(got.first_p99_us)],
    ['one sync of the disk, beside each turn', ms(got.sync_p50_us), ms(got.sync_p99_us)],
    ['**added beyond its one sync**', ms(got.first_p50_us - got.sync_p50_us), ms(got.first_p99_us - got.sync_p99_us)],
    ['until the whole answer is durable (a second sync)', ms(got.whole_p50_us), ms(got.whole_p99_us)]]));
  console.log(`\n${whole(got.count)} turns; a commit took the server ${ms(commit_us)} ms on average.\n`);
}

const root = temporaryFolder();
const data = join(root, 'data');
const targets = join(root, 'targets');
const columns = ['', 'connections', 'a second', 'p50 ms', 'p99 ms', 'processor µs each', 'ratio', 'disk sync p50 / p99 ms'];

describeMachine();
if (sections.some((section) => ['reads', 'writes', 'first-token'].includes(section))) {
  note('seeding 3,200 conversations of 20 messages');
  await measure(bench.program('seed'), ['--data', data, '--targets', targets, '--users', 64,
                                        '--conversations', 3200, '--messages', 20]);
  const rows = [];
  if (sections.includes('reads')) rows.push(...await measureReads(data, targets));
  if (sections.includes('writes')) rows.push(...await measureWrites(data, targets));
  if (rows.length > 0) console.log(`## Rates\n\n${table(columns, rows)}\n`);
  if (sections.includes('first-token')) await measureFirstToken(data, targets);
}
if (sections.includes('flat')) await measureFlat(bench, root, note);
if (sections.includes('memory')) await measureMemory(bench, root, note);
if (sections.includes('turns')) await measureTurns(bench, root, note);
if (sections.includes('files')) await measureFiles(bench, root, note);
if (sections.includes('dynamodb')) await measureDynamodb(bench, root, note);
if (sections.includes('llama')) await measureLlama(bench, root, note);
if (sections.includes('search')) await measureSearch(bench, root, note);
if (sections.includes('backup')) await measureBackup(bench, root, note);
if (sections.includes('encryption')) await measureEncryption(bench, root, note);
note('done');
