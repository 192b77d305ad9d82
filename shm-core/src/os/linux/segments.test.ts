import { execFileSync } from 'node:child_process';
import { fstatSync, ftruncateSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeSegmentOs } from '../testing/segment-conformance.ts';
import { openFds } from '../testing/temporary-directory.ts';
import { createLinuxSegmentOs } from './segments.ts';

describeSegmentOs(createLinuxSegmentOs);

const BYTES = 2 ** 20;

describe('a memfd segment', () => {
  const os = createLinuxSegmentOs();

  async function sealedSegment() {
    const fd = os.create('leasehold-test', BYTES, 'base');
    await os.populate(fd, 0, BYTES);
    os.seal(fd);
    return fd;
  }

  it('cannot be truncated, grown or sealed further by anybody', async () => {
    const fd = await sealedSegment();
    expect(() => ftruncateSync(fd.raw, 0)).toThrow(/EPERM/);
    expect(() => ftruncateSync(fd.raw, 2 * BYTES)).toThrow(/EPERM/);
    expect(() => os.seal(fd)).toThrow(expect.objectContaining({ call: 'fcntl', code: 'EPERM' }));
    fd.close();
  });

  it('has mode 0600 and is closed on exec, in both openings', () => {
    const fd = os.create('leasehold-test', BYTES, 'base');
    const reader = os.openReadOnly(fd);
    for (const each of [fd, reader]) {
      expect(fstatSync(each.raw).mode & 0o777).toBe(0o600);
      const info = readFileSync(`/proc/self/fdinfo/${each.raw}`, 'utf8');
      const flags = Number.parseInt(/flags:\s+(\d+)/.exec(info)?.[1] ?? '', 8);
      expect(flags & 0o2000000).toBe(0o2000000);
      each.close();
    }
  });

  it('is populated when populate() resolves, and not before', async () => {
    const fd = os.create('leasehold-test', BYTES, 'base');
    expect(fstatSync(fd.raw).blocks).toBe(0);
    await os.populate(fd, 0, BYTES);
    expect(fstatSync(fd.raw).blocks * 512).toBe(BYTES);
    fd.close();
  });

  it('takes exactly the memory that is populated, and what is discarded goes back by whole pages', async () => {
    const fd = os.create('leasehold-test', BYTES, 'base');
    const page = os.basePageBytes;
    expect(os.allocatedBytes(fd)).toBe(0);
    await os.populate(fd, 0, BYTES);
    expect(os.allocatedBytes(fd)).toBe(BYTES);
    await os.discard(fd, BYTES / 2, BYTES / 2);
    expect(os.allocatedBytes(fd)).toBe(BYTES / 2);
    // Of four pages, two are whole.
    await os.discard(fd, 1, 4 * page - 2);
    expect(os.allocatedBytes(fd)).toBe(BYTES / 2 - 2 * page);
    const range = os.map(fd, BYTES, 'write', 'base');
    range.discard(8 * page, page);
    expect(os.allocatedBytes(fd)).toBe(BYTES / 2 - 3 * page);
    range.populate(8 * page, 4 * page);
    expect(os.allocatedBytes(fd)).toBe(BYTES / 2 - 2 * page);
    expect(range.advise('populate', 0, BYTES)).toBe('applied');
    expect(os.allocatedBytes(fd)).toBe(BYTES);
    range.release();
    fd.close();
  });

  it('names the call when a discard fails, whose thread leaves no errno', async () => {
    const fd = os.create('leasehold-test', BYTES, 'base');
    const reader = os.openReadOnly(fd);
    await expect(os.discard(reader, 0, BYTES)).rejects.toMatchObject({ call: 'fallocate', code: 'EBADF' });
    fd.close();
    reader.close();
  });

  it('reports errno and call when population fails', async () => {
    const fd = os.create('leasehold-test', BYTES, 'base');
    const reader = os.openReadOnly(fd);
    await expect(os.populate(reader, 0, BYTES)).rejects.toMatchObject({ call: 'posix_fallocate', code: 'EBADF' });
    fd.close();
    reader.close();
  });

  it('cannot be reopened for writing by another user who holds a reader’s descriptor', async (context) => {
    if (process.getuid?.() !== 0) return context.skip('needs root to become another user');
    const fd = await sealedSegment();
    const reader = os.openReadOnly(fd);
    const script =
      'try { require("fs").openSync("/proc/self/fd/3", "r+"); console.log("opened") } catch (e) { console.log(e.code) }';
    const options = { uid: 65534, gid: 65534, stdio: ['ignore', 'pipe', 'inherit', reader.raw] as const };
    expect(execFileSync(process.execPath, ['-e', script], { ...options, stdio: [...options.stdio] }).toString()).toBe(
      'EACCES\n',
    );
    reader.close();
    fd.close();
  });

  it('leaves no descriptor behind when it cannot be made', () => {
    const before = openFds();
    expect(() => os.create('x'.repeat(300), BYTES, 'base')).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(openFds()).toEqual(before);
  });
});

