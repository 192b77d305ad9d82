import { describe, expect, it } from 'vitest';
import { channel, code, publish, settled, subscribe } from './testing/channel-world.ts';
import { fakeWorld } from './testing/fake-ports.ts';

describe('a channel that is not persistent', () => {
  it('stays for whoever asked for it to be there, though its creator leaves', async () => {
    const world = fakeWorld();
    const [creator, heir] = [world.open(), world.open()];
    await channel(world, creator, { lifetime: 'last-attachment' });
    await channel(world, heir, { lifetime: 'last-attachment', ifExists: 'open-if-same' });
    world.core.endSession(creator, true);
    publish(world, heir);
    world.core.endSession(heir, true);
    expect(() => world.core.registry.requireChannel('c')).toThrow(code('CHANNEL_NOT_FOUND'));
  });

  it('goes when its stream is finished and nobody keeps it, whoever is still draining', async () => {
    const world = fakeWorld();
    const [creator, reader] = [world.open(), world.open()];
    await channel(world, creator, { lifetime: 'last-attachment' });
    publish(world, creator);
    await settled();
    await subscribe(world, reader);
    const memory = world.memory.mappings[0];
    if (memory === undefined) throw new Error('no memory');
    world.core.endSession(creator, true);
    expect(world.core.registry.find('c')).toBeDefined();
    memory.finished = true;
    const again = world.open();
    publish(world, again);
    world.core.endSession(again, true);
    expect(world.core.registry.find('c')).toBeUndefined();
  });
});

describe('attachments', () => {
  it('are bounded by session, by user and in all, and a place that becomes free can be had again', async () => {
    const world = fakeWorld({
      limits: { attachmentsPerSession: 3 },
      quotas: { total: { participants: 4 }, perUser: { participants: 3 } },
    });
    const [a, b] = [world.open(), world.open()];
    await channel(world, a, { slots: 64 });
    const first = await subscribe(world, a);
    await subscribe(world, a);
    await subscribe(world, b);
    await expect(subscribe(world, b)).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      metadata: { quota: 'participants', whose: 'uid:1000', used: '3', limit: '3', requested: '1' },
    });
    world.core.attachments.vacate(first.attachment);
    await subscribe(world, b);
  });
});
