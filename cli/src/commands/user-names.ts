/** Names of users by uid, as /etc/passwd has them. A user it does not know (of a directory service, of a container) keeps the number. */
import { readFileSync } from 'node:fs';

export type UserNames = (uid: number) => string;

/** Reads the file once; without one, users are numbers. */
export function readUserNames(path = '/etc/passwd'): UserNames {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    // Not readable, or not there: passwd(5) is a convenience here.
  }
  const names = parseUserNames(text);
  return (uid) => names.get(uid) ?? String(uid);
}

/** Of passwd(5). The first entry of a uid counts, as with getpwuid(3). */
export function parseUserNames(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , digits] = line.split(':');
    if (name === undefined || name === '' || digits === undefined || !/^[0-9]+$/.test(digits)) continue;
    const uid = Number(digits);
    if (!names.has(uid)) names.set(uid, name);
  }
  return names;
}
