import { Client, type ClientReadableStream, credentials, type ServiceError, status } from "@grpc/grpc-js";
import protobuf from "protobufjs";
import descriptor from "protobufjs/ext/descriptor.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { rpcRoutes } from "../../src/node/rpc/routes.ts";
import { type RunningServer, startServer } from "../../src/node/server.ts";
import { calculateNar } from "../../src/store/nar.ts";

/**
 * A generic client that has none of our proto files. It learns the services by reflection. It knows
 * reflection itself from gRPC's documentation.
 */

const CONTENT = "x86_64-linux";
const DIGEST = "KOM3/IHEx7YfInAnlJpAElYezq0Sxn9fRz7xuClwNfA=";
const EMPTY_DIGEST = "rxNJufX5oaagQE3qNtzJSZvLJcmtwRK3zJqTyuQfMmI=";

const REFLECTION = `
syntax = "proto3";
message Request { string host = 1; oneof what { string file_by_filename = 3; string file_containing_symbol = 4;
  Extension file_containing_extension = 5; string all_extension_numbers_of_type = 6; string list_services = 7; } }
message Extension { string containing_type = 1; int32 extension_number = 2; }
message Response { string valid_host = 1; Request original_request = 2; oneof answer { Files file_descriptor_response = 4;
  Numbers all_extension_numbers_response = 5; Services list_services_response = 6; Failure error_response = 7; } }
message Files { repeated bytes file_descriptor_proto = 1; }
message Numbers { string base_type_name = 1; repeated int32 extension_number = 2; }
message Services { repeated Service service = 1; }
message Service { string name = 1; }
message Failure { int32 error_code = 1; string error_message = 2; }
`;

type Fields = Record<string, unknown>;

interface ReflectionAnswer {
  originalRequest?: unknown;
  fileDescriptorResponse?: { fileDescriptorProto: Uint8Array[] };
  allExtensionNumbersResponse?: { baseTypeName: string };
  listServicesResponse?: { service: { name: string }[] };
  errorResponse?: { errorCode: number };
}

let server: RunningServer;
let client: Client;

