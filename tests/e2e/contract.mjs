// Holds an answer to openapi.yaml: its path, method, status, headers, body and events.
// Every client of the tests goes through here, so nothing the server says is left unchecked.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

const kDocumentPath = fileURLToPath(new URL('../../openapi.yaml', import.meta.url));
const kMethods = ['get', 'put', 'post', 'patch', 'delete'];

export class ContractViolation extends Error {
  constructor(message) {
    super(message);
    this.name = 'ContractViolation';
  }
}

function violation(where, problem) {
  throw new ContractViolation(`${where}: ${problem}`);
}

// The events of a stream that goes on for ever; a turn's begin with `start`.
const isLive = (events) => events !== undefined && events.start === undefined;

const escapePointer = (part) => part.replaceAll('~', '~0').replaceAll('/', '~1');

class Contract {
  constructor(path) {
    this.document = parse(readFileSync(path, 'utf8'));
    this.ajv = new Ajv2020({ allErrors: false, strict: true, strictTypes: false, strictRequired: false, allowUnionTypes: true });
    addFormats.default(this.ajv);
    this.ajv.addFormat('int32', true).addFormat('int64', true);
    this.ajv.addVocabulary(['example']);
    // The document is itself the root that its schemas refer to.
    this.ajv.addVocabulary(['openapi', 'info', 'servers', 'security', 'tags', 'paths', 'components']);
    this.ajv.addKeyword({
      keyword: 'x-max-bytes',
      type: 'string',
      schemaType: 'number',
      validate: (limit, text) => Buffer.byteLength(text, 'utf8') <= limit,
    });
    this.ajv.addSchema(this.document, 'openapi', undefined, false);
    this.paths = Object.entries(this.document.paths).map(([template, item]) => ({
      template,
      pointer: `/paths/${escapePointer(template)}`,
      segments: template.split('/'),
      item,
      methods: kMethods.filter((method) => item[method]),
      rest: (item.parameters ?? []).some((parameter) => this.resolve(parameter).value['x-takes-slashes']),
    }));
  }

  // Every operation: { method, template, operation, parameters, open, endless }, the last where its answer never ends.
  operations() {
    return this.paths.flatMap((path) => path.methods.map((method) => this.#describe(path, method)));
  }

  // The query that an operation cannot do without, as the document's examples have it: pairs of name and value.
  requiredQuery({ parameters }) {
    return parameters.filter(({ in: place, required }) => place === 'query' && required).map(({ name, example }) => [name, String(example)]);
  }

  #describe(path, method) {
    const operation = path.item[method];
    const parameters = [...(path.item.parameters ?? []), ...(operation.parameters ?? [])].map(
      (parameter) => this.resolve(parameter).value);
    const open = (operation.security ?? this.document.security).length === 0;
    const endless = isLive(operation.responses['200']?.content?.['text/event-stream']?.['x-server-sent-events']);
    return { method: method.toUpperCase(), template: path.template, operation, parameters, open, endless,
             pointer: `${path.pointer}/${method}` };
  }

  // Follows a $ref. Returns the value and its place in the document.
  resolve(value, pointer = '') {
    if (!value?.$ref) return { value, pointer };
    const target = value.$ref.slice(1);
    let found = this.document;
    for (const part of target.split('/').slice(1)) {
      found = found[part.replaceAll('~1', '/').replaceAll('~0', '~')];
    }
    return this.resolve(found, target);
  }

  #validator(pointer) {
    const encoded = pointer.split('/').map(encodeURIComponent).join('/');
    const validate = this.ajv.getSchema(`openapi#${encoded}`);
    if (!validate) throw new Error(`no schema at ${pointer}`);
    return validate;
  }

  validate(pointer, value, where) {
    const validate = this.#validator(pointer);
    if (!validate(value)) {
      const shown = JSON.stringify(value) ?? String(value);
      violation(where, `${this.ajv.errorsText(validate.errors)} in ${shown.slice(0, 600)}`);
    }
  }

  accepts(pointer, value) {
    return this.#validator(pointer)(value);
  }

