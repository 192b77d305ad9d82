/**
 * The ping-pong over ZeroMQ: started without a role it starts both sides, each a Node process, and passes on what the initiator prints. The socket is
 * in Linux's abstract namespace: no file. Invariant: a side ends when its channel to the program closes, however the program ended.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { EXIT_NOT_HERE } from './peer-program.ts';

const EXIT_BAD_ARGUMENTS = 2;
const PAYLOAD_BYTES_MAX = 2 ** 30;
const ROUND_TRIPS_MAX = 10_000_000;
/** Measured: beyond it PAIR is faster than REQ and REP, and ZeroMQ's own threads need a core more than the sides need one each. */
const SMALL_BYTES_MAX = 65_536;

/** Not in every installation, therefore without its types. */
const MODULE: string = 'zeromq';

interface Socket {
  bind(address: string): Promise<void>;
  connect(address: string): void;
  send(message: Buffer): Promise<void>;
  receive(): Promise<readonly [Buffer]>;
  close(): void;
}
type SocketClass = new (options: { linger: number }) => Socket;
type ZeroMq = Readonly<Record<'Pair' | 'Request' | 'Reply', SocketClass>>;

interface Arguments {
  readonly payloadBytes: number;
  readonly roundTrips: number;
  readonly warmUp: number;
  readonly cores: readonly [string, string] | null;
  readonly role: string | undefined;
  readonly address: string;
}

function wholeNumber(option: string, value: string | undefined, least: number, most: number): number {
  const number = Number(value);
  if (value === undefined || !Number.isInteger(number) || number < least || number > most) {
    throw new RangeError(`--${option} takes a whole number from ${least} to ${most}, not ${value}`);
  }
  return number;
}

function coresOf(value: string | undefined): readonly [string, string] | null {
  if (value === undefined) return null;
  const [, first, second] = /^(\d+),(\d+)$/.exec(value) ?? [];
  if (first === undefined || second === undefined) throw new RangeError(`--cores takes two core numbers, not ${value}`);
  return [first, second];
}

/** @throws TypeError or RangeError that says what is wrong. */
function parseArguments(args: string[]): Arguments {
  const option = { type: 'string' } as const;
  const { values } = parseArgs({
    args,
    options: {
      payload: option,
      'round-trips': option,
      'warm-up': option,
      cores: option,
      role: option,
      address: option,
    },
  });
  return {
    payloadBytes: wholeNumber('payload', values.payload, 1, PAYLOAD_BYTES_MAX),
    roundTrips: wholeNumber('round-trips', values['round-trips'], 1, ROUND_TRIPS_MAX),
    warmUp: wholeNumber('warm-up', values['warm-up'] ?? '0', 0, ROUND_TRIPS_MAX),
    cores: coresOf(values.cores),
    role: values.role,
    address: values.address ?? `ipc://@leasehold-bench-${process.pid}`,
  };
}

/** The same marks as the programs in C: the two sides differ, so that a side which sees its own bytes is found out. */
const pingMark = (trip: number): number => trip & 0xff;
const pongMark = (trip: number): number => (trip + 128) & 0xff;

function mark(payload: Buffer, value: number): Buffer {
  payload[0] = value;
  payload[payload.length - 1] = value;
  return payload;
}

function checkMark(payload: Buffer, bytes: number, expected: number): void {
  if (payload.length === bytes && payload[0] === expected && payload[bytes - 1] === expected) return;
  throw new Error(
    `${payload.length} bytes arrived with the marks ${payload[0]} and ${payload.at(-1)}, not ${expected}`,
  );
}

async function initiate(socket: Socket, { payloadBytes, roundTrips, warmUp, address }: Arguments): Promise<void> {
  const payload = Buffer.alloc(payloadBytes);
  const roundTripNs: number[] = [];
  socket.connect(address);
  let beforeNs = process.hrtime.bigint();
  for (let trip = 1; trip <= warmUp + roundTrips; trip += 1) {
    await socket.send(mark(payload, pingMark(trip)));
    const [answer] = await socket.receive();
    checkMark(answer, payloadBytes, pongMark(trip));
    const afterNs = process.hrtime.bigint();
    if (trip > warmUp) roundTripNs.push(Number(afterNs - beforeNs));
    beforeNs = afterNs;
  }
  const kind = payloadBytes <= SMALL_BYTES_MAX ? 'REQ and REP' : 'PAIR';
  console.log(JSON.stringify({ settings: `ZeroMQ, ${kind} over ipc`, roundTripNs }));
}

async function respond(socket: Socket, { payloadBytes, roundTrips, warmUp, address }: Arguments): Promise<void> {
  const payload = Buffer.alloc(payloadBytes);
  await socket.bind(address);
  for (let trip = 1; trip <= warmUp + roundTrips; trip += 1) {
    const [question] = await socket.receive();
    checkMark(question, payloadBytes, pingMark(trip));
    await socket.send(mark(payload, pongMark(trip)));
  }
}

async function runSide(zeroMq: ZeroMq, args: Arguments): Promise<void> {
  const initiates = args.role === 'initiate';
  const small = initiates ? zeroMq.Request : zeroMq.Reply;
  const socket = new (args.payloadBytes <= SMALL_BYTES_MAX ? small : zeroMq.Pair)({ linger: 0 });
  // IMPORTANT: held by the process. ZeroMQ closes a socket that is collected, a pending receive() does not hold it, and large messages make V8 collect.
  process.once('exit', () => socket.close());
  await (initiates ? initiate : respond)(socket, args);
  // The responder's last answer is still on its way now: the program ends both sides when the initiator has it.
  process.send?.('done');
}

function startSide(role: string, core: string | undefined, args: Arguments): ChildProcess {
  const pin =
    core === undefined || args.payloadBytes > SMALL_BYTES_MAX
      ? {}
      : { execPath: 'taskset', execArgv: ['--cpu-list', core, process.execPath] };
  return fork(import.meta.filename, [...process.argv.slice(2), '--role', role, '--address', args.address], pin);
}

/** Exit code of the program. */
async function runBoth(args: Arguments): Promise<number> {
  const responder = startSide('respond', args.cores?.[1], args);
  const initiator = startSide('initiate', args.cores?.[0], args);
  const sides = [responder, initiator];
  const exits = sides.map((side) => once(side, 'exit'));
  const failed = Promise.race(exits).then(() => 1);
  const code = await Promise.race([failed, once(initiator, 'message').then(() => 0)]);
  for (const side of sides) if (side.connected) side.disconnect();
  await Promise.all(exits);
  return code;
}

async function main(): Promise<number> {
  let args: Arguments;
  try {
    args = parseArguments(process.argv.slice(2));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return EXIT_BAD_ARGUMENTS;
  }
  try {
    const zeroMq = (await import(MODULE)) as ZeroMq;
    if (args.role === undefined) return await runBoth(args);
    await runSide(zeroMq, args);
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    const missing = (error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND';
    return missing ? EXIT_NOT_HERE : 1;
  }
}

// Held open by the channel to whoever started it; a side that is done waits here for the program's end.
process.once('disconnect', () => process.exit(1));
const code = await main();
if (code !== 0 || !process.argv.includes('--role')) process.exit(code);
