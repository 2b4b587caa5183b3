// What README.md and docs/api.md tell people to paste works, and answers as they show.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { afterwards } from './cleanup.mjs';
import { readEvents } from './event_stream.mjs';
import { binary, cleanEnvironment, embeddedOnly, removeFolder, temporaryFolder } from './server.mjs';
import { serverOfTest } from './setup.mjs';

const run = promisify(execFile);
const kMark = '=== end of block';

// The commands of a page in their order, each with the answer that the page shows for it, if it does.
// Those that build or start something (./run, ./test) are not for this test.
function blocksOf(page) {
  const fences = [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({ language, text }));
  const blocks = [];
  fences.forEach(({ language, text }, i) => {
    if (language !== 'sh' || text.startsWith('./')) return;
    const next = fences[i + 1];
    blocks.push({ command: text, shown: next?.language === '' ? next.text : undefined, index: i });
  });
  return blocks;
}

// Pastes all of them into one shell; returns what each has printed.
async function paste(blocks, server, folder) {
  const here = (text) => text.replaceAll('http://127.0.0.1:8080', server.baseUrl)
    .replaceAll('build/release/colloquy', binary).replaceAll('./data', server.data);
  const script = blocks.map(({ command }) => `${here(command)}\nprintf '\\n%s\\n' '${kMark}'\n`).join('');
  const { stdout } = await run('bash', ['-c', `set -euo pipefail\n${script}`], { timeout: 120_000, env: cleanEnvironment(), cwd: folder });
  return stdout.split(`\n${kMark}\n`).slice(0, -1);
}

// Ids and times differ from run to run; the same id shown twice must be the same id twice.
function withoutChance(text) {
  const ids = [];
  const nameOf = (id) => `id-${ids.includes(id) ? ids.indexOf(id) : ids.push(id) - 1}`;
  return text.replaceAll('\r', '').replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, nameOf).replace(/\b[12]\d{9}\b/g, '1700000000')
    .replace(/"score":[\d.]+/g, '"score":1').replace(/(etag":"\\")[0-9a-f]{32}/g, '$1tag');
}

// Pages fold long lines and leave parts of texts out (…).
const folded = (text) => text.replace(/\s*\n\s*/g, ' ').trim();
const unfold = (text) => JSON.parse(folded(text).replace(/([{[,]) (?=["{[\]}])/g, '$1'));

function assertLike(real, shown, where) {
  if (typeof shown === 'string' && shown.includes('…')) {
    const pieces = shown.split('…').map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    assert.match(real, new RegExp(`^${pieces.join('[^]*')}$`), where);
  } else if (shown !== null && typeof shown === 'object') {
    assert.deepEqual(Object.keys(real), Object.keys(shown), where);
    for (const key of Object.keys(shown)) assertLike(real[key], shown[key], `${where}.${key}`);
  } else {
    assert.deepEqual(real, shown, where);
  }
}

async function eventsOf(text) {
  const events = [];
  for await (const event of readEvents([Buffer.from(`${text.trimEnd()}\n\n`)])) events.push(event);
  return events;
}

// A page shows a stream up to some place. What is said together, in one event, depends on the time it takes.
async function assertStream(real, shown, where) {
  const [realStart, ...realEvents] = await eventsOf(real);
  const [shownStart, ...shownEvents] = await eventsOf(shown);
  assert.deepEqual(realStart, shownStart, where);
  let text = '';
  for (const { name, id, data } of shownEvents) {
    assert.equal(name, 'token', where);
    text += data.text;
    assert.equal(Number(id), Buffer.byteLength(text), where);
  }
  assert.equal(realEvents.at(-1).name, 'done', where);
  assert.ok(realEvents.at(-1).data.generated_text.startsWith(text), `${where}:\n${real}`);
}

async function assertAnswer(real, shown, where) {
  if (shown.startsWith('event: ready')) {
    assert.deepEqual(await eventsOf(real), await eventsOf(shown), where);
    return;
  }
  if (shown.startsWith('event: ')) {
    await assertStream(real, shown, where);
    return;
  }
  if (!shown.includes('{')) {  // a piece of an answer on each line
    assert.equal(folded(real), folded(shown), where);
    return;
  }
  const parts = (text) => text.match(/^([^]*?)(HTTP\/1\.1 [^]*?)\n\n([^]*)$/) ?? [text, text, '', ''];
  const [, realFirst, realHead, realBody] = parts(real);
  const [, shownFirst, shownHead, shownBody] = parts(shown);
  for (const line of shownHead.split('\n')) assert.ok(realHead.split('\n').includes(line), `${where}: ${line} in\n${realHead}`);
  for (const [one, other] of [[realFirst, shownFirst], [realBody, shownBody]]) {
    if (other.trim()) assertLike(JSON.parse(one), unfold(other), where);
  }
}

describe('the pages', () => {
  for (const name of ['README.md', 'docs/api.md']) {
    test(`the commands of ${name} work as pasted, and answer as it shows`, embeddedOnly('the pages start it'), async (t) => {
      const page = readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
      // Of one server; what needs another is docs_data.test.mjs's.
      const blocks = blocksOf(page.split('<!-- terminal of its own -->').slice(0, 2).join(''));
      assert.ok(blocks.filter(({ command }) => /curl/.test(command)).length >= 4, 'the commands are not found');
      const { server } = await serverOfTest(t, { users: [] });
      const folder = temporaryFolder();
      afterwards(t, () => removeFolder(folder));
      const printed = await paste(blocks, server, folder);
      assert.equal(printed.length, blocks.length);
      for (const [i, { command, shown }] of blocks.entries()) {
        if (shown) await assertAnswer(withoutChance(printed[i]).trim(), withoutChance(shown).trim(), `after\n${command}\nit says`);
        else if (/^curl/.test(command)) assert.ok(printed[i].trim().length > 0, command);
      }
    });
  }
});
