/**
 * Our services, and the descriptors that `@grpc/reflection` serves for them: our files and everything they import, with
 * the google.rpc files that error details need.
 */
import { type DescFile, type DescService, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { file_google_rpc_error_details } from '../gen/google/rpc/error_details_pb.js';
import { file_google_rpc_status } from '../gen/google/rpc/status_pb.js';
import { AdminService, file_leasehold_v1_admin } from '../gen/leasehold/v1/admin_pb.js';
import { file_leasehold_v1_attach } from '../gen/leasehold/v1/attach_pb.js';
import { ChannelService, file_leasehold_v1_channel } from '../gen/leasehold/v1/channel_pb.js';
import { file_leasehold_v1_lease, LeaseService } from '../gen/leasehold/v1/lease_pb.js';
import { file_leasehold_v1_mapping, MappingService } from '../gen/leasehold/v1/mapping_pb.js';
import { file_leasehold_v1_session, SessionService } from '../gen/leasehold/v1/session_pb.js';

/** Every service of package leasehold.v1. */
export const LEASEHOLD_SERVICES: readonly DescService[] = [
  MappingService,
  ChannelService,
  LeaseService,
  SessionService,
  AdminService,
];

const ROOT_FILES: readonly DescFile[] = [
  file_leasehold_v1_mapping,
  file_leasehold_v1_channel,
  file_leasehold_v1_lease,
  file_leasehold_v1_session,
  file_leasehold_v1_admin,
  file_leasehold_v1_attach,
  file_google_rpc_status,
  file_google_rpc_error_details,
];

/** Serialized FileDescriptorProtos, imported files before the files that import them. */
export function fileDescriptorProtos(): Buffer[] {
  const inOrder = new Set<DescFile>();
  const visit = (file: DescFile): void => {
    if (inOrder.has(file)) return;
    for (const dependency of file.dependencies) visit(dependency);
    inOrder.add(file);
  };
  for (const file of ROOT_FILES) visit(file);
  return [...inOrder].map((file) => Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
}

// The reflection service reads only the descriptors of an entry; the enum form is the one that asks for nothing more.
const PACKAGE_ENTRY_FORMAT = 'Protocol Buffer 3 EnumDescriptorProto';

/** A package definition as @grpc/proto-loader types it. */
export type ReflectionPackageDefinition = Record<
  string,
  { format: typeof PACKAGE_ENTRY_FORMAT; type: object; fileDescriptorProtos: Buffer[] }
>;

/** What `new ReflectionService(…)` of @grpc/reflection takes. */
export function reflectionPackageDefinition(): ReflectionPackageDefinition {
  return { leasehold: { format: PACKAGE_ENTRY_FORMAT, type: {}, fileDescriptorProtos: fileDescriptorProtos() } };
}
