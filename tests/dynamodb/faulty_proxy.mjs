// An HTTP proxy between a server and its tables that spoils chosen calls, each in one way.
import http from 'node:http';

const kSlowMs = 900;  // more than the servers of these tests wait for an answer

const problem = (type, message) => JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, message });

function refuse(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.0', 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function answer(response, { status, headers, body }) {
  response.writeHead(status, headers);
  response.end(body);
}

const reset = (response) => response.socket?.resetAndDestroy();

// What may happen to a call. Each takes (response, carryOut), where carryOut() does the call and returns its answer;
// `harmless`: nothing was done, or the whole answer comes in the end.
export const faults = {
  throttled: (response) => refuse(response, 400,
    problem('ProvisionedThroughputExceededException', 'The level of configured provisioned throughput was exceeded.')),
  failed: (response) => refuse(response, 500, problem('InternalServerError', 'Internal server error')),
  'done, then failed': async (response, carryOut) => {
    await carryOut();
    refuse(response, 500, problem('InternalServerError', 'Internal server error'));
  },
  reset: (response) => reset(response),
  'done, then reset': async (response, carryOut) => {
    await carryOut();
    reset(response);
  },
  'half an answer': async (response, carryOut) => {
    const { status, headers, body } = await carryOut();
    response.writeHead(status, headers);
    response.write(body.subarray(0, Math.floor(body.length / 2)), () => reset(response));
  },
  slow: async (response, carryOut) => {
    const done = await carryOut();
    await new Promise((resolve) => setTimeout(resolve, kSlowMs));
    if (!response.destroyed) answer(response, done);
  },
  garbled: async (response, carryOut) => {
    const { status, headers, body } = await carryOut();
    const spoiled = Buffer.from(body);
    spoiled[spoiled.length - 1] ^= 1;  // JSON no more, or another text than the checksum's
    answer(response, { status, headers, body: spoiled });
  },
};

// And to a batch of writes: one of them is done, the others are given back.
const kBatchFaults = {
  'not all processed': async (response, carryOut, { body }) => {
    const { RequestItems } = JSON.parse(body);
    const left = Object.fromEntries(Object.entries(RequestItems).map(([table, rows]) => [table, rows.slice(1)]).filter(([, rows]) => rows.length > 0));
    const few = Object.fromEntries(Object.entries(RequestItems).map(([table, rows]) => [table, rows.slice(0, 1)]));
    const { headers } = await carryOut(JSON.stringify({ RequestItems: few }));
    const answered = JSON.stringify({ UnprocessedItems: left });
    const { 'x-amz-crc32': _, ...others } = headers;
    answer(response, { status: 200, headers: { ...others, 'content-length': Buffer.byteLength(answered) }, body: answered });
  },
};
export const backgroundFaults = { ...faults, ...kBatchFaults };

class FaultyProxy {
  constructor(target) {
    this.target = new URL(target);
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
    this.calls = [];
    this.plan = undefined;
    this.server = http.createServer((request, response) => this.#serve(request, response));
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  // From now on: the `nth` call (from 1) for which `matches` holds suffers `fault`; with `lasting`, so does every
  // later one until heal(). Calls are counted anew.
  spoil(fault, nth, { lasting = false, matches = fromRequests } = {}) {
    this.calls = [];
    this.plan = { fault, nth, lasting, matches, met: 0 };
  }
  heal() {
    const met = this.plan?.met ?? 0;
    this.plan = undefined;
    return met;
  }
  // The calls since then that `matches`.
  count(matches = fromRequests) {
    return this.calls.filter(matches).length;
  }
  forget() {
    this.calls = [];
  }

  async close() {
    this.agent.destroy();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #serve(request, response) {
    const chunks = [];
    response.on('error', () => {});
    try {
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      const call = { operation: request.headers['x-amz-target']?.split('.')[1], body: body.toString() };
      this.calls.push(call);
      const fault = this.#faultOf(call);
      const carryOut = (instead = body) => this.#forward(request, instead);
      if (fault) await backgroundFaults[fault](response, carryOut, call);
      else answer(response, await carryOut());
    } catch {
      reset(response);
    }
  }

  #faultOf(call) {
    const { plan } = this;
    if (!plan?.matches(call)) return undefined;
    plan.met += 1;
    const hit = plan.lasting ? plan.met >= plan.nth : plan.met === plan.nth;
    return hit ? plan.fault : undefined;
  }

  #forward(request, body) {
    return new Promise((resolve, reject) => {
      const { hostname, port } = this.target;
      const headers = { ...request.headers, 'content-length': body.length };
      const options = { hostname, port, method: request.method, path: request.url, headers, agent: this.agent };
      const forwarded = http.request(options, (answered) => {
        const chunks = [];
        answered.on('data', (chunk) => chunks.push(chunk));
        answered.on('error', reject);
        answered.on('end', () => {
          const { 'transfer-encoding': _, connection, ...others } = answered.headers;
          const whole = Buffer.concat(chunks);
          resolve({ status: answered.statusCode, headers: { ...others, 'content-length': whole.length }, body: whole });
        });
      });
      forwarded.on('error', reject);
      forwarded.end(body);
    });
  }
}

// Not those that a server makes in the background: its looks through the records of erasures, of deletions and of long contents,
// and what follows.
export function fromRequests({ operation, body }) {
  if (/"(erase|looking|retention)#/.test(body)) return false;
  if (body.includes('"purge#')) {  // who takes up such a record asks that it is as it was
    return operation === 'PutItem' && (!body.includes('"ConditionExpression"') || body.includes('attribute_not_exists(#conversation_id)'));
  }
  if (body.includes('"parts#')) return operation !== 'Query';
  return operation !== 'BatchWriteItem' && !body.includes('#parts');
}

export const startFaultyProxy = (target) => new FaultyProxy(target).listen();
