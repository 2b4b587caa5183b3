// The tables of docs/cost.md, from what was measured.
import { table } from './table.mjs';

const kTurns = 500_000;  // of a million messages
// Each item that is stored counts so much more, and so does its entry in an index.
const kItemOverheadBytes = 100;
const kKeysBytes = 15 + 36 + 10 + 36 + 9 + 6;  // conversation_id, message_id, timestamp
// Of the index of a user's conversations, beside the user's id.
const kConversationKeysBytes = 7 + 15 + 36 + 10 + 6;  // user_id's name, conversation_id, created_at
// Of the system that the source document describes: measured, its own table calls.
const kSourceWriteUnits = 8;

const unit = (value) => value.toLocaleString('en-US');
const dollars = (value) => `$${value.toFixed(2)}`;

function requestDollars({ base, index, read }, price) {
  const writes = kTurns * (base + index) / 1e6 * price.write_request_units_million;
  return writes + kTurns * read / 1e6 * price.read_request_units_million;
}

function unitsTable(rows) {
  return table(['', 'write units, tables', 'write units, indexes', 'read units'],
               rows.map(({ name, units }) => [name, unit(units.base), unit(units.index), unit(units.read)]));
}

function moneyTable(rows, prices) {
  const of = (id) => rows.find((row) => row.id === id).units;
  const without = (units) => ({ ...units, index: 0 });
  const cells = (units) => [unit(units.base + units.index), unit(units.read), dollars(requestDollars(units, prices.current)),
                            dollars(requestDollars(units, prices.source_document))];
  const source = { base: kSourceWriteUnits, index: 0, read: 0 };
  const sourceCells = cells(source);
  sourceCells[1] = 'grow';
  return table(['', 'write units a turn', 'read units a turn', `at the prices of ${prices.current.as_of}`,
                "at the source document's prices"], [
    ['without secondary indexes', ...cells(without(of('turn-10000')))],
    ['**with them (the default)**', ...cells(of('turn-10000'))],
    ['with them, each turn with an `Idempotency-Key`', ...cells(of('keyed'))],
    ['with them, answers of 2,000 bytes', ...cells(of('long'))],
    ["the source document's claim", '', '', '', '~$2'],
    ["the source system's own way, its writes alone", ...sourceCells]]);
}

function storageTable(sizes, price) {
  const [prompt, answer] = sizes;
  const base = kTurns * (prompt + answer + 2 * kItemOverheadBytes) / 1e9;
  const index = 2 * kTurns * (kKeysBytes + kItemOverheadBytes) / 1e9;
  const row = (name, gigabytes, rate) => [name, gigabytes.toFixed(2), `$${rate.toFixed(2)}`, dollars(gigabytes * rate)];
  return table(['a million messages, a month', 'GB', 'a GB', ''], [
    ['the messages', base, price.storage_gb_month],
    ['their index, keys only', index, price.storage_gb_month],
    ['point-in-time recovery of the messages', base, price.point_in_time_recovery_gb_month],
  ].map((cells) => row(...cells)));
}

export function costPage({ rows, sizes, prices, promptBytes, answerBytes }) {
  const [prompt, answer, conversation] = sizes;
  return `Prompts of ${promptBytes} bytes and answers of ${answerBytes}, where nothing else is said: the item of a prompt is then\n` +
    `${prompt} bytes, that of an answer ${answer}, that of the conversation ${conversation}.\n\n` +
    `### Units of one request\n\n${unitsTable(rows)}\n\n` +
    `### Dollars for a million messages, two a turn\n\n${moneyTable(rows, prices)}\n\n` +
    `Prices: ${prices.current.name}, of ${prices.current.as_of}\n(${prices.current.source}):\n` +
    `$${prices.current.write_request_units_million} for a million write request units, ` +
    `$${prices.current.read_request_units_million} for a million read request units. The source document's:\n` +
    `$${prices.source_document.write_request_units_million} and $${prices.source_document.read_request_units_million}.\n\n` +
    `### Storage\n\n${storageTable(sizes, prices.current)}`;
}

// What `colloquy cost` is built with (src/cost): the units of the page's rows, and what the items weigh.
export function unitsFile({ rows, sizes, promptBytes, answerBytes, contextMessages, user }) {
  const [prompt, answer, conversation] = sizes;
  const request = (id) => {
    const { base, index, read } = rows.find((row) => row.id === id).units;
    return { write: base, index_write: index, read };
  };
  return `${JSON.stringify({
    measured_on: new Date().toISOString().slice(0, 10),
    measured_by: "bench/cost --fix: what the server counted of Amazon's DynamoDB Local",
    context_messages: contextMessages,
    prompt: { content_bytes: promptBytes, item_bytes: prompt },
    answer: { content_bytes: answerBytes, item_bytes: answer },
    conversation: { item_bytes: conversation },
    stored_overhead_bytes: kItemOverheadBytes,
    message_index_bytes: kKeysBytes,
    conversation_index_bytes: kConversationKeysBytes + user.length,
    requests: {
      turn: request('turn-10000'),
      first_turn: request('first-turn'),
      turn_of_long_answers: { answer_content_bytes: 2000, ...request('long') },
      list_of_50_conversations: request('list-50'),
      conversation_of_20_messages: request('read-20'),
    },
  }, null, 2)}\n`;
}
