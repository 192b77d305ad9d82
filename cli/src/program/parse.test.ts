import { describe, expect, it } from 'vitest';
import { parseChoice, parseHoldId, parseHttp, parseInteger, parseSize, parseSwitch } from './parse.ts';

describe('parsers', () => {
  it('take whole numbers within their range', () => {
    expect(parseInteger('0', 0, 9)).toBe(0);
    expect(parseInteger('-3', -5, 9)).toBe(-3);
    for (const text of ['', '10', '-1', '1.5', '1e0', '0x1', ' 1', 'NaN']) {
      expect(() => parseInteger(text, 0, 9), text).toThrow('is not a whole number from 0 to 9');
    }
  });

  it('take sizes in bytes and binary units', () => {
    expect(['1', '4096B', '2KiB', '1.5 MiB', '8GiB', '1TiB'].map(parseSize)).toEqual([
      1, 4096, 2048, 1_572_864, 8_589_934_592, 1_099_511_627_776,
    ]);
    for (const text of ['', '0', '-1', '1MB', '1G', '1.5B', '1e3', '9999999999TiB', 'KiB', '1constructor']) {
      expect(() => parseSize(text), text).toThrow('is not a size');
    }
  });

  it('take addresses with a port, and off', () => {
    expect(parseHttp('off')).toBe('off');
    expect(parseHttp('127.0.0.1:7411')).toEqual({ host: '127.0.0.1', port: 7411 });
    expect(parseHttp('[::1]:0')).toEqual({ host: '::1', port: 0 });
    for (const text of ['', 'localhost', ':7411', 'a:65536', 'a:-1', '::1:7411', '[a]:1', 'a:b:1', 'http://a:1']) {
      expect(() => parseHttp(text), text).toThrow('is not HOST:PORT');
    }
  });

  it('take hold ids whole, above what a number can hold', () => {
    expect(parseHoldId('72057594037927937')).toBe(72_057_594_037_927_937n);
    for (const text of ['', '0', '-1', '1.5', '0x10', '18446744073709551616']) {
      expect(() => parseHoldId(text), text).toThrow('is not the hold id of a lease');
    }
  });

  it('take switches and words', () => {
    expect(['1', 'true', '0', 'false'].map(parseSwitch)).toEqual([true, true, false, false]);
    expect(() => parseSwitch('yes')).toThrow('1, 0, true or false');
    expect(parseChoice('b', ['a', 'b'])).toBe('b');
    expect(() => parseChoice('c', ['a', 'b'])).toThrow('not one of a, b');
  });
});
