// `colloquy cost`: the program's own figures are those of docs/cost.md, and the page's example is what it prints.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { onDynamoDb, removeFolder, runCommand, temporaryFolder } from './server.mjs';

const read = (name) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const page = read('docs/cost.md');

async function estimate(...args) {
  const { code, stdout, stderr } = await runCommand(['cost', '--json', ...args]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

// The units in a row of the page's first table.
function rowOf(name) {
  const line = page.split('\n').find((one) => one.startsWith(`| ${name} |`));
  assert.ok(line, name);
  const [write, index_write, readUnits] = line.split('|').slice(2, 5).map(Number);
  return { write, index_write, read: readUnits };
}

describe('colloquy cost', { skip: onDynamoDb }, () => {
  test('reckons with the units of the page', async () => {
    const { units } = await estimate();
    for (const length of ['2', '100', '10,000']) assert.deepEqual(units.turn, rowOf(`a turn in a conversation of ${length} messages`));
    assert.deepEqual(units.first_turn, rowOf('a first turn, which makes its conversation'));
    const long = await estimate('--answer-bytes', '2000');
    assert.deepEqual(long.units.turn, rowOf('a turn where answers have 2,000 bytes'));
    const opened = await estimate('--opens', '1', '--users', '1', '--messages', '2', '--conversations', '1');
    assert.equal(opened.first_month.lines.find(({ id }) => id === 'reads').quantity,
                 rowOf('a list of 50 conversations').read + rowOf('a conversation of 20 messages read').read);
    assert.ok(page.includes(`the item of a prompt is then\n${JSON.parse(read('bench/units.json')).prompt.item_bytes} bytes`));
  });

  test('reckons the dollars of the page, at the prices that it names', async () => {
    // A million messages in conversations that are there already.
    const of = async (...args) => (await estimate('--conversations', '0', ...args)).first_month;
    const month = await of();
    const cells = (name) => page.split('\n').find((line) => line.startsWith(`| ${name} |`)).split('|').slice(4, 6).map((cell) => cell.trim());
    const dollars = (value) => `$${value.toFixed(2)}`;
    const atDocument = (lines) => lines.reduce((sum, line) => sum + (line.price_of === 'a million' ? line.dollars_at_document_prices : 0), 0);
    assert.deepEqual([dollars(month.requests_dollars), dollars(atDocument(month.lines))], cells('**with them (the default)**'));
    const without = await of('--no-secondary-indexes');
    assert.deepEqual([dollars(without.requests_dollars), dollars(atDocument(without.lines))], cells('without secondary indexes'));
    const { prices } = await estimate();
    assert.ok(page.includes(`Prices: ${prices.name}, of ${prices.as_of}`));
    assert.equal(prices.as_of, JSON.parse(read('bench/prices.json')).current.as_of);
    assert.ok(page.includes(`| the messages | ${month.lines.find(({ id }) => id === 'storage').quantity.toFixed(2)} |`));
  });

  test('prints what the page shows', async () => {
    const [, command, shown] = page.match(/```sh\n(?:build\/release\/)?colloquy (cost[^\n]*)\n```\n\n```\n(.*?)```/s);
    const { code, stdout } = await runCommand(command.split(' '));
    assert.equal(code, 0);
    assert.equal(stdout, shown);
  });

  test('takes other prices, from a file of the form that the page shows', async (t) => {
    const folder = temporaryFolder();
    afterwards(t, () => removeFolder(folder));
    const file = join(folder, 'prices.json');
    const [, shown] = page.match(/```json\n(\{\n {2}"current".*?)```/s);
    writeFileSync(file, shown);
    const prices = JSON.parse(shown).current;
    const given = await estimate('--prices', file);
    assert.equal(given.prices.name, prices.name);
    const writes = given.first_month.lines.find(({ id }) => id === 'writes');
    assert.ok(Math.abs(writes.dollars - writes.quantity * prices.write_request_units_million / 1e6) < 1e-9, `${writes.dollars}`);
    assert.notEqual(given.document.tables_dollars, null);
  });

  test('refuses what it cannot reckon with, by name', async (t) => {
    const folder = temporaryFolder();
    afterwards(t, () => removeFolder(folder));
    const bad = join(folder, 'bad.json');
    writeFileSync(bad, '{"current": {"name": "x"}}');
    for (const [args, named] of [
      [['--users', '0'], /--users "0" must be between 1 and/],
      [['--users', 'many'], /--users "many" is not a number/],
      [['--users', '-5'], /--users "-5"/],
      [['--messages', '1e3'], /--messages "1e3"/],
      [['--conversations', '51'], /--conversations is at most half of --messages/],
      [['--prompt-bytes', '300001'], /--prompt-bytes "300001" must be between 1 and 300000/],
      [['--retention', '90'], /--retention "90" needs a unit/],
      [['--mode', 'reserved'], /--mode "reserved" must be on-demand or provisioned/],
      [['--utilization', '50'], /--utilization has no effect without --mode provisioned/],
      [['--mode', 'provisioned', '--utilization', '0'], /--utilization "0" must be between 1 and 100/],
      [['--pitr', 'yes'], /--pitr "yes" must be on or off/],
      [['--prices', join(folder, 'none.json')], /none\.json/],
      [['--prices', folder], /regular file|not a/],
      [['--prices', bad], /bad\.json: current has no as_of/],
      [['--user', '5'], /--user is not a setting/],
      [['10000'], /10000 is not a setting/],
    ]) {
      const { code, stdout, stderr } = await runCommand(['cost', ...args]);
      assert.equal(code, 1, `${args}: ${stdout}`);
      assert.match(stderr, named);
      assert.equal(stdout, '');
    }
  });

  test('prints figures that are numbers at every bound', async () => {
    for (const args of [['--users', '1', '--messages', '1'], ['--users', '1000000000', '--messages', '1000000', '--opens', '1000000'],
                        ['--retention', '1ms'], ['--retention', '3650d'], ['--mode', 'provisioned', '--users', '1', '--messages', '1'],
                        ['--prompt-bytes', '300000', '--answer-bytes', '300000', '--context-messages', '1000']]) {
      const { first_month: first, last_month: last, dollars_for_1000_turns: thousand } = await estimate(...args);
      for (const value of [first.total_dollars, last.total_dollars, thousand]) assert.ok(value > 0, String(args));
      assert.ok((await runCommand(['cost', ...args])).stdout.includes('total, '), String(args));
    }
  });
});
