/** RPCs to the broker: the gRPC client on its control socket, and the header that says whose session they are. */
import * as grpc from '@grpc/grpc-js';

/** Lists of thousands of channels are long. */
const RPC_BYTES_MAX = 64 * 2 ** 20;

export function openControlClient(controlSocket: string): grpc.Client {
  return new grpc.Client(`unix:${controlSocket}`, grpc.credentials.createInsecure(), {
    // Figures of calls that nobody could ask for.
    'grpc.enable_channelz': 0,
    'grpc.enable_http_proxy': 0,
    'grpc.max_receive_message_length': RPC_BYTES_MAX,
    'grpc.use_local_subchannel_pool': 1,
  });
}

/** A session's token as programs pass it on. */
export const tokenText = (token: Uint8Array): string => Buffer.from(token).toString('base64url');

export function bearer(token: Uint8Array): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${tokenText(token)}`);
  return metadata;
}
