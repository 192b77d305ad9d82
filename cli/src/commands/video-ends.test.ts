import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InterruptedError } from '../program/context.ts';
import { UsageError } from '../program/errors.ts';
import { fakeContext } from '../program/testing/fake-context.ts';
import { openVideoInput } from './video-input.ts';
import { openVideoOutput } from './video-output.ts';

const VIDEO = 'YUV4MPEG2 W2 H2 F25:1 Cmono\nFRAME\nabcdFRAME\nefgh';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'leasehold-video-ends-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('the input of publish', () => {
  it('is the same from a file, a named pipe and stdin', async () => {
    const file = join(directory, 'file.y4m');
    const fifo = join(directory, 'fifo');
    await writeFile(file, VIDEO);
    execFileSync('mkfifo', [fifo]);
    const context = { ...fakeContext(), stdin: Readable.from([Buffer.from(VIDEO)]) };
    for (const input of [file, fifo, '-']) {
      const written = input === fifo ? writeFile(fifo, VIDEO) : null;
      const video = await openVideoInput({ input, raw: null }, context);
      const picture = new Uint8Array(video.frameBytes);
      const pictures: string[] = [];
      while ((await video.reader.readFrame(picture)) !== null) pictures.push(Buffer.from(picture).toString());
      await Promise.all([video.reader.close(), written]);
      expect(pictures, input).toEqual(['abcd', 'efgh']);
      expect(video.format).toMatchObject({ width: 2, height: 2, frameRate: { numerator: 25, denominator: 1 } });
    }
  });

  it('is refused on a terminal before anything is read', async () => {
    const context = { ...fakeContext(), stdin: Object.assign(Readable.from([]), { isTTY: true }) };
    await expect(openVideoInput({ input: '-', raw: null }, context)).rejects.toThrow(UsageError);
  });

  it('says that it is empty when it is', async () => {
    await expect(openVideoInput({ input: '-', raw: null }, fakeContext())).rejects.toThrow(/the input is empty/);
  });

  it('is given up on Ctrl-C while nobody writes to it', async () => {
    const context = { ...fakeContext(), stdin: new Readable({ read: () => undefined }) };
    const opening = openVideoInput({ input: '-', raw: null }, context);
    context.abort(new InterruptedError('SIGINT'));
    await expect(opening).rejects.toThrow(InterruptedError);
  });

  it('is given up on Ctrl-C while nobody opened the other end of its named pipe', async () => {
    const fifo = join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const context = fakeContext();
    const listening = new Promise<void>((resolve) => {
      const listen = context.signal.addEventListener.bind(context.signal);
      context.signal.addEventListener = (...args: Parameters<typeof listen>) => {
        listen(...args);
        resolve();
      };
    });
    const opening = openVideoInput({ input: fifo, raw: null }, context);
    await listening;
    context.abort(new InterruptedError('SIGINT'));
    await expect(opening).rejects.toThrow(InterruptedError);
  });
});

describe('the output of subscribe', () => {
  it('is refused on a terminal', async () => {
    await expect(openVideoOutput('-', fakeContext({ tty: true }))).rejects.toThrow(UsageError);
  });

  it('fails at once when the file cannot be made', async () => {
    await expect(openVideoOutput(join(directory, 'missing', 'file'), fakeContext())).rejects.toThrow(/ENOENT/);
  });

  it('ends a write that nobody reads when it is closed', async () => {
    const fifo = join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const { open, constants } = await import('node:fs/promises');
    const silentReader = await open(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const output = await openVideoOutput(fifo, fakeContext());
    const write = new Promise((resolve) => output.stream.write(Buffer.alloc(1 << 22), resolve));
    await output.close();
    expect(await write).toBeInstanceOf(Error);
    await silentReader.close();
  });

  it('keeps an older recording until the new one begins', async () => {
    const file = join(directory, 'film.y4m');
    await writeFile(file, 'an older recording');
    const nothingCame = await openVideoOutput(file, fakeContext());
    await nothingCame.close();
    expect(await readFile(file, 'utf8')).toBe('an older recording');
    const output = await openVideoOutput(file, fakeContext());
    await output.begin();
    await new Promise<void>((resolve) => output.stream.end('a new one', () => resolve()));
    expect(await readFile(file, 'utf8')).toBe('a new one');
  });
});
