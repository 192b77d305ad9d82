/**
 * Writes frames out of memory that is lent to us: a write's promise settles only when the sink has taken every byte,
 * so that a pin held until then (`holdUntil`) never lets the picture change under the write.
 * The output must hand its bytes to the kernel before it calls back, as sockets, pipes and file streams do; a PassThrough
 * calls back earlier and keeps the reference. A reader that went away is an OutputClosedError, never an unhandled 'error'.
 */
import type { Writable } from 'node:stream';
import { OutputClosedError } from './errors.ts';
import { formatFrameHeader, formatStreamHeader, type VideoHeader } from './y4m-header.ts';

export interface FrameWriter {
  /** Settles when the last byte was taken. @throws OutputClosedError */
  writeFrame(picture: Uint8Array, frameParameters?: string): Promise<void>;
  /** Ends the output and waits until it is flushed. @throws OutputClosedError */
  end(): Promise<void>;
}

const CLOSED_CODES: ReadonlySet<string> = new Set([
  'EPIPE',
  'ECONNRESET',
  'ECANCELED',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_ALREADY_FINISHED',
]);

/** Pictures one after another with nothing between them. */
export class RawWriter implements FrameWriter {
  readonly #output: Writable;

  constructor(output: Writable) {
    this.#output = output;
    output.on('error', ignoreReportedError);
  }

  writeFrame(picture: Uint8Array): Promise<void> {
    return write(this.#output, picture);
  }

  end(): Promise<void> {
    return end(this.#output);
  }
}

/** YUV4MPEG2: `writeHeader` once, then frames. */
export class Y4mWriter implements FrameWriter {
  readonly #output: Writable;

  constructor(output: Writable) {
    this.#output = output;
    output.on('error', ignoreReportedError);
  }

  /** @throws VideoFormatError when the header is none that a reader would accept, OutputClosedError */
  writeHeader(header: VideoHeader): Promise<void> {
    return write(this.#output, Buffer.from(formatStreamHeader(header), 'latin1'));
  }

  async writeFrame(picture: Uint8Array, frameParameters = ''): Promise<void> {
    const line = Buffer.from(formatFrameHeader(frameParameters), 'latin1');
    this.#output.cork();
    const written = Promise.all([write(this.#output, line), write(this.#output, picture)]);
    this.#output.uncork();
    await written;
  }

  end(): Promise<void> {
    return end(this.#output);
  }
}

function write(output: Writable, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    output.write(bytes, (error) => (error ? reject(asOutputError(error)) : resolve()));
  });
}

function end(output: Writable): Promise<void> {
  if (output.writableFinished) return Promise.resolve();
  return new Promise((resolve, reject) => {
    output.end((error?: Error | null) => (error ? reject(asOutputError(error)) : resolve()));
  });
}

function asOutputError(error: Error): Error {
  const code = (error as NodeJS.ErrnoException).code;
  return code !== undefined && CLOSED_CODES.has(code) ? new OutputClosedError(error) : error;
}

function ignoreReportedError(): void {
  // Every failure reaches the caller through the write that met it; the event without a listener would end the process.
}
