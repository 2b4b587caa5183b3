// W3C Trace Context: a client's trace goes on in the server's log and at the model's endpoint.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scripts } from './fake_upstream.mjs';
import { serverOfSuite } from './setup.mjs';

const kTrace = '0af7651916cd43dd8448eb211c80319c';
const kParent = 'b7ad6b7169203331';

describe('traces', () => {
  let server;
  let upstream;
  let alice;
  serverOfSuite({ upstream: true, args: ['--titles', 'prompt'] }, (made) => ({ server, upstream, alice } = made));

  const lineOf = (event, traceId, more = () => true) =>
    server.logged((line) => line.event === event && line.trace_id === traceId && more(line), `${event} of ${traceId}`);
  const generate = async (headers) => {
    const answer = await alice.post('/generate', { prompt: 'x' }, { headers, expect: 200 });
    return { answer, call: upstream.calls.at(-1) };
  };

  test('a trace goes on with the request, its turn and the model', async () => {
    const { answer, call } = await generate({ traceparent: `00-${kTrace}-${kParent}-01`, tracestate: 'rojo=1, congo=t61rcWkgMzE' });
    const [version, trace, span, flags] = call.headers.traceparent.split('-');
    assert.deepEqual([version, trace, flags], ['00', kTrace, '01']);
    assert.match(span, /^[0-9a-f]{16}$/);
    assert.notEqual(span, kParent);
    assert.equal(call.headers.tracestate, 'rojo=1,congo=t61rcWkgMzE');
    const request = await server.logged((line) => line.event === 'request' && line.request_id === answer.requestId, 'the request');
    assert.equal(request.trace_id, kTrace);
    assert.match(request.span_id, /^[0-9a-f]{16}$/);
    assert.notEqual(request.span_id, span);
    // The turn has a span of its own, which is the model's parent.
    await lineOf('conversation.created', kTrace, (line) => line.span_id === span);
    for (const role of ['user', 'assistant']) await lineOf('message.added', kTrace, (line) => line.span_id === span && line.role === role);
  });

  test('a turn that goes on without its client keeps the trace, also where it fails', async () => {
    const trace = '1'.repeat(32);
    upstream.next(scripts.status(500, {}), scripts.status(500, {}), scripts.status(500, {}));
    await alice.post('/generate', { prompt: 'x' }, { headers: { traceparent: `00-${trace}-${kParent}-00` }, expect: 503 });
    upstream.queue.length = 0;
    const sent = upstream.calls.at(-1).headers.traceparent;
    const failed = await lineOf('turn.failed', trace);
    assert.equal(sent, `00-${trace}-${failed.span_id}-00`);
    assert.equal((await lineOf('llm.upstream_failed', trace)).span_id, failed.span_id);
  });

  test('what is no valid trace is ignored, and a new one begun', async () => {
    const seen = new Set();
    for (const traceparent of [undefined, '', 'x', `00-${kTrace}-${kParent}`, `00-${kTrace.toUpperCase()}-${kParent}-01`,
                               `00-${'0'.repeat(32)}-${kParent}-01`, `00-${kTrace}-${'0'.repeat(16)}-01`, `ff-${kTrace}-${kParent}-01`,
                               `00-${kTrace}-${kParent}-01-more`]) {
      const { answer, call } = await generate({ ...(traceparent === undefined ? {} : { traceparent }), tracestate: 'a=1' });
      const trace = call.headers.traceparent.match(/^00-([0-9a-f]{32})-[0-9a-f]{16}-00$/)[1];
      assert.notEqual(trace, kTrace, traceparent);
      assert.ok(!seen.has(trace));
      seen.add(trace);
      assert.equal(call.headers.tracestate, undefined, traceparent);
      const request = await server.logged((line) => line.event === 'request' && line.request_id === answer.requestId, 'the request');
      assert.equal(request.trace_id, trace);
    }
  });

  test('a state that is not well-formed is dropped by itself', async () => {
    const { call } = await generate({ traceparent: `00-${kTrace}-${kParent}-01`, tracestate: 'a=1,B' });
    assert.ok(call.headers.traceparent.startsWith(`00-${kTrace}-`));
    assert.equal(call.headers.tracestate, undefined);
  });

  test('every request has a trace, also one that is refused', async () => {
    const { requestId } = await alice.get('/conversations/x', { expect: 404 });
    const line = await server.logOf(requestId);
    assert.match(line.trace_id, /^[0-9a-f]{32}$/);
    assert.match(line.span_id, /^[0-9a-f]{16}$/);
  });
});
