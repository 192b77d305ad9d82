/**
 * A process that creates, attaches, leases and resizes mappings as it is told, and says what it sees of them: one attachment and one lease
 * of each name at most. argv: runtime directory. It can be killed at any point.
 */
import { crc32 } from 'node:zlib';
import {
  type Broker,
  connect,
  type Lease,
  LeaseholdError,
  type Mapping,
  type MappingAttachment,
  type MappingOptions,
} from '@leasehold/client';
import { settledMemory } from '../leaks/settled-memory.ts';
import { fillPattern } from '../support/pattern-bytes.ts';
import { serveQuestions, tell } from '../support/worker-side.ts';

type Access = 'read' | 'write';
type Mode = 'shared' | 'exclusive';
/** Where bytes are looked at or written: in what is attached or leased; through windows, when they are not given whole. */
export interface Part {
  readonly name: string;
  readonly offset?: number;
  readonly length?: number;
}

export type MemoryQuestion =
  /** Answers with what was granted, or the code. */
  | { readonly do: 'create'; readonly name: string; readonly options: Omit<MappingOptions, 'signal' | 'onProgress'> }
  /** Creates, and tells the progress unasked, until it is killed. */
  | { readonly do: 'create-slowly'; readonly name: string; readonly options: MappingOptions }
  | { readonly do: 'attach'; readonly name: string; readonly access: Access }
  | { readonly do: 'lease'; readonly name: string; readonly mode: Mode }
  /** `forget`: the next time, the mapping that has the name then is opened. */
  | { readonly do: 'detach' | 'release' | 'delete' | 'forget'; readonly name: string }
  /** Answers with a Seen. */
  | { readonly do: 'look'; readonly name: string }
  /** Answers with the checksum. */
  | ({ readonly do: 'checksum' } & Part)
  | ({ readonly do: 'fill'; readonly seed: number } & Part)
  /** Answers with the new size, B, or with the code. */
  | { readonly do: 'resize' | 'grow'; readonly name: string; readonly sizeBytes: number; readonly waitMs?: number }
  /** Closes its connection; with the next question it makes another. */
  | { readonly do: 'close' }
  /** Opens and closes so many windows, at so many different places. */
  | { readonly do: 'open-windows'; readonly name: string; readonly count: number; readonly places: number }
  /** Answers with a Settled. */
  | { readonly do: 'settled-memory' }
  /** Resizes, one after the other, until `stop`; answers at once. */
  | { readonly do: 'resize-for-ever'; readonly name: string; readonly sizes: readonly number[] }
  /** Answers with how many there were. */
  | { readonly do: 'stop' };

export interface Seen {
  /** Length of the array that was looked at before. */
  readonly before: number;
  /** Length of the array now. */
  readonly now: number;
  /** Whether these are the same array. */
  readonly same: boolean;
}

interface Held {
  readonly mapping: Mapping;
  attachment?: MappingAttachment<Uint8Array>;
  lease?: Lease<Uint8Array>;
  looked: Uint8Array;
}

const [, , runtimeDir = ''] = process.argv;
let connecting: Promise<Broker> | undefined;
const held = new Map<string, Held>();
let resizing: Promise<number> = Promise.resolve(0);
let stopping = false;

const broker = (): Promise<Broker> => {
  connecting ??= connect({ runtimeDir, name: 'memory-client' });
  return connecting;
};

async function codeIfRefused<Value>(act: () => Promise<Value>): Promise<Value | string> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof LeaseholdError) return error.code;
    throw error;
  }
}

async function hold(name: string): Promise<Held> {
  const known = held.get(name);
  if (known !== undefined) return known;
  const opened = { mapping: await (await broker()).mapping(name), looked: new Uint8Array(0) };
  held.set(name, opened);
  return opened;
}

function openedOf(name: string): MappingAttachment<Uint8Array> | Lease<Uint8Array> {
  const { attachment, lease } = held.get(name) ?? {};
  const opened = attachment ?? lease;
  if (opened === undefined) throw new Error(`${name} is neither attached nor leased here`);
  return opened;
}

