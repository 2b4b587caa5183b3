// A client that believes nothing: every answer is held to openapi.yaml.
import assert from 'node:assert/strict';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { contract } from './contract.mjs';
import { readEvents } from './event_stream.mjs';

// The status that a call must have: a number, a list of numbers, or nothing (then anything below 500).
function checkStatus(answer, expected, where) {
  const shown = `${where} -> ${answer.status} ${answer.text.slice(0, 400)}`;
  if (expected === undefined) assert.ok(answer.status < 500, shown);
  else assert.ok([expected].flat().includes(answer.status), `expected ${expected}: ${shown}`);
}

class Answer {
  constructor({ status, headers, text, json, url }) {
    Object.assign(this, { status, headers, text, json, url });
  }
  header(name) {
    return this.headers.get(name.toLowerCase()) ?? undefined;
  }
  get requestId() {
    return this.header('x-request-id');
  }
  get etag() {
    return this.header('etag');
  }
  // Path and query of the neighbouring page; undefined when there is none.
  link(relation) {
    const link = (this.header('link') ?? '').split(/,\s*(?=<)/).find((part) => part.includes(`rel="${relation}"`));
    if (!link) return undefined;
    const url = new URL(link.match(/^<([^>]*)>/)[1], this.url);
    return url.pathname + url.search;
  }
  // The names of the fields that a 422 complains of.
  get fields() {
    return (this.json?.errors ?? []).map((error) => error.field);
  }
}

export class Client {
  constructor({ baseUrl, token }) {
    Object.assign(this, { baseUrl, token });
  }

  as(token) {
    return new Client({ baseUrl: this.baseUrl, token });
  }

  // options: query (object), json (any) or body (string, Buffer), contentType, headers, expect, signal.
  async call(method, path, options = {}) {
    const sent = this.#prepare(method, path, options);
    const response = await fetch(sent.url, sent.init);
    const head = contract.checkHead({ method, pathname: sent.url.pathname, status: response.status,
                                      headers: response.headers });
    const text = decodeUtf8(await response.arrayBuffer());
    const about = { method, status: response.status, headers: response.headers, text };
    const json = contract.mediaType(response.headers) === 'text/event-stream'
      ? await checkWholeStream(head, text) : contract.checkBody(head, about);
    const answer = new Answer({ ...about, json, url: sent.url });
    checkStatus(answer, options.expect, `${method} ${path}`);
    if (answer.status < 300 && options.json !== undefined) {
      contract.checkAcceptedBody(head.operation, sent.init.headers['Content-Type'], options.json);
    }
    return answer;
  }

  get(path, options) { return this.call('GET', path, options); }
  post(path, json, options) { return this.call('POST', path, { json, ...options }); }
  put(path, json, options) { return this.call('PUT', path, { json, ...options }); }
  patch(path, json, options) { return this.call('PATCH', path, { json, ...options }); }
  delete(path, options) { return this.call('DELETE', path, options); }

  // Opens an event stream. `for await` over the result gives the events, each checked; comments are counted.
  async stream(path, json, options = {}) {
    return this.#open('POST', path, { json, ...options });
  }

  // Follows the user's events, from after the event `last` on where it is given.
  async followEvents({ last, ...options } = {}) {
    const headers = last === undefined ? {} : { 'Last-Event-ID': last };
    return this.#open('GET', '/events', { headers, ...options });
  }

  async #open(method, path, options) {
    const sent = this.#prepare(method, path, options);
    const response = await fetch(sent.url, sent.init);
    const head = contract.checkHead({ method, pathname: sent.url.pathname, status: response.status,
                                      headers: response.headers });
    if (contract.mediaType(response.headers) !== 'text/event-stream') {
      assert.fail(`not a stream: ${response.status} ${await response.text()}`);
    }
    return new EventStream(head, response);
  }

  // Follows an answer that is made, or was. `had`: what the client has of its text already, to go on from there.
  async follow(conversationId, messageId, { had, signal, headers: more = {}, expect = 200 } = {}) {
    const path = generationPath(conversationId, messageId);
    const headers = { Accept: 'text/event-stream', ...more };
    if (had !== undefined) headers['Last-Event-ID'] = String(Buffer.byteLength(had, 'utf8'));
    const sent = this.#prepare('GET', path, { headers, signal });
    const response = await fetch(sent.url, sent.init);
    const head = contract.checkHead({ method: 'GET', pathname: path, status: response.status, headers: response.headers });
    if (contract.mediaType(response.headers) !== 'text/event-stream') {
      const text = await response.text();
      assert.equal(response.status, expect, text);
      return undefined;
    }
    return new EventStream(head, response, had);
  }

  async generation(conversationId, messageId, options = { expect: 200 }) {
    return (await this.get(generationPath(conversationId, messageId), options)).json;
  }
  async cancel(conversationId, messageId, options = { expect: 200 }) {
    return (await this.delete(generationPath(conversationId, messageId), options)).json;
  }

  #prepare(method, path, { query, json, body, contentType, headers = {}, signal }) {
    const url = new URL(path, this.baseUrl);
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.append(name, value);
    const all = { ...headers };
    if (this.token !== undefined) all.Authorization ??= `Bearer ${this.token}`;
    if (json !== undefined) {
      body = JSON.stringify(json);
      contentType ??= 'application/json';
    }
    if (contentType) all['Content-Type'] = contentType;
    return { url, init: { method, headers: all, body, signal, redirect: 'manual' } };
  }

  // Shorthands for what most tests begin with.
  async createConversation(fields = {}) {
    return (await this.post('/conversations', fields, { expect: 201 })).json;
  }
  async append(conversationId, content, fields = {}) {
    return (await this.post(`/conversations/${conversationId}/messages`, { content, ...fields }, { expect: 201 })).json;
  }
  async conversation(conversationId) {
    return (await this.get(`/conversations/${conversationId}`, { expect: 200 })).json;
  }
  async generate(conversationId, prompt, fields = {}) {
    const query = conversationId ? { conversation_id: conversationId } : {};
    return (await this.post('/generate', { prompt, ...fields }, { query, expect: 200 })).json;
  }
}

