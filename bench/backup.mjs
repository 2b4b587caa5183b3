// What a continuous backup costs whoever writes: the same load on a server that keeps none, and on one that
// ships every second (and, once, renews its base meanwhile).
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { load, measure } from './processes.mjs';
import { medians, ms, ratio, table, whole } from './table.mjs';

const bytesIn = (folder) => readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .reduce((sum, entry) => sum + statSync(join(entry.parentPath ?? entry.path, entry.name)).size, 0);

async function metric(server, name) {
  const text = await (await fetch(`${server.admin}/metrics`)).text();
  return Number(text.match(new RegExp(`^${name} (\\S+)$`, 'm'))[1]);
}

export async function measureBackup(bench, root, note) {
  const target = join(root, 'backup-target');
  mkdirSync(target, { recursive: true });
  const servers = {};
  const targets = {};
  for (const [name, flags] of [['none', []], ['every second', ['--backup-to', target]]]) {
    note(`backup ${name}: seeding 3,200 conversations of 20 messages`);
    const data = join(root, `backup-${name.replaceAll(' ', '-')}`);
    targets[name] = join(root, `backup-targets-${name.replaceAll(' ', '-')}`);
    await measure(bench.program('seed'), ['--data', data, '--targets', targets[name], '--users', 64,
                                          '--conversations', 3200, '--messages', 20]);
    servers[name] = await bench.start(data, ['--search', 'off', ...flags]);
  }
  const rows = [];
  for (const connections of [1, 64]) {
    note(`backup: POST …/messages, ${connections} connections`);
    const runs = { none: [], 'every second': [], probe: [], age: [] };
    const request = { connections, method: 'POST', path: '/conversations/:id/messages', body: bench.message };
    for (let round = 0; round < 2 * bench.rounds(connections); ++round) {
      runs.probe.push(await bench.probe());
      for (const name of ['none', 'every second']) {
        runs[name].push(await load({ ...request, server: servers[name], targets: targets[name], seconds: 2 * bench.seconds }));
      }
      runs.age.push(await metric(servers['every second'], 'colloquy_backup_age_seconds'));
    }
    const [without, kept] = [medians(runs.none), medians(runs['every second'])];
    const cells = (run) => [whole(run.rate), ms(run.p50_us), ms(run.p99_us), whole(run.cpu_us)];
    rows.push(['no backup', connections, ...cells(without), '', '', bench.disk(runs.probe)]);
    rows.push(['a backup every second', connections, ...cells(kept), `**${ratio(kept.rate / without.rate)}**`,
               Math.max(...runs.age).toFixed(1), bench.disk(runs.probe)]);
  }
  const shipped = await metric(servers['every second'], 'colloquy_backup_log_bytes_total');
  const commits = await metric(servers['every second'], 'colloquy_store_commits_total');
  for (const server of Object.values(servers)) await server.stop();
  console.log('## Continuous backup\n');
  console.log(table(['', 'connections', 'a second', 'p50 ms', 'p99 ms', 'processor µs each', 'ratio', 'oldest not shipped, s',
                     'disk sync p50 / p99 ms'], rows));
  console.log(`\n${(shipped / 1e6).toFixed(1)} MB of log were shipped, for ${whole(commits)} commits; the backup holds ` +
              `${(bytesIn(target) / 1e6).toFixed(1)} MB. Store and backup are on the same disk.\n`);
}
