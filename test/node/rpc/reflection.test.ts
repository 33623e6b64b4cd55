import { type DescService, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { reflectionHandlers } from "../../../src/node/rpc/reflection.ts";
import { Health } from "../../../src/wire/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection, type ServerReflectionRequest } from "../../../src/wire/gen/grpc/reflection/v1/reflection_pb.ts";
import { PathInfoService } from "../../../src/wire/gen/tvix/store/v1/rpc_pathinfo_pb.ts";

type Asked = ServerReflectionRequest["messageRequest"];

async function reflect(requests: readonly Asked[], services: readonly DescService[] = [PathInfoService, Health]) {
  const transport = createRouterTransport((router) => {
    router.service(ServerReflection, reflectionHandlers<ServerReflectionRequest>(services));
  });
  const send = async function* () {
    for (const messageRequest of requests) yield { host: "store", messageRequest };
  };
  const answers = [];
  for await (const answer of createClient(ServerReflection, transport).serverReflectionInfo(send())) answers.push(answer);
  return answers;
}

/** Returns the names of the files in each answer, or the code of the error. */
async function filesOf(...requests: Asked[]): Promise<(string[] | number)[]> {
  return (await reflect(requests)).map(({ messageResponse: { case: kind, value } }) => {
    if (kind === "errorResponse") return value.errorCode;
    if (kind !== "fileDescriptorResponse") return expect.fail(`not ${kind}`);
    return value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
  });
}

const symbol = (value: string): Asked => ({ case: "fileContainingSymbol", value });
const RPC = "tvix/store/v1/rpc_pathinfo.proto";
const PATH_INFO = "tvix/store/v1/pathinfo.proto";
const CASTORE = "tvix/castore/v1/castore.proto";

test("lists the services by name", async () => {
  const [answer] = await reflect([{ case: "listServices", value: "*" }]);
  expect(answer).toMatchObject({ validHost: "store", originalRequest: { messageRequest: { case: "listServices", value: "*" } } });
  expect(answer?.messageResponse.value).toMatchObject({
    service: [{ name: "grpc.health.v1.Health" }, { name: "tvix.store.v1.PathInfoService" }],
  });
});

test("sends a file, and then all files that it imports, each once", async () => {
  const [files] = await filesOf({ case: "fileByFilename", value: RPC });
  expect(Array.isArray(files) && files[0]).toBe(RPC);
  expect(Array.isArray(files) && [...files].sort()).toEqual([CASTORE, PATH_INFO, RPC]);
  expect(await filesOf({ case: "fileByFilename", value: CASTORE })).toEqual([[CASTORE]]);
});

test.each([
  ["PathInfo", PATH_INFO],
  [".tvix.store.v1.PathInfo", PATH_INFO],
  ["PathInfo.references", PATH_INFO],
  ["NARInfo.CA", PATH_INFO],
  ["NARInfo.CA.Hash", PATH_INFO],
  // An enum value is in the scope of its enum's parent.
  ["NARInfo.CA.NAR_SHA256", PATH_INFO],
  ["GetPathInfoRequest.by_what", RPC],
  ["PathInfoService", RPC],
  ["PathInfoService.Put", RPC],
])("finds the file that declares %s", async (name, file) => {
  const [files] = await filesOf(symbol(name.startsWith(".") ? name : `tvix.store.v1.${name}`));
  expect(files).toEqual(expect.arrayContaining([file]));
  expect(Array.isArray(files) && files[0]).toBe(file);
});

test("answers unknown names with an error each, and continues", async () => {
  expect(
    await filesOf(
      { case: "fileByFilename", value: "no/such.proto" },
      symbol("no.such.Symbol"),
      symbol("tvix.store.v1.NARInfo.CA.Hash.NAR_SHA256"),
      { case: "fileContainingExtension", value: { containingType: "tvix.store.v1.PathInfo", extensionNumber: 1 } as never },
      { case: "allExtensionNumbersOfType", value: "no.such.Type" },
      { case: undefined },
      symbol("tvix.castore.v1.Node"),
    ),
  ).toEqual([...Array(5).fill(Code.NotFound), Code.InvalidArgument, [CASTORE]]);
});

test("messages have no extensions", async () => {
  const [answer] = await reflect([{ case: "allExtensionNumbersOfType", value: "tvix.store.v1.NARInfo.CA" }]);
  expect(answer?.messageResponse).toMatchObject({
    case: "allExtensionNumbersResponse",
    value: { baseTypeName: "tvix.store.v1.NARInfo.CA", extensionNumber: [] },
  });
});
