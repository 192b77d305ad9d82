/** Requests to the broker's `http.sock`, and what its metrics say. */
import { request } from 'node:http';
import { join } from 'node:path';

export interface HttpAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export function getFromSocket(runtimeDir: string, path: string): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath: join(runtimeDir, 'http.sock'), path, agent: false }, async (response) => {
      try {
        const body = Buffer.concat(await response.toArray()).toString();
        resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', body });
      } catch (error) {
        reject(error);
      }
    });
    asking.once('error', reject).end();
  });
}

/** What Prometheus would read, by series, for example `leasehold_frames_lost_total{channel="film"}`. */
export async function readMetrics(runtimeDir: string): Promise<ReadonlyMap<string, number>> {
  const { status, body } = await getFromSocket(runtimeDir, '/metrics');
  if (status !== 200) throw new Error(`/metrics answered ${status}: ${body}`);
  const samples = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    samples.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}
