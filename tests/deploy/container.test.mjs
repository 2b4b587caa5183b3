// The container image: built by buildah from the Dockerfile on a Debian made here, looked into, and run by runc as Kubernetes runs it:
// another user than root, nothing to write to but its volumes, no capability, the default filter of system calls.
//
// Compiling the server again would take too long: the image is given the package of the program that was just built. What is left
// out here is the Dockerfile's stage `compiled`, and arm64.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chownSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { until, withDeadline } from '../e2e/wait.mjs';
import { baseArchive, call, cannot, packageFile, repository, workFolder } from './machine.mjs';
import { factsOf, imageErrors, kUser } from './image.mjs';
import { imageMistakes, sbomMistakes } from './image_mistakes.mjs';
import { sbomErrors } from './sbom.mjs';

const kDockerfile = join(repository, 'deploy/docker/Dockerfile');

describe('the image', { skip: cannot('the image', 'buildah', 'cpack', 'dpkg-shlibdeps', 'file', 'tar') }, () => {
  const folder = workFolder('container');
  const context = join(folder, 'context');
  let root;
  let config;
  let container;
  // Copying whole roots works everywhere; layers over each other are many times faster where the machine has them.
  let driver = 'overlay';
  const buildah = (...args) => call('buildah', ['--root', join(folder, driver), '--runroot', join(folder, 'run'), '--storage-driver', driver, ...args],
                                    { env: { PATH: process.env.PATH, HOME: folder, TMPDIR: folder } });
  const build = (target, ...args) => buildah('build', '--isolation', 'chroot', '--format', 'docker', '--build-arg', 'BASE=localhost/debian',
                                             '--build-arg', 'PACKAGE=prebuilt', '--target', target, '--tag', target, '--file', kDockerfile, ...args, context);

  before(async () => {
    mkdirSync(join(context, 'deploy'), { recursive: true });
    cpSync(join(repository, 'deploy/docker'), join(context, 'deploy/docker'), { recursive: true });
    cpSync(packageFile, join(context, 'colloquy.deb'));
    await buildah('from', 'scratch').then((trial) => buildah('mount', trial.trim())).then(() => buildah('umount', '--all')).catch(() => { driver = 'vfs'; });
    const debian = (await buildah('from', 'scratch')).trim();
    await buildah('add', '--quiet', debian, baseArchive, '/');
    await buildah('commit', '--quiet', '--rm', debian, 'localhost/debian');
    await build('colloquy', '--build-arg', 'VERSION=1.2.3', '--build-arg', 'REVISION=abc', '--build-arg', 'CREATED=2026-01-02T03:04:05Z');
    container = (await buildah('from', 'localhost/colloquy')).trim();
    root = (await buildah('mount', container)).trim();
    config = JSON.parse(await buildah('inspect', '--type', 'image', 'localhost/colloquy')).Docker.config;
  }, { timeout: 900_000 });

  after(() => buildah('umount', '--all'));

  test('says how it is to be run, is small, and holds nothing to become root with and nothing that was left behind', async () => {
    const facts = await factsOf(root, config);
    assert.deepEqual(imageErrors(facts), []);
    // The check itself is shown to fail.
    for (const [change, caught] of imageMistakes) {
      const copy = structuredClone(facts);
      change(copy);
      assert.ok(imageErrors(copy).some((sentence) => caught.test(sentence)), String(change));
    }
  });

  test('lists all that it holds', async () => {
    const listed = JSON.parse(readFileSync(join(root, 'usr/share/colloquy/sbom.spdx.json'), 'utf8'));
    const packages = (await call('chroot', [root, 'dpkg-query', '-W', '-f', '${Package} ${Version}\n'])).trim().split('\n');
    assert.deepEqual(sbomErrors(listed, packages), []);
    assert.equal(listed.creationInfo.created, '2026-01-02T03:04:05Z');
    for (const [change, caught] of sbomMistakes) {
      const copy = structuredClone(listed);
      change(copy);
      assert.ok(sbomErrors(copy, packages).some((sentence) => caught.test(sentence)), String(change));
    }
  });

  test('holds, as its other target, what makes snapshots', { timeout: 600_000 }, async () => {
    await build('snapshots');
    const { User } = JSON.parse(await buildah('inspect', '--type', 'image', 'localhost/snapshots')).Docker.config;
    assert.equal(User, `${kUser}:${kUser}`);
    const snapshots = (await buildah('from', 'localhost/snapshots')).trim();
    const said = await buildah('run', '--isolation', 'chroot', snapshots, '--', 'bash', '-c', 'id -u; command -v bash curl jq date sed; ls /etc/ssl/certs/ca-certificates.crt');
    assert.match(said, /^10001\n(\/\S+\n){6}$/);
  });

  describe('run by runc', { skip: cannot('the image run by runc', 'runc') }, () => {
    const bundle = join(folder, 'bundle');
    const runc = (...args) => call('runc', ['--root', join(folder, 'runc'), ...args], { timeout: 30_000 });

    // What Kubernetes makes of the chart's security context, and of a volume for each of the image's.
    async function writeBundle() {
      mkdirSync(bundle);
      await call('runc', ['spec', '--bundle', bundle]);
      const spec = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'));
      const volumes = Object.keys(config.Volumes).map((destination) => {
        const source = join(folder, destination.replaceAll('/', '_'));
        mkdirSync(source);
        chownSync(source, kUser, kUser);
        return { destination, source, type: 'bind', options: ['rbind', 'rw', 'nosuid', 'nodev'] };
      });
      const none = Object.fromEntries(['bounding', 'effective', 'inheritable', 'permitted', 'ambient'].map((name) => [name, []]));
      Object.assign(spec.process, { terminal: false, user: { uid: kUser, gid: kUser }, args: [...config.Entrypoint, ...config.Cmd], env: config.Env, cwd: config.WorkingDir,
                                    capabilities: none, noNewPrivileges: true });
      spec.root = { path: root, readonly: true };
      spec.mounts = [...spec.mounts.filter(({ destination }) => destination !== '/sys/fs/cgroup'), ...volumes];
      spec.linux.resources = {};
      spec.linux.seccomp = defaultSeccomp();
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
    }

    // The filter that container engines use by default, in the form that runc reads.
    function defaultSeccomp() {
      const profile = JSON.parse(readFileSync('/usr/share/containers/seccomp.json', 'utf8'));
      const holds = ({ includes = {}, excludes = {} }) => !includes.caps?.length && (!includes.arches || includes.arches.includes('amd64'))
        && !excludes.arches?.includes('amd64');
      const syscalls = profile.syscalls.filter(holds).map(({ names, action, args, errnoRet }) => ({
        names, action, ...(args?.length ? { args } : {}), ...(errnoRet === undefined || action === 'SCMP_ACT_ALLOW' ? {} : { errnoRet }) }));
      return { defaultAction: profile.defaultAction, defaultErrnoRet: profile.defaultErrnoRet, architectures: ['SCMP_ARCH_X86_64'], syscalls };
    }

    test('serves, is healthy, keeps its files, and stops in order', { timeout: 120_000 }, async (t) => {
      await writeBundle();
      const server = spawn('runc', ['--root', join(folder, 'runc'), 'run', '--bundle', bundle, 'colloquy'], { stdio: ['ignore', 'pipe', 'pipe'] });
      afterwards(t, async () => { await runc('delete', '--force', 'colloquy').catch(() => {}); });
      let [said, log] = ['', ''];
      server.stdout.on('data', (data) => { said += data; });
      server.stderr.on('data', (data) => { log += data; });
      const ended = new Promise((resolve) => { server.on('close', resolve); });
      await until(() => {
        assert.equal(server.exitCode, null, said + log);
        return said.includes('admin on');
      }, 'the server to listen', 30_000);
      assert.doesNotMatch(log, /"level":"(warning|error)"/);
      const inside = (script) => runc('exec', 'colloquy', 'bash', '-c', script);
      await runc('exec', 'colloquy', ...config.Healthcheck.Test.slice(1));
      const status = await inside('cat /proc/1/status; touch /etc/x 2>&1 || true');
      assert.match(status, /^Uid:\t10001\t10001/m);
      assert.match(status, /^CapBnd:\t0+$/m);
      assert.match(status, /^NoNewPrivs:\t1$/m);
      assert.match(status, /^Seccomp:\t2$/m);
      assert.match(status, /Read-only file system/);
      // A file of a user's, by way of the API, at the place that the source document names.
      const request = 'token=$(colloquy token --data /var/lib/colloquy/data --user user_123); exec 3<>/dev/tcp/127.0.0.1/8080; '
        + 'printf "PUT /files/file.txt HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Bearer $token\\r\\nContent-Length: 5\\r\\nConnection: close\\r\\n\\r\\nhello" >&3; cat <&3; cat /app/user_data/user_123/file.txt';
      assert.match(await inside(request), /^HTTP\/1.1 201[^]*hello$/);
      assert.ok(existsSync(join(folder, '_app_user_data/user_123/file.txt')));
      // The check of health fails where nobody answers.
      await assert.rejects(inside('HEALTH_ADDRESS=127.0.0.1:1 healthcheck'));
      await assert.rejects(inside('HEALTH_ADDRESS=127.0.0.1:8081 healthcheck'));
      await runc('kill', 'colloquy', config.StopSignal);
      assert.equal(await withDeadline(ended, 'the server to end', 40_000), 0, log);
      assert.match(log, /server\.stopped/);
    });
  });
});
