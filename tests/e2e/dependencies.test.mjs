// docs/dependencies.md has everything that the scripts install, the program links to, and the tests take from npm.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { binary, onDynamoDb } from './server.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (name) => readFileSync(join(root, name), 'utf8');
const page = read('docs/dependencies.md');
const kNotOurs = new Set(['node_modules', 'build', 'data', '.git']);

// { package → version } of the rows whose first cell names packages: several share a version, or have one each.
function listed(text) {
  const versions = new Map();
  for (const line of text.split('\n').filter((one) => one.startsWith('| `'))) {
    const [, names, shown] = line.split('|').map((cell) => cell.trim());
    const packages = [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => name);
    const each = shown.replace(/\(.*\)/, '').split(', ').map((version) => version.trim());
    packages.forEach((name, at) => versions.set(name, each[each.length === packages.length ? at : 0]));
  }
  return versions;
}

const isNamed = (text, name) => text.includes(`\`${name}\``);

function debianPackages() {
  const script = read('scripts/packages.sh');
  const lists = [...script.matchAll(/^\w+_packages="([^"]*)"/gm)].flatMap(([, names]) => names.split(/\s+/));
  const others = [...script.matchAll(/(?:apt-get download -qq|install_missing) ([a-z][a-z0-9 .+-]*)/g)].flatMap(([, names]) => names.trim().split(' '));
  const image = [...read('deploy/docker/Dockerfile').matchAll(/--no-install-recommends ([^\n'\\]+)/g)]
    .flatMap(([, names]) => names.trim().split(/\s+/).filter((name) => /^[a-z]/.test(name)));
  const [, depends] = read('cmake/package.cmake').match(/CPACK_DEBIAN_PACKAGE_DEPENDS "([^"]*)"/);
  return [...new Set([...lists, ...others, ...image, ...depends.split(', ')])];
}

function packageFiles(folder = '') {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return kNotOurs.has(entry.name) ? [] : packageFiles(path);
    return entry.name === 'package.json' ? [path] : [];
  });
}

function npmPackages() {
  return packageFiles().flatMap((path) => {
    const { dependencies = {}, devDependencies = {}, optionalDependencies = {} } = JSON.parse(read(path));
    return Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies });
  });
}

// Of the scripts that fetch one package by its version.
function fetchedPackages() {
  return ['scripts/fetch_llama.sh', 'tests/deploy/fetch.sh', 'tests/dynamodb/fetch.sh'].flatMap((script) => {
    const text = read(script);
    const [, version] = text.match(/^version=(\S+)/m);
    return [...text.matchAll(/^(?:package|sources|libraries)=(\S+)/gm)].map(([, name]) => [name, version]);
  });
}

function missing(text) {
  const rows = listed(text);
  return [
    ...debianPackages().filter((name) => !isNamed(text, name)).map((name) => `Debian's ${name} is not there`),
    ...npmPackages().filter(([name, version]) => rows.get(name) !== version).map(([name, version]) => `npm's ${name} ${version} is not there`),
    ...fetchedPackages().filter(([name, version]) => !text.includes(`\`${name}\` ${version}`) && rows.get(name) !== version)
      .map(([name, version]) => `${name} ${version} is not there`),
  ];
}

describe('docs/dependencies.md', { skip: onDynamoDb }, () => {
  test('has every package that is installed, with the version that is', () => {
    assert.ok(debianPackages().length > 30 && npmPackages().length > 5 && fetchedPackages().length === 4);
    assert.deepEqual(missing(page), []);
  });

  test('lists nothing from npm that is not taken', () => {
    const [, section] = page.match(/From npm, exact versions(.*?)\n## /s);
    const taken = new Set(npmPackages().map(([name]) => name));
    assert.deepEqual([...listed(section).keys()].filter((name) => !taken.has(name)), []);
  });

  test('has what the lock file has', () => {
    const { packages } = JSON.parse(read('tests/package-lock.json'));
    for (const [name, version] of npmPackages()) {
      const locked = packages[`node_modules/${name}`];
      assert.equal(locked.version, version, name);
      assert.match(locked.integrity, /^sha512-/, name);
    }
  });

  test('has the versions of this machine, but for updates of Debian', { skip: existsSync('/var/lib/dpkg/status') ? false : 'no Debian' }, () => {
    const upstream = (version) => version.replace(/^\d+:/, '').match(/^\d+(\.\d+)?/)?.[0];
    const installed = new Map(execFileSync('dpkg-query', ['-W', '-f', '${Package} ${Version} ${db:Status-Abbrev}\n'], { encoding: 'utf8' })
      .split('\n').map((line) => line.split(' ')).filter(([, , status]) => status?.startsWith('ii')).map(([name, version]) => [name, version]));
    const found = [...listed(page)].filter(([name, version]) => installed.has(name) && /^\d/.test(version) && !version.startsWith('18 ') &&
      upstream(installed.get(name)) !== upstream(version));
    assert.deepEqual(found.map(([name, version]) => `${name}: ${version}, here ${installed.get(name)}`), []);
  });

  test('has the libraries that the program links to', { skip: existsSync('/var/lib/dpkg/status') ? false : 'no Debian' }, () => {
    const libraries = execFileSync('ldd', [binary], { encoding: 'utf8' }).split('\n').map((line) => line.match(/=> (\/\S+)/)?.[1]).filter(Boolean);
    const needed = execFileSync('readelf', ['-d', binary], { encoding: 'utf8' });
    const direct = libraries.filter((path) => needed.includes(`[${path.split('/').pop()}]`) && !path.startsWith(root))
      .map((path) => `*/${path.split('/').slice(-2).join('/')}`);  // /lib may be /usr/lib
    const owners = execFileSync('dpkg-query', ['-S', ...direct], { encoding: 'utf8' }).split('\n').filter((line) => !line.startsWith('diversion'))
      .map((line) => line.split(':')[0]).filter(Boolean);
    assert.ok(owners.length > 5, String(owners));
    assert.deepEqual([...new Set(owners)].filter((name) => !isNamed(page, name)), []);
  });

  test('would be missed in each place', () => {
    for (const [change, said] of [
      [(text) => text.replaceAll('`ccache`', '`cache`'), "Debian's ccache is not there"],
      [(text) => text.replaceAll('`wfuzz`', ''), "Debian's wfuzz is not there"],
      [(text) => text.replace(/\n\| `jose` .*/, ''), "npm's jose 5.10.0 is not there"],
      [(text) => text.replace('`ajv` | 8', '`ajv` | 9'), "npm's ajv 8.20.0 is not there"],
      [(text) => text.replaceAll('3.22.1', '3.22.0'), 'node-llama-cpp 3.22.1 is not there'],
      [(text) => text.replace('`amplify-dynamodb-simulator` 2', ''), 'amplify-dynamodb-simulator 2.9.30 is not there'],
    ]) {
      assert.ok(missing(change(page)).includes(said), said);
    }
  });
});
