/** What a client of the simulation may do next, drawn at random: steps in memory, and requests to the broker. */
import type { Hold, LockMode } from '@leasehold/shm-core/internal';
import type { LeaseClient, Wish } from './lease-client.ts';
import type { LeaseSeat } from './lease-seat.ts';
import type { LeaseWorld } from './lease-world.ts';
import { hex, type LockUnderTest } from './lock-under-test.ts';
import type { Random } from './random.ts';

const SEATS_MAX = 3;
const CALLS_MAX = 4;
const TTLS_MS = [0, 100, 100, 300, 1000, 5000, 60_000];
const WAITS_MS = [0, 0, 20, 200, 1500, 10_000, 120_000];

export class LeaseSteps {
  readonly #world: LeaseWorld;
  readonly #random: Random;
  /** Told whether the broker's bell was rung. */
  readonly #ring: (rung: boolean) => void;

  constructor(world: LeaseWorld, random: Random, ring: (rung: boolean) => void) {
    this.#world = world;
    this.#random = random;
    this.#ring = ring;
  }

  /** A step in memory. */
  touch(client: LeaseClient, seat: LeaseSeat): void {
    const { hold, earlier, lock } = seat;
    const { name } = client.session;
    const random = this.#random;
    if (hold === null || random.chance(0.02)) {
      if (earlier !== null && random.chance(0.1)) {
        this.#lateStep(client, seat, earlier);
        return;
      }
      if (lock.channel || client.calls.some((call) => call.seat === seat)) return;
      const mode: LockMode = seat.canWrite && random.chance(0.5) ? 'exclusive' : 'shared';
      const held = hold === null && seat.try(mode, this.#ttlMs());
      this.#world.log(`${name} tries ${mode} ${lock.name}: ${held}`);
      return;
    }
    if (seat.orphaned) return;
    this.#useHold(client, seat, hold);
  }

  #useHold({ session: { name }, connected }: LeaseClient, seat: LeaseSeat, hold: Hold): void {
    const random = this.#random;
    const choice = random.below(100);
    const what = `${hold.mode} ${hex(hold.id)}`;
    if (choice < 35) {
      this.#world.log(`${name} renews ${what}`);
      seat.renew(hold, this.#ttlMs() || 5000);
    } else if (choice < 70 && !(seat.lock.channel && connected)) {
      if (hold.mode === 'exclusive' && random.chance(0.5)) seat.markClean(hold);
      this.#world.log(`${name} releases ${what}`);
      this.#ring(seat.release(hold));
      seat.drop();
    } else if (choice < 75 && hold.mode === 'exclusive' && !seat.lock.channel) {
      this.#world.log(`${name} downgrades ${what}`);
      this.#ring(seat.downgrade(hold));
    } else if (choice < 77) {
      this.#world.log(`${name} forgets ${what}`);
      seat.orphaned = true;
    } else if (choice < 80 && !connected) {
      this.#world.log(`${name} abandons ${what}`);
      this.#ring(seat.abandon(hold));
      seat.drop();
    }
  }

  /** About a hold that is long over. */
  #lateStep({ session: { name } }: LeaseClient, seat: LeaseSeat, earlier: Hold): void {
    this.#world.log(`${name} is late with ${hex(earlier.id)}`);
    // Who shares a participant sees to it that nobody renews while another one holds.
    if (seat.hold === null && this.#random.chance(0.5)) seat.renew(earlier, 300);
    else this.#ring(seat.release(earlier));
  }

  /** A request to the broker. */
  async ask(client: LeaseClient, seat: LeaseSeat | null): Promise<void> {
    const random = this.#random;
    const choice = random.below(100);
    if (choice < 50) return this.#acquire(client, seat);
    if (choice < 56) return this.#publish(client);
    if (choice < 70) return this.#abort(client);
    if (choice < 96) return this.#askAboutLease(client, seat);
    if (seat === null || random.chance(0.5)) return;
    this.#world.log(`${client.session.name} detaches from ${seat.lock.name}`);
    client.detach(seat);
  }

  async #acquire(client: LeaseClient, seat: LeaseSeat | null): Promise<void> {
    const random = this.#random;
    if (client.calls.length >= CALLS_MAX) return;
    const { name } = client.session;
    if (seat === null || random.chance(0.3)) {
      const lock = this.#world.locks.get('m');
      if (lock === undefined) return;
      const wish = this.#wish(true);
      this.#world.log(`${name} asks for ${wish.mode} m, ${wish.ttlMs} ms, waits ${wish.waitMs} ms`);
      return client.acquire(lock, null, wish);
    }
    // Who asks while it holds loses what it holds; a client that behaves does not.
    if (!seat.attachment.active || seat.lock.channel || client.calls.some((call) => call.seat === seat)) return;
    if (seat.hold !== null && !random.chance(0.05)) return;
    const wish = this.#wish(seat.canWrite);
    this.#world.log(`${name} asks for ${wish.mode} m in its seat, ${wish.ttlMs} ms, waits ${wish.waitMs} ms`);
    return client.acquire(seat.lock, seat, wish);
  }

  async #publish(client: LeaseClient): Promise<void> {
    const lock = this.#world.locks.get('c');
    if (lock === undefined || client.session.bell === null || client.seats.length >= SEATS_MAX) return;
    this.#world.log(`${client.session.name} publishes`);
    return client.publish(lock, this.#ttlMs());
  }

  async #abort(client: LeaseClient): Promise<void> {
    const call = this.#random.pick(this.#random.chance(0.7) ? client.calls : client.answered);
    if (call === undefined || call.lock.channel) return;
    this.#world.log(`${client.session.name} cancels ${hex(call.id)}`);
    return client.abort(call);
  }

  /** About one of those that it has, or had, or waits for. */
  async #askAboutLease(client: LeaseClient, seat: LeaseSeat | null): Promise<void> {
    const random = this.#random;
    const about = random.pick([...client.calls, ...client.answered, ...holdsOf(seat)]);
    if (about === undefined) return;
    const { lock, id } = about;
    const { name } = client.session;
    if (random.chance(0.5)) {
      this.#world.log(`${name} renews ${hex(id)} by RPC`);
      return client.renew(lock, id, this.#ttlMs());
    }
    this.#world.log(`${name} releases ${hex(id)} by RPC`);
    return client.release(lock, id, random.chance(0.5));
  }

  #ttlMs(): number {
    return this.#random.pick(TTLS_MS) ?? 0;
  }
  #wish(canWrite: boolean): Wish {
    const mode: LockMode = canWrite && this.#random.chance(0.5) ? 'exclusive' : 'shared';
    return { mode, ttlMs: this.#ttlMs(), waitMs: this.#random.pick(WAITS_MS) ?? 0 };
  }
}

function holdsOf(seat: LeaseSeat | null): { lock: LockUnderTest; id: bigint }[] {
  if (seat === null) return [];
  return [seat.hold, seat.earlier].flatMap((hold) => (hold === null ? [] : [{ lock: seat.lock, id: hold.id }]));
}
