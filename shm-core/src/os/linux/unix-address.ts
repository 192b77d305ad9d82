/** The `sockaddr_un` of a path, checked: a path that does not fit is an error here, never a truncated name in the kernel. */

const AF_UNIX = 1;
const FAMILY_BYTES = 2;

/** Size of the path with its terminating zero, B. */
const PATH_BYTES = 108;
const ADDRESS_BYTES = FAMILY_BYTES + PATH_BYTES;

/** Longest path of a Unix socket, B. */
export const SOCKET_PATH_BYTES_MAX = PATH_BYTES - 1;

/** The address of the socket at `path`. @throws Error when it is empty, too long, or holds a zero byte. */
export function unixAddress(path: string): Uint8Array {
  const encoded = new TextEncoder().encode(path);
  if (encoded.length === 0 || encoded.includes(0)) throw new Error(`not a socket path: ${JSON.stringify(path)}`);
  if (encoded.length > SOCKET_PATH_BYTES_MAX) {
    throw new Error(
      `socket path of ${encoded.length} B is longer than the ${SOCKET_PATH_BYTES_MAX} B a Unix socket may have: ${path}. ` +
        'Choose a shorter runtime directory.',
    );
  }
  const address = new Uint8Array(ADDRESS_BYTES);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(encoded, FAMILY_BYTES);
  return address;
}
