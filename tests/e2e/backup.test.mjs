// Backups of the embedded store: any second can be had back, while the server serves, is killed and is restored.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { followPages } from './client.mjs';
import { binary, cleanEnvironment, embeddedOnly, removeFolder, runCommand, startServer, temporaryFolder } from './server.mjs';
import { until } from './wait.mjs';

const users = ['alice', 'bob'];
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

function scratch(t) {
  const folder = temporaryFolder();
  afterwards(t, () => removeFolder(folder));
  return folder;
}

// All that the users can read.
async function held(server) {
  const all = {};
  for (const user of users) {
    const client = await server.client(user);
    const listed = (await followPages(client, '/conversations?limit=50', 'next')).flat();
    all[user] = [];
    for (const { conversation_id: id } of listed) {
      const { conversation, messages } = await client.conversation(id);
      all[user].push({ conversation, messages });
    }
  }
  return all;
}

// Writes, and remembers what was acknowledged.
class Writer {
  constructor() {
    this.acknowledged = new Map();  // conversation id: { user, title, messages: [[id, content]] }
    this.moments = [];              // { at, acknowledged, held }
    this.count = 0;
  }

  async write(server) {
    this.count += 1;
    const user = users[this.count % users.length];
    const client = await server.client(user);
    const own = [...this.acknowledged].filter(([, one]) => one.user === user);
    const kind = own.length < 2 ? 0 : this.count % 7;
    const [id, one] = own[this.count % Math.max(own.length, 1)] ?? [];
    if (kind === 0) {
      const made = await client.createConversation({ title: `title ${this.count}` });
      this.acknowledged.set(made.conversation_id, { user, title: made.title, messages: [] });
    } else if (kind === 1 && own.length > 4) {
      await client.delete(`/conversations/${id}`, { expect: 204 });
      this.acknowledged.delete(id);
    } else if (kind === 2) {
      const { json } = await client.patch(`/conversations/${id}`, { title: `renamed ${this.count}` }, { expect: 200 });
      one.title = json.title;
    } else if (kind === 3 && one.messages.length > 0) {
      const [message] = one.messages[0];
      await client.delete(`/conversations/${id}/messages/${message}`, { expect: 204 });
      one.messages.shift();
    } else if (kind === 4) {
      const { json } = await client.post('/generate', { prompt: `prompt ${this.count}` },
                                         { query: { conversation_id: id }, expect: 200 });
      one.messages.push(...[json.user_message, json.message].map((message) => [message.message_id, message.content]));
    } else {
      const { json } = await client.post(`/conversations/${id}/messages`, { content: `message ${this.count}` }, { expect: 201 });
      one.messages.push([json.message_id, json.content]);
    }
  }

  // Nothing is under way: what was acknowledged is what a restore of this moment must have.
  async note(server) {
    await pause(2);
    const at = new Date().toISOString();
    await pause(2);
    this.moments.push({ at, acknowledged: structuredClone(this.acknowledged), held: await held(server) });
  }
}

function compare(restored, moment) {
  assert.deepEqual(restored, moment.held, moment.at);
  const found = new Map(users.flatMap((user) => restored[user].map(({ conversation, messages }) => [
    conversation.conversation_id,
    { user, title: conversation.title, messages: messages.map((message) => [message.message_id, message.content]) },
  ])));
  assert.deepEqual([...found].sort(), [...moment.acknowledged].sort(), moment.at);
}

async function restoreAndCompare(t, from, moment, extra = []) {
  const data = join(scratch(t), 'data');
  const restored = await runCommand(['restore', '--from', from, '--at', moment.at, '--data', data, ...extra]);
  assert.equal(restored.code, 0, restored.stderr + restored.stdout);
  const server = await startServer({ data });
  try {
    compare(await held(server), moment);
  } finally {
    await server.close();
  }
}

async function shipped(server) {
  const begun = Date.now();
  await until(async () => {
    const text = await (await fetch(`${server.adminUrl}/metrics`)).text();
    const age = Number(text.match(/^colloquy_backup_age_seconds (\S+)$/m)[1]);
    return age * 1000 < Date.now() - begun;
  }, 'what was committed to be shipped');
}

