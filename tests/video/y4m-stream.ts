/** Small YUV4MPEG2 streams made by hand, whose every byte a test knows. */

export const WIDTH = 6;
export const HEIGHT = 5;
/** 4:2:0 rounds the odd height up. */
export const PICTURE_BYTES = 6 * 5 + 2 * 3 * 3;

/** What `publish` writes back: the parameters in the order in which `subscribe` writes them. */
export const STREAM_HEADER = `YUV4MPEG2 W${WIDTH} H${HEIGHT} F30000:1001 Ip A4:3 C420jpeg XCOLORRANGE=FULL XNOTE=a\n`;

/** A picture that no other frame has. */
export function picture(index: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: PICTURE_BYTES }, (_, at) => (index * 31 + at * 7) % 256));
}

/** `FRAME`, its parameters if it has some, and the picture. */
export function frame(index: number, parameters = ''): Buffer {
  return Buffer.concat([Buffer.from(`FRAME${parameters === '' ? '' : ` ${parameters}`}\n`), picture(index)]);
}

export function stream(frames: number): Buffer {
  return Buffer.concat([Buffer.from(STREAM_HEADER), ...Array.from({ length: frames }, (_, index) => frame(index))]);
}
