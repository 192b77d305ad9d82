/** What the demo shows: one camera's channel and what its pictures are. Shared by the processes on both ends. */
import { type Raster, RGBA_BYTES, tightRaster } from './pixels/raster.ts';

export const CHANNEL_NAME = 'demo/camera';
export const FOURCC = 'RGBA';
export const FRAMES_PER_SECOND = 60;
export const RASTER: Raster = tightRaster(1920, 1080);
export const FRAME_BYTES = RASTER.width * RASTER.height * RGBA_BYTES;
/** Three subscribers with two pins each, a loan and one to spare are 8; the rest lets a subscriber be late by some frames. */
export const SLOTS = 16;
/** How often each process does its part on scratch memory before it says that it is ready. */
export const PRACTICE_ROUNDS = 20;
/** How often each process reports. */
export const REPORT_INTERVAL_MS = 200;

export const SUBSCRIBER_NAMES = ['histogram', 'motion', 'thumbnail'] as const;
export type SubscriberName = (typeof SUBSCRIBER_NAMES)[number];
