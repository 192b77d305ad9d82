/** ChannelService: requests in, domain, replies out. A publisher's stream is its lease. */
import { type ChannelService, LeaseholdError, type ServiceImplementation } from '@leasehold/proto';
import * as channels from '../domain/channel-operations.ts';
import { serverStream, unary, waiting } from './handlers.ts';
import { attachmentMessage, channelMessage } from './messages.ts';
import { channelRequest, ifExistsOf, subscribeModeOf } from './requests.ts';
import type { RpcContext } from './rpc-context.ts';

export function channelService(context: RpcContext): ServiceImplementation<typeof ChannelService> {
  const { core } = context;
  return {
    createChannel: waiting(context, async (request, caller, { signal }) => {
      const options = { ifExists: ifExistsOf(request.ifExists), signal };
      const { channel, created } = await channels.createChannel(core, caller, channelRequest(request.spec), options);
      return { channel: channelMessage(channel), created };
    }),
    getChannel: unary(context, ({ name }, caller) => ({
      channel: channelMessage(channels.getChannel(core, caller, name)),
    })),
    listChannels: unary(context, ({ prefix }, caller) => ({
      channels: channels.listChannels(core, caller, prefix).map(channelMessage),
    })),
    openPublisher: openPublisher(context),
    openSubscriber: waiting(context, async ({ name, mode, maxPins, history }, caller) => {
      const request = { name, mode: subscribeModeOf(mode), maxPins, history };
      const opened = await channels.openSubscriber(core, caller, request);
      return {
        channel: channelMessage(opened.channel),
        attachment: attachmentMessage(core, opened),
        history: opened.history,
      };
    }),
    detachSlowSubscriber: unary(context, ({ mappingId, participantIndex, participantGeneration }, caller) => {
      const target = { mappingId, index: participantIndex, generation: participantGeneration };
      channels.detachSlowSubscriber(core, caller, target);
      return {};
    }),
    deleteChannel: unary(context, ({ name }, caller) => {
      channels.deleteChannel(core, caller, name);
      return {};
    }),
  };
}

function openPublisher(context: RpcContext): ServiceImplementation<typeof ChannelService>['openPublisher'] {
  const { core } = context;
  return serverStream(context, (request, caller, stream) => {
    const attachment = channels.openPublisher(core, caller, request, {
      opened: (channel, attached) => {
        const value = { channel: channelMessage(channel), attachment: attachmentMessage(core, attached) };
        stream.push({ event: { case: 'opened', value } });
      },
      queued: (position) => stream.push({ event: { case: 'queued', value: { position } } }),
      promoted: (promotion) => stream.push({ event: { case: 'promoted', value: promotion } }),
      ended: (why) => (why === null ? stream.end() : stream.fail(why)),
    });
    return () => {
      core.attachments.end(attachment, new LeaseholdError('LEASE_LOST', "The publisher's stream ended."));
    };
  });
}
