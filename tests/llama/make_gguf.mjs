// Writes small language models as GGUF files (version 3, as its authors specify it): what the tests and the
// benchmarks of the model in the process need, made when they run.
//
//   node make_gguf.mjs FOLDER        every model and every broken file that the tests use
//   node make_gguf.mjs FOLDER bench  the larger one of the benchmark
//
// The same bytes each time: weights come from a seeded generator.
import { closeSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const kTypes = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 };
const kAlignment = 32;
const kChatTemplate = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + " +
  "'<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// --- the format

class Writer {
  constructor() { this.parts = []; this.size = 0; }
  bytes(buffer) { this.parts.push(buffer); this.size += buffer.length; }
  number(size, write) { const buffer = Buffer.alloc(size); write(buffer); this.bytes(buffer); }
  u32(value) { this.number(4, (b) => b.writeUInt32LE(value)); }
  u64(value) { this.number(8, (b) => b.writeBigUInt64LE(BigInt(value))); }
  string(text) { const bytes = Buffer.from(text); this.u64(bytes.length); this.bytes(bytes); }
  value(type, value) {
    if (type === 'u32') this.u32(value);
    else if (type === 'i32') this.number(4, (b) => b.writeInt32LE(value));
    else if (type === 'f32') this.number(4, (b) => b.writeFloatLE(value));
    else if (type === 'bool') this.bytes(Buffer.from([value ? 1 : 0]));
    else if (type === 'string') this.string(value);
    else throw new Error(type);
  }
  pad() { this.bytes(Buffer.alloc((kAlignment - (this.size % kAlignment)) % kAlignment)); }
}

