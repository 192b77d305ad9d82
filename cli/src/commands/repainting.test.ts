import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { fakeContext } from '../program/testing/fake-context.ts';
import { Repainting } from './repainting.ts';

/** A terminal of that many rows; every write to it. */
function terminal(rows: number) {
  const writes: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      writes.push(chunk.toString());
      done();
    },
  });
  const context = { ...fakeContext({ tty: true }), stdout: Object.assign(stream, { rows, columns: 80, isTTY: true }) };
  return { writes, picture: new Repainting(context) };
}

/** Lines as they stand there in the end. */
const linesOf = (write: string | undefined) =>
  (write ?? '').split('\n').map((line) => line.split('\u001b[2K').at(-1) ?? '');

describe('a picture that is painted over and over', () => {
  it('goes back over as many lines as it had, in one write', () => {
    const { writes, picture } = terminal(24);
    picture.paint(['a', 'b', 'c']);
    picture.paint(['d']);
    picture.paint(['e', 'f']);
    expect(writes).toHaveLength(3);
    expect(writes[0]).not.toContain('A\r');
    expect(writes[1]).toContain('\u001b[3A\r');
    expect(writes[2]).toContain('\u001b[1A\r');
  });

  it('leaves the cursor visible and lines wrapping, whatever comes next', () => {
    const { writes, picture } = terminal(24);
    picture.paint(['a']);
    const [write = ''] = writes;
    expect(write.lastIndexOf('\u001b[?25h')).toBeGreaterThan(write.lastIndexOf('\u001b[?25l'));
    expect(write.lastIndexOf('\u001b[?7h')).toBeGreaterThan(write.lastIndexOf('\u001b[?7l'));
  });

  it('is never taller than the terminal, and says what is missing', () => {
    const { writes, picture } = terminal(4);
    picture.paint(['1', '2', '3', '4', '5', '6']);
    const lines = linesOf(writes[0]);
    expect(lines.slice(0, 2)).toEqual(['1', '2']);
    expect(lines[2]).toContain('… 4 more');
    expect(lines).toHaveLength(4);
  });
});
