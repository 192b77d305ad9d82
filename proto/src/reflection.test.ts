// Descriptors for reflection are complete: every import of a file is there, before it.
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { fileDescriptorProtos, LEASEHOLD_SERVICES } from './reflection.ts';
import { serviceDefinition } from './service-definition.ts';

const files = fileDescriptorProtos().map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));

describe('reflection', () => {
  it('lists every file after the files it imports, once', () => {
    const seen = new Set<string>();
    for (const { name, dependency } of files) {
      expect(dependency.filter((imported) => !seen.has(imported))).toEqual([]);
      expect(seen.has(name)).toBe(false);
      seen.add(name);
    }
    expect(seen).toContain('leasehold/v1/attach.proto');
    expect(seen).toContain('google/rpc/error_details.proto');
  });

  it('describes the services that are served, and no others', () => {
    const described = files.flatMap(({ package: scope, service }) => service.map(({ name }) => `${scope}.${name}`));
    expect(described.sort()).toEqual(LEASEHOLD_SERVICES.map(({ typeName }) => typeName).sort());
  });

  it('gives every method the path and streaming of its descriptor', () => {
    const definitions = LEASEHOLD_SERVICES.map((desc) => serviceDefinition(desc) as Record<string, object>);
    expect(Object.assign({}, ...definitions)).toMatchObject({
      getMapping: { path: '/leasehold.v1.MappingService/GetMapping', requestStream: false, responseStream: false },
      openPublisher: { path: '/leasehold.v1.ChannelService/OpenPublisher', requestStream: false, responseStream: true },
    });
  });
});
