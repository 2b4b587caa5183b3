// The Debian package and the unit: installed into a Debian that has nothing else, started there, and run by a real systemd.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { until, withDeadline } from '../e2e/wait.mjs';
import { skipped } from '../skipped.mjs';
import { baseArchive, call, cannot, packageFile, repository, workFolder } from './machine.mjs';
import { blocksOf, readPage } from './pages.mjs';
import { unitMistakes } from './unit_mistakes.mjs';

const kUnit = join(repository, 'deploy/systemd/colloquy.service');
// Ten times what `systemd-analyze security` says at most; what is left is the network and the clock's device.
const kExposure = 15;

const commands = (kind) => blocksOf(readPage('deploy-vm.md')).filter((block) => block.kind === kind);

const exposure = (unit) => call('systemd-analyze', ['security', '--offline=true', `--threshold=${kExposure}`, unit]);

describe('the unit', { skip: cannot('the unit', 'systemd-analyze') }, () => {
  test('leaves the service little to do harm with', async () => { await exposure(kUnit); });

  test('waits as long for the server as a stop may take', () => {
    const [, stop] = /^TimeoutStopSec=(\d+)$/m.exec(readFileSync(kUnit, 'utf8'));
    assert.ok(Number(stop) >= 25 + 23, 'the default of --shutdown-timeout and what docs/operations.md adds');
  });
});