const segmentsIn = (target) => {
  const [lineage] = readdirSync(target);
  const log = join(target, lineage, 'log');
  return readdirSync(log).sort().map((name) => join(log, name));
};

describe('backup', embeddedOnly('tables have their own'), () => {
  test('any second can be had back, across restarts and SIGKILL', async (t) => {
    const target = join(scratch(t), 'backup');
    mkdirSync(target);
    const server = await startServer({ args: ['--backup-to', target, '--backup-every', '100ms'] });
    afterwards(t, () => server.close());
    const writer = new Writer();
    for (const end of ['none', 'restart', 'kill', 'none']) {
      for (let i = 0; i < 3; i += 1) {
        for (let j = 0; j < 8; j += 1) await writer.write(server);
        await writer.note(server);
        await pause(300);
      }
      if (end === 'restart') await server.restart();
      if (end === 'kill') {
        await server.kill();
        await server.start();
      }
      if (end !== 'kill') {
        const made = await runCommand(['backup', '--data', server.data, '--to', target]);
        assert.equal(made.code, 0, made.stderr);
      }
    }
    await shipped(server);
    const verified = await runCommand(['verify', '--from', target]);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    assert.match(verified.stdout, /^can be restored: from \S+ to \S+$/m);
    for (const moment of writer.moments.filter((_, i) => i % 2 === 1)) await restoreAndCompare(t, target, moment);
  });

  test('one command backs up a server that runs, and one that does not', async (t) => {
    const target = join(scratch(t), 'backup');
    const server = await startServer();
    afterwards(t, () => server.close());
    const writer = new Writer();
    for (let i = 0; i < 12; i += 1) await writer.write(server);
    await writer.note(server);
    const running = await runCommand(['backup', '--data', server.data, '--to', target]);
    assert.equal(running.code, 0, running.stderr);
    assert.match(running.stderr, /^backing up: 100 %$/m);
    await restoreAndCompare(t, target, writer.moments.at(-1));
    for (let i = 0; i < 12; i += 1) await writer.write(server);
    await writer.note(server);
    await server.stop();
    const stopped = await runCommand(['backup', '--data', server.data, '--to', target]);
    assert.equal(stopped.code, 0, stopped.stderr);
    await server.start();
    await restoreAndCompare(t, target, writer.moments.at(-1));
    const verified = await runCommand(['verify', '--from', target, '--scratch', scratch(t)]);
    assert.match(verified.stdout, /^restored: \d+ conversations, \d+ messages, as of /m);
  });

  test('the bar is drawn on a terminal', async (t) => {
    const server = await startServer();
    afterwards(t, () => server.close());
    await (await server.client('alice')).createConversation();
    const shown = execFileSync('script', ['--quiet', '--return', '--command',
      `'${binary}' backup --data '${server.data}' --to '${join(scratch(t), 'backup')}'`, '/dev/null'],
    { env: cleanEnvironment({ SHELL: '/bin/sh' }), stdio: ['ignore', 'pipe', 'ignore'] }).toString();
    assert.match(shown, /backing up: \[#{30}\] 100 %/);
  });

  test('damage is named, and leaves the last good second', async (t) => {
    const target = join(scratch(t), 'backup');
    mkdirSync(target);
    const server = await startServer({ args: ['--backup-to', target, '--backup-every', '100ms'] });
    afterwards(t, () => server.close());
    const writer = new Writer();
    for (let i = 0; i < 4; i += 1) {
      for (let j = 0; j < 4; j += 1) await writer.write(server);
      await writer.note(server);
      await shipped(server);
    }
    const damaged = segmentsIn(target).at(-1);
    const bytes = readFileSync(damaged);
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(damaged, bytes);
    const name = damaged.split('/').at(-1);
    const verified = await runCommand(['verify', '--from', target]);
    assert.equal(verified.code, 2);
    assert.ok(verified.stdout.includes(name), verified.stdout);
    const { at } = writer.moments.at(-1);
    const partial = await runCommand(['restore', '--from', target, '--at', at, '--data', join(scratch(t), 'd')]);
    assert.equal(partial.code, 2);
    assert.ok(partial.stdout.includes(name), partial.stdout);
    const data = join(scratch(t), 'd');
    const allowed = await runCommand(['restore', '--from', target, '--at', at, '--data', data, '--allow-partial']);
    assert.equal(allowed.code, 0);
    const until = allowed.stdout.match(/^last commit: +(\S+)$/m)[1];
    assert.ok(until < at, `${until} is not before ${at}`);
  });

  test('a server makes the folder where its parent is there, and a later moment than it shipped is told', async (t) => {
    const folder = scratch(t);
    const target = join(folder, 'backup');
    const server = await startServer({ args: ['--backup-to', target, '--backup-every', '100ms'] });
    afterwards(t, () => server.close());
    await server.logged(({ event }) => event === 'backup.folder_made', 'the folder');
    const client = await server.client('alice');
    await client.createConversation({ title: 'shipped' });
    await shipped(server);
    await server.stop();
    await pause(20);
    const at = new Date().toISOString();
    const late = await runCommand(['restore', '--from', target, '--at', at, '--data', join(folder, 'late')]);
    assert.equal(late.code, 2, late.stderr);
    assert.match(late.stdout, /The backup is complete up to \S+ only/);
    const end = late.stdout.match(/^complete to: +(\S+)$/m)[1];
    const known = await runCommand(['restore', '--from', target, '--at', end, '--data', join(folder, 'known')]);
    assert.equal(known.code, 0, known.stdout);
    await server.start();
  });

  test('a server that starts waits for the folder that had its backup, and begins none in its place', async (t) => {
    const target = join(scratch(t), 'backup');
    const away = `${target}.away`;
    const args = ['--backup-to', target, '--backup-every', '100ms'];
    const server = await startServer({ args });
    afterwards(t, () => server.close());
    await (await server.client('alice')).createConversation();
    await shipped(server);
    await server.stop();
    renameSync(target, away);
    await server.start();  // which makes the folder
    await server.logged(({ event, detail }) => event === 'backup.failed' && /this database has a backup in/.test(detail), 'the backup');
    assert.deepEqual(readdirSync(target), []);
    rmSync(target, { recursive: true });
    renameSync(away, target);
    await server.logged(({ event }) => event === 'backup.recovered', 'the backup');
    await shipped(server);
    await server.stop();
    // Another folder is meant.
    const other = join(scratch(t), 'backup');
    await server.start({ args: ['--backup-to', other, '--backup-every', '100ms'] });
    await server.logged(({ event, was, is }) => event === 'backup.moved' && was === target && is === other, 'the folder');
    await shipped(server);
    await server.stop();
    // An old one is begun anew by hand.
    rmSync(other, { recursive: true });
    const made = await runCommand(['backup', '--data', server.data, '--to', other]);
    assert.equal(made.code, 0, made.stderr);
    await server.start({ args: ['--backup-to', other, '--backup-every', '100ms'] });
    await shipped(server);
  });

  test('an unfinished restore is opened by nobody', async (t) => {
    const data = scratch(t);
    mkdirSync(join(data, 'restoring'));
    await assert.rejects(startServer({ data }), /A restore into .* has not ended/);
    const backup = await runCommand(['backup', '--data', data, '--to', scratch(t)]);
    assert.equal(backup.code, 1);
    assert.match(backup.stderr, /has not ended/);
    assert.ok(!existsSync(join(data, 'store')));
  });

  test('backups by hand have a gap between them, which is no damage', async (t) => {
    const target = join(scratch(t), 'backup');
    const server = await startServer();
    afterwards(t, () => server.close());
    const writer = new Writer();
    for (let i = 0; i < 3; i += 1) {
      for (let j = 0; j < 4; j += 1) await writer.write(server);
      const made = await runCommand(['backup', '--data', server.data, '--to', target]);
      assert.equal(made.code, 0, made.stderr);
      await writer.note(server);
      for (let j = 0; j < 4; j += 1) await writer.write(server);
      await server.restart();  // which writes the log out, and removes it
    }
    const { code, stdout } = await runCommand(['verify', '--from', target]);
    assert.equal(code, 0, stdout);
    assert.equal(stdout.match(/^can be restored: /gm).length, 3, stdout);
    assert.equal(stdout.match(/^gap: the commits \d+ to \d+ are in no segment of /gm).length, 2, stdout);
    assert.doesNotMatch(stdout, /damaged/);
    await restoreAndCompare(t, target, writer.moments[0], ['--allow-partial']);
    const between = await runCommand(['restore', '--from', target, '--at', writer.moments[1].at, '--data', join(scratch(t), 'data')]);
    assert.equal(between.code, 2, between.stderr);
    assert.match(between.stdout, /^gap: the commits /m);
    assert.doesNotMatch(between.stdout, /damaged/);
  });

  test('a backup by hand into a file says that it is no folder, with a server and without', async (t) => {
    const folder = scratch(t);
    const file = join(folder, 'file');
    writeFileSync(file, 'x');
    const server = await startServer();
    afterwards(t, () => server.close());
    await (await server.client('alice')).createConversation();
    const into = async (target) => {
      const { code, stderr } = await runCommand(['backup', '--data', server.data, '--to', target]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, new RegExp(`${file} is no folder`));
    };
    for (const target of [file, join(file, 'below')]) await into(target);
    await server.stop();
    for (const target of [file, join(file, 'below')]) await into(target);
    assert.equal(readFileSync(file, 'utf8'), 'x');
  });

  test('a target that is no folder, can never be written, or is not apart from the data, is refused and nothing made', async (t) => {
    const folder = scratch(t);
    const data = join(folder, 'data');
    const file = join(folder, 'file');
    writeFileSync(file, 'x');
    const cases = [[file, /is no folder/], [join(file, 'below'), /is no folder/], ['/proc/colloquy-backup', /cannot be written/],
                   [folder, /has the data folder .* in it/], [data, /within the data folder/]];
    if (process.getuid() !== 0) {
      const locked = join(folder, 'locked');
      mkdirSync(locked, { mode: 0o500 });
      cases.push([locked, /cannot be written: Permission denied/], [join(locked, 'below'), /cannot be written: Permission denied/]);
    }
    for (const [target, words] of cases) {
      const { code, stderr } = await runCommand(['serve', '--data', data, '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--backup-to', target]);
      assert.equal(code, 1, `${target}: ${stderr}`);
      assert.match(stderr, words);
      assert.match(stderr, /--backup-to/);
      assert.ok(!existsSync(data), `${target}: the data folder was made`);
    }
    // What is out may come.
    const server = await startServer({ args: ['--backup-to', join(folder, 'no share/backup')] });
    afterwards(t, () => server.close());
    await server.logged(({ event }) => event === 'backup.failed', 'the backup');
  });

  test('a start without --backup-to drops the log that was kept for one, and one that is refused does not', async (t) => {
    const folder = scratch(t);
    const server = await startServer({ args: ['--backup-to', join(folder, 'backup')] });
    afterwards(t, () => server.close());
    await (await server.client('alice')).createConversation();
    // Its last log is put aside by the next opening.
    await server.kill();
    const kept = join(server.data, 'store/archive');
    writeFileSync(join(folder, 'file'), 'x');
    const refused = await runCommand(['serve', '--data', server.data, '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--files', join(folder, 'file')]);
    assert.equal(refused.code, 1, refused.stderr);
    assert.match(refused.stderr, /--files/);
    assert.ok(existsSync(kept) && readdirSync(kept).some((name) => name.endsWith('.log')), 'a start that was refused has dropped the log');
    await server.start({ args: [] });
    assert.deepEqual(readdirSync(kept).filter((name) => name.endsWith('.log')), []);
    await server.stop();
    assert.ok(!existsSync(kept));
  });

  test('a restore into the backup, or around it, is refused and changes nothing', async (t) => {
    const folder = scratch(t);
    const server = await startServer();
    afterwards(t, () => server.close());
    await (await server.client('alice')).createConversation();
    // Where a restore that was killed would have left something to be removed.
    const target = join(folder, 'data/restoring/backup');
    mkdirSync(target, { recursive: true });
    const made = await runCommand(['backup', '--data', server.data, '--to', target]);
    assert.equal(made.code, 0, made.stderr);
    symlinkSync(target, join(folder, 'link'));
    const before = readdirSync(folder, { recursive: true }).sort();
    for (const [data, words] of [[join(target, 'new'), /is within the backup/], [target, /is within the backup/], [join(folder, 'link/new'), /is within the backup/],
                                 [join(folder, 'data'), /has the backup in it/]]) {
      const { code, stderr } = await runCommand(['restore', '--from', target, '--data', data]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, words);
    }
    const lineage = made.stdout.match(/^lineage: +(\S+)$/m)[1];
    const inScratch = join(folder, `colloquy-verify-${lineage}`);
    symlinkSync(join(folder, 'data'), inScratch);
    for (const [place, words] of [[join(target, 'new'), /--scratch .* is within the backup/], [target, /--scratch .* is within the backup/],
                                  [join(folder, 'link/new'), /--scratch .* is within the backup/], [folder, /--scratch .* has the backup in the folder that would be removed/],
                                  [server.data, /--scratch .* is within a data folder/], [join(server.data, 'store/new'), /--scratch .* is within a data folder/]]) {
      const { code, stderr } = await runCommand(['verify', '--from', target, '--scratch', place]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, words);
    }
    rmSync(inScratch);
    assert.deepEqual(readdirSync(folder, { recursive: true }).sort(), before);
    const around = await runCommand(['backup', '--data', join(folder, 'other'), '--to', folder]);
    assert.match(around.stderr, /--to .*has the data folder .* in it/);
    const asked = await runCommand(['backup', '--data', server.data, '--to', join(server.data, '..')]);
    assert.match(asked.stderr, /--to .*has the data folder .* in it/);
    const good = await runCommand(['restore', '--from', target, '--data', join(folder, 'good')]);
    assert.equal(good.code, 0, good.stderr);
    assert.match(good.stdout, /^Not in a backup: token\.key, which belongs into .*good, and users' files\.$/m);
    assert.doesNotMatch(good.stdout, /encrypted/);
  });

  test('what cannot be meant is refused by name', async (t) => {
    const folder = scratch(t);
    const data = join(scratch(t), 'd');
    const refused = async (args, words) => {
      const { code, stderr } = await runCommand(args);
      assert.equal(code, 1, stderr);
      assert.match(stderr, words);
    };
    await refused(['restore', '--from', folder, '--data', data], /There is no backup in/);
    await refused(['restore', '--from', folder, '--data', data, '--at', 'last'], /There is no backup in/);
    await refused(['restore', '--from', folder, '--data', data, '--at', 'yesterday'], /--at "yesterday" is no moment/);
    await refused(['restore', '--from', folder, '--data', data, '--at', ''], /--at "" is no moment; last is the last that there is/);
    await refused(['restore', '--from', folder, '--data', data, '--at', '2026-11-22T10:15:00'],
                  /--at "2026-11-22T10:15:00" is no moment such as 2026-11-22T10:15:00Z, with Z or an offset/);
    await refused(['restore', '--from', folder, '--data', data, '--at', '2999-01-01T00:00:00Z'], /still to come/);
    await refused(['restore', '--data', data], /--from is needed/);
    await refused(['restore', '--from', folder], /--data is needed/);
    await refused(['backup', '--data', folder], /--to is needed/);
    await refused(['backup', '--data', join(folder, 'c'), '--to', join(folder, 'b')], /There is no store in/);
    await refused(['backup', '--data', folder, '--to', join(folder, 'b')], /--to .*within the data folder/);
    await refused(['verify', '--from', folder], /There is no such backup/);
    await refused(['serve', '--data', join(folder, 'd'), '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0',
      '--backup-to', join(folder, 'd/backup')], /--backup-to .*within the data folder/);
    await refused(['serve', '--backup-keep', '1d'], /--backup-keep has no effect without --backup-to/);
    rmSync(join(folder, 'd'), { recursive: true, force: true });
  });
});
