// An OpenAI-compatible endpoint that does as it is told: answers, stalls, cuts, garbles, refuses.
import http from 'node:http';

const kModel = 'test-model';

const chunk = (delta, finishReason = null) => ({
  id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1731000000, model: kModel,
  choices: [{ index: 0, delta, finish_reason: finishReason }],
});
const line = (value) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;

function beginStream(response) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  response.write(line(chunk({ role: 'assistant', content: '' })));
}
function writePieces(response, pieces) {
  for (const piece of pieces) response.write(line(chunk({ content: piece })));
}
function endStream(response, { finish = 'stop', usage = { prompt_tokens: 11, completion_tokens: 7 } } = {}) {
  response.write(line(chunk({}, finish)));
  if (usage) {
    const total = usage.prompt_tokens + usage.completion_tokens;
    response.write(line({ ...chunk({}), choices: [], usage: { ...usage, total_tokens: total } }));
  }
  response.end(line('[DONE]'));
}

// What the endpoint does with one call. Each takes (response, call).
export const scripts = {
  say: (pieces, ending) => (response) => {
    beginStream(response);
    writePieces(response, [pieces].flat());
    endStream(response, ending);
  },
  // Says `before`, waits for the gate, says `after`, ends.
  hold: (gate, before, after, ending) => async (response) => {
    beginStream(response);
    writePieces(response, [before].flat());
    await gate.opened;
    writePieces(response, [after].flat());
    endStream(response, ending);
  },
  // Says each piece when its gate opens.
  stepwise: (gates, pieces) => async (response) => {
    beginStream(response);
    for (const [i, piece] of pieces.entries()) {
      await gates[i].opened;
      writePieces(response, [piece]);
    }
    endStream(response);
  },
  // A pause between any two pieces.
  slow: (pieces, pauseMs) => async (response, call) => {
    beginStream(response);
    for (const piece of pieces) {
      if (call.closed) return;
      writePieces(response, [piece]);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    endStream(response);
  },
  stall: (pieces) => (response) => {
    beginStream(response);
    writePieces(response, [pieces].flat());
  },
  stallBeforeHead: () => () => {},
  cut: (pieces) => (response) => {
    beginStream(response);
    writePieces(response, [pieces].flat());
    setImmediate(() => response.socket?.destroy());
  },
  // Ends the body in order, but without a finish reason or [DONE].
  endEarly: (pieces) => (response) => {
    beginStream(response);
    writePieces(response, [pieces].flat());
    response.end();
  },
  status: (status, body, headers = {}) => (response) => {
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  },
  // Raw bytes of a body, one write each.
  bytes: (pieces, type = 'text/event-stream') => async (response) => {
    response.writeHead(200, { 'Content-Type': type });
    for (const piece of pieces) {
      response.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    response.end();
  },
};

// The stream of `scripts.say`, as bytes, to be cut up by a test.
export function streamBytes(pieces) {
  return Buffer.from([chunk({ role: 'assistant', content: '' }), ...pieces.map((content) => chunk({ content })),
                      chunk({}, 'stop')].map(line).join('') + line('[DONE]'));
}

class FakeUpstream {
  constructor() {
    this.calls = [];       // { path, headers, body, closed }
    this.queue = [];       // scripts for the next calls
    this.otherwise = scripts.say('ok');
    this.server = http.createServer((request, response) => this.#answer(request, response));
  }
  async listen() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}/v1`;
    return this;
  }
  // Flags of `colloquy serve` that use this endpoint, which is asked for answers alone.
  get flags() {
    return [...this.modelFlags, '--titles', 'prompt'];
  }
  // The same, with whatever else the server asks it for by default.
  get modelFlags() {
    return ['--model', 'openai', '--openai-base-url', this.url, '--openai-model', kModel];
  }
  next(...steps) {
    this.queue.push(...steps);
  }
  get lastMessages() {
    return this.calls.at(-1)?.body.messages;
  }
  async #answer(request, response) {
    const chunks = [];
    for await (const piece of request) chunks.push(piece);
    if (request.method !== 'POST' || request.url !== '/v1/chat/completions') {
      response.writeHead(404).end();
      return;
    }
    const call = { path: request.url, headers: request.headers, closed: false,
                   body: JSON.parse(Buffer.concat(chunks).toString('utf8')) };
    response.on('close', () => { call.closed = true; });
    response.on('error', () => {});
    this.calls.push(call);
    await (this.queue.shift() ?? this.otherwise)(response, call);
  }
  async close() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export const startFakeUpstream = () => new FakeUpstream().listen();