export const generationPath = (conversationId, messageId) =>
  `/conversations/${conversationId}/generations/${messageId}`;

class EventStream {
  #events;
  constructor(head, response, had) {
    this.response = response;  // kept: fetch cancels the body of a response that is garbage
    this.status = response.status;
    this.headers = response.headers;
    this.comments = 0;
    this.#events = this.#read(head, response.body, had);
  }
  async *#read(head, body, had) {
    const checker = contract.eventChecker(head, had);
    for await (const event of readEvents(body)) {
      if (event.comment !== undefined) {
        this.comments += 1;
        continue;
      }
      checker.check(event);
      yield event;
    }
    checker.end();
  }
  [Symbol.asyncIterator]() {
    return this.#events;
  }
  // The next event; fails when the stream has ended.
  async next() {
    const { value, done } = await this.#events.next();
    assert.ok(!done, 'the stream has ended');
    return value;
  }
  async collect() {
    const events = [];
    for await (const event of this.#events) events.push(event);
    return events;
  }
}

async function checkWholeStream(head, text) {
  const checker = contract.eventChecker(head);
  const events = [];
  for await (const event of readEvents([Buffer.from(text)])) {
    if (event.comment !== undefined) continue;
    checker.check(event);
    events.push(event);
  }
  checker.end();
  return events;
}

const decodeUtf8 = (bytes) => new TextDecoder('utf-8', { fatal: true }).decode(bytes);

// Below fetch: for what fetch hides (HEAD's length, Content-Encoding, connections, TLS, odd targets).
// Returns { status, headers (a Map), bytes }, unchecked where `check` is false.
export function rawRequest(baseUrl, method, target, { headers = {}, body, agent, ca, check = true } = {}) {
  const url = new URL(baseUrl);
  const module = url.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const options = { host: url.hostname, port: url.port, method, path: target, headers, agent, ca };
    const request = module.request(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        try {
          resolve(toRawAnswer(method, target, response, Buffer.concat(chunks), check));
        } catch (error) {
          reject(error);
        }
      });
    });
    request.on('error', reject);
    if (Array.isArray(body)) for (const piece of body) request.write(piece);
    request.end(Array.isArray(body) ? undefined : body);
  });
}

function toRawAnswer(method, target, response, bytes, check) {
  const headers = new Map(Object.entries(response.headers).map(([name, value]) => [name, String(value)]));
  const answer = { status: response.statusCode, headers, bytes };
  if (check) {
    const pathname = target.split('?')[0];
    const head = contract.checkHead({ method, pathname, status: answer.status, headers });
    if (!headers.has('content-encoding')) {
      contract.checkBody(head, { method, status: answer.status, headers, text: decodeUtf8(bytes) });
    }
  }
  return answer;
}

// Sends bytes as they are, in pieces where there are several, half-closes, and returns all that comes back until the server closes.
export function rawSocket(baseUrl, bytes, { timeoutMs = 60_000, end = true } = {}) {
  const url = new URL(baseUrl);
  return new Promise((resolve, reject) => {
    const chunks = [];
    const socket = net.connect({ port: Number(url.port), host: url.hostname, noDelay: true }, async () => {
      for (const [i, piece] of [bytes].flat().entries()) {
        if (i > 0) await sleep(100);
        socket.write(piece);
      }
      if (end) socket.end();
    });
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('the server does not answer')));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', (error) => (error.code === 'ECONNRESET' || error.code === 'EPIPE' ? undefined : reject(error)));
    socket.on('close', () => resolve(Buffer.concat(chunks)));
  });
}

// Every page that the Link header of `relation` leads to, the first one too.
export async function followPages(client, path, relation) {
  const pages = [];
  for (let next = path; next; ) {
    const answer = await client.get(next, { expect: 200 });
    pages.push(answer.json);
    assert.ok(pages.length < 10_000, 'the pages never end');
    next = answer.link(relation);
  }
  return pages;
}