beforeAll(async () => {
  const store = createMemoryStore();
  const engine = new InlineHashEngine();
  const routes = rpcRoutes(store, { calculateNar: (node, options) => calculateNar(store, engine, node, options) });
  server = await startServer({ host: "127.0.0.1", port: 0 }, { routes });
  client = new Client(new URL(server.address).host, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await server.close();
});

/** Makes one bidirectional call with all of `requests`. */
async function reflect(version: string, requests: Fields[]): Promise<ReflectionAnswer[]> {
  const { root } = protobuf.parse(REFLECTION);
  const request = root.lookupType("Request");
  const response = root.lookupType("Response");
  const call = client.makeBidiStreamRequest(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    (message: Fields) => Buffer.from(request.encode(request.fromObject(message)).finish()),
    (bytes) => response.toObject(response.decode(bytes)) as ReflectionAnswer,
  );
  const answers: ReflectionAnswer[] = [];
  // The client sends one request at a time, so the server must answer each before the next one
  // comes.
  call.write(requests[0] ?? {});
  await new Promise<void>((resolve, reject) => {
    call.on("data", (answer: ReflectionAnswer) => {
      answers.push(answer);
      if (answers.length < requests.length) call.write(requests[answers.length] ?? {});
      else call.end();
    });
    call.on("end", resolve);
    call.on("error", reject);
  });
  return answers;
}

/**
 * Loads the types and services of the files that declare `symbols`, and of the files that these
 * import.
 */
async function learn(version: string, symbols: string[]): Promise<protobuf.Root> {
  const answers = await reflect(
    version,
    symbols.map((fileContainingSymbol) => ({ fileContainingSymbol })),
  );
  const files = new Map<string, descriptor.IFileDescriptorProto>();
  for (const { fileDescriptorResponse } of answers) {
    for (const bytes of fileDescriptorResponse?.fileDescriptorProto ?? []) {
      const file = descriptor.FileDescriptorProto.decode(bytes) as object as descriptor.IFileDescriptorProto;
      files.set(file.name ?? "", file);
    }
  }
  const root = protobuf.Root.fromDescriptor({ file: [...files.values()] });
  root.resolveAll();
  return root;
}

/** Makes a caller for a method by its name, as generic clients do. */
function method(root: protobuf.Root, service: string, name: string) {
  const found = root.lookupService(service).methods[name];
  if (!found) throw new Error(`${service} has no ${name}`);
  const input = root.lookupType(found.requestType);
  const output = root.lookupType(found.responseType);
  const path = `/${service}/${name}`;
  const encode = (message: Fields) => Buffer.from(input.encode(input.fromObject(message)).finish());
  const decode = (bytes: Buffer) =>
    output.toObject(output.decode(bytes), { bytes: String, longs: String, enums: String, arrays: true }) as Fields;

  return {
    streaming: [found.requestStream === true, found.responseStream === true],
    unary: (message: Fields) =>
      new Promise<Fields>((resolve, reject) => {
        client.makeUnaryRequest(path, encode, decode, message, (error, value) =>
          error ? reject(error) : resolve(value as Fields),
        );
      }),
    upload: (messages: Fields[]) =>
      new Promise<Fields>((resolve, reject) => {
        const call = client.makeClientStreamRequest(path, encode, decode, (error, value) =>
          error ? reject(error) : resolve(value as Fields),
        );
        for (const message of messages) call.write(message);
        call.end();
      }),
    download: (message: Fields) => collect(client.makeServerStreamRequest(path, encode, decode, message)),
  };
}

function collect<T>(stream: ClientReadableStream<T>): Promise<T[]> {
  return new Promise((resolve, reject) => {
    const all: T[] = [];
    stream.on("data", (value: T) => all.push(value));
    stream.on("end", () => resolve(all));
    stream.on("error", reject);
  });
}

async function statusOf(call: Promise<unknown>): Promise<number> {
  try {
    await call;
  } catch (error) {
    return (error as ServiceError).code;
  }
  return status.OK;
}

const base64 = (text: string) => Buffer.from(text).toString("base64");
const MISSING = Buffer.alloc(32, 7).toString("base64");
const SHORT = Buffer.alloc(31, 7).toString("base64");

describe.each(["v1", "v1alpha"])("reflection %s", (version) => {
  test("lists all services", async () => {
    const [answer] = await reflect(version, [{ listServices: "*" }]);
    expect(answer?.listServicesResponse?.service.map(({ name }) => name)).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "snix.castore.v1.BlobService",
      "snix.castore.v1.DirectoryService",
      "snix.store.v1.PathInfoService",
      "tvix.castore.v1.BlobService",
      "tvix.castore.v1.DirectoryService",
      "tvix.store.v1.PathInfoService",
      "tvix_store_web.castore.v1.BlobSliceService",
      "tvix_store_web.castore.v1.CapabilityService",
    ]);
    expect(answer?.originalRequest).toEqual({ listServices: "*" });
  });

  test("finds a file by its name, and by each thing that it declares", async () => {
    const store = "tvix.store.v1";
    const found = [
      { fileByFilename: "tvix/store/v1/pathinfo.proto" },
      { fileContainingSymbol: `${store}.PathInfo` },
      { fileContainingSymbol: `${store}.PathInfo.references` },
      { fileContainingSymbol: `${store}.NARInfo.CA` },
      { fileContainingSymbol: `${store}.NARInfo.CA.Hash` },
      { fileContainingSymbol: `${store}.NARInfo.CA.NAR_SHA256` },
    ];
    for (const answer of await reflect(version, found)) {
      const files = answer.fileDescriptorResponse?.fileDescriptorProto.map(
        (bytes) => descriptor.FileDescriptorProto.decode(bytes).name,
      );
      expect(files).toEqual(["tvix/store/v1/pathinfo.proto", "tvix/castore/v1/castore.proto"]);
    }
    const services = [
      "tvix.castore.v1.BlobService",
      "tvix.castore.v1.BlobService.Put",
      "tvix.castore.v1.GetDirectoryRequest.by_what",
    ];
    for (const answer of await reflect(
      version,
      services.map((fileContainingSymbol) => ({ fileContainingSymbol })),
    )) {
      expect(answer.fileDescriptorResponse?.fileDescriptorProto.length).toBeGreaterThan(0);
    }
  });

  test("answers NOT_FOUND for unknown names, and continues", async () => {
    const answers = await reflect(version, [
      { fileByFilename: "no/such.proto" },
      { fileContainingSymbol: "no.such.Symbol" },
      { fileContainingExtension: { containingType: "tvix.store.v1.PathInfo", extensionNumber: 1 } },
      { allExtensionNumbersOfType: "no.such.Type" },
      { allExtensionNumbersOfType: "tvix.store.v1.PathInfo" },
      {},
    ]);
    expect(answers.map((answer) => answer.errorResponse?.errorCode)).toEqual([
      status.NOT_FOUND,
      status.NOT_FOUND,
      status.NOT_FOUND,
      status.NOT_FOUND,
      undefined,
      status.INVALID_ARGUMENT,
    ]);
    expect(answers[4]?.allExtensionNumbersResponse?.baseTypeName).toBe("tvix.store.v1.PathInfo");
  });

  test.each(["tvix", "snix"])("is sufficient to write and read a blob under %s's names", async (family) => {
    const service = `${family}.castore.v1.BlobService`;
    const root = await learn(version, [service]);
    const put = method(root, service, "Put");
    expect(put.streaming).toEqual([true, false]);
    expect(await put.upload([{ data: base64("x86_") }, {}, { data: base64("64-linux") }])).toEqual({ digest: DIGEST });
    const read = await method(root, service, "Read").download({ digest: DIGEST });
    expect(Buffer.concat(read.map(({ data }) => Buffer.from(String(data), "base64"))).toString()).toBe(CONTENT);
    expect(await method(root, service, "Stat").unary({ digest: DIGEST, sendChunks: true })).toEqual({ chunks: [] });
  });
});

