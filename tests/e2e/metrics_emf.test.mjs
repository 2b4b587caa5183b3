// Metrics in the log, as CloudWatch takes them (--metrics-emf).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkEmfLine } from './emf.mjs';
import { onDynamoDb, startServer } from './server.mjs';
import { serverOfTest } from './setup.mjs';
import { until } from './wait.mjs';

const emfLines = (server) => server.stderr.slice(0, server.stderr.lastIndexOf('\n') + 1).split('\n')
  .filter((text) => text.includes('"_aws"'));

// The values of a metric on lines with these dimensions, whole or in part.
function told(lines, name, dimensions = {}) {
  return lines.filter((line) => Object.hasOwn(line, name) && Object.entries(dimensions).every(([key, value]) => line[key] === value))
    .map((line) => line[name]);
}
const sum = (values) => values.flat().reduce((all, value) => all + value, 0);

describe('metrics in the log', () => {
  test('every line is of the format, and together they tell what happened', async (t) => {
    const { server, alice } = await serverOfTest(t, { upstream: true, args: ['--metrics-emf', '--metrics-emf-interval', '1s', '--log-level', 'error'] });
    const { conversation_id: id } = await alice.createConversation();
    await alice.generate(id, 'x');
    await alice.get('/conversations/x', { expect: 404 });
    await alice.get('/health');
    const connections = () => told(emfLines(server).map(checkEmfLine), 'colloquy_http_connections');
    await until(() => connections().length >= 2, 'the second line');
    await alice.generate(id, 'y');
    await server.stop();
    const lines = emfLines(server).map(checkEmfLine);
    for (const line of lines) {
      assert.equal(line.event, 'metrics');
      assert.equal(line.Service, 'colloquy');
      assert.equal(line._aws.CloudWatchMetrics[0].Namespace, 'Colloquy');
      assert.ok(line._aws.CloudWatchMetrics[0].Dimensions[0].includes('Service'));
      assert.ok(Math.abs(Date.parse(line.time) - line._aws.Timestamp) < 5000, line.time);
    }
    const ofRequests = (status) => sum(told(lines, 'colloquy_http_requests_total', { status }));
    assert.equal(ofRequests('2xx'), 3);  // without the probe
    assert.equal(ofRequests('4xx'), 1);
    assert.equal(sum(told(lines, 'colloquy_turns_total', { outcome: 'stop' })), 2);
    assert.equal(sum(told(lines, 'colloquy_tokens_total', { kind: 'prompt' })), 22);
    assert.equal(sum(told(lines, 'colloquy_tokens_total', { kind: 'completion' })), 14);
    assert.equal(told(lines, 'colloquy_http_request_seconds', { requests: 'answers' }).flat().length, 2);
    assert.equal(told(lines, 'colloquy_http_request_seconds', { requests: 'others' }).flat().length, 2);
    assert.equal(told(lines, 'colloquy_turn_seconds').flat().length, 2);
    assert.ok(told(lines, 'process_resident_memory_bytes').every((bytes) => bytes > 1e6));
    if (onDynamoDb) assert.ok(sum(told(lines, 'colloquy_dynamodb_consumed_units_total', { kind: 'write' })) > 0);
    else assert.ok(told(lines, 'colloquy_store_commit_seconds').flat().length > 0);
    assert.ok(!lines.some((line) => Object.values(line).includes('alice') || Object.values(line).includes(id)));
  });

  test('a server that ends before the first interval has told all the same', async (t) => {
    const { server, alice } = await serverOfTest(t, { args: ['--metrics-emf', '--metrics-emf-interval', '1h', '--metrics-emf-service', 'chat/test'] });
    await alice.createConversation();
    await server.stop();
    const lines = emfLines(server).map(checkEmfLine);
    assert.equal(sum(told(lines, 'colloquy_http_requests_total', { status: '2xx', Service: 'chat/test' })), 1);
    assert.equal(told(lines, 'colloquy_http_connections').length, 1);
  });

  test('there are none unless they are asked for, and a setting that would be ignored is refused', async (t) => {
    const { server, alice } = await serverOfTest(t, {});
    await alice.createConversation();
    await server.stop();
    assert.deepEqual(emfLines(server), []);
    await assert.rejects(startServer({ args: ['--metrics-emf-interval', '5s'] }), /--metrics-emf-interval has no effect without --metrics-emf/);
    await assert.rejects(startServer({ args: ['--metrics-emf', '--metrics-emf-interval', '10ms'] }), /between 1s and 1h/);
  });

  test('the check sees mistakes', () => {
    const good = () => ({
      _aws: { Timestamp: 1731000000000, CloudWatchMetrics: [{ Namespace: 'N', Dimensions: [['Service'], []], Metrics: [{ Name: 'm', Unit: 'Count' }, { Name: 'a', StorageResolution: 1 }] }] },
      Service: 's', m: 1, a: [1, 2.5], other: { any: 'thing' },
    });
    checkEmfLine(JSON.stringify(good()));
    const directive = (line) => line._aws.CloudWatchMetrics[0];
    const mistakes = {
      'no _aws': (line) => delete line._aws,
      'no time': (line) => delete line._aws.Timestamp,
      'a time in seconds': (line) => { line._aws.Timestamp = 1731000000; },
      'a time as text': (line) => { line._aws.Timestamp = '1731000000000'; },
      'no directives': (line) => delete line._aws.CloudWatchMetrics,
      'directives that are no array': (line) => { line._aws.CloudWatchMetrics = directive(line); },
      'a member too many in a directive': (line) => { directive(line).Version = 1; },
      'no namespace': (line) => delete directive(line).Namespace,
      'no dimensions': (line) => delete directive(line).Dimensions,
      'dimensions that are not sets': (line) => { directive(line).Dimensions = ['Service']; },
      'a dimension without its member': (line) => delete line.Service,
      'a dimension that is a number': (line) => { line.Service = 1; },
      'an empty dimension': (line) => { line.Service = ''; },
      'too many dimensions': (line) => {
        directive(line).Dimensions = [Array.from({ length: 31 }, (_, i) => `d${i}`)];
        for (let i = 0; i < 31; ++i) line[`d${i}`] = 'x';
      },
      'too many metrics': (line) => {
        directive(line).Metrics = Array.from({ length: 101 }, (_, i) => ({ Name: `m${i}` }));
        for (let i = 0; i < 101; ++i) line[`m${i}`] = 1;
      },
      'a unit that there is not': (line) => { directive(line).Metrics[0].Unit = 'seconds'; },
      'a resolution that there is not': (line) => { directive(line).Metrics[0].StorageResolution = 10; },
      'a metric twice': (line) => directive(line).Metrics.push({ Name: 'm' }),
      'a metric without its member': (line) => delete line.m,
      'a metric that is text': (line) => { line.m = '1'; },
      'a metric that is null': (line) => { line.m = null; },
      'a metric that is an object': (line) => { line.m = { Values: [1], Counts: [1] }; },
      'no values': (line) => { line.a = []; },
      'too many values': (line) => { line.a = Array(101).fill(1); },
      'a value that is text': (line) => { line.a = [1, 'x']; },
      'a number that is too large': (line) => { line.m = 1e300; },
      'a line that is too long': (line) => { line.other = 'x'.repeat(1024 * 1024); },
    };
    for (const [what, make] of Object.entries(mistakes)) {
      const line = good();
      make(line);
      assert.throws(() => checkEmfLine(JSON.stringify(line)), undefined, what);
    }
  });
});
