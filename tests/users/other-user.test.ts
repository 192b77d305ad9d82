/** Another user of the machine: refused by default, and where a policy lets it read, kept to reading by the kernel. */
import { connect } from '@leasehold/client';
import { SubscribeMode } from '@leasehold/proto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { heldBy } from '../hostile/figures.ts';
import { RawAttach, rawRpc } from '../hostile/raw-client.ts';
import { startSpecialBroker } from '../hostile/special-broker.ts';
import { startBroker } from '../support/broker-process.ts';
import { startWorker, type Worker } from '../support/processes.ts';

/** Nobody's, and not the broker's. */
const OTHER = { uid: 54_321, gid: 54_321 };
const NEEDS_ROOT = 'processes of another user can only be started by root';
const READER_MAY = ['connect', 'info', 'list', 'read', 'subscribe'] as const;

interface Outcome {
  readonly code: string;
  readonly message: string;
}

const asOther = (runtimeDir: string, brokerPid: number): Worker =>
  startWorker('user-reader', [runtimeDir, String(brokerPid)], OTHER);

const here = process.getuid?.() === 0;
if (!here) console.warn(`skipped: ${NEEDS_ROOT}`);

describe.skipIf(!here)(`another user (skipped without root: ${NEEDS_ROOT})`, () => {
  it('is refused by default on every way in, and told why', async () => {
    const { runtimeDir, pid } = await startBroker();
    const before = heldBy(pid);
    const other = asOther(runtimeDir, pid);
    const answers = await other.ask<{ connect: Outcome; attachSocket: string; openSession: Outcome; call: Outcome }>({
      do: 'knock',
    });
    for (const { code, message } of [answers.connect, answers.openSession]) {
      expect(code).toBe('PERMISSION_DENIED');
      expect(message).toMatch(/uid 54321 may not connect: only root and uid 0, who runs the broker, may use it/);
    }
    expect(answers.attachSocket).toBe('PERMISSION_DENIED');
    expect(answers.call.code).toBe('UNAUTHENTICATED');
    await expect.poll(() => heldBy(pid), { timeout: 20_000 }).toEqual(before);
  });

  it('is told who may, when the broker keeps its directory to its own user', async () => {
    const { runtimeDir, pid } = await startBroker(['--no-system']);
    const { code, message } = await asOther(runtimeDir, pid).ask<Outcome>({ do: 'connect' });
    expect(code).toBe('PERMISSION_DENIED');
    expect(message).toMatch(/may not open .*attach\.sock; ask for a system broker, or run as its user/);
  });

  it('that may subscribe can read, and by no system call more', async () => {
    const { runtimeDir, pid } = await startSpecialBroker({ mayDo: READER_MAY });
    const broker = await connect({ runtimeDir });
    onTestFinished(() => broker.close());
    await broker.createChannel('c', { slotBytes: 4096, slots: 8, pages: 'never' });
    const other = asOther(runtimeDir, pid);
    const { tried } = await other.ask<{ tried: Record<string, Record<string, string>> }>({ do: 'probe', name: 'c' });
    const reading = {
      'map to read': 'ok',
      'map to write': 'EACCES',
      'make a map writable': 'EACCES',
      'punch a hole through a map': 'EACCES',
      'reopen to write': 'EACCES',
      shrink: 'EINVAL',
      grow: 'EINVAL',
      'punch a hole': 'EBADF',
      seal: 'EPERM',
      'change the mode': 'EPERM',
      write: 'EBADF',
    };
    expect(tried.data).toEqual(reading);
    expect(tried.lock).toEqual(reading);
    // Its own page is its own to write; its size and its mode are not.
    expect(tried.page).toMatchObject({
      'map to write': 'ok',
      'reopen to write': 'EACCES',
      shrink: 'EPERM',
      grow: 'EPERM',
      'change the mode': 'EPERM',
    });
    expect(Object.values(tried.broker ?? {})).toEqual(['EACCES', 'EACCES', 'EACCES', 'EACCES', 'EACCES']);
  });

  it('that may subscribe reaches no page but its own, no lease, and nothing of another session', async () => {
    const { runtimeDir, pid } = await startSpecialBroker({ mayDo: READER_MAY });
    const owner = new RawAttach(runtimeDir);
    const token = await owner.open();
    const rpc = rawRpc(runtimeDir, token);
    onTestFinished(() => {
      rpc.close();
      owner.close();
    });
    await rpc.channels.createChannel({ spec: { name: 'c', slotBytes: 4096n } }, rpc.options);
    const { attachment } = await rpc.channels.openSubscriber({ name: 'c', mode: SubscribeMode.QUEUE }, rpc.options);
    const ticket = attachment?.ticket ?? new Uint8Array();
    const other = asOther(runtimeDir, pid);
    const { mappingId } = await other.ask<{ mappingId: bigint }>({ do: 'probe', name: 'c' });
    expect(await other.ask({ do: 'pages', mappingId })).toBe('ATTACHMENT_NOT_FOUND');
    expect(await other.ask({ do: 'steal', token, ticket })).toEqual({
      withToken: 'UNAUTHENTICATED',
      withTicket: 'TICKET_INVALID',
    });
    const trespasses = await other.ask<Record<string, Outcome>>({ do: 'trespass', name: 'c' });
    for (const [what, { code, message }] of Object.entries(trespasses)) {
      expect(code, what).toBe('PERMISSION_DENIED');
      expect(message, what).toMatch(/^uid 54321 may not .*: the test does not allow it/);
    }
    // The ticket is still worth what it was to its owner.
    const { said, fds } = await owner.ask({ case: 'claim', value: { ticket } });
    for (const fd of fds) fd.close();
    expect(said.case).toBe('grant');
  });
});