describe('the package', { skip: cannot('the package', 'cpack', 'dpkg-shlibdeps', 'file', 'chroot') }, () => {
  let root;
  const inRoot = (...command) => call('chroot', [root, ...command], { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive' } });

  before(async () => {
    root = join(workFolder('root'), 'debian');
    mkdirSync(root);
    await call('tar', ['-C', root, '-xf', baseArchive]);
    copyFileSync('/etc/resolv.conf', join(root, 'etc/resolv.conf'));
    copyFileSync(packageFile, join(root, 'root/colloquy_0.1.0_amd64.deb'));
    // As the page says; its dependencies alone have to be enough.
    for (const { text } of commands('package')) await inRoot('sh', '-ec', `cd /root\n${text}`);
  }, { timeout: 600_000 });

  test('brings every library that the program links to, from the packages that it depends on', async () => {
    const linked = await inRoot('ldd', '/usr/bin/colloquy');
    assert.doesNotMatch(linked, /not found/);
    assert.match(await inRoot('colloquy', '--version'), /\d+\.\d+\.\d+/);
    const { Depends } = Object.fromEntries((await call('dpkg-deb', ['-f', packageFile])).split('\n').map((line) => line.split(': ')));
    for (const name of ['adduser', 'ca-certificates', 'libc6', 'librocksdb7.8', 'libssl3', 'libsqlite3-0']) assert.ok(Depends.includes(name), name);
  });

  test('makes a user of its own, who may not log in, and settings that others cannot read', async () => {
    assert.match(await inRoot('getent', 'passwd', 'colloquy'), /:\/var\/lib\/colloquy:\/usr\/sbin\/nologin$/m);
    assert.equal((await inRoot('stat', '-c', '%U:%G %a', '/etc/colloquy/colloquy.conf')).trim(), 'root:colloquy 640');
    assert.equal((await inRoot('stat', '-c', '%U:%G %a', '/usr/bin/colloquy')).trim(), 'root:root 755');
    assert.match(await inRoot('dpkg-query', '-W', '-f', '${Conffiles}', 'colloquy'), /colloquy\.conf/);
  });

  test('starts with the settings that it brings', { timeout: 300_000 }, async (t) => {
    await inRoot('install', '-d', '-o', 'colloquy', '-g', 'colloquy', '-m', '0700', '/var/lib/colloquy');
    const server = spawn('chroot', ['--userspec=colloquy:colloquy', root, '/usr/bin/colloquy', 'serve', '--config', '/etc/colloquy/colloquy.conf',
                                    '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
    afterwards(t, () => server.kill('SIGKILL'));
    let [said, log] = ['', ''];
    server.stdout.on('data', (data) => { said += data; });
    server.stderr.on('data', (data) => { log += data; });
    const ended = new Promise((resolve) => { server.on('close', resolve); });
    const address = await until(() => {
      assert.equal(server.exitCode, null, log);
      return /listening on (\S+)\nadmin/.exec(said)?.[1];
    }, 'the server to listen');
    const token = (await inRoot('setpriv', '--reuid=colloquy', '--regid=colloquy', '--clear-groups', 'colloquy', 'token', '--data', '/var/lib/colloquy/data', '--user', 'alice')).trim();
    const answer = await fetch(`${address}/generate`, { method: 'POST', body: JSON.stringify({ prompt: 'Hello!' }),
                                                      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' } });
    assert.equal(answer.status, 200, await answer.text());
    server.kill('SIGTERM');
    assert.equal(await withDeadline(ended, 'the server to end'), 0, log);
    assert.ok(existsSync(join(root, 'var/lib/colloquy/data/store')));
    await inRoot('rm', '-rf', '/var/lib/colloquy');
  });

  describe('under systemd', { skip: cannot('the unit run by systemd', 'systemd-nspawn') }, () => {
    before(() => inRoot('apt-get', 'install', '-y', '-qq', '--no-install-recommends', 'systemd-sysv', 'dbus', 'curl'), { timeout: 600_000 });

    test('has a unit in which systemd finds no fault', async () => {
      assert.equal(await inRoot('sh', '-c', 'systemd-analyze verify colloquy.service 2>&1'), '');
    });

    for (const { find, replace, caught } of unitMistakes) {
      test(`has a unit whose mistakes are caught: ${find} → ${replace}`, async () => {
        const text = readFileSync(kUnit, 'utf8');
        assert.ok(text.includes(find), 'the list of mistakes is behind');
        writeFileSync(join(root, 'tmp/colloquy.service'), text.replace(find, replace));
        const said = await inRoot('sh', '-c', 'systemd-analyze verify /tmp/colloquy.service 2>&1 || true')
          + await exposure(join(root, 'tmp/colloquy.service')).then(() => '', (error) => error.message);
        assert.match(said, caught);
      });
    }

    test('runs as the page and the unit say, serves, keeps what it was given, and stops in order', { timeout: 300_000 }, async (t) => {
      copyFileSync(join(repository, 'tests/deploy/check_unit.sh'), join(root, 'usr/local/bin/check_unit'));
      writeFileSync(join(root, 'etc/systemd/system/check.service'), `[Unit]
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/bash /usr/local/bin/check_unit
TimeoutStartSec=150
TimeoutStopSec=5
`);
      writeFileSync(join(root, 'root/page.sh'), commands('systemd').map(({ text }) => text).join('\n'));
      await inRoot('sh', '-c', 'mkdir -p /etc/systemd/system/multi-user.target.wants && ln -sf ../check.service /etc/systemd/system/multi-user.target.wants/');
      const guest = spawn('systemd-nspawn', ['--quiet', '--boot', '--register=no', '--keep-unit', '--private-network', '--directory', root], { stdio: ['ignore', 'pipe', 'pipe'] });
      afterwards(t, () => guest.kill('SIGKILL'));
      let console_ = '';
      for (const stream of [guest.stdout, guest.stderr]) stream.on('data', (data) => { console_ += data; });
      await withDeadline(new Promise((resolve) => { guest.on('close', resolve); }), 'the guest to end', 240_000)
        .catch((error) => { throw new Error(`${error.message}\n${console_}`); });
      if (!/Detected virtualization/.test(console_)) {
        t.skip(skipped('the unit run by systemd', [`systemd does not boot here: ${console_.slice(-500)}`]));
        return;
      }
      const result = join(root, 'var/check.log');
      assert.ok(existsSync(result), console_);
      assert.match(readFileSync(result, 'utf8'), /^all is well$/m, readFileSync(result, 'utf8'));
    });
  });

  test('leaves the conversations when it is purged', async () => {
    await inRoot('install', '-d', '/var/lib/colloquy/data');
    await inRoot('apt-get', 'purge', '-y', '-qq', 'colloquy');
    assert.ok(existsSync(join(root, 'var/lib/colloquy/data')));
    assert.ok(!existsSync(join(root, 'etc/colloquy')));
    assert.ok(!existsSync(join(root, 'usr/bin/colloquy')));
  });
});
