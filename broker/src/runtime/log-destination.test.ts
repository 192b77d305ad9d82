import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LogDestination } from './log-destination.ts';

const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK } = constants;
const LINE = `${'x'.repeat(1023)}\n`;

let directory: string;
const opened: number[] = [];
const open = (path: string, flags: number): number => {
  const fd = openSync(path, flags);
  opened.push(fd);
  return fd;
};
const onto = (fd: number) => new LogDestination({ fd, close: () => undefined });
/** A pipe that holds 64 KiB. */
const pipe = () => {
  const path = join(directory, 'pipe');
  execFileSync('mkfifo', [path]);
  const reader = open(path, O_RDONLY | O_NONBLOCK);
  return { reader, writer: open(path, O_WRONLY | O_NONBLOCK) };
};
const readAll = (fd: number): string => {
  const chunk = Buffer.alloc(1 << 20);
  let text = '';
  for (;;) {
    try {
      const bytes = readSync(fd, chunk);
      if (bytes === 0) return text;
      text += chunk.toString('latin1', 0, bytes);
    } catch {
      return text;
    }
  }
};

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lh-'));
});
afterEach(() => {
  vi.useRealTimers();
  for (const fd of opened.splice(0)) closeSync(fd);
  rmSync(directory, { recursive: true, force: true });
});

describe('LogDestination', () => {
  it('writes each line at once', () => {
    const path = join(directory, 'log');
    const log = onto(open(path, constants.O_CREAT | O_RDWR));
    log.write('one\n');
    log.write('two\n');
    expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n');
  });

  it('survives a full disk, and ends', () => {
    const log = onto(open('/dev/full', O_WRONLY));
    for (let count = 0; count < 100; count++) log.write(LINE);
    log.close();
  });

  it('keeps what a slow reader has not taken, and writes it when it has', () => {
    vi.useFakeTimers();
    const { reader, writer } = pipe();
    const log = onto(writer);
    for (let count = 0; count < 200; count++) log.write(LINE);
    let text = '';
    for (let read = readAll(reader); read !== ''; read = readAll(reader)) {
      text += read;
      vi.advanceTimersByTime(1_000);
    }
    expect(text).toBe(LINE.repeat(200));
  });

  it('loses whole lines beyond its bound, and says how many before what comes next', () => {
    vi.useFakeTimers();
    const { reader, writer } = pipe();
    const log = onto(writer);
    for (let count = 0; count < 6_000; count++) log.write(LINE);
    let text = readAll(reader);
    vi.advanceTimersByTime(1_000);
    log.write('next\n');
    for (let read = readAll(reader); read !== ''; read = readAll(reader)) {
      text += read;
      vi.advanceTimersByTime(1_000);
    }
    const lines = text.trimEnd().split('\n');
    const [report, next] = lines.splice(-2);
    expect(new Set(lines)).toEqual(new Set([LINE.trimEnd()]));
    expect(JSON.parse(report ?? '')).toMatchObject({ level: 40, lostLines: 6_000 - lines.length });
    expect(next).toBe('next');
  });

  it('closes while nobody reads', () => {
    const { writer } = pipe();
    const log = onto(writer);
    for (let count = 0; count < 200; count++) log.write(LINE);
    log.close();
  });
});
