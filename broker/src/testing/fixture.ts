/** One broker for each test of a file, and clients that are closed after it. */
import { type ChannelSpec, Lifetime, PagePolicy, SubscribeMode } from '@leasehold/proto';
import type { OwnedFd } from '@leasehold/shm-core/internal';
import { openClient, startTestBroker, type TestBroker, type TestClient } from './test-broker.ts';

/** Small and without large pages, so that tests depend on no pool. */
export const PAGES = { pages: PagePolicy.NEVER };

interface Hooks {
  beforeEach(start: () => Promise<void>): void;
  afterEach(stop: () => Promise<void>): void;
}

export function useTestBroker(hooks: Hooks) {
  let current: TestBroker | undefined;
  const clients: { close(): void }[] = [];
  const running = (): TestBroker => {
    if (current === undefined) throw new Error('the broker runs during tests only');
    return current;
  };
  const closeClients = (): void => {
    for (const each of clients.splice(0)) each.close();
  };
  const stop = async (): Promise<void> => {
    closeClients();
    const stopping = current;
    current = undefined;
    await stopping?.stop();
  };
  /** Another broker, with other options, for the rest of the test. */
  const restart = async (options?: Parameters<typeof startTestBroker>[0]): Promise<void> => {
    await stop();
    current = await startTestBroker(options);
  };
  const keep = (client: { close(): void }): void => {
    clients.push(client);
  };
  hooks.beforeEach(() => restart());
  hooks.afterEach(stop);
  return {
    running,
    stop,
    restart,
    keep,
    closeClients,
    async client(name?: string): Promise<TestClient> {
      const opened = await openClient(running(), name);
      keep(opened);
      return opened;
    },
  };
}

export function closeAll(fds: readonly OwnedFd[]): void {
  for (const fd of fds) fd.close();
}

export const createMapping = (from: TestClient, name: string, lifetime = Lifetime.LAST_ATTACHMENT) =>
  from.mappings.createMapping({ name, sizeBytes: 10_000n, lifetime, ...PAGES }, from.options);

export const createChannel = (
  from: TestClient,
  name: string,
  spec: Partial<Omit<ChannelSpec, '$typeName' | 'format'>> & { format?: object } = {},
) => from.channels.createChannel({ spec: { name, slotBytes: 1000n, slots: 8, ...PAGES, ...spec } }, from.options);

export async function subscribe(from: TestClient, name: string, maxPins = 0) {
  const request = { name, mode: SubscribeMode.QUEUE, maxPins };
  const { attachment } = await from.channels.openSubscriber(request, from.options);
  if (attachment === undefined) throw new Error('no attachment');
  return attachment;
}

/** Opens a publisher and gives its events one by one; null at the end. */
export function publish(from: TestClient, name: string, failIfHeld = false) {
  const stop = new AbortController();
  const options = { ...from.options, signal: stop.signal };
  const events = from.channels.openPublisher({ name, failIfHeld }, options)[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await events.next();
    return done ? null : value.event;
  };
  return { next, cancel: () => stop.abort() };
}