  // The path of the contract that a URL's path matches; undefined when there is none.
  findPath(pathname) {
    const segments = pathname.split('/');
    const matches = this.paths.filter((path) =>
      (path.rest ? path.segments.length <= segments.length : path.segments.length === segments.length) &&
      path.segments.every((part, i) => (part.startsWith('{') ? segments[i] !== '' : part === segments[i])));
    const fixed = (path) => path.segments.filter((part) => !part.startsWith('{')).length;
    return matches.sort((a, b) => fixed(b) - fixed(a))[0];
  }

  findOperation(method, pathname) {
    const path = this.findPath(pathname);
    const wanted = method === 'HEAD' ? 'get' : method.toLowerCase();
    return path && path.methods.includes(wanted) ? this.#describe(path, wanted) : undefined;
  }

  // `headers` is a Map-like with get(lower-case name). Returns { media, operation } for the body's checks.
  checkHead({ method, pathname, status, headers }) {
    const where = `${method} ${pathname} -> ${status}`;
    this.#checkHeader(where, 'X-Request-Id', { $ref: '#/components/headers/RequestId' }, headers);
    const path = this.findPath(pathname);
    const operation = this.findOperation(method, pathname);
    if (!operation) return { where, response: this.#responseOutside(where, method, path, status, headers) };

    const listed = operation.operation.responses[status];
    if (!listed) violation(where, 'a status that the contract does not list');
    const response = this.resolve(listed, `${operation.pointer}/responses/${status}`);
    for (const [name, header] of Object.entries(response.value.headers ?? {})) {
      this.#checkHeader(where, name, header, headers);
    }
    return { where, operation, response };
  }

  // What every path answers, though no operation lists it: OPTIONS, 405, and 404 off the map.
  #responseOutside(where, method, path, status, headers) {
    const shared = (name) => this.resolve({ $ref: `#/components/responses/${name}` });
    if (status === 401) return shared('Unauthenticated');
    if (status === 400) return shared('Malformed');
    if (status === 413) return shared('TooLarge');
    if (status === 429) return shared('Throttled');
    if (!path) {
      if (method === 'OPTIONS' && status === 204) return { value: {} };
      if (status === 404) return shared('NotFound');
      violation(where, 'the path is not in the contract');
    }
    const allowed = path.methods.map((name) => name.toUpperCase());
    if (path.methods.includes('get')) allowed.push('HEAD');
    allowed.push('OPTIONS');
    if (method === 'OPTIONS') {
      if (status !== 204) violation(where, 'OPTIONS must be 204');
      if (!headers.get('access-control-allow-methods')) this.#checkAllow(where, allowed, headers);
      return { value: {} };
    }
    if (status !== 405) violation(where, 'a method that the contract does not list must be 405');
    this.#checkAllow(where, allowed, headers);
    return shared('MethodNotAllowed');
  }

