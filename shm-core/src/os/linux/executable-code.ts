/**
 * Machine code in memory as functions, by koffi. Whoever makes a function answers for the code at its address and for its signature;
 * everything that comes in and goes out is converted here, so that 64-bit integers are BigInts both ways.
 */
import koffi from 'koffi';

/** What the types that machine code takes and returns are in JavaScript. */
export interface NativeValues {
  readonly int32: number;
  readonly uint32: number;
  readonly int64: bigint;
  readonly uint64: bigint;
  readonly float64: number;
  readonly void: undefined;
}
export type NativeType = Exclude<keyof NativeValues, 'void'>;

export interface NativeSignature<Takes extends readonly NativeType[], Returns extends NativeType | 'void'> {
  readonly takes: Takes;
  readonly returns: Returns;
}

export type NativeFunction<Takes extends readonly NativeType[], Returns extends NativeType | 'void'> = (
  ...values: { readonly [Index in keyof Takes]: NativeValues[Takes[Index]] }
) => NativeValues[Returns];

const C_NAMES: Readonly<Record<keyof NativeValues, string>> = {
  int32: 'int32_t',
  uint32: 'uint32_t',
  int64: 'int64_t',
  uint64: 'uint64_t',
  float64: 'double',
  void: 'void',
};

const FROM_C: { readonly [Type in keyof NativeValues]: (value: unknown) => NativeValues[Type] } = {
  int32: Number,
  uint32: Number,
  // koffi gives small ones as numbers.
  int64: toBigInt,
  uint64: toBigInt,
  float64: Number,
  void: () => undefined,
};

/** The code at `address`, as a function of the C calling convention. */
export function nativeFunction<const Takes extends readonly NativeType[], Returns extends NativeType | 'void'>(
  address: number,
  { takes, returns }: NativeSignature<Takes, Returns>,
): NativeFunction<Takes, Returns> {
  const prototype = prototypeOf(
    C_NAMES[returns],
    takes.map((type) => C_NAMES[type]),
  );
  return (...values) => FROM_C[returns](koffi.call(address, prototype, ...values));
}

/** Of every signature that was asked for: koffi keeps what it makes of one until the process ends. */
const prototypes = new Map<string, ReturnType<typeof koffi.proto>>();

function prototypeOf(returns: string, takes: string[]): ReturnType<typeof koffi.proto> {
  const key = `${returns}(${takes.join()})`;
  const prototype = prototypes.get(key) ?? koffi.proto(returns, takes);
  prototypes.set(key, prototype);
  return prototype;
}

function toBigInt(value: unknown): bigint {
  if (typeof value === 'bigint' || typeof value === 'number') return BigInt(value);
  throw new TypeError(`not an integer: ${String(value)}`);
}

/** Whether code that replaces other code at the same addresses can be made visible to the processor's fetches. */
export function canReplaceCode(): boolean {
  return process.arch === 'x64' || clearCache() !== undefined;
}

/**
 * Makes the processor fetch what was written. `[address, address + bytes)` must be readable and executable already.
 * IMPORTANT: x86-64 keeps its fetches coherent with its writes. arm64 does not: old code, or zeroes, may stay in the instruction cache.
 * There the kernel cleans a page when it first becomes executable (`__sync_icache_dcache`, from mprotect), but not when it becomes so again
 * after it was rewritten, because the page still counts as clean; for that, `__clear_cache` of the compiler's runtime library is called,
 * which node is linked with.
 */
export function syncInstructions(address: number, bytes: number): void {
  if (process.arch !== 'x64') clearCache()?.(address, address + bytes);
}

type ClearCache = (start: number, end: number) => void;

function clearCache(): ClearCache | undefined {
  try {
    return koffi.load(null).func('void __clear_cache(uintptr_t start, uintptr_t end)');
  } catch {
    // A C library that comes without it.
    return undefined;
  }
}
