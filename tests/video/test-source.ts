/** ffmpeg's test picture as a stage of a pipeline, beside ffmpeg's own checksums of the same frames. */
import { readFileSync } from 'node:fs';
import type { Stage } from '../support/pipeline.ts';

export interface TestSource {
  /** For example `1920x1080`. */
  readonly size: string;
  readonly frames: number;
  readonly pixelFormat: string;
  /** ffmpeg filters behind the source, for example `scale=17:13`. */
  readonly filters?: string;
}

/** Writes YUV4MPEG2 to stdout and the checksum of every frame to a file. */
export function testSourceStage(source: TestSource, checksumsFile: string): Stage {
  const frames = ['-frames:v', String(source.frames)];
  // `-strict -1` lets ffmpeg write the colour spaces that its own extension of YUV4MPEG2 names.
  const pictures = [...frames, '-pix_fmt', source.pixelFormat, '-strict', '-1'];
  const graph = ['testsrc2=rate=30:size=', source.size, source.filters === undefined ? '' : `,${source.filters}`];
  const ffmpeg = ['ffmpeg', '-v', 'error', '-f', 'lavfi', '-i', graph.join('')];
  return [...ffmpeg, ...pictures, '-f', 'yuv4mpegpipe', '-', ...pictures, '-f', 'framemd5', checksumsFile];
}

/** Reads YUV4MPEG2 from stdin and writes the checksum of every frame to a file. */
export function checksumStage(checksumsFile: string): Stage {
  return ['ffmpeg', '-v', 'error', '-f', 'yuv4mpegpipe', '-i', '-', '-f', 'framemd5', checksumsFile];
}

export interface Checksums {
  /** Time base, size and aspect, in ffmpeg's words. */
  readonly picture: readonly string[];
  /** One line a frame: times, bytes, MD5. */
  readonly frames: readonly string[];
}

export function readChecksums(file: string): Checksums {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return {
    picture: lines.filter((line) => line.startsWith('#') && !line.startsWith('#software')),
    frames: lines.filter((line) => !line.startsWith('#')),
  };
}