  #checkAllow(where, allowed, headers) {
    const said = (headers.get('allow') ?? '').split(',').map((name) => name.trim()).filter(Boolean);
    if (said.sort().join() !== [...allowed].sort().join()) {
      violation(where, `Allow is "${said}", the contract lists "${allowed}"`);
    }
  }

  #checkHeader(where, name, header, headers) {
    const { value, pointer } = this.resolve(header);
    const text = headers.get(name.toLowerCase());
    if (text === null || text === undefined) {
      if (value.required) violation(where, `the header ${name} is missing`);
      return;
    }
    this.validate(`${pointer}/schema`, text, `${where}, header ${name}`);
  }

  mediaType(headers) {
    return (headers.get('content-type') ?? '').split(';')[0].trim().toLowerCase();
  }

  // Checks a whole body and returns it parsed (JSON), or undefined where there is none.
  checkBody(head, { method, status, headers, text }) {
    const { where, response } = head;
    const content = response.value.content;
    const media = this.mediaType(headers);
    if (!content) {
      if (text !== '') violation(where, `a body where there is none: ${text.slice(0, 200)}`);
      return undefined;
    }
    // A file's, which is as its writer wants it.
    if (!content[media] && content['*/*']) return undefined;
    if (!content[media]) violation(where, `Content-Type "${media}" is not one of ${Object.keys(content)}`);
    if (method === 'HEAD') {
      if (text !== '') violation(where, 'an answer to HEAD has a body');
      return undefined;
    }
    if (media === 'application/x-ndjson') {
      const line = `${response.pointer}/content/${escapePointer(media)}/x-line`;
      return text.split('\n').filter(Boolean).map((one) => {
        const json = JSON.parse(one);
        this.validate(line, json, where);
        return json;
      });
    }
    let json;
    try {
      json = JSON.parse(text);
    } catch (error) {
      violation(where, `not JSON (${error.message}): ${text.slice(0, 200)}`);
    }
    this.validate(`${response.pointer}/content/${escapePointer(media)}/schema`, json, where);
    if (media === 'application/problem+json') {
      if (json.status !== status) violation(where, `the problem says status ${json.status}`);
      if (json.request_id !== headers.get('x-request-id')) {
        violation(where, `the problem says request_id ${json.request_id}, the header ${headers.get('x-request-id')}`);
      }
    }
    return json;
  }

  // A request that was accepted must be one that the contract allows: the server is not laxer than its description.
  checkAcceptedBody(operation, contentType, json) {
    const content = operation?.operation.requestBody?.content;
    const media = (contentType ?? '').split(';')[0];
    if (!content?.[media]) return;
    this.validate(`${operation.pointer}/requestBody/content/${escapePointer(media)}/schema`, json,
                  `${operation.method} ${operation.template} accepted a body that the contract does not`);
  }

  // Checks a stream's events one by one, in their order.
  // `had`: what the client has of the answer, where it goes on from there (Last-Event-ID).
  eventChecker(head, had) {
    const events = head.response.value.content?.['text/event-stream']?.['x-server-sent-events'];
    return isLive(events) ? new LiveEventChecker(this, head, events) : new EventChecker(this, head, had);
  }
}

// Of a stream without an end, whose events have opaque ids.
class LiveEventChecker {
  constructor(contract, { where }, described) {
    Object.assign(this, { contract, where, described, ids: new Set() });
  }

  check(event) {
    const where = `${this.where}, event "${event.name}"`;
    const schema = this.described[event.name];
    if (!schema) violation(where, 'the contract has no such event');
    this.contract.validate(this.contract.resolve(schema).pointer, event.data, where);
    if (!event.id) violation(where, 'it has no id');
    if (this.ids.has(event.id)) violation(where, `the id ${event.id} comes twice`);
    this.ids.add(event.id);
  }

  end() {}
}

class EventChecker {
  constructor(contract, { where, operation, response }, had) {
    const described = response.value.content?.['text/event-stream']?.['x-server-sent-events'];
    if (!described) violation(where, 'no event stream is described here');
    Object.assign(this, { contract, where, operation, described, events: 0, ended: false,
                          resumed: had !== undefined, bytes: Buffer.byteLength(had ?? '', 'utf8'), text: had ?? '' });
  }

  check(event) {
    const where = `${this.where}, event ${this.events} "${event.name}"`;
    if (this.ended) violation(where, 'after the end');
    const schema = this.described[event.name];
    if (!schema) violation(where, 'the contract has no such event');
    this.contract.validate(this.contract.resolve(schema).pointer, event.data, where);
    if ((this.events === 0 && !this.resumed) !== (event.name === 'start')) violation(where, 'start comes first, and once');
    this.#checkId(where, event);
    if (event.name === 'done' && event.data.generated_text !== this.text) {
      violation(where, 'the whole differs from its pieces');
    }
    this.ended = event.name === 'done' || event.name === 'error';
    this.events += 1;
  }

  #checkId(where, event) {
    if (event.name === 'token') {
      this.text += event.data.text;
      this.bytes += Buffer.byteLength(event.data.text, 'utf8');
    }
    if (event.name === 'error' && event.id === undefined) return;
    const expected = event.name === 'done' || event.name === 'error' ? this.bytes + 1 : this.bytes;
    const right = event.id === String(expected) || (event.name === 'error' && event.id === String(this.bytes));
    if (!right) violation(where, `id ${event.id}, not ${expected}`);
  }

  end() {
    if (!this.ended) violation(this.where, `the stream ended after ${this.events} events without done or error`);
  }
}

export const contract = new Contract(kDocumentPath);
