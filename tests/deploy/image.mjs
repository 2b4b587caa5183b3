// What must hold of the container image: what it says of itself, and what is in it.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { baseArchive, call } from './machine.mjs';

// The user that the chart's security context names too.
export const kUser = 10001;
// Megabytes, unpacked, beyond Debian's own.
const kMegabytesMax = 80;

export async function factsOf(root, config) {
  const find = async (...args) => (await call('find', args)).split('\n').filter(Boolean).map((path) => path.replace(root, ''));
  return {
    config,
    megabytes: Number((await call('du', ['-sm', '--apparent-size', root])).split('\t')[0]) - statSync(baseArchive).size / (1 << 20),
    rootMakers: await find(root, '-xdev', '-type', 'f', '-perm', '/6000'),
    ownedByUser: await find(root, '-xdev', '-user', String(kUser)),
    leftBehind: await find(join(root, 'tmp'), join(root, 'var/lib/apt/lists'), '-type', 'f'),
    programs: await find(join(root, 'usr/bin'), join(root, 'usr/local/bin'), '(', '-name', 'g++*', '-o', '-name', 'cmake*', '-o', '-name', 'curl', '-o', '-name', 'sbom', ')'),
  };
}

export function imageErrors({ config, megabytes, rootMakers, ownedByUser, leftBehind, programs }) {
  const errors = [];
  const expect = (actual, wanted, what) => {
    if (!isDeepStrictEqual(actual, wanted)) errors.push(`${what}: ${JSON.stringify(actual)}`);
  };
  expect(config.User, `${kUser}:${kUser}`, 'the user');
  expect(config.Entrypoint, ['/usr/bin/colloquy'], 'the entry point');
  expect(config.Cmd?.slice(0, 2), ['serve', '--listen=0.0.0.0:8080'], 'the command');
  expect(config.Cmd?.filter((arg) => /^--(admin-listen|data|files)=/.test(arg)),
         ['--admin-listen=127.0.0.1:9464', '--data=/var/lib/colloquy/data', '--files=/app/user_data'], 'the folders and the admin listener');
  expect(Object.keys(config.Volumes ?? {}).sort(), ['/app/user_data', '/var/lib/colloquy'], 'the volumes');
  expect(Object.keys(config.ExposedPorts ?? {}), ['8080/tcp'], 'the ports');
  expect(config.Healthcheck?.Test, ['CMD', '/usr/local/bin/healthcheck'], 'the check of health');
  expect(config.StopSignal, 'SIGTERM', 'the signal to stop');
  for (const name of ['title', 'description', 'licenses', 'version', 'revision', 'created']) {
    if (!config.Labels?.[`org.opencontainers.image.${name}`]) errors.push(`no label ${name}`);
  }
  if (config.Env?.some((one) => /KEY|TOKEN|SECRET|PASSWORD/.test(one))) errors.push('a secret in its environment');
  if (!(megabytes < kMegabytesMax)) errors.push(`${megabytes} MB beside Debian's own`);
  for (const path of rootMakers) errors.push(`${path} makes whoever runs it another user`);
  expect(ownedByUser.sort(), ['/app/user_data', '/var/lib/colloquy'], 'what the server may write to');
  for (const path of leftBehind) errors.push(`${path} was left behind`);
  for (const path of programs) errors.push(`${path} has no place in it`);
  return errors;
}
