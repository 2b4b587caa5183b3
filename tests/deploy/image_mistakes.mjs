// Deliberate mistakes that the checks of the image and of its list of contents have to catch: what is changed, and what is then said.
export const imageMistakes = [
  [(facts) => { facts.config.User = ''; }, /the user/],
  [(facts) => { facts.config.User = '0:0'; }, /the user/],
  [(facts) => { facts.config.Cmd[1] = '--listen=127.0.0.1:8080'; }, /the command/],
  [(facts) => { facts.config.Cmd = facts.config.Cmd.map((arg) => arg.replace('=127.0.0.1:9464', '=0.0.0.0:9464')); }, /the admin listener/],
  [(facts) => { delete facts.config.Volumes['/app/user_data']; }, /the volumes/],
  [(facts) => { facts.config.ExposedPorts['9464/tcp'] = {}; }, /the ports/],
  [(facts) => { delete facts.config.Healthcheck; }, /the check of health/],
  [(facts) => { facts.config.StopSignal = 'SIGKILL'; }, /the signal/],
  [(facts) => { delete facts.config.Labels['org.opencontainers.image.version']; }, /no label version/],
  [(facts) => { facts.config.Env.push('COLLOQUY_TOKEN_KEY=abc'); }, /a secret/],
  [(facts) => { facts.megabytes = 500; }, /500 MB/],
  [(facts) => { facts.rootMakers.push('/usr/bin/su'); }, /another user/],
  [(facts) => { facts.ownedByUser.push('/usr/bin/colloquy'); }, /may write to/],
  [(facts) => { facts.leftBehind.push('/tmp/colloquy.deb'); }, /left behind/],
  [(facts) => { facts.programs.push('/usr/bin/g++'); }, /no place/],
];

const without = (list, name) => { list.packages = list.packages.filter((one) => one.name !== name); };
export const sbomMistakes = [
  [(list) => without(list, 'librocksdb7.8'), /librocksdb7.8 .*is not listed/],
  [(list) => without(list, 'libboost1.81-dev'), /libboost1.81-dev is not listed/],
  [(list) => { list.packages[2].versionInfo = '0'; }, /is not listed/],
  [(list) => { delete list.packages[2].downloadLocation; }, /downloadLocation/],
  [(list) => { list.packages[2].SPDXID = list.packages[3].SPDXID; }, /twice/],
  [(list) => { list.packages[2].SPDXID = 'libc 6'; }, /is no id/],
  [(list) => { list.packages[2].externalRefs[0].referenceLocator = 'pkg:deb/debian/g++@1:2'; }, /no package URL/],
  [(list) => { list.relationships.pop(); }, /is in no relation/],
  [(list) => { list.spdxVersion = 'SPDX-3'; }, /SPDX-2.3/],
  [(list) => { list.creationInfo.created = 'today'; }, /nobody made it/],
];
