// What encryption at rest costs: the same requests to a server that encrypts what users write, and their files,
// and to one that does not, in turns. Both are filled through the API, since what was written plain stays so.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { putFile, timedCurl } from './files.mjs';
import { load } from './processes.mjs';
import { medians, mib, ms, ratio, table, whole } from './table.mjs';

const kUsers = 8;
const kConversations = 4;  // of each
const kMessages = 20;
const kLongBytes = 64 * 1024;

async function post(server, token, path, body) {
  const response = await fetch(server.url + path, {
    method: 'POST', body: JSON.stringify(body),
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } });
  if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

// Conversations as bench_seed makes them, and the file that lists them.
async function fill(bench, server, data, content, targets) {
  const lines = await Promise.all(Array.from({ length: kUsers }, async (_, user) => {
    const token = execFileSync(bench.server, ['token', '--data', data, '--user', `user-${user}`], { encoding: 'utf8' }).trim();
    const made = await Promise.all(Array.from({ length: kConversations }, async () => {
      const { conversation_id: id } = await post(server, token, '/conversations', { title: 'A conversation of the bench' });
      for (let i = 0; i < kMessages; ++i) await post(server, token, `/conversations/${id}/messages`, { content });
      return `${token}\t${id}\n`;
    }));
    return made.join('');
  }));
  writeFileSync(targets, lines.join(''));
}

export async function measureEncryption(bench, root, note) {
  const keyFile = join(root, 'master.key');
  writeFileSync(keyFile, execFileSync(bench.server, ['keys', 'create'], { encoding: 'utf8' }));
  chmodSync(keyFile, 0o600);
  const flags = ['--encryption', 'file', '--master-key-file', keyFile, '--keyring', join(root, 'keyring'), '--encrypt-files', 'on'];
  const servers = {};
  const targets = {};
  const content = JSON.parse(bench.message).content;
  for (const [name, more] of [['plain', []], ['encrypted', flags]]) {
    note(`encryption: filling the ${name} one with ${kUsers * kConversations} conversations of ${kMessages} messages`);
    const data = join(root, `encryption-${name}`);
    mkdirSync(data, { recursive: true });
    servers[name] = await bench.start(data, ['--search', 'off', ...more]);
    targets[name] = join(root, `encryption-targets-${name}`);
    await fill(bench, servers[name], data, content, targets[name]);
  }
  const rows = [];
  // The reads first: they are of what was filled in.
  const requests = [
    [`GET /conversations/{id}, ${kMessages} messages of ${content.length} bytes`, 'GET', '/conversations/:id', undefined],
    [`GET /conversations, ${kConversations} of them`, 'GET', '/conversations', undefined],
    [`POST …/messages, ${content.length} bytes`, 'POST', '/conversations/:id/messages', bench.message],
    [`POST …/messages, ${kLongBytes / 1024} KiB`, 'POST', '/conversations/:id/messages', JSON.stringify({ content: 'long '.repeat(kLongBytes / 5) })],
    ['POST /generate', 'POST', '/generate?conversation_id=:id', JSON.stringify({ prompt: bench.prompt, stream: false })]];
  for (const [name, method, path, body] of requests) {
    for (const connections of [1, 64]) {
      note(`encryption: ${name}, ${connections} connections`);
      const runs = { plain: [], encrypted: [] };
      for (let round = 0; round < bench.rounds(connections); ++round) {
        for (const which of ['plain', 'encrypted']) {
          runs[which].push(await load({ server: servers[which], targets: targets[which], connections, method, path, body, seconds: bench.seconds }));
        }
      }
      const [plain, encrypted] = [medians(runs.plain), medians(runs.encrypted)];
      rows.push([name, connections, whole(plain.rate), whole(encrypted.rate), `**${ratio(encrypted.rate / plain.rate)}**`,
                 `${ms(plain.p50_us)} / ${ms(encrypted.p50_us)}`, `${whole(plain.cpu_us)} / ${whole(encrypted.cpu_us)}`]);
    }
  }
  console.log('## Encryption\n');
  console.log(table(['', 'connections', 'plain, a second', 'encrypted, a second', 'ratio', 'p50 ms', 'processor µs each'], rows));
  console.log(`\n${table(['', 'plain', 'encrypted', 'ratio'], await fileRows(bench, root, servers, note))}\n`);
  for (const server of Object.values(servers)) await server.stop();
}

async function fileRows(bench, root, servers, note) {
  note('encryption: files');
  const bytes = (bench.quick ? 32 : 128) * 2 ** 20;
  const source = join(root, 'encryption-source.bin');
  execFileSync('sh', ['-c', `head -c ${bytes} /dev/urandom > ${source}`]);
  const tokens = {};
  for (const name of Object.keys(servers)) {
    tokens[name] = execFileSync(bench.server, ['token', '--data', join(root, `encryption-${name}`), '--user', 'bench'], { encoding: 'utf8' }).trim();
  }
  const runs = { plain: [], encrypted: [] };
  const small = 50;
  for (let round = 0; round < (bench.quick ? 2 : 5); ++round) {
    for (const [name, server] of Object.entries(servers)) {
      const put = await timedCurl(server, tokens[name], 'large.bin', ['-T', source]);
      const get = await timedCurl(server, tokens[name], 'large.bin', []);
      const begin = process.hrtime.bigint();
      for (let i = 0; i < small; ++i) await putFile(server, tokens[name], `small/${round}-${i}`, 4096);
      runs[name].push({ put, get, small: Number(process.hrtime.bigint() - begin) / 1e9 / small });
    }
  }
  const [plain, encrypted] = [medians(runs.plain), medians(runs.encrypted)];
  const rate = (seconds) => `${mib(bytes / 2 ** 20 / seconds)}/s`;
  const row = (name, of, show) => [name, show(plain[of]), show(encrypted[of]), `**${ratio(plain[of] / encrypted[of])}**`];
  return [row(`PUT of ${bytes / 2 ** 20} MiB`, 'put', rate), row(`GET of ${bytes / 2 ** 20} MiB`, 'get', rate),
          row('PUT of 4 KiB', 'small', (seconds) => `${(seconds * 1000).toFixed(2)} ms`)];
}
