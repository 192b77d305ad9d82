import koffi from 'koffi';
import { describe, expect, it, vi } from 'vitest';
import { nativeFunction } from './executable-code.ts';

describe('functions of machine code', () => {
  it('of one signature have one prototype, which koffi keeps for ever', () => {
    const proto = vi.spyOn(koffi, 'proto');
    const signature = { takes: ['float64', 'uint32', 'float64'], returns: 'uint64' } as const;
    for (let count = 0; count < 10; count += 1) nativeFunction(4096 * count, signature);
    expect(proto).toHaveBeenCalledTimes(1);
    nativeFunction(4096, { ...signature, returns: 'void' });
    expect(proto).toHaveBeenCalledTimes(2);
    proto.mockRestore();
  });
});
