// How fast a file goes in and comes out, beside cp and nginx on the same disk.
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startNginx } from './nginx.mjs';
import { mib, medians, ratio, table } from './table.mjs';

const run = promisify(execFile);

// Seconds that a program took.
async function timed(program, args) {
  const begin = process.hrtime.bigint();
  const { stdout } = await run(program, args);
  return { seconds: Number(process.hrtime.bigint() - begin) / 1e9, stdout };
}

async function curl(url, args) {
  const { seconds, stdout } = await timed('curl', ['-sS', '-o', '/dev/null', '-w', '%{http_code}', ...args, url]);
  if (!['200', '201', '204'].includes(stdout)) throw new Error(`${url}: status ${stdout}`);
  return seconds;
}

export async function timedCurl(server, token, path, args) {
  return curl(`${server.url}/files/${path}`, [...args, '-H', `Authorization: Bearer ${token}`]);
}

// It does not sync what it writes: `sync` is what it takes until the file is on the disk, as ours then is.
async function nginxRun(nginx, source) {
  if (!nginx) return {};
  const put = await curl(`${nginx.url}/large.bin`, ['-T', source]);
  const sync = await timed('sync', [join(nginx.folder, 'large.bin')]);
  return { nginxPut: put, nginxSynced: put + sync.seconds, nginxGet: await curl(`${nginx.url}/large.bin`, []) };
}

export async function measureFiles(bench, root, note) {
  const data = join(root, 'files');
  const server = await bench.start(data);
  const token = execFileSync(bench.server, ['token', '--data', data, '--user', 'bench'], { encoding: 'utf8' }).trim();
  const nginx = await startNginx(root);
  const bytes = (bench.quick ? 32 : 128) * 2 ** 20;
  const source = join(root, 'source.bin');
  execFileSync('sh', ['-c', `head -c ${bytes} /dev/urandom > ${source}`]);
  const digest = execFileSync('openssl', ['dgst', '-sha256', '-binary', source]).toString('base64');
  note('files');
  const runs = [];
  let peak = server.memory();
  const timer = setInterval(() => { peak = Math.max(peak, server.memory()); }, 5);
  for (let round = 0; round < (bench.quick ? 2 : 5); ++round) {
    const copy = await timed('sh', ['-c', `cp ${source} ${root}/copy.bin && sync ${root}/copy.bin`]);
    const read = await timed('sh', ['-c', `cat ${root}/copy.bin > /dev/null`]);
    runs.push({
      copy: copy.seconds, read: read.seconds,
      put: await timedCurl(server, token, 'large.bin', ['-T', source]),
      checked: await timedCurl(server, token, 'large.bin', ['-T', source, '-H', `Content-Digest: sha-256=:${digest}:`]),
      get: await timedCurl(server, token, 'large.bin', []),
      ...await nginxRun(nginx, source),
    });
  }
  clearInterval(timer);
  const got = medians(runs);
  const rate = (seconds) => `${mib(bytes / 2 ** 20 / seconds)}/s`;
  const row = (name, seconds, bare) => [name, rate(seconds), bare ? ratio(bare / seconds) : ''];
  const beside = (name, seconds, bare) => (nginx ? [row(`${name} (${nginx.version})`, seconds, bare)] : []);
  console.log(`## Files of ${bytes / 2 ** 20} MiB, one at a time\n`);
  console.log(table(['', 'rate', 'of the bare one'], [
    row('(f) cp and sync', got.copy),
    row('PUT /files/{path}', got.put, got.copy),
    row('the same with a Content-Digest', got.checked, got.copy),
    ...beside('PUT to nginx and sync', got.nginxSynced, got.copy),
    ...beside('PUT to nginx, not synced', got.nginxPut, got.copy),
    row('(g) cat', got.read),
    row('GET /files/{path}', got.get, got.read),
    ...beside('GET from nginx', got.nginxGet, got.read)]));
  if (!nginx) console.log('\nThere is no nginx to compare with: bench/run unpacks it.');
  const begin = process.hrtime.bigint();
  const count = bench.quick ? 50 : 200;
  for (let i = 0; i < count; ++i) await putFile(server, token, `small/${i}`, 4096);
  const each = Number(process.hrtime.bigint() - begin) / 1e6 / count;
  console.log(`\n${count} files of 4 KiB, one after the other on one connection: ${each.toFixed(2)} ms each. ` +
              `The server's memory was ${mib(peak)} at its highest.\n`);
  await server.stop();
  await nginx?.stop();
}

export async function putFile(server, token, path, bytes) {
  const response = await fetch(`${server.url}/files/${path}`, { method: 'PUT', body: Buffer.alloc(bytes), headers: { authorization: `Bearer ${token}` } });
  if (response.status !== 201) throw new Error(`${path}: status ${response.status}`);
  await response.arrayBuffer();
}
