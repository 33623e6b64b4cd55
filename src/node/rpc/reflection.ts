import { type DescFile, type DescMessage, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { answerStream } from "./answer.ts";

/**
 * The parts that the requests of both versions share. The versions only differ in their package
 * name.
 */
interface AnyRequest {
  host: string;
  messageRequest:
    | { case: "fileByFilename" | "fileContainingSymbol" | "allExtensionNumbersOfType" | "listServices"; value: string }
    | { case: "fileContainingExtension"; value: { containingType: string; extensionNumber: number } }
    | { case: undefined; value?: undefined };
}

type Answer =
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } };

/**
 * Handlers of `ServerReflection` in `grpc.reflection.v1` and `v1alpha`. They describe `services`
 * and everything that their files declare.
 */
export function reflectionHandlers<Request extends AnyRequest>(services: readonly DescService[]) {
  const files = new Map<string, DescFile>();
  for (const service of services) for (const file of withImports(service.file)) files.set(file.proto.name, file);
  const symbols = new Map<string, DescFile>();
  const messages = new Set<string>();
  for (const file of files.values()) {
    for (const symbol of symbolsOf(file)) symbols.set(symbol, file);
    for (const message of allMessages(file.messages)) messages.add(message.typeName);
  }

  const answerTo = ({ messageRequest: request }: AnyRequest): Answer => {
    switch (request.case) {
      case "fileByFilename":
        return fileAnswer(files.get(request.value), `file ${request.value}`);
      case "fileContainingSymbol":
        // Some clients add the leading dot of a fully qualified name.
        return fileAnswer(symbols.get(request.value.replace(/^\./, "")), `symbol ${request.value}`);
      case "fileContainingExtension":
        // These files are proto3, which has no extensions.
        return notFound(`extension ${request.value.extensionNumber} of ${request.value.containingType}`);
      case "allExtensionNumbersOfType":
        if (!messages.has(request.value)) return notFound(`message ${request.value}`);
        return { case: "allExtensionNumbersResponse", value: { baseTypeName: request.value, extensionNumber: [] } };
      case "listServices": {
        const service = services.map(({ typeName }) => ({ name: typeName })).sort((a, b) => (a.name < b.name ? -1 : 1));
        return { case: "listServicesResponse", value: { service } };
      }
      default:
        return { case: "errorResponse", value: { errorCode: Code.InvalidArgument, errorMessage: "the request is empty" } };
    }
  };

  return {
    serverReflectionInfo: answerStream(async function* (requests: AsyncIterable<Request>) {
      for await (const request of requests) {
        yield { validHost: request.host, originalRequest: request, messageResponse: answerTo(request) };
      }
    }),
  };
}

function fileAnswer(file: DescFile | undefined, what: string): Answer {
  if (!file) return notFound(what);
  const fileDescriptorProto = withImports(file).map((one) => toBinary(FileDescriptorProtoSchema, one.proto));
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function notFound(what: string): Answer {
  return { case: "errorResponse", value: { errorCode: Code.NotFound, errorMessage: `${what} is unknown` } };
}

/** Returns `file` and everything that it imports, each once, `file` first. */
function withImports(file: DescFile): DescFile[] {
  const all = new Set([file]);
  for (const one of all) for (const imported of one.dependencies) all.add(imported);
  return [...all];
}

/**
 * Returns the full names of everything that `file` declares. Enum values are in the scope of their
 * enum's parent.
 */
function symbolsOf(file: DescFile): string[] {
  const messages = allMessages(file.messages);
  const enums = [...file.enums, ...messages.flatMap((message) => message.nestedEnums)];
  return [
    ...messages.flatMap((message) => [
      message.typeName,
      ...message.fields.map((field) => `${message.typeName}.${field.name}`),
      ...message.oneofs.map((oneof) => `${message.typeName}.${oneof.name}`),
    ]),
    ...enums.flatMap((one) => {
      const scope = one.typeName.slice(0, one.typeName.lastIndexOf(".") + 1);
      return [one.typeName, ...one.values.map((value) => scope + value.name)];
    }),
    ...file.services.flatMap((service) => [
      service.typeName,
      ...service.methods.map((method) => `${service.typeName}.${method.name}`),
    ]),
  ];
}

function allMessages(messages: readonly DescMessage[]): DescMessage[] {
  return messages.flatMap((message) => [message, ...allMessages(message.nestedMessages)]);
}
