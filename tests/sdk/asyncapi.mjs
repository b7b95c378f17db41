// Reads an AsyncAPI document and what was really sent: {document, samples: [[message, payload], ...]}. The document is
// checked by the official parser, each payload against the schema of its message by a validator of JSON Schema.
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';
import Ajv from 'ajv';

const { document, samples } = JSON.parse(readFileSync(0, 'utf8'));

const { document: parsed, diagnostics } = await new Parser().parse(JSON.stringify(document));
const complaints = diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path: path.join('/') }));

const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
ajv.addSchema({ $id: 'onair', components: document.components });
const misfits = [];
for (const [message, payload] of samples) {
  const known = document.components.messages[message];
  const validate = known && ajv.compile({ $ref: `onair#/components/messages/${message}/payload` });
  if (!validate?.(payload)) misfits.push({ message, payload, errors: validate?.errors ?? 'no such message' });
}

console.log(JSON.stringify({
  complaints,
  misfits,
  channels: parsed?.channels().all().map((channel) => channel.address()) ?? [],
  operations: parsed?.operations().all().length ?? 0,
}));
