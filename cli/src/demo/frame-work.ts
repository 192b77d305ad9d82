/**
 * What the demo's subscribers do with a picture. The work reads the shared bytes in place; nothing here copies a payload.
 * A work that goes on after `examine` returns keeps the frame's pin with `holdUntil`.
 */
import { join } from 'node:path';
import type { Frame } from '@leasehold/client';
import { readFrameNumber } from './pixels/frame-strip.ts';
import { LuminanceHistogram, type LuminanceSummary } from './pixels/luminance-histogram.ts';
import { MotionMeter } from './pixels/motion.ts';
import { RASTER, type SubscriberName } from './scene.ts';

export interface FrameWork {
  /** `queue` works look at every frame; `latest` ones only at the newest. */
  readonly mode: 'queue' | 'latest';
  /** Does the work on a picture that is nobody's, so that the first frames do not wait for compilers and libraries. */
  practise(pixels: Uint8Array): void | Promise<void>;
  /** Called with each frame, whose picture carries `frameNumber`. */
  examine(frame: Frame, frameNumber: number): void;
  /** What it found, in a few words. */
  finding(): string;
  /** Settles when nothing is under way any more. @throws what went wrong since */
  settle?(): Promise<void>;
}

/** @throws Error when an optional library is missing */
export async function createFrameWork(name: SubscriberName, thumbnailDir: string): Promise<FrameWork> {
  switch (name) {
    case 'histogram':
      return new HistogramWork();
    case 'motion':
      return new MotionWork();
    case 'thumbnail':
      return new ThumbnailWork(await loadSharp(), thumbnailDir);
  }
}

class HistogramWork implements FrameWork {
  readonly mode = 'queue';
  readonly #histogram = new LuminanceHistogram(RASTER);
  #summary: LuminanceSummary | null = null;

  practise(pixels: Uint8Array): void {
    this.#histogram.measure(pixels);
  }

  examine(frame: Frame): void {
    this.#summary = this.#histogram.measure(frame.bytes);
  }

  finding(): string {
    if (this.#summary === null) return '';
    const { mean, darkest, brightest } = this.#summary;
    return `brightness ${mean.toFixed(1)} (${darkest}–${brightest})`;
  }
}

class MotionWork implements FrameWork {
  readonly mode = 'queue';
  readonly #meter = new MotionMeter(RASTER);
  #difference: number | null = null;

  practise(pixels: Uint8Array): void {
    new MotionMeter(RASTER).measure(pixels);
  }

  examine(frame: Frame): void {
    this.#difference = this.#meter.measure(frame.bytes);
  }

  finding(): string {
    return this.#difference === null ? '' : `motion ${this.#difference.toFixed(2)}`;
  }
}

type Sharp = typeof import('sharp')['default'];
type SharpInstance = ReturnType<Sharp>;

const THUMBNAIL_INTERVAL_MS = 1_000;
const THUMBNAIL_WIDTH = 480;

/** One JPEG a second. libvips reads the slot from threads of its own while the frames after it are taken and let go. */
class ThumbnailWork implements FrameWork {
  readonly mode = 'latest';
  readonly #sharp: Sharp;
  readonly #thumbnailDir: string;
  #nextDueMs = 0;
  #underWay: Promise<void> | null = null;
  #failure: unknown = null;
  #written = 0;
  #newestBytes = 0;

  constructor(sharp: Sharp, thumbnailDir: string) {
    this.#sharp = sharp;
    this.#thumbnailDir = thumbnailDir;
  }

  async practise(pixels: Uint8Array): Promise<void> {
    await this.#thumbnail(pixels).toBuffer();
  }

  examine(frame: Frame, frameNumber: number): void {
    if (this.#failure !== null) throw this.#failure;
    const nowMs = performance.now();
    if (this.#underWay !== null || nowMs < this.#nextDueMs) return;
    this.#nextDueMs = nowMs + THUMBNAIL_INTERVAL_MS;
    this.#underWay = frame
      .holdUntil(this.#write(frame, frameNumber))
      .catch((error: unknown) => {
        this.#failure = error;
      })
      .finally(() => {
        this.#underWay = null;
      });
  }

  finding(): string {
    return `${this.#written} thumbnail${this.#written === 1 ? '' : 's'}, newest ${(this.#newestBytes / 1024).toFixed(1)} KiB`;
  }

  async settle(): Promise<void> {
    await this.#underWay;
    if (this.#failure !== null) throw this.#failure;
  }

  /** The picture must still be the same when libvips is done with it: that is what the pin is for. */
  async #write(frame: Frame, frameNumber: number): Promise<void> {
    const pixels = frame.asUint8Array();
    const path = join(this.#thumbnailDir, `frame-${String(frameNumber).padStart(6, '0')}.jpg`);
    const written = await this.#thumbnail(pixels).toFile(path);
    const afterwards = readFrameNumber(pixels, RASTER);
    if (afterwards !== frameNumber) {
      throw new Error(`frame ${frameNumber} became ${afterwards ?? 'unreadable'} while its thumbnail was made`);
    }
    this.#written += 1;
    this.#newestBytes = written.size;
  }

  #thumbnail(pixels: Uint8Array): SharpInstance {
    const { width, height } = RASTER;
    return this.#sharp(pixels, { raw: { width, height, channels: 4 } })
      .resize(THUMBNAIL_WIDTH)
      .jpeg();
  }
}

async function loadSharp(): Promise<Sharp> {
  try {
    const { default: sharp } = await import('sharp');
    // One thread is plenty for one picture a second, and leaves the cores to the others.
    sharp.concurrency(1);
    return sharp;
  } catch (error) {
    throw new Error('demo needs sharp (npm install sharp)', { cause: error });
  }
}