describe.each(["tvix", "snix"])("status codes under %s's names", (family) => {
  let root: protobuf.Root;
  const blob = (name: string) => method(root, `${family}.castore.v1.BlobService`, name);
  const directory = (name: string) => method(root, `${family}.castore.v1.DirectoryService`, name);
  const pathInfo = (name: string) => method(root, `${family}.store.v1.PathInfoService`, name);
  const nodeField = family === "tvix" ? "node" : "entry";

  beforeAll(async () => {
    root = await learn("v1", [
      `${family}.castore.v1.BlobService`,
      `${family}.castore.v1.DirectoryService`,
      `${family}.store.v1.PathInfoService`,
    ]);
  });

  test("of blobs", async () => {
    for (const digest of ["", SHORT]) {
      expect(await statusOf(blob("Stat").unary({ digest }))).toBe(status.INVALID_ARGUMENT);
      expect(await statusOf(blob("Read").download({ digest }))).toBe(status.INVALID_ARGUMENT);
    }
    expect(await statusOf(blob("Stat").unary({ digest: MISSING }))).toBe(status.NOT_FOUND);
    expect(await statusOf(blob("Read").download({ digest: MISSING }))).toBe(status.NOT_FOUND);
    expect(await statusOf(blob("Stat").unary({ digest: EMPTY_DIGEST }))).toBe(status.OK);
    expect(await statusOf(blob("Read").download({ digest: EMPTY_DIGEST }))).toBe(status.OK);
    expect(await blob("Put").upload([])).toEqual({ digest: EMPTY_DIGEST });
  });

  test("of directories", async () => {
    for (const recursive of [false, true]) {
      expect(await statusOf(directory("Get").download({ recursive }))).toBe(status.INVALID_ARGUMENT);
      expect(await statusOf(directory("Get").download({ digest: SHORT, recursive }))).toBe(status.INVALID_ARGUMENT);
      expect(await statusOf(directory("Get").download({ digest: MISSING, recursive }))).toBe(status.NOT_FOUND);
    }
    const link = (name: string) => ({ name: base64(name), target: base64("t") });
    const broken: Fields[][] = [
      [],
      [{ symlinks: [link("b"), link("a")] }],
      [{ symlinks: [link("a")], files: [{ name: base64("a"), digest: MISSING }] }],
      [{ symlinks: [link("..")] }],
      [{ files: [{ name: base64("a"), digest: SHORT }] }],
      [{ directories: [{ name: base64("a"), digest: MISSING, size: 1 }] }],
      [{}, { directories: [{ name: base64("a"), digest: EMPTY_DIGEST, size: 1 }] }],
      [{}, { symlinks: [link("a")] }],
    ];
    for (const directories of broken) {
      expect([directories, await statusOf(directory("Put").upload(directories))]).toEqual([directories, status.INVALID_ARGUMENT]);
    }
    const parent = { directories: [{ name: base64("a"), digest: EMPTY_DIGEST }] };
    const { rootDigest } = await directory("Put").upload([{}, {}, parent]);
    expect(await directory("Get").download({ digest: rootDigest, recursive: true })).toHaveLength(2);
    expect(await directory("Get").download({ digest: rootDigest })).toHaveLength(1);
  });

  test("of path infos", async () => {
    expect(await statusOf(pathInfo("Get").unary({}))).toBe(status.INVALID_ARGUMENT);
    expect(await statusOf(pathInfo("Get").unary({ byOutputHash: SHORT }))).toBe(status.INVALID_ARGUMENT);
    const missing = Buffer.alloc(20, 3).toString("base64");
    expect(await statusOf(pathInfo("Get").unary({ byOutputHash: missing }))).toBe(status.NOT_FOUND);

    const symlink = { name: base64("00bgd045z0d4icpbc2yyz4gx48ak44la-link"), target: base64("t") };
    const file = { ...symlink, digest: MISSING, size: 3 };
    const put = (fields: Fields) => statusOf(pathInfo("Put").unary(fields));
    expect(await put({})).toBe(status.INVALID_ARGUMENT);
    expect(await put({ [nodeField]: { symlink: { ...symlink, name: base64("link") } } })).toBe(status.INVALID_ARGUMENT);
    expect(await put({ [nodeField]: { symlink }, references: [missing] })).toBe(status.INVALID_ARGUMENT);
    expect(await put({ [nodeField]: { symlink }, narinfo: { narSize: 1, narSha256: MISSING } })).toBe(status.INVALID_ARGUMENT);
    expect(await put({ [nodeField]: { file } })).toBe(status.FAILED_PRECONDITION);

    // Without narinfo the daemon calculates it, and a second Put replaces the first path info.
    const stored = await pathInfo("Put").unary({ [nodeField]: { symlink } });
    const again = await pathInfo("Put").unary(stored);
    expect(again).toEqual(stored);
    expect((stored.narinfo as Fields).narSize).toBe("120");
    expect(await pathInfo("List").download({})).toContainEqual(stored);
  });

  test("of CalculateNAR", async () => {
    const calculate = (node: Fields) => pathInfo("CalculateNAR").unary(node);
    for (const name of ["", base64("any-name")]) {
      expect((await calculate({ symlink: { name, target: base64("t") } })).narSize).toBe("120");
    }
    expect(await statusOf(calculate({}))).toBe(status.INVALID_ARGUMENT);
    expect(await statusOf(calculate({ symlink: { target: "" } }))).toBe(status.INVALID_ARGUMENT);
    expect(await statusOf(calculate({ symlink: { name: base64("a/b"), target: base64("t") } }))).toBe(status.INVALID_ARGUMENT);
    expect(await statusOf(calculate({ file: { digest: MISSING, size: 3 } }))).toBe(status.FAILED_PRECONDITION);
    expect(await statusOf(calculate({ directory: { digest: MISSING, size: 3 } }))).toBe(status.FAILED_PRECONDITION);
  });
});

