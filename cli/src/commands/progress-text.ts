/** What the progress lines and closing remarks of `publish` and `subscribe` say. Pure. */

export interface TransferFigures {
  readonly frames: number;
  readonly frameBytes: number;
  readonly elapsedMs: number;
}

export function publishProgressText(figures: TransferFigures & { dropped: number; subscribers: number }): string {
  const { dropped, subscribers } = figures;
  return `published ${rateText(figures)}  ${plural(subscribers, 'subscriber')}  ${dropped} dropped`;
}

export function subscribeProgressText(figures: TransferFigures & { lost: number }): string {
  return `received ${rateText(figures)}  ${figures.lost} lost`;
}

export function plural(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

function rateText({ frames, frameBytes, elapsedMs }: TransferFigures): string {
  const framesPerSecond = elapsedMs > 0 ? (frames * 1_000) / elapsedMs : 0;
  const megabytesPerSecond = (framesPerSecond * frameBytes) / 1e6;
  return `${plural(frames, 'frame')}  ${framesPerSecond.toFixed(1)} frames/s  ${megabytesPerSecond.toFixed(1)} MB/s`;
}
