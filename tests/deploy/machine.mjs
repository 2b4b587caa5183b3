// What the tests of package and container need of the machine: root, a Debian to begin from, a place for roots.
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { binary } from '../e2e/server.mjs';
import { skipped } from '../skipped.mjs';
import { blocksOf, linesOf, readPage, repository } from './pages.mjs';

export { repository };

export const baseArchive = join(repository, 'build/debian-base/base.tar');
const kWork = join(repository, 'build/debian-base');

export const has = (command) => {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

const without = (commands) => commands.filter((command) => !has(command)).map((command) => `there is no ${command}`);

// Whether `what` has to be skipped here, which needs root, a Debian to begin from, and these commands.
export function cannot(what, ...commands) {
  return skipped(what, [
    ...(process.getuid() === 0 ? [] : ['it needs root']),
    ...(existsSync(baseArchive) ? [] : ['there is no Debian to begin from (tests/deploy/debian_base.sh)']),
    ...without(commands)]);
}

const run = promisify(execFile);
// Runs a command to its end, or throws with all that it said.
export async function call(command, args, { env = process.env, timeout = 600_000, cwd } = {}) {
  try {
    return (await run(command, args, { env, timeout, cwd, maxBuffer: 1 << 26 })).stdout;
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}: ${error.message}\n${error.stdout}\n${error.stderr}`);
  }
}

// A folder on the disk of the build, which may hold a root of its own.
const folders = new Set();
process.on('exit', () => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));
export function workFolder(name) {
  mkdirSync(kWork, { recursive: true });
  const folder = mkdtempSync(join(kWork, `${name}.`));
  folders.add(folder);
  return folder;
}

// The Debian package of the program that is tested, as make_package.mjs has made it.
export const packageFile = join(kWork, 'colloquy.deb');

// Makes it by the page's own command, from the build that is tested into a folder of the tests.
export async function makePackage() {
  if (skipped('the package', without(['cpack', 'dpkg-shlibdeps', 'file']))) return;
  const folder = workFolder('package');
  const [command] = linesOf(blocksOf(readPage('deploy-vm.md')).find(({ kind }) => kind === 'build')).filter((line) => line.startsWith('cpack'));
  await call('sh', ['-c', command.replace('build/release', dirname(binary)).replace('build/package', folder)], { cwd: folder });
  const [name] = readdirSync(folder).filter((file) => file.endsWith('.deb'));
  renameSync(join(folder, name), packageFile);
}
