/**
 * A picture of a participant's whole private state, as a string: two equal pictures behave alike. It walks everything that is reachable,
 * so that whoever writes a script cannot forget a field of the code under test (whose private fields are renamed to be seen here).
 */
import type { Scratch } from './scratch.ts';

export function fingerprint(state: unknown, scratch: Scratch): string {
  const seen = new Map<object, number>();

  const showObject = (object: object): string => {
    const before = seen.get(object);
    if (before !== undefined) return `^${before}`;
    seen.set(object, seen.size);
    if (ArrayBuffer.isView(object)) return showView(object, scratch);
    if (Array.isArray(object)) return `[${object.map(show).join(',')}]`;
    if (object instanceof Map) return `M[${[...object].map(show).join(',')}]`;
    if (object instanceof Set) return `S[${[...object].map(show).join(',')}]`;
    const fields = Object.entries(object).map(([name, value]) => `${name}:${show(value)}`);
    return `${object.constructor?.name ?? ''}{${fields.join(',')}}`;
  };

  const show = (value: unknown): string => {
    if (typeof value === 'object' && value !== null) return showObject(value);
    if (typeof value === 'string') return JSON.stringify(value);
    if (typeof value === 'bigint') return `${value}n`;
    // What a function closes over is the script's, which shows it beside.
    return typeof value === 'function' ? 'f' : String(value);
  };

  return show(state);
}

function showView(view: ArrayBufferView, scratch: Scratch): string {
  const place = scratch.placeOf(view);
  if (place !== null) return `@${place}`;
  return `V[${new Uint8Array(view.buffer, view.byteOffset, view.byteLength).join(',')}]`;
}
