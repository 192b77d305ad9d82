/** Streams that tell what changes, under readers that are slow or read nothing at all. */
import { connect as connectHttp2, constants } from 'node:http2';
import { connect } from 'node:net';
import { MappingEvent } from '@leasehold/proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMapping, useTestBroker } from '../testing/fixture.ts';

const { running, restart, client, keep } = useTestBroker({ beforeEach, afterEach });
const LITTLE_ROOM = { pendingStreamMessages: 4, unreadStreamMs: 1 };

describe('watching mappings', () => {
  it('begins with all of them, however many more they are than may wait', async () => {
    await restart({ limits: LITTLE_ROOM });
    const me = await client();
    for (let i = 0; i < 60; i += 1) await createMapping(me, `m${i}`);
    const stop = new AbortController();
    const events = me.mappings.watchMappings({ prefix: '' }, { ...me.options, signal: stop.signal });
    let created = 0;
    for await (const { event } of events) {
      if (event === MappingEvent.SYNCED) break;
      expect(event).toBe(MappingEvent.CREATED);
      created += 1;
    }
    stop.abort();
    expect(created).toBe(60);
  });

  it('takes few streams of one session', async () => {
    await restart({ limits: { watchesPerSession: 1 } });
    const me = await client();
    const stop = new AbortController();
    const watch = () =>
      me.mappings.watchMappings({ prefix: '' }, { ...me.options, signal: stop.signal })[Symbol.asyncIterator]();
    const first = watch();
    expect((await first.next()).value?.event).toBe(MappingEvent.SYNCED);
    await expect(watch().next()).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
    stop.abort();
  });

  it('is reset when the reader takes nothing at all, not even the failure', async () => {
    await restart({ limits: LITTLE_ROOM });
    const me = await client();
    const mute = connectHttp2('http://broker', {
      createConnection: () => connect(running().runtimeDir.controlSocket),
      settings: { initialWindowSize: 0 },
    });
    keep({ close: () => mute.destroy() });
    await new Promise((resolve) => mute.once('remoteSettings', resolve));
    const stream = mute.request({
      ':method': 'POST',
      ':path': '/leasehold.v1.MappingService/WatchMappings',
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${Buffer.from(me.token).toString('base64url')}`,
    });
    const closed = new Promise<number>((resolve) => {
      stream.on('error', () => undefined).once('close', () => resolve(stream.rstCode ?? 0));
    });
    stream.end(Buffer.alloc(5));
    for (let i = 0; i < 60; i += 1) await createMapping(me, `m${i}`);
    expect(await closed).toBe(constants.NGHTTP2_CANCEL);
  });
});
