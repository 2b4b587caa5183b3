// Reads server-sent events (WHATWG HTML) out of a byte stream.

// Yields { name, id, data } for events, with `data` parsed as JSON, and { comment } for comment lines.
export async function* readEvents(chunks) {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  let fields = emptyFields();
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop();
    for (const line of lines.map((text) => text.replace(/\r$/, ''))) {
      if (line === '') {
        if (fields.data.length) yield toEvent(fields);
        fields = emptyFields();
      } else if (line.startsWith(':')) {
        yield { comment: line.slice(1).trim() };
      } else {
        addField(fields, line);
      }
    }
  }
  if (rest !== '' || fields.data.length) throw new Error(`the stream was cut inside an event: ${rest}`);
}

const emptyFields = () => ({ name: 'message', id: undefined, data: [] });

function addField(fields, line) {
  const colon = line.indexOf(':');
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
  if (field === 'event') fields.name = value;
  else if (field === 'id') fields.id = value;
  else if (field === 'data') fields.data.push(value);
  else if (field !== 'retry') throw new Error(`an unknown field in an event stream: ${line}`);
}

function toEvent({ name, id, data }) {
  return { name, id, data: JSON.parse(data.join('\n')) };
}
