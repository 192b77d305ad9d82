import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { tempDir } from '../../support/temp-dir.ts';
import { cPeers } from './c-peers.ts';
import { CompiledProgram } from './compiled-program.ts';
import { iceoryxPeers } from './iceoryx-peers.ts';
import { EXIT_NOT_HERE } from './peer-program.ts';
import { peers } from './peers.ts';
import { whyNoRouDi } from './roudi.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const PAYLOADS = [8, 4_096, 33_177_600] as const;
/** Far more than are made before somebody interrupts them. */
const ENDLESS = { payloadBytes: 8, roundTrips: 10_000_000, warmUp: 0, cores: null } as const;

const all = await Promise.all(
  peers().map(async (peer) => ({ peer, name: `${peer.name} (${peer.waiting})`, why: await peer.available() })),
);
const whyNoIceoryx = all.find(({ peer }) => peer.name === 'iceoryx')?.why ?? null;
const whyNoCompiler = all.find(({ peer }) => peer.name === 'c-atomics')?.why ?? null;
const whyNoZeroMq = all.find(({ peer }) => peer.name === 'zeromq')?.why ?? null;
const because = (why: string | null): string => (why === null ? '' : `, skipped: ${why}`);

/** The command lines of processes that mention `text`. */
async function processesWith(text: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.includes(text));
}

const filesOf = async (pid: number | undefined): Promise<readonly string[]> =>
  (await readdir('/tmp')).filter((name) => name.startsWith(`leasehold-bench-${pid}-`));

async function run(file: string, args: readonly string[], env = process.env): Promise<{ code: number; said: string }> {
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [code] = await once(child, 'close');
  return { code, said };
}

/** Wrong in one thing each. */
const BAD_ARGUMENTS = [
  { args: ['--payload', '0', '--round-trips', '5'], wrong: '--payload' },
  { args: ['--payload', '8', '--round-trips', 'five'], wrong: '--round-trips' },
  { args: ['--payload', '8'], wrong: '--round-trips' },
  { args: ['--payload', '8', '--round-trips', '5', '--cores', '0'], wrong: '--cores' },
  { args: ['--payload', '8', '--round-trips', '5', '--colour', 'red'], wrong: '--colour' },
] as const;

// Together: what several of them use is made once.
describe('a peer', () => {
  const here = all.filter(({ why }) => why === null).map(({ peer }) => peer);
  beforeAll(() => Promise.all(here.map((peer) => peer.start())));
  afterAll(() => Promise.all(here.map((peer) => peer.stop())));

  for (const { peer, name, why } of all) {
    describe.skipIf(why !== null)(`${name}${because(why)}`, () => {
      it.each(PAYLOADS)('carries %i bytes there and back, and times every round trip', async (payloadBytes) => {
        const roundTripNs = await peer.pingPong({ payloadBytes, roundTrips: 40, warmUp: 10, cores: null });

        expect(roundTripNs).toHaveLength(40);
        expect(Math.min(...roundTripNs)).toBeGreaterThan(0);
      });

      it('runs on the cores it is given, and says so when there is no such core', async () => {
        const onTheFirst = { payloadBytes: 8, roundTrips: 5, warmUp: 0, cores: [0, 0] } as const;
        // A side that spins on its only core waits until the scheduler takes it away: slow, and nothing else.
        await expect(peer.pingPong(onTheFirst)).resolves.toHaveLength(5);
        await expect(peer.pingPong({ ...onTheFirst, cores: [1_023, 1_023] })).rejects.toThrow(/1023|Invalid argument/);
      });

      it('ends its processes when it is stopped in the middle', async () => {
        const interrupted = expect(peer.pingPong(ENDLESS)).rejects.toThrow('ended');
        await expect.poll(() => processesWith(String(ENDLESS.roundTrips)), { timeout: 60_000 }).not.toEqual([]);

        await peer.stop();

        await interrupted;
        await expect.poll(() => processesWith(String(ENDLESS.roundTrips)), { timeout: 60_000 }).toEqual([]);
        expect(await filesOf(process.pid)).toEqual([]);
      });
    });
  }
});

