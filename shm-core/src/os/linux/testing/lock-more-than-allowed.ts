/** A program: as an ordinary user, locks more memory than its limit allows, then a little, and says how that went. Argument: size, B. */
import { readFileSync } from 'node:fs';
import { OsError } from '../../os.ts';
import { createLinuxSegmentOs } from '../segments.ts';

const ORDINARY_USER = 65_534;
const bytes = Number(process.argv[2]);
const os = createLinuxSegmentOs();
// Everything is loaded: an ordinary user may not be able to read its files.
process.setgid?.(ORDINARY_USER);
process.setuid?.(ORDINARY_USER);
const fd = os.create('leasehold-test', bytes, 'base');
await os.populate(fd, 0, bytes);
const part = os.keepResident(fd);
const failure: unknown = await part.extendTo(bytes).catch((error: unknown) => error);
const lockedKib = Number(/VmLck:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
const withinLimit = await part.extendTo(os.basePageBytes).then(
  () => true,
  () => false,
);
const { name, call, code } = failure instanceof OsError ? failure : { name: String(failure), call: '', code: '' };
process.stdout.write(JSON.stringify({ name, call, code, lockedKib, withinLimit }));