test("health", async () => {
  const root = await learn("v1", ["grpc.health.v1.Health"]);
  const check = (service: string) => method(root, "grpc.health.v1.Health", "Check").unary({ service });
  expect(await check("")).toEqual({ status: "SERVING" });
  expect(await check("tvix.store.v1.PathInfoService")).toEqual({ status: "SERVING" });
  expect(await statusOf(check("no.such.Service"))).toBe(status.NOT_FOUND);
});

describe("Connect with JSON, without a generated client", () => {
  const post = (path: string, type: string, body: string | Uint8Array<ArrayBuffer>) =>
    fetch(`${server.address}/${path}`, { method: "POST", headers: { "content-type": type }, body });

  /** A flag, the length in four bytes, and the message. */
  const envelope = (message: object): Uint8Array<ArrayBuffer> => {
    const text = new TextEncoder().encode(JSON.stringify(message));
    const bytes = new Uint8Array(5 + text.length);
    new DataView(bytes.buffer).setUint32(1, text.length);
    bytes.set(text, 5);
    return bytes;
  };

  const envelopes = async (response: Response): Promise<[flag: number, message: unknown][]> => {
    const bytes = Buffer.from(await response.arrayBuffer());
    const all: [number, unknown][] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + 5 + bytes.readUInt32BE(at + 1);
      all.push([bytes.readUInt8(at), JSON.parse(bytes.toString("utf8", at + 5, end))]);
      at = end;
    }
    return all;
  };

  test.each(["tvix", "snix"])("writes and reads a blob under %s's names", async (family) => {
    const service = `${family}.castore.v1.BlobService`;
    const pieces = [{ data: base64("x86_64") }, { data: base64("-linux") }].map(envelope);
    const put = await post(`${service}/Put`, "application/connect+json", Uint8Array.from(pieces.flatMap((piece) => [...piece])));
    expect(await envelopes(put)).toEqual([
      [0, { digest: DIGEST }],
      [2, {}],
    ]);

    const stat = await post(`${service}/Stat`, "application/json", JSON.stringify({ digest: DIGEST }));
    expect([stat.status, await stat.json()]).toEqual([200, {}]);

    const read = await post(`${service}/Read`, "application/connect+json", envelope({ digest: DIGEST }));
    expect(read.headers.get("content-encoding")).toBeNull();
    expect(await envelopes(read)).toEqual([
      [0, { data: base64(CONTENT) }],
      [2, {}],
    ]);
  });

  const codeIn = (body: unknown) => (body as { code: string }).code;

  test("returns errors as JSON", async () => {
    const stat = (digest: string) => post("tvix.castore.v1.BlobService/Stat", "application/json", JSON.stringify({ digest }));
    const missing = await stat(MISSING);
    expect([missing.status, codeIn(await missing.json())]).toEqual([404, "not_found"]);
    const short = await stat(SHORT);
    expect([short.status, codeIn(await short.json())]).toEqual([400, "invalid_argument"]);
    const nonsense = await post("tvix.castore.v1.BlobService/Stat", "application/json", "{");
    expect([nonsense.status, codeIn(await nonsense.json())]).toEqual([400, "invalid_argument"]);
    const read = await post("tvix.castore.v1.BlobService/Read", "application/connect+json", envelope({ digest: MISSING }));
    expect(await envelopes(read)).toMatchObject([[2, { error: { code: "not_found" } }]]);
  });
});
