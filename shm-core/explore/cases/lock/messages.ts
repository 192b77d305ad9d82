/** What clients tell the broker, in one ghost word that keeps their order: an inbox. A ring that is there already is not repeated. */
import type { World } from '../../engine/world.ts';

export const MessageKind = {
  ring: 1,
  shared: 2,
  exclusive: 3,
  cancel: 4,
  revoke: 5,
  evict: 6,
  death: 7,
  admit: 8,
} as const;
export type MessageKind = (typeof MessageKind)[keyof typeof MessageKind];

export interface Message {
  readonly kind: MessageKind;
  /** Place in the list of seats. */
  readonly seat: number;
  readonly id: bigint;
}

const MESSAGE_BITS = 80n;
const MESSAGE_MASK = (1n << MESSAGE_BITS) - 1n;

export const packMessage = ({ kind, seat, id }: Message): bigint => BigInt(kind) | (BigInt(seat) << 4n) | (id << 8n);

/** Oldest first. */
export function unpackMessages(packed: bigint): Message[] {
  const messages: Message[] = [];
  for (let rest = packed; rest !== 0n; rest >>= MESSAGE_BITS) {
    const message = rest & MESSAGE_MASK;
    messages.unshift({
      kind: Number(message & 15n) as MessageKind,
      seat: Number((message >> 4n) & 15n),
      id: message >> 8n,
    });
  }
  return messages;
}

export const append = (inbox: bigint, message: Message): bigint => (inbox << MESSAGE_BITS) | packMessage(message);

const hasRing = (inbox: bigint): boolean => unpackMessages(inbox).some(({ kind }) => kind === MessageKind.ring);

/** `inbox`: the ghost word; every broker has its own. */
export function post(world: World, message: Message, inbox = 'inbox'): void {
  const name = Object.entries(MessageKind).find(([, kind]) => kind === message.kind)?.[0];
  world.atomically(`post ${name}`, [inbox], ([held = 0]) => {
    const before = BigInt(held);
    const repeated = message.kind === MessageKind.ring && hasRing(before);
    return { result: 0, writes: [repeated ? before : append(before, message)] };
  });
}

/** A grant on its way to a client: 0 is none. */
export const packGrant = (fencingToken: bigint, dirty: bigint): bigint => (1n << 128n) | (fencingToken << 64n) | dirty;
export const unpackGrant = (packed: bigint): { fencingToken: bigint; dirty: bigint } => ({
  fencingToken: (packed >> 64n) & 0xffff_ffff_ffff_ffffn,
  dirty: packed & 0xffff_ffff_ffff_ffffn,
});