async function create(name: string, options: MappingOptions) {
  const mapping = await (await broker()).createMapping(name, options);
  held.set(name, { mapping, looked: new Uint8Array(0) });
  return { id: mapping.info.id, ...mapping.info.memory };
}

async function open(question: Extract<MemoryQuestion, { do: 'attach' | 'lease' }>): Promise<null> {
  const opened = await hold(question.name);
  // The two modes differ in what their bytes may be used for, and who asks knows that.
  if (question.do === 'attach') opened.attachment = await opened.mapping.attach(question.access as 'write');
  else opened.lease = await opened.mapping.lease(question.mode as 'exclusive');
  look(question.name);
  return null;
}

async function letGo({ do: what, name }: Extract<MemoryQuestion, { do: 'detach' | 'release' | 'delete' | 'forget' }>) {
  const opened = await hold(name);
  switch (what) {
    case 'detach':
      await opened.attachment?.close();
      delete opened.attachment;
      break;
    case 'release':
      opened.lease?.release();
      delete opened.lease;
      break;
    case 'delete':
      await opened.mapping.delete();
      break;
    case 'forget':
      held.delete(name);
  }
  return null;
}

function look(name: string): Seen {
  const opened = openedOf(name);
  const { bytes } = opened;
  const { looked } = held.get(name) as Held;
  (held.get(name) as Held).looked = bytes;
  return { before: looked.length, now: bytes.length, same: looked === bytes };
}

function inPart<Value>({ name, offset, length }: Part, use: (bytes: Uint8Array) => Value): Value {
  const opened = openedOf(name);
  if (offset === undefined || length === undefined) return use(opened.bytes);
  using window = opened.window(offset, length);
  return use(window.bytes);
}

async function resize(question: Extract<MemoryQuestion, { do: 'resize' | 'grow' }>): Promise<number | string> {
  const { name, sizeBytes, waitMs } = question;
  const { mapping } = await hold(name);
  return codeIfRefused(async () => {
    const info =
      question.do === 'grow'
        ? await mapping.grow(sizeBytes)
        : await mapping.resize(sizeBytes, waitMs === undefined ? {} : { waitMs });
    return info.memory.payloadBytes;
  });
}

async function resizeForEver({ name, sizes }: Extract<MemoryQuestion, { do: 'resize-for-ever' }>): Promise<number> {
  const { mapping } = await hold(name);
  for (let count = 0; ; count += 1) {
    if (stopping) return count;
    await mapping.resize(sizes[count % sizes.length] as number, { waitMs: 60_000 });
  }
}

function openWindows({ name, count, places }: Extract<MemoryQuestion, { do: 'open-windows' }>): number {
  const opened = openedOf(name);
  let total = 0;
  for (let each = 0; each < count; each += 1) {
    using window = opened.window(each % places, 64);
    total += window.bytes[0] as number;
  }
  return total;
}

async function close(): Promise<null> {
  const closed = connecting;
  connecting = undefined;
  held.clear();
  await (await closed)?.close();
  return null;
}

serveQuestions((question: MemoryQuestion) => {
  switch (question.do) {
    case 'create':
      return codeIfRefused(() => create(question.name, question.options));
    case 'create-slowly':
      return codeIfRefused(() => create(question.name, { ...question.options, onProgress: tell }));
    case 'attach':
    case 'lease':
      return codeIfRefused(() => open(question));
    case 'detach':
    case 'release':
    case 'delete':
    case 'forget':
      return letGo(question);
    case 'look':
      return look(question.name);
    case 'checksum':
      return inPart(question, (bytes) => crc32(bytes));
    case 'fill':
      return inPart(question, (bytes) => fillPattern(bytes, question.seed));
    case 'close':
      return close();
    case 'open-windows':
      return openWindows(question);
    case 'settled-memory':
      return settledMemory();
    case 'resize':
    case 'grow':
      return resize(question);
    case 'resize-for-ever':
      stopping = false;
      resizing = resizeForEver(question);
      resizing.catch(() => undefined);
      return null;
    case 'stop':
      stopping = true;
      return resizing;
  }
});
