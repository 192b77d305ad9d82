/**
 * The demo from its start to its end: a broker of its own in a temporary directory, a camera, three subscribers, their figures.
 * However it ends, its processes are ended and its directory is removed before this returns; if it is killed outright, its
 * processes notice and end by themselves.
 */
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CliContext } from '../program/context.ts';
import { DemoProcess } from './demo-process.ts';
import { type DemoReport, demoReport } from './demo-report.ts';
import { LiveView } from './live-view.ts';
import type { CameraFigures, CameraReport, PagesFigures, SubscriberFigures, SubscriberReport } from './messages.ts';
import { SUBSCRIBER_NAMES, type SubscriberName } from './scene.ts';

const START_MS_MAX = 30_000;
/** What the run may take beyond its seconds before it counts as stuck. */
const OVERTIME_MS_MAX = 15_000;
const DRAW_INTERVAL_MS = 100;

export async function runDemo(seconds: number, context: CliContext): Promise<DemoReport> {
  context.signal.throwIfAborted();
  const directory = await mkdtemp(join(tmpdir(), 'leasehold-demo-'));
  // A second Ctrl-C ends this process on the spot.
  const removeNow = () => rmSync(directory, { recursive: true, force: true });
  process.once('exit', removeNow);
  const demo = new Demo(directory, seconds, context);
  try {
    return await demo.run();
  } finally {
    await demo.close();
    await rm(directory, { recursive: true, force: true });
    process.off('exit', removeNow);
  }
}

class Demo {
  readonly #directory: string;
  readonly #seconds: number;
  readonly #context: CliContext;
  readonly #view: LiveView;
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #failure = Promise.withResolvers<never>();
  readonly #processes: DemoProcess<never>[] = [];
  readonly #subscribers = new Map<SubscriberName, SubscriberFigures>();
  #pages: PagesFigures = { granted: '', reason: null };
  #camera: CameraFigures | null = null;

  constructor(directory: string, seconds: number, context: CliContext) {
    this.#directory = directory;
    this.#seconds = seconds;
    this.#context = context;
    this.#view = new LiveView(context);
    // The demo's broker is its own: nothing that is set for another one applies to it.
    this.#env = Object.fromEntries(Object.entries(context.env).filter(([name]) => !name.startsWith('LEASEHOLD_')));
    this.#failure.promise.catch(() => undefined);
  }

  async run(): Promise<DemoReport> {
    const stop = () => this.#failure.reject(this.#context.signal.reason);
    this.#context.signal.addEventListener('abort', stop);
    try {
      this.#view.showPhase('starting a broker …');
      await this.#within(START_MS_MAX, 'the broker did not start', this.#startBroker());
      this.#view.showPhase('starting a camera and three subscribers …');
      const cast = await this.#within(START_MS_MAX, 'not everybody was ready', this.#startCast());
      const drawing = setInterval(() => this.#draw(cast.startedMs), DRAW_INTERVAL_MS);
      try {
        await this.#within(this.#seconds * 1_000 + OVERTIME_MS_MAX, 'the stream did not end', cast.finished);
      } finally {
        clearInterval(drawing);
      }
      return this.#report();
    } finally {
      this.#context.signal.removeEventListener('abort', stop);
      this.#view.clear();
    }
  }

  /** Ends every process, the broker, which was the first, at the end. */
  async close(): Promise<void> {
    const [broker, ...others] = this.#processes;
    await Promise.all(others.map((process) => process.stop()));
    await broker?.stop();
  }

  async #startBroker(): Promise<void> {
    const serving = Promise.withResolvers<void>();
    await mkdir(this.#path('state'));
    const args = ['demo-broker', '--runtime-dir', this.#path('runtime'), '--state-dir', this.#path('state')];
    this.#start({ name: 'broker', args, onOutput: () => serving.resolve() });
    await serving.promise;
  }

  /** Starts camera and subscribers, and gives the order to film when all are there. */
  async #startCast(): Promise<{ startedMs: number; finished: Promise<unknown> }> {
    await mkdir(this.#path('thumbnails'));
    const camera = this.#startCamera();
    const subscribers = SUBSCRIBER_NAMES.map((name) => this.#startSubscriber(name));
    await Promise.all([camera.ready, ...subscribers.map(({ ready }) => ready)]);
    camera.process.order({ kind: 'start' });
    return {
      startedMs: performance.now(),
      finished: Promise.all([camera.finished, ...subscribers.map(({ finished }) => finished)]),
    };
  }

  #startCamera() {
    const ready = Promise.withResolvers<void>();
    const finished = Promise.withResolvers<void>();
    const process = this.#start<CameraReport>({
      name: 'camera',
      args: ['demo-camera', '--runtime-dir', this.#path('runtime'), '--seconds', String(this.#seconds)],
      onReport: (report) => {
        if (report.kind === 'ready') {
          this.#pages = report.pages;
          ready.resolve();
          return;
        }
        this.#camera = report.figures;
        if (report.kind === 'finished') {
          process.expectEnd();
          finished.resolve();
        }
      },
    });
    return { process, ready: ready.promise, finished: finished.promise };
  }

  #startSubscriber(name: SubscriberName) {
    const ready = Promise.withResolvers<void>();
    const finished = Promise.withResolvers<void>();
    const process = this.#start<SubscriberReport>({
      name,
      args: ['demo-subscriber', name, '--runtime-dir', this.#path('runtime'), '--thumbnails', this.#path('thumbnails')],
      onReport: (report) => {
        if (report.kind === 'ready') return ready.resolve();
        this.#subscribers.set(name, report.figures);
        if (report.kind === 'finished') {
          process.expectEnd();
          finished.resolve();
        }
      },
    });
    return { ready: ready.promise, finished: finished.promise };
  }

  #start<Report extends { readonly kind: string }>(options: {
    name: string;
    args: readonly string[];
    onReport?: (report: Report) => void;
    onOutput?: (text: string) => void;
  }): DemoProcess<Report> {
    const onDeath = (error: Error) => this.#failure.reject(error);
    const process = new DemoProcess<Report>({ ...options, env: this.#env, onDeath });
    this.#processes.push(process);
    return process;
  }

  /** The work, unless somebody dies, the user has seen enough, or it takes too long. */
  async #within<T>(boundMs: number, problem: string, work: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error(`${problem} within ${boundMs / 1_000} s`)), boundMs);
    try {
      return await Promise.race([work, this.#failure.promise, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #draw(startedMs: number): void {
    this.#view.showFigures({
      elapsedS: (performance.now() - startedMs) / 1_000,
      seconds: this.#seconds,
      pages: this.#pages,
      camera: this.#camera,
      subscribers: this.#subscribers,
    });
  }

  #report(): DemoReport {
    const of = (name: SubscriberName): SubscriberFigures => {
      const figures = this.#subscribers.get(name);
      if (figures === undefined) throw new Error(`the ${name} process told no figures`);
      return figures;
    };
    if (this.#camera === null) throw new Error('the camera process told no figures');
    const subscribers = { histogram: of('histogram'), motion: of('motion'), thumbnail: of('thumbnail') };
    return demoReport({ camera: this.#camera, subscribers, pages: this.#pages });
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}
