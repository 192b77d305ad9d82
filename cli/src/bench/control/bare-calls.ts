/** Bare unary calls: the least that grpc-js can do over a Unix socket, with no message type, no session and nothing to decide. */
import {
  type Client,
  credentials,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServiceDefinition,
} from '@grpc/grpc-js';

const raw = (bytes: Buffer): Buffer => bytes;
const SERVICE = {
  echo: {
    path: '/bench.Bare/Echo',
    requestStream: false,
    responseStream: false,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  },
} satisfies ServiceDefinition;
/** Those of the broker and of the SDK. */
const OPTIONS = { 'grpc.enable_channelz': 0, 'grpc.use_local_subchannel_pool': 1 };
/** A request begins with how many bytes its answer shall have. */
const LENGTH_BYTES = 2;

/** Answers whatever is asked, until the process ends. */
export async function serveBare(address: string): Promise<null> {
  const server = new Server(OPTIONS);
  server.addService(SERVICE, {
    echo: (call: { request: Buffer }, callback: (error: null, answer: Buffer) => void) =>
      callback(null, Buffer.alloc(call.request.readUInt16LE(), 1)),
  });
  const bound = Promise.withResolvers<number>();
  server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
    if (error === null) bound.resolve(port);
    else bound.reject(error);
  });
  await bound.promise;
  return null;
}

export type BareCall = (requestBytes: number, answerBytes: number) => Promise<void>;

export function openBare(address: string): BareCall {
  const BareClient = makeGenericClientConstructor(SERVICE, 'Bare');
  const client: Client = new BareClient(address, credentials.createInsecure(), OPTIONS);
  return (requestBytes, answerBytes) =>
    new Promise((resolve, reject) => {
      const request = Buffer.alloc(Math.max(LENGTH_BYTES, requestBytes));
      request.writeUInt16LE(answerBytes);
      client.makeUnaryRequest(SERVICE.echo.path, raw, raw, request, (error, answer) => {
        if (error !== null) reject(error);
        else if (answer?.length === answerBytes) resolve();
        else reject(new Error(`the bare server answered ${answer?.length} B, not ${answerBytes} B`));
      });
    });
}
