/**
 * The reset of a call whose reader reads nothing. grpc-js has no way to it: what it offers comes after what was written before, and
 * so never. The HTTP/2 stream is inside the calls that its interceptors have put around one another.
 */
import { constants } from 'node:http2';

interface Closable {
  close(code: number): void;
}
/** Interceptors around interceptors; a broker has one. */
const LAYERS_MAX = 8;

/** @returns whether there was a stream to reset */
export function resetCall(call: object): boolean {
  let layer = property(call, 'call');
  for (let depth = 0; depth < LAYERS_MAX && isObject(layer); depth += 1) {
    const stream = property(layer, 'stream');
    if (isClosable(stream)) {
      stream.close(constants.NGHTTP2_CANCEL);
      return true;
    }
    layer = property(layer, 'nextCall');
  }
  return false;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
const property = (of: object, name: string): unknown => Reflect.get(of, name);
const isClosable = (value: unknown): value is Closable =>
  isObject(value) && typeof property(value, 'close') === 'function';