// entries: [key, type, value]; an array's type is ['array', type]. tensors: { name, shape, data: Float32Array }.
function gguf(entries, tensors) {
  const writer = new Writer();
  writer.bytes(Buffer.from('GGUF'));
  writer.u32(3);
  writer.u64(tensors.length);
  writer.u64(entries.length);
  for (const [key, type, value] of entries) {
    writer.string(key);
    if (Array.isArray(type)) {
      writer.u32(kTypes.array);
      writer.u32(kTypes[type[1]]);
      writer.u64(value.length);
      for (const one of value) writer.value(type[1], one);
    } else {
      writer.u32(kTypes[type]);
      writer.value(type, value);
    }
  }
  let offset = 0;
  for (const { name, shape, data } of tensors) {
    writer.string(name);
    writer.u32(shape.length);
    for (const size of shape) writer.u64(size);
    writer.u32(0);  // 32-bit floats
    writer.u64(offset);
    offset += Math.ceil(data.byteLength / kAlignment) * kAlignment;
  }
  writer.pad();
  for (const { data } of tensors) {
    writer.bytes(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    writer.pad();
  }
  return Buffer.concat(writer.parts);
}

// --- the vocabulary: every byte, the space, some pieces of words, and what the chat template needs

const kPieces = ['▁', 'th', 'the', 'er', 'in', '▁the'];
const vocabulary = [
  { text: '<unk>', type: 2 }, { text: '<s>', type: 3 }, { text: '</s>', type: 3 },
  ...Array.from({ length: 256 }, (_, i) => ({ text: `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`, type: 6 })),
  { text: '<|im_start|>', type: 3 }, { text: '<|im_end|>', type: 3 },
  // Pieces of words are merged from letters, which therefore are tokens too.
  ...[...'therin'].filter((letter, i, all) => all.indexOf(letter) === i).map((text) => ({ text, type: 1 })),
  ...kPieces.map((text) => ({ text, type: 1 })),
];
const idOf = (text) => vocabulary.findIndex((token) => token.text === text);
const byteId = (byte) => 3 + byte;
const kImEnd = idOf('<|im_end|>');

// The same bytes as GPT-2 writes them, and a tokenizer that matches regular expressions.
function byteName(byte) {
  const kept = (i) => (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174;
  const before = Array.from({ length: byte }, (_, i) => i).filter((i) => !kept(i)).length;
  return String.fromCodePoint(kept(byte) ? byte : 256 + before);
}

function withRegularExpressions(entries) {
  const byteOf = (i) => i - byteId(0);
  const isByte = (i) => byteOf(i) >= 0 && byteOf(i) < 256;
  const other = ({ text, type }, i) => (type === 3 ? text : `<unused ${i}>`);
  const changed = new Map([
    ['tokenizer.ggml.model', 'gpt2'],
    ['tokenizer.ggml.tokens', vocabulary.map((token, i) => (isByte(i) ? byteName(byteOf(i)) : other(token, i)))],
    ['tokenizer.ggml.token_type', vocabulary.map(({ type }, i) => (isByte(i) ? 1 : type === 3 ? 3 : 5))],
  ]);
  return [...entries.map(([key, type, value]) => [key, type, changed.get(key) ?? value]),
          ['tokenizer.ggml.pre', 'string', 'tekken'], ['tokenizer.ggml.merges', ['array', 'string'], ['q q']]];
}

function heads({ layers, width, feedForward, headCount, context }) {
  return [
    ['general.architecture', 'string', 'llama'], ['general.name', 'string', 'made for tests'],
    ['llama.context_length', 'u32', context], ['llama.embedding_length', 'u32', width],
    ['llama.block_count', 'u32', layers], ['llama.feed_forward_length', 'u32', feedForward],
    ['llama.attention.head_count', 'u32', headCount], ['llama.attention.head_count_kv', 'u32', headCount],
    ['llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5], ['llama.rope.dimension_count', 'u32', width / headCount],
    ['llama.vocab_size', 'u32', vocabulary.length],
    ['tokenizer.ggml.model', 'string', 'llama'],
    ['tokenizer.ggml.tokens', ['array', 'string'], vocabulary.map(({ text }) => text)],
    ['tokenizer.ggml.scores', ['array', 'f32'], vocabulary.map((_, i) => -i / 100)],
    ['tokenizer.ggml.token_type', ['array', 'i32'], vocabulary.map(({ type }) => type)],
    ['tokenizer.ggml.bos_token_id', 'u32', 1], ['tokenizer.ggml.eos_token_id', 'u32', kImEnd],
    ['tokenizer.ggml.unknown_token_id', 'u32', 0], ['tokenizer.ggml.add_bos_token', 'bool', true],
    ['tokenizer.ggml.add_space_prefix', 'bool', false],
    ['tokenizer.chat_template', 'string', kChatTemplate],
  ];
}

// --- the weights

function generator(seed) {  // mulberry32
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function tensors({ layers, width, feedForward }, { embedding, output, fill }) {
  const ones = () => new Float32Array(width).fill(1);
  const matrix = (columns, rows) => ({ shape: [columns, rows], data: fill(columns * rows, columns) });
  const made = [
    { name: 'token_embd.weight', shape: [width, vocabulary.length], data: embedding },
    { name: 'output_norm.weight', shape: [width], data: ones() },
    { name: 'output.weight', shape: [width, vocabulary.length], data: output },
  ];
  for (let i = 0; i < layers; ++i) {
    const of = (name) => `blk.${i}.${name}.weight`;
    made.push({ name: of('attn_norm'), shape: [width], data: ones() }, { name: of('ffn_norm'), shape: [width], data: ones() });
    for (const name of ['attn_q', 'attn_k', 'attn_v', 'attn_output']) made.push({ name: of(name), ...matrix(width, width) });
    made.push({ name: of('ffn_gate'), ...matrix(width, feedForward) }, { name: of('ffn_up'), ...matrix(width, feedForward) },
              { name: of('ffn_down'), ...matrix(feedForward, width) });
  }
  return made;
}

// Random weights; `speaks` says which tokens it may say (the others are never the likeliest).
function randomModel(shape, seed, speaks) {
  const random = generator(seed);
  const fill = (count, columns) => Float32Array.from({ length: count }, () => (random() * 2 - 1) * Math.sqrt(3 / columns));
  const embedding = Float32Array.from({ length: shape.width * vocabulary.length }, () => random() * 2 - 1);
  const output = Float32Array.from({ length: shape.width * vocabulary.length }, (_, i) =>
    ((random() * 2 - 1) * (speaks(Math.floor(i / shape.width)) ? 1 : 0)));
  return { entries: heads(shape), tensors: tensors(shape, { embedding, output, fill }) };
}

// Says one text after the prompt's last line break and ends: each token only knows its successor.
function scriptedModel(shape, script) {
  const tokens = [byteId(10), ...script, kImEnd];
  const embedding = new Float32Array(shape.width * vocabulary.length);
  const output = new Float32Array(shape.width * vocabulary.length);
  for (let i = 0; i + 1 < tokens.length; ++i) {
    embedding[tokens[i] * shape.width + i] = 1;
    output[tokens[i + 1] * shape.width + i] = 4;
  }
  return { entries: heads(shape), tensors: tensors(shape, { embedding, output, fill: (count) => new Float32Array(count) }) };
}

// --- the files

const kTiny = { layers: 2, width: 64, feedForward: 128, headCount: 4, context: 16384 };
// Heads as wide as those of models that people use; attention over many narrow ones costs far more.
export const kBench = { layers: 8, width: 256, feedForward: 1024, headCount: 2, context: 16384 };
// What `scripted.gguf` says: characters of one, two and four bytes, each byte a token.
export const kScript = 'hé👋 ok';

const isPrintable = (token) => token >= byteId(33) && token <= byteId(126);
const isHigh = (token) => token >= byteId(0x80) && token <= byteId(0xFF);
const without = (entries, key) => entries.filter(([name]) => name !== key);
const instead = (entries, key, type, value) => [...without(entries, key), [key, type, value]];

export function benchModel() {
  const { entries, tensors: weights } = randomModel(kBench, 8, isPrintable);
  return gguf(entries, weights);
}

export function testFiles() {
  const { entries, tensors: weights } = randomModel(kTiny, 4, isPrintable);
  const tiny = gguf(entries, weights);
  const bytes = randomModel(kTiny, 5, isHigh);
  const script = [...Buffer.from(kScript)].map((byte) => (byte === 32 ? idOf('▁') : byteId(byte)));
  const scripted = scriptedModel(kTiny, script);
  const changed = (other) => gguf(other, weights);
  const kTemplate = 'tokenizer.chat_template';
  return {
    tiny,
    bytes: gguf(bytes.entries, bytes.tensors),  // says bytes that are seldom whole characters
    scripted: gguf(scripted.entries, scripted.tensors),
    regular_expressions: changed(withRegularExpressions(entries)),
    not_gguf: Buffer.from('This is no model at all.\n'),
    empty: Buffer.alloc(0),
    cut_in_its_head: tiny.subarray(0, 1000),
    cut_in_its_weights: tiny.subarray(0, tiny.length - 5000),
    no_template: changed(without(entries, kTemplate)),
    strange_template: changed(instead(entries, kTemplate, 'string', '{{ messages | tojson }}')),
    no_vocabulary: changed(instead(entries.filter(([key]) => !key.startsWith('tokenizer.')), 'tokenizer.ggml.model', 'string', 'no_vocab')),
    embeddings: changed([...entries, ['llama.pooling_type', 'u32', 1]]),
    strange_architecture: changed(instead(entries, 'general.architecture', 'string', 'never-heard-of')),
    not_numbers: gguf(entries, weights.map((one) => (one.name === 'output_norm.weight' ? { ...one, data: one.data.map(() => NaN) } : one))),
    missing_weights: gguf(entries, weights.slice(0, -3)),
  };
}

// Whole or not at all, so that several tests may write the same.
function write(folder, name, bytes) {
  const partial = join(folder, `.${name}.${process.pid}`);
  const file = openSync(partial, 'w');
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
  closeSync(file);
  renameSync(partial, join(folder, `${name}.gguf`));
}

// Writes the files of the tests into a folder, and returns it.
export function writeTestFiles(folder) {
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(testFiles())) write(folder, name, bytes);
  return folder;
}

export function writeBenchModel(folder) {
  mkdirSync(folder, { recursive: true });
  write(folder, 'bench', benchModel());
  return join(folder, 'bench.gguf');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, what] = process.argv.slice(2);
  if (what === 'bench') writeBenchModel(folder);
  else writeTestFiles(folder);
}
