// What AWS KMS does for Encrypt and Decrypt, on loopback: checks who signed the request and how, seals for one encryption
// context alone, and tells which key it was. A request that is not as the service wants it is refused, and noted in `wrong`.
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';

const kRegion = 'eu-west-1';
const kSkewMs = 5 * 60_000;
const kSecretBytes = 32;

export const kmsEnvironment = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'the/secret+of=the/caller',
                                AWS_SESSION_TOKEN: 'the//session==', AWS_REGION: kRegion };
export const keyArn = (name) => `arn:aws:kms:${kRegion}:111122223333:key/${name}`;

class Refusal extends Error {
  constructor(type, why) {
    super(why);
    this.type = type;
  }
}

// As the service computes it, by a signer that is not ours, from the header fields that the request says it signed.
async function signatureOf(request, body) {
  const { authorization = '', host, 'x-amz-date': date = '' } = request.headers;
  const [, stamp, names] = authorization.match(/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/(\d{8})\/eu-west-1\/kms\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}$/) ?? [];
  if (!stamp) throw new Refusal('IncompleteSignatureException', `Authorization: ${authorization}`);
  const signed = names.split(';');
  for (const needed of ['host', 'content-type', 'x-amz-date', 'x-amz-target', 'x-amz-security-token']) {
    if (!signed.includes(needed)) throw new Refusal('IncompleteSignatureException', `${needed} is not signed`);
  }
  const [, ...parts] = date.match(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/) ?? [];
  const time = Date.UTC(parts[0], parts[1] - 1, ...parts.slice(2));
  if (!(Math.abs(time - Date.now()) < kSkewMs) || !date.startsWith(stamp)) throw new Refusal('InvalidSignatureException', `X-Amz-Date: ${date}`);
  const signer = new SignatureV4({
    credentials: { accessKeyId: kmsEnvironment.AWS_ACCESS_KEY_ID, secretAccessKey: kmsEnvironment.AWS_SECRET_ACCESS_KEY,
                   sessionToken: kmsEnvironment.AWS_SESSION_TOKEN },
    region: kRegion, service: 'kms', sha256: Sha256, applyChecksum: signed.includes('x-amz-content-sha256') });
  const headers = Object.fromEntries(signed.filter((name) => !['x-amz-date', 'x-amz-security-token', 'x-amz-content-sha256'].includes(name))
    .map((name) => [name, request.headers[name]]));
  const expected = await signer.sign({ method: 'POST', protocol: 'http:', hostname: host, path: '/', query: {}, headers, body },
                                     { signingDate: new Date(time) });
  return expected.headers.authorization;
}

class KmsStandIn {
  constructor() {
    this.keys = new Map();  // ARN: what it seals with
    this.aliases = new Map([['alias/colloquy', this.makeKey('first')]]);
    this.calls = [];  // { operation, context }
    this.wrong = [];
    this.out = false;
    this.server = http.createServer((request, response) => this.#serve(request, response));
  }

  async listen() {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.server.unref();
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    this.flags = ['--kms-key', 'alias/colloquy', '--kms-endpoint', this.url];
    return this;
  }
  close() {
    this.server.close();
    this.server.closeAllConnections();
  }

  // Its ARN.
  makeKey(name) {
    this.keys.set(keyArn(name), randomBytes(kSecretBytes));
    return keyArn(name);
  }

  async #serve(request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    const answer = (status, body) => response.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body));
    if (this.out) return answer(503, { __type: 'KMSInternalException' });
    try {
      answer(200, await this.#answer(request, Buffer.concat(parts)));
    } catch (error) {
      // Those that ask for what is not to be had are no mistake in the request.
      if (!['NotFoundException', 'InvalidCiphertextException', 'IncorrectKeyException'].includes(error.type)) this.wrong.push(error.message);
      answer(400, { __type: error.type ?? 'KMSInternalException', message: error.message });
    }
  }

  async #answer(request, text) {
    const expected = await signatureOf(request, text);
    if (request.headers.authorization !== expected) throw new Refusal('InvalidSignatureException', `not signed so: ${expected}`);
    if (request.headers['x-amz-security-token'] !== kmsEnvironment.AWS_SESSION_TOKEN) throw new Refusal('UnrecognizedClientException', 'another session');
    if (request.method !== 'POST' || request.url !== '/' || request.headers['content-type'] !== 'application/x-amz-json-1.1') {
      throw new Refusal('ValidationException', `${request.method} ${request.url} ${request.headers['content-type']}`);
    }
    const operation = request.headers['x-amz-target'].match(/^TrentService\.(Encrypt|Decrypt)$/)?.[1];
    if (!operation) throw new Refusal('UnknownOperationException', request.headers['x-amz-target']);
    const { EncryptionContext: context, ...body } = JSON.parse(text);
    // The service takes any pairs of texts; this one is what the program binds a key to.
    if (Object.keys(context ?? {}).join() !== 'colloquy' || typeof context.colloquy !== 'string' || context.colloquy === '') {
      throw new Refusal('ValidationException', `the context is ${JSON.stringify(context)}`);
    }
    const fields = Object.keys(body).sort().join();
    const good = operation === 'Encrypt' ? ['KeyId,Plaintext'] : ['CiphertextBlob', 'CiphertextBlob,KeyId'];
    if (!good.includes(fields)) throw new Refusal('ValidationException', `${operation} with ${fields}`);
    this.calls.push({ operation, context: context.colloquy });
    return operation === 'Encrypt' ? this.#encrypt(body, context) : this.#decrypt(body, context);
  }

  #key(name) {
    const arn = this.aliases.get(name) ?? name;
    if (!this.keys.has(arn)) throw new Refusal('NotFoundException', `no key ${name}`);
    return arn;
  }

  #encrypt({ KeyId, Plaintext }, context) {
    const arn = this.#key(KeyId);
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.keys.get(arn), nonce).setAAD(Buffer.from(JSON.stringify(context)));
    const sealed = Buffer.concat([cipher.update(Plaintext, 'base64'), cipher.final()]);
    const blob = Buffer.concat([Buffer.from(`${arn}\n`), nonce, cipher.getAuthTag(), sealed]);
    return { CiphertextBlob: blob.toString('base64'), KeyId: arn, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
  }

  #decrypt({ KeyId, CiphertextBlob }, context) {
    const blob = Buffer.from(CiphertextBlob, 'base64');
    const end = blob.indexOf('\n');
    const arn = this.#key(blob.subarray(0, end).toString());
    if (KeyId !== undefined && this.#key(KeyId) !== arn) throw new Refusal('IncorrectKeyException', `it is of ${arn}`);
    const [nonce, tag, sealed] = [blob.subarray(end + 1, end + 13), blob.subarray(end + 13, end + 29), blob.subarray(end + 29)];
    try {
      const cipher = createDecipheriv('aes-256-gcm', this.keys.get(arn), nonce).setAAD(Buffer.from(JSON.stringify(context))).setAuthTag(tag);
      const plain = Buffer.concat([cipher.update(sealed), cipher.final()]);
      return { Plaintext: plain.toString('base64'), KeyId: arn, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
    } catch {
      throw new Refusal('InvalidCiphertextException', 'it was changed, or is of another context');
    }
  }
}

export const startKms = () => new KmsStandIn().listen();
