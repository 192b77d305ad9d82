/**
 * `/metrics`: the broker's snapshot and the figures of its process as Prometheus text.
 *
 * Invariants: the text is rendered at most once a second, however many ask; the number of series is bounded whatever clients create;
 * everything is in a registry of its own, and `close()` stops what measures.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import type { BrokerSnapshot, ChannelSnapshot, Readiness } from '../snapshot.ts';
import { addMemoryMetrics } from './memory-metrics.ts';
import { addProcessMetrics } from './process-metrics.ts';

const RENDER_INTERVAL_MS = 1_000;
/** Channels beyond these, in the order of the snapshot, are left out: a sum of the others would fall whenever one comes or goes. */
const LABELLED_CHANNELS_MAX = 256;

export interface MetricsSource {
  snapshot(): BrokerSnapshot;
  readiness(): Readiness;
}

export interface Metrics {
  readonly contentType: string;
  /** The current text, at most a second old. */
  render(): Promise<string>;
  close(): void;
}

export interface MetricsOptions {
  /** Milliseconds of a clock that only rises. */
  readonly nowMs?: () => number;
}

export function createMetrics(source: MetricsSource, options: MetricsOptions = {}): Metrics {
  const nowMs = options.nowMs ?? (() => performance.now());
  const registry = new Registry();
  const updateBroker = addBrokerMetrics(registry);
  const updateMemory = addMemoryMetrics(registry);
  const updateChannels = addChannelMetrics(registry);
  const processMetrics = addProcessMetrics(registry);
  let rendered: { readonly atMs: number; readonly text: Promise<string> } | undefined;
  return {
    contentType: registry.contentType,
    render() {
      const atMs = nowMs();
      if (rendered !== undefined && atMs - rendered.atMs < RENDER_INTERVAL_MS) return rendered.text;
      const snapshot = source.snapshot();
      updateBroker(snapshot, source.readiness());
      updateMemory(snapshot);
      updateChannels(snapshot.channels);
      processMetrics.update();
      rendered = { atMs, text: registry.metrics() };
      return rendered.text;
    },
    close: processMetrics.close,
  };
}

function addBrokerMetrics(registry: Registry): (snapshot: BrokerSnapshot, readiness: Readiness) => void {
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry] });
  const sessions = gauge('leasehold_sessions', 'Client sessions that are open.');
  const channels = gauge('leasehold_channels', 'Channels that exist.');
  const draining = gauge('leasehold_draining', '1 while the broker shuts down and takes nothing new.');
  const ready = gauge('leasehold_ready', '1 while every readiness check passes.');
  return (snapshot, readiness) => {
    sessions.set(snapshot.sessions);
    channels.set(snapshot.channels.length);
    draining.set(snapshot.draining ? 1 : 0);
    ready.set(readiness.ready ? 1 : 0);
  };
}

function addChannelMetrics(registry: Registry): (channels: readonly ChannelSnapshot[]) => void {
  const config = (name: string, help: string) => ({ name, help, labelNames: ['channel'], registers: [registry] });
  const published = new Counter(config('leasehold_frames_published_total', 'Frames published.'));
  const taken = new Counter(config('leasehold_frames_taken_total', 'Frames taken, by all subscribers together.'));
  const lost = new Counter(config('leasehold_frames_lost_total', 'Frames that subscribers came too late for.'));
  const publishers = new Gauge(config('leasehold_channel_publishers', 'Publishers that may publish now: 0 or 1.'));
  const standbys = new Gauge(config('leasehold_channel_standbys', 'Publishers that wait to take over.'));
  const subscribers = new Gauge(config('leasehold_channel_subscribers', 'Subscribers.'));
  return (channels) => {
    // The totals are kept by the broker; here they are only copied, so each rendering starts from nothing.
    for (const metric of [published, taken, lost, publishers, standbys, subscribers]) metric.reset();
    for (const channel of channels.slice(0, LABELLED_CHANNELS_MAX)) {
      const labels = { channel: channel.name };
      published.inc(labels, channel.published);
      taken.inc(labels, channel.takenTotal);
      lost.inc(labels, channel.lostTotal);
      publishers.inc(labels, channel.publisher === null ? 0 : 1);
      standbys.inc(labels, channel.standbys);
      subscribers.inc(labels, channel.subscribers.length);
    }
  };
}
