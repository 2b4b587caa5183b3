// Servers for tests, ended with the test or the suite that asked for them.
//
// options: those of startServer; upstream: true for a scripted model beside it; users: whose clients to make.
// What is made: { server, upstream, alice, … }, with a client under each user's name.
import { after, before } from 'node:test';
import { afterwards, undoAll } from './cleanup.mjs';
import { startFakeUpstream } from './fake_upstream.mjs';
import { startServer } from './server.mjs';

// For one test.
export function serverOfTest(t, options) {
  return make(options, (undo) => afterwards(t, undo));
}

// For all tests of the suite that is being described; `ready` gets what was made before the first of them.
export function serverOfSuite(options, ready) {
  const steps = [];
  before(async () => ready(await make(options, (undo) => steps.push(undo))));
  after(() => undoAll(steps));
}

async function make({ upstream = false, users = ['alice'], args = [], ...others } = {}, later) {
  const made = {};
  if (upstream) {
    made.upstream = await startFakeUpstream();
    later(() => made.upstream.close());
  }
  made.server = await startServer({ args: [...(made.upstream?.flags ?? []), ...args], ...others });
  later(() => made.server.close());
  for (const user of users) made[user] = await made.server.client(user);
  return made;
}
