// How much memory the server takes to send a conversation of 100,000 messages, to export it, and to take it back.
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { measure } from './processes.mjs';
import { firstTarget } from './targets.mjs';
import { mib, table } from './table.mjs';

// The bytes that curl got. With `rate`, it reads so slowly, and is ended after `seconds`.
function read(server, target, { rate, seconds = 60 } = {}) {
  return request(server, target, `/conversations/${target.id}`, { rate, seconds });
}

// The same, of any request; what it gets goes into the file `to`.
function request(server, target, path, { rate, seconds = 60, to = '/dev/null', more = [] } = {}) {
  const args = ['-sS', '-o', to, '-w', '%{http_code} %{size_download}', '--max-time', String(seconds),
                ...(rate ? ['--limit-rate', rate] : []), ...more,
                '-H', `Authorization: Bearer ${target.token}`, `${server.url}${path}`];
  return new Promise((resolve, reject) => {
    const curl = spawn('curl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let said = '';
    curl.stdout.on('data', (text) => { said += text; });
    curl.on('error', reject);
    curl.on('close', (code) => {
      const [status, bytes] = said.split(' ');
      const cut = rate !== undefined && code === 28;  // its time was up, as intended
      if (status === '200' && (code === 0 || cut)) resolve(Number(bytes));
      else reject(new Error(`${path}: status ${status}, curl ${code}`));
    });
  });
}

// Resident memory before, at its highest while `work` runs, and after.
async function watch(server, work) {
  const before = server.memory();
  let peak = before;
  const timer = setInterval(() => { peak = Math.max(peak, server.memory()); }, 5);
  const bytes = await work();
  clearInterval(timer);
  return { before, peak, after: server.memory(), bytes };
}

// What an export of it takes in each form, and what was exported comes back as another user's.
function exchanges(bench, server, target, { root, data }) {
  const file = join(root, 'memory.jsonl');
  const answer = join(root, 'memory.imported');
  const patient = { seconds: 150 };
  async function takeIn(user) {
    const token = execFileSync(bench.server, ['token', '--data', data, '--user', user], { encoding: 'utf8' }).trim();
    const more = ['-X', 'POST', '-H', 'Content-Type: application/x-ndjson', '-T', file];
    await request(server, { token }, '/import', { ...patient, more, to: answer });
    const end = JSON.parse(readFileSync(answer, 'utf8').trim().split('\n').at(-1));
    if (end.imported !== 1) throw new Error(`the import: ${JSON.stringify(end)}`);
    return statSync(file).size;
  }
  return [
    ['exported as JSON Lines', () => request(server, target, '/export', { ...patient, to: file })],
    ['exported as a zip', () => request(server, target, '/export?format=zip', patient)],
    ['imported', () => takeIn('another')],
    ['imported once more', () => takeIn('a-third')],
  ];
}

export async function measureMemory(bench, root, note) {
  note('memory: seeding a conversation of 100,000 messages');
  const data = join(root, 'memory');
  const targets = join(root, 'targets-memory');
  await measure(bench.program('seed'), ['--data', data, '--targets', targets, '--users', 1, '--conversations', 1,
                                        '--messages', 100_000]);
  const server = await bench.start(data);
  const target = firstTarget(targets);
  const slow = { rate: '1M', seconds: bench.quick ? 2 : 5 };
  const many = Array.from({ length: 16 });
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const works = [
    ['read once (its blocks come into the cache)', () => read(server, target)],
    ['read again', () => read(server, target)],
    ['read by a slow client, 1 MiB/s, cut after some seconds', () => read(server, target, slow)],
    ['read by 16 slow clients at once', async () => sum(await Promise.all(many.map(() => read(server, target, slow))))],
    ['read once more', () => read(server, target)],
    ...exchanges(bench, server, target, { root, data }),
  ];
  const rows = [];
  for (const [name, work] of works) {
    note(`memory: ${name}`);
    const got = await watch(server, work);
    rows.push([name, mib(got.bytes / 2 ** 20), mib(got.before), mib(got.peak), mib(got.peak - got.before)]);
  }
  await server.stop();
  console.log('## Memory while a conversation of 100,000 messages is read, exported and imported\n');
  console.log(table(['', 'sent or taken', 'resident before', 'at its highest', 'more'], rows));
  console.log();
}