describe.skipIf(whyNoIceoryx !== null)(`iceoryx's daemon${because(whyNoIceoryx)}`, () => {
  it('serves whoever started it and nobody else, until the last of them stops, and leaves none of its files', async () => {
    const [spinning, sleeping] = iceoryxPeers();
    if (spinning === undefined || sleeping === undefined) throw new Error('there are two ways to wait');
    await Promise.all([spinning.start(), sleeping.start()]);
    expect(await spinning.available()).toBeNull();
    for (const other of iceoryxPeers()) expect(await other.available()).toContain('another RouDi');

    await spinning.stop();
    await expect(sleeping.pingPong({ ...ENDLESS, roundTrips: 5 })).resolves.toHaveLength(5);
    await sleeping.stop();

    expect(await whyNoRouDi()).toBeNull();
    expect((await readdir('/tmp')).filter((name) => /^roudi|^iox-/.test(name))).toEqual([]);
    expect(await readdir('/dev/shm')).not.toContain('iceoryx_mgmt');
  });

  it('ends with its files and processes when whoever started it is killed', async () => {
    const program =
      `import { iceoryxPeers } from '${HERE}iceoryx-peers.ts'; const [peer] = iceoryxPeers(); await peer.start(); ` +
      `console.log('ready'); await peer.pingPong(${JSON.stringify(ENDLESS)});`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
      // The compiled program is a file like any other: nobody removes it for one that was killed.
      env: { ...process.env, TMPDIR: tempDir() },
    });
    await once(child.stdout, 'data');
    await expect.poll(() => filesOf(child.pid), { timeout: 60_000 }).not.toEqual([]);

    child.kill('SIGKILL');
    await once(child, 'close');

    await expect.poll(() => filesOf(child.pid), { timeout: 60_000 }).toEqual([]);
    await expect.poll(() => readdir('/dev/shm'), { timeout: 60_000 }).not.toContain('iceoryx_mgmt');
    await expect.poll(() => processesWith(String(ENDLESS.roundTrips)), { timeout: 60_000 }).toEqual([]);
  });
});

describe('what a peer needs', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('is named when it is missing: a compiler', async () => {
    vi.stubEnv('PATH', '');
    for (const peer of cPeers()) expect(await peer.available()).toContain('no C compiler (cc)');
  });

  it('is named when it is missing: what iceoryx needs, with the packages that have it', async () => {
    vi.stubEnv('PATH', '');
    for (const peer of iceoryxPeers())
      expect(await peer.available()).toMatch(/g\+\+, iox-roudi, setpriv.*libiceoryx-posh-dev/);
  });
});

describe.skipIf(whyNoCompiler !== null)(`the program in C${because(whyNoCompiler)}`, () => {
  const program = new CompiledProgram({ compiler: 'cc', file: 'c-ping-pong.c', flags: ['-O2'] });
  beforeAll(() => program.open());
  afterAll(() => program.close());

  it.each(BAD_ARGUMENTS)('ends with 2 and names $wrong: $args', async ({ args, wrong }) => {
    expect(await run(program.path, args)).toMatchObject({ code: 2, said: expect.stringContaining(wrong) });
  });

  it('ends with 2 when it shall wait in a way that it does not know', async () => {
    const args = ['--payload', '8', '--round-trips', '5', '--wait', 'standing'];
    expect(await run(program.path, args)).toMatchObject({ code: 2, said: expect.stringContaining('standing') });
  });
});

describe('the program for ZeroMQ', () => {
  const program = `${HERE}zeromq-ping-pong.ts`;

  it.each(BAD_ARGUMENTS)('ends with 2 and names $wrong: $args', async ({ args, wrong }) => {
    expect(await run(process.execPath, [program, ...args])).toMatchObject({
      code: 2,
      said: expect.stringContaining(wrong.replace('--', '')),
    });
  });

  it.runIf(whyNoZeroMq?.includes('not installed'))('ends with 77 where the package is not installed', async () => {
    const { code, said } = await run(process.execPath, [program, '--payload', '8', '--round-trips', '5']);
    expect({ code, said }).toMatchObject({ code: EXIT_NOT_HERE, said: expect.stringContaining('zeromq') });
  });
});
