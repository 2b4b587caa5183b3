// ZIP archives with anything in them, also what no honest program writes; and what is in one of the server's.
import assert from 'node:assert/strict';
import { deflateRawSync, inflateRawSync } from 'node:zlib';

export { deflateRawSync };

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let i = 0; i < 8; i += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

export function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = table[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

// entries: [name, text, options]; of the options `packed`, `crc`, `size`, `method` and `flags` stand for what would be right.
export function zipOf(entries) {
  const pieces = [];
  const directory = [];
  let offset = 0;
  for (const [name, text, options = {}] of entries) {
    const bytes = Buffer.from(text);
    const nameBytes = Buffer.from(name);
    const { packed = deflateRawSync(bytes), crc = crc32(bytes), size = bytes.length, method = 8, flags = 0 } = options;
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(flags, 2);
    fields.writeUInt16LE(method, 4);
    fields.writeUInt32LE(crc, 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(size, 18);
    fields.writeUInt16LE(nameBytes.length, 22);
    const record = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), fields, nameBytes, packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), fields, rest, nameBytes]));
    pieces.push(record);
    offset += record.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...pieces, listed, end]);
}

// The files of an archive of the server's by their names, as its directory has them.
export function unzip(bytes) {
  const end = bytes.lastIndexOf(Buffer.from('PK\x06\x06', 'latin1'));
  let at = Number(bytes.readBigUInt64LE(end + 48));
  const files = new Map();
  while (at < end) {
    const nameBytes = bytes.readUInt16LE(at + 28);
    const name = bytes.toString('utf8', at + 46, at + 46 + nameBytes);
    const extra = at + 46 + nameBytes + 4;
    const [size, compressed, offset] = [0, 8, 16].map((field) => Number(bytes.readBigUInt64LE(extra + field)));
    const data = offset + 30 + nameBytes + 20;
    const text = inflateRawSync(bytes.subarray(data, data + compressed));
    assert.equal(text.length, size);
    files.set(name, text.toString('utf8'));
    at = extra + 24;
  }
  return files;
}