/** Locked memory of this process, B: in all (VmLck), and of mappings of the test segments (smaps). */
const locked = () => {
  const smaps = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const ours = smaps.filter((mapping) => mapping.includes('/memfd:leasehold-test'));
  const kib = (text: string, field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]);
  return {
    processBytes: kib(readFileSync('/proc/self/status', 'utf8'), 'VmLck') * 1024,
    mappedBytes: ours.reduce((sum, mapping) => sum + kib(mapping, 'Locked') * 1024, 0),
  };
};

describe('a resident part', () => {
  const os = createLinuxSegmentOs();

  it('is locked as far as it reaches, and not beyond its release', async () => {
    const before = locked();
    const fd = os.create('leasehold-test', BYTES, 'base');
    await os.populate(fd, 0, BYTES);
    const part = os.keepResident(fd);
    const expectLocked = (bytes: number) =>
      expect(locked()).toEqual({ processBytes: before.processBytes + bytes, mappedBytes: before.mappedBytes + bytes });
    expectLocked(0);
    await part.extendTo(BYTES / 4);
    expectLocked(BYTES / 4);
    await part.extendTo(BYTES);
    expectLocked(BYTES);
    await part.reduceTo(BYTES / 2);
    expectLocked(BYTES / 2);
    await part.extendTo(BYTES / 4);
    expectLocked(BYTES / 2);
    await part.release();
    expectLocked(0);
    fd.close();
  });

  it('is given back with the rest when its memory is discarded', async () => {
    const fd = os.create('leasehold-test', BYTES, 'base');
    await os.populate(fd, 0, BYTES);
    const part = os.keepResident(fd);
    await part.extendTo(BYTES);
    await part.reduceTo(BYTES / 2);
    await os.discard(fd, BYTES / 2, BYTES / 2);
    expect(os.allocatedBytes(fd)).toBe(BYTES / 2);
    await part.release();
    fd.close();
  });

  it('beyond the limit of locked memory is an OsError of mlock, and locks nothing', async (context) => {
    if (process.getuid?.() !== 0) return context.skip('needs root to become a user whom the limit binds');
    const script = join(import.meta.dirname, 'testing/lock-more-than-allowed.ts');
    const shell = `ulimit -l 64 && exec "$0" "$@"`;
    const node = [process.execPath, '--conditions=leasehold-source', script, String(BYTES)];
    const answer = execFileSync('/bin/sh', ['-c', shell, ...node], { encoding: 'utf8' });
    expect(JSON.parse(answer)).toEqual({
      name: 'OsError',
      call: 'mlock',
      code: 'ENOMEM',
      lockedKib: 0,
      withinLimit: true,
    });
  });
});

describe('a released range', () => {
  const os = createLinuxSegmentOs();

  it('detaches its views, and what was transferred before meets private zeroed memory', () => {
    const fd = os.create('leasehold-test', BYTES, 'base');
    const range = os.map(fd, BYTES, 'write', 'base');
    const words = range.words32(0, 4);
    const dangling = new Uint8Array(range.view(4096, 4096).transfer());
    dangling[0] = 5;
    range.release();
    expect(words).toHaveLength(0);
    expect(dangling[0]).toBe(0);
    dangling[0] = 6;
    const again = createLinuxSegmentOs().map(fd, BYTES, 'read', 'base');
    expect(again.bytes(4096, 1)[0]).toBe(5);
    again.release();
    fd.close();
  });

  it('lends its addresses to the next range of that length, which can be viewed afresh', () => {
    const addressedBytes = () =>
      Number(/VmSize:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
    const cycle = (index: number) => {
      const fd = os.create('leasehold-test', BYTES, 'base');
      const range = os.map(fd, BYTES, 'write', 'base');
      const words = range.words32(0, 4);
      expect(words[0]).toBe(0);
      words[0] = index + 1;
      expect(new Uint8Array(range.view(0, 4).transfer())[0]).toBe((index + 1) & 0xff);
      range.release();
      fd.close();
    };
    cycle(0);
    const before = addressedBytes();
    for (let index = 1; index < 400; index += 1) cycle(index);
    // Half of what it would be without reuse, for what the runtime itself maps meanwhile.
    expect(addressedBytes()).toBeLessThan(before + 200 * BYTES);
  });

  it('survives a failed mapping over its addresses', () => {
    const fd = os.create('leasehold-test', BYTES, 'base');
    const reader = os.openReadOnly(fd);
    const range = os.map(fd, BYTES, 'write', 'base');
    const dangling = new Uint8Array(range.view(0, 4096).transfer());
    range.release();
    expect(() => os.map(reader, BYTES, 'write', 'base')).toThrow(expect.objectContaining({ code: 'EACCES' }));
    dangling[0] = 1;
    expect(dangling[0]).toBe(1);
    reader.close();
    fd.close();
  });
});
