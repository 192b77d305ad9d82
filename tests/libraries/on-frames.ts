/** Libraries at work on frame bytes in native code or on the thread pool: each gives back the picture that it saw. */

import { write } from 'node:fs';
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync, gzip } from 'node:zlib';
import sharp from 'sharp';
import { HEIGHT, WIDTH } from './pattern.ts';

/** Works on `bytes`, and tells what it saw; `files` is a directory for it, `id` unique. */
export type Library = (bytes: Uint8Array, files: string, id: string) => Promise<Buffer>;

const compress = promisify(gzip);
const writeAll = promisify(write);

async function withFile(path: string, fill: () => Promise<unknown>): Promise<Buffer> {
  try {
    await fill();
    return await readFile(path);
  } finally {
    await rm(path, { force: true });
  }
}

export const LIBRARIES: Readonly<Record<string, Library>> = {
  sharp: async (bytes) => {
    const raw = { width: WIDTH, height: HEIGHT, channels: 4 } as const;
    const png = await sharp(bytes, { raw }).png({ compressionLevel: 1 }).toBuffer();
    return sharp(png).raw().toBuffer();
  },
  zlib: async (bytes) => gunzipSync(await compress(bytes, { level: 1 })),
  'fs.promises.writeFile': (bytes, files, id) => {
    const path = join(files, id);
    return withFile(path, () => writeFile(path, bytes));
  },
  'fs.write': (bytes, files, id) => {
    const path = join(files, id);
    return withFile(path, async () => {
      const file = await open(path, 'w');
      try {
        await writeAll(file.fd, bytes);
      } finally {
        await file.close();
      }
    });
  },
};
